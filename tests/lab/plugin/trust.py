"""Role trust policies: may this principal assume this role?

AWS behaviour: IAM User Guide, "AWS JSON policy elements: Principal" and "Policy evaluation
logic". A Deny always wins. A trust policy that names the principal itself admits it within the
account; one that names the account (`:root`, or the bare account id) only delegates to the
account, whose own policies must then allow sts:AssumeRole. The authoriser has already asked those
policies; when they are silent, it comes back to ask whether the trust names the caller itself.
IAM keeps the unique id of a role or user that a trust policy names: one that is deleted and made again
under the same ARN is not the one that was trusted.
"""

import json

from .conditions import condition_holds
from .principals import entity_of
from .wildcards import glob_matches, listed


_named_ids = {}
"""(account, role name) -> {ARN: unique id} of the roles and users its trust policy named when it was written."""


def remember_named(account, role_name, document):
    """What IAM does with the principals of a trust policy when it is saved."""
    named = {}
    try:
        statements = listed(json.loads(document).get("Statement"))
    except (ValueError, AttributeError):
        return  # IAM refuses it.
    for statement in statements:
        element = statement.get("Principal")
        for arn in listed(element.get("AWS")) if isinstance(element, dict) else []:
            entity = entity_of(arn)
            if entity is not None:
                named[arn] = entity.id
    _named_ids[account, role_name] = named


def trusted(role, principal, context, by_name=False):
    """With `by_name`, only a statement that names the principal itself counts as admitting it."""
    document = role.assume_role_policy_document
    document = json.loads(document) if isinstance(document, str) else document
    ids = _named_ids.get((role.account_id, role.name), {})
    allowed = False
    for statement in listed(document.get("Statement")):
        if not _names_assume_role(statement) or not _names(statement, principal, ids):
            continue
        if not condition_holds(statement.get("Condition") or {}, context):
            continue
        if statement["Effect"] == "Deny":
            return False
        allowed = allowed or not by_name or _names_itself(statement, principal, ids)
    return allowed


def _names_assume_role(statement):
    actions = [action.lower() for action in listed(statement.get("Action"))]
    return any(glob_matches(action, "sts:assumerole") for action in actions)


def _names(statement, principal, ids):
    if "NotPrincipal" in statement:
        return not _matches(statement["NotPrincipal"], principal, ids)
    return _matches(statement.get("Principal"), principal, ids)


def _matches(element, principal, ids):
    if element == "*":
        return True
    element = element or {}
    if principal.kind == "service":
        return principal.arn in listed(element.get("Service"))
    return any(_is(name, principal, ids) for name in listed(element.get("AWS")))


def _names_itself(statement, principal, ids):
    element = statement.get("Principal")
    names = listed(element.get("AWS")) if isinstance(element, dict) else []
    return any(_is_itself(name, principal, ids) for name in names)


def _is(name, principal, ids):
    if name == "*":
        return True
    if name in (principal.account, f"arn:aws:iam::{principal.account}:root"):
        return True
    return _is_itself(name, principal, ids)


def _is_itself(name, principal, ids):
    # A role's ARN in a Principal stands for every session of it.
    if name not in (principal.arn, principal.context.get("aws:principalarn")):
        return False
    return name not in ids or principal.entity is not None and ids[name] == principal.entity.id
