"""Permissions boundaries and groups: both are evaluated, and both can deny."""

import json

import pytest
from lab import policies, quotas, seed
from lab_assertions import put_policy, refused

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def session_of(lab, who):
    """A working credential: a user's key, or a session of a role."""
    return lab.mint_session(who.arn, "somebody") if isinstance(who, seed.Role) else who.key


@pytest.fixture(params=["user", "role"])
def who(request, lab):
    return getattr(seed, request.param)(lab)


def test_denying_everything_as_a_boundary(lab, who):
    s3 = lab.client("s3", session_of(lab, who))
    assert quotas.boundary_of(lab, who) is None
    s3.list_buckets()
    before = quotas.set_boundary(lab, who)
    s3.list_buckets()
    # Another boundary takes the place of the one before.
    quotas.set_boundary(lab, who, DENY_ALL)
    assert quotas.boundary_of(lab, who) == DENY_ALL
    refused("AccessDenied", s3.list_buckets)
    quotas.set_boundary(lab, who, before)
    assert quotas.boundary_of(lab, who) == before
    s3.list_buckets()


def test_what_a_boundary_does_not_allow_is_refused(lab, who):
    credentials = session_of(lab, who)
    quotas.set_boundary(lab, who, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    lab.client("s3", credentials).list_buckets()
    refused("AuthorizationError", lab.client("sns", credentials).list_topics)


def test_a_boundary_grants_nothing(lab):
    user = seed.user(lab, policy=None)
    quotas.set_boundary(lab, user)
    refused("AccessDenied", lab.client("s3", user.key).list_buckets)


def test_a_boundary_binds_the_sessions_of_a_user(lab):
    user = seed.user(lab)
    session = lab.session_token(user.key)
    lab.client("s3", session).list_buckets()
    quotas.set_boundary(lab, user, DENY_ALL)
    refused("AccessDenied", lab.client("s3", session).list_buckets)


def test_taking_a_boundary_away(lab, who):
    kind = quotas.kind_of(who)
    delete = getattr(lab.client("iam"), f"delete_{kind}_permissions_boundary")
    owner = {f"{kind.capitalize()}Name": who.name}
    refused("NoSuchEntity", delete, **owner)
    quotas.set_boundary(lab, who, DENY_ALL)
    delete(**owner)
    assert quotas.boundary_of(lab, who) is None
    lab.client("s3", session_of(lab, who)).list_buckets()


def test_a_boundary_is_a_policy_that_exists(lab, who):
    put = getattr(lab.client("iam"), f"put_{quotas.kind_of(who)}_permissions_boundary")
    owner = {f"{quotas.kind_of(who).capitalize()}Name": who.name}
    refused("NoSuchEntity", put, PermissionsBoundary="arn:aws:iam::aws:policy/AWSDenyNothing", **owner)


def test_aws_denies_all_with_one_statement(lab):
    iam = lab.client("iam")
    version = iam.get_policy(PolicyArn=DENY_ALL)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=DENY_ALL, VersionId=version)["PolicyVersion"]["Document"]
    (statement,) = document["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", ["*"], "*")
    assert "Condition" not in statement


def test_denying_everything_attached(lab, who):
    credentials, kind = session_of(lab, who), quotas.kind_of(who)
    owner = {f"{kind.capitalize()}Name": who.name}
    getattr(lab.client("iam"), f"attach_{kind}_policy")(PolicyArn=DENY_ALL, **owner)
    refused("AccessDenied", lab.client("s3", credentials).list_buckets)
    getattr(lab.client("iam"), f"detach_{kind}_policy")(PolicyArn=DENY_ALL, **owner)
    lab.client("s3", credentials).list_buckets()


