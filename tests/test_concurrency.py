"""Many deliveries at once: nothing is lost, nothing is done twice, no lock is left behind (DESIGN §4, invariant 3).

REPEAT=20 runs everything twenty times, each time in a lab of its own.
"""

import json
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from crash_targets import lets_in
from lab import policies, seed, undo
from lab.case_file import CaseFile, read_all
from lab.client import Lab
from scene import ATTEMPTS, Scene, messages_about

DELIVERIES = 50
USERS = 200
# The second of two findings comes back when Lambda tries again: in minutes on AWS.
PATIENT = {"retry_delays_ms": [2000, 10_000]}


@pytest.fixture(scope="module", params=range(1, int(os.environ.get("REPEAT", "1")) + 1))
def crowd(request):
    """The product in a lab of its own: every case in it is of these tests, and in the end none is left behind."""
    with Lab() as running:
        yield (scene := Patient(running))
        check_nothing_left_behind(scene)


class Patient(Scene):
    """Its functions wait longer for an answer than AWS ever lets them: a lab is one process, and a crowd fills it."""

    def copy(self, **settings):
        return super().copy(environment={"CALL_TIMEOUT_MS": "15000"}, **settings)


def check_nothing_left_behind(scene):
    """Every open case is settled, every ledger whole, every case filed under one target."""
    s3 = scene.lab.client("s3")
    open_cases = [json.loads(body) for body in read_all(s3, scene.bucket, "targets/").values()]
    assert {case["state"] for case in open_cases} == {"settled"}
    filed = {}
    for key, body in read_all(s3, scene.bucket, "cases/").items():
        filed.setdefault(key.split("/")[1], {})[key] = body
    assert sorted(filed) == sorted(case["case"] for case in open_cases), "not one case for each target"
    for case in open_cases:
        CaseFile(case["case"], filed[case["case"]], case).check_chain()


def at_once(jobs):
    """Start everything at the same moment; what each returned."""
    jobs = list(jobs)
    together = threading.Barrier(min(len(jobs), 64))

    def begin(numbered):
        number, job = numbered
        if number < together.parties:
            together.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(begin, enumerate(jobs)))


def deliver(scene, events, function):
    """All events at once, and every delivery to its end."""
    for event in events:
        scene.lab.seed_finding(event["detail"])
    request_ids = at_once(lambda event=event: scene.lab.invoke_async(function, event) for event in events)
    records = scene.lab.wait_for(lambda: ended(scene, function, set(request_ids)), 400, interval=1)
    return [records[request_id] for request_id in request_ids]


def ended(scene, function, request_ids):
    """The last attempt of every event, once all have ended."""
    last = {record["request_id"]: record for record in scene.lab.invocations(function=function)}
    mine = {request_id: last[request_id] for request_id in request_ids if request_id in last}
    over = [record for record in mine.values() if record["status"] == "ok" or record["attempt"] == ATTEMPTS]
    return mine if len(over) == len(request_ids) else None


def result(record):
    assert record["status"] == "ok", (record["status"], record["error"])
    (found,) = record["response"]["results"]
    return found


def messages(scene, case):
    return messages_about(scene.lab.notifications(), case)


def case_of(scene, key):
    return CaseFile.of_target(scene.lab.client("s3"), scene.bucket, key)


def user_key(scene, user):
    return f"{scene.lab.account}/user/{user.id}"


def check_refused(scene, *credentials):
    assert not [c for c in credentials if lets_in(scene.lab.client("s3", c))], "the attacker gets in"


def test_one_finding_delivered_fifty_times_at_once(crowd):
    user, function = seed.user(crowd.lab), crowd.copy()
    records = deliver(crowd, [crowd.accuse(user)] * DELIVERIES, function)
    results = [result(record) for record in records]
    case = case_of(crowd, user_key(crowd, user))
    assert {r["case"] for r in results} == {case.id}
    assert [r["outcome"] for r in results if not r.get("repeat")] == ["contained"]
    assert case.kinds == ["opened", "acted", "verified", "reported"]
    assert len(messages(crowd, case.id)) == 1
    assert len(case.open["findings"]) == 1
    assert [key["active"] for key in case.original["keys"]] == [True]
    check_refused(crowd, user.key)


def test_slow_delivery_does_not_take_the_containment_for_undone(crowd):
    """One of two deliveries reads the user before it is contained, and the case after it is settled."""
    user, function, slow = seed.user(crowd.lab), crowd.copy(), str(uuid.uuid4())
    event = crowd.accuse(user)
    crowd.lab.seed_finding(event["detail"])
    about = {"action": "s3:GetObject", "resource": "*/targets/*", "request_id": slow}
    crowd.lab.fault(function, at_call=1, kind="held", **about)
    crowd.lab.invoke_async(function, event, slow)
    reads = crowd.lab.wait_for(lambda: wave_of(crowd, slow), 20)
    (first,) = [result(record) for record in deliver(crowd, [event], function)]
    assert first["outcome"] == "contained" and "iam:GetUser" in reads
    crowd.lab.clear_faults()
    late = result(crowd.lab.wait_for(lambda: ended(crowd, function, {slow}), 60)[slow])
    case = case_of(crowd, user_key(crowd, user))
    assert len(messages(crowd, case.id)) == 1, "people were told that somebody undid it, and nobody did"
    assert case.kinds == ["opened", "acted", "verified", "reported"]
    assert late.get("repeat") is True


def wave_of(scene, request_id):
    """What a delivery has read of IAM, once there is nothing left to read but the case."""
    calls = scene.lab.calls(request_id=request_id, service="iam")
    names = {f"iam:{call['action']}" for call in calls}
    return names if {"iam:GetUser", "iam:ListAccessKeys", "iam:GetUserPolicy"} <= names else None


