"""Copying and sharing snapshots.

AWS behaviour: EC2 API reference, CopySnapshot (tags are not copied; the copy's volume id is an arbitrary one;
"if you attempt to copy an encrypted snapshot without having permission to use the key, the copy operation will
fail silently", the reason is in StateMessage later) and ModifySnapshotAttribute (adding and removing are two calls; a
snapshot under the default key of EBS cannot be shared, an encrypted one not with everybody); EBS User Guide,
"Required permissions for ... encryption" (which KMS actions the caller needs). Key policies are not evaluated.
"""

from types import SimpleNamespace

from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.utils import random_snapshot_id

from ..access import may
from ..call import handles
from ..ec2_model import backend_of, flag
from ..errors import AwsError
from ..need import Need
from ..resources import key_arn
from ..snapshots import Work, event_arn
from .ec2_snapshots import own_snapshot, requested_tags

_NO_KEY = "Given key ID is not accessible"
_OF_COPY = ("DescribeKey", "CreateGrant", "GenerateDataKeyWithoutPlaintext", "ReEncryptTo")
_OF_SOURCE = ("DescribeKey", "CreateGrant", "Decrypt", "ReEncryptFrom")


@handles("ec2", "CopySnapshot")
def copy_snapshot(call):
    params, backend = call.params, backend_of(call)
    source_region = params["SourceRegion"]
    source = call.lab.snapshots.find(call.account, source_region, params["SourceSnapshotId"])
    if source.status != "completed":
        raise AwsError("IncorrectState", f"Snapshot is in invalid state - {source.status}")
    if params.get("KmsKeyId") and not (source.encrypted or flag(params.get("Encrypted"))):
        raise AwsError(
            "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set."
        )
    key = None
    if source.encrypted or flag(params.get("Encrypted")):
        key = params.get("KmsKeyId") or backend.default_kms_key_id or backend._create_default_encryption_key()
        key = key_arn(key, call.region, call.account)
    volume = SimpleNamespace(id="vol-ffffffff", size=source.volume_size)
    copy = Snapshot(backend, random_snapshot_id(), volume, params.get("Description") or "", bool(key), key)
    copy.content, copy.blocks = source.content, source.blocks
    backend.snapshots[copy.id] = copy
    copy.add_tags(requested_tags(call))
    failure = _key_trouble(call, key, _OF_COPY) or _key_trouble(call, source.kms_key_id, _OF_SOURCE)
    origin = event_arn(source_region, "snapshot", source.id)
    call.lab.snapshots.begin(Work(call.account, call.region, "copySnapshot", [copy], origin, failure))
    return {"SnapshotId": copy.id, "Tags": [{"Key": k, "Value": v} for k, v in requested_tags(call).items()]}


def is_default_key(key):
    """Whether a key is the one AWS manages for EBS in its account."""
    return _key(key) is not None and _key(key).id in _default_ids(key)


def _kms(key):
    from moto.kms.models import kms_backends

    _, _, _, region, account, _ = key.split(":", 5)
    return kms_backends[account][region]


def _key(key):
    return _kms(key).keys.get(key.rsplit("/", 1)[1])


def _default_ids(key):
    return [_kms(key).get_key_id_from_alias("alias/aws/ebs")]


def _key_trouble(call, key, actions):
    """Why EBS cannot use the key on behalf of the caller; nothing when it can."""
    if not key:
        return ""
    stored = _key(key)
    if stored is None or stored.key_state != "Enabled":
        return _NO_KEY
    if is_default_key(key):
        return "" if key.split(":")[4] == call.account else _NO_KEY
    return "" if may_use_key(call, key, actions) else _NO_KEY


def may_use_key(call, key, actions):
    """Whether the caller's policies allow these actions on the key through EC2."""
    if call.principal.kind == "admin":
        return True
    through = {"kms:viaservice": f"ec2.{call.region}.amazonaws.com", "kms:calleraccount": call.account}
    for action in actions:
        need = Need(f"kms:{action}", key, {**through, "kms:grantisforawsresource": "true"})
        if not may(call.principal, need.action, need.resource, {**call.context, **need.context}).allowed:
            return False
        call.extra_needs.append(need)
    return True


# --- sharing ---------------------------------------------------------------------------------------


@handles("ec2", "ModifySnapshotAttribute")
def modify_snapshot_attribute(call):
    snapshot, params = own_snapshot(call), call.params
    if params.get("Attribute") not in (None, "createVolumePermission"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{params['Attribute']}' for attribute.")
    change = params.get("CreateVolumePermission") or {}
    add, remove = list(change.get("Add") or []), list(change.get("Remove") or [])
    listed = [{"UserId": user} for user in params.get("UserIds") or []]
    listed += [{"Group": group} for group in params.get("GroupNames") or []]
    (add if params.get("OperationType") == "add" else remove).extend(listed)
    if bool(add) == bool(remove):
        raise AwsError("InvalidParameterCombination", "Either add or remove permissions.")
    if add and snapshot.encrypted:
        if is_default_key(snapshot.kms_key_id):
            raise AwsError("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
        if any(permission.get("Group") for permission in add):
            raise AwsError("OperationNotPermitted", "Encrypted snapshots cannot be shared publicly")
    for permission in add + remove:
        if permission.get("Group") not in (None, "all"):
            raise AwsError("InvalidParameterValue", f"Invalid group '{permission['Group']}'.")
        users, groups = snapshot.create_volume_permission_userids, snapshot.create_volume_permission_groups
        for value, stored in ((permission.get("UserId"), users), (permission.get("Group"), groups)):
            if value:
                stored.add(value) if add else stored.discard(value)
    return {}
