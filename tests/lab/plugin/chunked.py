"""The aws-chunked encoding SDKs use for S3 uploads: a body in chunks, then its checksum.

AWS behaviour: S3 API reference, "Signature calculations for the Authorization header: Transferring
payload in multiple chunks" and "Checking object integrity" (trailing checksums). What S3 stores is
the decoded body; the trailer counts as the header of the same name.
"""

from dataclasses import replace

from .errors import AwsError


def decoded(request):
    """The request with a plain body, its trailers among its headers."""
    encodings = [e.strip() for e in request.header("content-encoding").split(",") if e.strip()]
    streaming = request.header("x-amz-content-sha256").startswith("STREAMING-")
    if not streaming and "aws-chunked" not in encodings:
        return request
    body, trailers = _split(request.body)
    stated = request.header("x-amz-decoded-content-length")
    if stated and int(stated) != len(body):
        raise AwsError("IncompleteBody", "The body is not as long as x-amz-decoded-content-length says.", 400)
    headers = {**request.headers, **trailers}
    encodings = [e for e in encodings if e != "aws-chunked"]
    for name in ("content-encoding", "x-amz-content-sha256", "x-amz-trailer", "x-amz-decoded-content-length"):
        headers.pop(name, None)
    if encodings:
        headers["content-encoding"] = ",".join(encodings)
    headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    headers["content-length"] = str(len(body))
    return replace(request, body=body, headers=headers)


def _split(raw):
    parts, at = [], 0
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            raise AwsError("IncompleteBody", "The chunked body ends in the middle of a chunk.", 400)
        size = int(raw[at:end].split(b";")[0], 16)
        at = end + 2
        if size == 0:
            return b"".join(parts), _trailers(raw[at:])
        parts.append(raw[at : at + size])
        at += size + 2


def _trailers(rest):
    found = {}
    for line in rest.split(b"\r\n"):
        name, separator, value = line.decode("latin-1").partition(":")
        if separator and not name.lower().startswith("x-amz-trailer-signature"):
            found[name.strip().lower()] = value.strip()
    return found
