"""When something of a user or role was made, enabled or used, for tests that look back in time.

The API sets these dates itself and none of them can be written; `POST /lab/dates` can.
"""

from moto.iam.models import AccessKeyLastUsed

from .principals import iam_of
from .services.iam import credentials_of


def set_dates(account, what, at, user=None, role=None, id=None, service="", region=""):
    """Date one thing, or all of its kind where no id is given; how many there were."""
    backend = iam_of(account)
    entities, name = (backend.users, user) if user else (backend.roles, role)
    entity = next((e for e in entities.values() if e.name == name), None)
    kinds = _OF_USER if user else _OF_ROLE
    if entity is None or what not in kinds:
        raise KeyError(f"{name} has no {what}; known are {', '.join(kinds)}")
    dated = kinds[what](entity, backend, at, id, service, region)
    if not dated:
        raise KeyError(f"{name} has no such {what}: {id or 'none at all'}")
    return dated


def _attribute(attribute):
    def set_it(entity, _backend, at, *_):
        setattr(entity, attribute, at)
        return 1

    return set_it


def _each(things, attribute, key):
    """Set an attribute of every thing a user has of one kind, or of the one with this id."""

    def set_it(user, _backend, at, wanted, *_):
        found = [thing for thing in things(user) if wanted in (None, getattr(thing, key))]
        for thing in found:
            setattr(thing, attribute, at)
        return len(found)

    return set_it


def _login_profile(user, _backend, at, *_):
    user.login_profile_date = at
    return 1 if user.password else 0


def _service_credentials(user, _backend, at, wanted, *_):
    found = [c for c in credentials_of(user) if wanted in (None, c["ServiceSpecificCredentialId"])]
    for credential in found:
        credential["CreateDate"] = at
    return len(found)


def _mfa_devices(user, backend, at, wanted, *_):
    found = [d for d in user.mfa_devices.values() if wanted in (None, d.serial_number)]
    for device in found:
        device.enable_date = at
        backend.virtual_mfa_devices[device.serial_number].enable_date = at
    return len(found)


def _key_used(user, _backend, at, wanted, service, region):
    found = [key for key in user.access_keys if wanted in (None, key.access_key_id)]
    for key in found:
        key.last_used = AccessKeyLastUsed(at, service or "iam", region or "us-east-1")
    return len(found)


def _role_used(role, _backend, at, _wanted, _service, region):
    role.last_used, role.last_used_region = at, region or "us-east-1"
    return 1


_OF_USER = {
    "created": _attribute("create_date"),
    "password_used": _attribute("password_last_used"),
    "login_profile": _login_profile,
    "access_key": _each(lambda user: user.access_keys, "create_date", "access_key_id"),
    "access_key_used": _key_used,
    "service_credential": _service_credentials,
    "ssh_key": _each(lambda user: user.ssh_public_keys, "upload_date", "ssh_public_key_id"),
    "certificate": _each(lambda user: user.signing_certificates.values(), "upload_date", "certificate_id"),
    "mfa_device": _mfa_devices,
}
_OF_ROLE = {"created": _attribute("create_date"), "used": _role_used}
