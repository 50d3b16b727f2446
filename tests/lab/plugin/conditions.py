"""The Condition block of an IAM policy.

AWS behaviour: IAM User Guide, "IAM JSON policy elements: Condition operators" and
"Conditions with multiple context keys or values". All operators and keys must hold (AND); the
values of a key are alternatives (OR), or for negated operators all must differ (NOR). A key
that is absent fails a positive operator, satisfies a negated one and satisfies ``...IfExists``.
"""

import base64
import functools
import ipaddress
from datetime import datetime, timezone

from .wildcards import glob_matches, substitute


class UnknownOperator(Exception):
    """A condition operator the lab does not know; evaluating it wrongly would be worse."""


def condition_holds(block, context):
    """True when every operator of the block holds. Context keys are lower-case."""
    return all(
        _key_holds(operator, key, wanted, context) for operator, keys in block.items() for key, wanted in keys.items()
    )


def _key_holds(operator, key, wanted, context):
    wanted = wanted if isinstance(wanted, list) else [wanted]
    actual = context.get(key.lower())
    if operator == "Null":
        return any((actual is None) == (str(value).lower() == "true") for value in wanted)
    quantifier, base, if_exists = _dissect(operator)
    negated, test = _TESTS.get(base, (None, None))
    if test is None:
        raise UnknownOperator(operator)
    if actual is None:
        if quantifier == "ForAllValues" or if_exists:
            return True
        return negated and quantifier is None
    values = actual if isinstance(actual, list) else [actual]
    expanded = _expand(wanted, context, base)

    def holds(value):
        matched = any(test(str(value), candidate) for candidate in expanded)
        return not matched if negated else matched

    if quantifier == "ForAllValues":
        return all(holds(value) for value in values)
    if negated and quantifier is None:
        return all(holds(value) for value in values)
    return any(holds(value) for value in values)


@functools.lru_cache(maxsize=512)
def _dissect(operator):
    quantifier = None
    for name in ("ForAllValues", "ForAnyValue"):
        if operator.startswith(name + ":"):
            quantifier, operator = name, operator[len(name) + 1 :]
    if_exists = operator.endswith("IfExists")
    return quantifier, operator[: -len("IfExists")] if if_exists else operator, if_exists


def _expand(wanted, context, base):
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in wanted]
    wild = base in ("StringLike", "StringNotLike") or base.startswith("Arn")
    expanded = [substitute(text, context, escape_wildcards=wild) if "${" in text else text for text in texts]
    return [text for text in expanded if text is not None]


def _equals(value, wanted):
    return value == wanted


def _equals_ignoring_case(value, wanted):
    return value.lower() == wanted.lower()


def _like(value, wanted):
    return glob_matches(wanted, value)


def _arn_like(value, wanted):
    """Each of the six colon-separated parts is matched on its own."""
    value_parts, wanted_parts = value.split(":", 5), wanted.split(":", 5)
    if len(value_parts) != 6 or len(wanted_parts) != 6:
        return wanted == "*"
    return all(glob_matches(w, v) for w, v in zip(wanted_parts, value_parts, strict=True))


def _number(compare):
    def test(value, wanted):
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return test


def parse_instant(text):
    """An ISO 8601 date or epoch seconds, as IAM accepts both."""
    try:
        return datetime.fromtimestamp(float(text), timezone.utc)
    except ValueError:
        instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)


def _date(compare):
    def test(value, wanted):
        try:
            return compare(parse_instant(value), parse_instant(wanted))
        except ValueError:
            return False

    return test


def _in_network(value, wanted):
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _binary(value, wanted):
    try:
        return base64.b64decode(value) == base64.b64decode(wanted)
    except ValueError:
        return False


_COMPARISONS = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}

# operator -> (negated, test of one value against one wanted value)
_TESTS = {
    "StringEquals": (False, _equals),
    "StringNotEquals": (True, _equals),
    "StringEqualsIgnoreCase": (False, _equals_ignoring_case),
    "StringNotEqualsIgnoreCase": (True, _equals_ignoring_case),
    "StringLike": (False, _like),
    "StringNotLike": (True, _like),
    # IAM evaluates ArnEquals and ArnLike alike.
    "ArnEquals": (False, _arn_like),
    "ArnLike": (False, _arn_like),
    "ArnNotEquals": (True, _arn_like),
    "ArnNotLike": (True, _arn_like),
    "Bool": (False, _equals_ignoring_case),
    "IpAddress": (False, _in_network),
    "NotIpAddress": (True, _in_network),
    "BinaryEquals": (False, _binary),
    "NumericNotEquals": (True, _number(_COMPARISONS["Equals"])),
    "DateNotEquals": (True, _date(_COMPARISONS["Equals"])),
    **{f"Numeric{name}": (False, _number(compare)) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": (False, _date(compare)) for name, compare in _COMPARISONS.items()},
}
