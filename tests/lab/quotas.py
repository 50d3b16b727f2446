"""Victims whose quotas are used up, so that a deny finds no room, and boundaries and groups around them.

What fills a quota neither grants nor denies anything that a test looks at. The functions take a
`seed.User` or a `seed.Role`.
"""

import json

from . import policies, seed

INLINE = {"user": 2048, "role": 10240}
MANAGED = 10
GROUPS = 10


def kind_of(who):
    return "role" if isinstance(who, seed.Role) else "user"


def _call(lab, who, operation, **arguments):
    kind = kind_of(who)
    call = getattr(lab.client("iam"), operation.format(kind=kind))
    return call(**{f"{kind.capitalize()}Name": who.name}, **arguments)


def _compact(document):
    return json.dumps(document, separators=(",", ":"))


def _padding(size):
    """A policy of exactly this many characters."""
    document = _compact(policies.document(policies.allow("s3:GetObject", "arn:aws:s3:::padding/")))
    if size < len(document):
        raise ValueError(f"no policy has only {size} characters")
    return document.replace("padding/", "padding/" + "x" * (size - len(document)))


def inline_size(lab, who):
    """How much of the inline quota is used, as seeded by this package: compact JSON or `json.dumps`."""
    names = _call(lab, who, "list_{kind}_policies")["PolicyNames"]
    documents = [_call(lab, who, "get_{kind}_policy", PolicyName=name)["PolicyDocument"] for name in names]
    return sum(len("".join(_compact(document).split())) for document in documents)


def fill_inline(lab, who, leave=0):
    """Use up the inline policies' quota but for so many characters."""
    free = INLINE[kind_of(who)] - inline_size(lab, who) - leave
    _call(lab, who, "put_{kind}_policy", PolicyName="padding", PolicyDocument=_padding(free))


def managed_policy(lab, document, name=None):
    """A customer managed policy; its ARN."""
    made = lab.client("iam").create_policy(PolicyName=name or seed.unique("policy"), PolicyDocument=_compact(document))
    return made["Policy"]["Arn"]


def fill_managed(lab, who, leave=0):
    """Attach policies until only so many more fit."""
    attached = _call(lab, who, "list_attached_{kind}_policies")["AttachedPolicies"]
    for _ in range(MANAGED - len(attached) - leave):
        arn = managed_policy(lab, policies.document(policies.allow("s3:GetObject", "arn:aws:s3:::padding/*")))
        _call(lab, who, "attach_{kind}_policy", PolicyArn=arn)


def fill_groups(lab, user, leave=0):
    """Put a user into groups without policies until only so many more fit."""
    groups = lab.client("iam").list_groups_for_user(UserName=user.name)["Groups"]
    for _ in range(GROUPS - len(groups) - leave):
        join(lab, user, group(lab))


def group(lab, name=None, policy=None):
    """A group; its name."""
    iam, name = lab.client("iam"), name or seed.unique("group")
    iam.create_group(GroupName=name)
    if policy:
        iam.put_group_policy(GroupName=name, PolicyName="permissions", PolicyDocument=_compact(policy))
    return name


def join(lab, user, name):
    lab.client("iam").add_user_to_group(GroupName=name, UserName=user.name)


def set_boundary(lab, who, arn=None):
    """A permissions boundary, one that allows everything unless told otherwise; its ARN."""
    arn = arn or managed_policy(lab, policies.ADMINISTRATOR, seed.unique("boundary"))
    _call(lab, who, "put_{kind}_permissions_boundary", PermissionsBoundary=arn)
    return arn


def boundary_of(lab, who):
    """The ARN of the permissions boundary, or None."""
    entity = _call(lab, who, "get_{kind}")[kind_of(who).capitalize()]
    return (entity.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
