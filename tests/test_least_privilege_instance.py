"""The role of contain-instance is enough, nothing in it is unused, and its credentials do nothing else; the same of its
role in a member account (DESIGN §4, invariant 8).

Runs last, as `test_least_privilege.py` does, and proves the same when it runs alone.
"""

import json

import pytest
from isolation import allow, guardrails_with, isolation_group
from lab import organization, policies, seed, seed_instances, stage
from lab.stage import INSTANCE_FUNCTION
from lab_assertions import refused
from privileges import (
    PROBE,
    calls_of,
    check_actions_are_named,
    denied_in,
    fail_for_good,
    granted_on_everything,
    grants_in,
    name_of,
    statements_of,
    unused_of,
)

DENIED = "UnauthorizedOperation"
"""What EC2 says to a caller without the permission."""
AWS_MAY_ASK_FOR = {"instance/*", "subnet/*"}
"""Named by AWS beside the interface and its groups where one is modified; the lab judges on those two alone."""
ANY_POLICY = json.dumps(policies.document(policies.allow("*")))
FROM_THE_BASTION = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}]


@pytest.fixture(scope="module")
def role(scene):
    return scene.deployment.outputs["ContainInstanceRoleArn"]


@pytest.fixture(scope="module")
def played(scene):
    """Every permission used once, in the function's own account and in a member's, and a failure."""
    lab = scene.lab
    for account in (lab, scene.member()):
        play(scene, account)
    # Every listed role is asked for; in the last account nobody made it.
    for account in (organization.MEMBERS[1], organization.WITHOUT_ROLE):
        scene.fire(scene.accuse_instance(seed_instances.instance(lab.in_account(account))))
    fail_for_good(scene, scene.accuse_instance(seed_instances.instance(lab)), INSTANCE_FUNCTION)
    return scene


def play(scene, lab):
    net = seed_instances.network(lab)
    whole = seed_instances.instance(
        lab, in_network=net, interfaces=2, data_volumes=1, elastic_address=True, target_groups=("instance", "ip"),
        load_balancer=True, auto_scaling=True, user_data="#!/bin/sh\n", on_shutdown="terminate",
    )  # fmt: skip
    copy = scene.import_copy(scene.accuse_instance(whole, "security-hub-copy"))
    contained(scene, scene.accuse_instance(whole, finding=copy.rsplit("/", 1)[1]))
    # Another finding joins the case, whose ledger is read for it.
    contained(scene, scene.accuse_instance(whole))
    edit(lab, isolation_group(scene, net.vpc, lab.account))
    exceptions = allow("in", "203.0.113.10/32", 22, net.vpc) + allow("out", "198.51.100.0/24", 443, net.vpc)
    text = guardrails_with(scene, exceptions, auto_scaling="detach", remove_public_addresses=True)
    with scene.guardrails_being(text):
        other = seed_instances.instance(lab, in_network=net, auto_scaling=True, public_address=True)
        contained(scene, scene.accuse_instance(other))
    with scene.guardrails_being(guardrails_with(scene, untrack_connections=True)):
        contained(scene, scene.accuse_instance(seed_instances.instance(lab)))
    function = scene.copy(INSTANCE_FUNCTION)
    refusal = {"kind": "error", "code": "InvalidState", "status": 400}
    lab.fault(function, at_call=1, scope="event", action="ec2:CreateSnapshots", **refusal)
    delivery = scene.invoke(scene.accuse_instance(seed_instances.instance(lab, data_volumes=1)), function)
    lab.clear_faults()
    assert delivery.result["outcome"] == "contained", delivery.result


def contained(scene, event):
    delivery = scene.fire(event)
    assert delivery.result["outcome"] == "contained", delivery.result
    assert not [s for s in delivery.result["steps"] if s["status"] == "failed"], delivery.result


def edit(lab, group):
    """What somebody does who wants a way in."""
    lab.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=FROM_THE_BASTION)


# --- enough, and not more -----------------------------------------------------------------------------------


def test_role_is_enough(played, role):
    assert denied_in(calls_of(played.lab, role)) == []


def test_role_in_a_member_account_is_enough(played):
    there = stage.member_instance_role_arn(organization.MEMBERS[0])
    assert denied_in(calls_of(played.member(), there)) == []


