"""Snapshots: pending, completed or failed, locked, copied, shared, and the events that tell of them."""

import contextlib
import json

import pytest
from lab import organization, policies, seed, seed_instances
from lab_assertions import refused

FORENSICS = organization.MEMBERS[1]
TAGS = [{"ResourceType": "snapshot", "Tags": [{"Key": "ir:incident", "Value": "case-1"}]}]


@pytest.fixture
def ec2(lab):
    return lab.client("ec2")


@pytest.fixture(scope="module")
def events(lab):
    """Every event of EBS, as a rule's queue gets it."""
    sqs, rules = lab.client("sqs"), lab.client("events")
    queue = sqs.create_queue(QueueName="ebs-events")["QueueUrl"]
    rules.put_rule(Name="ebs-events", EventPattern=json.dumps({"source": ["aws.ec2"]}))
    arn = f"arn:aws:sqs:{lab.region}:{lab.account}:ebs-events"
    rules.put_targets(Rule="ebs-events", Targets=[{"Id": "queue", "Arn": arn}])
    received = []

    def about(snapshot):
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in received if any(snapshot in arn for arn in event["resources"])]

    return lambda snapshot: lab.wait_for(lambda: about(snapshot))


@contextlib.contextmanager
def settings(lab, **changed):
    before = lab.snapshot_settings()
    before.pop("pending")
    lab.set_snapshots(**changed)
    try:
        yield
    finally:
        lab.set_snapshots(**before)
        lab.release_snapshots()


def state(lab, snapshot):
    (found,) = lab.client("ec2").describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    return found["State"], found.get("StateMessage"), found["Progress"]


def done(lab, snapshot, wanted="completed"):
    lab.wait_for(lambda: state(lab, snapshot)[0] == wanted)
    return snapshot


def snapshot_of(lab, **options):
    victim = seed_instances.instance(lab, **options)
    made = lab.client("ec2").create_snapshot(VolumeId=victim.volumes["/dev/sda1"], TagSpecifications=TAGS)
    return done(lab, made["SnapshotId"])


def customer_key(lab):
    return lab.client("kms").create_key()["KeyMetadata"]["Arn"]


# --- making them -----------------------------------------------------------------------------------


def test_a_snapshot_is_pending_and_then_completed(lab, ec2, events):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    with settings(lab, hold=True):
        made = ec2.create_snapshot(VolumeId=volume, Description="d", TagSpecifications=TAGS)
        assert (made["State"], made["Progress"], made["Tags"]) == ("pending", "0%", TAGS[0]["Tags"])
        assert state(lab, made["SnapshotId"]) == ("pending", None, "0%")
        assert made["SnapshotId"] in lab.snapshot_settings()["pending"]
        assert lab.release_snapshots([made["SnapshotId"]]) == [made["SnapshotId"]]
    assert state(lab, made["SnapshotId"]) == ("completed", None, "100%")
    (event,) = events(made["SnapshotId"])
    arn = f"arn:aws:ec2::{lab.region}:snapshot/{made['SnapshotId']}"
    assert (event["detail-type"], event["resources"]) == ("EBS Snapshot Notification", [arn])
    assert (event["account"], event["region"]) == (lab.account, lab.region)
    detail = event["detail"]
    assert set(detail) == {
        "event", "result", "cause", "request-id", "snapshot_id", "source", "startTime", "endTime",
    }  # fmt: skip
    assert (detail["event"], detail["result"], detail["cause"]) == ("createSnapshot", "succeeded", "")
    assert (detail["snapshot_id"], detail["source"]) == (arn, f"arn:aws:ec2::{lab.region}:volume/{volume}")


def test_a_snapshot_completes_by_itself(lab, ec2):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert state(lab, made)[0] == "pending"
    done(lab, made)


def test_the_next_one_fails(lab, ec2, events):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    with settings(lab, fail_next=1, fail_message="Client.Something"):
        made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        done(lab, made, "error")
    assert state(lab, made)[1] == "Client.Something"
    (event,) = events(made)
    assert (event["detail"]["result"], event["detail"]["cause"]) == ("failed", "Client.Something")
    done(lab, ec2.create_snapshot(VolumeId=volume)["SnapshotId"])


