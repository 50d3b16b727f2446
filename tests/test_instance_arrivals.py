"""One case and one set of snapshots an instance, whatever feed names it and however many it is named with
(DESIGN §4, invariant 3)."""

import json
import re

import pytest
from isolation import groups_of
from lab import seed, seed_instances, undo
from lab.stage import FUNCTION, INSTANCE_FUNCTION
from lab_assertions import refused
from scene import ATTEMPTS
from test_contain_instance import CASE, STOLEN_FROM, check_isolated, snapshots_of

SECOND = "i-0123456789abcdef1"
"""The other instance of the sample about a group."""
COPIES = ["security-hub-copy", "ocsf-copy-instance"]


def stands(first, *others):
    """All deliveries came to the first one's case, which stands as it stood, and told nobody again."""
    assert len(first.messages()) == 1
    for other in others:
        assert other.result["case"] == first.result["case"]
        assert (other.result["outcome"], other.result["repeat"]) == (first.result["outcome"], True)
        assert other.changes() == [] and other.messages() == []
    case = first.case
    case.check_chain()
    assert case.kinds.count("opened") == 1
    return case


# --- the same finding, from other feeds --------------------------------------------------------------------


@pytest.mark.parametrize("copy", COPIES)
def test_finding_that_arrives_in_another_shape(scene, copy):
    """Straight to the function: the rules leave GuardDuty's own copies out already."""
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    first = scene.fire(event)
    assert first.result["outcome"] == "contained"
    again = scene.invoke(scene.accuse_instance(instance, copy, finding=event["detail"]["id"]), INSTANCE_FUNCTION)
    assert len(stands(first, again).open["findings"]) == 1
    assert len(snapshots_of(scene.lab, instance)) == 1


@pytest.mark.parametrize("copy", COPIES)
def test_copy_that_arrives_first_isolates(scene, copy):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.lab.seed_finding(event["detail"])
    copied = scene.invoke(scene.accuse_instance(instance, copy, finding=event["detail"]["id"]), INSTANCE_FUNCTION)
    assert copied.result["outcome"] == "contained", copied.result
    check_isolated(scene, instance)
    stands(copied, scene.fire(event))
    assert len(snapshots_of(scene.lab, instance)) == 1


def test_finding_in_security_hub_is_noted_and_marked(scene):
    instance = seed_instances.instance(scene.lab)
    copy = scene.accuse_instance(instance, "security-hub-copy")
    finding = scene.import_copy(copy)
    first = scene.fire(scene.accuse_instance(instance, finding=finding.rsplit("/", 1)[1]))
    noted = scene.in_security_hub(finding)
    assert noted["Workflow"]["Status"] == "NOTIFIED"
    assert first.result["case"] in noted["Note"]["Text"]


def test_rules_leave_the_copy_to_the_detectors_own_event(scene):
    instance = seed_instances.instance(scene.lab)
    before = scene.lab.marks()["invocations"]
    scene.import_copy(scene.accuse_instance(instance, "security-hub-copy"))
    later = scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab)))
    ran = scene.lab.invocations(before, function=INSTANCE_FUNCTION)
    assert [i["request_id"] for i in ran] == [later.request_id], "what came later, and not the copy"


def test_person_who_presses_the_button_contains(scene):
    """The custom action: a node of a cluster, which is only proposed otherwise."""
    instance = seed_instances.instance(scene.lab, eks_cluster="prod")
    event = scene.accuse_instance(instance)
    proposed = scene.fire(event)
    assert proposed.result["outcome"] == "proposed"
    action = scene.accuse_instance(instance, "custom-action-instance", finding=event["detail"]["id"])
    pressed = scene.invoke(action, INSTANCE_FUNCTION)
    assert pressed.result["outcome"] == "contained", pressed.result
    assert pressed.result["case"] == proposed.result["case"]
    check_isolated(scene, instance)
    assert len(snapshots_of(scene.lab, instance)) == 1, "the case that stands, and its one set"
    again = scene.invoke(action, INSTANCE_FUNCTION)
    assert (again.result["case"], again.result["outcome"]) == (pressed.result["case"], "contained")
    assert again.messages() == []


# --- one finding, several targets --------------------------------------------------------------------------


def by_the_rules(scene, event, *functions):
    """The event through EventBridge, and the delivery to each of these functions."""
    deliveries = [scene._begin() for _ in functions]
    event_id = scene.lab.put_event(event)
    for function, delivery in zip(functions, deliveries, strict=True):
        delivery.attempts = scene.lab.wait_for(lambda f=function: ended(scene, event_id, f), 30)
        delivery.request_id = delivery.attempts[0]["request_id"]
    return deliveries


