"""register-actions: the buttons follow the stack, whatever CloudFormation asks, and it is always answered."""

import http.server
import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from lab import stage
from lab.client import Lab
from lab.template import TemplateError, custom, register, update_stack
from registering import BUTTONS, LOGICAL_ID, Stack
from scene import Scene

WITHOUT_A_HUB = "none: Security Hub is not enabled in this account and Region"


@pytest.fixture(scope="module")
def stack(apart):
    return Stack(apart)


@pytest.fixture(autouse=True)
def clean(stack):
    """Every test begins without actions, and leaves none."""
    stack.clear()
    yield
    stack.lab.clear_faults()
    stack.lab.refuse_answers(0)
    stack.clear()


# --- with a stack ------------------------------------------------------------------------------------------


def test_a_deployment_makes_the_buttons_and_its_end_removes_them():
    with Lab() as lab:
        scene = Scene(lab)
        stack = Stack(scene)
        assert set(stack.actions()) == set(BUTTONS)
        assert scene.deployment.outputs["SecurityHubButtons"] == "registered"
        attributes = scene.deployment.resources[LOGICAL_ID].attributes
        known = {action["ActionTargetArn"] for action in stack.hub.describe_action_targets()["ActionTargets"]}
        assert {attributes[f"{name}Arn"] for name in BUTTONS} == known
        # Nothing of it changed: CloudFormation does not ask again.
        before = len(lab.invocations(function=stage.REGISTER_FUNCTION))
        update_stack(scene.deployment, stage.TEMPLATE, lab, {"ContentHashBlocks": "1", **_listed(scene)})
        register(scene.deployment, lab, stage.BINARIES)
        assert len(lab.invocations(function=stage.REGISTER_FUNCTION)) == before
        custom.delete(scene.deployment, lab)
        assert stack.actions() == {}


def _listed(scene):
    return stage._members((*stage.organization.MEMBERS, stage.organization.WITHOUT_ROLE))


def test_a_stack_without_buttons_has_no_function_and_no_rule_for_them():
    with Lab() as lab:
        made = stage.deploy(stage.TEMPLATE, lab, {"SecurityHubButtons": "false"}, binaries_dir=stage.BINARIES)
        assert stage.REGISTER_FUNCTION not in [function["name"] for function in made.functions]
        left_out = {name for name, why in made.left_out.items() if why == "condition HasButtons is false"}
        assert {LOGICAL_ID, "RegisterActions", "RegisterActionsRole", "IdentityButton", "InstanceButton"} <= left_out
        assert "SecurityHubButtons" not in made.outputs
        assert lab.client("securityhub").describe_action_targets()["ActionTargets"] == []


def test_a_stack_is_deployed_and_removed_where_security_hub_is_not_enabled():
    with Lab() as lab:
        lab.client("securityhub").disable_security_hub()
        made = stage.deploy(stage.TEMPLATE, lab, binaries_dir=stage.BINARIES)
        assert made.outputs["SecurityHubButtons"] == WITHOUT_A_HUB
        custom.delete(made, lab)


def test_a_stack_that_may_not_make_them_is_rolled_back_at_once_and_says_why():
    with Lab() as lab:
        denied = {"Effect": "Deny", "Action": "securityhub:CreateActionTarget", "Resource": "*"}
        deployment = stage.deploy(stage.TEMPLATE, lab, binaries_dir=stage.BINARIES, custom_resources=False)
        document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
        role = deployment.ref("RegisterActionsRole")
        lab.client("iam").put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=document)
        with pytest.raises(TemplateError, match="create Contain: AccessDeniedException"):
            custom.ask_pending(deployment, lab)
        assert lab.client("securityhub").describe_action_targets()["ActionTargets"] == []


# --- request by request ---------------------------------------------------------------------------------


def test_create_update_and_delete(stack):
    created = stack.ask("Create")
    assert created.status == "SUCCESS" and set(stack.actions()) == set(BUTTONS)
    physical_id = created.answer["PhysicalResourceId"]
    for name in BUTTONS:
        arn = f"arn:aws:securityhub:{stack.lab.region}:{stack.lab.account}:action/custom/Tourniquet{name}"
        assert created.answer["Data"][f"{name}Arn"] == arn
    updated = stack.ask("Update", physical_id)
    assert updated.answer["PhysicalResourceId"] == physical_id
    assert updated.writes == [], "all is so already"
    deleted = stack.ask("Delete", physical_id)
    assert deleted.status == "SUCCESS" and stack.actions() == {}


