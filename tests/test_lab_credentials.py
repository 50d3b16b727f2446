"""Keys, sessions, passwords and API keys: who gets in, and with which error who does not."""

import json
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest
from lab import policies, seed
from lab.client import LabRefused
from lab_assertions import put_policy, put_role_policy, refused

SERVICES = [
    ("iam", "list_users", "InvalidClientTokenId"),
    ("sts", "get_caller_identity", "InvalidClientTokenId"),
    ("sns", "list_topics", "InvalidClientTokenId"),
    ("s3", "list_buckets", "InvalidAccessKeyId"),
    ("ec2", "describe_regions", "AuthFailure"),
    ("kms", "list_keys", "UnrecognizedClientException"),
    ("securityhub", "get_findings", "UnrecognizedClientException"),
]


def set_key(lab, victim, status, key=None):
    key = key or victim.key
    lab.client("iam").update_access_key(UserName=victim.name, AccessKeyId=key["AccessKeyId"], Status=status)


def test_inactive_key_is_refused_by_every_service_with_its_own_code(lab):
    victim = seed.user(lab)
    set_key(lab, victim, "Inactive")
    for service, operation, code in SERVICES:
        refused(code, getattr(lab.client(service, victim.key), operation))


def test_reactivated_key_works_again(lab):
    victim = seed.user(lab)
    set_key(lab, victim, "Inactive")
    set_key(lab, victim, "Active")
    assert lab.client("sts", victim.key).get_caller_identity()["Arn"] == victim.arn


def test_only_the_deactivated_key_of_two_is_refused(lab):
    victim = seed.user(lab, keys=2)
    set_key(lab, victim, "Inactive", victim.keys[0])
    refused("InvalidClientTokenId", lab.client("iam", victim.keys[0]).list_users)
    assert lab.client("iam", victim.keys[1]).list_users()["Users"]


def test_unknown_key_and_wrong_secret_are_told_apart(lab):
    victim = seed.user(lab)
    refused("InvalidClientTokenId", lab.client("iam", ("AKIA" + "Z" * 16, "x")).list_users)
    refused("SignatureDoesNotMatch", lab.client("iam", (victim.key["AccessKeyId"], "wrong")).list_users)
    refused("SignatureDoesNotMatch", lab.client("s3", (victim.key["AccessKeyId"], "wrong")).list_buckets)
    refused("InvalidSignatureException", lab.client("kms", (victim.key["AccessKeyId"], "wrong")).list_keys)


def test_altered_body_breaks_the_signature(lab):
    """The body is what was signed, not merely something with a signature beside it."""
    victim = seed.user(lab)
    seen = {}
    client = lab.boto_session(victim.key).client("iam", endpoint_url=lab.endpoint)

    def keep(request, **_):
        seen.update(url=request.url, headers=dict(request.headers), body=request.body)

    client.meta.events.register("before-send.iam.ListUsers", keep)
    client.list_users()
    body = seen["body"] if isinstance(seen["body"], bytes) else seen["body"].encode()
    headers = {k: v.decode() if isinstance(v, bytes) else v for k, v in seen["headers"].items()}
    headers.pop("Content-Length", None)
    altered = urllib.request.Request(seen["url"], body + b"&MaxItems=1", headers, method="POST")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(altered)
    assert b"SignatureDoesNotMatch" in raised.value.read()


def test_unsigned_call_is_refused(lab):
    status, _, body = lab.request("GET", "/some-bucket/some-key")
    assert status == 403
    assert "AccessDenied" in body


def test_session_needs_its_token(lab):
    victim = seed.user(lab)
    session = lab.session_token(victim.key)
    without = (session["AccessKeyId"], session["SecretAccessKey"])
    refused("InvalidToken", lab.client("s3", without).list_buckets)
    refused("InvalidToken", lab.client("s3", (*without, "another token")).list_buckets)
    lab.client("s3", session).list_buckets()


def test_session_survives_its_key_and_dies_with_the_deny(lab):
    victim = seed.user(lab)
    session = lab.session_token(victim.key)
    set_key(lab, victim, "Inactive")
    lab.client("s3", session).list_buckets()
    put_policy(lab, victim, "deny", policies.DENY_ALL)
    refused("AccessDenied", lab.client("s3", session).list_buckets)
    assert lab.client("sts", session).get_caller_identity()["Arn"] == victim.arn


def test_session_token_session_cannot_call_iam_but_can_assume_roles(lab):
    victim, role = seed.user(lab), seed.role(lab)
    session = lab.session_token(victim.key)
    refused("AccessDenied", lab.client("iam", session).list_users)
    refused("AccessDenied", lab.client("sts", session).get_session_token)
    assert lab.assume_role(session, role.arn, "from-a-session")["AccessKeyId"].startswith("ASIA")


def test_federated_session_has_its_own_name_and_only_the_permissions_given(lab):
    victim = seed.user(lab)
    bare = lab.federation_token(victim.key, "Bob")
    refused("AccessDenied", lab.client("s3", bare).list_buckets)
    given = lab.federation_token(victim.key, "Bob", policies.document(policies.allow("s3:ListAllMyBuckets")))
    lab.client("s3", given).list_buckets()
    identity = lab.client("sts", given).get_caller_identity()
    assert identity["UserId"] == f"{lab.account}:Bob"
    assert identity["Arn"] == f"arn:aws:sts::{lab.account}:federated-user/Bob"
    put_policy(lab, victim, "deny", policies.DENY_ALL)
    refused("AccessDenied", lab.client("s3", given).list_buckets)


