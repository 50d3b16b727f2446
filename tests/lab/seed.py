"""People, workloads and loot for the lab: victims with every credential an identity can have.

The functions take a running `Lab` and make one thing each, with a name of its own unless told
otherwise, so that tests share a lab without meeting. `account` makes the demo's whole account.
"""

import itertools
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import policies

_numbers = itertools.count(1)


def unique(prefix):
    return f"{prefix}-{next(_numbers)}-{secrets.token_hex(3)}"


@dataclass
class User:
    name: str
    arn: str
    id: str
    keys: list = field(default_factory=list)
    """AccessKey structures, oldest first."""
    password: str = ""
    bedrock_key: str = ""
    bedrock_credential_id: str = ""
    codecommit_credential_id: str = ""
    ssh_key_id: str = ""
    certificate_id: str = ""
    mfa_serial: str = ""
    session: dict = None
    """A GetSessionToken session minted with the first key."""

    @property
    def key(self):
        return self.keys[0]


@dataclass
class Role:
    name: str
    arn: str
    id: str
    profile: str = ""


def user(lab, name=None, path="/", keys=1, policy=policies.ADMINISTRATOR, everything=False):
    """A user with access keys and a policy; with `everything`, every other credential too."""
    iam = lab.client("iam")
    name = name or unique("user")
    made = iam.create_user(UserName=name, Path=path)["User"]
    victim = User(name, made["Arn"], made["UserId"])
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="permissions", PolicyDocument=json.dumps(policy))
    for _ in range(keys):
        victim.keys.append(iam.create_access_key(UserName=name)["AccessKey"])
    if everything:
        console_login(lab, victim)
        service_credentials(lab, victim)
        uploaded_keys(lab, victim)
        mfa_device(lab, victim)
        victim.session = lab.session_token(victim.key)
    return victim


def new_key(lab, victim, at=None, by=None):
    """One more access key, made at some time, by the admin or with somebody's credentials."""
    key = lab.client("iam", by).create_access_key(UserName=victim.name)["AccessKey"]
    victim.keys.append(key)
    if at:
        lab.set_date("access_key", at, user=victim.name, id=key["AccessKeyId"])
    return key


def console_login(lab, victim, at=None, by=None):
    victim.password = secrets.token_urlsafe(16)
    lab.client("iam", by).create_login_profile(UserName=victim.name, Password=victim.password)
    if at:
        lab.set_date("login_profile", at, user=victim.name)


def service_credentials(lab, victim):
    create = lab.client("iam").create_service_specific_credential
    bedrock = create(UserName=victim.name, ServiceName="bedrock.amazonaws.com")["ServiceSpecificCredential"]
    victim.bedrock_key = bedrock["ServiceCredentialSecret"]
    victim.bedrock_credential_id = bedrock["ServiceSpecificCredentialId"]
    codecommit = create(UserName=victim.name, ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"]
    victim.codecommit_credential_id = codecommit["ServiceSpecificCredentialId"]


def uploaded_keys(lab, victim):
    iam, key = lab.client("iam"), ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    uploaded = iam.upload_ssh_public_key(UserName=victim.name, SSHPublicKeyBody=public.decode())
    victim.ssh_key_id = uploaded["SSHPublicKey"]["SSHPublicKeyId"]
    certificate = iam.upload_signing_certificate(UserName=victim.name, CertificateBody=_certificate(key, victim.name))
    victim.certificate_id = certificate["Certificate"]["CertificateId"]


def _certificate(key, name):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    built = builder.not_valid_after(now + timedelta(days=30)).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM).decode()


def mfa_device(lab, victim, at=None, by=None):
    """A virtual MFA device, enabled at some time, by the admin or with somebody's credentials; its serial number."""
    iam = lab.client("iam", by)
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName=unique(victim.name))["VirtualMFADevice"]
    victim.mfa_serial = victim.mfa_serial or device["SerialNumber"]
    iam.enable_mfa_device(
        UserName=victim.name,
        SerialNumber=device["SerialNumber"],
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )
    if at:
        lab.set_date("mfa_device", at, user=victim.name, id=device["SerialNumber"])
    return device["SerialNumber"]


def role(lab, name=None, path="/", trust=None, policy=policies.ADMINISTRATOR, profile_path=None):
    """A role; with `profile_path`, in an instance profile of its own name."""
    iam = lab.client("iam")
    name = name or unique("role")
    trust = trust or policies.trust(service="ec2.amazonaws.com", account=lab.account)
    made = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    if policy:
        iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=json.dumps(policy))
    result = Role(name, made["Arn"], made["RoleId"])
    if profile_path:
        profile = iam.create_instance_profile(InstanceProfileName=name, Path=profile_path)["InstanceProfile"]
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        result.profile = profile["Arn"]
    return result


def instance_id():
    return "i-0" + secrets.token_hex(8)


def instance_session(lab, of_role, instance=None, issued_at=None):
    """The credentials an instance would get from its metadata service; (instance id, credentials)."""
    instance = instance or instance_id()
    arn = f"arn:aws:ec2:{lab.region}:{lab.account}:instance/{instance}"
    return instance, lab.mint_session(of_role.arn, instance, instance_arn=arn, issued_at=issued_at)


def service_linked_role(lab, service="guardduty.amazonaws.com"):
    iam = lab.client("iam")
    for page in iam.get_paginator("list_roles").paginate(PathPrefix=f"/aws-service-role/{service}/"):
        for existing in page["Roles"]:
            return Role(existing["RoleName"], existing["Arn"], existing["RoleId"])
    made = iam.create_service_linked_role(AWSServiceName=service)["Role"]
    return Role(made["RoleName"], made["Arn"], made["RoleId"])


def sso_role(lab, permission_set=None):
    """The role IAM Identity Center provisions for a permission set."""
    name = f"AWSReservedSSO_{permission_set or unique('Developers')}_{secrets.token_hex(8)}"
    trust = policies.trust(service="sso.amazonaws.com")
    return role(lab, name, "/aws-reserved/sso.amazonaws.com/", trust=trust)


@dataclass
class Account:
    svc_build: User
    break_glass: User
    app_server: Role
    compromised_instance: str
    compromised_session: dict
    healthy_instance: str
    healthy_session: dict
    human_session: dict
    service_linked: Role
    sso: Role


def account(lab):
    """The account of the demo."""
    svc_build = user(lab, "svc-build", keys=2, everything=True)
    app_server = role(lab, "app-server", profile_path="/apps/")
    compromised, compromised_session = instance_session(lab, app_server, "i-0aaaaaaaaaaaaaaa1")
    healthy, healthy_session = instance_session(lab, app_server, "i-0bbbbbbbbbbbbbbb2")
    return Account(
        svc_build=svc_build,
        break_glass=user(lab, "break-glass", keys=1),
        app_server=app_server,
        compromised_instance=compromised,
        compromised_session=compromised_session,
        healthy_instance=healthy,
        healthy_session=healthy_session,
        human_session=lab.mint_session(app_server.arn, "alice@example.com"),
        service_linked=service_linked_role(lab),
        sso=sso_role(lab, "AdministratorAccess"),
    )