@pytest.mark.parametrize("fails", [False, True])
def test_all_volumes_of_an_instance_at_once(lab, ec2, events, fails):
    victim = seed_instances.instance(lab, data_volumes=2)
    with settings(lab, fail_next=int(fails)):
        specification = {"InstanceId": victim.id}
        made = ec2.create_snapshots(InstanceSpecification=specification, TagSpecifications=TAGS)["Snapshots"]
        assert {snapshot["VolumeId"] for snapshot in made} == set(victim.volumes.values())
        assert all((s["State"], s["Tags"]) == ("pending", TAGS[0]["Tags"]) for s in made)
        ids = [snapshot["SnapshotId"] for snapshot in made]
        for snapshot in ids:
            done(lab, snapshot, "error" if fails else "completed")
    (event,) = events(ids[0])
    assert event["detail-type"] == "EBS Multi-Volume Snapshots Completion Status"
    assert event["resources"] == [f"arn:aws:ec2::{lab.region}:snapshot/{i}" for i in ids]
    detail = event["detail"]
    assert set(detail) == {"event", "result", "cause", "request-id", "startTime", "endTime", "snapshots"}
    assert (detail["event"], detail["result"]) == ("createSnapshots", "failed" if fails else "succeeded")
    assert {s["status"] for s in detail["snapshots"]} == {"error" if fails else "completed"}
    assert set(detail["snapshots"][0]) == {"snapshot_id", "source", "status"}


def test_volumes_are_left_out_and_tags_are_not_copied_unless_asked(lab, ec2):
    victim = seed_instances.instance(lab, data_volumes=1)
    root, data = victim.volumes["/dev/sda1"], victim.volumes["/dev/sdf"]
    ec2.create_tags(Resources=[data], Tags=[{"Key": "ir:incident", "Value": "forged"}, {"Key": "team", "Value": "w"}])
    make = ec2.create_snapshots
    specification = {"InstanceId": victim.id, "ExcludeBootVolume": True}
    (one,) = make(InstanceSpecification=specification)["Snapshots"]
    assert (one["VolumeId"], one["Tags"]) == (data, [])
    specification = {"InstanceId": victim.id, "ExcludeDataVolumeIds": [data]}
    assert [s["VolumeId"] for s in make(InstanceSpecification=specification)["Snapshots"]] == [root]
    copied = make(
        InstanceSpecification={"InstanceId": victim.id}, CopyTagsFromSource="volume", TagSpecifications=TAGS
    )["Snapshots"]
    tags = next({t["Key"]: t["Value"] for t in s["Tags"]} for s in copied if s["VolumeId"] == data)
    assert tags == {"ir:incident": "case-1", "team": "w"}


def test_what_has_no_volumes_or_is_not_there(lab, ec2):
    make = ec2.create_snapshots
    store = seed_instances.instance(lab, instance_store=True)
    refused("InvalidParameterValue", make, InstanceSpecification={"InstanceId": store.id})
    gone = seed_instances.instance(lab, state="terminated")
    refused("IncorrectInstanceState", make, InstanceSpecification={"InstanceId": gone.id})
    nobody = {"InstanceId": "i-0123456789abcdef0"}
    refused("InvalidInstanceID.NotFound", make, InstanceSpecification=nobody)
    refused("InvalidVolume.NotFound", ec2.create_snapshot, VolumeId="vol-0123456789abcdef0")


@pytest.mark.parametrize(
    "code, tags",
    [
        ("InvalidParameterValue", {"aws:owner": "x"}),
        ("InvalidParameterValue", {"key": "v" * 257}),
        ("TagLimitExceeded", {f"key-{n}": "" for n in range(51)}),
    ],
)
def test_tags_that_cannot_be(lab, ec2, code, tags):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    specification = [{"ResourceType": "snapshot", "Tags": listed}]
    refused(code, ec2.create_snapshot, VolumeId=volume, TagSpecifications=specification)
    refused(code, ec2.create_tags, Resources=[volume], Tags=listed)


# --- finding them ----------------------------------------------------------------------------------


def test_self_is_the_account_and_others_see_what_is_shared(lab, ec2):
    mine = snapshot_of(lab)
    there = lab.in_account(FORENSICS).client("ec2")
    refused("InvalidSnapshot.NotFound", there.describe_snapshots, SnapshotIds=[mine])
    grant = {"Add": [{"UserId": FORENSICS}]}
    ec2.modify_snapshot_attribute(SnapshotId=mine, CreateVolumePermission=grant)
    (seen,) = there.describe_snapshots(SnapshotIds=[mine])["Snapshots"]
    assert (seen["OwnerId"], seen["Tags"]) == (lab.account, [])
    assert mine not in [s["SnapshotId"] for s in there.describe_snapshots(OwnerIds=["self"])["Snapshots"]]
    own = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert {snapshot["OwnerId"] for snapshot in own} == {lab.account}
    ec2.modify_snapshot_attribute(SnapshotId=mine, OperationType="remove", UserIds=[FORENSICS])
    refused("InvalidSnapshot.NotFound", there.describe_snapshots, SnapshotIds=[mine])


