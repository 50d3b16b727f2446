"""What was added since the first sighting is told in the same breath; MFA devices go only on evidence (A16, A22)."""

import pytest
from lab import seed
from lab_assertions import refused

BEFORE, FIRST_SEEN = "2026-11-01T08:00:00Z", "2026-11-21T20:41:07Z"
SECTION = "SINCE THE FIRST SIGHTING"


@pytest.fixture
def user(scene):
    """A user whose account, key and password are older than the activity."""
    user = seed.user(scene.lab)
    for what in ("created", "access_key"):
        scene.lab.set_date(what, BEFORE, user=user.name)
    return user


def devices(scene, user):
    return [d["SerialNumber"] for d in scene.lab.client("iam").list_mfa_devices(UserName=user.name)["MFADevices"]]


def signs(delivery):
    return {sign["what"] for sign in delivery.result.get("persistence", [])}


def test_nothing_new_is_said_to_be_new(scene, user):
    delivery = scene.fire(scene.accuse(user))
    assert signs(delivery) == set()
    assert SECTION not in delivery.message["message"]


def test_new_credentials_are_told_with_their_dates(scene, user):
    added = seed.new_key(scene.lab, user)
    seed.console_login(scene.lab, user)
    delivery = scene.fire(scene.accuse(user, key=user.keys[0]["AccessKeyId"]))
    assert {"access_key_created", "login_profile_set"} <= signs(delivery), delivery.result
    message = delivery.message["message"]
    assert SECTION in message
    assert added["AccessKeyId"] not in message and added["AccessKeyId"][-4:] in message
    assert delivery.case.memory["decision"]["persistence"]
    refused("InvalidAccessKeyId", scene.lab.client("s3", added).list_buckets)


def test_device_that_the_accused_key_enabled_is_deactivated(scene, user):
    serial = seed.mfa_device(scene.lab, user, by=user.key)
    delivery = scene.fire(scene.accuse(user))
    assert delivery.result["outcome"] == "contained", delivery.result
    assert devices(scene, user) == []
    (step,) = [s for s in delivery.result["steps"] if s["step"] == "deactivate_mfa_device"]
    assert serial in step["on"] and step["status"] == "done"
    assert delivery.result["cut_off_calls"] == 2, "the evidence is asked for beside the steps, never before the cut"
    assert "deactivate_mfa_device" in delivery.case.planned
    delivery.case.check_chain()


def test_device_that_somebody_else_enabled_stays(scene, user):
    serial = seed.mfa_device(scene.lab, user)
    delivery = scene.fire(scene.accuse(user))
    assert devices(scene, user) == [serial]
    assert serial in delivery.message["message"]


def test_device_older_than_the_activity_stays_and_cloudtrail_is_not_asked(scene, user):
    serial = seed.mfa_device(scene.lab, user, at=BEFORE, by=user.key)
    delivery = scene.fire(scene.accuse(user))
    assert devices(scene, user) == [serial]
    assert delivery.calls(service="cloudtrail") == []


def test_device_stays_when_cloudtrail_does_not_answer(scene, user):
    serial = seed.mfa_device(scene.lab, user, by=user.key)
    function = scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", action="cloudtrail:LookupEvents", scope="event")
    try:
        delivery = scene.invoke(scene.accuse(user), function)
    finally:
        scene.lab.clear_faults()
    assert delivery.result["outcome"] == "contained"
    assert devices(scene, user) == [serial]
    assert "CloudTrail could not be asked" in delivery.message["message"]