def test_two_hundred_findings_about_as_many_users_at_once(crowd):
    users, function = [seed.user(crowd.lab) for _ in range(USERS)], crowd.copy()
    events = [crowd.accuse(user) for user in users]
    records = deliver(crowd, events, function)
    results = [result(record) for record in records]
    assert [r["outcome"] for r in results] == ["contained"] * USERS
    assert len({r["case"] for r in results}) == USERS
    told = [n["message"] for n in crowd.lab.notifications() if n["subject"]]
    for user, event, found in zip(users, events, results, strict=True):
        case = crowd.open_case(user_key(crowd, user))
        assert case["case"] == found["case"]
        assert case["findings"] == [event["detail"]["arn"]]
        assert sum(found["case"] in message for message in told) == 1
        check_refused(crowd, user.key)


def test_two_findings_about_one_user_at_once(crowd):
    user, function = seed.user(crowd.lab), crowd.copy(**PATIENT)
    events = [crowd.accuse(user), crowd.accuse(user)]
    results = [result(record) for record in deliver(crowd, events, function)]
    assert [r["outcome"] for r in results] == ["contained"] * 2
    case = case_of(crowd, user_key(crowd, user))
    assert {r["case"] for r in results} == {case.id}
    assert sorted(case.open["findings"]) == sorted(event["detail"]["arn"] for event in events)
    assert len(messages(crowd, case.id)) == 1
    assert case.kinds.count("opened") == 1
    check_refused(crowd, user.key)


def test_user_and_sessions_of_one_role_at_once(crowd):
    """Each session has a deny of its own on the role: writing one loses no other."""
    lab, function = crowd.lab, crowd.copy(**PATIENT)
    user, role = seed.user(lab), seed.role(lab, trust=policies.trust(account=lab.account))
    names = ["m.rossi@example.com", *(f"dev-{n}@example.com" for n in range(5))]
    stolen = [lab.mint_session(role.arn, name) for name in names]
    other = lab.mint_session(role.arn, "alice@example.com")
    events = [crowd.accuse_role(role, words={"m.rossi@example.com": name}) for name in names]
    records = deliver(crowd, [crowd.accuse(user), *events], function)
    results = [result(record) for record in records]
    assert [r["outcome"] for r in results] == ["contained"] * len(results)
    assert len({r["case"] for r in results}) == len(results)
    assert [len(messages(crowd, r["case"])) for r in results] == [1] * len(results)
    check_refused(crowd, user.key, *stolen)
    assert lets_in(lab.client("s3", other)), "a colleague in the same role was denied"


def test_release_while_findings_arrive(crowd):
    """A responder pastes the undo lines of a case while the same finding comes again, and another one.

    Whoever is last, the answers say what was found or who else is at work, and the next delivery ends contained.
    """
    lab, function = crowd.lab, crowd.copy(**PATIENT)
    user = seed.user(lab, everything=True)
    event, other = crowd.accuse(user), crowd.accuse(user)
    (first,) = [result(record) for record in deliver(crowd, [event], function)]
    case = case_of(crowd, user_key(crowd, user))
    lines = case.entry("acted")["undo"]
    lab.seed_finding(other["detail"])
    _, *request_ids = at_once(
        [
            lambda: undo.run(lab, lines),
            lambda: lab.invoke_async(function, event),
            lambda: lab.invoke_async(function, other),
        ]
    )
    meanwhile = lab.wait_for(lambda: ended(crowd, function, set(request_ids)), 60, interval=0.2)
    for record in meanwhile.values():
        found = result(record)
        assert found["case"] == first["case"]
        if found["outcome"] == "skipped":
            assert found["reason"] == "another delivery of this finding is at work on it"
            continue
        assert found["outcome"] == "contained"
        undone = [risk for risk in found["residual_risk"] if "somebody undid this containment" in risk]
        assert found.get("repeat") or undone or found["steps"], "it neither held nor was asserted again"
    (last,) = [result(record) for record in deliver(crowd, [event], function)]
    assert (last["case"], last["outcome"]) == (first["case"], "contained")
    case = case_of(crowd, user_key(crowd, user))
    assert sorted(case.open["findings"]) == sorted(e["detail"]["arn"] for e in (event, other))
    assert case.original["login"] is not None, "the original state is the one before the first change"
    resumed = case.kinds.count("resumed")
    assert len(messages(crowd, case.id)) <= 1 + resumed, "told of more than was found"
    check_refused(crowd, *user.keys, user.session)


def test_lambda_duplicates_with_one_request_id(crowd):
    """Lambda may run an event twice at once, under one request id; the lease cannot tell the two apart."""
    user, function, request_id = seed.user(crowd.lab), crowd.copy(**PATIENT), str(uuid.uuid4())
    event = crowd.accuse(user)
    crowd.lab.seed_finding(event["detail"])
    at_once([lambda: crowd.lab.invoke_async(function, event, request_id)] * 2)

    def both_ended():
        records = crowd.lab.invocations(function=function)
        over = [record for record in records if record["status"] == "ok" or record["attempt"] == ATTEMPTS]
        return over if len(over) == 2 else None

    results = [result(record) for record in crowd.lab.wait_for(both_ended, 60, interval=0.2)]
    assert [r["outcome"] for r in results] == ["contained"] * 2
    case = case_of(crowd, user_key(crowd, user))
    assert {r["case"] for r in results} == {case.id}
    assert case.kinds.count("opened") == 1
    told = messages(crowd, case.id)
    assert len(told) == 1 or all("may have sent this message already" in n["message"] for n in told[1:])
    check_refused(crowd, user.key)
