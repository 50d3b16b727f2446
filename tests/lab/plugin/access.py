"""Authentication and authorisation of a call: may this caller do this?

AWS behaviour: IAM User Guide, "Request context", "Policy evaluation logic", and STS API
reference for what sessions of GetSessionToken and GetFederationToken may not call.
"""

import time

from .. import organization
from . import signature
from .encryption import kms_needs
from .errors import refusal
from .policy import evaluate
from .principals import Principal, find_role, policies_of
from .resources import needs_of
from .trust import trusted
from .world import iso, now

# AWS answers these whoever asks: "No permissions are required" (STS API reference).
_ALWAYS_ALLOWED = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")}
_STS_OF_SESSION_TOKEN = {"AssumeRole", "GetCallerIdentity"}


def authenticate(world, directory, request, operation, signed):
    """The principal that signed the request; raises the service's refusal otherwise."""
    if signed is None:
        raise refusal("unsigned", operation)
    principal = directory.find(signed.access_key)
    if principal is None or not principal.active:
        raise refusal("unknown_key", operation)
    if principal.token and signed.token != principal.token:
        raise refusal("bad_token", operation)
    if signed.token and not principal.token:
        raise refusal("bad_token", operation)
    try:
        signature.verify(request, signed, principal.secret)
    except signature.BadSignature as error:
        raise refusal("bad_signature", operation, str(error)) from error
    if principal.expired:
        raise refusal("expired", operation)
    return principal


def request_context(principal, operation, request, account):
    """The global condition keys of a request, by lower-case name."""
    org = organization.of(principal.account)
    return {
        **principal.context,
        **({"aws:principalorgid": org} if org and principal.kind != "service" else {}),
        "aws:currenttime": iso(now()),
        "aws:epochtime": str(int(time.time())),
        "aws:sourceip": request.peer,
        "aws:useragent": request.header("user-agent"),
        "aws:requestedregion": "us-east-1" if operation.service == "iam" else operation.region,
        "aws:securetransport": "false",
        "aws:viaawsservice": "false",
        "aws:principalisawsservice": "false",
        "aws:resourceaccount": account,
    }


def authorise(principal, operation, request, account, context):
    """Return (needs, None) when allowed, or (needs, the refusal)."""
    if principal.kind == "admin":
        return needs_of(operation, principal, account)[:1], None
    needs = needs_of(operation, principal, account)
    if (operation.service, operation.name) in _ALWAYS_ALLOWED:
        return needs, None
    limit = _session_limit(principal, operation)
    if limit:
        return needs, refusal("denied", operation, limit)
    needs = needs + kms_needs(operation, request, account)
    policies = policies_of(principal)
    for need in needs:
        full_context = {**context, **need.context}
        decision = evaluate(policies, need.action, need.resource, full_context)
        if not decision.allowed and not _named_by_trust(decision, need, principal, full_context):
            message = (
                f"User: {principal.arn} is not authorized to perform: {need.action} "
                f"on resource: {need.resource} ({decision.reason})"
            )
            return needs, refusal("denied", operation, message)
    return needs, None


def _named_by_trust(decision, need, principal, context):
    """Within an account a trust policy that names the caller is permission enough to assume."""
    if decision.explicit or need.action != "sts:AssumeRole" or principal.session and principal.session.policies:
        return False
    role = find_role(need.resource)
    return role is not None and role.account_id == principal.account and trusted(role, principal, context, by_name=True)


def may(principal, action, resource, context):
    """One bare question to the principal's policies."""
    return evaluate(policies_of(principal), action, resource, context)


def _session_limit(principal, operation):
    if principal.kind == "session_token":
        if operation.service == "iam" and not principal.session.mfa:
            return "IAM calls need MFA information in a GetSessionToken session"
        if operation.service == "sts" and operation.name not in _STS_OF_SESSION_TOKEN:
            return "Cannot call this STS operation with session credentials"
    if principal.kind == "federation":
        if operation.service == "iam":
            return "Cannot call IAM operations with federated user credentials"
        if operation.service == "sts" and operation.name != "GetCallerIdentity":
            return "Cannot call this STS operation with federated user credentials"
    if principal.kind in ("role",) and operation.service == "sts":
        if operation.name in ("GetSessionToken", "GetFederationToken"):
            return f"Cannot call {operation.name} with session credentials"
    return None


def service_principal(name, account):
    """An AWS service acting for itself, as Lambda does when it assumes a function's role."""
    principal = Principal("service", account, name, name)
    principal.context = {
        "aws:principaltype": "Service",
        "aws:principalisawsservice": "true",
        "aws:sourceaccount": account,
    }
    return principal
