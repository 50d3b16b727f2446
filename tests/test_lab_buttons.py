"""The lab's Security Hub buttons: custom actions as AWS keeps them, and a person who presses one."""

import json

import pytest
from botocore.exceptions import ClientError
from lab import organization, seed, stage
from lab.client import LabRefused

DESCRIPTION = "asks for nothing"


def _code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def hub(lab):
    return lab.in_account(organization.MEMBERS[0]).client("securityhub")


@pytest.fixture
def action(hub):
    name = "A" + seed.unique("b").replace("-", "")[:18]
    yield hub.create_action_target(Name="Do", Description=DESCRIPTION, Id=name)["ActionTargetArn"]
    for known in hub.describe_action_targets()["ActionTargets"]:
        hub.delete_action_target(ActionTargetArn=known["ActionTargetArn"])


def test_an_action_is_made_changed_and_removed(hub, action):
    assert action.startswith(f"arn:aws:securityhub:eu-west-1:{organization.MEMBERS[0]}:action/custom/A")
    hub.update_action_target(ActionTargetArn=action, Name="Do more")
    (known,) = hub.describe_action_targets(ActionTargetArns=[action])["ActionTargets"]
    assert known == {"ActionTargetArn": action, "Name": "Do more", "Description": DESCRIPTION}
    assert hub.delete_action_target(ActionTargetArn=action)["ActionTargetArn"] == action
    assert hub.describe_action_targets()["ActionTargets"] == []


def test_what_is_refused(hub, action):
    again = {"Name": "Do", "Description": DESCRIPTION, "Id": action.rsplit("/", 1)[-1]}
    assert _code(hub.create_action_target, **again) == ("ResourceConflictException", 409)
    gone = action + "x"
    assert _code(hub.update_action_target, ActionTargetArn=gone, Name="Do") == ("ResourceNotFoundException", 404)
    assert _code(hub.delete_action_target, ActionTargetArn=gone) == ("ResourceNotFoundException", 404)
    assert _code(hub.describe_action_targets, ActionTargetArns=[gone]) == ("ResourceNotFoundException", 404)
    for wrong in ({"Id": "with-a-dash"}, {"Id": "A" * 21}, {"Name": "N" * 21}, {"Description": "D" * 501}):
        assert _code(hub.create_action_target, **{**again, "Id": "Another", **wrong}) == ("InvalidInputException", 400)


def test_a_hub_that_is_off_refuses(lab):
    hub = lab.in_account(organization.MEMBERS[1]).client("securityhub")
    hub.disable_security_hub()
    try:
        for call in (hub.describe_action_targets, hub.get_findings, hub.disable_security_hub):
            assert _code(call) == ("InvalidAccessException", 401)
        assert _code(hub.create_action_target, Name="N", Description="D", Id="I") == ("InvalidAccessException", 401)
    finally:
        hub.enable_security_hub()
    assert hub.describe_action_targets()["ActionTargets"] == []


def test_policies_name_an_action_to_change_it_and_nothing_to_make_it(lab):
    """Service Authorization Reference: two of the operations take the ARN of the action, two no resource."""
    ours = f"arn:aws:securityhub:*:{lab.account}:action/custom/Ours*"
    name, iam = seed.unique("hub-keeper"), lab.client("iam")
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": "securityhub:*ActionTarget*", "Resource": ours}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="hub", PolicyDocument=policy)
    theirs = lab.client("securityhub", iam.create_access_key(UserName=name)["AccessKey"])
    new = {"Name": "N", "Description": "D"}
    assert _code(theirs.create_action_target, Id="OursOne", **new) == ("AccessDeniedException", 403)
    assert _code(theirs.describe_action_targets) == ("AccessDeniedException", 403)
    for name in ("OursOne", "TheirsOne"):
        lab.client("securityhub").create_action_target(Id=name, **new)
    prefix = f"arn:aws:securityhub:eu-west-1:{lab.account}:action/custom"
    theirs.update_action_target(ActionTargetArn=f"{prefix}/OursOne", Name="New")
    theirs.delete_action_target(ActionTargetArn=f"{prefix}/OursOne")
    assert _code(theirs.delete_action_target, ActionTargetArn=f"{prefix}/TheirsOne") == ("AccessDeniedException", 403)
    lab.client("securityhub").delete_action_target(ActionTargetArn=f"{prefix}/TheirsOne")


def _finding(number):
    (finding,) = json.loads(stage.load("custom-action-user"))["detail"]["findings"]
    return {**finding, "Id": f"{finding['Id'][:-4]}{number:04x}"}


@pytest.fixture
def seen(lab, hub, action):
    """The queue that gets every press of the action."""
    member = lab.in_account(organization.MEMBERS[0])
    name = action.rsplit("/", 1)[-1]
    url = member.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:eu-west-1:{member.account}:{name}"
    events = member.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.securityhub"], "resources": [action]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def read(count):
        found = []

        def all_there():
            answer = member.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                found.append(json.loads(message["Body"]))
                member.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= count

        lab.wait_for(all_there)
        return found

    return read


def test_each_selected_finding_is_an_event_of_its_own(lab, action, seen):
    member = lab.in_account(organization.MEMBERS[0])
    findings = [_finding(n) for n in range(20)]
    ids = member.press(action, findings)
    events = seen(20)
    assert sorted(event["id"] for event in events) == sorted(ids)
    for event in events:
        assert (event["detail-type"], event["account"]) == ("Security Hub Findings - Custom Action", member.account)
        assert event["resources"] == [action]
        detail = event["detail"]
        assert (detail["actionName"], detail["actionDescription"], len(detail["findings"])) == ("Do", DESCRIPTION, 1)
    assert {event["detail"]["findings"][0]["Id"] for event in events} == {f["Id"] for f in findings}


def test_a_finding_is_sent_as_the_hub_has_it(lab, hub, action, seen):
    member, finding = lab.in_account(organization.MEMBERS[0]), _finding(0xFFF)
    member.press(action.rsplit("/", 1)[-1], [finding])
    seen(1)
    identifier = {"Id": finding["Id"], "ProductArn": finding["ProductArn"]}
    hub.batch_update_findings(FindingIdentifiers=[identifier], Workflow={"Status": "RESOLVED"})
    member.press(action, [finding])
    (event,) = seen(1)
    assert event["detail"]["findings"][0]["Workflow"]["Status"] == "RESOLVED"


@pytest.mark.parametrize("findings", [0, 21])
def test_nothing_and_too_much_cannot_be_selected(lab, action, findings):
    with pytest.raises(LabRefused, match="InvalidInputException"):
        lab.in_account(organization.MEMBERS[0]).press(action, [_finding(n) for n in range(findings)])


def test_an_action_that_is_not_there_cannot_be_pressed(lab):
    with pytest.raises(LabRefused, match="ResourceNotFoundException"):
        lab.press("NobodyMadeThis", [_finding(1)])
