"""IAM evaluation: conditions, resources, boundaries, groups, managed policies, trust."""

import json

import pytest
from lab import policies, seed
from lab.plugin.policy import PolicySet, evaluate
from lab_assertions import put_policy, put_role_policy, refused

QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


def decide(document, action="s3:GetObject", resource="arn:aws:s3:::b/k", boundary=None, **context):
    layers = PolicySet((json.dumps(document),), (json.dumps(boundary),) if boundary else None)
    context = {name.replace("__", ":").lower(): value for name, value in context.items()}
    return evaluate(layers, action, resource, context).allowed


def conditional(operator, key, value, effect="Allow"):
    statement = {"Effect": effect, "Action": "*", "Resource": "*", "Condition": {operator: {key: value}}}
    return policies.document(*([policies.allow("*")] if effect == "Deny" else []), statement)


CONDITIONS = [
    # operator, wanted, value in the request (None: absent), does an Allow with it hold?
    ("StringEquals", "a", "a", True),
    ("StringEquals", ["a", "b"], "b", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", "a", None, False),
    ("StringEqualsIfExists", "a", None, True),
    ("StringEqualsIfExists", "a", "b", False),
    ("StringNotEquals", "a", None, True),
    ("StringNotEquals", ["a", "b"], "b", False),
    ("StringNotEquals", ["a", "b"], "c", True),
    ("StringEqualsIgnoreCase", "a", "A", True),
    ("StringLike", "AROA*:i-*", "AROAX:i-01", True),
    ("StringLike", "a?c", "abc", True),
    ("StringLike", "a?c", "ac", False),
    ("StringNotLike", "a*", "abc", False),
    ("ArnLike", "arn:aws:iam::*:role/x*", "arn:aws:iam::1:role/xy", True),
    ("ArnEquals", "arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x", True),
    ("ArnLike", "arn:aws:*:role/x", "arn:aws:iam::1:role/x", False),
    ("ArnNotLike", "arn:aws:iam::1:role/x", "arn:aws:iam::1:role/y", True),
    ("NumericLessThan", "10", "9", True),
    ("NumericLessThan", "10", "10", False),
    ("NumericGreaterThanEquals", 10, "10", True),
    ("DateLessThan", "2026-11-21T20:00:00Z", "2026-11-21T19:59:59Z", True),
    ("DateLessThan", "2026-11-21T20:00:00Z", "2026-11-21T20:00:00Z", False),
    ("DateLessThan", "2026-11-21T20:00:00Z", None, False),
    ("DateLessThanIfExists", "2026-11-21T20:00:00Z", None, True),
    ("Bool", "false", "false", True),
    ("Bool", False, "false", True),
    ("Bool", "false", None, False),
    ("BoolIfExists", "false", None, True),
    ("Null", "true", None, True),
    ("Null", "true", "x", False),
    ("Null", "false", "x", True),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
    ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", ["a"], ["a", "b"], False),
    ("ForAllValues:StringEquals", ["a"], None, True),
    ("ForAnyValue:StringEquals", ["a"], ["a", "b"], True),
    ("ForAnyValue:StringEquals", ["a"], None, False),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
]


@pytest.mark.parametrize("operator, wanted, value, holds", CONDITIONS)
def test_condition_operators(operator, wanted, value, holds):
    context = {} if value is None else {"lab__key": value}
    assert decide(conditional(operator, "lab:Key", wanted), **context) is holds
    assert decide(conditional(operator, "LAB:key", wanted, "Deny"), **context) is not holds


def test_explicit_deny_beats_every_allow():
    assert not decide(policies.document(policies.allow("*"), policies.deny("s3:Get*")))


def test_nothing_is_allowed_by_default():
    assert not decide(policies.document(policies.allow("s3:PutObject")))


def test_actions_ignore_case_and_take_wildcards():
    assert decide(policies.document(policies.allow("S3:getobj?ct")))
    assert not decide(policies.document(policies.allow("s3:GetObject?")))


def test_not_action_and_not_resource():
    not_action = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    assert decide(policies.document(not_action))
    assert not decide(policies.document(not_action), action="iam:ListUsers")
    not_resource = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}
    assert not decide(policies.document(not_resource))
    assert decide(policies.document(not_resource), resource="arn:aws:s3:::c/k")


