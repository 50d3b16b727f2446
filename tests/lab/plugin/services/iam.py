"""IAM: what moto leaves out or lets through.

AWS behaviour: IAM API reference (each operation's errors), IAM User Guide "Using service-linked
roles" and "Managing access keys": policy documents come back URL-encoded as RFC 3986 says;
service-linked and IAM Identity Center roles cannot be changed by anyone but AWS. Quotas,
permissions boundaries and lists are in the modules beside this one.
"""

import functools
import secrets
from urllib.parse import quote

from moto.iam.models import Group, User

from ..call import guards, handles
from ..errors import AwsError
from ..principals import iam_of
from ..world import now

_ROLE_WRITES = (
    "PutRolePolicy", "DeleteRolePolicy", "AttachRolePolicy", "DetachRolePolicy", "UpdateAssumeRolePolicy",
    "DeleteRole", "UpdateRole", "UpdateRoleDescription", "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary", "TagRole", "UntagRole",
)  # fmt: skip


def no_such_entity(message):
    return AwsError("NoSuchEntity", message, 404)


def user_of(call):
    name = call.params.get("UserName")
    if not name:
        if call.principal.kind != "user":
            raise AwsError("ValidationError", "Must specify userName when calling with non-User credentials")
        return call.principal.entity
    user = iam_of(call.account).users.get(name)
    if user is None:
        raise no_such_entity(f"The user with name {name} cannot be found.")
    return user


def role_of(call):
    role = next((r for r in iam_of(call.account).roles.values() if r.name == call.params.get("RoleName")), None)
    if role is None:
        raise no_such_entity(f"The role with name {call.params.get('RoleName')} cannot be found.")
    return role


def group_of(call):
    group = iam_of(call.account).groups.get(call.params.get("GroupName"))
    if group is None:
        raise no_such_entity(f"The group with name {call.params.get('GroupName')} cannot be found.")
    return group


def _unique_id(prefix):
    return prefix + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17))


def _give_real_ids(kind, prefix):
    """Unique ids begin with AIDA for users and AGPA for groups (IAM User Guide, "Understanding unique
    ID prefixes"); moto makes up lower-case ones."""
    plain = kind.__init__

    @functools.wraps(plain)
    def with_real_id(self, *arguments, **keywords):
        plain(self, *arguments, **keywords)
        self.id = _unique_id(prefix)

    kind.__init__ = with_real_id


_give_real_ids(User, "AIDA")
_give_real_ids(Group, "AGPA")


# --- protected roles --------------------------------------------------------------------------


@guards("iam", *_ROLE_WRITES)
def refuse_protected_role(call):
    if call.principal.kind == "admin":
        # The admin key stands for AWS itself, which does modify them.
        return
    role = role_of(call)
    if role.path.startswith(("/aws-service-role/", "/aws-reserved/")):
        raise AwsError(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS",
        )


@guards("iam", "UpdateAccessKey")
def refuse_unknown_key(call):
    user = user_of(call)
    if not any(key.access_key_id == call.params.get("AccessKeyId") for key in user.access_keys):
        raise no_such_entity(f"The Access Key with id {call.params.get('AccessKeyId')} cannot be found.")
    if call.params.get("Status") not in ("Active", "Inactive"):
        raise AwsError("ValidationError", "Status must be Active or Inactive")


# --- policy documents as AWS returns them --------------------------------------------------------


@handles("iam", "GetUserPolicy")
def get_user_policy(call):
    return {"UserName": call.params["UserName"], **_inline_policy(user_of(call), call)}


@handles("iam", "GetRolePolicy")
def get_role_policy(call):
    return {"RoleName": call.params["RoleName"], **_inline_policy(role_of(call), call)}


@handles("iam", "GetGroupPolicy")
def get_group_policy(call):
    return {"GroupName": call.params["GroupName"], **_inline_policy(group_of(call), call)}


def _inline_policy(entity, call):
    name = call.params["PolicyName"]
    if name not in entity.policies:
        kind = type(entity).__name__.lower()
        raise no_such_entity(f"The {kind} policy with name {name} cannot be found.")
    return {"PolicyName": name, "PolicyDocument": quote(entity.policies[name], safe="")}


# --- last use ------------------------------------------------------------------------------------


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


@handles("iam", "CreateServiceSpecificCredential")
def create_service_specific_credential(call):
    user, service = user_of(call), call.params["ServiceName"]
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


def _credential(call):
    user, wanted = user_of(call), call.params["ServiceSpecificCredentialId"]
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
    if not any(key.ssh_public_key_id == wanted for key in user_of(call).ssh_public_keys):
        raise no_such_entity(f"The Public Key with id {wanted} cannot be found.")


@handles("iam", "UpdateSigningCertificate")
def update_signing_certificate(call):
    wanted = call.params["CertificateId"]
    certificate = user_of(call).signing_certificates.get(wanted)
    if certificate is None:
        raise no_such_entity(f"The Certificate with id {wanted} cannot be found.")
    certificate.status = call.params["Status"]
    return {}
