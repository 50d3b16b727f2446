"""What a replay prepares for an event. Running it needs cargo: `make replay EVENT=...`."""

import json

import pytest
from lab import replay, stage
from lab.client import Lab


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("leaked-access-key", {("user", "svc-build"): ("AIDASVCBUILDQ7EXAMPLE", "AKIASVCBUILDQEXAMPLE")}),
        ("leaked-access-key-ocsf-copy", {("user", "svc-build"): ("AIDASVCBUILDQ7EXAMPLE", "AKIASVCBUILDQEXAMPLE")}),
        (
            "leaked-access-key-security-hub-copy",
            {("user", "svc-build"): ("AIDASVCBUILDQ7EXAMPLE", "AKIASVCBUILDQEXAMPLE")},
        ),
        ("exposed-key-health", {("user", "svc-build"): ("", "AKIASVCBUILDQEXAMPLE")}),
        ("role-session-named", {("role", "developer"): ("AROADEVELOPERQEXAMPLE", "")}),
        ("attack-sequence-two-actors", {
            ("user", "svc-deploy"): ("AIDASVCDEPLOYQEXAMPLE", "AKIASVCDEPLOYEXAMPLE"),
            ("role", "developer"): ("AROADEVELOPERQEXAMPLE", ""),
        }),
        ("exposed-keys-health-two-users", {
            ("user", "key-owner-1"): ("", "AKIASVCBUILDQEXAMPLE"),
            ("user", "key-owner-2"): ("", "AKIASVCDEPLOYEXAMPLE"),
        }),
        ("application-finding-vendor-role", {("role", "developer"): ("AROADEVELOPERQEXAMPLE", "")}),
        ("macie-policy-role-session", {("role", "developer"): ("AROADEVELOPERQEXAMPLE", "")}),
        ("macie-policy-federated-user", {("user", "token-broker"): ("AIDATOKENBROKEEXAMPLE", "")}),
        ("saml-user", {}),
        ("hostile-fields", {}),
        ("insight-results", {}),
    ],
)  # fmt: skip
def test_principals_an_event_names(event, expected):
    assert replay.principals(json.loads(stage.load(event))) == expected


@pytest.fixture(scope="module")
def lab():
    """A lab of its own: these principals have the names of the events."""
    with Lab() as running:
        yield running


def test_seeded_principals_have_the_ids_of_the_event(lab):
    event = json.loads(stage.load("two-findings-custom-action"))
    assert sorted(replay.seed_principals(lab, "two-findings-custom-action", event)) == [
        "role/app-server",
        "user/svc-build",
    ]
    iam = lab.client("iam")
    assert iam.get_user(UserName="svc-build")["User"]["UserId"] == "AIDASVCBUILDQ7EXAMPLE"
    keys = iam.list_access_keys(UserName="svc-build")["AccessKeyMetadata"]
    assert "AKIASVCBUILDQEXAMPLE" in {key["AccessKeyId"] for key in keys}
    assert iam.get_role(RoleName="app-server")["Role"]["RoleId"] == "AROAAPPSERVERQEXAMPLE"


def test_instances_of_an_event_are_made_and_named_in_it(lab):
    text = stage.load("crypto-mining-instance", stage.INSTANCE_FUNCTION)
    replayed, (made,) = replay.with_instances(lab, text)
    details = json.loads(replayed)["detail"]["resource"]["instanceDetails"]
    assert made == f"instance/{details['instanceId']}"
    (found,) = lab.client("ec2").describe_instances(InstanceIds=[details["instanceId"]])["Reservations"][0]["Instances"]
    assert found["IamInstanceProfile"]["Arn"] == details["iamInstanceProfile"]["arn"]


def test_snapshots_are_not_replayed():
    with pytest.raises(replay.Cannot, match="make demo"):
        replay.replay(stage.EVENTS / stage.SEAL_FUNCTION / "snapshot-completed.json")