def test_snapshots_are_found_by_tags_in_pages(lab, ec2):
    victim = seed_instances.instance(lab, data_volumes=5)
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "ir:instance", "Value": victim.id}]}]
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": victim.id}, TagSpecifications=tags)["Snapshots"]
    wanted = {"OwnerIds": ["self"], "Filters": [{"Name": "tag:ir:instance", "Values": [victim.id]}], "MaxResults": 5}
    first = ec2.describe_snapshots(**wanted)
    rest = ec2.describe_snapshots(**wanted, NextToken=first["NextToken"])
    found = [s["SnapshotId"] for s in first["Snapshots"] + rest["Snapshots"]]
    assert (len(first["Snapshots"]), set(found)) == (5, {s["SnapshotId"] for s in made})


# --- locks -----------------------------------------------------------------------------------------


def test_a_pending_snapshot_is_locked_and_its_time_runs_once_it_is_completed(lab, ec2):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    with settings(lab, hold=True):
        made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        locked = ec2.lock_snapshot(SnapshotId=made, LockMode="governance", LockDuration=365)
        assert (locked["LockState"], locked["LockDuration"]) == ("governance", 365)
        assert "LockExpiresOn" not in locked
        refused("OperationNotPermitted", ec2.delete_snapshot, SnapshotId=made)
        lab.release_snapshots([made])
    (found,) = ec2.describe_locked_snapshots(SnapshotIds=[made])["Snapshots"]
    assert (found["LockExpiresOn"] - found["LockDurationStartTime"]).days == 365
    ec2.unlock_snapshot(SnapshotId=made)
    assert ec2.describe_locked_snapshots(SnapshotIds=[made])["Snapshots"] == []
    ec2.delete_snapshot(SnapshotId=made)
    refused("InvalidSnapshot.NotFound", ec2.lock_snapshot, SnapshotId=made, LockMode="governance", LockDuration=1)


def test_compliance_is_for_good_once_it_has_cooled_off(lab, ec2):
    made = snapshot_of(lab)
    lock = ec2.lock_snapshot
    assert "LockExpiresOn" in lock(SnapshotId=made, LockMode="governance", LockDuration=1)
    cooling = lock(SnapshotId=made, LockMode="compliance", LockDuration=10, CoolOffPeriod=72)
    assert cooling["LockState"] == "compliance-cooloff"
    lock(SnapshotId=made, LockMode="governance", LockDuration=5)
    assert lock(SnapshotId=made, LockMode="compliance", LockDuration=10)["LockState"] == "compliance"
    refused("OperationNotPermitted", ec2.unlock_snapshot, SnapshotId=made)
    refused("OperationNotPermitted", lock, SnapshotId=made, LockMode="compliance", LockDuration=9)
    refused("OperationNotPermitted", lock, SnapshotId=made, LockMode="governance", LockDuration=99)
    lock(SnapshotId=made, LockMode="compliance", LockDuration=11)


def test_locks_that_make_no_sense(lab, ec2):
    made = snapshot_of(lab)
    lock = ec2.lock_snapshot
    refused("InvalidParameterCombination", lock, SnapshotId=made, LockMode="governance")
    refused("InvalidParameterValue", lock, SnapshotId=made, LockMode="governance", LockDuration=36501)
    refused("InvalidParameterValue", lock, SnapshotId=made, LockMode="governance", LockDuration=1, CoolOffPeriod=1)


# --- copies ----------------------------------------------------------------------------------------


def test_a_copy_has_neither_tags_nor_volume(lab, ec2, events):
    source, key = snapshot_of(lab), customer_key(lab)
    copying = {"SourceRegion": lab.region, "SourceSnapshotId": source, "Encrypted": True, "KmsKeyId": key}
    copy = ec2.copy_snapshot(**copying)["SnapshotId"]
    done(lab, copy)
    (found,) = ec2.describe_snapshots(SnapshotIds=[copy])["Snapshots"]
    assert (found["Tags"], found["VolumeId"]) == ([], "vol-ffffffff")
    assert (found["Encrypted"], found["KmsKeyId"], found["VolumeSize"]) == (True, key, 8)
    (event,) = [e for e in events(copy) if e["detail"]["event"] == "copySnapshot"]
    assert event["detail"]["source"] == f"arn:aws:ec2::{lab.region}:snapshot/{source}"
    assert (event["detail"]["result"], event["detail"]["Incremental"]) == ("succeeded", "true")


