"""EventBridge: PutEvents, and the custom patterns of TestEventPattern.

AWS behaviour: EventBridge API reference, PutEvents: at most 10 entries, each answered on its own;
sources that begin with "aws." are for AWS services alone (NotAuthorizedForSourceException). Here
the admin key stands for those services.
"""

import json

from ..call import handles
from ..errors import AwsError
from ..patterns import matches


@handles("events", "PutEvents")
def put_events(call):
    entries = call.params.get("Entries") or []
    if not 1 <= len(entries) <= 10:
        raise AwsError("ValidationException", "Entries must have 1 to 10 members")
    answers = [_put(call, entry) for entry in entries]
    return {"FailedEntryCount": sum("ErrorCode" in a for a in answers), "Entries": answers}


def _put(call, entry):
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            return {
                "ErrorCode": "InvalidArgument",
                "ErrorMessage": f"Parameter {name} is not valid. Reason: {name} is a required argument.",
            }
    if entry["Source"].startswith("aws.") and call.principal.kind != "admin":
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    if entry["Source"] == "aws.guardduty" and entry["DetailType"] == "GuardDuty Finding":
        seed_finding(call.lab, call.account, call.region, detail)
    event_id = call.lab.bus.publish(
        call.account,
        call.region,
        source=entry["Source"],
        detail_type=entry["DetailType"],
        detail=detail,
        resources=list(entry.get("Resources") or []),
        time=entry.get("Time"),
        bus=(entry.get("EventBusName") or "default").rsplit("/", 1)[-1],
    )
    return {"EventId": event_id}


def seed_finding(lab, account, region, detail):
    """The event's finding exists at its source: the detector is the finding's own account's, whoever gets the event."""
    if detail.get("id"):
        lab.detections.seed(str(detail.get("accountId") or account), region, detail, keep=True)


@handles("events", "TestEventPattern")
def test_event_pattern(call):
    return {"Result": matches(json.loads(call.params["EventPattern"]), json.loads(call.params["Event"]))}
