"""What `infra/member.yaml` lets the responder do in a member account, and whom it lets in: deployed to the lab."""

import json

import pytest
from lab import organization, policies, seed, stage
from lab.client import Lab
from lab.template import load
from lab_assertions import refused

MEMBER, OUTSIDE = organization.MEMBERS[0], "999900001111"
MANAGED = "arn:aws:iam::aws:policy/"


@pytest.fixture(scope="module")
def lab():
    with Lab() as running:
        yield running


def may_enter(lab, name, account, into=stage.member_role_arn):
    """A role that may assume Tourniquet's role in an account, as the function's may."""
    policy = policies.document(policies.allow("sts:AssumeRole", into(account)))
    return seed.role(lab, name, "/tourniquet/", policies.trust(service="lambda.amazonaws.com"), policy)


@pytest.fixture(scope="module")
def responder(lab):
    return may_enter(lab, "function-role", MEMBER)


@pytest.fixture(scope="module")
def instance_responder(lab):
    return may_enter(lab, "instance-function-role", MEMBER, stage.member_instance_role_arn)


@pytest.fixture(scope="module")
def deployed(lab, responder, instance_responder):
    return stage.deploy_member(lab, responder.arn, MEMBER, instance_role_arn=instance_responder.arn)


@pytest.fixture(scope="module")
def member(lab):
    return lab.in_account(MEMBER)


def entering(lab, role, account=MEMBER, external_id=stage.EXTERNAL_ID, into=stage.member_role_arn):
    """The arguments of an AssumeRole by a session of a role; external_id None says nothing."""
    said = {"ExternalId": external_id} if external_id is not None else {}
    caller = lab.mint_session(role.arn, "contain-identity")
    return {"RoleArn": into(account), "RoleSessionName": "contain-identity", **said}, caller


def enters(lab, *arguments, **keywords):
    request, caller = entering(lab, *arguments, **keywords)
    return lab.client("sts", caller).assume_role(**request)["Credentials"]


def may_not_enter(lab, *arguments, **keywords):
    request, caller = entering(lab, *arguments, **keywords)
    refused("AccessDenied", lab.client("sts", caller).assume_role, **request)


# --- who is let in ----------------------------------------------------------------------------------------


def test_function_enters_and_acts_in_the_member_account(lab, responder, deployed, member):
    user = seed.user(member)
    mark = lab.mark()
    session = enters(lab, responder)
    lab.client("iam", session).get_user(UserName=user.name)
    assumed, read = lab.calls(mark, decision="allow")
    assert (assumed["action"], assumed["account"], assumed["role"]) == ("AssumeRole", lab.account, responder.arn)
    role = deployed.outputs["ResponderRoleArn"]
    assert (read["action"], read["account"], read["role"]) == ("GetUser", MEMBER, role)
    assert read["resource"] == user.arn


@pytest.mark.parametrize("external_id", [None, "another-id", stage.EXTERNAL_ID.upper()])
def test_external_id_has_to_be_the_agreed_one(lab, responder, deployed, external_id):
    may_not_enter(lab, responder, external_id=external_id)


def test_no_other_role_is_let_in(lab, deployed):
    """Its own policies allow it; the member's trust does not."""
    may_not_enter(lab, may_enter(lab, seed.unique("other"), MEMBER))


def test_role_without_the_permission_stays_out(lab, responder, deployed):
    """The trust names the role: across accounts that is not enough, as it would be within one."""
    iam = lab.client("iam")
    policy = iam.get_role_policy(RoleName=responder.name, PolicyName="permissions")["PolicyDocument"]
    iam.delete_role_policy(RoleName=responder.name, PolicyName="permissions")
    try:
        may_not_enter(lab, responder)
    finally:
        iam.put_role_policy(RoleName=responder.name, PolicyName="permissions", PolicyDocument=json.dumps(policy))
    enters(lab, responder)


def test_neither_function_enters_by_the_other_s_role(lab, responder, instance_responder, deployed):
    """Not even where its own policies were to allow it."""
    enters(lab, instance_responder, into=stage.member_instance_role_arn)
    may_not_enter(lab, instance_responder)
    may_not_enter(lab, responder, into=stage.member_instance_role_arn)
    for role in (responder, instance_responder):
        both = [stage.member_role_arn(MEMBER), stage.member_instance_role_arn(MEMBER)]
        document = json.dumps(policies.document(policies.allow("sts:AssumeRole", both)))
        lab.client("iam").put_role_policy(RoleName=role.name, PolicyName="both", PolicyDocument=document)
    try:
        may_not_enter(lab, instance_responder)
        may_not_enter(lab, responder, into=stage.member_instance_role_arn)
    finally:
        for role in (responder, instance_responder):
            lab.client("iam").delete_role_policy(RoleName=role.name, PolicyName="both")


