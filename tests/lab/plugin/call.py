"""One API call on its way through the lab, and how services of the lab register for it."""

import uuid
from dataclasses import dataclass, field


@dataclass
class Call:
    world: object
    lab: object
    request: object
    operation: object
    principal: object
    account: str
    """Account the call acts in: the caller's own, or the admin's choice."""
    context: dict
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    extra_needs: list = field(default_factory=list)
    """Permissions a service asked for on the way, beyond the operation's own; for the record."""

    @property
    def params(self):
        return self.operation.params

    @property
    def region(self):
        return self.operation.region


HANDLERS = {}
"""(service, operation) -> function(call) answering instead of moto."""

GUARDS = {}
"""(service, operation) -> functions(call) that refuse what AWS refuses and moto does not."""


def handles(service, *names):
    def register(function):
        for name in names:
            HANDLERS[service, name] = function
        return function

    return register


def guards(service, *names):
    def register(function):
        for name in names:
            GUARDS.setdefault((service, name), []).append(function)
        return function

    return register


@dataclass(frozen=True)
class Json:
    """A result written as it is, for wire shapes the service model would only narrow."""

    body: object
    status: int = 200
