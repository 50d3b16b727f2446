"""Instances of member accounts: isolated through the role there, by groups recorded for each account and Region."""

import pytest
from isolation import groups_of, isolation_group, recorded
from lab import organization, seed, seed_instances, stage
from lab.stage import INSTANCE_FUNCTION
from lab_assertions import refused
from test_contain_instance import DEPENDENT_CALLS, attribute, rules_of, snapshots_of
from test_member_accounts import assumed

LISTED, SECOND = organization.MEMBERS


def check_isolated_there(scene, member, instance):
    for interface, groups in groups_of(member, instance).items():
        group = isolation_group(scene, instance.vpcs[interface], member.account)
        assert groups == [group]
        assert rules_of(member, group) == []


@pytest.mark.parametrize("number", [0, 1])
def test_instance_of_a_member_account_is_isolated_there(scene, number):
    """As the delegated administrator gets the finding: envelope its own account's, detail the member's."""
    member = scene.member(number)
    instance = seed_instances.instance(member, interfaces=2, data_volumes=1)
    stolen = seed_instances.instance_credentials(member, instance)
    event = scene.accuse_instance(instance)
    assert (event["account"], event["detail"]["accountId"]) == (scene.lab.account, member.account)
    delivery = scene.fire(event)
    assert delivery.result["outcome"] == "contained", delivery.result
    assert delivery.result["target"]["arn"] == instance.arn
    check_isolated_there(scene, member, instance)
    refused("AccessDenied", member.client("s3", stolen).list_buckets)
    assert attribute(member, instance, "disableApiTermination") is True
    snapshots = snapshots_of(member, instance)
    assert {s["VolumeId"] for s in snapshots} == set(instance.volumes.values())
    assert {s["OwnerId"] for s in snapshots} == {member.account}
    assert member.account in delivery.message["message"]
    delivery.case.check_chain()


def test_groups_are_recorded_for_each_account(scene):
    """Which group isolates is written down apart for each account: a VPC's id is of one account."""
    here, there = seed_instances.instance(scene.lab), seed_instances.instance(scene.member())
    for instance in (here, there):
        assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    assert here.vpc in recorded(scene) and there.vpc not in recorded(scene)
    assert there.vpc in recorded(scene, LISTED) and here.vpc not in recorded(scene, LISTED)


def test_everything_about_the_instance_goes_through_the_members_role(scene):
    """And nothing else does: the case, Security Hub and the message are the responder's own."""
    member = scene.member()
    instance = seed_instances.instance(
        member, elastic_address=True, target_groups=("instance",), load_balancer=True, auto_scaling=True
    )
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    made = {}
    for call in delivery.calls():
        made.setdefault(call["service"], set()).add((call["account"], call["role"]))
    there = (LISTED, stage.member_instance_role_arn(LISTED))
    here = (scene.lab.account, scene.deployment.outputs["ContainInstanceRoleArn"])
    for service in ("ec2", "autoscaling", "elasticloadbalancing", "iam", "guardduty"):
        assert made.pop(service) == {there}, service
    made.pop("sts", None)
    assert set.union(*made.values()) == {here}


def test_one_more_dependent_call_when_cold_and_none_when_warm(scene):
    """AssumeRole once for each account and environment; its session serves later findings."""
    function, networks = scene.copy(INSTANCE_FUNCTION), [seed_instances.network(scene.member(n)) for n in (0, 1)]
    for number in (0, 1):
        first = seed_instances.instance(scene.member(number), in_network=networks[number])
        assert scene.fire(scene.accuse_instance(first)).result["outcome"] == "contained"
    seen = []
    for number in (0, 0, 1, 0):
        instance = seed_instances.instance(scene.member(number), in_network=networks[number])
        delivery = scene.invoke(scene.accuse_instance(instance), function)
        assert delivery.result["outcome"] == "contained", delivery.result
        seen.append((delivery.attempts[0]["cold"], assumed(delivery), delivery.result["cut_off_calls"]))
    first, second = stage.member_instance_role_arn(LISTED), stage.member_instance_role_arn(SECOND)
    warm = DEPENDENT_CALLS
    assert seen == [(True, [first], warm + 1), (False, [], warm), (False, [second], warm + 1), (False, [], warm)]


