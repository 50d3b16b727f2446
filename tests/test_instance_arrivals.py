"""One case and one set of snapshots an instance, whatever feed names it and however many it is named with
(DESIGN §4, invariant 3)."""

import json
import re

import pytest
from isolation import groups_of
from lab import seed, seed_instances
from lab.stage import FUNCTION, INSTANCE_FUNCTION
from lab_assertions import refused
from test_contain_instance import CASE, STOLEN_FROM, check_isolated, snapshots_of

FIRST, SECOND = "i-0123456789abcdef0", "i-0123456789abcdef1"
"""The two instances of the sample about a group."""
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
    since = len(scene.lab.deliveries())
    scene.import_copy(scene.accuse_instance(instance, "security-hub-copy"))
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab)))
    told = [d for d in scene.lab.deliveries(since) if "function" in (d["target"] or "")]
    assert len(told) == 1, "the event that came later, and not the copy"


def test_person_who_presses_the_button_contains(scene):
    """The custom action: a node of a cluster, which is only proposed otherwise."""
    instance = seed_instances.instance(scene.lab, eks_cluster="prod")
    event = scene.accuse_instance(instance)
    proposed = scene.fire(event)
    assert proposed.result["outcome"] == "proposed"
    action = scene.accuse_instance(instance, "custom-action-instance", finding=event["detail"]["id"])
    pressed = scene.fire(action)
    assert pressed.result["outcome"] == "contained", pressed.result
    assert pressed.result["case"] == proposed.result["case"]
    check_isolated(scene, instance)
    assert len(snapshots_of(scene.lab, instance)) == 1, "the case that stands, and its one set"
    again = scene.fire(action)
    assert (again.result["case"], again.result["outcome"]) == (pressed.result["case"], "contained")
    assert again.messages() == []


# --- one finding, several targets --------------------------------------------------------------------------


def about_two(scene, first, second):
    words = {SECOND: second.id, "eni-0123456789abcde00": first.interfaces[0], "eni-0123456789abcde01": second.interfaces[0]}
    return scene.accuse_instance(first, "attack-sequence-instance-group", words)


def test_group_of_instances_is_a_case_for_each(scene):
    first, second = seed_instances.instance(scene.lab), seed_instances.instance(scene.lab)
    event = about_two(scene, first, second)
    delivery = scene.start_by_rules(event, INSTANCE_FUNCTION)
    results = {result["target"]["id"]: result for result in delivery.answer["results"]}
    assert set(results) == {first.id, second.id}
    assert {result["outcome"] for result in results.values()} == {"contained"}, results
    cases = {result["case"] for result in results.values()}
    assert len(cases) == 2
    for instance in (first, second):
        check_isolated(scene, instance)
        assert len(snapshots_of(scene.lab, instance)) == 1
        (told,) = delivery.messages(results[instance.id]["case"] + "]")or [m for m in delivery.messages(results[instance.id]["case"]) if instance.id in m["subject"] + m["message"].split("\n")[0]]
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
    by_identity, by_instance = (scene.start_by_rules(event, f) if f == INSTANCE_FUNCTION else scene.last(f, event)
                                for f in (INSTANCE_FUNCTION, FUNCTION))  # fmt: skip
    by_instance, by_identity = by_identity, by_instance
    results = [by_identity.result, by_instance.result]
    assert [r["outcome"] for r in results] == ["contained"] * 2, results
    cases = {r["case"] for r in results}
    assert len(cases) == 2
    told = [n for n in lab.notifications(by_instance.notifications_before) if n["subject"] and cases & set(CASE.findall(n["message"]))]
    assert len(told) == 2
    assert all(set(CASE.findall(n["message"])) == cases for n in told), "each names the other"
    refused("AccessDenied", lab.client("s3", stolen).list_buckets)
    refused("AccessDenied", lab.client("s3", seed_instances.instance_credentials(lab, instance)).list_buckets)
    lab.client("s3", seed_instances.instance_credentials(lab, neighbour)).list_buckets()
    check_isolated(scene, instance)
    assert groups_of(lab, neighbour) == neighbour.groups


# --- hostile text --------------------------------------------------------------------------------------------


def test_hostile_text_about_an_instance_stays_text(scene, tmp_path):
    """Tags, names and titles are whoever's: nothing of them becomes a command or another target."""
    from lab import undo

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