def provable(granted):
    """Less what the lab does not judge on."""
    left_out = {
        (action, arn) for action, arn in granted
        if action == "ec2:ModifyNetworkInterfaceAttribute" and arn.split(":")[5] in AWS_MAY_ASK_FOR
    }  # fmt: skip
    assert len(left_out) == len(AWS_MAY_ASK_FOR)
    return granted - left_out


def test_everything_granted_is_used(played, role, capsys):
    granted = provable(grants_in(statements_of(played.lab, name_of(role))))
    assert unused_of("the role of contain-instance", granted, calls_of(played.lab, role), capsys) == set()


def test_everything_granted_in_a_member_account_is_used(played, capsys):
    there, member = stage.member_instance_role_arn(organization.MEMBERS[0]), played.member()
    granted = provable(grants_in(statements_of(member, name_of(there))))
    assert unused_of("its role in a member account", granted, calls_of(member, there), capsys) == set()


def test_actions_are_named_one_by_one(scene, role):
    check_actions_are_named(statements_of(scene.lab, name_of(role)))
    check_actions_are_named(statements_of(scene.member(), "TourniquetInstanceResponder"))


def test_only_what_takes_no_resource_is_granted_on_everything(scene, role):
    reads = {"ReadFindingAtSource", "ObserveInstances"}
    assert granted_on_everything(statements_of(scene.lab, name_of(role))) == {*reads, "ReadAndNoteImportedFinding"}
    assert granted_on_everything(statements_of(scene.member(), "TourniquetInstanceResponder")) == reads


# --- with the role's own credentials ------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["the function's", "a member's"])
def holder(request, scene, played, role):
    """Where the role is, and what its credentials are good for there."""
    if request.param == "the function's":
        account, arn = scene.lab, role
    else:
        account, arn = scene.member(), stage.member_instance_role_arn(organization.MEMBERS[0])
    session = account.mint_session(arn, PROBE)
    return account, lambda service: account.client(service, session)


@pytest.fixture(scope="module")
def victim(scene, holder):
    """An instance of the account, contained: there is an isolation group, and evidence that is locked."""
    lab, _ = holder
    instance = seed_instances.instance(lab, elastic_address=True, user_data="#!/bin/sh\n")
    contained(scene, scene.accuse_instance(instance))
    return instance


def snapshots_of(lab, instance):
    filters = [{"Name": "tag:ir:instance", "Values": [instance.id]}]
    return [s["SnapshotId"] for s in lab.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]]


def tags(kind, **tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key.replace("_", ":", 1), "Value": v} for key, v in tags.items()]}]


def test_machine_is_neither_ended_nor_stopped_nor_started_nor_changed(holder, victim):
    _, probe = holder
    ec2 = probe("ec2")
    for operation in ("terminate_instances", "stop_instances", "reboot_instances", "start_instances"):
        refused(DENIED, getattr(ec2, operation), InstanceIds=[victim.id])
    refused(DENIED, ec2.modify_instance_attribute, InstanceId=victim.id, UserData={"Value": b"#!/bin/sh\n"})
    refused(DENIED, ec2.modify_instance_attribute, InstanceId=victim.id, InstanceType={"Value": "m5.xlarge"})
    refused(DENIED, ec2.modify_instance_attribute, InstanceId=victim.id, Groups=[victim.network.group])
    refused(DENIED, ec2.modify_instance_metadata_options, InstanceId=victim.id, HttpTokens="optional")
    refused(DENIED, ec2.run_instances, ImageId="ami-0abcdef1234567890", MinCount=1, MaxCount=1)


