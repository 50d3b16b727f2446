"""IAM: what moto leaves out or lets through.

AWS behaviour: IAM API reference (each operation's errors), IAM User Guide "IAM and AWS STS
quotas", "Using service-linked roles", and "Managing access keys": policy documents come back
URL-encoded as RFC 3986 says; service-linked and IAM Identity Center roles cannot be changed by
anyone but AWS; inline policies are limited in aggregate, white space not counted.
"""

import functools
import re
import secrets
from urllib.parse import quote

from moto.iam.models import User

from ..call import guards, handles
from ..errors import AwsError
from ..principals import iam_of
from ..world import now

_INLINE_QUOTAS = {"PutUserPolicy": 2048, "PutRolePolicy": 10240, "PutGroupPolicy": 5120}
_MANAGED_POLICY_QUOTA = 10
_TRUST_QUOTA = 2048

_ROLE_WRITES = (
    "PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "UpdateAssumeRolePolicy",
    "DeleteRole", "UpdateRole", "UpdateRoleDescription", "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary", "TagRole", "UntagRole",
)  # fmt: skip


def no_such_entity(message):
    return AwsError("NoSuchEntity", message, 404)


def _user(call):
    name = call.params.get("UserName")
    if not name:
        if call.principal.kind != "user":
            raise AwsError("ValidationError", "Must specify userName when calling with non-User credentials")
        return call.principal.entity
    user = iam_of(call.account).users.get(name)
    if user is None:
        raise no_such_entity(f"The user with name {name} cannot be found.")
    return user


def _role(call):
    role = next((r for r in iam_of(call.account).roles.values() if r.name == call.params.get("RoleName")), None)
    if role is None:
        raise no_such_entity(f"The role with name {call.params.get('RoleName')} cannot be found.")
    return role


def _unique_id(prefix):
    return prefix + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17))


def _give_users_real_ids():
    """A user's unique id begins with AIDA (IAM User Guide, "Understanding unique ID prefixes");
    moto makes up lower-case ones."""
    plain = User.__init__

    @functools.wraps(plain)
    def with_real_id(self, *arguments, **keywords):
        plain(self, *arguments, **keywords)
        self.id = _unique_id("AIDA")

    User.__init__ = with_real_id


_give_users_real_ids()


# --- protected roles, quotas -------------------------------------------------------------------


@guards("iam", *_ROLE_WRITES)
def refuse_protected_role(call):
    if call.principal.kind == "admin":
        # The admin key stands for AWS itself, which does modify them.
        return
    role = _role(call)
    if role.path.startswith(("/aws-service-role/", "/aws-reserved/")):
        raise AwsError(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS",
        )


@guards("iam", *_INLINE_QUOTAS)
def refuse_large_inline_policies(call):
    if call.operation.name == "PutUserPolicy":
        kind, entity = "user", _user(call)
    elif call.operation.name == "PutRolePolicy":
        kind, entity = "role", _role(call)
    else:
        kind, entity = "group", iam_of(call.account).groups.get(call.params.get("GroupName"))
        if entity is None:
            return
    quota = _INLINE_QUOTAS[call.operation.name]
    documents = {**entity.policies, call.params["PolicyName"]: call.params["PolicyDocument"]}
    size = sum(len(re.sub(r"\s", "", document)) for document in documents.values())
    if size > quota:
        raise AwsError("LimitExceeded", f"Maximum policy size of {quota} bytes exceeded for {kind} {entity.name}", 409)


@guards("iam", "AttachUserPolicy", "AttachRolePolicy")
def refuse_many_managed_policies(call):
    entity = _user(call) if call.operation.name == "AttachUserPolicy" else _role(call)
    arn = call.params["PolicyArn"]
    if arn not in entity.managed_policies and len(entity.managed_policies) >= _MANAGED_POLICY_QUOTA:
        kind = "PoliciesPerUser" if call.operation.name == "AttachUserPolicy" else "PoliciesPerRole"
        raise AwsError("LimitExceeded", f"Cannot exceed quota for {kind}: {_MANAGED_POLICY_QUOTA}", 409)


@guards("iam", "UpdateAssumeRolePolicy")
def refuse_large_trust_policy(call):
    if len(re.sub(r"\s", "", call.params.get("PolicyDocument") or "")) > _TRUST_QUOTA:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {_TRUST_QUOTA}", 409)


@guards("iam", "UpdateAccessKey")
def refuse_unknown_key(call):
    user = _user(call)
    if not any(key.access_key_id == call.params.get("AccessKeyId") for key in user.access_keys):
        raise no_such_entity(f"The Access Key with id {call.params.get('AccessKeyId')} cannot be found.")
    if call.params.get("Status") not in ("Active", "Inactive"):
        raise AwsError("ValidationError", "Status must be Active or Inactive")


# --- policy documents as AWS returns them --------------------------------------------------------


@handles("iam", "GetUserPolicy")
def get_user_policy(call):
    return {"UserName": call.params["UserName"], **_inline_policy(_user(call), call)}


@handles("iam", "GetRolePolicy")
def get_role_policy(call):
    return {"RoleName": call.params["RoleName"], **_inline_policy(_role(call), call)}


def _inline_policy(entity, call):
    name = call.params["PolicyName"]
    if name not in entity.policies:
        kind = type(entity).__name__.lower()
        raise no_such_entity(f"The {kind} policy with name {name} cannot be found.")
    return {"PolicyName": name, "PolicyDocument": quote(entity.policies[name], safe="")}


