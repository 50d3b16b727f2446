"""A contained target, accused again: what another finding asks for beyond what was done."""

from datetime import datetime, timedelta, timezone

from lab import seed
from test_contain_role import INSTANCE, cut_off, dead, deny_name, inline_policies, text_of, works

WHOLE_ROLE = ("role-without-session", "nightly-export")


def revoke(scene, role):
    return scene.fire(scene.accuse_role(role, *WHOLE_ROLE))


def a_second_later(scene):
    """Issue times have whole seconds: a later cut-off needs a later second."""
    later = datetime.now(timezone.utc) + timedelta(seconds=1.1)
    scene.lab.wait_for(lambda: datetime.now(timezone.utc) > later)


def test_another_finding_on_a_revoked_role_revokes_what_was_issued_since(scene):
    lab, role = scene.lab, seed.role(scene.lab)
    first = revoke(scene, role)
    before = cut_off(scene, role)
    since = lab.mint_session(role.arn, "attacker", issued_at=text_of(before))
    works(lab, since)
    a_second_later(scene)
    again = revoke(scene, role)
    assert again.result["case"] == first.result["case"]
    assert again.result["outcome"] == "contained"
    assert cut_off(scene, role) > before
    dead(lab, since)
    assert len(again.messages()) == 1, "people hear that it had to be done again"
    case = again.case
    assert case.kinds == ["opened", "acted", "verified", "reported", "resumed", "acted", "verified", "reported"]
    assert case.memory["original"]["revocation"] is None, "what was there before the first change stays the original"
    case.check_chain()


def test_same_finding_again_leaves_newer_sessions_alone(scene):
    role = seed.role(scene.lab)
    event = scene.accuse_role(role, *WHOLE_ROLE)
    scene.fire(event)
    before = cut_off(scene, role)
    a_second_later(scene)
    again = scene.fire(event)
    assert again.result["repeat"] is True
    assert again.writes() == []
    assert cut_off(scene, role) == before


def test_finding_that_names_the_instance_widens_the_deny_of_its_session(scene):
    lab, role = scene.lab, seed.role(scene.lab, profile_path="/")
    instance = seed.instance_id()
    first = scene.fire(scene.accuse_role(role, "role-session-named-like-an-instance", words={"i-0123456789abcdef0": instance}))
    (document,) = inline_policies(lab, role).values()
    again = scene.fire(scene.accuse_role(role, "instance-credentials-exfiltrated", "app-server", {INSTANCE: instance}))
    assert again.result["case"] == first.result["case"]
    widened = inline_policies(lab, role)[deny_name(instance)]
    assert "ec2:SourceInstanceARN" not in document
    assert f":instance/{instance}" in widened and "IRDenyByUserId" in widened
    _, stolen = seed.instance_session(lab, role, instance)
    dead(lab, stolen)