def test_policy_variables_stand_for_the_caller_and_never_for_a_wildcard():
    own = policies.document(policies.allow("s3:GetObject", "arn:aws:s3:::b/${aws:username}/*"))
    assert decide(own, resource="arn:aws:s3:::b/ann/x", aws__username="ann")
    assert not decide(own, resource="arn:aws:s3:::b/bob/x", aws__username="ann")
    assert not decide(own, resource="arn:aws:s3:::b/bob/x", aws__username="*")
    assert not decide(own, resource="arn:aws:s3:::b//x")


def test_boundary_caps_what_the_identity_allows():
    boundary = policies.document(policies.allow("sns:*"))
    assert not decide(policies.ADMINISTRATOR, boundary=boundary)
    assert decide(policies.ADMINISTRATOR, action="sns:Publish", boundary=boundary)
    assert not decide(policies.document(policies.allow("s3:*")), action="sns:Publish", boundary=boundary)


def test_user_boundary_takes_effect_and_goes_away(lab):
    iam, victim = lab.client("iam"), seed.user(lab)
    document = json.dumps(policies.document(policies.allow("sns:*")))
    arn = iam.create_policy(PolicyName=seed.unique("boundary"), PolicyDocument=document)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=victim.name, PermissionsBoundary=arn)
    assert iam.get_user(UserName=victim.name)["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    refused("AccessDenied", lab.client("s3", victim.key).list_buckets)
    lab.client("sns", victim.key).list_topics()
    iam.delete_user_permissions_boundary(UserName=victim.name)
    lab.client("s3", victim.key).list_buckets()
    refused("NoSuchEntity", iam.delete_user_permissions_boundary, UserName=victim.name)


def test_role_boundary_caps_its_sessions(lab):
    role = seed.role(lab)
    _, session = seed.instance_session(lab, role)
    lab.client("s3", session).list_buckets()
    lab.client("iam").put_role_permissions_boundary(
        RoleName=role.name, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonSNSReadOnlyAccess"
    )
    refused("AccessDenied", lab.client("s3", session).list_buckets)
    lab.client("sns", session).list_topics()


def test_group_policies_count(lab):
    iam, victim, group = lab.client("iam"), seed.user(lab, policy=None), seed.unique("group")
    refused("AccessDenied", lab.client("s3", victim.key).list_buckets)
    iam.create_group(GroupName=group)
    document = json.dumps(policies.document(policies.allow("s3:ListAllMyBuckets")))
    iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=document)
    iam.add_user_to_group(GroupName=group, UserName=victim.name)
    lab.client("s3", victim.key).list_buckets()


def test_quarantine_v3_stops_fraud_and_leaves_much_else(lab):
    victim = seed.user(lab)
    lab.client("iam").attach_user_policy(UserName=victim.name, PolicyArn=QUARANTINE)
    refused("AccessDenied", lab.client("iam", victim.key).create_user, UserName=seed.unique("x"))
    refused(
        "UnauthorizedOperation", lab.client("ec2", victim.key).run_instances, ImageId="ami-1", MinCount=1, MaxCount=1
    )
    lab.client("sns", victim.key).list_topics()


