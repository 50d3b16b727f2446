"""Faults a test orders for the calls of one function invocation.

A crash is exact: calls are counted in the order they arrive; those up to the k-th are carried
out, the process is killed before it reads the k-th answer, and nothing it had sent after that
is carried out. What a retry then finds is the state after exactly k calls.
"""

import threading
from dataclasses import dataclass

from .errors import AwsError, refusal

KINDS = ("crash_after", "throttle", "internal_error", "access_denied", "garbage", "error")
_ERRORS = {"throttle": "throttled", "internal_error": "internal", "access_denied": "denied"}
_DEADLINE = 5.0


@dataclass
class Fault:
    function: str
    at_call: int
    kind: str
    times: int = 1
    action: str = ""
    """Count only calls of this action ("iam:PutUserPolicy"); all calls when empty."""
    code: str = ""
    """For the kind "error": which one, such as EntityTemporarilyUnmodifiable."""
    status: int = 400
    seen: int = 0
    fired: int = 0
    invocation: object = None

    def as_dict(self):
        names = ("function", "at_call", "kind", "times", "action", "code", "status", "seen", "fired")
        bound = self.invocation.request_id if self.invocation else None
        return {**{name: getattr(self, name) for name in names}, "request_id": bound}


class Faults:
    def __init__(self):
        self._armed = []
        self._lock = threading.Lock()

    def arm(self, function, at_call, kind, times=1, action="", code="", status=400):
        if kind not in KINDS:
            raise ValueError(f"unknown fault kind {kind!r}; one of {', '.join(KINDS)}")
        if kind == "error" and not code:
            raise ValueError("a fault of kind error needs a code")
        fault = Fault(function, int(at_call), kind, int(times), action, code, int(status))
        with self._lock:
            self._armed.append(fault)
        return fault

    def all(self):
        with self._lock:
            return [fault.as_dict() for fault in self._armed]

    def clear(self):
        with self._lock:
            self._armed.clear()

    def begin(self, invocation):
        """An invocation starts: armed faults of its function attach to it and count from zero."""
        with self._lock:
            for fault in self._armed:
                again = fault.kind == "crash_after" and 0 < fault.fired < fault.times
                if fault.function == invocation.function.name and (fault.invocation is None or again):
                    fault.invocation, fault.seen = invocation, 0

    def count(self, invocation, action):
        """Count one call of an invocation; (fault, effect) where one concerns it, or None.

        Every call that is not doomed is under way from here on, so that a crash which waits for the
        earlier calls cannot overlook one. Its end is `invocation.calls.leave`.
        """
        with self._lock:
            if invocation.doomed:
                return None, "doomed"
            struck = None
            for fault in self._armed:
                if fault.invocation is not invocation or (fault.action and fault.action.lower() != action.lower()):
                    continue
                fault.seen += 1
                if fault.kind == "crash_after":
                    if fault.seen == fault.at_call:
                        struck = (fault, "crash")
                        fault.fired += 1
                        invocation.doomed = True
                elif fault.seen >= fault.at_call and fault.fired < fault.times:
                    fault.fired += 1
                    struck = struck or (fault, "error")
            invocation.calls.enter()
            return struck

    @staticmethod
    def error_for(fault, operation):
        if fault.kind == "error":
            return AwsError(fault.code, "A fault ordered by the test.", fault.status)
        return refusal(_ERRORS[fault.kind], operation)

    @staticmethod
    def crash(invocation):
        """Kill the invocation's process once the earlier calls it has under way are carried out."""
        invocation.calls.wait_until_only_one(_DEADLINE)
        invocation.instance.kill()

    @staticmethod
    def await_death(invocation):
        """Keep a call that will not be carried out waiting until its process is gone."""
        invocation.done.wait(_DEADLINE)


class InFlight:
    """How many calls of one invocation are being carried out."""

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
