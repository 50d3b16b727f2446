"""The way between a function and AWS: how long it takes, and who was on it.

Off unless a measurement orders it. Every request waits in a thread of its own, half before it is carried out and half
after, so requests sent side by side wait side by side, as on a network. AWS's own requests (the admin key) travel
nowhere.
"""

import contextlib
import time

from .world import Log


class Network:
    def __init__(self):
        self.round_trip_ms = 0
        self.trips = Log()

    def set(self, round_trip_ms):
        """Make every later request take this long, and forget the trips so far."""
        self.round_trip_ms = float(round_trip_ms)
        self.trips = Log()
        return {"round_trip_ms": self.round_trip_ms}

    @contextlib.contextmanager
    def trip(self, principal, access_key, operation):
        if not self.round_trip_ms or principal.kind == "admin":
            yield
            return
        half = self.round_trip_ms / 2000
        sent = time.monotonic()
        time.sleep(half)
        try:
            yield
        finally:
            time.sleep(half)
            # Seconds of this machine's monotonic clock, which every process here reads alike.
            self.trips.append(
                access_key=access_key,
                service=operation.service,
                operation=operation.name,
                sent=sent,
                answered=time.monotonic(),
            )
