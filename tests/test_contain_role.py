"""Sessions of a role: the accused one is denied, and everybody else who uses the role keeps working."""

import hashlib
import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from lab import policies, seed
from lab.stage import FUNCTION
from lab_assertions import put_role_policy, refused

SESSION = "m.rossi@example.com"
INSTANCE = "i-0a1b2c3d4e5f67890"
MARGIN_SECONDS = 30


def shared_role(scene, **arguments):
    return seed.role(scene.lab, trust=policies.trust(account=scene.lab.account), **arguments)


def works(lab, credentials):
    lab.client("s3", credentials).list_buckets()
    lab.client("iam", credentials).list_users()


def dead(lab, credentials):
    refused("AccessDenied", lab.client("s3", credentials).list_buckets)
    refused("AccessDenied", lab.client("iam", credentials).list_users)
    refused("AuthorizationError", lab.client("sns", credentials).list_topics)


def inline_policies(lab, role):
    """Every inline policy of a role; boto3 has parsed the documents, in the order they are written."""
    iam = lab.client("iam")
    names = iam.list_role_policies(RoleName=role.name)["PolicyNames"]
    got = {name: iam.get_role_policy(RoleName=role.name, PolicyName=name)["PolicyDocument"] for name in names}
    return {
        name: json.dumps(document, separators=(",", ":")) for name, document in got.items() if name != "permissions"
    }


def deny_name(session):
    return "TourniquetDenySession-" + hashlib.sha256(session.encode()).hexdigest()