def ended(scene, event_id, function):
    tries = scene.lab.invocations(event_id=event_id, function=function)
    return tries if tries and (tries[-1]["status"] == "ok" or tries[-1]["attempt"] == ATTEMPTS) else None


def test_group_of_instances_is_a_case_for_each(scene):
    first, second = seed_instances.instance(scene.lab), seed_instances.instance(scene.lab)
    words = {SECOND: second.id, "eni-0123456789abcde00": first.interfaces[0], "eni-0123456789abcde01": second.interfaces[0]}
    event = scene.accuse_instance(first, "attack-sequence-instance-group", words)
    delivery, at_identities = by_the_rules(scene, event, INSTANCE_FUNCTION, FUNCTION)
    assert at_identities.answer["results"] == [], "an instance is no identity"
    results = {result["target"]["id"]: result for result in delivery.answer["results"]}
    assert set(results) == {first.id, second.id}
    assert {result["outcome"] for result in results.values()} == {"contained"}, results
    cases = {result["case"] for result in results.values()}
    assert len(cases) == 2
    for case in cases:
        assert len(delivery.messages(case)) == 1
    for instance in (first, second):
        check_isolated(scene, instance)
        assert len(snapshots_of(scene.lab, instance)) == 1
        scene.read_case(results[instance.id]["case"]).check_chain()
    again = scene.invoke(event, INSTANCE_FUNCTION)
    assert {r["case"] for r in again.answer["results"]} == cases
    assert all(r["repeat"] for r in again.answer["results"])
    assert again.changes() == []


def test_stolen_credentials_go_through_the_rules_to_both_functions(scene):
    lab = scene.lab
    role = seed.role(lab, profile_path="/")
    instance, neighbour = (seed_instances.instance(lab, of_role=role) for _ in range(2))
    stolen = seed_instances.instance_credentials(lab, instance)
    words = {STOLEN_FROM: instance.id, "AROAAPPSERVERQEXAMPLE": role.id, "app-server": role.name}
    event = scene.accuse_instance(instance, "instance-credentials-exfiltrated", words)
    by_instance, by_identity = by_the_rules(scene, event, INSTANCE_FUNCTION, FUNCTION)
    results = [by_identity.result, by_instance.result]
    assert [r["outcome"] for r in results] == ["contained"] * 2, results
    cases = {r["case"] for r in results}
    assert len(cases) == 2
    told = by_instance.messages()
    assert [set(CASE.findall(n["message"])) for n in told] == [cases] * 2, "each names the other"
    refused("AccessDenied", lab.client("s3", stolen).list_buckets)
    refused("AccessDenied", lab.client("s3", seed_instances.instance_credentials(lab, instance)).list_buckets)
    lab.client("s3", seed_instances.instance_credentials(lab, neighbour)).list_buckets()
    check_isolated(scene, instance)
    assert groups_of(lab, neighbour) == neighbour.groups
    again = by_the_rules(scene, event, INSTANCE_FUNCTION, FUNCTION)
    assert [(d.result["outcome"], d.messages()) for d in again] == [("contained", [])] * 2
    for delivery in again:
        delivery.case.check_chain()


# --- hostile text --------------------------------------------------------------------------------------------


def test_hostile_text_about_an_instance_stays_text(scene, tmp_path):
    """Tags, names and titles are whoever's: nothing of them becomes a command or another target."""
    instance = seed_instances.instance(scene.lab, tags={"Name": "$(touch pwned); `touch pwned` '\"\n", "env": "${IFS}"})
    delivery = scene.invoke(scene.accuse_instance(instance, "hostile-text"), INSTANCE_FUNCTION)
    (result,) = delivery.answer["results"]
    assert result["target"]["id"] == instance.id
    assert result["outcome"] in ("contained", "proposed"), result
    for told in delivery.messages():
        assert all(character.isprintable() or character == "\n" for character in told["message"])
        for line in told["message"].split("\n"):
            line = re.sub(r"^\s*(# )?", "", line)
            if line.startswith("aws "):
                for words in undo.typed(line, tmp_path):
                    assert words[0] in ("ec2", "iam", "autoscaling", "elb", "elbv2")
    assert list(tmp_path.iterdir()) == []
    delivery.case.check_chain()
    text = json.dumps(delivery.answer)
    assert "\\u0000" not in text
