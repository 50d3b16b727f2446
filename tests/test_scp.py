"""The service control policy of `infra/scp`: what it covers no administrator undoes, and Tourniquet works on under it.

The lab has no organizations. The document stands on principals as a policy of their own, where its denies count as much.
"""

import json

import pytest
from lab import policies, seed, seed_instances
from lab.stage import ROOT
from lab_assertions import refused
from releasing import release
from test_contain_instance import snapshots_of

DOCUMENT = json.loads((ROOT / "infra/scp/tourniquet.json").read_bytes())
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


@pytest.fixture(scope="module")
def policy(scene):
    made = scene.lab.client("iam").create_policy(PolicyName=seed.unique("scp"), PolicyDocument=json.dumps(DOCUMENT))
    return made["Policy"]["Arn"]


@pytest.fixture(scope="module")
def administrator(scene, policy):
    user = seed.user(scene.lab, policy=policies.ADMINISTRATOR)
    scene.lab.client("iam").attach_user_policy(UserName=user.name, PolicyArn=policy)
    return user


@pytest.fixture(scope="module")
def isolated(scene):
    instance = seed_instances.instance(scene.lab)
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    return instance


def test_it_fits():
    """10,240 characters are what a service control policy may have, and were 5,120 for long."""
    assert len(json.dumps(DOCUMENT, separators=(",", ":"))) < 5120
    assert {statement["Effect"] for statement in DOCUMENT["Statement"]} == {"Deny"}


def test_an_administrator_opens_no_isolation_group(scene, administrator, isolated):
    ec2 = scene.lab.client("ec2", administrator.key)
    opening = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    (group,) = next(iter(seed_instances.groups_now(scene.lab, isolated).values()))
    refused("UnauthorizedOperation", ec2.authorize_security_group_egress, GroupId=group, IpPermissions=opening)
    refused("UnauthorizedOperation", ec2.delete_security_group, GroupId=group)
    (other, *_) = next(iter(isolated.groups.values()))
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=opening)


def test_an_administrator_takes_no_evidence_away(scene, administrator, isolated):
    ec2 = scene.lab.client("ec2", administrator.key)
    snapshot = snapshots_of(scene.lab, isolated)[0]["SnapshotId"]
    refused("UnauthorizedOperation", ec2.unlock_snapshot, SnapshotId=snapshot)
    refused("UnauthorizedOperation", ec2.delete_snapshot, SnapshotId=snapshot)
    refused("UnauthorizedOperation", ec2.delete_tags, Resources=[snapshot], Tags=[{"Key": "ir:incident"}])
    refused("UnauthorizedOperation", ec2.create_tags, Resources=[snapshot], Tags=[{"Key": "ir:incident", "Value": "none"}])
    refused("UnauthorizedOperation", ec2.delete_tags, Resources=[snapshot])
    ec2.create_tags(Resources=[snapshot], Tags=[{"Key": "seen", "Value": "yes"}])
    ec2.delete_tags(Resources=[snapshot], Tags=[{"Key": "seen"}])


def test_an_administrator_detaches_no_deny(scene, administrator):
    iam, user = scene.lab.client("iam"), seed.user(scene.lab)
    iam.attach_user_policy(UserName=user.name, PolicyArn=DENY_ALL)
    iam.attach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    theirs = scene.lab.client("iam", administrator.key)
    refused("AccessDenied", theirs.detach_user_policy, UserName=user.name, PolicyArn=DENY_ALL)
    theirs.detach_user_policy(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


def test_an_administrator_takes_nobody_out_of_the_deny_group(scene, administrator):
    iam, user = scene.lab.client("iam"), seed.user(scene.lab)
    iam.add_user_to_group(UserName=user.name, GroupName=scene.deny_group)
    theirs = scene.lab.client("iam", administrator.key)
    refused("AccessDenied", theirs.remove_user_from_group, UserName=user.name, GroupName=scene.deny_group)
    refused("AccessDenied", theirs.update_group, GroupName=scene.deny_group, NewPath="/")
    iam.remove_user_from_group(UserName=user.name, GroupName=scene.deny_group)


def test_an_administrator_borrows_no_role(scene, administrator):
    """Neither by a function of their own, nor by a schedule: passing a role is what both ask for."""
    passing = {"RoleArn": scene.deployment.arn("ScheduleRole"), "Arn": f"arn:aws:lambda:{scene.lab.region}:{scene.lab.account}:function:x"}
    theirs = scene.lab.client("scheduler", administrator.key)
    words = {"Name": seed.unique("theirs"), "ScheduleExpression": "at(2099-01-01T00:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    refused("AccessDeniedException", theirs.create_schedule, Target={**passing, "Input": "{}"}, **words)


def test_only_the_deployment_changes_the_roles(scene, administrator, policy):
    iam, theirs = scene.lab.client("iam"), scene.lab.client("iam", administrator.key)
    trust = json.dumps(policies.trust(account=scene.lab.account))
    refused("AccessDenied", theirs.create_role, RoleName="mine", Path="/tourniquet/", AssumeRolePolicyDocument=trust)
    name = scene.role_arn.rsplit("/", 1)[1]
    refused("AccessDenied", theirs.update_assume_role_policy, RoleName=name, PolicyDocument=trust)
    refused("AccessDenied", theirs.put_role_policy, RoleName=name, PolicyName="mine", PolicyDocument=json.dumps(policies.ADMINISTRATOR))
    deployment = seed.role(scene.lab, "DEPLOYMENT_ROLE", trust=json.loads(trust))
    iam.attach_role_policy(RoleName=deployment.name, PolicyArn=policy)
    refused("AccessDenied", theirs.update_assume_role_policy, RoleName=deployment.name, PolicyDocument=trust)
    deploys = scene.lab.client("iam", scene.lab.mint_session(deployment.arn, "cloudformation"))
    deploys.create_role(RoleName=seed.unique("ours"), Path="/tourniquet/", AssumeRolePolicyDocument=trust)


def test_tourniquet_works_on_under_it(scene, policy):
    """A user whose deny does not fit inline, and an instance: contained and released with the policy on every role."""
    lab, iam = scene.lab, scene.lab.client("iam")
    roles = [role["RoleName"] for role in iam.list_roles(PathPrefix="/tourniquet/")["Roles"]]
    for role in roles:
        iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    try:
        user, instance = seed.user(lab), seed_instances.instance(lab)
        no_room = scene.copy()
        lab.fault(no_room, at_call=1, kind="error", action="iam:PutUserPolicy", code="LimitExceeded", status=409)
        contained = scene.invoke(scene.accuse(user), no_room)
        lab.clear_faults()
        isolated = scene.fire(scene.accuse_instance(instance))
        released = [release(scene, one.result["case"]) for one in (contained, isolated)]
    finally:
        for role in roles:
            iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    assert (contained.result["outcome"], isolated.result["outcome"]) == ("contained", "contained")
    assert [one.result["release"] for one in released] == ["released", "released"]
    attached = iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"]
    assert DENY_ALL not in [one["PolicyArn"] for one in attached]
    assert seed_instances.groups_now(lab, instance) == instance.groups
