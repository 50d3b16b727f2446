"""Faults a test orders for the requests of one function.

A fault strikes the k-th request it matches, and by its scope also what comes after: `call`, that request
alone (and the next `times - 1` it matches); `invocation`, the same operation on the same thing until the
invocation ends, so that the SDK's own tries meet it; `event`, in Lambda's further tries of the event as well.

A crash is exact: requests are counted in the order they arrive; those before it are carried out (with
`crash_after` the one it strikes too), the process is killed before it reads that answer, and nothing it had
sent since is carried out. What a retry then finds is the state after exactly so many requests.
"""

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ..wire import Dropped, Reset, Response
from .errors import AwsError, error_response, refusal

KINDS = {
    "throttle": "the service's own throttling error",
    "internal_error": "the service's own error for trouble inside it, 500",
    "access_denied": "the service's own refusal for want of permission",
    "error": "any error: `code` and `status`",
    "garbage": "200 with a body of another protocol; nothing is carried out",
    "garbage_5xx": "502 as a proxy writes it; nothing is carried out",
    "held": "carried out when the test clears the faults, then answered",
    "timeout": "carried out, and never answered",
    "reset_before": "connection reset; nothing is carried out",
    "reset_after": "carried out, and the connection reset in place of the answer",
    "crash_before": "the process is killed; this request is not carried out",
    "crash_after": "carried out, and the process killed before it reads the answer",
}
SCOPES = ("call", "invocation", "event")
_ERRORS = {"throttle": "throttled", "internal_error": "internal", "access_denied": "denied"}
_AFTERWARDS = ("timeout", "reset_after", "crash_after")
_DEADLINE = 5.0
_SILENCE = 60.0
_PAGE = b"<html><body>\x00 not an answer</body></html>"


@dataclass
class Fault:
    function: str
    at_call: int
    kind: str
    times: int = 1
    scope: str = "call"
    action: str = ""
    """Count only requests of this operation ("iam:PutUserPolicy"); all when empty."""
    resource: str = "*"
    """Count only requests about what fits this pattern (see `subject`)."""
    request_id: str = ""
    """Only the invocations of this event; the function's next invocation when empty."""
    code: str = ""
    """For the kind "error": which one, such as EntityTemporarilyUnmodifiable."""
    status: int = 400
    seen: int = 0
    fired: int = 0
    struck: tuple = None
    """Operation and subject of the request it struck first."""
    invocation: object = None
    cleared: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.at_call, self.times, self.status = int(self.at_call), int(self.times), int(self.status)
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; one of {', '.join(KINDS)}")
        if self.scope not in SCOPES:
            raise ValueError(f"unknown scope {self.scope!r}; one of {', '.join(SCOPES)}")
        if self.kind == "error" and not self.code:
            raise ValueError("a fault of kind error needs a code")

    @property
    def is_crash(self):
        return self.kind.startswith("crash")

    @property
    def afterwards(self):
        """Whether the request is carried out first."""
        return self.kind in _AFTERWARDS

    def as_dict(self):
        hidden = ("invocation", "cleared")
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in hidden}
        bound = self.invocation.request_id if self.invocation else None
        return {**shown, "request_id": self.request_id or bound}

    def begin(self, invocation):
        """Whether this invocation is one it concerns; it then counts from zero."""
        if self.function != invocation.function.name or self.request_id not in ("", invocation.request_id):
            return
        before = self.invocation
        again = before is not None and (
            (self.is_crash and 0 < self.fired < self.times)
            or (self.scope == "event" and before.request_id == invocation.request_id)
        )
        if before is None or again:
            self.invocation, self.seen = invocation, 0

    def strikes(self, request):
        """Count a request, which is (operation, subject); whether the fault strikes it."""
        if self.struck and self.scope != "call":
            self.fired += request == self.struck
            return request == self.struck
        action, subject = request
        if self.action and self.action.lower() != action.lower() or not fnmatchcase(subject, self.resource):
            return False
        self.seen += 1
        due = self.seen == self.at_call if self.is_crash else self.seen >= self.at_call and self.fired < self.times
        if due:
            self.fired += 1
            self.struck = self.struck or request
        return due


def subject(operation, needs):
    """What a request is about: its resource, and the part of it that it names."""
    parts = ("PolicyName", "PolicyArn", "AccessKeyId", "ServiceSpecificCredentialId", "SSHPublicKeyId", "CertificateId")
    named = [str(operation.params[part]) for part in parts if operation.params.get(part)]
    prefix = operation.params.get("query", {}).get("prefix")
    if prefix:
        # A list is about what it lists.
        return f"{needs[0].resource}/{prefix}"
    return " ".join([needs[0].resource, *named])


class Faults:
    def __init__(self):
        self._armed = []
        self._lock = threading.Lock()

    def arm(self, **order):
        fault = Fault(**order)
        with self._lock:
            self._armed.append(fault)
        return fault

    def all(self, request_id=None):
        with self._lock:
            return [f.as_dict() for f in self._armed if request_id is None or f.request_id == request_id]

    def clear(self):
        with self._lock:
            for fault in self._armed:
                fault.cleared.set()
            self._armed.clear()

    def begin(self, invocation):
        """An invocation starts: armed faults that concern it attach to it."""
        with self._lock:
            for fault in self._armed:
                fault.begin(invocation)

    def count(self, invocation, request):
        """Count a request of an invocation; the fault that strikes it, or None.

        Raises Dropped where the process is about to be killed. Every other request is under way from here on,
        so that a crash which waits for the earlier ones cannot overlook one; its end is `invocation.calls.leave`.
        """
        with self._lock:
            if not invocation.doomed:
                invocation.requests.append(request)
                struck = None
                for fault in self._armed:
                    if fault.invocation is invocation and fault.strikes(request):
                        struck = struck or fault
                invocation.doomed = struck is not None and struck.is_crash
                invocation.calls.enter()
                return struck
        # Not carried out, and not answered, until its process is gone.
        invocation.done.wait(_DEADLINE)
        raise Dropped


def strike(fault, invocation, operation, request_id):
    """Do what the fault does in place of an answer: return another one, or end the connection."""
    if fault.is_crash:
        invocation.calls.wait_until_only_one(_DEADLINE)
        invocation.instance.kill()
        raise Dropped
    if fault.kind.startswith("reset"):
        raise Reset
    if fault.kind == "timeout":
        invocation.done.wait(_SILENCE)
        raise Dropped
    if fault.kind.startswith("garbage"):
        status = 200 if fault.kind == "garbage" else 502
        return Response(status, [("Content-Type", "text/html")], _PAGE)
    if fault.kind == "error":
        error = AwsError(fault.code, "A fault ordered by the test.", fault.status)
    else:
        error = refusal(_ERRORS[fault.kind], operation)
    return error_response(error, operation, request_id)


class InFlight:
    """How many requests of one invocation are being carried out."""

    def __init__(self):
        self._count = 0
        self._changed = threading.Condition()

    def enter(self):
        with self._changed:
            self._count += 1

    def leave(self):
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_only_one(self, deadline):
        with self._changed:
            self._changed.wait_for(lambda: self._count <= 1, deadline)
