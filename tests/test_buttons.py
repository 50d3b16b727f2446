"""The buttons in Security Hub, pressed: what a person asks for is done, no more, and by nobody else's button."""

import copy
import json

import pytest
from lab import organization, seed, seed_instances, stage
from lab.client import LabRefused
from lab.stage import FUNCTION, INSTANCE_FUNCTION
from lab_assertions import refused
from scene import Delivery

CONTAIN, RELEASE, PROPOSE = "TourniquetContain", "TourniquetRelease", "TourniquetPropose"


def finding_in(event):
    (finding,) = event["detail"]["findings"]
    return finding


def accused(scene, user):
    """A finding of GuardDuty about a user, that no event brought, as Security Hub has it."""
    event = scene.accuse(user)
    scene.lab.seed_finding(event["detail"])
    return finding_in(scene.accuse(user, "leaked-access-key-security-hub-copy", finding=event["detail"]["id"]))


def imported(scene, user, instance):
    """A finding of an application about a user and an instance."""
    of_the_user = scene.recast(stage.about_user(stage.load("application-finding-user"), user))
    of_the_instance = stage.about_instance(stage.load("application-finding-instance", INSTANCE_FUNCTION), instance)
    finding = finding_in(of_the_user)
    finding["Id"] = f"{finding['Id']}/{user.id}"
    finding["Resources"] += finding_in(json.loads(of_the_instance))["Resources"]
    return finding


def trusting(scene):
    """The guardrails, with this account's own products among those that are believed."""
    known = "trusted_products = ["
    assert known in scene.guardrails
    product = f"arn:aws:securityhub:*:{scene.lab.account}:product/{scene.lab.account}/default"
    return scene.guardrails_being(scene.guardrails.replace(known, f'{known}\n  "{product}",', 1))


def works(user, lab):
    lab.client("s3", user.session).list_buckets()


def cut_off(user, lab):
    refused("AccessDenied", lab.client("s3", user.session).list_buckets)


def test_contain_contains(scene):
    user = seed.user(scene.lab, everything=True)
    pressed = scene.press(CONTAIN, accused(scene, user))
    assert (pressed.result["mode"], pressed.result["outcome"]) == ("contain", "contained")
    cut_off(user, scene.lab)
    assert pressed.case.memory["decision"]["ruling"]["rule"] == "a person pressed Contain"
    assert pressed.message["subject"].startswith("[Tourniquet] CONTAINED")


def test_pressed_again_nothing_is_done_twice(scene):
    user = seed.user(scene.lab, everything=True)
    finding = accused(scene, user)
    first, second = scene.press(CONTAIN, finding), scene.press(CONTAIN, finding)
    assert second.result["case"] == first.result["case"] and second.result["repeat"]
    assert second.writes() == []


def test_several_findings_of_several_people_are_several_cases(scene):
    users = [seed.user(scene.lab, everything=True) for _ in range(2)]
    pressed = scene.press_each(CONTAIN, [accused(scene, user) for user in users])
    assert [delivery.result["outcome"] for delivery in pressed] == ["contained", "contained"]
    assert len({delivery.result["case"] for delivery in pressed}) == 2
    assert {delivery.result["target"]["id"] for delivery in pressed} == {user.id for user in users}
    for user in users:
        cut_off(user, scene.lab)


def test_one_finding_about_a_user_and_an_instance_goes_to_both_functions(scene):
    user, instance = seed.user(scene.lab, everything=True), seed_instances.instance(scene.lab)
    finding = imported(scene, user, instance)
    with trusting(scene):
        pressed = scene.press(CONTAIN, finding, to=FUNCTION)
        too = Delivery(scene, 0, 0, 0, event_id=pressed.event_id, function=INSTANCE_FUNCTION).wait()
    assert (pressed.result["outcome"], pressed.result["target"]["id"]) == ("contained", user.id)
    assert (too.result["outcome"], too.result["target"]["id"]) == ("contained", instance.id)
    cut_off(user, scene.lab)
    before = {interface: set(groups) for interface, groups in instance.groups.items()}
    after = {i: set(groups) for i, groups in seed_instances.look_at(scene.lab, instance.id).groups.items()}
    assert all(not after[interface] & groups for interface, groups in before.items()), "none of its groups is left"


def test_a_finding_of_a_member_account_is_contained_there(scene):
    member = scene.member()
    user = seed.user(member, everything=True)
    finding = accused(scene, user)
    assert finding["AwsAccountId"] == member.account
    pressed = scene.press(CONTAIN, finding)
    assert pressed.result["outcome"] == "contained"
    assert pressed.result["target"]["arn"] == user.arn
    cut_off(user, member)


def test_an_account_that_is_not_listed_is_not_entered(scene):
    unlisted = scene.lab.in_account(organization.UNLISTED)
    user = seed.user(unlisted, everything=True)
    pressed = scene.press(CONTAIN, accused(scene, user))
    assert (pressed.result["outcome"], pressed.result["reason"]) == ("cannot_contain", "foreign_account")
    assert pressed.changes() == []
    works(user, unlisted)


