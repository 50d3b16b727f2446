"""The role of seal-snapshot and those it takes on in member accounts and in the forensics account: each is enough, and
nothing is unused.

In a lab of its own, since the shared one has no forensics account (DESIGN §4, invariant 8).
"""

from datetime import datetime, timedelta, timezone

import pytest
from lab import organization, seed_instances, stage
from lab_assertions import refused
from privileges import PROBE, grants_in, listed, statements_of, unused_of
from scene import ATTEMPTS
from sealing import (
    FORENSICS, Ledger, asleep, contained, deliver, event, ids, kept, kept_bucket, of, result_of, set_event, settled,
)  # fmt: skip


@pytest.fixture(scope="module")
def played(away):
    """One set of snapshots all the way, under a key of the victim's, and an event that fails for good."""
    lab, second = away.lab, away.member(1)
    instances = {which: play(away, home(away, which))[0] for which in ("responder", "member")}
    # A role of each member account may be assumed, and is.
    instance, case = contained(away, second)
    Ledger(away, instance, case).wait_told(*ids(of(second, instance)))
    source = ids(of(lab, instances["responder"]))[0]
    failing = away.copy("seal-snapshot", retry_delays_ms=[10, 10])
    lab.fault(failing, at_call=1, kind="crash_after", times=ATTEMPTS)
    since = len(lab.deliveries())
    failed = away.invoke(set_event(lab, [source]), failing)
    lab.clear_faults()
    assert len(failed.attempts) == ATTEMPTS
    lab.wait_for(lambda: [d for d in lab.deliveries(since) if d.get("request_id") == failed.request_id])
    return away, {**instances, "forensics": instances["responder"]}


def play(away, lab):
    """In the account of the instances."""
    there = away.lab.in_account(FORENSICS)
    key = lab.client("kms").create_key()["KeyMetadata"]["Arn"]
    instance, case = contained(away, lab, kms_key=key)
    away.lab.wait_for(lambda: of(there, instance, "forensic"), 60, interval=0.25)
    Ledger(away, instance, case).wait_told(*ids(of(there, instance, "forensic")))
    with asleep(away):
        # One that nobody has locked yet, as where contain-instance could not.
        other, _ = contained(away, lab, kms_key=key)
        (source,) = ids(of(lab, other))
        settled(away.lab, source)
        lab.client("ec2").unlock_snapshot(SnapshotId=source)
        assert result_of(deliver(away, event(lab, source)), source)["outcome"] == "sealed"
    return instance, case


def home(scene, which):
    """The lab as administrator of the account a role is of."""
    return scene.lab.in_account(role_arns(scene)[which].split(":")[4])


def role_arns(scene):
    return {
        "responder": scene.deployment.outputs["SealSnapshotRoleArn"],
        "forensics": scene.forensics.outputs["ForensicsRoleArn"],
        "member": stage.member_evidence_role_arn(organization.MEMBERS[0]),
    }


def calls_of(scene, which):
    """Every call made with the role in the whole run, but those of the probes below."""
    arn = role_arns(scene)[which]
    prefix = f"arn:aws:sts::{arn.split(':')[4]}:assumed-role/{arn.rsplit('/', 1)[1]}/"
    mine = [c for c in scene.lab.calls() if (c["principal"] or "").startswith(prefix)]
    return [c for c in mine if not c["principal"].endswith(f"/{PROBE}")]


def statements(scene, which):
    arn = role_arns(scene)[which]
    return statements_of(scene.lab.in_account(arn.split(":")[4]), arn.rsplit("/", 1)[1])


EACH = pytest.mark.parametrize("which", ["responder", "forensics", "member"])


@EACH
def test_role_is_enough(played, which):
    scene, _ = played
    denied = [(c["service"], c["action"], c["resource"]) for c in calls_of(scene, which) if c["decision"] == "deny"]
    assert denied == []


@EACH
def test_everything_granted_is_used(played, which, capsys):
    scene, _ = played
    granted = grants_in(statements(scene, which))
    assert unused_of(f"seal-snapshot, {which}", granted, calls_of(scene, which), capsys) == set()


