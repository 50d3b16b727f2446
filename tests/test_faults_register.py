"""register-actions under faults: at every call, of every kind, CloudFormation is told exactly what happened, and the next
delivery mends it.

A Create, an Update that changes all three and a Delete, four calls each. There is one set of buttons in an account, so
the cells run one after the other.
"""

import re

import pytest
from fault_rules import PASSING
from lab.stage import REGISTER_FUNCTION
from registering import BUTTONS, Stack

CRASHES = ("crash_before", "crash_after")
KINDS = (*PASSING, "garbage", "access_denied", *CRASHES)
REQUESTS = {
    "Create": ["DescribeActionTargets"] + ["CreateActionTarget"] * 3,
    "Update": ["DescribeActionTargets"] + ["UpdateActionTarget"] * 3,
    "Delete": ["DescribeActionTargets"] + ["DeleteActionTarget"] * 3,
}
CARRIED_OUT = ("timeout", "reset_after")
"""AWS does as asked, and the answer is lost."""


@pytest.fixture(scope="module")
def stack(apart):
    return Stack(apart)


@pytest.fixture(scope="module")
def patient(stack):
    """However slow the machine is, every answer comes before the function gives it up."""
    return stack.scene.copy(REGISTER_FUNCTION, environment={"CALL_TIMEOUT_MS": "15000"})


@pytest.fixture(scope="module")
def impatient(stack):
    """A call that is not answered is given up soon."""
    return stack.scene.copy(REGISTER_FUNCTION, environment={"CALL_TIMEOUT_MS": "800"})


@pytest.fixture
def function(kind, patient, impatient):
    return impatient if kind == "timeout" else patient


@pytest.fixture
def before(stack):
    """What each kind of request finds."""

    def prepare(request_type):
        stack.clear()
        if request_type == "Create":
            return None
        physical_id = stack.ask("Create").answer["PhysicalResourceId"]
        if request_type == "Update":
            stack.describe_otherwise()
        return physical_id

    yield prepare
    stack.lab.clear_faults()
    stack.clear()


def is_so(stack, request_type):
    """Whether Security Hub is as the request wants it."""
    actions = stack.actions()
    if request_type == "Delete":
        return actions == {}
    return set(actions) == set(BUTTONS) and all("[tourniquet " in text for text in actions.values())


def buttons_in(text):
    return set(re.findall("|".join(BUTTONS), text))


def touched(stack, request_type):
    """The buttons that the request has changed by now."""
    actions = stack.actions()
    if request_type == "Delete":
        return set(BUTTONS) - set(actions)
    return {name for name, text in actions.items() if "[tourniquet " in text}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_call", range(1, 5))
@pytest.mark.parametrize("request_type", REQUESTS)
def test_every_call_may_fail(stack, function, patient, before, request_type, at_call, kind):
    physical_id = before(request_type)
    request = stack.request(request_type, physical_id)
    scope = "call" if kind in CRASHES else "invocation"
    action = f"securityhub:{REQUESTS[request_type][at_call - 1]}"
    nth = 1 if at_call == 1 else at_call - 1

    def arm(request_id):
        stack.lab.fault(function, at_call=nth, kind=kind, action=action, scope=scope, request_id=request_id)

    asked = stack.deliver(request, function, armed=arm)
    (fault,) = stack.lab.faults(request_id=asked.attempts[0]["request_id"])
    assert fault["fired"], "the fault met nothing"
    if kind in CRASHES:
        assert [attempt["status"] for attempt in asked.attempts] == ["crashed", "ok"]
        assert asked.status == "SUCCESS" and is_so(stack, request_type)
        return
    assert [attempt["status"] for attempt in asked.attempts] == ["ok"]
    assert asked.status == "FAILED"
    reason = asked.answer["Reason"]
    done, left = reason.split(" Done: ")[1].split("Not confirmed: ")
    if at_call == 1:
        assert reason.startswith("DescribeActionTargets: ") and (done, left) == ("nothing. ", "nothing")
    else:
        failed = BUTTONS[at_call - 2]
        assert reason.startswith(f"{request_type.lower()} {failed}: ")
        assert buttons_in(done) == set(BUTTONS[: at_call - 2])
        assert buttons_in(left) == set(BUTTONS[at_call - 2 :])
        # The call that failed may have been carried out: it is the first that is said not to be.
        lost = {failed} if kind in CARRIED_OUT else set()
        assert touched(stack, request_type) == buttons_in(done) | lost
    # What CloudFormation does next: it rolls a Create back, and tries the rest again when a person says so.
    stack.lab.clear_faults()
    if request_type == "Create":
        assert stack.ask("Delete", asked.answer["PhysicalResourceId"]).status == "SUCCESS"
        assert stack.actions() == {}, "a Create that failed leaves nothing"
    again = stack.deliver(stack.request(request_type, physical_id), patient)
    assert again.status == "SUCCESS" and is_so(stack, request_type)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CRASHES])
@pytest.mark.parametrize("request_type", REQUESTS)
def test_trouble_that_is_over_with_one_try_is_nobodys_business(stack, function, before, request_type, kind):
    """The SDK's own next try mends it; a refusal and an answer that is none are not tried again."""
    request = stack.request(request_type, before(request_type))

    def arm(request_id):
        stack.lab.fault(function, at_call=2, kind=kind, request_id=request_id)

    asked = stack.deliver(request, function, armed=arm)
    assert asked.status == ("FAILED" if kind in ("access_denied", "garbage") else "SUCCESS")
    assert is_so(stack, request_type) is (asked.status == "SUCCESS")


def test_a_clean_run_makes_the_calls_that_are_struck_above(stack, before):
    for request_type, expected in REQUESTS.items():
        physical_id = before(request_type)
        asked = stack.deliver(stack.request(request_type, physical_id))
        assert [c["action"] for c in asked.calls if c["service"] == "securityhub"] == expected
