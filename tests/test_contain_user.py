"""A compromised IAM user, from the finding on the bus to the last credential dead."""

import json
import re
from urllib.parse import unquote

import pytest
from lab import policies, seed
from lab.client import LabRefused
from lab_assertions import refused

DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Sid":"IRDenyAll","Effect":"Deny","Action":"*","Resource":"*"}]}'


class Victim:
    """A user with every credential there is, the attacker's sessions among them, and a finding about it."""

    def __init__(self, scene):
        lab = scene.lab
        self.user = seed.user(lab, keys=2, everything=True)
        self.console = lab.sign_in(self.user.name, self.user.password)
        self.copy = scene.import_copy(scene.accuse(self.user, "leaked-access-key-security-hub-copy"))
        self.finding = self.copy.rsplit("/", 1)[1]
        self.event = scene.accuse(self.user, finding=self.finding)


@pytest.fixture(scope="module")
def victim(scene):
    return Victim(scene)


@pytest.fixture(scope="module")
def contained(scene, victim):
    """The finding fired through the template's own rule."""
    return scene.fire(victim.event)


def stored_policy(lab, user, policy):
    """An inline policy as IAM sends it: boto3 would parse it, and two texts may parse to the same."""
    sent = []
    client = lab.client("iam", retries=2)
    client.meta.events.register_first(
        "after-call.iam.GetUserPolicy", lambda parsed, **_: sent.append(parsed["PolicyDocument"])
    )
    client.get_user_policy(UserName=user.name, PolicyName=policy)
    return unquote(sent[-1])


def user_policy(lab, user):
    """The names of the user's inline policies."""
    return lab.client("iam").list_user_policies(UserName=user.name)["PolicyNames"]


def attached(lab, user):
    found = lab.client("iam").list_attached_user_policies(UserName=user.name)["AttachedPolicies"]
    return [policy["PolicyName"] for policy in found]


def key_states(lab, user):
    keys = lab.client("iam").list_access_keys(UserName=user.name)["AccessKeyMetadata"]
    return {key["AccessKeyId"]: key["Status"] for key in keys}


# --- the attacker ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("iam", "list_users", "InvalidClientTokenId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("ec2", "describe_instances", "AuthFailure"),
        ("sns", "list_topics", "InvalidClientTokenId"),
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_both_keys_are_refused_everywhere(scene, victim, contained, which, service, operation, code):
    refused(code, getattr(scene.lab.client(service, victim.user.keys[which]), operation))


@pytest.mark.parametrize("minted", ["session", "console"])
@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "AccessDenied"),
        ("ec2", "describe_instances", "UnauthorizedOperation"),
        ("sns", "list_topics", "AuthorizationError"),
        ("dynamodb", "list_tables", "AccessDeniedException"),
    ],
)
def test_sessions_minted_before_are_refused_too(scene, victim, contained, minted, service, operation, code):
    """Their key is dead, they are not: only the deny ends them."""
    session = victim.user.session if minted == "session" else victim.console
    refused(code, getattr(scene.lab.client(service, session), operation))


def test_session_cannot_assume_a_role(scene, victim, contained):
    role = seed.role(scene.lab, trust=policies.trust(principals=[victim.user.arn]))
    sts = scene.lab.client("sts", victim.user.session)
    refused("AccessDenied", sts.assume_role, RoleArn=role.arn, RoleSessionName="next")


def test_console_password_is_gone(scene, victim, contained):
    with pytest.raises(LabRefused):
        scene.lab.sign_in(victim.user.name, victim.user.password)


def test_bedrock_api_key_is_refused(scene, victim, contained):
    assert scene.lab.bedrock(victim.user.bedrock_key)[0] == 403