def test_older_sessions_are_revoked_newer_ones_and_long_term_keys_are_not(lab):
    role, user = seed.role(lab), seed.user(lab)
    now = datetime.now(timezone.utc)
    _, old = seed.instance_session(lab, role, issued_at=(now - timedelta(minutes=10)).isoformat())
    _, new = seed.instance_session(lab, role, issued_at=now.isoformat())
    cut_off = (now - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    put_role_policy(lab, role, "AWSRevokeOlderSessions", policies.older_sessions_denied(cut_off))
    put_policy(lab, user, "AWSRevokeOlderSessions", policies.older_sessions_denied("2099-01-01T00:00:00Z"))
    refused("AccessDenied", lab.client("s3", old).list_buckets)
    lab.client("s3", new).list_buckets()
    lab.client("s3", user.key).list_buckets()


@pytest.mark.parametrize("by", ["userid", "instance"])
def test_session_scoped_deny_hits_that_session_alone(lab, by):
    role = seed.role(lab)
    bad_instance, bad = seed.instance_session(lab, role)
    _, good = seed.instance_session(lab, role)
    human = lab.mint_session(role.arn, "alice@example.com")
    if by == "userid":
        condition = {"StringEquals": {"aws:userid": f"{role.id}:{bad_instance}"}}
    else:
        arn = f"arn:aws:ec2:{lab.region}:{lab.account}:instance/{bad_instance}"
        condition = {"ArnEquals": {"ec2:SourceInstanceARN": arn}}
    put_role_policy(lab, role, "deny-one", policies.document(policies.deny(**condition)))
    refused("AccessDenied", lab.client("s3", bad).list_buckets)
    lab.client("s3", good).list_buckets()
    lab.client("s3", human).list_buckets()


def test_session_of_a_recreated_user_is_not_the_new_users(lab):
    victim = seed.user(lab, keys=1)
    session = lab.session_token(victim.key)
    iam = lab.client("iam")
    iam.delete_access_key(UserName=victim.name, AccessKeyId=victim.key["AccessKeyId"])
    iam.delete_user_policy(UserName=victim.name, PolicyName="permissions")
    iam.delete_user(UserName=victim.name)
    again = seed.user(lab, victim.name)
    assert again.id != victim.id
    refused("InvalidAccessKeyId", lab.client("s3", session).list_buckets)


def test_console_sign_in_needs_a_login_profile(lab):
    victim = seed.user(lab, keys=0)
    seed.console_login(lab, victim)
    session = lab.sign_in(victim.name, victim.password)
    assert lab.client("iam", session).list_users()["Users"]
    with pytest.raises(LabRefused):
        lab.sign_in(victim.name, "guess")
    lab.client("iam").delete_login_profile(UserName=victim.name)
    with pytest.raises(LabRefused):
        lab.sign_in(victim.name, victim.password)
    # An open console lives on until its user is denied.
    lab.client("iam", session).list_users()
    put_policy(lab, victim, "deny", policies.DENY_ALL)
    refused("AccessDenied", lab.client("iam", session).list_users)


def test_bedrock_key_works_until_inactive_or_denied(lab):
    victim = seed.user(lab)
    seed.service_credentials(lab, victim)
    update = lab.client("iam").update_service_specific_credential
    arguments = {"UserName": victim.name, "ServiceSpecificCredentialId": victim.bedrock_credential_id}
    assert lab.bedrock(victim.bedrock_key)[0] == 200
    update(Status="Inactive", **arguments)
    assert lab.bedrock(victim.bedrock_key)[0] == 403
    update(Status="Active", **arguments)
    assert lab.bedrock(victim.bedrock_key)[0] == 200
    put_policy(lab, victim, "deny", policies.document(policies.deny("bedrock:CallWithBearerToken")))
    status, body = lab.bedrock(victim.bedrock_key)
    assert (status, body["__type"]) == (403, "AccessDeniedException")
    assert lab.bedrock("ABSKunknown")[0] == 403


def test_key_use_is_remembered(lab):
    victim = seed.user(lab)
    ask = lab.client("iam").get_access_key_last_used
    key_id = victim.key["AccessKeyId"]
    assert "LastUsedDate" not in ask(AccessKeyId=key_id)["AccessKeyLastUsed"]
    lab.client("kms", victim.key).list_keys()
    used = ask(AccessKeyId=key_id)
    assert used["UserName"] == victim.name
    assert used["AccessKeyLastUsed"]["ServiceName"] == "kms"


def test_the_call_record_tells_who_did_what_and_how_it_ended(lab):
    victim = seed.user(lab, policy=policies.document(policies.allow("sns:ListTopics")))
    mark = lab.mark()
    lab.client("sns", victim.key).list_topics()
    refused("AccessDenied", lab.client("iam", victim.key).list_users)
    allowed, denied = lab.calls(mark, access_key=victim.key["AccessKeyId"])
    assert (allowed["service"], allowed["action"], allowed["decision"]) == ("sns", "ListTopics", "allow")
    assert (denied["action"], denied["decision"], denied["error"]) == ("ListUsers", "deny", "AccessDenied")
    assert allowed["principal"] == victim.arn
    assert json.dumps(denied)
