"""One question to the policies of a caller."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Need:
    """One action on one resource, with the context keys that belong to it alone."""

    action: str
    resource: str = "*"
    context: dict = field(default_factory=dict)


def tag_context(tags, prefixes=("aws:resourcetag",)):
    """The condition keys of a resource's tags."""
    return {f"{prefix}/{key}".lower(): value for prefix in prefixes for key, value in tags.items()}


def request_tags(tags):
    """The condition keys of the tags in a request; absent where it has none."""
    return {**tag_context(tags, ("aws:requesttag",)), "aws:tagkeys": sorted(tags)} if tags else {}
