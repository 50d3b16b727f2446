"""STS: sessions that are real, trust policies that count.

AWS behaviour: STS API reference (AssumeRole, GetSessionToken, GetFederationToken,
GetCallerIdentity); IAM User Guide, "How to use trust policies with IAM roles" and
"The confused deputy problem". moto assumes roles that do not exist and reads no trust policy.
"""

import re

from ..call import handles
from ..errors import AwsError, refusal
from ..policy import MalformedPolicy, statements_of
from ..principals import default_document, find_role, iam_of
from ..sessions import as_credentials
from ..trust import trusted
from ..world import now


@handles("sts", "GetCallerIdentity")
def get_caller_identity(call):
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@handles("sts", "AssumeRole")
def assume_role(call):
    params = call.params
    session = mint_role_session(
        call.lab,
        call.principal,
        params["RoleArn"],
        params["RoleSessionName"],
        context=call.context,
        operation=call.operation,
        external_id=params.get("ExternalId"),
        seconds=int(params.get("DurationSeconds") or 3600),
        policies=_session_policies(call),
    )
    if call.principal.session:
        # What a function does with a role it assumed belongs to the same invocation.
        call.lab.functions.extend(call.principal.session.access_key, session.access_key)
    arn = f"arn:aws:sts::{session.account}:assumed-role/{session.entity_name}/{session.name}"
    return {
        "Credentials": as_credentials(session),
        "AssumedRoleUser": {"AssumedRoleId": f"{session.entity_id}:{session.name}", "Arn": arn},
    }


def mint_role_session(lab, principal, role_arn, session_name, *, context, operation, external_id=None,
                      seconds=3600, policies=None, instance_arn="", issued_at=None):  # fmt: skip
    """Mint a session of a role if its trust policy lets this principal assume it."""
    role = find_role(role_arn)
    denied = refusal(
        "denied",
        operation,
        f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
    )
    if role is None or not re.fullmatch(r"[\w+=,.@-]{2,64}", session_name):
        raise denied
    trust_context = dict(context)
    if external_id:
        trust_context["sts:externalid"] = external_id
    trust_context["sts:rolesessionname"] = session_name
    if principal.kind != "admin" and not trusted(role, principal, trust_context):
        raise denied
    limit = int(role.max_session_duration or 3600)
    if seconds > limit:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return lab.sessions.mint(
        "role",
        role.account_id,
        role.name,
        role.id,
        issued_at or now(),
        seconds,
        name=session_name,
        policies=policies,
        instance_arn=instance_arn,
    )


def _session_policies(call):
    documents = []
    inline = call.params.get("Policy")
    if inline:
        _check(inline)
        documents.append(inline)
    for reference in call.params.get("PolicyArns") or []:
        arn = reference.get("arn")
        managed = iam_of(call.account).managed_policies.get(arn)
        if managed is None:
            raise AwsError("ValidationError", f"policy {arn} does not exist")
        documents.append(default_document(managed))
    return tuple(documents) if documents else None


def _check(document):
    try:
        statements_of(document)
    except MalformedPolicy as error:
        raise AwsError("MalformedPolicyDocument", str(error)) from error


@handles("sts", "GetSessionToken")
def get_session_token(call):
    user = _user_behind(call)
    session = call.lab.sessions.mint(
        "session_token",
        call.account,
        user.name,
        user.id,
        now(),
        _seconds(call),
        mfa=bool(call.params.get("TokenCode")),
    )
    return {"Credentials": as_credentials(session)}


@handles("sts", "GetFederationToken")
def get_federation_token(call):
    user = _user_behind(call)
    name = call.params["Name"]
    if not re.fullmatch(r"[\w+=,.@-]{2,32}", name):
        raise AwsError("ValidationError", f"Value '{name}' at 'name' failed to satisfy constraint")
    session = call.lab.sessions.mint(
        "federation",
        call.account,
        user.name,
        user.id,
        now(),
        _seconds(call),
        name=name,
        policies=_session_policies(call),
    )
    return {
        "Credentials": as_credentials(session),
        "FederatedUser": {
            "FederatedUserId": f"{call.account}:{name}",
            "Arn": f"arn:aws:sts::{call.account}:federated-user/{name}",
        },
    }


def _seconds(call):
    """How long a session of a user lasts: 12 hours unless told otherwise, 36 at most."""
    seconds = int(call.params.get("DurationSeconds") or 43200)
    if not 900 <= seconds <= 129600:
        raise AwsError("ValidationError", "DurationSeconds must be between 900 and 129600")
    return seconds


def _user_behind(call):
    if call.principal.kind != "user":
        raise AwsError("AccessDenied", "Cannot call this operation with session credentials", 403)
    return call.principal.entity