def instant(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def text_of(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- one named session ---------------------------------------------------------------------------------


def test_named_session_is_denied_and_no_other(scene):
    lab, role = scene.lab, shared_role(scene)
    stolen = lab.mint_session(role.arn, SESSION)
    colleague = lab.mint_session(role.arn, "alice@example.com")
    _, instance = seed.instance_session(lab, role)
    delivery = scene.fire(scene.accuse_role(role))
    assert delivery.result["outcome"] == "contained"
    dead(lab, stolen)
    works(lab, colleague)
    works(lab, instance)
    dead(lab, lab.mint_session(role.arn, SESSION))
    document = (
        '{"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*",'
        f'"Condition":{{"StringEquals":{{"aws:userid":"{role.id}:{SESSION}"}}}}}}]}}'
    )
    assert inline_policies(lab, role) == {deny_name(SESSION): document}


def test_sessions_of_one_role_have_cases_of_their_own(scene):
    """Two denies side by side: the second does not overwrite the first."""
    lab, role = scene.lab, shared_role(scene)
    first = scene.fire(scene.accuse_role(role))
    second = scene.fire(scene.accuse_role(role, words={SESSION: "bob@example.com"}))
    assert first.result["case"] != second.result["case"]
    assert set(inline_policies(lab, role)) == {deny_name(SESSION), deny_name("bob@example.com")}
    dead(lab, lab.mint_session(role.arn, SESSION))
    dead(lab, lab.mint_session(role.arn, "bob@example.com"))


def test_case_and_message_say_who_else_is_hit(scene):
    role = shared_role(scene)
    delivery = scene.fire(scene.accuse_role(role))
    radius = delivery.case.memory["decision"]["blast_radius"]
    assert radius[0].startswith("session ") and f"of role {role.name}" in radius[0]
    assert any("not hit: every other session of the role" in line for line in radius)
    assert all(line in delivery.message["message"] for line in radius)
    assert "contain the source" in delivery.message["message"]
    delivery.case.check_chain()


def test_two_dependent_calls_to_the_cut(scene):
    scene.fire(scene.accuse_role(shared_role(scene)))
    warm = scene.fire(scene.accuse_role(shared_role(scene)))
    assert not warm.attempts[0]["cold"]
    assert warm.result["cut_off_calls"] == 2


# --- an instance's credentials ----------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["instance-credentials-exfiltrated", "instance-credentials-used-from-other-account"])
def test_instance_credentials_are_denied_by_both_their_names(scene, event):
    lab, role = scene.lab, seed.role(scene.lab, profile_path="/")
    instance = seed.instance_id()
    _, stolen = seed.instance_session(lab, role, instance)
    _, neighbour = seed.instance_session(lab, role)
    human = lab.mint_session(role.arn, "alice@example.com")
    delivery = scene.fire(scene.accuse_role(role, event, "app-server", {INSTANCE: instance}), to=FUNCTION)
    assert delivery.result["outcome"] == "contained"
    dead(lab, stolen)
    works(lab, neighbour)
    works(lab, human)
    arn = f"arn:aws:ec2:{lab.region}:{lab.account}:instance/{instance}"
    document = (
        '{"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*",'
        f'"Condition":{{"StringEquals":{{"aws:userid":"{role.id}:{instance}"}}}}}},'
        '{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*",'
        f'"Condition":{{"ArnEquals":{{"ec2:SourceInstanceARN":"{arn}"}}}}}}]}}'
    )
    assert inline_policies(lab, role) == {deny_name(instance): document}


def test_instance_stays_denied_with_rotated_credentials(scene):
    lab, role = scene.lab, seed.role(scene.lab, profile_path="/")
    instance = seed.instance_id()
    scene.fire(scene.accuse_role(role, "instance-credentials-exfiltrated", "app-server", {INSTANCE: instance}), to=FUNCTION)
    _, rotated = seed.instance_session(lab, role, instance)
    dead(lab, rotated)


def test_session_that_only_calls_itself_an_instance_is_a_named_session(scene):
    """Whoever assumes a role chooses the session's name, so the name proves no instance."""
    lab, role = scene.lab, shared_role(scene)
    event = scene.accuse_role(role, "role-session-named-like-an-instance")
    assert scene.fire(event).result["outcome"] == "contained"
    (document,) = inline_policies(lab, role).values()
    assert "ec2:SourceInstanceARN" not in document
    dead(lab, lab.mint_session(role.arn, "i-0123456789abcdef0"))


# --- a role without a session ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def revoked(scene):
    role = shared_role(scene, profile_path="/")
    before = scene.lab.mint_session(role.arn, "old", issued_at=text_of(datetime.now(timezone.utc) - timedelta(hours=1)))
    fresh = scene.lab.mint_session(role.arn, "fresh")
    started = datetime.now(timezone.utc)
    delivery = scene.fire(scene.accuse_role(role, "role-without-session", "nightly-export"))
    return role, before, fresh, started, delivery


def cut_off(scene, role):
    (document,) = inline_policies(scene.lab, role).values()
    found = re.fullmatch(
        r'\{"Version":"2012-10-17","Statement":\[\{"Effect":"Deny","Action":\["\*"\],"Resource":\["\*"\],'
        r'"Condition":\{"DateLessThan":\{"aws:TokenIssueTime":"([0-9TZ:-]+)"\}\}\}\]\}',
        document,
    )
    assert found, document
    return instant(found[1])


def test_older_sessions_are_revoked(scene, revoked):
    role, before, fresh, _, delivery = revoked
    assert delivery.result["outcome"] == "contained"
    assert set(inline_policies(scene.lab, role)) == {"TourniquetRevokeOlderSessions"}
    dead(scene.lab, before)
    dead(scene.lab, fresh)


def test_cut_off_lies_half_a_minute_ahead(scene, revoked):
    """IAM needs a while: a session renewed in that gap must not escape."""
    role, _, _, started, delivery = revoked
    ahead = cut_off(scene, role) - started.replace(microsecond=0)
    finished = datetime.fromtimestamp(delivery.attempts[-1]["at"], timezone.utc)
    latest = finished - started + timedelta(seconds=MARGIN_SECONDS + 1)
    assert timedelta(seconds=MARGIN_SECONDS) <= ahead <= latest


def test_session_minted_after_the_cut_off_works(scene, revoked):
    role = revoked[0]
    after = cut_off(scene, role) + timedelta(seconds=2)
    works(scene.lab, scene.lab.mint_session(role.arn, "new", issued_at=text_of(after)))


def test_blast_radius_names_the_users_of_the_role(revoked):
    role, _, _, _, delivery = revoked
    radius = delivery.case.memory["decision"]["blast_radius"][0]
    assert f"every session of role {role.name}" in radius
    assert f"instance profile {role.name}" in radius
    assert radius in delivery.message["message"]


def put_revocation(lab, role, moment):
    """A revocation as the function writes it, without white space: any other text would not be its own."""
    document = json.dumps(policies.older_sessions_denied(text_of(moment)), separators=(",", ":"))
    lab.client("iam").put_role_policy(
        RoleName=role.name, PolicyName="TourniquetRevokeOlderSessions", PolicyDocument=document
    )


def test_later_cut_off_in_force_is_kept(scene):
    role = shared_role(scene)
    later = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=50)
    put_revocation(scene.lab, role, later)
    scene.fire(scene.accuse_role(role, "role-without-session", "nightly-export"))
    assert cut_off(scene, role) == later


def test_earlier_cut_off_is_moved_on(scene):
    role = shared_role(scene)
    put_revocation(scene.lab, role, datetime.now(timezone.utc) - timedelta(hours=1))
    scene.fire(scene.accuse_role(role, "role-without-session", "nightly-export"))
    assert cut_off(scene, role) > datetime.now(timezone.utc)


def test_revocation_by_the_console_button_is_left_alone(scene):
    lab, role = scene.lab, shared_role(scene)
    theirs = policies.older_sessions_denied("2026-11-21T00:00:00Z")
    put_role_policy(lab, role, "AWSRevokeOlderSessions", theirs)
    scene.fire(scene.accuse_role(role, "role-without-session", "nightly-export"))
    found = inline_policies(lab, role)
    assert set(found) == {"AWSRevokeOlderSessions", "TourniquetRevokeOlderSessions"}
    assert json.loads(found["AWSRevokeOlderSessions"]) == theirs
