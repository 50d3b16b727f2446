"""Faults a test orders for the calls of one function invocation.

A crash is exact: calls are counted in the order they arrive; those up to the k-th are carried
out, the process is killed before it reads the k-th answer, and nothing it had sent after that
is carried out. What a retry then finds is the state after exactly k calls.
"""

import threading
from dataclasses import dataclass, field

from .errors import refusal

KINDS = ("crash_after", "throttle", "internal_error", "access_denied", "garbage")
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
    seen: int = 0
    fired: int = 0
    invocation: object = None
    dead: threading.Event = field(default_factory=threading.Event)

    def as_dict(self):
        names = ("function", "at_call", "kind", "times", "action", "seen", "fired")
        bound = self.invocation.request_id if self.invocation else None
        return {**{name: getattr(self, name) for name in names}, "request_id": bound}


class Crash(Exception):
    """Raised where a call's process is to die instead of being answered."""


class Faults:
    def __init__(self):
        self._armed = []
        self._lock = threading.Lock()

    def arm(self, function, at_call, kind, times=1, action=""):
        if kind not in KINDS:
            raise ValueError(f"unknown fault kind {kind!r}; one of {', '.join(KINDS)}")
        fault = Fault(function, int(at_call), kind, int(times), action)
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
                again = fault.kind == "crash_after" and fault.fired < fault.times and fault.dead.is_set()
                if fault.function == invocation.function.name and (fault.invocation is None or again):
                    fault.invocation, fault.seen, fault.dead = invocation, 0, threading.Event()

    def count(self, invocation, action):
        """Count one call of an invocation; the fault that concerns it, or None."""
        with self._lock:
            struck = None
            for fault in self._armed:
                if fault.invocation is not invocation:
                    continue
                if fault.kind == "crash_after" and fault.seen >= fault.at_call:
                    return fault, "doomed"
                if fault.action and fault.action.lower() != action.lower():
                    continue
                fault.seen += 1
                if fault.kind == "crash_after":
                    if fault.seen == fault.at_call:
                        struck = (fault, "crash")
                elif fault.seen >= fault.at_call and fault.fired < fault.times:
                    fault.fired += 1
                    struck = struck or (fault, "error")
            return struck

    def error_for(self, fault, operation):
        return refusal(_ERRORS[fault.kind], operation)

    def crash(self, fault, invocation):
        """Kill the invocation's process once the earlier calls it has under way are carried out."""
        invocation.calls.wait_until_only_one(_DEADLINE)
        invocation.instance.kill()
        with self._lock:
            fault.fired += 1
        fault.dead.set()

    def await_death(self, fault):
        fault.dead.wait(_DEADLINE)


class InFlight:
    """How many calls of one invocation are being carried out."""

    def __init__(self):
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self):
        with self._changed:
            self._count += 1

    def __exit__(self, *_):
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_only_one(self, deadline):
        with self._changed:
            self._changed.wait_for(lambda: self._count <= 1, deadline)
