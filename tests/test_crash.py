"""A crash after any call leaves a case that the next delivery finishes (DESIGN §4, invariant 4).

The calls of a clean run are counted; then, for every one of them, a run dies right after that call
was carried out and before its answer is read, and Lambda tries again.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from crash_targets import Recreated, RoleSession, User
from scene import ATTEMPTS

WORKERS = 3
SDK_TRIES = 3
"""How often the function's SDK tries a call."""
NEVER = 10**6
QUICK = {"environment": {"VERIFY_AFTER_MS": "50"}, "retry_delays_ms": [20, 20]}
REPEATED = "may have sent this message already"


def clean_run(scene, kind):
    """How many calls a delivery makes that nothing disturbs."""
    function = scene.copy(**QUICK)
    scene.lab.fault(function, at_call=NEVER, kind="crash_after")
    target = kind(scene)
    check(scene, target, scene.invoke(target.event, function), crashed=False)
    (fault,) = [f for f in scene.lab.faults() if f["function"] == function]
    return fault["seen"]


def crashed_run(scene, kind, function, k):
    """A delivery that dies after its k-th call; None, or what was wrong in the end."""
    target = kind(scene)
    scene.lab.fault(function, at_call=k, kind="crash_after")
    delivery = scene.invoke(target.event, function)
    try:
        check(scene, target, delivery, crashed=True)
    except AssertionError as error:
        return f"after call {k} ({last_call_before(delivery)}): {error}"
    return None


def last_call_before(delivery):
    """What the first try was doing when it died, for the report."""
    first = [c for c in delivery.calls() if c["at"] <= delivery.attempts[0]["at"]]
    return f"{first[-1]['service']}:{first[-1]['operation']}" if first else "nothing"


def check(scene, target, delivery, crashed):
    statuses = [attempt["status"] for attempt in delivery.attempts]
    assert statuses == (["crashed", "ok"] if crashed else ["ok"]), statuses
    assert delivery.result["outcome"] == target.outcome
    target.check_end(delivery.writes())
    case = delivery.case
    assert case.id == expected_case(target, delivery)
    assert case.open["state"] == "settled" and case.open["outcome"]["outcome"] == target.outcome
    target.check_original(case.original)
    assert case.planned == target.changes, "the case does not know what there is to undo"
    case.check_chain()
    check_messages(delivery.messages(), case)


def expected_case(target, delivery):
    """The case id that a retry, another copy or another delivery must come to as well (DESIGN §5.2)."""
    day = target.event["detail"]["service"]["eventFirstSeen"][:10].replace("-", "")
    digest = hashlib.sha256(f"{target.key}{target.event['detail']['arn']}".encode()).hexdigest()
    return f"IR-{day}-{digest[:8]}"


def check_messages(messages, case):
    """People are told once; twice, and told so, only if the first message was sent but not recorded."""
    if len(messages) == 1:
        return
    assert len(messages) == 2, f"{len(messages)} notifications"
    resumed = next(e["number"] for e in case.entries if e["entry"] in ("resumed", "decided"))
    recorded = [e for e in case.entries if e["entry"] == "reported" and e["number"] < resumed]
    assert not recorded, "told again although the ledger says that people were told"
    assert REPEATED in messages[1]["message"], "told twice without saying that it may be a repeat"


@pytest.mark.parametrize("kind", [User, RoleSession, Recreated], ids=lambda kind: kind.__name__)
def test_crash_after_every_call_is_mended_by_the_retry(scene, kind, capsys):
    cases_before = count_cases(scene)
    calls = clean_run(scene, kind)
    functions = [scene.copy(**QUICK) for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        runs = [pool.submit(partial(_share, scene, kind, calls), n, name) for n, name in enumerate(functions)]
        wrong = [problem for run in runs for problem in run.result()]
    scene.lab.clear_faults()
    with capsys.disabled():
        print(f"\n{kind.__name__}: a crash after each of {calls} calls, {calls - len(wrong)} of {calls} mended")
    assert not wrong, "\n".join(wrong)
    assert count_cases(scene) - cases_before == calls + 1, "one case a target, not more"


def _share(scene, kind, calls, worker, function):
    """Every WORKERS-th crash, one after the other, with a function of its own."""
    found = (crashed_run(scene, kind, function, k) for k in range(1 + worker, calls + 1, WORKERS))
    return [problem for problem in found if problem]


def count_cases(scene):
    pages = scene.lab.client("s3").get_paginator("list_objects_v2")
    pages = pages.paginate(Bucket=scene.bucket, Prefix="cases/", Delimiter="/")
    return sum(len(page.get("CommonPrefixes", [])) for page in pages)


@pytest.mark.parametrize("kind", [User, RoleSession], ids=lambda kind: kind.__name__)
def test_deny_that_went_out_before_it_was_remembered_is_undone_too(scene, kind):
    """The deny runs beside the write that remembers the plan. If that write fails, the retry finds a deny
    that no case knows of yet."""
    target, function = kind(scene), scene.copy(**QUICK)
    scene.lab.fault(function, at_call=1, kind="internal_error", times=SDK_TRIES, action="s3:PutObject")
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
    scene.lab.fault(function, at_call=16, kind="crash_after", times=ATTEMPTS)
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