@EACH
def test_actions_are_named_one_by_one_and_nothing_destroys(away, which):
    actions = {action for action, _ in grants_in(statements(away, which))}
    assert not [action for action in actions if "*" in action]
    destructive = ("Delete", "Create", "Remove", "Detach", "Terminate", "Unlock", "Schedule", "Put", "Modify", "Restore")
    found = {a for a in actions if a.split(":")[1].startswith(destructive)}
    both = {"ec2:CreateTags", "kms:CreateGrant"}
    own = {"s3:PutObject", "ec2:ModifySnapshotAttribute", "logs:CreateLogStream", "logs:PutLogEvents"}
    more = {"responder": own, "member": {"ec2:ModifySnapshotAttribute"}, "forensics": {"s3:PutObject"}}
    assert found == both | more[which]


@EACH
def test_only_what_takes_no_resource_is_granted_on_everything(away, which):
    allowed = [s for s in statements(away, which) if s["Effect"] == "Allow"]
    assert {s["Sid"] for s in allowed if "*" in listed(s["Resource"])} == {"FindSnapshots"}


# --- with the roles' own credentials ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def probe(away):
    def client(service, which="responder"):
        return away.lab.client(service, away.lab.mint_session(role_arns(away)[which], PROBE))

    return client


def backup(lab):
    """A snapshot that is nobody's evidence."""
    made = lab.client("ec2").create_snapshot(VolumeId=seed_instances.instance(lab).volumes["/dev/sda1"])["SnapshotId"]
    settled(lab, made)
    return made


@EACH
def test_what_is_no_evidence_is_neither_read_nor_locked_nor_made_evidence(away, probe, which):
    other, ec2 = backup(home(away, which)), probe("ec2", which)
    share = {"SnapshotId": other, "CreateVolumePermission": {"Add": [{"UserId": FORENSICS}]}}
    refused("UnauthorizedOperation", ec2.modify_snapshot_attribute, **share)
    refused("AccessDeniedException", probe("ebs", which).list_snapshot_blocks, SnapshotId=other)
    refused("UnauthorizedOperation", ec2.lock_snapshot, SnapshotId=other, LockMode="compliance", LockDuration=1)
    for key in ("ir:incident", "ir:hash"):
        refused("UnauthorizedOperation", ec2.create_tags, Resources=[other], Tags=[{"Key": key, "Value": "IR-1"}])


@EACH
def test_evidence_gets_two_tags_and_no_other(played, probe, which):
    scene, instances = played
    (mine,) = ids(of(home(scene, which), instances[which], "forensic" if which == "forensics" else None))
    tag = probe("ec2", which).create_tags
    for key in ("ir:incident", "ir:stage", "Name"):
        refused("UnauthorizedOperation", tag, Resources=[mine], Tags=[{"Key": key, "Value": "IR-1"}])
    for call in ("delete_snapshot", "unlock_snapshot"):
        refused("UnauthorizedOperation", getattr(probe("ec2", which), call), SnapshotId=mine)
    deleting = probe("ec2", which).delete_tags
    refused("UnauthorizedOperation", deleting, Resources=[mine], Tags=[{"Key": "ir:incident"}])


@pytest.mark.parametrize("which", ["responder", "member"])
def test_transit_copies_alone_are_shared_and_with_one_account(played, probe, which):
    scene, instances = played
    share, lab = probe("ec2", which).modify_snapshot_attribute, home(scene, which)
    (source,), (transit,) = ids(of(lab, instances[which])), ids(of(lab, instances[which], "transit"))
    for snapshot, account in ((source, FORENSICS), (transit, organization.UNLISTED), (transit, "999900001111")):
        grant = {"Add": [{"UserId": account}]}
        refused("UnauthorizedOperation", share, SnapshotId=snapshot, CreateVolumePermission=grant)
    everybody = {"Add": [{"Group": "all"}]}
    refused("UnauthorizedOperation", share, SnapshotId=transit, CreateVolumePermission=everybody)
    share(SnapshotId=transit, CreateVolumePermission={"Add": [{"UserId": FORENSICS}]})