# --- users: boundary and last use ------------------------------------------------------------------


@handles("iam", "PutUserPermissionsBoundary")
def put_user_permissions_boundary(call):
    user, arn = _user(call), call.params["PermissionsBoundary"]
    if arn not in iam_of(call.account).managed_policies:
        raise no_such_entity(f"Policy {arn} does not exist or is not attachable.")
    user.permissions_boundary_arn = arn
    user.permissions_boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
    return {}


@handles("iam", "DeleteUserPermissionsBoundary")
def delete_user_permissions_boundary(call):
    user = _user(call)
    if not getattr(user, "permissions_boundary_arn", None):
        raise no_such_entity(f"The user with name {user.name} does not have a permissions boundary.")
    user.permissions_boundary_arn = user.permissions_boundary = None
    return {}


@handles("iam", "GetAccessKeyLastUsed")
def get_access_key_last_used(call):
    key_id = call.params["AccessKeyId"]
    key = iam_of(call.account).access_keys.get(key_id)
    if key is None:
        # AWS does not say whether a foreign or unknown key exists.
        raise AwsError("AccessDenied", f"User: {call.principal.arn} is not authorized for access key {key_id}", 403)
    used = key.last_used
    last_used = {"ServiceName": "N/A", "Region": "N/A"}
    if used is not None:
        last_used = {"LastUsedDate": used.timestamp, "ServiceName": used.service, "Region": used.region}
    return {"UserName": key.user_name, "AccessKeyLastUsed": last_used}


# --- service-specific credentials -------------------------------------------------------------------

_SERVICES = ("codecommit.amazonaws.com", "cassandra.amazonaws.com", "bedrock.amazonaws.com", "logs.amazonaws.com")
_API_KEY_SERVICES = ("bedrock.amazonaws.com", "logs.amazonaws.com")
_PER_SERVICE_QUOTA = 2


def credentials_of(user):
    """The service-specific credentials of a user; moto's users have none, so they live here."""
    if not hasattr(user, "service_specific_credentials"):
        user.service_specific_credentials = []
    return user.service_specific_credentials


def _metadata(credential):
    return {
        name: value for name, value in credential.items() if name not in ("ServicePassword", "ServiceCredentialSecret")
    }


@handles("iam", "CreateServiceSpecificCredential")
def create_service_specific_credential(call):
    user, service = _user(call), call.params["ServiceName"]
    if service not in _SERVICES:
        raise AwsError(
            "ServiceNotSupportedException",
            f"No such service {service} is supported for Service Specific Credentials",
            404,
        )
    existing = credentials_of(user)
    if sum(c["ServiceName"] == service for c in existing) >= _PER_SERVICE_QUOTA:
        raise AwsError(
            "LimitExceeded", f"Cannot exceed quota for ServiceSpecificCredentialsPerUser: {_PER_SERVICE_QUOTA}", 409
        )
    credential = {
        "CreateDate": now(),
        "ServiceName": service,
        "ServiceSpecificCredentialId": "ACCA" + secrets.token_hex(8).upper(),
        "UserName": user.name,
        "Status": "Active",
    }
    if service in _API_KEY_SERVICES:
        credential["ServiceCredentialAlias"] = f"{user.name}-at-{call.account}"
        credential["ServiceCredentialSecret"] = "ABSK" + secrets.token_urlsafe(64)
    else:
        credential["ServiceUserName"] = f"{user.name}-at-{call.account}"
        credential["ServicePassword"] = secrets.token_urlsafe(32)
    existing.append(credential)
    return {"ServiceSpecificCredential": credential}


@handles("iam", "ListServiceSpecificCredentials")
def list_service_specific_credentials(call):
    users = iam_of(call.account).users.values() if call.params.get("AllUsers") in (True, "true") else [_user(call)]
    service = call.params.get("ServiceName")
    found = [_metadata(c) for user in users for c in credentials_of(user) if not service or c["ServiceName"] == service]
    return {"ServiceSpecificCredentials": found, "IsTruncated": False}


def _credential(call):
    user, wanted = _user(call), call.params["ServiceSpecificCredentialId"]
    for credential in credentials_of(user):
        if credential["ServiceSpecificCredentialId"] == wanted:
            return user, credential
    raise no_such_entity(f"No such credential {wanted} exists")


@handles("iam", "UpdateServiceSpecificCredential")
def update_service_specific_credential(call):
    _, credential = _credential(call)
    credential["Status"] = call.params["Status"]
    return {}


@handles("iam", "DeleteServiceSpecificCredential")
def delete_service_specific_credential(call):
    user, credential = _credential(call)
    credentials_of(user).remove(credential)
    return {}


# --- refusals moto words otherwise ---------------------------------------------------------------------


@guards("iam", "UpdateSSHPublicKey")
def refuse_unknown_ssh_key(call):
    wanted = call.params.get("SSHPublicKeyId")
    if not any(key.ssh_public_key_id == wanted for key in _user(call).ssh_public_keys):
        raise no_such_entity(f"The Public Key with id {wanted} cannot be found.")


@handles("iam", "UpdateSigningCertificate")
def update_signing_certificate(call):
    wanted = call.params["CertificateId"]
    certificate = _user(call).signing_certificates.get(wanted)
    if certificate is None:
        raise no_such_entity(f"The Certificate with id {wanted} cannot be found.")
    certificate.status = call.params["Status"]
    return {}