def test_evidence_is_neither_deleted_nor_unlocked_nor_shared(holder, victim):
    lab, probe = holder
    ec2 = probe("ec2")
    (snapshot,) = snapshots_of(lab, victim)
    volume = next(iter(victim.volumes.values()))
    refused(DENIED, ec2.delete_snapshot, SnapshotId=snapshot)
    refused(DENIED, ec2.unlock_snapshot, SnapshotId=snapshot)
    refused(
        DENIED, ec2.modify_snapshot_attribute, SnapshotId=snapshot, Attribute="createVolumePermission",
        OperationType="add", UserIds=[organization.UNLISTED],
    )  # fmt: skip
    refused(DENIED, ec2.copy_snapshot, SourceSnapshotId=snapshot, SourceRegion=lab.region)
    refused(DENIED, ec2.create_volume, SnapshotId=snapshot, AvailabilityZone=f"{lab.region}a")
    refused(DENIED, ec2.delete_volume, VolumeId=volume)
    refused(DENIED, ec2.detach_volume, VolumeId=volume)
    for operation in ("create_tags", "delete_tags"):
        refused(DENIED, getattr(ec2, operation), Resources=[snapshot], Tags=[{"Key": "ir:incident", "Value": "IR-x"}])


def test_backup_is_not_locked_nor_a_snapshot_taken_that_is_no_evidence(holder, victim):
    """A lock in compliance mode cannot be taken off: somebody else's snapshots are not to be locked."""
    lab, probe = holder
    volume = next(iter(victim.volumes.values()))
    backup = lab.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"]
    refused(DENIED, probe("ec2").lock_snapshot, SnapshotId=backup, LockMode="governance", LockDuration=1)
    refused(DENIED, probe("ec2").create_snapshot, VolumeId=volume)
    specified = tags("snapshot", Name="mine")
    refused(DENIED, probe("ec2").create_snapshot, VolumeId=volume, TagSpecifications=specified)


def test_only_isolation_groups_are_made_changed_and_put_on(scene, holder, victim):
    lab, probe = holder
    ec2, theirs, ours = probe("ec2"), victim.network.group, isolation_group(scene, victim.vpc, lab.account)
    rules = lab.client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [theirs]}])
    of_theirs = {way: [r["SecurityGroupRuleId"] for r in rules["SecurityGroupRules"] if r["IsEgress"] == (way == "out")]
                 for way in ("in", "out")}  # fmt: skip
    refused(DENIED, ec2.authorize_security_group_ingress, GroupId=theirs, IpPermissions=FROM_THE_BASTION)
    refused(DENIED, ec2.authorize_security_group_egress, GroupId=theirs, IpPermissions=FROM_THE_BASTION)
    refused(DENIED, ec2.revoke_security_group_ingress, GroupId=theirs, SecurityGroupRuleIds=of_theirs["in"])
    refused(DENIED, ec2.revoke_security_group_egress, GroupId=theirs, SecurityGroupRuleIds=of_theirs["out"])
    interface = victim.interfaces[0]
    for groups in ([theirs], [ours, theirs]):
        refused(DENIED, ec2.modify_network_interface_attribute, NetworkInterfaceId=interface, Groups=groups)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[ours])
    for group in (theirs, ours):
        refused(DENIED, ec2.delete_security_group, GroupId=group)
        for operation in ("create_tags", "delete_tags"):
            tag = [{"Key": "ir:isolation", "Value": victim.vpc}]
            refused(DENIED, getattr(ec2, operation), Resources=[group], Tags=tag)
    made = {"GroupName": seed.unique("x"), "Description": "x", "VpcId": victim.vpc}
    refused(DENIED, ec2.create_security_group, **made)
    for given in ({"Name": "x"}, {"ir_isolation": victim.vpc, "Name": "x"}, {"ir_isolation": "mine"}):
        refused(DENIED, ec2.create_security_group, **made, TagSpecifications=tags("security-group", **given))


def test_network_around_it_is_not_changed(scene, holder, victim):
    _, probe = holder
    ec2, interface = probe("ec2"), victim.interfaces[0]
    refused(DENIED, ec2.release_address, AllocationId=victim.allocation)
    refused(DENIED, ec2.associate_address, AllocationId=victim.allocation, NetworkInterfaceId=interface)
    refused(DENIED, ec2.delete_network_interface, NetworkInterfaceId=interface)
    refused(DENIED, ec2.create_network_interface, SubnetId=victim.subnet)
    refused(
        DENIED, ec2.attach_network_interface, NetworkInterfaceId=interface, InstanceId=victim.id, DeviceIndex=1
    )
    refused(DENIED, ec2.create_route, RouteTableId="rtb-0123456789abcdef0", DestinationCidrBlock="0.0.0.0/0")