def test_a_duplicate_delivery_changes_nothing_and_answers_the_same(stack):
    for request_type, physical_id in (("Create", None), ("Delete", "the one that was created")):
        if request_type == "Delete":
            physical_id = created.answer["PhysicalResourceId"]
        request = stack.request(request_type, physical_id)
        first, there = stack.deliver(request), stack.actions()
        second = stack.deliver(request)
        assert second.writes == [] and stack.actions() == there
        assert len(second.answers) == 2
        statuses = [(a["Status"], a["PhysicalResourceId"]) for a in second.answers]
        assert statuses[0] == statuses[1] and first.status == "SUCCESS"
        created = first


def test_what_somebody_changed_or_removed_is_put_right_by_an_update(stack):
    physical_id = stack.ask("Create").answer["PhysicalResourceId"]
    as_made = stack.actions()
    stack.describe_otherwise()
    gone = f"arn:aws:securityhub:{stack.lab.region}:{stack.lab.account}:action/custom/TourniquetPropose"
    stack.hub.delete_action_target(ActionTargetArn=gone)
    updated = stack.ask("Update", physical_id)
    assert updated.writes == ["UpdateActionTarget", "UpdateActionTarget", "CreateActionTarget"]
    assert stack.actions() == as_made


def test_actions_that_exist_already_are_adopted(stack):
    stack.hub.create_action_target(Id="TourniquetRelease", Name="Release", Description="from an earlier time")
    created = stack.ask("Create")
    assert created.status == "SUCCESS" and set(stack.actions()) == set(BUTTONS)
    stack.ask("Delete", created.answer["PhysicalResourceId"])
    assert stack.actions() == {}


@pytest.mark.parametrize("rolled_back", [True, False], ids=["rolled back", "carried through"])
def test_a_replacement_leaves_the_buttons_to_who_lives(stack, rolled_back):
    """A resource of another name takes the first one's place: it is created before the first is deleted."""
    first = stack.ask("Create").answer["PhysicalResourceId"]
    second = stack.ask("Create", logical_id="Renamed").answer["PhysicalResourceId"]
    assert second != first
    lives, goes = (first, second) if rolled_back else (second, first)
    assert stack.ask("Delete", goes).status == "SUCCESS"
    assert set(stack.actions()) == set(BUTTONS), "one of them needs them still"
    assert stack.ask("Delete", lives).status == "SUCCESS"
    assert stack.actions() == {}


@pytest.mark.parametrize("physical_id", ["never-created", "tourniquet-buttons-000000000000", "x" * 1000])
def test_a_delete_of_what_was_never_created_removes_nothing(stack, physical_id):
    stack.ask("Create")
    deleted = stack.ask("Delete", physical_id)
    assert deleted.status == "SUCCESS" and deleted.writes == []
    assert set(stack.actions()) == set(BUTTONS)


def test_other_peoples_actions_are_left_alone(stack):
    theirs = stack.hub.create_action_target(Id="TourniquetContain2", Name="Contain2", Description="theirs")
    physical_id = stack.ask("Create").answer["PhysicalResourceId"]
    stack.ask("Update", physical_id)
    stack.ask("Delete", physical_id)
    (left,) = stack.hub.describe_action_targets()["ActionTargets"]
    assert (left["ActionTargetArn"], left["Description"]) == (theirs["ActionTargetArn"], "theirs")


# --- always answered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"RequestType": "Replace"}, "neither Create nor Update nor Delete"),
        ({"RequestType": None}, "neither Create nor Update nor Delete"),
        ({"RequestType": 7}, "neither Create nor Update nor Delete"),
        ({"RequestType": "Delete"}, "no PhysicalResourceId"),
        ({"RequestType": "Update"}, "no PhysicalResourceId"),
        ({"ResourceProperties": "half"}, None),
        ({"ResourceType": None, "ServiceToken": None}, None),
    ],
    ids=str,
)
def test_a_malformed_request_is_answered(stack, changed, reason):
    asked = stack.ask("Create", **changed)
    assert asked.status == ("FAILED" if reason else "SUCCESS")
    assert (reason or "Done") in asked.answer["Reason"]
    assert bool(asked.writes) is not bool(reason)


@pytest.mark.parametrize("missing", ["StackId", "RequestId", "LogicalResourceId"])
def test_a_request_that_does_not_say_whose_it_is_is_answered_as_far_as_it_can_be(stack, missing):
    asked = stack.ask("Create", **{missing: None})
    (answer,) = asked.answers
    assert (answer["Status"], answer[missing]) == ("FAILED", "") and asked.writes == []


