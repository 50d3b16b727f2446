"""CloudTrail's LookupEvents over the lab's own history.

AWS behaviour: CloudTrail API reference, LookupEvents: management events of the last 90 days, of one
Region, one lookup attribute, at most 50 a page, newest first, two requests a second per account and
Region. The limit is off unless a test sets it. moto has no LookupEvents.
"""

import base64
import json
import threading
import time
from datetime import datetime, timedelta, timezone

from ..call import handles
from ..errors import AwsError, refusal
from ..trail import as_text
from ..world import now

_ATTRIBUTES = ("EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource",
               "AccessKeyId")  # fmt: skip
_PAGE = 50
_HISTORY = timedelta(days=90)

_asked = {}
_asking = threading.Lock()


@handles("cloudtrail", "LookupEvents")
def lookup_events(call):
    _keep_the_pace(call)
    wanted, start, end = _attribute(call.params), _instant(call.params, "StartTime"), _instant(call.params, "EndTime")
    if start and end and start > end:
        raise AwsError("InvalidTimeRangeException", "Occurs if the start time is after the end time.")
    size = int(call.params.get("MaxResults") or _PAGE)
    if not 1 <= size <= _PAGE:
        raise AwsError("InvalidMaxResultsException", f"MaxResults must be between 1 and {_PAGE}.")
    size = min(size, call.lab.trail.page or size)
    start = max(start or now() - _HISTORY, now() - _HISTORY)
    skip, end = _continued(call.params, end)
    found = call.lab.trail.newest_first(call.account, call.region, start, end, wanted)
    answer = {"Events": [_listed(event) for event in found[skip : skip + size]]}
    if skip + size < len(found):
        answer["NextToken"] = _token(skip + size, end, call.params)
    return answer


def _keep_the_pace(call):
    if call.lab.trail.allowance is None:
        return
    requests, seconds = call.lab.trail.allowance
    with _asking:
        instant, key = time.monotonic(), (call.account, call.region)
        recent = [asked for asked in _asked.get(key, ()) if instant - asked < seconds]
        if len(recent) >= requests:
            raise refusal("throttled", call.operation)
        _asked[key] = [*recent, instant]


def _attribute(params):
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise AwsError("InvalidLookupAttributesException", "Only one lookup attribute may be specified.")
    for attribute in attributes:
        name, value = attribute.get("AttributeKey"), attribute.get("AttributeValue")
        if name not in _ATTRIBUTES or not value:
            raise AwsError("InvalidLookupAttributesException", f"{name} is no lookup attribute.")
        return name, value
    return None


def _instant(params, name):
    value = params.get(name)
    if value is None or isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value is not None and value.tzinfo is None else value
    return datetime.fromtimestamp(float(value), timezone.utc)


def _listed(event):
    return {
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": str(event.reading).lower(),
        "AccessKeyId": event.access_key,
        "EventTime": event.at,
        "EventSource": event.source,
        "Username": event.username,
        "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in event.resources],
        "CloudTrailEvent": as_text(event),
    }


def _token(skip, end, params):
    """Later events do not shift the pages of a walk: the token holds the instant it began."""
    text = json.dumps([skip, end.isoformat(), _question(params)])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _continued(params, end):
    if not params.get("NextToken"):
        return 0, min(end or now(), now())
    try:
        skip, until, question = json.loads(base64.urlsafe_b64decode(params["NextToken"]))
        if question == _question(params):
            return int(skip), datetime.fromisoformat(until)
    except ValueError:
        pass
    raise AwsError("InvalidNextTokenException", "A token goes with the parameters of the request it came from.")


def _question(params):
    return json.dumps({k: v for k, v in sorted(params.items()) if k not in ("NextToken", "MaxResults")}, default=str)