def test_protected_roles_are_not_written_and_no_role_is_given_rights(holder, victim):
    lab, probe = holder
    iam = probe("iam")
    own = "TourniquetInstanceResponder" if lab.account in organization.MEMBERS else "TourniquetResponder"
    if lab.account == organization.RESPONDER:
        own = None
    protected = [seed.service_linked_role(lab).name, seed.sso_role(lab).name, *([own] if own else [])]
    for name in protected:
        refused("AccessDenied", iam.put_role_policy, RoleName=name, PolicyName="x", PolicyDocument=ANY_POLICY)
    name = victim.role.name
    for operation, arguments in {
        "attach_role_policy": {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        "delete_role_policy": {"PolicyName": f"TourniquetDenySession-{victim.id}"},
        "update_assume_role_policy": {"PolicyDocument": ANY_POLICY},
        "delete_role": {},
    }.items():
        refused("AccessDenied", getattr(iam, operation), RoleName=name, **arguments)
    profile = victim.profile.rsplit("/", 1)[1]
    refused("AccessDenied", iam.remove_role_from_instance_profile, InstanceProfileName=profile, RoleName=name)
    refused("AccessDenied", iam.create_user, UserName=seed.unique("x"))
    refused("AccessDenied", iam.put_user_policy, UserName="x", PolicyName="x", PolicyDocument=ANY_POLICY)
    refused("AccessDenied", probe("sts").assume_role, RoleArn=victim.role.arn, RoleSessionName="next")


def test_groups_and_balancers_are_left_but_for_the_instance(holder, victim):
    _, probe = holder
    autoscaling, balancers = probe("autoscaling"), probe("elb")
    refused("AccessDenied", autoscaling.update_auto_scaling_group, AutoScalingGroupName="x", MaxSize=0)
    refused("AccessDenied", autoscaling.delete_auto_scaling_group, AutoScalingGroupName="x", ForceDelete=True)
    refused(
        "AccessDenied", autoscaling.terminate_instance_in_auto_scaling_group, InstanceId=victim.id,
        ShouldDecrementDesiredCapacity=True,
    )  # fmt: skip
    refused("AccessDenied", balancers.delete_load_balancer, LoadBalancerName="x")


def test_functions_own_role_is_not_written(scene, played, role):
    iam = scene.lab.client("iam", scene.lab.mint_session(role, PROBE))
    for name in (name_of(role), name_of(scene.role_arn)):
        refused("AccessDenied", iam.put_role_policy, RoleName=name, PolicyName="x", PolicyDocument=ANY_POLICY)


def test_neither_guardrails_nor_evidence_are_rewritten(scene, played, role):
    s3, admin, bucket = (scene.lab.client("s3", scene.lab.mint_session(role, PROBE)), scene.lab.client("s3"), scene.bucket)
    first = admin.list_objects_v2(Bucket=bucket, Prefix="cases/", MaxKeys=1)["Contents"][0]["Key"]
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key=first)
    for key in ("guardrails.toml", "other", "scope/x"):
        refused("AccessDenied", s3.put_object, Bucket=bucket, Key=key, Body=b"", ChecksumAlgorithm="SHA256")
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket, Prefix="scope/")


def test_cases_are_out_of_reach_from_a_member_account(scene, played):
    there = stage.member_instance_role_arn(organization.MEMBERS[0])
    session = scene.lab.mint_session(there, PROBE)
    refused("AccessDenied", scene.lab.client("s3", session).get_object, Bucket=scene.bucket, Key="guardrails.toml")


def test_listed_accounts_alone_are_entered_and_by_its_own_role(scene, role):
    """The role of the unlisted account trusts it just as well."""
    sts = scene.lab.client("sts", scene.lab.mint_session(role, PROBE))
    said = {"RoleSessionName": PROBE, "ExternalId": stage.EXTERNAL_ID}
    for account in organization.MEMBERS:
        sts.assume_role(RoleArn=stage.member_instance_role_arn(account), **said)
        refused("AccessDenied", sts.assume_role, RoleArn=stage.member_role_arn(account), **said)
    refused("AccessDenied", sts.assume_role, RoleArn=stage.member_instance_role_arn(organization.UNLISTED), **said)
