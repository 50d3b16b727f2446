"""A case is released: what was shown is what is done, what leaked stays dead, and somebody's change is not undone (A23)."""

import json

import pytest
from lab import policies, quotas, seed
from lab.stage import ROOT
from lab_assertions import refused
from privileges import PROBE
from releasing import (
    DENY_ALL, HOLD, credentials_of, does, entries, hours_later, reasons, release, role_state, user_state, without_hold,
)  # fmt: skip
from scene import messages_about

ATTACHED_DENY = "arn:aws:iam::aws:policy/AWSDenyAll"


def contained(scene, event):
    delivery = scene.fire(event)
    assert delivery.result["outcome"] == "contained", delivery.result
    return delivery.result["case"]


def works(lab, credentials):
    lab.client("sns", credentials).list_topics()


def is_refused(lab, credentials):
    refused("AuthorizationError", lab.client("sns", credentials).list_topics)


def test_the_first_word_shows_and_the_second_does(scene):
    user = seed.user(scene.lab, everything=True)
    before = user_state(scene.lab, user)
    case = contained(scene, scene.accuse(user))
    held = user_state(scene.lab, user)
    shown = scene.release(case)
    assert (shown.result["release"], shown.changes()) == ("shown", [])
    assert user_state(scene.lab, user) == held
    steps = [step["step"] for step in shown.result["steps"]]
    # Newest first: the deny goes last.
    assert steps[-1] == "deny_all" and does(shown)["deny_all"] == {"undo"}
    assert does(shown)["deactivate_key"] == {"stay"}
    assert "RELEASE SHOWN" in shown.message["subject"] and "press Release again" in shown.message["message"]
    done = scene.release(case)
    assert done.result["release"] == "released", done.result
    after = user_state(scene.lab, user)
    assert DENY_ALL not in after["inline"]
    assert after["attached"] == before["attached"] and after["groups"] == before["groups"]
    assert set(after["keys"].values()) == {"Inactive"}, "a key that leaked stays leaked"
    fresh = scene.lab.client("iam").create_access_key(UserName=user.name)["AccessKey"]
    works(scene.lab, fresh)
    is_refused(scene.lab, user.session)
    refused("InvalidClientTokenId", scene.lab.client("sns", user.key).list_topics)


def test_everything_asked_for_by_name_is_as_it_was_byte_for_byte_once_the_hold_is_lifted(scene):
    user = seed.user(scene.lab, keys=2, everything=True)
    before = user_state(scene.lab, user)
    case = contained(scene, scene.accuse(user))
    done = release(scene, case, reactivate=credentials_of(user))
    assert done.result["release"] == "released", done.result
    after = user_state(scene.lab, user)
    # A password cannot be restored by anybody.
    assert without_hold(after) == {**before, "login": None}
    assert json.loads(after["inline"][HOLD])["Statement"][0]["Effect"] == "Deny"
    (hold,) = done.result["holds"]
    assert "not_scheduled" not in hold, hold
    is_refused(scene.lab, user.session)
    works(scene.lab, user.key)
    (planned,) = scene.lab.schedules(prefix=f"lift-{case}")
    hours_later(scene, case)
    lifted = scene.start({"lift": {"case": case}}, "release", forged=True).wait()
    assert lifted.result["release"] == "lifted", lifted.result
    assert user_state(scene.lab, user) == {**before, "login": None}
    assert (planned["function"], planned["input"]) == ("release", {"lift": {"case": case}})


