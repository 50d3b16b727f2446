"""What the tests of seal-snapshot share: an instance contained, its snapshots ended, and what was made of them."""

import contextlib
import json
import uuid

from lab import seed_instances
from lab.case_file import CaseFile, read_all
from lab.stage import SEAL_FUNCTION, account_of

FORENSICS = "880000000001"
"""Where copies of evidence go."""


def contained(scene, lab=None, **options):
    """A contained instance, of another account where its `lab` is given, and the case; its snapshots are on their way."""
    instance = seed_instances.instance(lab or scene.lab, **options)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    return instance, delivery.result["case"]


@contextlib.contextmanager
def snapshots(lab, **changed):
    """Other settings of the lab's snapshots for a while."""
    before = lab.snapshot_settings()
    before.pop("pending")
    lab.set_snapshots(**changed)
    try:
        yield
    finally:
        lab.set_snapshots(**before)


class asleep:
    """The rules sleep: what is delivered is what the test delivers."""

    def __init__(self, scene):
        self.lab, self.events, made = scene.lab, scene.lab.client("events"), scene.deployment.resources
        names = ("SnapshotReady", "MemberSnapshotReady", "CopyReady")
        self.rules = [made[name].ref for name in names if name in made]

    def __enter__(self):
        for rule in self.rules:
            self.events.disable_rule(Name=rule)

    def __exit__(self, *_):
        # What ends now is not delivered any more.
        self.lab.wait_for(lambda: not self.lab.snapshot_settings()["pending"])
        for rule in self.rules:
            self.events.enable_rule(Name=rule)


def settled(lab, *snapshot_ids):
    """Until these are pending no more."""
    return lab.wait_for(lambda: not set(lab.snapshot_settings()["pending"]) & set(snapshot_ids))


def of(lab, instance, stage=None):
    """The snapshots with the instance's tag: those taken of it, or the copies of a stage, as EC2 describes them."""
    filters = [{"Name": "tag:ir:instance", "Values": [getattr(instance, "id", instance)]}]
    found = lab.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]
    return sorted((s for s in found if tags(s).get("ir:stage") == stage), key=lambda s: s["SnapshotId"])


def tags(snapshot):
    return {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}


def ids(described):
    return [snapshot["SnapshotId"] for snapshot in described]


def locks(lab, snapshot_ids):
    found = lab.client("ec2").describe_locked_snapshots(SnapshotIds=list(snapshot_ids))["Snapshots"]
    return {lock["SnapshotId"]: (lock["LockState"], lock["LockDuration"]) for lock in found}


def kept_bucket(scene):
    """Where cases are kept in the forensics account."""
    return scene.forensics.outputs["ForensicsCaseBucketName"]


def kept(scene, case):
    """A case as it lies in the forensics account: without what is open of it, which only the responder needs."""
    s3 = scene.lab.in_account(FORENSICS).client("s3")
    return CaseFile(case, read_all(s3, kept_bucket(scene), f"cases/{case}/"), {})


class Ledger:
    """A case as it lies in the bucket, read anew each time unless it is kept."""

    def __init__(self, scene, instance, case):
        self.scene, self.id = scene, case
        account = account_of(instance) if hasattr(instance, "arn") else scene.lab.account
        self.key = f"{account}/instance/{getattr(instance, 'id', instance)}"
        self.kept = None

    def keep(self):
        """Read it once for all that is asked until this is called again."""
        self.kept = None
        self.kept = self.file()

    def file(self):
        if self.kept:
            return self.kept
        case = CaseFile.of_target(self.scene.lab.client("s3"), self.scene.bucket, self.key)
        assert case.id == self.id
        return case

    def facts(self, record, **fields):
        """What entries of sealing record, of one sort, with these fields."""
        whats = [entry["what"] for entry in self.file().entries if entry["entry"] == "sealed"]
        found = [what for what in whats if what["record"] == record]
        return [fact for fact in found if all(fact.get(name) == value for name, value in fields.items())]

    def number(self, record, **fields):
        """The number of the one entry that records this."""
        entries = [e for e in self.file().entries if e["entry"] == "sealed" and e["what"]["record"] == record]
        (found,) = [e for e in entries if all(e["what"].get(name) == value for name, value in fields.items())]
        return found["number"]

    def told(self, snapshot):
        return [fact for fact in self.facts("told") if snapshot in fact["about"]]

    def wait_told(self, *snapshot_ids, deadline=40):
        """Until people were told of each: the end of a delivery."""
        self.scene.lab.wait_for(lambda: all(self.told(s) for s in snapshot_ids), deadline, interval=0.25)

    def messages(self):
        """What people were told of the snapshots of this case."""
        told = self.scene.lab.notifications()
        return [n for n in told if n["subject"] and "SEALED" in n["subject"] and self.id in n["message"]]


# --- events --------------------------------------------------------------------------------------------------


def event(lab, snapshot, name="createSnapshot", result="succeeded", cause="", source="", account=None):
    """One snapshot's event, as EBS writes it."""
    arn = f"arn:aws:ec2::{lab.region}:snapshot/{snapshot}"
    detail = {"event": name, "result": result, "cause": cause, "request-id": "", "snapshot_id": arn, "source": source}
    return envelope(lab, "EBS Snapshot Notification", detail, [arn], account)


def set_event(lab, snapshot_ids, result="succeeded", cause="", statuses=None):
    """A set's event."""
    arns = [f"arn:aws:ec2::{lab.region}:snapshot/{snapshot}" for snapshot in snapshot_ids]
    statuses = statuses or ["completed" if result == "succeeded" else "error"] * len(arns)
    each = [{"snapshot_id": arn, "source": "", "status": status} for arn, status in zip(arns, statuses, strict=True)]
    detail = {"event": "createSnapshots", "result": result, "cause": cause, "request-id": "", "snapshots": each}
    return envelope(lab, "EBS Multi-Volume Snapshots Completion Status", detail, arns)


def envelope(lab, detail_type, detail, resources, account=None):
    times = {"startTime": "2026-11-21T20:48:00Z", "endTime": "2026-11-21T20:48:30Z"}
    return {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": detail_type, "source": "aws.ec2",
        "account": account or lab.account, "time": "2026-11-21T20:48:30Z", "region": lab.region,
        "resources": resources, "detail": {**detail, **times},
    }  # fmt: skip


def deliver(scene, sent, function=SEAL_FUNCTION):
    """The delivery of an event, handed to the function past the rules."""
    return scene.invoke(sent, function)


def result_of(delivery, snapshot):
    (result,) = [r for r in delivery.answer["snapshots"] if r["snapshot"] == snapshot]
    return result


def manifest(scene, fact):
    """The manifest that a `sealed` fact records, and its bytes."""
    (kept,) = fact["objects"]
    stored = scene.read(kept["key"])
    return json.loads(stored), stored, kept
