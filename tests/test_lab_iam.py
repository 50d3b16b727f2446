"""IAM operations moto lacks or lets through."""

import json
import urllib.parse

import pytest
from lab import policies, seed
from lab.client import Lab
from lab_assertions import refused

PADDED = {"Version": "2012-10-17", "Statement": [policies.deny("s3:*", "arn:aws:s3:::" + "x" * 1900)]}


def test_service_linked_role_cannot_be_changed(lab):
    role, caller = seed.service_linked_role(lab), seed.user(lab)
    iam = lab.client("iam", caller.key)
    document = json.dumps(policies.DENY_ALL)
    refused("UnmodifiableEntity", iam.put_role_policy, RoleName=role.name, PolicyName="x", PolicyDocument=document)
    refused("UnmodifiableEntity", iam.update_assume_role_policy, RoleName=role.name, PolicyDocument=document)
    assert iam.get_role(RoleName=role.name)["Role"]["RoleId"] == role.id
    assert iam.list_role_policies(RoleName=role.name)["PolicyNames"] == []


def test_identity_center_role_cannot_be_changed(lab):
    role, caller = seed.sso_role(lab), seed.user(lab)
    iam = lab.client("iam", caller.key)
    arguments = {"RoleName": role.name, "PolicyName": "x", "PolicyDocument": json.dumps(policies.DENY_ALL)}
    error = refused("UnmodifiableEntity", iam.put_role_policy, **arguments)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_user_inline_policies_are_limited_together(lab):
    iam, victim = lab.client("iam"), seed.user(lab, policy=None, keys=0)
    iam.put_user_policy(UserName=victim.name, PolicyName="one", PolicyDocument=json.dumps(PADDED))
    arguments = {"UserName": victim.name, "PolicyName": "two", "PolicyDocument": json.dumps(PADDED)}
    refused("LimitExceeded", iam.put_user_policy, **arguments)
    # Replacing a policy counts its new size, not the sum of both.
    iam.put_user_policy(UserName=victim.name, PolicyName="one", PolicyDocument=json.dumps(PADDED))
    iam.put_user_policy(UserName=victim.name, PolicyName="one", PolicyDocument=json.dumps(policies.DENY_ALL))
    iam.put_user_policy(**arguments | {"PolicyDocument": json.dumps(policies.DENY_ALL)})
    assert iam.list_user_policies(UserName=victim.name)["PolicyNames"] == ["one", "two"]


def test_white_space_is_not_counted(lab):
    iam, victim = lab.client("iam"), seed.user(lab, policy=None, keys=0)
    wide = json.dumps(policies.document(*[policies.deny() for _ in range(20)]), indent=60)
    assert len(wide) > 2048
    iam.put_user_policy(UserName=victim.name, PolicyName="wide", PolicyDocument=wide)


def test_role_inline_policies_have_ten_thousand_characters(lab):
    iam, role = lab.client("iam"), seed.role(lab, policy=None)
    for number in range(5):
        iam.put_role_policy(RoleName=role.name, PolicyName=f"p{number}", PolicyDocument=json.dumps(PADDED))
    arguments = {"RoleName": role.name, "PolicyName": "p6", "PolicyDocument": json.dumps(PADDED)}
    refused("LimitExceeded", iam.put_role_policy, **arguments)


def test_eleventh_managed_policy_is_refused(lab):
    iam, victim = lab.client("iam"), seed.user(lab, policy=None, keys=0)
    names = ["AWSDenyAll", "AdministratorAccess", "ReadOnlyAccess", "SecurityAudit", "IAMFullAccess",
             "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess", "AmazonSNSFullAccess", "AmazonSQSFullAccess",
             "AmazonEC2FullAccess", "IAMReadOnlyAccess"]  # fmt: skip
    arns = [f"arn:aws:iam::aws:policy/{name}" for name in names]
    for arn in arns[:10]:
        iam.attach_user_policy(UserName=victim.name, PolicyArn=arn)
    refused("LimitExceeded", iam.attach_user_policy, UserName=victim.name, PolicyArn=arns[10])
    iam.attach_user_policy(UserName=victim.name, PolicyArn=arns[0])


def test_third_key_is_refused_and_unknown_policies_do_not_exist(lab):
    iam, victim = lab.client("iam"), seed.user(lab, keys=2)
    refused("LimitExceeded", iam.create_access_key, UserName=victim.name)
    missing = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV9"
    refused("NoSuchEntity", iam.attach_user_policy, UserName=victim.name, PolicyArn=missing)
    refused("NoSuchEntity", iam.update_access_key, UserName=victim.name, AccessKeyId="A" * 20, Status="Inactive")