def test_what_somebody_put_in_the_place_of_the_hold_is_not_lifted(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    release(scene, case)
    hours_later(scene, case)
    theirs = json.dumps(policies.ADMINISTRATOR)
    scene.lab.client("iam").put_user_policy(UserName=user.name, PolicyName=HOLD, PolicyDocument=theirs)
    lifted = scene.start({"lift": {"case": case}}, "release", forged=True).wait()
    assert lifted.result["release"] == "not_lifted" and "holds another document" in lifted.result["reason"]
    assert json.loads(user_state(scene.lab, user)["inline"][HOLD]) == policies.ADMINISTRATOR
    assert "NOT LIFTED" in lifted.message["subject"]


def test_what_keeps_older_sessions_out_is_not_lifted_before_its_time(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    release(scene, case)
    early = scene.start({"lift": {"case": case}}, "release", forged=True).wait()
    assert early.result["release"] == "refused" and "is to stay until" in early.result["reason"]
    assert HOLD in user_state(scene.lab, user)["inline"]


def test_a_session_of_a_role_stays_out_while_the_role_works(scene):
    role = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    before = role_state(scene.lab, role)
    stolen = scene.lab.mint_session(role.arn, "m.rossi@example.com")
    case = contained(scene, scene.accuse_role(role))
    done = release(scene, case)
    assert done.result["release"] == "released", done.result
    assert without_hold(role_state(scene.lab, role)) == before
    is_refused(scene.lab, stolen)
    again = scene.lab.mint_session(role.arn, "m.rossi@example.com", issued_at="2099-01-01T00:00:00Z")
    works(scene.lab, again)


def test_the_button_shows_at_the_first_click_and_does_at_the_second(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user, "leaked-access-key-security-hub-copy")
    fired = scene.fire(scene.accuse(user, finding=finding_id(event)))
    case = fired.result["case"]
    (finding,) = event["detail"]["findings"]
    first = scene.press("TourniquetRelease", finding)
    assert (first.result["case"], first.result["release"]) == (case, "shown")
    second = scene.press("TourniquetRelease", finding)
    assert second.result["release"] == "released", second.result
    (entry,) = entries(scene, case, "released")
    by = entry["what"]["by"]
    assert by["action"].endswith("action/custom/TourniquetRelease") and by["account"] == scene.lab.account
    assert "does not name the person" in entry["what"]["not_told"]


def test_from_finding_to_proposal_to_release_by_events_alone(scene):
    """A person reads messages and presses buttons; everything else follows from events."""
    lab, user = scene.lab, seed.user(scene.lab, everything=True)
    before = user_state(lab, user)
    works(lab, user.session)
    event = scene.accuse(user, "anomalous-behaviour-security-hub-copy", "j.doe")
    (finding,) = event["detail"]["findings"]
    asked = scene.fire(scene.accuse(user, "anomalous-behaviour-user", "j.doe", finding=finding_id(event)))
    assert (asked.result["outcome"], asked.changes()) == ("proposed", [])
    assert "Press Contain on this finding" in asked.message["message"] and user_state(lab, user) == before
    case = asked.result["case"]
    clicked = scene.press("TourniquetContain", finding)
    assert (clicked.result["case"], clicked.result["outcome"]) == (case, "contained")
    is_refused(lab, user.session)
    held = user_state(lab, user)
    shown = scene.press("TourniquetRelease", finding)
    assert (shown.result["case"], shown.result["release"]) == (case, "shown")
    assert user_state(lab, user) == held
    done = scene.press("TourniquetRelease", finding)
    assert done.result["release"] == "released", done.result
    is_refused(lab, user.session)
    scene.read_case(case).check_chain()
    # Past the lab's clock by writing into the ledger, which breaks its chain.
    hours_later(scene, case)
    lab.fire_schedules(prefix=f"lift-{case}")
    lab.wait_for(lambda: HOLD not in lab.client("iam").list_user_policies(UserName=user.name)["PolicyNames"])
    after = user_state(lab, user)
    # What leaked stays inactive unless it is asked for by name, and nobody can restore a password.
    alike = ("inline", "attached", "boundary", "groups", "mfa")
    assert {name: after[name] for name in alike} == {name: before[name] for name in alike}
    for kind in ("keys", "service", "ssh", "certificates"):
        assert after[kind].keys() == before[kind].keys() and set(after[kind].values()) <= {"Inactive"}
    refused("InvalidClientTokenId", lab.client("sns", user.key).list_topics)
    told = [message["subject"].split(":")[0] for message in messages_about(lab.notifications(), case)]
    assert told == [f"[Tourniquet] {word}" for word in ("PROPOSED", "CONTAINED", "RELEASE SHOWN", "RELEASED")]
    threads = {json.loads(m["card"])["metadata"]["threadId"] for m in messages_about(lab.notifications(), case)}
    assert threads == {case}


def finding_id(event):
    (finding,) = event["detail"]["findings"]
    return finding["Id"].rsplit("/", 1)[1]


def test_one_click_delivered_twice_is_no_second_word(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    click = {"release": {"case": case}}
    first = scene.start(click, "release", forged=True, request_id="11111111-2222-4333-8444-555555555555").wait()
    again = scene.start(click, "release", forged=True, request_id="11111111-2222-4333-8444-555555555555").wait()
    assert first.result["release"] == again.result["release"] == "shown" and again.result["repeat"]
    assert again.messages() == []
    assert DENY_ALL in user_state(scene.lab, user)["inline"]


def test_what_changed_since_it_was_shown_is_shown_again(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    scene.release(case)
    fresh = scene.lab.client("iam").create_access_key(UserName=user.name)["AccessKey"]
    second = scene.release(case)
    assert second.result["release"] == "shown" and second.changes() == []
    assert fresh["AccessKeyId"] not in json.dumps(second.result), "keys are redacted"
    assert "was made since, and is active" in reasons(second, "deny_all")
    third = scene.release(case)
    assert third.result["release"] == "partly_released"
    is_refused(scene.lab, fresh)
    forced = release(scene, case, force=["deny_all"])
    assert forced.result["release"] == "released", forced.result
    works(scene.lab, fresh)


def test_an_edited_deny_is_named_and_left(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    edited = json.dumps(policies.ADMINISTRATOR)
    scene.lab.client("iam").put_user_policy(UserName=user.name, PolicyName=DENY_ALL, PolicyDocument=edited)
    done = release(scene, case)
    assert done.result["release"] == "partly_released"
    assert "somebody edited the policy" in reasons(done, "deny_all")
    assert json.loads(user_state(scene.lab, user)["inline"][DENY_ALL]) == policies.ADMINISTRATOR
    assert HOLD not in user_state(scene.lab, user)["inline"]


def test_a_deleted_user_has_nothing_left_to_undo(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    delete(scene.lab, user)
    done = release(scene, case)
    assert done.result["release"] == "released"
    assert done.changes() == [] and "was deleted" in reasons(done, "deny_all")


def test_a_user_made_again_under_the_name_is_not_touched(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    delete(scene.lab, user)
    again = seed.user(scene.lab, user.name)
    before = user_state(scene.lab, again)
    refusal = scene.release(case)
    assert refusal.result["release"] == "refused" and "another principal now" in refusal.result["reason"]
    assert refusal.changes() == [] and user_state(scene.lab, again) == before
    assert "RELEASE REFUSED" in refusal.message["subject"]


def delete(lab, user):
    iam = lab.client("iam")
    for policy in iam.list_user_policies(UserName=user.name)["PolicyNames"]:
        iam.delete_user_policy(UserName=user.name, PolicyName=policy)
    for policy in iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=user.name, PolicyArn=policy["PolicyArn"])
    for key in iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user.name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=user.name)


@pytest.fixture
def crowded(scene):
    user = seed.user(scene.lab)
    quotas.fill_inline(scene.lab, user)
    return user


def test_a_deny_without_room_for_what_holds_the_sessions_stays(scene, crowded):
    before = user_state(scene.lab, crowded)
    case = contained(scene, scene.accuse(crowded))
    done = release(scene, case)
    assert done.result["release"] == "partly_released"
    assert "there is no room" in done.result["reason"]
    assert ATTACHED_DENY in user_state(scene.lab, crowded)["attached"]
    scene.lab.client("iam").delete_user_policy(UserName=crowded.name, PolicyName="padding")
    again = release(scene, case)
    assert again.result["release"] == "released", again.result
    assert user_state(scene.lab, crowded)["attached"] == before["attached"]


@pytest.mark.parametrize("had_one", [True, False])
def test_the_boundary_is_what_it_was(scene, crowded, had_one):
    old = quotas.set_boundary(scene.lab, crowded) if had_one else None
    quotas.fill_managed(scene.lab, crowded)
    delivery = scene.fire(scene.accuse(crowded))
    # There is no room for the marker.
    assert delivery.result["outcome"] == "partial" and quotas.boundary_of(scene.lab, crowded) == ATTACHED_DENY
    scene.lab.client("iam").delete_user_policy(UserName=crowded.name, PolicyName="padding")
    done = release(scene, delivery.result["case"])
    assert done.result["release"] == "released", done.result
    assert quotas.boundary_of(scene.lab, crowded) == old


def test_a_released_user_is_contained_again_as_another_case(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    case = contained(scene, event)
    release(scene, case)
    # The finding that was released, come again without anything new in it, contains nobody.
    same = scene.fire(event)
    assert same.result["outcome"] == "skipped" and same.messages(case) == []
    works(scene.lab, scene.lab.client("iam").create_access_key(UserName=user.name)["AccessKey"])
    other = scene.fire(scene.accuse(user))
    assert other.result["outcome"] == "contained" and other.result["case"] != case
    done = release(scene, other.result["case"])
    assert done.result["release"] == "released", done.result
    old = scene.release(case)
    assert old.ignored == "no_case"


def test_a_released_case_is_released_once(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    release(scene, case)
    again = scene.release(case)
    assert (again.result["release"], again.result["repeat"]) == ("nothing", True)
    assert again.changes() == [] and again.messages(case) == []


def test_another_finding_ends_a_release_that_was_left_half_done(scene):
    user = seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    fresh = scene.lab.client("iam").create_access_key(UserName=user.name)["AccessKey"]
    assert release(scene, case).result["release"] == "partly_released"
    delivery = scene.fire(scene.accuse(user, key=fresh["AccessKeyId"]))
    assert (delivery.result["case"], delivery.result["outcome"]) == (case, "contained")
    assert set(user_state(scene.lab, user)["keys"].values()) == {"Inactive"}


@pytest.mark.parametrize(
    "order, reason",
    [
        ({"case": "IR-20261121-00000000"}, "no_case"),
        ({"case": "../targets"}, "incomplete_event"),
        ({"case": "IR-20261121-00000000", "mode": "now"}, "incomplete_event"),
        ({"case": "IR-20261121-00000000", "sudo": True}, "incomplete_event"),
    ],
)
def test_an_order_that_names_no_case_changes_nothing(scene, order, reason):
    delivery = scene.start({"release": order}, "release", forged=True).wait()
    assert delivery.ignored == reason and delivery.changes() == []


@pytest.mark.parametrize("sample", sorted((ROOT / "events/release").glob("*.json")), ids=lambda sample: sample.stem)
def test_each_sample_is_understood(scene, sample):
    """The case it names is nobody's here."""
    delivery = scene.start(json.loads(sample.read_bytes()), "release", forged=True).wait()
    assert delivery.ignored in ("no_case", "not_at_source") and delivery.changes() == []


def test_a_key_that_the_case_did_not_deactivate_is_not_activated(scene):
    user, other = seed.user(scene.lab), seed.user(scene.lab)
    case = contained(scene, scene.accuse(user))
    refusal = scene.release(case, reactivate=[other.key["AccessKeyId"]])
    assert refusal.result["release"] == "refused" and "no credential that this case deactivated" in refusal.result["reason"]


def test_a_members_user_is_released_through_its_own_role(scene):
    member = scene.member()
    user = seed.user(member)
    before = user_state(member, user)
    case = contained(scene, scene.accuse(user))
    done = release(scene, case, reactivate=credentials_of(user))
    assert done.result["release"] == "released", done.result
    assert without_hold(user_state(member, user)) == before


def test_what_undoes_cannot_contain_and_what_contains_cannot_undo(scene):
    """By the roles themselves, whatever the code does."""
    user = seed.user(scene.lab)
    outputs = scene.deployment.outputs
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    undoes = scene.lab.client("iam", scene.lab.mint_session(outputs["ReleaseRoleArn"], PROBE))
    contains = scene.lab.client("iam", scene.lab.mint_session(outputs["ContainIdentityRoleArn"], PROBE))
    for call in (
        lambda: undoes.attach_user_policy(UserName=user.name, PolicyArn=ATTACHED_DENY),
        lambda: undoes.attach_user_policy(UserName=user.name, PolicyArn=quarantine),
        lambda: undoes.delete_login_profile(UserName=user.name),
        lambda: undoes.add_user_to_group(UserName=user.name, GroupName=scene.deny_group),
        lambda: contains.delete_user_policy(UserName=user.name, PolicyName="permissions"),
        lambda: contains.detach_user_policy(UserName=user.name, PolicyArn=ATTACHED_DENY),
        lambda: contains.delete_user_permissions_boundary(UserName=user.name),
        lambda: contains.remove_user_from_group(UserName=user.name, GroupName=scene.deny_group),
    ):
        refused("AccessDenied", call)
    ec2 = scene.lab.client("ec2", scene.lab.mint_session(outputs["ReleaseRoleArn"], PROBE))
    refused("UnauthorizedOperation", ec2.create_security_group, GroupName="x", Description="x", VpcId="vpc-12345678")
