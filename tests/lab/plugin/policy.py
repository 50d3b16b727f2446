"""IAM policy evaluation for one request.

AWS behaviour: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements".
An explicit Deny in any policy wins; otherwise the identity policies must allow, and so must
the permissions boundary and the session policies where the principal has them.

This module is pure: documents, an action, a resource and a context in; a decision out.
"""

import functools
import json
import re
from dataclasses import dataclass

from .conditions import condition_holds
from .wildcards import compiled, glob_matches, listed, substitute


@dataclass(frozen=True)
class Decision:
    allowed: bool
    explicit: bool
    reason: str


@dataclass(frozen=True)
class PolicySet:
    """The documents that bear on a principal; ``None`` means the layer does not apply."""

    identity: tuple
    boundary: tuple = None
    session: tuple = None


class MalformedPolicy(Exception):
    """The document is not a policy; IAM would not have stored it."""


class Statement:
    def __init__(self, body):
        self.effect = body.get("Effect")
        if self.effect not in ("Allow", "Deny"):
            raise MalformedPolicy("a statement needs Effect Allow or Deny")
        self.sid = body.get("Sid", "")
        self.negate_action = "NotAction" in body
        self.actions = [
            compiled(pattern, re.IGNORECASE)
            for pattern in listed(body.get("NotAction" if self.negate_action else "Action"))
        ]
        self.negate_resource = "NotResource" in body
        self.resources = listed(body.get("NotResource" if self.negate_resource else "Resource"))
        self.conditions = body.get("Condition") or {}

    def applies(self, action, resource, context):
        named = any(pattern.fullmatch(action) for pattern in self.actions)
        if named == self.negate_action:
            return False
        return self._covers(resource, context) and condition_holds(self.conditions, context)

    def _covers(self, resource, context):
        # A statement of a trust policy has no Resource: the role is the resource.
        if not self.resources:
            return True
        hit = any(_resource_matches(pattern, resource, context) for pattern in self.resources)
        return hit != self.negate_resource


@functools.lru_cache(maxsize=4096)
def statements_of(document):
    """The statements of a policy document given as JSON text, compiled once per text."""
    try:
        parsed = json.loads(document)
        return tuple(Statement(body) for body in listed(parsed.get("Statement")))
    except (ValueError, AttributeError) as error:
        raise MalformedPolicy(str(error)) from error


def evaluate(policies, action, resource, context):
    """Decide one action on one resource."""
    layers = [("identity", policies.identity)]
    if policies.boundary is not None:
        layers.append(("boundary", policies.boundary))
    if policies.session is not None:
        layers.append(("session", policies.session))
    outcome = {}
    for layer, documents in layers:
        outcome[layer] = _layer(documents, action, resource, context)
        if outcome[layer] == "Deny":
            return Decision(False, True, f"explicit deny in {layer} policy")
    for layer, _ in layers:
        if outcome[layer] != "Allow":
            return Decision(False, False, f"no {layer} policy allows it")
    return Decision(True, False, "allowed")


def _layer(documents, action, resource, context):
    allowed = False
    for document in documents:
        for statement in statements_of(document):
            if not statement.applies(action, resource, context):
                continue
            if statement.effect == "Deny":
                return "Deny"
            allowed = True
    return "Allow" if allowed else None


def _resource_matches(pattern, resource, context):
    if pattern == "*":
        return True
    if "${" in pattern:
        pattern = substitute(pattern, context, escape_wildcards=True)
        if pattern is None:
            return False
    return glob_matches(pattern, resource)