def untouched(delivery, outcome, reason, lab, instance):
    assert (delivery.result["outcome"], delivery.result.get("reason")) == (outcome, reason)
    assert delivery.changes() == [] and delivery.result["steps"] == []
    assert groups_of(lab, instance) == instance.groups
    assert snapshots_of(lab, instance) == []
    delivery.case.check_chain()
    return delivery.message["message"]


def test_account_that_is_not_listed_is_never_entered(scene):
    """The role is there and would let the function in: the list decides, and STS is not even asked."""
    unlisted = scene.lab.in_account(organization.UNLISTED)
    instance = seed_instances.instance(unlisted)
    delivery = scene.fire(scene.accuse_instance(instance))
    untouched(delivery, "cannot_contain", "foreign_account", unlisted, instance)
    assert assumed(delivery) == []
    assert {c["account"] for c in delivery.calls()} == {scene.lab.account}


def test_member_without_the_role_is_told(scene):
    bare = scene.lab.in_account(organization.WITHOUT_ROLE)
    instance = seed_instances.instance(bare)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert "member.yaml" in untouched(delivery, "cannot_contain", "no_access", bare, instance)
    assert set(assumed(delivery)) == {stage.member_instance_role_arn(organization.WITHOUT_ROLE)}


def test_wrong_external_id_changes_nothing_and_is_told(scene):
    member = scene.member()
    instance = seed_instances.instance(member)
    function = scene.copy(INSTANCE_FUNCTION, environment={"MEMBER_EXTERNAL_ID": "not-the-agreed-one"})
    delivery = scene.invoke(scene.accuse_instance(instance), function)
    assert "member.yaml" in untouched(delivery, "cannot_contain", "no_access", member, instance)


def test_each_function_enters_by_its_own_role_alone(scene):
    """Given the other's role, neither gets in; once inside, neither can do what the other is for."""
    lab, said = scene.lab, {"RoleSessionName": "probe", "ExternalId": stage.EXTERNAL_ID}
    instance_role = scene.deployment.outputs["ContainInstanceRoleArn"]
    for role, theirs in (
        (scene.role_arn, stage.member_instance_role_arn(LISTED)), (instance_role, stage.member_role_arn(LISTED)),
    ):  # fmt: skip
        sts = lab.client("sts", lab.mint_session(role, "probe"))
        refused("AccessDenied", sts.assume_role, RoleArn=theirs, **said)
    member = scene.member()
    instance, user = seed_instances.instance(member), seed.user(member)
    identities = member.mint_session(stage.member_role_arn(LISTED), "probe")
    instances = member.mint_session(stage.member_instance_role_arn(LISTED), "probe")
    ec2 = member.client("ec2", identities)
    refused("UnauthorizedOperation", ec2.describe_instances)
    arguments = {"NetworkInterfaceId": instance.interfaces[0], "Groups": [instance.network.group]}
    refused("UnauthorizedOperation", ec2.modify_network_interface_attribute, **arguments)
    arguments = {"InstanceId": instance.id, "DisableApiStop": {"Value": True}}
    refused("UnauthorizedOperation", ec2.modify_instance_attribute, **arguments)
    iam = member.client("iam", instances)
    refused("AccessDenied", iam.put_user_policy, UserName=user.name, PolicyName="TourniquetDenyAll", PolicyDocument="{}")
    key = {"UserName": user.name, "AccessKeyId": user.key["AccessKeyId"], "Status": "Inactive"}
    refused("AccessDenied", iam.update_access_key, **key)
    refused("AccessDenied", iam.get_user, UserName=user.name)


def test_instance_of_the_same_id_elsewhere_is_not_looked_at(scene):
    """The finding says whose it is: nothing of another account is read for it."""
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    event["detail"]["accountId"] = LISTED
    event["detail"]["arn"] = event["detail"]["arn"].replace(scene.lab.account, LISTED)
    delivery = scene.invoke(event, INSTANCE_FUNCTION)
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("cannot_contain", "no_such_instance")
    assert groups_of(scene.lab, instance) == instance.groups