def test_propose_asks_and_changes_nothing_whatever_the_rules_say(scene):
    user = seed.user(scene.lab, everything=True)
    finding = accused(scene, user)
    pressed = scene.press(PROPOSE, finding)
    assert (pressed.result["mode"], pressed.result["outcome"]) == ("propose", "proposed")
    assert pressed.result["reason"] == "a person pressed Propose"
    assert pressed.changes() == []
    works(user, scene.lab)
    assert pressed.message["subject"].startswith("[Tourniquet] PROPOSED")
    # What was proposed is contained by the other button, in the same case.
    contained = scene.press(CONTAIN, finding)
    assert (contained.result["case"], contained.result["outcome"]) == (pressed.result["case"], "contained")
    cut_off(user, scene.lab)
    # And stays so, whoever presses Propose then.
    again = scene.press(PROPOSE, finding)
    assert again.writes() == [] and again.result["outcome"] == "contained"
    cut_off(user, scene.lab)


def test_a_finding_without_compliance_or_of_low_severity_or_settled_is_pressed_all_the_same(scene):
    user = seed.user(scene.lab, everything=True)
    finding = accused(scene, user)
    assert "Compliance" not in finding
    finding |= {"Severity": {"Product": 2.0, "Label": "LOW", "Normalized": 20}, "Workflow": {"Status": "NOTIFIED"}}
    finding |= {"RecordState": "ARCHIVED"}
    assert scene.press(CONTAIN, finding).result["outcome"] == "contained"


def test_a_protected_principal_is_protected_from_the_button_too(scene):
    user = scene.break_glass
    pressed = scene.press(CONTAIN, accused(scene, user))
    assert pressed.result["outcome"] == "skipped" and pressed.changes() == []


def test_the_ceiling_caps_the_button(scene):
    user = seed.user(scene.lab, everything=True)
    with scene.guardrails_being(scene.guardrails.replace('mode = "contain"', 'mode = "observe"', 1)):
        pressed = scene.press(CONTAIN, accused(scene, user))
    assert pressed.result["outcome"] == "observed"
    works(user, scene.lab)


def test_a_button_that_is_not_there_cannot_be_pressed(scene):
    with pytest.raises(LabRefused, match="ResourceNotFoundException"):
        scene.lab.press("Contain", [accused(scene, seed.user(scene.lab))])


# --- other buttons -----------------------------------------------------------------------------------------


def event_of(scene, finding, action):
    return {
        "version": "0", "id": "4e87b4c7-8c08-562e-b104-76d68cfb945c", "source": "aws.securityhub",
        "detail-type": "Security Hub Findings - Custom Action", "account": scene.lab.account,
        "time": "2026-11-21T21:05:33Z", "region": scene.lab.region, "resources": [action] if action else [],
        "detail": {"actionName": "Contain", "actionDescription": "as it says", "findings": [finding]},
    }  # fmt: skip


def arn_of(scene, action, account=None, region=None):
    return f"arn:aws:securityhub:{region or scene.lab.region}:{account or scene.lab.account}:action/custom/{action}"


def foreign(scene):
    return {
        "another account's": arn_of(scene, CONTAIN, organization.UNLISTED),
        "a member's": arn_of(scene, CONTAIN, organization.MEMBERS[0]),
        "another Region's": arn_of(scene, CONTAIN, region="us-east-1"),
        "another action": arn_of(scene, "Contain"),
        "a longer name": arn_of(scene, CONTAIN + "2"),
        "none": "contain",
    }


def test_no_rule_takes_another_button(scene):
    user = seed.user(scene.lab, everything=True)
    finding, mark = accused(scene, user), scene.lab.marks()
    for action in (*foreign(scene).values(), arn_of(scene, RELEASE)):
        scene.lab.put_event(event_of(scene, finding, action))
    # What comes later has arrived, so they would have, too.
    later = scene.press(PROPOSE, finding)
    ran = scene.lab.invocations(mark["invocations"])
    assert {i["event_id"] for i in ran} == {later.event_id}
    works(user, scene.lab)


def test_a_function_that_is_handed_another_button_does_nothing(scene):
    user, instance = seed.user(scene.lab, everything=True), seed_instances.instance(scene.lab)
    finding = imported(scene, user, instance)
    for function in (FUNCTION, INSTANCE_FUNCTION):
        for whose, action in foreign(scene).items():
            delivery = scene.invoke(event_of(scene, finding, action), function)
            assert delivery.ignored == "not_our_button", whose
            assert delivery.calls() == [], "it is not even looked into"
        delivery = scene.invoke(event_of(scene, finding, arn_of(scene, RELEASE)), function)
        assert delivery.ignored == "not_for_this_function" and delivery.calls() == []
        without = scene.invoke(event_of(scene, finding, ""), function)
        assert without.ignored == "unknown_envelope"
    works(user, scene.lab)


def test_twenty_findings_in_one_event_are_looked_into_one_by_one(scene):
    """Security Hub sends one in each event, and documents a list."""
    users = [seed.user(scene.lab, everything=True) for _ in range(2)]
    event = event_of(scene, accused(scene, users[0]), arn_of(scene, CONTAIN))
    event["detail"]["findings"].append(copy.deepcopy(accused(scene, users[1])))
    delivery = scene.fire(event)
    assert [result["outcome"] for result in delivery.answer["results"]] == ["contained", "contained"]
    for user in users:
        cut_off(user, scene.lab)