def test_every_credential_is_inactive_and_still_exists(scene, victim, contained):
    iam, name = scene.lab.client("iam"), victim.user.name
    assert key_states(scene.lab, victim.user) == {key["AccessKeyId"]: "Inactive" for key in victim.user.keys}
    services = iam.list_service_specific_credentials(UserName=name)["ServiceSpecificCredentials"]
    assert {c["ServiceSpecificCredentialId"]: c["Status"] for c in services} == {
        victim.user.bedrock_credential_id: "Inactive",
        victim.user.codecommit_credential_id: "Inactive",
    }
    (ssh,) = iam.list_ssh_public_keys(UserName=name)["SSHPublicKeys"]
    assert (ssh["SSHPublicKeyId"], ssh["Status"]) == (victim.user.ssh_key_id, "Inactive")
    (certificate,) = iam.list_signing_certificates(UserName=name)["Certificates"]
    assert (certificate["CertificateId"], certificate["Status"]) == (victim.user.certificate_id, "Inactive")
    (device,) = iam.list_mfa_devices(UserName=name)["MFADevices"]
    assert device["SerialNumber"] == victim.user.mfa_serial


def test_deny_is_the_documented_one_byte_for_byte(scene, victim, contained):
    assert stored_policy(scene.lab, victim.user, "TourniquetDenyAll") == DENY_ALL
    assert sorted(user_policy(scene.lab, victim.user)) == ["TourniquetDenyAll", "permissions"]


def test_quarantine_marker_is_the_newest_that_exists(scene, victim, contained):
    """moto's policies end at V3: a partition that lacks the newer version gets the one before."""
    assert attached(scene.lab, victim.user) == ["AWSCompromisedKeyQuarantineV3"]
    assert any("AWSCompromisedKeyQuarantineV3" in line for line in contained.case.entry("acted")["undo"])


# --- the report ------------------------------------------------------------------------------------


def test_answer_names_every_step(victim, contained):
    assert contained.result["outcome"] == "contained"
    assert contained.result["mode"] == "contain"
    assert contained.result["target"]["id"] == victim.user.id
    assert set(contained.steps().values()) == {"done"}
    steps = [step for step, _ in contained.steps()]
    assert steps[0] == "deny_all"
    assert sorted(steps[1:]) == [
        "attach_quarantine_marker",
        "deactivate_key",
        "deactivate_key",
        "deactivate_service_credential",
        "deactivate_service_credential",
        "deactivate_signing_certificate",
        "deactivate_ssh_key",
        "remove_login_profile",
    ]


def test_case_remembers_the_state_before(victim, contained):
    original = contained.case.original
    assert {key["id"]: key["active"] for key in original["keys"]} == {k["AccessKeyId"]: True for k in victim.user.keys}
    assert original["login"] is not None and original["deny"] is None
    assert all(c["active"] for c in original["service_credentials"] + original["ssh_keys"] + original["certificates"])


def test_ledger_is_one_unbroken_chain(contained):
    contained.case.check_chain()
    assert contained.case.kinds == ["opened", "acted", "verified", "reported"]
    assert contained.case.open["state"] == "settled"


@pytest.mark.parametrize("which", [0, 1, -1])
def test_changed_object_breaks_the_chain(contained, which):
    """Any entry but the last, and the event: somebody with write access leaves a trace."""
    case = contained.case
    key = sorted(key for key in case.objects if key.endswith(".json"))[which]
    case.objects[key] = case.objects[key].replace(b"svc", b"SVC").replace(b"user", b"USER")
    with pytest.raises(AssertionError):
        case.check_chain()


def test_case_keeps_the_event_as_delivered(victim, contained):
    kept = json.loads(contained.case.event())
    assert kept["detail"] == victim.event["detail"]


def test_people_are_told_once(scene, victim, contained):
    message = contained.message
    assert message["subject"] == f"[Tourniquet] CONTAINED: user/{victim.user.name} in {scene.lab.account} (eu-west-1)"
    assert message["topic"] == scene.topic
    for heading in ("WHAT WAS DONE", "WHAT REMAINS POSSIBLE", "HOW TO UNDO", "WHERE TO LOOK"):
        assert heading in message["message"]


def test_first_alert_waits_for_no_function(scene, victim, contained):
    told = scene.lab.notifications(contained.notifications_before)
    assert [n["subject"] for n in told if victim.finding in n["message"]][0] is None


def test_finding_in_security_hub_is_noted_and_marked(scene, victim, contained):
    finding = scene.in_security_hub(victim.copy)
    assert finding["Workflow"]["Status"] == "NOTIFIED"
    assert finding["Note"]["UpdatedBy"] == "tourniquet"
    assert contained.result["case"] in finding["Note"]["Text"]
    assert len(finding["Note"]["Text"]) <= 512