def test_aws_deny_all_denies_all_but_the_callers_own_name(lab):
    victim = seed.user(lab)
    lab.client("iam").attach_user_policy(UserName=victim.name, PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    for service, operation, code in [
        ("iam", "list_users", "AccessDenied"),
        ("s3", "list_buckets", "AccessDenied"),
        ("sns", "list_topics", "AuthorizationError"),
        ("ec2", "describe_regions", "UnauthorizedOperation"),
        ("kms", "list_keys", "AccessDeniedException"),
        ("securityhub", "get_findings", "AccessDeniedException"),
    ]:
        refused(code, getattr(lab.client(service, victim.key), operation))
    lab.client("sts", victim.key).get_caller_identity()


def test_resources_are_compared_with_the_real_arn_path_included(lab):
    inside = seed.user(lab, path="/team/", keys=0)
    outside = seed.user(lab, keys=0)
    arn = f"arn:aws:iam::{lab.account}:user/team/*"
    helper = seed.user(lab, policy=policies.document(policies.allow("iam:GetUser", arn)))
    iam = lab.client("iam", helper.key)
    assert iam.get_user(UserName=inside.name)["User"]["UserId"] == inside.id
    refused("AccessDenied", iam.get_user, UserName=outside.name)
    refused("AccessDenied", iam.get_user)


def test_attaching_is_limited_by_the_policy_arn(lab):
    victim = seed.user(lab, keys=0)
    condition = {"ArnLike": {"iam:PolicyARN": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine*"}}
    helper = seed.user(lab, policy=policies.document(policies.allow("iam:AttachUserPolicy", **condition)))
    iam = lab.client("iam", helper.key)
    iam.attach_user_policy(UserName=victim.name, PolicyArn=QUARANTINE)
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    refused("AccessDenied", iam.attach_user_policy, UserName=victim.name, PolicyArn=admin)


def test_requested_region_and_source_address(lab):
    here = policies.document(
        policies.allow("sns:*", StringEquals={"aws:RequestedRegion": "eu-west-1"}),
        policies.allow("s3:*", IpAddress={"aws:SourceIp": "192.0.2.0/24"}),
    )
    victim = seed.user(lab, policy=here)
    lab.client("sns", victim.key).list_topics()
    refused("AuthorizationError", lab.client("sns", victim.key, region="us-east-1").list_topics)
    refused("AccessDenied", lab.client("s3", victim.key).list_buckets)


def test_principal_arn_of_a_session_is_the_roles(lab):
    role = seed.role(lab, path="/apps/")
    session = lab.mint_session(role.arn, "somebody")
    deny = policies.deny(ArnEquals={"aws:PrincipalArn": role.arn})
    put_role_policy(lab, role, "deny", policies.document(deny))
    refused("AccessDenied", lab.client("s3", session).list_buckets)


class TestAssumeRole:
    def test_account_trust_delegates_to_the_callers_own_policies(self, lab):
        role = seed.role(lab)
        allowed = seed.user(lab, policy=policies.document(policies.allow("sts:AssumeRole", role.arn)))
        unable = seed.user(lab, policy=None)
        session = lab.assume_role(allowed.key, role.arn, "work")
        identity = lab.client("sts", session).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{lab.account}:assumed-role/{role.name}/work"
        assert identity["UserId"] == f"{role.id}:work"
        refused("AccessDenied", lab.assume_role, unable.key, role.arn, "work")

    def test_trust_that_names_the_caller_is_enough(self, lab):
        caller = seed.user(lab, policy=None)
        role = seed.role(lab, trust=policies.trust(principals=[caller.arn]))
        other = seed.user(lab)
        assert lab.assume_role(caller.key, role.arn, "work")
        refused("AccessDenied", lab.assume_role, other.key, role.arn, "work")

    def test_trust_for_a_service_admits_no_user(self, lab):
        role, caller = seed.role(lab, trust=policies.trust(service="lambda.amazonaws.com")), seed.user(lab)
        refused("AccessDenied", lab.assume_role, caller.key, role.arn, "work")

    def test_deny_in_the_trust_policy_wins(self, lab):
        caller, other = seed.user(lab), seed.user(lab)
        trust = policies.trust(account=lab.account)
        trust["Statement"] += policies.trust(principals=[caller.arn], effect="Deny")["Statement"]
        role = seed.role(lab, trust=trust)
        refused("AccessDenied", lab.assume_role, caller.key, role.arn, "work")
        assert lab.assume_role(other.key, role.arn, "work")

    def test_external_id(self, lab):
        condition = {"StringEquals": {"sts:ExternalId": "s3cret"}}
        role, caller = seed.role(lab, trust=policies.trust(account=lab.account, **condition)), seed.user(lab)
        refused("AccessDenied", lab.assume_role, caller.key, role.arn, "work")
        refused("AccessDenied", lab.assume_role, caller.key, role.arn, "work", ExternalId="other")
        assert lab.assume_role(caller.key, role.arn, "work", ExternalId="s3cret")

    def test_session_policy_narrows(self, lab):
        role, caller = seed.role(lab), seed.user(lab)
        only = json.dumps(policies.document(policies.allow("sns:*")))
        session = lab.assume_role(caller.key, role.arn, "narrow", Policy=only)
        lab.client("sns", session).list_topics()
        refused("AccessDenied", lab.client("s3", session).list_buckets)

    def test_role_that_does_not_exist(self, lab):
        missing = f"arn:aws:iam::{lab.account}:role/nobody"
        refused("AccessDenied", lab.assume_role, seed.user(lab).key, missing, "work")


def test_a_policy_change_is_effective_at_the_next_call(lab):
    victim = seed.user(lab, policy=None)
    refused("AccessDenied", lab.client("s3", victim.key).list_buckets)
    put_policy(lab, victim, "p", policies.ADMINISTRATOR)
    lab.client("s3", victim.key).list_buckets()