def test_too_many_actions_are_told_and_nothing_hangs(stack):
    for number in range(49):
        stack.hub.create_action_target(Id=f"Other{number}", Name=f"N{number}", Description="theirs")
    asked = stack.ask("Create")
    assert asked.status == "FAILED"
    assert "create Release: LimitExceededException" in asked.answer["Reason"]
    assert "Done: create Contain. Not confirmed: create Release, create Propose" in asked.answer["Reason"]
    stack.ask("Delete", asked.answer["PhysicalResourceId"])
    known = {a["ActionTargetArn"].rsplit("/", 1)[1] for a in stack.hub.describe_action_targets()["ActionTargets"]}
    assert known == {f"Other{number}" for number in range(49)}, "what CloudFormation rolls back leaves nothing of ours"


def test_security_hub_that_is_slow_is_answered_for_before_lambda_s_deadline(stack):
    slow = stack.scene.copy(stage.REGISTER_FUNCTION, timeout=4, environment={"CALL_TIMEOUT_MS": "15000"})
    stack.lab.fault(slow, at_call=2, kind="held")
    try:
        asked = stack.deliver(stack.request("Create"), slow)
    finally:
        stack.lab.clear_faults()
    assert [attempt["status"] for attempt in asked.attempts] == ["ok"], "not one that ran out of time"
    assert asked.status == "FAILED"
    assert "before the function's time was up. Done: nothing. Not confirmed: create Contain" in asked.answer["Reason"]


@pytest.mark.parametrize(("refused", "tries"), [(2, 1), (3, 2), (6, 3)])
def test_an_answer_that_s3_does_not_take_is_given_again(stack, refused, tries):
    stack.lab.refuse_answers(refused)
    asked = stack.deliver(stack.request("Create"))
    assert [a["status"] for a in asked.attempts] == ["error"] * (tries - 1) + ["ok"]
    assert asked.status == "SUCCESS" and set(stack.actions()) == set(BUTTONS)


def test_an_answer_that_can_never_be_given_ends_in_the_queue(stack):
    event, place = stack.request("Create")
    event["ResponseURL"] = event["ResponseURL"].replace("X-Amz-Signature=", "X-Amz-Signature=forged")
    asked = stack.deliver((event, place))
    assert [a["status"] for a in asked.attempts] == ["error"] * 3 and asked.answers == []
    message = asked.attempts[-1]["error"]["errorMessage"]
    assert "Http403" in message and "SUCCESS" in message and "Next: Lambda delivers the request again" in message
    assert "Signature" not in json.dumps(asked.attempts[-1]["error"]) and place not in message


# --- answered nowhere else -----------------------------------------------------------------------------------


class Listener:
    """A server of an attacker's; what it was sent."""

    def __init__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                seen.append(self.path)

            log_message = do_PUT

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/answer?X-Amz-Signature=1"


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.server.shutdown()


@pytest.mark.parametrize("request_type", ["Create", "Delete"])
def test_nothing_is_sent_to_a_place_that_is_not_s3_and_nothing_is_done(stack, listener, request_type):
    physical_id = stack.ask("Create").answer["PhysicalResourceId"]
    if request_type == "Create":
        stack.clear()
    before = stack.actions()
    url = listener.url.replace("127.0.0.1", "{}")
    places = [listener.url, url.format("user@127.0.0.1"), listener.url.replace("http", "https"), "", None, 7]
    for place in places:
        event, _ = stack.request(request_type, physical_id, ResponseURL=place)
        asked = stack.deliver((event, None))
        (attempt,) = asked.attempts
        assert attempt["response"]["answered"] == "unanswered", place
        assert "Nothing was done" in attempt["response"]["reason"]
        assert asked.calls == [] and listener.seen == []
    assert stack.actions() == before


def test_bytes_that_are_no_json_are_refused(stack):
    # Lambda would not deliver them.
    asked = stack.deliver((b'{"RequestType": "Delete", "ResponseURL": "http', None))
    assert asked.calls == []


def test_the_response_url_is_never_logged(stack):
    created = stack.request("Create")
    stack.deliver(created)
    event, place = stack.request("Delete", "theirs")
    event["ResponseURL"] = event["ResponseURL"].replace("X-Amz-Signature=", "X-Amz-Signature=forged")
    stack.deliver((event, place))
    for url in (created[0]["ResponseURL"], event["ResponseURL"]):
        (signature,) = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
        for invocation in stack.lab.invocations(function=stage.REGISTER_FUNCTION):
            said = json.dumps([invocation["logs"], invocation["response"], invocation["error"]])
            assert signature not in said and urlsplit(url).path.rsplit("/", 1)[1] not in said
