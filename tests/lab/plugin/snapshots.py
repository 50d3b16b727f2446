"""The life of snapshots: pending for a while, then completed or failed, and the event that says so.

AWS behaviour: EBS User Guide, "EventBridge events for Amazon EBS" (createSnapshot, createSnapshots, copySnapshot;
the ARNs in them have the Region in the account's place), "Amazon EBS snapshots" (pending, completed, error).
Tests say how long a snapshot is pending, hold it there, and make the next one fail.
"""

import threading
from dataclasses import dataclass, field
from datetime import timedelta

from moto.ec2.models.elastic_block_store import Snapshot

from .errors import AwsError
from .world import iso, now

_PROGRESS = {"pending": "0%", "completed": "100%", "error": "0%"}
Snapshot.progress = property(lambda snapshot: _PROGRESS[snapshot.status])
Snapshot.state_message = None
Snapshot.lock = None
"""A `Lock`, once somebody locked it."""


def event_arn(region, kind, name):
    return f"arn:aws:ec2::{region}:{kind}/{name}"


@dataclass
class Work:
    """Snapshots that become completed, or fail, together."""

    account: str
    region: str
    event: str
    snapshots: list
    source: str = ""
    """What was copied, of copySnapshot."""
    failure: str = ""
    started: object = field(default_factory=now)
    over: bool = False


class Snapshots:
    def __init__(self, lab):
        self.lab = lab
        self.known = {}
        """Every snapshot made here, by id: (account, region, snapshot)."""
        self._work = []
        self.delay_ms, self.hold, self.fail_next = 300, False, 0
        self.fail_message = "Snapshot creation failed."
        self.blocks, self.page = 24, 10

    def set(self, **settings):
        """`delay_ms`, `hold`, `fail_next` (how many), `fail_message`; for EBS direct the `blocks` of snapshots made
        from now on, and how many a `page` has at most."""
        for name, value in settings.items():
            if name not in ("delay_ms", "hold", "fail_next", "fail_message", "blocks", "page"):
                raise ValueError(f"no setting {name}")
            setattr(self, name, value)
        return self.settings()

    def settings(self):
        waiting = [s.id for work in self._work if not work.over for s in work.snapshots]
        names = ("delay_ms", "hold", "fail_next", "fail_message", "blocks", "page")
        return {**{name: getattr(self, name) for name in names}, "pending": waiting}

    def begin(self, work):
        """Take up snapshots that were just made."""
        if self.fail_next > 0 and not work.failure:
            self.fail_next -= 1
            work.failure = self.fail_message
        for snapshot in work.snapshots:
            snapshot.status = "pending"
            self.known[snapshot.id] = (work.account, work.region, snapshot)
        self._work.append(work)
        if not self.hold:
            timer = threading.Timer(self.delay_ms / 1000, self._finish, (work,))
            timer.daemon = True
            timer.start()

    def release(self, ids=None, fail=""):
        """Let pending snapshots end now: all, or those whose work has one of the ids; `fail` says why they fail."""
        released = []
        for work in list(self._work):
            mine = [snapshot.id for snapshot in work.snapshots]
            if not work.over and (ids is None or set(ids) & set(mine)):
                work.failure = fail or work.failure
                self._finish(work)
                released += mine
        return released

    def _finish(self, work):
        with self.lab.world.lock_of("ec2"):
            if work.over:
                return
            work.over = True
            for snapshot in work.snapshots:
                snapshot.status = "error" if work.failure else "completed"
                snapshot.state_message = work.failure or None
                if snapshot.lock and not work.failure:
                    snapshot.lock.start()
        arns = [event_arn(work.region, "snapshot", snapshot.id) for snapshot in work.snapshots]
        several = work.event == "createSnapshots"
        detail_type = "EBS Multi-Volume Snapshots Completion Status" if several else "EBS Snapshot Notification"
        detail = self._several(work, arns) if several else self._one(work, arns[0])
        self.lab.bus.publish(work.account, work.region, "aws.ec2", detail_type, detail, arns)

    @staticmethod
    def _one(work, arn):
        (snapshot,) = work.snapshots
        source = work.source or event_arn(work.region, "volume", snapshot.volume_id)
        detail = {**_outcome(work), "snapshot_id": arn, "source": source, **_times(work)}
        return detail | ({"Incremental": "true"} if work.event == "copySnapshot" else {})

    @staticmethod
    def _several(work, arns):
        each = [
            {"snapshot_id": arn, "source": event_arn(work.region, "volume", s.volume_id), "status": s.status}
            for arn, s in zip(arns, work.snapshots, strict=True)
        ]
        return {**_outcome(work), **_times(work), "snapshots": each}

    # --- who may see what --------------------------------------------------------------------------

    def find(self, account, region, snapshot_id):
        """The snapshot as this account may use it: its own, or one shared with it. Any other does not exist."""
        owner, home, snapshot = self.known.get(snapshot_id, (None, None, None))
        if snapshot is None or home != region or not (owner == account or shared_with(snapshot, account)):
            raise not_found(snapshot_id)
        if snapshot.id not in snapshot.ec2_backend.snapshots:
            raise not_found(snapshot_id)
        return snapshot

    def shared(self, account, region):
        return [
            snapshot
            for owner, home, snapshot in list(self.known.values())
            if owner != account and home == region and shared_with(snapshot, account)
            and snapshot.id in snapshot.ec2_backend.snapshots
        ]  # fmt: skip


def _outcome(work):
    result = "failed" if work.failure else "succeeded"
    return {"event": work.event, "result": result, "cause": work.failure, "request-id": ""}


def _times(work):
    return {"startTime": iso(work.started), "endTime": iso(now())}


def shared_with(snapshot, account):
    return account in snapshot.create_volume_permission_userids or "all" in snapshot.create_volume_permission_groups


def not_found(snapshot_id):
    return AwsError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


@dataclass
class Lock:
    """A snapshot's lock. Its duration begins when the snapshot is completed."""

    mode: str
    days: int = 0
    until: object = None
    cool_off_hours: int = 0
    created: object = field(default_factory=now)
    started: object = None

    def start(self):
        self.started = self.started or now()

    @property
    def expires(self):
        return self.until or (self.started + timedelta(days=self.days) if self.started else None)

    @property
    def cool_off_until(self):
        return self.created + timedelta(hours=self.cool_off_hours) if self.cool_off_hours else None

    @property
    def state(self):
        if self.expires and self.expires <= now():
            return "expired"
        if self.cool_off_until and self.cool_off_until > now():
            return "compliance-cooloff"
        return self.mode