@pytest.mark.parametrize("external_id", [None, "another-id"])
def test_instance_role_asks_for_the_external_id_too(lab, instance_responder, deployed, external_id):
    may_not_enter(lab, instance_responder, external_id=external_id, into=stage.member_instance_role_arn)


@pytest.mark.parametrize(
    ("caller_in", "into", "wanted", "outcome"),
    [
        (organization.UNLISTED, "880000000001", organization.ID, enters),
        (organization.UNLISTED, "880000000002", "o-an0therone", may_not_enter),
        (OUTSIDE, "880000000003", organization.ID, may_not_enter),
    ],
)
def test_caller_has_to_belong_to_the_organization(lab, caller_in, into, wanted, outcome):
    """The trust names the caller and the ExternalId is right: the organization alone decides."""
    caller = may_enter(lab.in_account(caller_in), seed.unique("caller"), into)
    stage.deploy_member(lab, caller.arn, into, wanted)
    outcome(lab, caller, into)


def test_role_made_again_is_not_the_one_that_was_trusted(lab):
    into, name = organization.MEMBERS[1], seed.unique("function-role")
    first = may_enter(lab, name, into)
    stage.deploy_member(lab, first.arn, into)
    enters(lab, first, into)
    iam = lab.client("iam")
    iam.delete_role_policy(RoleName=name, PolicyName="permissions")
    iam.delete_role(RoleName=name)
    again = may_enter(lab, name, into)
    assert again.arn == first.arn and again.id != first.id
    may_not_enter(lab, again, into)
    # Saving the trust policy once more trusts the new role: what updating the stack does.
    theirs = lab.in_account(into).client("iam")
    document = theirs.get_role(RoleName="TourniquetResponder")["Role"]["AssumeRolePolicyDocument"]
    theirs.update_assume_role_policy(RoleName="TourniquetResponder", PolicyDocument=json.dumps(document))
    enters(lab, again, into)


# --- what it may do there -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inside(lab, responder, deployed):
    """The member role's own credentials."""
    session = enters(lab, responder)
    return lambda service: lab.client(service, session)


def test_rungs_of_the_ladder_are_open(lab, member, inside):
    iam, user = inside("iam"), seed.user(member)
    role = seed.role(member, trust=policies.trust(account=MEMBER))
    iam.put_user_policy(UserName=user.name, PolicyName="x", PolicyDocument=json.dumps(policies.DENY_ALL))
    iam.attach_user_policy(UserName=user.name, PolicyArn=MANAGED + "AWSCompromisedKeyQuarantineV2")
    iam.attach_user_policy(UserName=user.name, PolicyArn=MANAGED + "AWSDenyAll")
    iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=MANAGED + "AWSDenyAll")
    iam.put_role_policy(RoleName=role.name, PolicyName="x", PolicyDocument=json.dumps(policies.DENY_ALL))
    iam.attach_role_policy(RoleName=role.name, PolicyArn=MANAGED + "AWSDenyAll")
    iam.put_role_permissions_boundary(RoleName=role.name, PermissionsBoundary=MANAGED + "AWSDenyAll")
    assert iam.list_attached_role_policies(RoleName=role.name)["AttachedPolicies"]


def test_deny_group_denies(lab, member, inside, deployed):
    """A key that worked is refused everything as soon as its user is in the group."""
    iam, user = inside("iam"), seed.user(member)
    attacker = lab.client("iam", user.key)
    attacker.list_users()
    iam.add_user_to_group(UserName=user.name, GroupName=deployed.outputs["DenyGroupName"])
    refused("AccessDenied", attacker.list_users)
    refused("AccessDenied", lab.client("s3", user.key).list_buckets)
    (group,) = iam.list_groups_for_user(UserName=user.name)["Groups"]
    assert (group["GroupName"], group["Path"]) == ("TourniquetDenied", "/tourniquet/")


def test_what_would_give_rights_is_refused(member, inside):
    iam, user = inside("iam"), seed.user(member)
    role = seed.role(member, trust=policies.trust(account=MEMBER))
    admins = seed.unique("admins")
    member.client("iam").create_group(GroupName=admins)
    for name in ("AdministratorAccess", "ReadOnlyAccess"):
        refused("AccessDenied", iam.attach_user_policy, UserName=user.name, PolicyArn=MANAGED + name)
        refused("AccessDenied", iam.attach_role_policy, RoleName=role.name, PolicyArn=MANAGED + name)
        boundary = {"PermissionsBoundary": MANAGED + name}
        refused("AccessDenied", iam.put_user_permissions_boundary, UserName=user.name, **boundary)
        refused("AccessDenied", iam.put_role_permissions_boundary, RoleName=role.name, **boundary)
    refused("AccessDenied", iam.add_user_to_group, UserName=user.name, GroupName=admins)
    refused("AccessDenied", iam.create_access_key, UserName=user.name)
    refused("AccessDenied", iam.delete_user_policy, UserName=user.name, PolicyName="permissions")


