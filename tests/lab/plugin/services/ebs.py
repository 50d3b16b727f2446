"""EBS direct: the blocks of a snapshot.

AWS behaviour: EBS User Guide, "Use EBS direct APIs to access the contents of an EBS snapshot"; EBS direct API
reference, ListSnapshotBlocks (indexes ascending, blocks that were written alone; "the request can return less blocks
than MaxResults, or an empty array of blocks": the end is where there is no NextToken; tokens of blocks change with
every list) and GetSnapshotBlock. Content is made up when asked for, from the volume the snapshot was made of: a
copy has the content of its source. Some blocks are all zeros.
"""

import base64
import functools
import hashlib
import hmac
import secrets
from datetime import timedelta

from ...wire import Response
from ..call import handles
from ..errors import AwsError
from ..world import now
from .ec2_snapshot_copies import is_default_key, may_use_key

BLOCK = 524288
_PER_GIB = 2**30 // BLOCK
_KEY = secrets.token_bytes(16)


def block_indexes(snapshot):
    """Which blocks were written: the first ones, the last one, and some anywhere between."""
    return _indexes(snapshot.content, snapshot.volume_size * _PER_GIB, snapshot.blocks)


@functools.lru_cache(64)
def _indexes(content, total, count):
    first, step = min(4, count), max(1, total // max(count, 1))
    spread = [n * step + _number(content, n) % step for n in range(1, count)]
    begun = sorted({*range(first), *(index for index in spread if index < total - 1)})
    return [*begun[: count - 1], total - 1]


def block_of(snapshot, index):
    """The 512 KiB of a block."""
    if _number(snapshot.content, "zero", index) % 6 == 0 or index == 1:
        return bytes(BLOCK)
    digest = hashlib.sha256(f"{snapshot.content}:{index}".encode()).digest()
    return digest * (BLOCK // len(digest))


def _number(*parts):
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def _signed(*parts):
    text = ":".join(str(part) for part in parts)
    mark = hmac.new(_KEY, text.encode(), hashlib.sha256).hexdigest()[:24]
    return base64.b64encode(f"{text}:{mark}".encode()).decode()


def _read(token, kind, snapshot, reason):
    try:
        text, _, _ = base64.b64decode(token).decode().rpartition(":")
        named, snapshot_id, *rest = text.split(":")
        if (named, snapshot_id) == (kind, snapshot.id) and hmac.compare_digest(_signed(*text.split(":")), token):
            return [int(part, 16) for part in rest]
    except ValueError:
        pass
    raise AwsError("ValidationException", f"The {kind} token is not valid.", Reason=reason)


def _readable(call, actions=()):
    """The snapshot, if it can be read: completed, own or shared, and under a key the caller may use."""
    snapshot_id = call.params["SnapshotId"]
    try:
        snapshot = call.lab.snapshots.find(call.account, call.region, snapshot_id)
    except AwsError as error:
        raise AwsError("ResourceNotFoundException", error.message, 404, Reason="SNAPSHOT_NOT_FOUND") from error
    if snapshot.status != "completed":
        raise AwsError(
            "ValidationException", f"The snapshot {snapshot_id} is {snapshot.status}.", Reason="INVALID_SNAPSHOT_ID"
        )
    key = snapshot.kms_key_id
    if actions and key and not is_default_key(key) and not may_use_key(call, key, actions):
        reason = "DEPENDENCY_ACCESS_DENIED"
        raise AwsError("AccessDeniedException", "The caller may not use the key.", 403, Reason=reason)
    return snapshot


@handles("ebs", "ListSnapshotBlocks")
def list_snapshot_blocks(call):
    params, snapshot = call.params, _readable(call)
    limit = int(params.get("MaxResults") or 10000)
    if not 100 <= limit <= 10000:
        raise AwsError("ValidationException", "MaxResults is from 100 to 10000.", Reason="INVALID_PARAMETER_VALUE")
    start, pages = int(params.get("StartingBlockIndex") or 0), 0
    if params.get("NextToken"):
        start, pages = _read(params["NextToken"], "page", snapshot, "INVALID_PAGE_TOKEN")
    left = [index for index in block_indexes(snapshot) if index >= start]
    # Every second page is empty, as long as there is another.
    size = 0 if pages % 2 == 1 and left else min(limit, call.lab.snapshots.page)
    here, rest = left[:size], left[size:]
    nonce = secrets.token_hex(8)
    answer = {
        "Blocks": [
            {"BlockIndex": index, "BlockToken": _signed("block", snapshot.id, f"{index:x}", nonce)} for index in here
        ],
        "BlockSize": BLOCK,
        "ExpiryTime": now() + timedelta(days=7),
        "VolumeSize": snapshot.volume_size,
    }
    if rest:
        answer["NextToken"] = _signed("page", snapshot.id, f"{rest[0]:x}", f"{pages + 1:x}")
    return answer


@handles("ebs", "GetSnapshotBlock")
def get_snapshot_block(call):
    snapshot, index = _readable(call, ("Decrypt",)), int(call.params["BlockIndex"])
    of_token, _ = _read(call.params.get("BlockToken") or "", "block", snapshot, "INVALID_BLOCK_TOKEN")
    if of_token != index:
        raise AwsError("ValidationException", "The block token is of another block.", Reason="INVALID_BLOCK_TOKEN")
    body = block_of(snapshot, index)
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("x-amz-Data-Length", str(len(body))),
        ("x-amz-Checksum", base64.b64encode(hashlib.sha256(body).digest()).decode()),
        ("x-amz-Checksum-Algorithm", "SHA256"),
        ("x-amzn-RequestId", call.request_id),
    ]
    return Response(200, headers, body)
