"""Wildcards and policy variables, the two ways an IAM policy says less than a literal.

AWS behaviour: IAM User Guide, "IAM JSON policy elements: Resource" and "Variables and tags".
"""

import functools
import re


def listed(value):
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@functools.lru_cache(maxsize=8192)
def compiled(pattern, flags=0):
    """A compiled IAM wildcard: ``*`` any run of characters, ``?`` exactly one."""
    parts = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern]
    return re.compile("".join(parts), flags | re.DOTALL)


_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def glob_matches(pattern, value):
    """Wildcard match, where ``\\x00*`` style escapes stand for literal characters."""
    if "\x00" not in pattern:
        return compiled(pattern).fullmatch(value) is not None
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