@pytest.mark.parametrize("role", ["its own", "service-linked", "Identity Center"])
def test_protected_roles_are_not_written(member, inside, role):
    made = {"service-linked": seed.service_linked_role, "Identity Center": seed.sso_role}
    name = made[role](member).name if role in made else "TourniquetResponder"
    iam, document = inside("iam"), json.dumps(policies.DENY_ALL)
    refused("AccessDenied", iam.put_role_policy, RoleName=name, PolicyName="x", PolicyDocument=document)
    refused("AccessDenied", iam.attach_role_policy, RoleName=name, PolicyArn=MANAGED + "AWSDenyAll")
    refused(
        "AccessDenied", iam.put_role_permissions_boundary, RoleName=name, PermissionsBoundary=MANAGED + "AWSDenyAll"
    )
    refused("AccessDenied", iam.update_assume_role_policy, RoleName=name, PolicyDocument=document)


def test_finding_is_read_in_its_own_account(lab, inside):
    """The detector is the member's; the responder account has no such detector, and no such finding."""
    detail = json.loads(stage.load("leaked-access-key").replace(lab.account, MEMBER))["detail"]
    lab.seed_finding(detail)
    asked = {"DetectorId": detail["service"]["detectorId"], "FindingIds": [detail["id"]]}
    (found,) = inside("guardduty").get_findings(**asked)["Findings"]
    assert found["AccountId"] == MEMBER
    refused("BadRequestException", lab.client("guardduty").get_findings, **asked)


def test_cases_alerts_and_security_hub_are_out_of_reach(inside):
    refused("AccessDenied", inside("s3").list_buckets)
    refused("AuthorizationError", inside("sns").list_topics)
    refused("AccessDeniedException", inside("securityhub").get_findings)


@pytest.fixture(scope="module")
def inside_for_instances(lab, instance_responder, deployed):
    """The other member role's own credentials."""
    session = enters(lab, instance_responder, into=stage.member_instance_role_arn)
    return lambda service: lab.client(service, session)


def test_each_role_is_for_its_own_sort_of_target(member, inside, inside_for_instances):
    user = seed.user(member)
    document = json.dumps(policies.DENY_ALL)
    put = {"UserName": user.name, "PolicyName": "x", "PolicyDocument": document}
    inside("iam").put_user_policy(**put)
    refused("AccessDenied", inside_for_instances("iam").put_user_policy, **put)
    refused("AccessDenied", inside_for_instances("iam").get_user, UserName=user.name)
    inside_for_instances("ec2").describe_instances()
    refused("UnauthorizedOperation", inside("ec2").describe_instances)


@pytest.mark.parametrize("role", ["its own", "service-linked", "Identity Center"])
def test_instance_role_writes_a_deny_on_no_protected_role(member, inside_for_instances, role):
    made = {"service-linked": seed.service_linked_role, "Identity Center": seed.sso_role}
    name = made[role](member).name if role in made else "TourniquetInstanceResponder"
    iam, document = inside_for_instances("iam"), json.dumps(policies.DENY_ALL)
    refused("AccessDenied", iam.put_role_policy, RoleName=name, PolicyName="x", PolicyDocument=document)
    iam.put_role_policy(RoleName=seed.role(member).name, PolicyName="x", PolicyDocument=document)


# --- the file ----------------------------------------------------------------------------------------------------


def test_a_service_managed_stackset_takes_it():
    """Macros are refused there, and nothing but IAM can be global."""
    template = load(stage.MEMBER_TEMPLATE)
    assert "Transform" not in template
    assert {r["Type"] for r in template["Resources"].values()} == {"AWS::IAM::Role", "AWS::IAM::Group"}
    optional = {name for name, parameter in template["Parameters"].items() if "Default" in parameter}
    assert optional == {"ForensicsAccountId"}


def test_events_are_forwarded_in_every_region_and_to_one_bus():
    """Nothing has a fixed name, so that a StackSet can deploy it to several Regions; the pattern is the responder's own."""
    template = load(stage.MEMBER_EVENTS_TEMPLATE)
    assert "Transform" not in template
    made = template["Resources"]
    assert not [r for r in made.values() if {"RoleName", "Name", "QueueName"} & set(r["Properties"])]
    here = load(stage.TEMPLATE)["Resources"]
    rule = made["SnapshotReady"]["Properties"]
    assert rule["EventPattern"] == here["SnapshotReady"]["Properties"]["EventPattern"]
    waiting = here["MemberSnapshotReady"]["Properties"]["EventPattern"]
    assert {**waiting, "account": ""} == {**rule["EventPattern"], "account": ""}
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": "ResponderBusArn"}
    assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["UndeliveredQueue", "Arn"]}
    (statement,) = made["SnapshotReadyRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("events:PutEvents", {"Ref": "ResponderBusArn"})
