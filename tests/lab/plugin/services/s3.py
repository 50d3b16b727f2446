"""S3 guards, what moto accepts and S3 refuses; and listings that do not look at every object.

AWS behaviour: S3 User Guide, "Locking objects with Object Lock" and "Checking object integrity";
S3 API reference, PutObject. Conditional writes are atomic because one S3 operation runs at a time.
"""

import base64
import hashlib
import re
import zlib
from bisect import bisect_left
from datetime import datetime, timezone
from types import SimpleNamespace

from moto.s3.models import S3Backend
from moto.s3.utils import _VersionedKeyStore

from ..access import may
from ..call import guards
from ..encryption import find_bucket
from ..errors import AwsError
from ..need import Need


@guards("s3", "PutObject", "GetObject", "HeadObject")
def refuse_requests_of_another_owner(call):
    """x-amz-expected-bucket-owner: a bucket of somebody else is no place for evidence."""
    expected = call.request.header("x-amz-expected-bucket-owner")
    bucket = find_bucket(call.params["Bucket"])
    if expected and bucket is not None and bucket.account_id != expected:
        raise AwsError("AccessDenied", "Access Denied", 403)


@guards("s3", "GetObject", "HeadObject")
def hide_missing_objects(call):
    """A missing object is 404 for who may list the bucket and 403 for everybody else.

    S3 API reference, GetObject and HeadObject, "Permissions". Whether that question carries an
    `s3:prefix` is not documented; the lab asks it without one, so that a grant which relies on
    `s3:prefix` being there is found out here rather than in an account.
    """
    bucket = find_bucket(call.params["Bucket"])
    if bucket is None or call.principal.kind == "admin" or bucket.keys.get(call.params["Key"]) is not None:
        return
    need = Need("s3:ListBucket", f"arn:aws:s3:::{bucket.name}")
    if not may(call.principal, need.action, need.resource, call.context).allowed:
        raise AwsError("AccessDenied", "Access Denied", 403)
    call.extra_needs.append(need)


@guards("s3", "PutObject")
def admit_any_checksum_under_object_lock(call):
    """Object Lock asks for an integrity check of the upload; a checksum header is one.

    moto looks for Content-MD5 or the SDK's algorithm header alone.
    """
    headers = call.request.headers
    stated = next(
        (name for name in headers if re.fullmatch(r"x-amz-checksum-(crc32c?|crc64nvme|sha1|sha256)", name)), None
    )
    if stated and "x-amz-sdk-checksum-algorithm" not in headers:
        headers["x-amz-sdk-checksum-algorithm"] = stated.rsplit("-", 1)[1].upper()


_CHECKSUMS = {
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha1": lambda body: hashlib.sha1(body).digest(),
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
}


@guards("s3", "PutObject")
def refuse_wrong_checksum(call):
    """The checksum a client states, in a header or a trailer, must be that of the body it sent."""
    for name, checksum in _CHECKSUMS.items():
        stated = call.request.header(f"x-amz-checksum-{name}")
        if stated and base64.b64encode(checksum(call.request.body)).decode() != stated:
            raise AwsError("BadDigest", f"The {name.upper()} you specified did not match the calculated checksum.", 400)


@guards("s3", "PutObjectRetention")
def refuse_shorter_compliance_lock(call):
    """A COMPLIANCE retention can be extended by anyone allowed, and shortened by nobody."""
    bucket = find_bucket(call.params["Bucket"])
    stored = bucket.keys.get(call.params["Key"]) if bucket else None
    if stored is None or stored.lock_mode != "COMPLIANCE" or not stored.lock_until:
        return
    stated = re.search(rb"<RetainUntilDate>([^<]+)<", call.request.body)
    if stated is None:
        raise AwsError("AccessDenied", "Access Denied because object protected by object lock.", 403)
    if _instant(stated[1].decode()) < _instant(str(stored.lock_until)):
        raise AwsError("AccessDenied", "Access Denied because object protected by object lock.", 403)


def _instant(text):
    instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)


# --- listing ----------------------------------------------------------------------------------------------
#
# moto looks at every object of a bucket for each listing. A run of all tests leaves tens of thousands in the case
# bucket, and most listings are of one case.


def _under(names, prefix):
    first = bisect_left(names, prefix)
    after = bisect_left(names, True, lo=first, key=lambda name: not name.startswith(prefix))
    return names[first:after]


def _keep_names(change):
    """Around a method of moto's store that adds a key or takes one away."""

    def changed(store, key, *value):
        answer = change(store, key, *value)
        names = _names_of(store)
        place = bisect_left(names, key)
        listed = place < len(names) and names[place] == key
        if key in store and not listed:
            names.insert(place, key)
        elif key not in store and listed:
            del names[place]
        return answer

    return changed


def _names_of(store):
    """All names in a bucket, in order."""
    if not hasattr(store, "names"):
        store.names = sorted(store)
    return store.names


def _list_what_the_prefix_names(listing):
    def list_objects(backend, bucket, prefix, *rest, **named):
        keys = bucket.keys
        if prefix:
            bucket = SimpleNamespace(keys={name: keys[name] for name in _under(_names_of(keys), prefix)})
        return listing(backend, bucket, prefix, *rest, **named)

    return list_objects


for _method in ("__setitem__", "setlist", "pop"):
    setattr(_VersionedKeyStore, _method, _keep_names(getattr(_VersionedKeyStore, _method)))
S3Backend.list_objects = _list_what_the_prefix_names(S3Backend.list_objects)
