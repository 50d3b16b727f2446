"""What a containment costs: calls counted by the lab, time measured with the template's own wait, list prices."""

import json
import math
import tomllib
from collections import Counter
from pathlib import Path

from lab import stage as product

from . import calls
from .environment import Environment

PRICES = tomllib.loads((Path(__file__).parent / "prices.toml").read_text(encoding="utf-8"))
_MEMORY_GB = 0.5
_FINDINGS = 1000
_GIB = 1024**3
# A finding's first alert, by the rule itself, besides the outcome the function publishes.
_ALERTS_OF_THE_RULE = 1


class Unpriced(Exception):
    """A service was called whose price is not in prices.toml."""


def containment(stage, subject, accuse, verify_after_ms):
    """The one of three cold containments that took neither the longest nor the shortest time."""
    taken = [_once(stage, subject, accuse, verify_after_ms) for _ in range(3)]
    return sorted(taken, key=lambda one: one["billed_ms"])[1]


def _once(stage, subject, accuse, verify_after_ms):
    """A cold containment with the wait a deployment has: its calls by service, its dollars per 1,000 findings."""
    lab = stage.lab
    lab.round_trip(stage.round_trip_ms)
    victim, event = accuse()
    credentials = stage.session(subject.role_arn, subject.key)
    mark = lab.mark()
    variables = stage.variables(verify_after_ms=verify_after_ms)
    with Environment(subject, credentials, variables) as environment:
        done, first_ms, _ = environment.invoke(event)
        billed_ms = math.ceil(environment.init_ms + first_ms)
        log_bytes = sum(len(line.encode()) for line in environment.output)
    key = credentials["AccessKeyId"]
    bag = calls.made(lab.calls(mark, access_key=key), victim)
    requests = Counter(trip["service"] for trip in lab.trips(access_key=key))
    (result,) = done.answer["results"]
    objects, stored_bytes = stage.case_bytes(result["case"])
    return {
        "outcome": result["outcome"],
        "calls": dict(sorted(requests.items())),
        "kms_calls_of_s3_and_sns": calls.by_service(bag).get("kms", 0),
        "billed_ms": billed_ms,
        "log_bytes": log_bytes,
        "case_objects": objects,
        "case_bytes": stored_bytes,
        "dollars_per_1000_findings": dollars(bag, billed_ms, log_bytes, stored_bytes),
    }


def dollars(bag, billed_ms, log_bytes, stored_bytes):
    priced = {"s3", "sns", "kms", "scheduler", *PRICES["free"]["services"]}
    if strangers := {service for service, *_ in bag} - priced:
        raise Unpriced(", ".join(sorted(strangers)))
    s3 = {name: _count(bag, "s3", name) for name in ("PutObject", "GetObject")}
    # s3:ListBucket appears in the record as a permission S3 asks for at a missing key, not as a request.
    requests = s3["PutObject"] * PRICES["s3"]["put_or_list"] + s3["GetObject"] * PRICES["s3"]["get"]
    published = _count(bag, "sns", "Publish") + _ALERTS_OF_THE_RULE
    gb_seconds = _MEMORY_GB * billed_ms / 1000
    costs = {
        "Lambda, requests": PRICES["lambda"]["request"],
        "Lambda, 512 MB arm64": gb_seconds * PRICES["lambda"]["gb_second_arm64"],
        "S3, requests": requests,
        "S3, a year of the case": stored_bytes / _GIB * PRICES["s3"]["gb_month"] * 12,
        "SNS, publishing": published * PRICES["sns"]["publish"],
        "SNS, one e-mail address": published * PRICES["sns"]["email"],
        # As if S3 bucket keys and SNS's key cache saved nothing.
        "KMS, at most": sum(n for (service, *_), n in bag.items() if service == "kms") * PRICES["kms"]["request"],
        "CloudWatch Logs": log_bytes / _GIB * PRICES["cloudwatch"]["log_gb"],
        # What each schedule starts, a recheck, is not in here.
        "EventBridge Scheduler": _count(bag, "scheduler", "CreateSchedule") * PRICES["scheduler"]["invocation"],
        "EventBridge, IAM, GuardDuty, Security Hub": 0.0,
    }
    costs = {name: cost * _FINDINGS for name, cost in costs.items()}
    return {**costs, "total": sum(costs.values())}


def _count(bag, service, action):
    return sum(n for (called, name, *_), n in bag.items() if (called, name) == (service, action))


def standing():
    """Dollars a month that no finding causes: keys and alarms of the template."""
    template = product.TEMPLATE.read_text(encoding="utf-8")
    keys, alarms = template.count("Type: AWS::KMS::Key\n"), template.count("Type: AWS::CloudWatch::Alarm\n")
    cost = keys * PRICES["kms"]["key_month"] + alarms * PRICES["cloudwatch"]["alarm_month"]
    return {"kms_keys": keys, "alarms": alarms, "dollars_per_month": cost}


def verify_after_ms(stage):
    """The wait of the template, which the lab's deployment shortens."""
    for line in product.TEMPLATE.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("VERIFY_AFTER_MS:"):
            return int(json.loads(line.split(":", 1)[1]))
    raise Unpriced("the template does not say VERIFY_AFTER_MS")