@pytest.mark.parametrize("owner", ["user", "role"])
def test_policy_documents_are_url_encoded_on_the_wire(lab, owner):
    iam = lab.boto_session((lab.admin["key"], lab.admin["secret"])).client("iam", endpoint_url=lab.endpoint)
    document = json.dumps(policies.document(policies.allow("s3:*", "arn:aws:s3:::a/b c*")))
    name = (seed.user(lab, keys=0) if owner == "user" else seed.role(lab)).name
    arguments = {f"{owner.capitalize()}Name": name, "PolicyName": "x"}
    getattr(iam, f"put_{owner}_policy")(PolicyDocument=document, **arguments)
    seen = []
    iam.meta.events.register("before-parse.iam", lambda response_dict, **_: seen.append(response_dict["body"]))
    answer = getattr(iam, f"get_{owner}_policy")(**arguments)
    wire = seen[0].decode().split("<PolicyDocument>")[1].split("</PolicyDocument>")[0]
    assert wire == urllib.parse.quote(document, safe="")
    assert answer["PolicyDocument"] == json.loads(document)


def test_service_specific_credentials(lab):
    iam, victim = lab.client("iam"), seed.user(lab, keys=0)
    seed.service_credentials(lab, victim)
    listed = iam.list_service_specific_credentials(UserName=victim.name)["ServiceSpecificCredentials"]
    assert {c["ServiceName"] for c in listed} == {"bedrock.amazonaws.com", "codecommit.amazonaws.com"}
    assert not any("ServicePassword" in c or "ServiceCredentialSecret" in c for c in listed)
    arguments = {"UserName": victim.name, "ServiceSpecificCredentialId": victim.codecommit_credential_id}
    iam.update_service_specific_credential(Status="Inactive", **arguments)
    listed = iam.list_service_specific_credentials(UserName=victim.name, ServiceName="codecommit.amazonaws.com")
    assert [c["Status"] for c in listed["ServiceSpecificCredentials"]] == ["Inactive"]
    iam.delete_service_specific_credential(**arguments)
    refused("NoSuchEntity", iam.update_service_specific_credential, Status="Active", **arguments)
    everyone = iam.list_service_specific_credentials(AllUsers=True, ServiceName="bedrock.amazonaws.com")
    assert victim.name in {c["UserName"] for c in everyone["ServiceSpecificCredentials"]}


def test_uploaded_keys_certificates_and_mfa(lab):
    iam, victim = lab.client("iam"), seed.user(lab, keys=0)
    seed.uploaded_keys(lab, victim)
    seed.mfa_device(lab, victim)
    iam.update_ssh_public_key(UserName=victim.name, SSHPublicKeyId=victim.ssh_key_id, Status="Inactive")
    assert iam.list_ssh_public_keys(UserName=victim.name)["SSHPublicKeys"][0]["Status"] == "Inactive"
    iam.update_signing_certificate(UserName=victim.name, CertificateId=victim.certificate_id, Status="Inactive")
    assert iam.list_signing_certificates(UserName=victim.name)["Certificates"][0]["Status"] == "Inactive"
    assert iam.list_mfa_devices(UserName=victim.name)["MFADevices"][0]["SerialNumber"] == victim.mfa_serial
    arguments = {"UserName": victim.name, "SSHPublicKeyId": "APKA" + "X" * 16, "Status": "Inactive"}
    refused("NoSuchEntity", iam.update_ssh_public_key, **arguments)


def test_unique_ids_have_their_prefixes(lab):
    assert seed.user(lab, keys=0).id.startswith("AIDA")
    assert seed.role(lab).id.startswith("AROA")


def test_the_demos_account():
    """In a lab of its own: its names are fixed."""
    with Lab() as lab:
        account = seed.account(lab)
        iam = lab.client("iam")
        keys = iam.list_access_keys(UserName="svc-build")["AccessKeyMetadata"]
        assert [k["Status"] for k in keys] == ["Active", "Active"]
        profiles = iam.list_instance_profiles_for_role(RoleName="app-server")["InstanceProfiles"]
        assert profiles[0]["Path"] == "/apps/"
        human = lab.client("sts", account.human_session).get_caller_identity()
        assert human["UserId"].endswith(":alice@example.com")
        assert iam.get_login_profile(UserName="svc-build")
        assert lab.bedrock(account.svc_build.bedrock_key)[0] == 200
