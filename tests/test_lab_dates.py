"""When things were made, enabled and used: what IAM shows, in pages, and what a test can set."""

from datetime import datetime, timedelta, timezone

import pytest
from lab import policies, quotas, seed
from lab.client import LabRefused
from lab_assertions import put_policy, refused

LONG_AGO = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


def test_everything_a_user_has_can_be_dated(lab):
    iam, user = lab.client("iam"), seed.user(lab, keys=2, everything=True)
    first, second = (key["AccessKeyId"] for key in user.keys)
    name = {"UserName": user.name}
    made = datetime.now(timezone.utc) - timedelta(minutes=5)
    assert iam.get_login_profile(**name)["LoginProfile"]["CreateDate"] > made
    assert iam.list_mfa_devices(**name)["MFADevices"][0]["EnableDate"] > made
    for what in ("created", "password_used", "login_profile", "service_credential", "ssh_key", "certificate",
                 "mfa_device"):  # fmt: skip
        assert lab.set_date(what, LONG_AGO, user=user.name) >= 1
    lab.set_date("access_key", LONG_AGO, user=user.name, id=second)
    lab.set_date("access_key_used", LONG_AGO, user=user.name, id=second, service="s3", region="eu-west-3")

    shown = iam.get_user(**name)["User"]
    assert (shown["CreateDate"], shown["PasswordLastUsed"]) == (LONG_AGO, LONG_AGO)
    assert iam.get_login_profile(**name)["LoginProfile"]["CreateDate"] == LONG_AGO
    services = iam.list_service_specific_credentials(**name)["ServiceSpecificCredentials"]
    assert [c["CreateDate"] for c in services] == [LONG_AGO, LONG_AGO]
    assert iam.list_ssh_public_keys(**name)["SSHPublicKeys"][0]["UploadDate"] == LONG_AGO
    assert iam.list_signing_certificates(**name)["Certificates"][0]["UploadDate"] == LONG_AGO
    assert iam.list_mfa_devices(**name)["MFADevices"][0]["EnableDate"] == LONG_AGO
    keys = {k["AccessKeyId"]: k["CreateDate"] for k in iam.list_access_keys(**name)["AccessKeyMetadata"]}
    assert keys[first] > made and keys[second] == LONG_AGO
    assert iam.get_access_key_last_used(AccessKeyId=second)["AccessKeyLastUsed"] == {
        "LastUsedDate": LONG_AGO,
        "ServiceName": "s3",
        "Region": "eu-west-3",
    }


def test_a_role_can_be_dated(lab):
    iam, role = lab.client("iam"), seed.role(lab)
    lab.set_date("created", LONG_AGO, role=role.name)
    lab.set_date("used", "2026-03-01T12:30:00Z", role=role.name, region="eu-west-3")
    shown = iam.get_role(RoleName=role.name)["Role"]
    assert shown["CreateDate"] == LONG_AGO
    assert shown["RoleLastUsed"] == {"LastUsedDate": LONG_AGO, "Region": "eu-west-3"}


@pytest.mark.parametrize("body", [{"what": "login_profile"}, {"what": "no_such_thing"}, {"what": "ssh_key", "id": "x"}])
def test_what_is_not_there_cannot_be_dated(lab, body):
    user = seed.user(lab, keys=0)
    with pytest.raises(LabRefused):
        lab.set_date(at=LONG_AGO, user=user.name, **body)


def test_seeds_take_a_date(lab):
    iam, user = lab.client("iam"), seed.user(lab)
    key = seed.new_key(lab, user, at=LONG_AGO)
    seed.console_login(lab, user, at=LONG_AGO)
    serial = seed.mfa_device(lab, user, at=LONG_AGO)
    newer = seed.mfa_device(lab, user)
    dates = {k["AccessKeyId"]: k["CreateDate"] for k in iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]}
    assert [k for k, at in dates.items() if at == LONG_AGO] == [key["AccessKeyId"]]
    assert iam.get_login_profile(UserName=user.name)["LoginProfile"]["CreateDate"] == LONG_AGO
    devices = {d["SerialNumber"]: d["EnableDate"] for d in iam.list_mfa_devices(UserName=user.name)["MFADevices"]}
    assert devices[serial] == LONG_AGO < devices[newer]


