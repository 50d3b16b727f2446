"""IAM's quotas on policies and groups: what stands between a responder and its deny.

AWS behaviour: IAM User Guide, "IAM and AWS STS quotas". Inline policies are limited in aggregate,
white space not counted, and a policy that is replaced counts once. What is attached, or a member,
already is not counted again: the call succeeds.
"""

import re

from ..call import guards
from ..errors import AwsError
from ..principals import iam_of
from .iam import group_of, role_of, user_of

INLINE = {"user": 2048, "role": 10240, "group": 5120}
MANAGED = 10
GROUPS = 10
TRUST = 2048

_OWNERS = {"user": user_of, "role": role_of, "group": group_of}


def _limit_exceeded(message):
    return AwsError("LimitExceeded", message, 409)


def size_of(document):
    return len(re.sub(r"\s", "", document))


def _owner(call):
    """What an operation named for its owner, such as PutUserPolicy, changes: (kind, entity)."""
    kind = next(kind for kind in _OWNERS if kind.capitalize() in call.operation.name)
    return kind, _OWNERS[kind](call)


@guards("iam", "PutUserPolicy", "PutRolePolicy", "PutGroupPolicy")
def refuse_large_inline_policies(call):
    kind, entity = _owner(call)
    documents = {**entity.policies, call.params["PolicyName"]: call.params["PolicyDocument"]}
    if sum(map(size_of, documents.values())) > INLINE[kind]:
        raise _limit_exceeded(f"Maximum policy size of {INLINE[kind]} bytes exceeded for {kind} {entity.name}")


@guards("iam", "AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy")
def refuse_many_managed_policies(call):
    kind, entity = _owner(call)
    if call.params["PolicyArn"] not in entity.managed_policies and len(entity.managed_policies) >= MANAGED:
        raise _limit_exceeded(f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: {MANAGED}")


@guards("iam", "AddUserToGroup")
def refuse_many_groups(call):
    user, group = user_of(call), group_of(call)
    if user not in group.users and len(iam_of(call.account).get_groups_for_user(user.name)) >= GROUPS:
        raise _limit_exceeded(f"Cannot exceed quota for GroupsPerUser: {GROUPS}")


@guards("iam", "UpdateAssumeRolePolicy")
def refuse_large_trust_policy(call):
    if size_of(call.params.get("PolicyDocument") or "") > TRUST:
        raise _limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {TRUST}")
