"""Snapshots: making, listing, locking and deleting them.

AWS behaviour: EC2 API reference, CreateSnapshot, CreateSnapshots (all volumes of an instance at one moment, the root
volume with them; tags only as asked for), DescribeSnapshots (own ones and those shared with the account),
LockSnapshot ("you can lock a snapshot that is pending"; either a duration or a date), UnlockSnapshot,
DescribeLockedSnapshots, DeleteSnapshot. Which code DeleteSnapshot answers of a locked snapshot is not documented.
"""

from fnmatch import fnmatchcase

from moto.ec2.utils import generic_filter

from ..call import guards, handles
from ..ec2_model import backend_of, flag, tags_of
from ..errors import AwsError
from ..paging import page
from ..resources import key_arn
from ..snapshots import Lock, Work, not_found
from .ec2_instances import instance_or_refuse


def requested_tags(call):
    specifications = call.params.get("TagSpecifications") or []
    tags = [tag for s in specifications if s.get("ResourceType") == "snapshot" for tag in s.get("Tags") or []]
    return {tag["Key"]: tag.get("Value") or "" for tag in tags}


def shown(snapshot, account):
    """A snapshot as DescribeSnapshots answers it; its tags are for its owner."""
    tags = tags_of(snapshot.ec2_backend, snapshot.id) if snapshot.owner_id == account else {}
    return {
        "Description": snapshot.description or "",
        "Encrypted": bool(snapshot.encrypted),
        **({"KmsKeyId": snapshot.kms_key_id} if snapshot.kms_key_id else {}),
        "OwnerId": snapshot.owner_id,
        "Progress": snapshot.progress,
        "SnapshotId": snapshot.id,
        "StartTime": snapshot.start_time,
        "State": snapshot.status,
        **({"StateMessage": snapshot.state_message} if snapshot.state_message else {}),
        "StorageTier": snapshot.storage_tier,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "VolumeId": snapshot.volume_id,
        "VolumeSize": snapshot.volume_size,
    }


def _made(call, volume_id):
    """A snapshot of a volume, with its key and its content."""
    backend = backend_of(call)
    volume = backend.volumes.get(volume_id)
    if volume is None:
        raise AwsError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")
    snapshot = backend.create_snapshot(volume_id, call.params.get("Description") or "")
    snapshot.kms_key_id = key_arn(volume.kms_key_id, call.region, call.account) if volume.kms_key_id else None
    origin = backend.snapshots.get(volume.snapshot_id)
    snapshot.content, snapshot.blocks = getattr(origin, "content", volume_id), call.lab.snapshots.blocks
    snapshot.add_tags(requested_tags(call))
    return snapshot


@handles("ec2", "CreateSnapshot")
def create_snapshot(call):
    snapshot = _made(call, call.params["VolumeId"])
    call.lab.snapshots.begin(Work(call.account, call.region, "createSnapshot", [snapshot]))
    return shown(snapshot, call.account)


@handles("ec2", "CreateSnapshots")
def create_snapshots(call):
    specification = call.params.get("InstanceSpecification") or {}
    instance = instance_or_refuse(call, specification.get("InstanceId"))
    if instance.state in ("shutting-down", "terminated"):
        raise AwsError("IncorrectInstanceState", f"The instance '{instance.id}' is {instance.state}.")
    left_out = set(specification.get("ExcludeDataVolumeIds") or [])
    volumes = [
        block.volume_id
        for device, block in instance.get_block_device_mapping
        if block.volume_id not in left_out
        and not (flag(specification.get("ExcludeBootVolume")) and device == instance.root_device_name)
    ]
    if not volumes:
        raise AwsError("InvalidParameterValue", f"The instance '{instance.id}' has no volumes to take snapshots of.")
    snapshots = [_made(call, volume_id) for volume_id in volumes]
    if call.params.get("CopyTagsFromSource") == "volume":
        for snapshot in snapshots:
            snapshot.add_tags({**tags_of(backend_of(call), snapshot.volume_id), **requested_tags(call)})
    call.lab.snapshots.begin(Work(call.account, call.region, "createSnapshots", snapshots))
    return {"Snapshots": [shown(snapshot, call.account) for snapshot in snapshots]}


