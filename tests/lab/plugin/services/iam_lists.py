"""What a user has, listed page by page, and the credentials moto dates wrongly or not at all.

AWS behaviour: IAM API reference. Lists hold MaxItems, 100 unless asked otherwise, and say with
IsTruncated and Marker that there is more. A login profile has a creation date of its own; an MFA
device is enabled for one user, and stays as an unassigned device when it is deactivated.
"""

from moto.core.utils import utcnow

from ..call import guards, handles
from ..errors import AwsError
from ..principals import iam_of
from .iam import credentials_of, no_such_entity, role_of, user_of

_MARKER = "after-"


def page(call, member, items):
    """One page of a list as the call asks for it."""
    marker, size = call.params.get("Marker") or _MARKER + "0", int(call.params.get("MaxItems") or 100)
    if not marker.startswith(_MARKER) or not marker[len(_MARKER) :].isdigit():
        raise AwsError("ValidationError", "Invalid Marker.")
    if not 1 <= size <= 1000:
        raise AwsError("ValidationError", "MaxItems must be between 1 and 1000.")
    items, start = list(items), int(marker[len(_MARKER) :])
    more = start + size < len(items)
    answer = {member: items[start : start + size], "IsTruncated": more}
    return {**answer, "Marker": f"{_MARKER}{start + size}"} if more else answer


@handles("iam", "ListAccessKeys")
def list_access_keys(call):
    user = user_of(call)
    keys = [
        {"UserName": user.name, "AccessKeyId": k.access_key_id, "Status": k.status, "CreateDate": k.create_date}
        for k in user.access_keys
    ]
    return page(call, "AccessKeyMetadata", keys)


@handles("iam", "ListMFADevices")
def list_mfa_devices(call):
    user = user_of(call)
    devices = [
        {"UserName": user.name, "SerialNumber": d.serial_number, "EnableDate": d.enable_date}
        for d in user.mfa_devices.values()
    ]
    return page(call, "MFADevices", devices)


@handles("iam", "ListGroupsForUser")
def list_groups_for_user(call):
    groups = [
        {"Path": g.path, "GroupName": g.name, "GroupId": g.id, "Arn": g.arn, "CreateDate": g.create_date}
        for g in iam_of(call.account).get_groups_for_user(user_of(call).name)
    ]
    return page(call, "Groups", groups)


def _attached(call, entity):
    prefix = call.params.get("PathPrefix") or "/"
    policies = [p for p in entity.managed_policies.values() if p.path.startswith(prefix)]
    return page(call, "AttachedPolicies", [{"PolicyName": p.name, "PolicyArn": p.arn} for p in policies])


@handles("iam", "ListAttachedUserPolicies")
def list_attached_user_policies(call):
    return _attached(call, user_of(call))


@handles("iam", "ListAttachedRolePolicies")
def list_attached_role_policies(call):
    return _attached(call, role_of(call))


@handles("iam", "ListUserPolicies")
def list_user_policies(call):
    return page(call, "PolicyNames", user_of(call).policies)


@handles("iam", "ListRolePolicies")
def list_role_policies(call):
    return page(call, "PolicyNames", role_of(call).policies)


@handles("iam", "ListSSHPublicKeys")
def list_ssh_public_keys(call):
    user = user_of(call)
    keys = [
        {"UserName": user.name, "SSHPublicKeyId": k.ssh_public_key_id, "Status": k.status, "UploadDate": k.upload_date}
        for k in user.ssh_public_keys
    ]
    return page(call, "SSHPublicKeys", keys)


@handles("iam", "ListSigningCertificates")
def list_signing_certificates(call):
    user = user_of(call)
    certificates = [
        {
            "UserName": user.name,
            "CertificateId": c.certificate_id,
            "CertificateBody": c.certificate_body,
            "Status": c.status,
            "UploadDate": c.upload_date,
        }
        for c in user.signing_certificates.values()
    ]
    return page(call, "Certificates", certificates)


@handles("iam", "ListServiceSpecificCredentials")
def list_service_specific_credentials(call):
    users = iam_of(call.account).users.values() if call.params.get("AllUsers") in (True, "true") else [user_of(call)]
    service = call.params.get("ServiceName")
    found = [c for user in users for c in credentials_of(user) if not service or c["ServiceName"] == service]
    hidden = ("ServicePassword", "ServiceCredentialSecret")
    return page(
        call, "ServiceSpecificCredentials", [{k: v for k, v in c.items() if k not in hidden} for c in found]
    )


# --- console password ------------------------------------------------------------------------------


@handles("iam", "CreateLoginProfile")
def create_login_profile(call):
    user = user_of(call)
    if user.password:
        raise AwsError("EntityAlreadyExists", f"Login Profile for user {user.name} already exists.", 409)
    if not call.params.get("Password"):
        raise AwsError("ValidationError", "A password is required.")
    user.password = call.params["Password"]
    user.password_reset_required = call.params.get("PasswordResetRequired") in (True, "true")
    user.login_profile_date = utcnow()
    return {"LoginProfile": _login_profile(user)}


@handles("iam", "GetLoginProfile")
def get_login_profile(call):
    user = user_of(call)
    if not user.password:
        raise no_such_entity(f"Login Profile for User {user.name} cannot be found.")
    return {"LoginProfile": _login_profile(user)}


def _login_profile(user):
    return {
        "UserName": user.name,
        "CreateDate": user.login_profile_date,
        "PasswordResetRequired": user.password_reset_required,
    }


# --- MFA devices -----------------------------------------------------------------------------------


@guards("iam", "EnableMFADevice")
def refuse_mfa_device(call):
    serial = call.params["SerialNumber"]
    device = iam_of(call.account).virtual_mfa_devices.get(serial)
    user_of(call)
    if device is None:
        # Hardware devices are not modelled: a serial number that is no virtual device is unknown.
        raise no_such_entity(f"VirtualMFADevice with serial number {serial} doesn't exist.")
    if device.user is not None:
        raise AwsError("EntityAlreadyExists", "MFA device is already in use.", 409)


@handles("iam", "DeactivateMFADevice")
def deactivate_mfa_device(call):
    user, serial = user_of(call), call.params["SerialNumber"]
    if serial not in user.mfa_devices:
        raise no_such_entity(f"MFA device with serial number {serial} does not exist for user {user.name}.")
    iam_of(call.account).deactivate_mfa_device(user.name, serial)
    return {}
