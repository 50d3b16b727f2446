"""EventBridge event patterns.

AWS behaviour: EventBridge User Guide, "Event patterns" and "Comparison operators"; for arrays of
objects, the event-ruler library's `rulesForJSONEvent`: fields of one array must be found in ONE
element of it, never spread over several. moto flattens the event and matches no arrays of objects.

The matcher chooses, for every array of objects on the way, one element; a pattern matches when
some choice satisfies all its fields. Fields under the same array share the choice.
"""

import ipaddress
import re

_ABSENT = object()


def matches(pattern, event):
    """True when the event satisfies the pattern (both are parsed JSON)."""
    return _object_matches(pattern, event)


def _object_matches(pattern, node):
    if not isinstance(node, dict):
        return False
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(_object_matches(alternative, node) for alternative in wanted):
                return False
        elif isinstance(wanted, dict):
            if not _nested_matches(wanted, node.get(name, _ABSENT)):
                return False
        elif not _leaf_matches(wanted, node.get(name, _ABSENT)):
            return False
    return True


def _nested_matches(pattern, value):
    if isinstance(value, list):
        # Nested arrays are flattened one level at a time, as event-ruler does.
        return any(_nested_matches(pattern, element) for element in value)
    if isinstance(value, dict):
        return _object_matches(pattern, value)
    return _only_absence(pattern)


def _only_absence(pattern):
    """A missing object satisfies a pattern that asks only for `exists: false` leaves."""
    for wanted in pattern.values():
        if isinstance(wanted, dict):
            if not _only_absence(wanted):
                return False
        elif not _leaf_matches(wanted, _ABSENT):
            return False
    return True


def _leaf_matches(wanted, value):
    if isinstance(value, list):
        flat = list(_flattened(value))
        if not flat:
            return any(isinstance(w, dict) and w.get("exists") is False for w in wanted)
        return any(_leaf_matches(wanted, element) for element in flat)
    return any(_filter_matches(candidate, value) for candidate in wanted)


def _flattened(values):
    for value in values:
        if isinstance(value, list):
            yield from _flattened(value)
        else:
            yield value


def _filter_matches(candidate, value):
    if not isinstance(candidate, dict):
        if value is _ABSENT or isinstance(value, dict):
            return False
        return type(candidate) in _comparable(value) and candidate == value
    ((name, argument),) = candidate.items()
    if name == "exists":
        # Only leaves exist for EventBridge: an object is not a leaf.
        return (value is not _ABSENT and not isinstance(value, dict)) == argument
    if value is _ABSENT or isinstance(value, dict):
        return False
    if name == "anything-but":
        return _anything_but(argument, value)
    if name == "numeric":
        return _numeric(argument, value)
    if not isinstance(value, str):
        return False
    return _TEXT_FILTERS[name](argument, value)


def _comparable(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value),)
    return (int, float)


def _anything_but(argument, value):
    if isinstance(argument, dict):
        ((name, inner),) = argument.items()
        options = inner if isinstance(inner, list) else [inner]
        return isinstance(value, str) and not any(_TEXT_FILTERS[name](o, value) for o in options)
    return value not in (argument if isinstance(argument, list) else [argument])


def _numeric(argument, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    tests = {
        "=": lambda a, b: a == b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    return all(tests[op](value, bound) for op, bound in zip(argument[::2], argument[1::2], strict=True))


def _affix(test):
    def matcher(argument, value):
        if isinstance(argument, dict):
            return test(value.lower(), argument["equals-ignore-case"].lower())
        return test(value, argument)

    return matcher


def _wildcard(argument, value):
    pieces, rest = [], iter(argument)
    for character in rest:
        if character == "\\":
            pieces.append(re.escape(next(rest, "")))
        else:
            pieces.append(".*" if character == "*" else re.escape(character))
    return re.fullmatch("".join(pieces), value, re.DOTALL) is not None


def _cidr(argument, value):
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(argument, strict=False)
    except ValueError:
        return False


_TEXT_FILTERS = {
    "prefix": _affix(str.startswith),
    "suffix": _affix(str.endswith),
    "equals-ignore-case": lambda argument, value: value.lower() == argument.lower(),
    "wildcard": _wildcard,
    "cidr": _cidr,
}