def test_keys_and_tokens_stay_in_the_case(scene, victim, contained):
    """What leaves the case names a key by its ends alone; a session token is nowhere."""
    logs = scene.lab.client("logs")
    group = scene.deployment.outputs["ContainIdentityLogGroup"]

    def written():
        lines = [e["message"] for e in logs.filter_log_events(logGroupName=group)["events"]]
        return [line for line in lines if contained.result["case"] in line]

    line = "".join(scene.lab.wait_for(written))
    places = [line, json.dumps(contained.answer), contained.message["message"]]
    places.append(scene.in_security_hub(victim.copy)["Note"]["Text"])
    for place in places:
        for key in victim.user.keys:
            assert key["AccessKeyId"] not in place
            assert key["SecretAccessKey"] not in place
        assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b", place)
        assert victim.user.session["SessionToken"] not in place
    key = victim.user.key["AccessKeyId"]
    assert f"AKIA…{key[-4:]}" in contained.message["message"]


def test_two_dependent_calls_to_the_cut(scene):
    """Observe, then deny: counted on a warm function, as DESIGN promises it."""
    scene.fire(scene.accuse(seed.user(scene.lab)))
    warm = scene.fire(scene.accuse(seed.user(scene.lab)))
    assert not warm.attempts[0]["cold"]
    assert warm.result["cut_off_calls"] == 2
    assert 0 < warm.result["cut_off_ms"] < 5000


# --- findings that arrive otherwise ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ("user-session-token", "svc-report"),
        ("s3-finding-by-user", "svc-orders"),
        ("attack-sequence-one-actor", "svc-deploy"),
        ("hostile-text", "svc-mirror"),
    ],
)
def test_other_findings_about_a_user_contain_it(scene, event, named):
    user = seed.user(scene.lab)
    delivery = scene.fire(scene.accuse(user, event, named))
    assert delivery.result["outcome"] == "contained"
    refused("InvalidAccessKeyId", scene.lab.client("s3", user.key).list_buckets)


def test_hostile_text_is_made_printable(scene):
    delivery = scene.fire(scene.accuse(seed.user(scene.lab), "hostile-text", "svc-mirror"))
    text = delivery.message["message"]
    assert all(character.isprintable() or character == "\n" for character in text)
    assert delivery.message["subject"].isascii()


def test_exposed_key_finds_its_user(scene):
    """AWS Health names the key alone, in us-east-1; the rule of this Region sees what is forwarded to it."""
    user = seed.user(scene.lab, everything=True)
    event = scene.accuse(user, "exposed-key-health")
    words = json.dumps(event).replace("us-east-1", scene.lab.region).replace("7f3kQ2mWzX", user.name)
    delivery = scene.fire(json.loads(words))
    assert delivery.result["outcome"] == "contained"
    assert delivery.result["target"]["id"] == user.id
    refused("AccessDenied", scene.lab.client("s3", user.session).list_buckets)


def test_button_contains_what_was_only_proposed(scene):
    user = seed.user(scene.lab)
    finding = "0123456789abcdef0123456789abcdef"
    proposed = scene.fire(scene.accuse(user, "anomalous-behaviour-user", "j.doe", finding=finding))
    assert proposed.result["outcome"] == "proposed"
    clicked = scene.invoke(scene.accuse(user, "custom-action-user", "j.doe", finding=finding))
    assert clicked.result["outcome"] == "contained"
    assert clicked.result["case"] == proposed.result["case"]
    clicked.case.check_chain()
    assert len(clicked.messages()) == 1


# --- Security Hub's side -----------------------------------------------------------------------------


def test_status_set_by_a_person_is_kept(scene):
    victim = Victim(scene)
    hub = scene.lab.client("securityhub")
    identifier = {"Id": victim.copy, "ProductArn": scene.in_security_hub(victim.copy)["ProductArn"]}
    hub.batch_update_findings(FindingIdentifiers=[identifier], Workflow={"Status": "RESOLVED"})
    delivery = scene.fire(victim.event)
    assert delivery.result["outcome"] == "contained"
    finding = scene.in_security_hub(victim.copy)
    assert finding["Workflow"]["Status"] == "RESOLVED"
    assert finding["Note"]["UpdatedBy"] == "tourniquet"