def test_signing_in_is_a_use_of_the_password(lab):
    iam, user = lab.client("iam"), seed.user(lab, keys=0)
    seed.console_login(lab, user)
    assert "PasswordLastUsed" not in iam.get_user(UserName=user.name)["User"]
    before = datetime.now(timezone.utc).replace(microsecond=0)
    lab.sign_in(user.name, user.password)
    assert iam.get_user(UserName=user.name)["User"]["PasswordLastUsed"] >= before


def test_a_login_profile_that_is_made_again_is_new(lab):
    iam, user = lab.client("iam"), seed.user(lab, keys=0)
    refused("NoSuchEntity", iam.get_login_profile, UserName=user.name)
    seed.console_login(lab, user, at=LONG_AGO)
    refused("EntityAlreadyExists", iam.create_login_profile, UserName=user.name, Password="another-one")
    iam.delete_login_profile(UserName=user.name)
    seed.console_login(lab, user)
    assert iam.get_login_profile(UserName=user.name)["LoginProfile"]["CreateDate"] > LONG_AGO


# --- MFA devices -----------------------------------------------------------------------------------


def test_a_deactivated_device_stays_and_belongs_to_nobody(lab):
    iam, user, other = lab.client("iam"), seed.user(lab, keys=0), seed.user(lab, keys=0)
    serial = seed.mfa_device(lab, user)
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    refused("EntityAlreadyExists", iam.enable_mfa_device, UserName=other.name, SerialNumber=serial, **codes)
    refused("NoSuchEntity", iam.deactivate_mfa_device, UserName=other.name, SerialNumber=serial)
    iam.deactivate_mfa_device(UserName=user.name, SerialNumber=serial)
    assert iam.list_mfa_devices(UserName=user.name)["MFADevices"] == []
    unassigned = iam.list_virtual_mfa_devices(AssignmentStatus="Unassigned")["VirtualMFADevices"]
    assert serial in [device["SerialNumber"] for device in unassigned]
    refused("NoSuchEntity", iam.deactivate_mfa_device, UserName=user.name, SerialNumber=serial)
    iam.enable_mfa_device(UserName=other.name, SerialNumber=serial, **codes)
    assert [d["SerialNumber"] for d in iam.list_mfa_devices(UserName=other.name)["MFADevices"]] == [serial]


def test_a_device_nobody_made_cannot_be_enabled(lab):
    user = seed.user(lab, keys=0)
    arguments = {"UserName": user.name, "AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    serial = f"arn:aws:iam::{lab.account}:mfa/nobody-made-it"
    refused("NoSuchEntity", lab.client("iam").enable_mfa_device, SerialNumber=serial, **arguments)


# --- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "member", "key"),
    [
        ("list_access_keys", "AccessKeyMetadata", "AccessKeyId"),
        ("list_mfa_devices", "MFADevices", "SerialNumber"),
        ("list_groups_for_user", "Groups", "GroupName"),
        ("list_attached_user_policies", "AttachedPolicies", "PolicyArn"),
        ("list_user_policies", "PolicyNames", None),
        ("list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId"),
        ("list_signing_certificates", "Certificates", "CertificateId"),
        ("list_service_specific_credentials", "ServiceSpecificCredentials", "ServiceSpecificCredentialId"),
    ],
)
def test_lists_come_in_pages(lab, rich, operation, member, key):
    call, name = getattr(lab.client("iam"), operation), {"UserName": rich.name}
    everything = call(**name)
    assert len(everything[member]) == 2 and not everything["IsTruncated"] and "Marker" not in everything
    first = call(MaxItems=1, **name)
    assert len(first[member]) == 1 and first["IsTruncated"]
    second = call(MaxItems=1, Marker=first["Marker"], **name)
    assert len(second[member]) == 1 and not second["IsTruncated"]
    assert first[member] + second[member] == everything[member]
    if key:
        assert len({item[key] for item in everything[member]}) == 2
    refused("ValidationError", call, Marker="made-up", **name)


@pytest.fixture(scope="module")
def rich(lab):
    """A user with two of everything."""
    user, iam = seed.user(lab, keys=2), lab.client("iam")
    put_policy(lab, user, "second", policies.ADMINISTRATOR)
    for _ in range(2):
        seed.mfa_device(lab, user)
        quotas.join(lab, user, quotas.group(lab))
        seed.uploaded_keys(lab, user)
    for policy in ("SecurityAudit", "ReadOnlyAccess"):
        iam.attach_user_policy(UserName=user.name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    seed.service_credentials(lab, user)
    return user
