"""Faults beyond errors and crashes: what becomes of the request, and how long a fault lasts."""

import pytest
from lab import seed
from test_lab_functions import LIST_USERS, Double, exists, users


@pytest.fixture
def double(lab):
    return Double(lab)


@pytest.mark.parametrize(
    "kind, carried_out, seen",
    [
        ("reset_before", False, "ConnectionClosedError"),
        ("reset_after", True, "ConnectionClosedError"),
        ("garbage", False, "ResponseParserError"),
        ("garbage_5xx", False, "502"),
    ],
)
def test_answer_that_is_lost_or_none(lab, double, kind, carried_out, seen):
    name = seed.unique("lost")
    lab.fault(double.name, at_call=1, kind=kind)
    answer, _ = double.run(*users(name), LIST_USERS)
    assert answer["results"] == [seen, "ok"]
    assert exists(lab, name) is carried_out


def test_timeout_is_carried_out_and_never_answered(lab):
    double, name = Double(lab, timeout=1), seed.unique("lost")
    double.run()
    lab.fault(double.name, at_call=1, kind="timeout")
    answer, error = double.run(*users(name))
    assert error == "Unhandled" and "timed out" in answer["errorMessage"]
    assert exists(lab, name)


def test_crash_before_carries_out_what_came_before(lab, double):
    names = [seed.unique("crash") for _ in range(3)]
    lab.fault(double.name, at_call=2, kind="crash_before")
    _, error = double.run(*users(*names))
    assert error == "Unhandled"
    assert [exists(lab, name) for name in names] == [True, False, False]


def test_fault_of_an_invocation_strikes_the_same_request_again_and_no_other(lab, double):
    name, other = seed.unique("user"), seed.unique("user")
    script = [*users(name), *users(other), *users(name), LIST_USERS]
    lab.fault(double.name, at_call=1, kind="throttle", scope="invocation", action="iam:CreateUser")
    first, _ = double.run(*script)
    assert first["results"] == ["Throttling", "ok", "Throttling", "ok"]
    assert double.run(*users(name))[0]["results"] == ["ok"], "the next invocation is another one"


def test_fault_of_an_event_outlasts_lambdas_tries(lab, double):
    script = {"script": [{"call": ["iam", "list_users", {}]}, {"fail": "again"}]}
    lab.fault(double.name, at_call=1, kind="access_denied", scope="event", action="iam:ListUsers")
    tries = double.attempts(lab.invoke_async(double.name, script), 3)
    assert len(tries) == 3
    (fault,) = [f for f in lab.faults() if f["function"] == double.name]
    assert fault["fired"] == 3
    assert double.run(LIST_USERS)[0]["results"] == ["ok"], "another event is none of its business"


def test_fault_may_concern_one_event_and_one_resource(lab, double):
    name, request_id = seed.unique("user"), "8f14e45f-0000-4000-8000-000000000001"
    order = {"request_id": request_id, "action": "iam:CreateUser", "resource": f"*:user/{name}"}
    lab.fault(double.name, at_call=1, kind="access_denied", **order)
    assert double.run(*users(seed.unique("user")))[0]["results"] == ["ok"]
    lab.invoke_async(double.name, {"script": [*users(seed.unique("user")), *users(name)]}, request_id)
    (tried,) = double.attempts(request_id, 1)
    assert tried["response"]["results"] == ["ok", "AccessDenied"]
    assert [operation for operation, _ in tried["requests"]] == ["iam:CreateUser"] * 2


def test_held_request_is_carried_out_when_the_test_lets_go(lab, double):
    name = seed.unique("held")
    lab.fault(double.name, at_call=1, kind="held")
    request_id = lab.invoke_async(double.name, {"script": users(name)})
    lab.wait_for(lambda: [fault for fault in lab.faults() if fault["fired"]])
    assert not exists(lab, name)
    lab.clear_faults()
    (tried,) = double.attempts(request_id, 1)
    assert tried["response"]["results"] == ["ok"] and exists(lab, name)
