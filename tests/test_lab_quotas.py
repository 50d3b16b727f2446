"""IAM's quotas, to the character: what is full refuses, what is replaced or there already does not count twice."""

import json

import pytest
from lab import policies, quotas, seed
from lab_assertions import refused

DENY_ALL_ATTACHED = "arn:aws:iam::aws:policy/AWSDenyAll"


def sized(size, spaces=0):
    """A policy document of so many characters, and so many spaces that do not count."""
    document = json.dumps(policies.document(policies.allow("s3:GetObject", "arn:aws:s3:::a")), separators=(",", ":"))
    return " " * spaces + document.replace(":::a", ":::a" + "b" * (size - len(document)))


def owner_of(lab, kind):
    """A fresh user, role or group without policies: the arguments that name it."""
    if kind == "group":
        return {"GroupName": quotas.group(lab)}
    if kind == "role":
        return {"RoleName": seed.role(lab, policy=None).name}
    return {"UserName": seed.user(lab, policy=None, keys=0).name}


@pytest.mark.parametrize(("kind", "quota"), [("user", 2048), ("role", 10240), ("group", 5120)])
def test_inline_policies_fill_their_quota_to_the_character(lab, kind, quota):
    owner = owner_of(lab, kind)
    put = getattr(lab.client("iam"), f"put_{kind}_policy")
    put(PolicyName="one", PolicyDocument=sized(quota - 200, spaces=500), **owner)
    error = refused("LimitExceeded", put, PolicyName="two", PolicyDocument=sized(201), **owner)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    (name,) = owner.values()
    message = f"Maximum policy size of {quota} bytes exceeded for {kind} {name}"
    assert error.response["Error"]["Message"] == message
    put(PolicyName="two", PolicyDocument=sized(200, spaces=100), **owner)
    # Replacing a policy counts its new size and not its old one.
    put(PolicyName="one", PolicyDocument=sized(quota - 200), **owner)
    refused("LimitExceeded", put, PolicyName="one", PolicyDocument=sized(quota - 199), **owner)
    assert getattr(lab.client("iam"), f"list_{kind}_policies")(**owner)["PolicyNames"] == ["one", "two"]


@pytest.mark.parametrize("kind", ["user", "role", "group"])
def test_ten_managed_policies_and_no_more(lab, kind):
    owner, iam = owner_of(lab, kind), lab.client("iam")
    attach = getattr(iam, f"attach_{kind}_policy")
    arns = [quotas.managed_policy(lab, policies.ADMINISTRATOR) for _ in range(10)]
    for arn in arns:
        attach(PolicyArn=arn, **owner)
    error = refused("LimitExceeded", attach, PolicyArn=DENY_ALL_ATTACHED, **owner)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert error.response["Error"]["Message"] == f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: 10"
    attach(PolicyArn=arns[3], **owner)
    getattr(iam, f"detach_{kind}_policy")(PolicyArn=arns[0], **owner)
    attach(PolicyArn=DENY_ALL_ATTACHED, **owner)


def test_ten_groups_and_no_more(lab):
    iam, user = lab.client("iam"), seed.user(lab, keys=0)
    quotas.fill_groups(lab, user)
    joined = [g["GroupName"] for g in iam.list_groups_for_user(UserName=user.name)["Groups"]]
    assert len(joined) == 10
    another = quotas.group(lab)
    error = refused("LimitExceeded", iam.add_user_to_group, GroupName=another, UserName=user.name)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert error.response["Error"]["Message"] == "Cannot exceed quota for GroupsPerUser: 10"
    quotas.join(lab, user, joined[0])
    iam.remove_user_from_group(GroupName=joined[0], UserName=user.name)
    quotas.join(lab, user, another)
    refused("NoSuchEntity", iam.add_user_to_group, GroupName="nobody-made-it", UserName=user.name)


def test_a_boundary_has_room_when_everything_else_is_full(lab):
    iam, user = lab.client("iam"), seed.user(lab)
    quotas.fill_inline(lab, user)
    quotas.fill_managed(lab, user)
    document = json.dumps(policies.DENY_ALL)
    refused("LimitExceeded", iam.put_user_policy, UserName=user.name, PolicyName="deny", PolicyDocument=document)
    refused("LimitExceeded", iam.attach_user_policy, UserName=user.name, PolicyArn=DENY_ALL_ATTACHED)
    assert lab.client("s3", user.key).list_buckets()
    quotas.set_boundary(lab, user, DENY_ALL_ATTACHED)
    refused("AccessDenied", lab.client("s3", user.key).list_buckets)


@pytest.mark.parametrize("make", [lambda lab: seed.user(lab, keys=0), seed.role])
def test_a_quota_is_filled_but_for_what_is_left(lab, make):
    who = make(lab)
    kind, iam = quotas.kind_of(who), lab.client("iam")
    owner = {f"{kind.capitalize()}Name": who.name}
    quotas.fill_inline(lab, who, leave=150)
    assert quotas.inline_size(lab, who) == quotas.INLINE[kind] - 150
    put = getattr(iam, f"put_{kind}_policy")
    refused("LimitExceeded", put, PolicyName="more", PolicyDocument=sized(151), **owner)
    put(PolicyName="more", PolicyDocument=sized(150), **owner)
    quotas.fill_managed(lab, who, leave=1)
    attach = getattr(iam, f"attach_{kind}_policy")
    attach(PolicyArn=DENY_ALL_ATTACHED, **owner)
    refused("LimitExceeded", attach, PolicyArn="arn:aws:iam::aws:policy/SecurityAudit", **owner)
