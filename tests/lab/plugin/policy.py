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
            _glob(pattern, re.IGNORECASE)
            for pattern in _listed(body.get("NotAction" if self.negate_action else "Action"))
        ]
        self.negate_resource = "NotResource" in body
        self.resources = _listed(body.get("NotResource" if self.negate_resource else "Resource"))
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
        return tuple(Statement(body) for body in _listed(parsed.get("Statement")))
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


def _listed(value):
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@functools.lru_cache(maxsize=8192)
def _glob(pattern, flags=0):
    """A compiled IAM wildcard: ``*`` any run of characters, ``?`` exactly one."""
    parts = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern]
    return re.compile("".join(parts), flags | re.DOTALL)


_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def _resource_matches(pattern, resource, context):
    if pattern == "*":
        return True
    if "${" in pattern:
        pattern = substitute(pattern, context, escape_wildcards=True)
        if pattern is None:
            return False
    return glob_matches(pattern, resource)


def glob_matches(pattern, value):
    """Wildcard match, where ``\\x00*`` style escapes stand for literal characters."""
    if "\x00" not in pattern:
        return _glob(pattern).fullmatch(value) is not None
    parts, escaped = [], False
    for character in pattern:
        if escaped:
            parts.append(re.escape(character))
            escaped = False
        elif character == "\x00":
            escaped = True
        else:
            parts.append(".*" if character == "*" else "." if character == "?" else re.escape(character))
    return re.compile("".join(parts), re.DOTALL).fullmatch(value) is not None


def substitute(text, context, escape_wildcards=False):
    """Replace ``${key}`` policy variables; ``None`` when a key is absent and has no default.

    ``${*}``, ``${?}`` and ``${$}`` are the literal characters. A value put in place of a
    variable never acts as a wildcard.
    """
    missing = False

    def literal(value):
        if not escape_wildcards:
            return value
        return "".join("\x00" + c if c in "*?\x00" else c for c in value)

    def replace(match):
        nonlocal missing
        name = match.group(1).strip()
        if name in ("*", "?", "$"):
            return literal(name)
        default = None
        if "," in name:
            name, default = (part.strip() for part in name.split(",", 1))
            default = default.strip("'")
        values = context.get(name.lower())
        if values is None or isinstance(values, list):
            if default is None:
                missing = True
                return ""
            return literal(default)
        return literal(str(values))

    result = _VARIABLE.sub(replace, text)
    return None if missing else result
