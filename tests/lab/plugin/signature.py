"""SigV4: is this request signed with the secret of the key it names?

AWS behaviour: IAM User Guide, "Create a signed AWS API request"; S3 API reference, "Authenticating
requests". The canonical request is rebuilt from the raw target, the signed headers and the body,
and signed with botocore's signer. Streaming S3 uploads are verified through the seed signature of
their headers; the signatures of single chunks are not.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<credential>[^,\s]+),?\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),?\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = timedelta(minutes=15)


@dataclass(frozen=True)
class Signed:
    """What a request says about its own signature."""

    access_key: str
    date: str
    region: str
    service: str
    headers: tuple
    signature: str
    timestamp: str
    token: str
    presigned: bool = False
    expires: int = 0


class BadSignature(Exception):
    pass


def read(request):
    """The signature claims of a request, or None when it carries none."""
    match = _AUTHORIZATION.match(request.header("authorization"))
    if match:
        scope = match["credential"].rsplit("/", 4)
        if len(scope) != 5:
            raise BadSignature("malformed credential scope")
        return Signed(
            *scope[:4],
            tuple(match["headers"].split(";")),
            match["signature"],
            request.header("x-amz-date"),
            request.header("x-amz-security-token"),
        )
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if "X-Amz-Signature" not in query:
        return None
    scope = query.get("X-Amz-Credential", "").rsplit("/", 4)
    if len(scope) != 5:
        raise BadSignature("malformed credential scope")
    return Signed(
        *scope[:4],
        tuple(query.get("X-Amz-SignedHeaders", "").split(";")),
        query["X-Amz-Signature"],
        query.get("X-Amz-Date", ""),
        query.get("X-Amz-Security-Token", ""),
        presigned=True,
        expires=int(query.get("X-Amz-Expires", "0")),
    )


def verify(request, signed, secret):
    """Raise BadSignature unless the request was signed with this secret, recently."""
    _check_clock(signed)
    _check_payload_hash(request, signed)
    signer_class = S3SigV4Auth if signed.service == "s3" else SigV4Auth
    signer = signer_class(Credentials(signed.access_key, secret), signed.service, signed.region)
    rebuilt = AWSRequest(method=request.method, url=_url(request, signed), data=request.body)
    rebuilt.context["timestamp"] = signed.timestamp
    canonical = _canonical_request(signer, rebuilt, request, signed)
    expected = signer.signature(signer.string_to_sign(rebuilt, canonical), rebuilt)
    if not hmac.compare_digest(expected, signed.signature):
        raise BadSignature("signature does not match")


def _canonical_request(signer, rebuilt, request, signed):
    lines = []
    for name in signed.headers:
        if name not in request.headers:
            raise BadSignature(f"signed header {name} is missing")
        lines.append(f"{name}:{' '.join(request.headers[name].split())}")
    path = request.path if not request.path.startswith("http") else "/"
    return "\n".join(
        [
            request.method,
            signer._normalize_url_path(path),
            signer.canonical_query_string(rebuilt),
            "\n".join(lines) + "\n",
            ";".join(signed.headers),
            _payload_hash(request, signed),
        ]
    )


def _payload_hash(request, signed):
    if signed.presigned and signed.service == "s3":
        return request.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    return request.header("x-amz-content-sha256") or hashlib.sha256(request.body).hexdigest()


def _check_payload_hash(request, signed):
    stated = request.header("x-amz-content-sha256")
    if not stated:
        return
    if re.fullmatch("[0-9a-f]{64}", stated):
        if hashlib.sha256(request.body).hexdigest() != stated:
            raise BadSignature("the body is not the one that was signed")
    elif signed.service != "s3":
        raise BadSignature(f"{stated} is for S3 alone")


def _url(request, signed):
    query = request.query
    if signed.presigned:
        query = "&".join(p for p in query.split("&") if unquote(p.split("=")[0]) != "X-Amz-Signature")
    return f"http://lab{request.path}" + (f"?{query}" if query else "")


def _check_clock(signed):
    try:
        sent = datetime.strptime(signed.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise BadSignature("no X-Amz-Date") from error
    if not signed.timestamp.startswith(signed.date):
        raise BadSignature("date and credential scope differ")
    now = datetime.now(timezone.utc)
    late = timedelta(seconds=signed.expires) if signed.presigned else _SKEW
    if not now - late - timedelta(seconds=1) <= sent <= now + _SKEW:
        raise BadSignature(f"Signature expired: {signed.timestamp} is not within the accepted window")
