"""Where CloudFormation waits for the answer of a custom resource: pre-signed URLs that take one PUT each.

AWS behaviour: CloudFormation User Guide, "Custom resource response objects" and "Request and response"; S3 User Guide,
"Uploading objects with presigned URLs". The signature is over a request without a content type, S3 needs to know the
length, and a second PUT replaces the first; CloudFormation goes by the first it reads.
"""

import json
import threading
import uuid
from urllib.parse import parse_qsl

from ..wire import Response

PREFIX = "/lab/answers/"
_LARGEST = 4096


class Answers:
    def __init__(self, lab):
        self.lab = lab
        self._waiting = {}
        self._refuse = 0
        self._lock = threading.Lock()

    def expect(self):
        """A place to answer at."""
        place, signature = uuid.uuid4().hex, uuid.uuid4().hex
        with self._lock:
            self._waiting[place] = (signature, [])
        url = f"{self.lab.world.endpoint}{PREFIX}{place}?X-Amz-Expires=7200&X-Amz-Signature={signature}"
        return {"id": place, "url": url}

    def given(self, place):
        """Every answer that was put there, in order: the document, or what was wrong with it."""
        return list(self._waiting[place][1])

    def refuse(self, times):
        """Be out of order for the next PUTs."""
        with self._lock:
            self._refuse = times
        return {}

    @staticmethod
    def wants(request):
        return request.method == "PUT" and request.path.startswith(PREFIX)

    def __call__(self, request):
        with self._lock:
            if self._refuse:
                self._refuse -= 1
                return Response(503, [], b"<Error><Code>SlowDown</Code></Error>")
            signature, given = self._waiting.get(request.path.removeprefix(PREFIX), ("", None))
            if given is None or dict(parse_qsl(request.query)).get("X-Amz-Signature") != signature:
                return Response(403, [], b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            if request.header("content-type"):
                return Response(403, [], b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            if "content-length" not in request.headers:
                return Response(411, [], b"<Error><Code>MissingContentLength</Code></Error>")
            given.append(_read(request.body))
        return Response(200)


def _read(body):
    if len(body) > _LARGEST:
        return {"Invalid": f"{len(body)} bytes, of {_LARGEST}"}
    try:
        return json.loads(body)
    except ValueError as error:
        return {"Invalid": str(error)}