@handles("ec2", "DescribeSnapshots")
def describe_snapshots(call):
    params, lab = call.params, call.lab
    ids = params.get("SnapshotIds") or []
    if ids and params.get("MaxResults"):
        raise AwsError(
            "InvalidParameterCombination", "The parameter snapshotSet cannot be used with the parameter maxResults"
        )
    own = list(backend_of(call).snapshots.values())
    found = own + lab.snapshots.shared(call.account, call.region)
    owners = {call.account if owner == "self" else owner for owner in params.get("OwnerIds") or []}
    found = [snapshot for snapshot in found if not owners or snapshot.owner_id in owners]
    by_id = {snapshot.id: snapshot for snapshot in found}
    for snapshot_id in ids:
        if snapshot_id not in by_id:
            raise not_found(snapshot_id)
    filters = {f["Name"]: f.get("Values") or [] for f in params.get("Filters") or []}
    # Tags by themselves: moto looks through those of everything there is for each snapshot.
    tagged = {name[4:]: filters.pop(name) for name in list(filters) if name.startswith("tag:")}
    found = [s for s in ([by_id[i] for i in ids] if ids else found) if _has_tags(s, tagged)]
    found = generic_filter(filters, found)
    return page(call, "Snapshots", [shown(snapshot, call.account) for snapshot in found])


def _has_tags(snapshot, wanted):
    have = tags_of(snapshot.ec2_backend, snapshot.id) if wanted else {}
    return all(key in have and any(fnmatchcase(have[key], one) for one in values) for key, values in wanted.items())


# --- locks -----------------------------------------------------------------------------------------


def own_snapshot(call):
    snapshot_id = call.params["SnapshotId"]
    snapshot = backend_of(call).snapshots.get(snapshot_id)
    if snapshot is None:
        raise not_found(snapshot_id)
    return snapshot


def _lock_asked_for(params):
    mode, days, until = params.get("LockMode"), params.get("LockDuration"), params.get("ExpirationDate")
    if mode not in ("governance", "compliance"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{mode}' for LockMode.")
    if bool(days) == bool(until):
        raise AwsError("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate.")
    if days and not 1 <= int(days) <= 36500:
        raise AwsError("InvalidParameterValue", "LockDuration is from 1 to 36500 days.")
    cool_off = params.get("CoolOffPeriod")
    if cool_off and (mode != "compliance" or not 1 <= int(cool_off) <= 72):
        raise AwsError("InvalidParameterValue", "CoolOffPeriod is from 1 to 72 hours, in compliance mode.")
    return Lock(mode, int(days or 0), until, int(cool_off or 0))


@handles("ec2", "LockSnapshot")
def lock_snapshot(call):
    snapshot, lock = own_snapshot(call), _lock_asked_for(call.params)
    before = snapshot.lock
    if before and before.state == "compliance":
        longer = lock.mode == "compliance" and (lock.days >= before.days if lock.days else lock.until > before.expires)
        if not longer:
            raise AwsError("OperationNotPermitted", "A lock in compliance mode can only be made longer.")
        lock.created, lock.started, lock.cool_off_hours = before.created, before.started, 0
    if snapshot.status == "completed":
        lock.start()
    snapshot.lock = lock
    return _shown_lock(snapshot)


@handles("ec2", "UnlockSnapshot")
def unlock_snapshot(call):
    snapshot = own_snapshot(call)
    if snapshot.lock is None or snapshot.lock.state == "expired":
        raise AwsError("IncorrectState", f"The snapshot '{snapshot.id}' is not locked.")
    if snapshot.lock.state == "compliance":
        raise AwsError("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked in compliance mode.")
    snapshot.lock = None
    return {"SnapshotId": snapshot.id}


@handles("ec2", "DescribeLockedSnapshots")
def describe_locked_snapshots(call):
    ids = call.params.get("SnapshotIds") or []
    states = next((f["Values"] for f in call.params.get("Filters") or [] if f["Name"] == "lock-state"), None)
    found = [s for s in backend_of(call).snapshots.values() if s.lock and (not ids or s.id in ids)]
    shown_locks = [_shown_lock(s) for s in found if states is None or s.lock.state in states]
    return page(call, "Snapshots", shown_locks)


def _shown_lock(snapshot):
    lock = snapshot.lock
    shown_lock = {
        "OwnerId": snapshot.owner_id,
        "SnapshotId": snapshot.id,
        "LockState": lock.state,
        "LockDuration": lock.days or None,
        "CoolOffPeriod": lock.cool_off_hours or None,
        "CoolOffPeriodExpiresOn": lock.cool_off_until,
        "LockCreatedOn": lock.created,
        "LockDurationStartTime": lock.started,
        "LockExpiresOn": lock.expires,
    }
    return {name: value for name, value in shown_lock.items() if value is not None}


@guards("ec2", "DeleteSnapshot")
def refuse_locked(call):
    snapshot = own_snapshot(call)
    if snapshot.lock and snapshot.lock.state != "expired":
        raise AwsError("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked and cannot be deleted.")