def test_what_is_not_completed_is_not_copied(lab, ec2):
    volume = seed_instances.instance(lab).volumes["/dev/sda1"]
    with settings(lab, hold=True):
        made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        refused("IncorrectState", ec2.copy_snapshot, SourceRegion=lab.region, SourceSnapshotId=made)
    unknown = {"SourceRegion": lab.region, "SourceSnapshotId": "snap-0123456789abcdef0"}
    refused("InvalidSnapshot.NotFound", ec2.copy_snapshot, **unknown)
    unencrypted = {"SourceRegion": lab.region, "SourceSnapshotId": made, "KmsKeyId": customer_key(lab)}
    refused("InvalidParameterDependency", ec2.copy_snapshot, **unencrypted)


def test_a_key_that_cannot_be_used_fails_silently(lab, ec2):
    source, key = snapshot_of(lab), customer_key(lab)
    copying = {"SourceRegion": lab.region, "SourceSnapshotId": source, "Encrypted": True}
    lab.client("kms").disable_key(KeyId=key.rsplit("/", 1)[1])
    copy = ec2.copy_snapshot(**copying, KmsKeyId=key)["SnapshotId"]
    done(lab, copy, "error")
    assert state(lab, copy)[1] == "Given key ID is not accessible"
    unknown = key.rsplit("/", 1)[0] + "/00000000-0000-0000-0000-000000000000"
    done(lab, ec2.copy_snapshot(**copying, KmsKeyId=unknown)["SnapshotId"], "error")
    forensics = lab.in_account(FORENSICS)
    encrypted = snapshot_of(forensics, kms_key="aws/ebs")
    (found,) = forensics.client("ec2").describe_snapshots(SnapshotIds=[encrypted])["Snapshots"]
    # The default key of another account is nobody else's to use.
    done(lab, ec2.copy_snapshot(**copying, KmsKeyId=found["KmsKeyId"])["SnapshotId"], "error")


def test_the_caller_of_a_copy_needs_both_keys(lab):
    ours, theirs = customer_key(lab), customer_key(lab)
    source = snapshot_of(lab, kms_key=theirs)
    through = {"StringEquals": {"kms:ViaService": f"ec2.{lab.region}.amazonaws.com"}}
    using = ["kms:DescribeKey", "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt", "kms:ReEncrypt*"]
    copying = policies.allow("ec2:CopySnapshot", "arn:aws:ec2:*::snapshot/*")
    for keys, outcome in (([ours, theirs], "completed"), ([ours], "error"), ([theirs], "error")):
        grant = policies.document(copying, policies.allow(using, keys, **through))
        caller = lab.client("ec2", seed.user(lab, policy=grant).key)
        arguments = {"SourceRegion": lab.region, "SourceSnapshotId": source, "KmsKeyId": ours}
        done(lab, caller.copy_snapshot(**arguments)["SnapshotId"], outcome)


def test_another_account_copies_what_is_shared_with_it(lab, ec2):
    key = customer_key(lab)
    source = snapshot_of(lab, kms_key=key)
    forensics = lab.in_account(FORENSICS)
    there, own = forensics.client("ec2"), customer_key(forensics)
    copying = {"SourceRegion": lab.region, "SourceSnapshotId": source, "KmsKeyId": own}
    refused("InvalidSnapshot.NotFound", there.copy_snapshot, **copying)
    grant = {"Add": [{"UserId": FORENSICS}]}
    ec2.modify_snapshot_attribute(SnapshotId=source, Attribute="createVolumePermission", CreateVolumePermission=grant)
    copy = there.copy_snapshot(**copying)["SnapshotId"]
    done(forensics, copy)
    (found,) = there.describe_snapshots(SnapshotIds=[copy])["Snapshots"]
    assert (found["OwnerId"], found["KmsKeyId"]) == (FORENSICS, own)
    refused("InvalidSnapshot.NotFound", there.lock_snapshot, SnapshotId=source, LockMode="governance", LockDuration=1)


def test_a_snapshot_under_the_default_key_is_not_shared(lab, ec2):
    source = snapshot_of(lab, kms_key="aws/ebs")
    share, grant = ec2.modify_snapshot_attribute, {"Add": [{"UserId": FORENSICS}]}
    error = refused("OperationNotPermitted", share, SnapshotId=source, CreateVolumePermission=grant)
    assert "default key" in str(error)
    encrypted = snapshot_of(lab, kms_key=customer_key(lab))
    everybody = {"Add": [{"Group": "all"}]}
    refused("OperationNotPermitted", share, SnapshotId=encrypted, CreateVolumePermission=everybody)
    both = {**grant, "Remove": [{"UserId": "999988887777"}]}
    refused("InvalidParameterCombination", share, SnapshotId=encrypted, CreateVolumePermission=both)
    share(SnapshotId=encrypted, CreateVolumePermission=grant)
    listed = ec2.describe_snapshot_attribute(SnapshotId=encrypted, Attribute="createVolumePermission")
    assert listed["CreateVolumePermissions"] == [{"UserId": FORENSICS}]