# --- who may set them ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["user", "role"])
def test_only_the_boundary_that_was_granted(lab, kind):
    target = getattr(seed, kind)(lab)
    put = f"Put{kind.capitalize()}PermissionsBoundary"
    condition = {"ArnEquals": {"iam:PermissionsBoundary": DENY_ALL}}
    responder = seed.user(lab, policy=policies.document(policies.allow(f"iam:{put}", target.arn, **condition)))
    call = getattr(lab.client("iam", responder.key), f"put_{kind}_permissions_boundary")
    owner = {f"{kind.capitalize()}Name": target.name}
    refused("AccessDenied", call, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess", **owner)
    call(PermissionsBoundary=DENY_ALL, **owner)
    other = {f"{kind.capitalize()}Name": getattr(seed, kind)(lab).name}
    refused("AccessDenied", call, PermissionsBoundary=DENY_ALL, **other)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_a_boundary_of_the_target_can_be_asked_for(lab, kind):
    """The delegation pattern: change only those who are under a given boundary."""
    target = getattr(seed, kind)(lab)
    condition = {"ArnEquals": {"iam:PermissionsBoundary": DENY_ALL}}
    actions = [f"iam:Put{kind.capitalize()}Policy", f"iam:Delete{kind.capitalize()}PermissionsBoundary"]
    responder = seed.user(lab, policy=policies.document(policies.allow(actions, **condition)))
    iam = lab.client("iam", responder.key)
    owner = {f"{kind.capitalize()}Name": target.name}
    arguments = {"PolicyName": "x", "PolicyDocument": json.dumps(policies.DENY_ALL), **owner}
    refused("AccessDenied", getattr(iam, f"put_{kind}_policy"), **arguments)
    refused("AccessDenied", getattr(iam, f"delete_{kind}_permissions_boundary"), **owner)
    quotas.set_boundary(lab, target, DENY_ALL)
    getattr(iam, f"put_{kind}_policy")(**arguments)
    getattr(iam, f"delete_{kind}_permissions_boundary")(**owner)


@pytest.mark.parametrize("kind", ["user", "role", "group"])
def test_only_the_policy_that_was_granted_is_attached(lab, kind):
    condition = {"ArnEquals": {"iam:PolicyARN": DENY_ALL}}
    responder = seed.user(
        lab, policy=policies.document(policies.allow(f"iam:Attach{kind.capitalize()}Policy", **condition))
    )
    name = quotas.group(lab) if kind == "group" else getattr(seed, kind)(lab).name
    attach = getattr(lab.client("iam", responder.key), f"attach_{kind}_policy")
    owner = {f"{kind.capitalize()}Name": name}
    refused("AccessDenied", attach, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess", **owner)
    attach(PolicyArn=DENY_ALL, **owner)


# --- groups ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attached", [False, True])
def test_a_group_denies_its_members_and_their_sessions(lab, attached):
    user, bystander = seed.user(lab), seed.user(lab)
    session = lab.session_token(user.key)
    group = quotas.group(lab, policy=None if attached else policies.DENY_ALL)
    if attached:
        lab.client("iam").attach_group_policy(GroupName=group, PolicyArn=DENY_ALL)
    lab.client("s3", user.key).list_buckets()
    quotas.join(lab, user, group)
    refused("AccessDenied", lab.client("s3", user.key).list_buckets)
    refused("AccessDenied", lab.client("s3", session).list_buckets)
    lab.client("s3", bystander.key).list_buckets()
    lab.client("iam").remove_user_from_group(GroupName=group, UserName=user.name)
    lab.client("s3", user.key).list_buckets()


def test_a_group_grants(lab):
    user = seed.user(lab, policy=None)
    refused("AccessDenied", lab.client("s3", user.key).list_buckets)
    quotas.join(lab, user, quotas.group(lab, policy=policies.document(policies.allow("s3:ListAllMyBuckets"))))
    lab.client("s3", user.key).list_buckets()


def test_groups_have_ids_of_their_kind_and_members(lab):
    user, group = seed.user(lab, keys=0), quotas.group(lab)
    quotas.join(lab, user, group)
    found = lab.client("iam").get_group(GroupName=group)
    assert found["Group"]["GroupId"].startswith("AGPA")
    assert [member["UserName"] for member in found["Users"]] == [user.name]


# --- on which ARN ----------------------------------------------------------------------------------


def judged_on(lab, operation, **arguments):
    """The action and the resource a call was judged on, for a caller who may do nothing."""
    nobody = seed.user(lab, policy=None)
    mark = lab.mark()
    refused("AccessDenied", getattr(lab.client("iam", nobody.key), operation), **arguments)
    return [(call["action"], call["resource"]) for call in lab.calls(mark, access_key=nobody.key["AccessKeyId"])]


def test_calls_about_a_user_are_judged_on_the_user(lab):
    user = seed.user(lab, path="/ci/", keys=0)
    name, serial = {"UserName": user.name}, {"SerialNumber": "arn:aws:iam::111122223333:mfa/x"}
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    for operation, arguments in {
        "list_groups_for_user": name,
        "list_attached_user_policies": name,
        "list_mfa_devices": name,
        "deactivate_mfa_device": name | serial,
        "enable_mfa_device": name | serial | codes,
        "put_user_permissions_boundary": name | {"PermissionsBoundary": DENY_ALL},
        "delete_user_permissions_boundary": name,
        "attach_user_policy": name | {"PolicyArn": DENY_ALL},
        "detach_user_policy": name | {"PolicyArn": DENY_ALL},
        "delete_login_profile": name,
        "get_login_profile": name,
        "list_user_policies": name,
        "list_ssh_public_keys": name,
        "list_signing_certificates": name,
        "list_service_specific_credentials": name,
    }.items():
        ((action, resource),) = judged_on(lab, operation, **arguments)
        assert (action.lower(), resource) == (operation.replace("_", ""), user.arn)


def test_calls_about_a_role_are_judged_on_the_role(lab):
    role = seed.role(lab, path="/apps/")
    name = {"RoleName": role.name}
    for operation, arguments in {
        "put_role_permissions_boundary": name | {"PermissionsBoundary": DENY_ALL},
        "delete_role_permissions_boundary": name,
        "attach_role_policy": name | {"PolicyArn": DENY_ALL},
        "detach_role_policy": name | {"PolicyArn": DENY_ALL},
        "list_attached_role_policies": name,
        "list_role_policies": name,
        "list_instance_profiles_for_role": name,
    }.items():
        ((_, resource),) = judged_on(lab, operation, **arguments)
        assert resource == role.arn, operation


def test_calls_about_groups_policies_and_devices_are_judged_on_them(lab):
    user, group = seed.user(lab, keys=0), quotas.group(lab)
    prefix, member = f"arn:aws:iam::{lab.account}", {"GroupName": group, "UserName": user.name}
    group_arn = f"{prefix}:group/{group}"
    for operation, arguments, resource in (
        ("add_user_to_group", member, group_arn),
        ("remove_user_from_group", member, group_arn),
        ("get_group", {"GroupName": group}, group_arn),
        ("list_attached_group_policies", {"GroupName": group}, group_arn),
        ("attach_group_policy", {"GroupName": group, "PolicyArn": DENY_ALL}, group_arn),
        ("get_policy", {"PolicyArn": DENY_ALL}, DENY_ALL),
        ("get_policy_version", {"PolicyArn": DENY_ALL, "VersionId": "v1"}, DENY_ALL),
        ("list_entities_for_policy", {"PolicyArn": DENY_ALL}, DENY_ALL),
        ("create_virtual_mfa_device", {"VirtualMFADeviceName": "d"}, f"{prefix}:mfa/d"),
        ("delete_virtual_mfa_device", {"SerialNumber": f"{prefix}:mfa/d"}, f"{prefix}:mfa/d"),
    ):
        ((_, judged),) = judged_on(lab, operation, **arguments)
        assert judged == resource, operation


def test_joining_a_group_needs_a_grant_on_the_group_alone(lab):
    user, group = seed.user(lab, keys=0), quotas.group(lab, policy=policies.DENY_ALL)
    arn = f"arn:aws:iam::{lab.account}:group/{group}"
    responder = seed.user(lab, policy=policies.document(policies.allow("iam:AddUserToGroup", arn)))
    join = lab.client("iam", responder.key).add_user_to_group
    refused("AccessDenied", join, GroupName=quotas.group(lab), UserName=user.name)
    join(GroupName=group, UserName=user.name)


def test_a_deny_of_the_user_beats_the_boundary_of_everything(lab):
    user = seed.user(lab)
    quotas.set_boundary(lab, user)
    put_policy(lab, user, "deny", policies.DENY_ALL)
    refused("AccessDenied", lab.client("s3", user.key).list_buckets)