def test_our_own_note_wakes_nobody(scene, victim, contained):
    """The note sends the finding's event again: no rule takes it, and the function would not either."""
    note_events = [d for d in scene.lab.deliveries() if d["rule"] and "FindingImported" in d["rule"]]
    assert note_events == []
    finding = scene.in_security_hub(victim.copy)
    event = {**scene.event("our-own-update"), "detail": {"findings": [json.loads(json.dumps(finding, default=str))]}}
    assert scene.invoke(event).ignored == "our_own_update"


# --- when something is missing or fails ----------------------------------------------------------------


def test_marker_that_aws_attached_is_left_to_aws(scene):
    user = seed.user(scene.lab)
    arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"
    scene.lab.client("iam").attach_user_policy(UserName=user.name, PolicyArn=arn)
    delivery = scene.fire(scene.accuse(user))
    assert delivery.result["outcome"] == "contained"
    assert attached(scene.lab, user) == ["AWSCompromisedKeyQuarantineV2"]
    assert "AttachUserPolicy" not in delivery.writes()
    assert not any("detach-user-policy" in line for line in delivery.case.entry("acted")["undo"])
    assert "AWS Support" in delivery.message["message"]


@pytest.mark.parametrize(
    ("read", "named"),
    [
        ("ListAccessKeys", "access keys"),
        ("GetLoginProfile", "console password"),
        ("ListServiceSpecificCredentials", "service-specific credentials"),
        ("ListSSHPublicKeys", "SSH keys"),
        ("ListSigningCertificates", "signing certificates"),
        ("ListMFADevices", "MFA devices"),
        ("ListAttachedUserPolicies", "attached policies"),
        ("GetUserPolicy", "our own deny"),
    ],
)
def test_unreadable_list_is_named_and_the_rest_is_contained(scene, read, named):
    victim = Victim(scene)
    function = scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", times=99, action=f"iam:{read}")
    try:
        delivery = scene.invoke(victim.event, function)
    finally:
        scene.lab.clear_faults()
    assert delivery.result["outcome"] == "partial"
    assert f"could not be read, so not contained: {named}: AccessDenied" in delivery.message["message"]
    assert set(delivery.steps().values()) == {"done"}
    assert len(delivery.messages()) == 1
    refused("AccessDenied", scene.lab.client("s3", victim.user.session).list_buckets)
    if read != "ListAccessKeys":
        assert set(key_states(scene.lab, victim.user).values()) == {"Inactive"}


def test_step_that_fails_for_good_stops_and_reverts_nothing(scene):
    victim = Victim(scene)
    function = scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", times=99, action="iam:UpdateSSHPublicKey")
    try:
        delivery = scene.invoke(victim.event, function)
    finally:
        scene.lab.clear_faults()
    assert delivery.result["outcome"] == "partial"
    failed = {step for step, status in delivery.steps().items() if status != "done"}
    assert failed == {("deactivate_ssh_key", victim.user.ssh_key_id)}
    assert len(delivery.attempts) == 1, "a refusal for good is no reason to try again"
    assert "DeleteUserPolicy" not in delivery.writes()
    assert (
        f"deactivate_ssh_key              {victim.user.ssh_key_id} (failed: AccessDenied" in delivery.message["message"]
    )
    assert set(key_states(scene.lab, victim.user).values()) == {"Inactive"}
    refused("AccessDenied", scene.lab.client("s3", victim.user.session).list_buckets)


@pytest.mark.parametrize("kind", ["throttle", "internal_error"])
def test_passing_trouble_is_tried_again(scene, kind):
    """Trouble that outlasts the SDK's own tries is mended by Lambda's next one."""
    victim = Victim(scene)
    function = scene.copy()
    scene.lab.fault(function, at_call=1, kind=kind, times=3, action="iam:UpdateSSHPublicKey")
    try:
        delivery = scene.invoke(victim.event, function)
    finally:
        scene.lab.clear_faults()
    assert [attempt["status"] for attempt in delivery.attempts] == ["error", "ok"]
    assert delivery.attempts[0]["error"]["errorType"] == "Retryable"
    assert delivery.result["outcome"] == "contained"
    assert len(delivery.messages()) == 1
    delivery.case.check_chain()
