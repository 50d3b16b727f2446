"""Crashes that are more than one: the deny before its memory, and every try of an event (DESIGN §4, invariant 4).

One crash at each call is a column of the fault matrix (`test_faults.py`).
"""

import json

import pytest
from crash_targets import RoleSession, User
from scene import ATTEMPTS

WORKERS = 3
SDK_TRIES = 3
"""How often the function's SDK tries a call."""
NEVER = 10**6
QUICK = {"environment": {"VERIFY_AFTER_MS": "50"}, "retry_delays_ms": [20, 20]}
REPEATED = "may have sent this message already"


@pytest.mark.parametrize("kind", [User, RoleSession], ids=lambda kind: kind.__name__)
def test_deny_that_went_out_before_it_was_remembered_is_undone_too(scene, kind):
    """The deny runs beside the write that remembers the plan. If that write fails, the retry finds a deny
    that no case knows of yet."""
    target, function = kind(scene), scene.copy(**QUICK)
    scene.lab.fault(
        function, at_call=1, kind="internal_error", times=SDK_TRIES, action="s3:PutObject", resource="*/targets/*"
    )
    delivery = scene.invoke(target.event, function)
    scene.lab.clear_faults()
    assert [attempt["status"] for attempt in delivery.attempts] == ["error", "ok"]
    target.check_end(delivery.writes())
    assert delivery.case.planned == target.changes


def test_event_that_always_crashes_is_kept_and_can_be_finished_later(scene):
    """Three crashes: the event is in the on-failure queue. Delivered again, once the lease of the last
    try has run out, it is finished under the same case."""
    target = User(scene)
    function = scene.copy(**QUICK, timeout=3)
    scene.lab.fault(function, at_call=1, kind="crash_after", action="iam:DeleteLoginProfile", times=ATTEMPTS)
    lost = scene.invoke(target.event, function)
    assert [attempt["status"] for attempt in lost.attempts] == ["crashed"] * ATTEMPTS
    scene.lab.clear_faults()

    sqs = scene.lab.client("sqs")
    (kept,) = scene.lab.wait_for(
        lambda: sqs.receive_message(QueueUrl=scene.failures, VisibilityTimeout=0).get("Messages")
    )
    kept = json.loads(kept["Body"])
    assert kept["requestPayload"] == target.event
    assert kept["requestContext"]["condition"] == "RetriesExhausted"
    sqs.purge_queue(QueueUrl=scene.failures)

    early = scene.invoke(kept["requestPayload"], function)
    assert early.result["reason"] == "another delivery of this finding is at work on it"
    finished = scene.lab.wait_for(lambda: delivered(scene, kept["requestPayload"], function), 15, interval=0.2)
    assert finished.result["outcome"] == "contained"
    target.check_end(finished.writes())
    case = finished.case
    target.check_original(case.original)
    case.check_chain()
    assert len(lost.messages(case.id)) == 1


def delivered(scene, event, function):
    delivery = scene.invoke(event, function)
    return delivery if delivery.result["outcome"] == "contained" else None