def test_forensic_copies_are_not_handed_on(played, probe):
    scene, instances = played
    instance = instances["forensics"]
    (copy,) = ids(of(scene.lab.in_account(FORENSICS), instance, "forensic"))
    share = probe("ec2", "forensics").modify_snapshot_attribute
    grant = {"Add": [{"UserId": scene.lab.account}]}
    refused("UnauthorizedOperation", share, SnapshotId=copy, CreateVolumePermission=grant)
    key = scene.forensics.outputs["ForensicsKeyArn"]
    refused("AccessDeniedException", probe("kms", "forensics").schedule_key_deletion, KeyId=key)
    refused("AccessDeniedException", probe("kms", "forensics").generate_data_key, KeyId=key, KeySpec="AES_256")


def test_a_case_in_the_forensics_account_is_added_to_and_not_read_or_taken_from(played, probe):
    scene, instances = played
    instance = instances["responder"]
    s3, bucket = probe("s3", "forensics"), kept_bucket(scene)
    (case,) = {tag["Value"] for s in of(scene.lab, instance) for tag in s["Tags"] if tag["Key"] == "ir:incident"}
    before = kept(scene, case).objects
    key = f"cases/{case}/0001.json"
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key=key, Body=b"forged", IfNoneMatch="*")
    refused("AccessDenied", s3.get_object, Bucket=bucket, Key=key)
    refused("403", s3.head_object, Bucket=bucket, Key=key)
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket, Prefix=f"cases/{case}/")
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key=key)
    soon = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(timezone.utc) + timedelta(days=1)}
    shorter = {"Retention": soon, "BypassGovernanceRetention": True}
    refused("AccessDenied", s3.put_object_retention, Bucket=bucket, Key=key, **shorter)
    for elsewhere in ("guardrails.toml", f"targets/{case}.json", "case"):
        refused("AccessDenied", s3.put_object, Bucket=bucket, Key=elsewhere, Body=b"", IfNoneMatch="*")
    case_key = scene.forensics.arn("CaseKey")
    refused("AccessDeniedException", probe("kms", "forensics").generate_data_key, KeyId=case_key, KeySpec="AES_256")
    # Nor the responder's own bucket.
    refused("AccessDenied", s3.get_object, Bucket=scene.bucket, Key=key)
    assert before and kept(scene, case).objects == before


def test_cases_are_added_to_and_nothing_else_is_written(played, probe):
    scene, instances = played
    instance = instances["responder"]
    s3, bucket = probe("s3"), scene.bucket
    ledger = f"targets/{scene.lab.account}/instance/{instance.id}.json"
    for key in (ledger, "guardrails.toml", "isolation/x.json", "other"):
        refused("AccessDenied", s3.put_object, Bucket=bucket, Key=key, Body=b"", ChecksumAlgorithm="SHA256")
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key=ledger)
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket, Prefix="targets/")
    of_a_user = f"targets/{scene.lab.account}/user/AIDAEXAMPLE.json"
    refused("AccessDenied", s3.get_object, Bucket=bucket, Key=of_a_user)
    for service, call, arguments in (
        ("iam", "list_users", {}),
        ("ec2", "describe_instances", {}),
        ("sts", "assume_role", {"RoleArn": scene.role_arn, "RoleSessionName": "next"}),
    ):
        code = "UnauthorizedOperation" if service == "ec2" else "AccessDenied"
        refused(code, getattr(probe(service), call), **arguments)


def test_role_in_the_member_account_is_for_snapshots_alone(played, probe):
    scene, instances = played
    (transit,) = ids(of(scene.member(), instances["member"], "transit"))
    refused("AccessDenied", probe("s3", "member").list_buckets)
    refused("AccessDenied", probe("iam", "member").list_users)
    refused("UnauthorizedOperation", probe("ec2", "member").describe_instances)
    refused("UnauthorizedOperation", probe("ec2", "member").delete_snapshot, SnapshotId=transit)
    key = scene.forensics.outputs["ForensicsKeyArn"]
    block = {"SnapshotId": transit, "BlockIndex": 0, "BlockToken": "x"}
    refused("AccessDeniedException", probe("ebs", "member").get_snapshot_block, **block)
    refused("AccessDeniedException", probe("kms", "member").generate_data_key, KeyId=key, KeySpec="AES_256")
