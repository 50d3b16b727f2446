"""Role trust policies: may this principal assume this role?

AWS behaviour: IAM User Guide, "AWS JSON policy elements: Principal" and "Policy evaluation
logic". A Deny always wins. A trust policy that names the principal itself admits it within the
account; one that names the account (`:root`, or the bare account id) only delegates to the
account, whose own policies must then allow sts:AssumeRole. The authoriser has already asked those
policies; when they are silent, it comes back to ask whether the trust names the caller itself.
"""

import json

from .conditions import condition_holds
from .wildcards import glob_matches, listed


def trusted(role, principal, context, by_name=False):
    """With `by_name`, only a statement that names the principal itself counts as admitting it."""
    document = role.assume_role_policy_document
    document = json.loads(document) if isinstance(document, str) else document
    allowed = False
    for statement in listed(document.get("Statement")):
        if not _names_assume_role(statement) or not _names(statement, principal):
            continue
        if not condition_holds(statement.get("Condition") or {}, context):
            continue
        if statement["Effect"] == "Deny":
            return False
        allowed = allowed or not by_name or _names_itself(statement, principal)
    return allowed


def _names_assume_role(statement):
    actions = [action.lower() for action in listed(statement.get("Action"))]
    return any(glob_matches(action, "sts:assumerole") for action in actions)


def _names(statement, principal):
    if "NotPrincipal" in statement:
        return not _matches(statement["NotPrincipal"], principal)
    return _matches(statement.get("Principal"), principal)


def _matches(element, principal):
    if element == "*":
        return True
    element = element or {}
    if principal.kind == "service":
        return principal.arn in listed(element.get("Service"))
    return any(_is(name, principal) for name in listed(element.get("AWS")))


def _names_itself(statement, principal):
    element = statement.get("Principal")
    names = listed(element.get("AWS")) if isinstance(element, dict) else []
    return principal.arn in names or principal.context.get("aws:principalarn") in names


def _is(name, principal):
    if name == "*":
        return True
    if name in (principal.account, f"arn:aws:iam::{principal.account}:root"):
        return True
    # A role's ARN in a Principal stands for every session of it.
    return name in (principal.arn, principal.context.get("aws:principalarn"))
