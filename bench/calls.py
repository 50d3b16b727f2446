"""What a function asked of AWS, from the lab's own record: which calls, and how many had to follow one another."""

import re
from collections import Counter
from dataclasses import dataclass

# What differs between two containments of the same kind: the victim, its credentials, the case, the event's digest.
_NAMES = (
    (re.compile(r"IR-\d{8}-[0-9a-f]{8}"), "<case>"),
    (re.compile(r"event-[0-9a-f]{16}"), "event-<digest>"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}T\d{2}\b"), "<hour>"),
    (re.compile(r"\bA(IDA|ROA)[A-Z0-9]{16,}"), "<id>"),
)


def made(records, victim):
    """The calls as a bag: operation, action asked of IAM, resource, and whether it was allowed and found something."""
    return Counter((r["service"], r["action"], _named(r["resource"], victim), r["error"] or "") for r in records)


def _named(resource, victim):
    resource = str(resource).replace(victim, "<victim>")
    for pattern, name in _NAMES:
        resource = pattern.sub(name, resource)
    return resource


@dataclass
class Waves:
    """Dependent round trips: a call's wave is one more than that of any call answered before it was sent."""

    to_the_cut: int
    in_all: int
    calls: int


def waves(trips, cut):
    """`cut` is the operation that denies the attacker."""
    depths = []
    for trip in sorted(trips, key=lambda trip: trip["sent"]):
        depth = 1 + max((d for t, d in depths if t["answered"] <= trip["sent"]), default=0)
        depths.append((trip, depth))
    first_cut = next(depth for trip, depth in depths if trip["operation"] == cut)
    return Waves(first_cut, max(depth for _, depth in depths), len(depths))


def cut_ms(trips, cut, since):
    """Milliseconds from the event's handing over to AWS's answer to the deny."""
    answers = [trip["answered"] for trip in trips if trip["operation"] == cut]
    return (min(answers) - since) * 1000


def by_service(bag):
    """Calls by service, KMS's (made by S3 and SNS on the caller's behalf) included."""
    counts = Counter()
    for (service, *_), count in bag.items():
        counts[service] += count
    return dict(sorted(counts.items()))
