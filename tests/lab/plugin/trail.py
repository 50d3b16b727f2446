"""CloudTrail's event history: what the lab decided about every management call, as CloudTrail tells it.

AWS behaviour: CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail userIdentity element";
real records for what the guide leaves open (which calls count as reading, how error codes are spelt).
Calls whose credentials are not known are not recorded, nor are data events.
"""

import functools
import json
import re
import threading
import uuid
from bisect import bisect_left, bisect_right, insort_right
from dataclasses import dataclass
from operator import attrgetter

from botocore.parsers import create_parser

from .conditions import parse_instant
from .world import iso, now

_READING = re.compile(r"(Get|List|Describe|Head|Lookup|BatchGet|Search|Simulate|AssumeRole|Decode|Test)")
_KMS_READING = ("Decrypt", "Encrypt", "GenerateDataKey")

# Data events, which LookupEvents never returns. For S3 every call on an object is one, and so is a listing.
_DATA_EVENTS = {
    "s3": ("ListObjects", "GetBucketListVersions", "HeadBucket", "PostBucketDelete"),
    "lambda": ("Invoke", "InvokeAsync", "InvokeWithResponseStream"),
    "sns": ("Publish", "PublishBatch"),
    "sqs": ("SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch",
            "ChangeMessageVisibility"),
    "dynamodb": ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem",
                 "BatchWriteItem", "TransactGetItems", "TransactWriteItems", "ExecuteStatement"),
    "ebs": ("ListSnapshotBlocks", "ListChangedBlocks", "GetSnapshotBlock", "PutSnapshotBlock"),
    "events": ("PutEvents",),
    "logs": ("PutLogEvents",),
}  # fmt: skip

# CloudTrail records session tokens, and leaves these out.
_SECRET = re.compile(
    r"(password|secretaccesskey|secretstring|secretbinary|credentialsecret|tokencode|base32stringseed|qrcodepng"
    r"|authenticationcode\d)$",
    re.IGNORECASE,
)

_time_of = attrgetter("at")

_RESOURCES = {
    "UserName": "AWS::IAM::User",
    "RoleName": "AWS::IAM::Role",
    "GroupName": "AWS::IAM::Group",
    "PolicyArn": "AWS::IAM::Policy",
    "AccessKeyId": "AWS::IAM::AccessKey",
    "SerialNumber": "AWS::IAM::MfaDevice",
    "InstanceProfileName": "AWS::IAM::InstanceProfile",
    "RoleArn": "AWS::IAM::Role",
    "Bucket": "AWS::S3::Bucket",
}


@dataclass
class Event:
    """One line of the history; the record itself is written when somebody asks for it."""

    id: str
    name: str
    source: str
    at: object
    reading: bool
    access_key: str
    username: str
    resources: list
    """(type, name) of what the call was about."""
    record: object
    """Writes the CloudTrail record."""

    def attributes(self):
        """All that LookupEvents finds it by."""
        yield from {
            "EventId": self.id,
            "EventName": self.name,
            "EventSource": self.source,
            "ReadOnly": str(self.reading).lower(),
            "Username": self.username,
            "AccessKeyId": self.access_key,
        }.items()
        for kind, name in self.resources:
            yield "ResourceType", kind
            yield "ResourceName", name


class Trail:
    """Events by account, Region and all that they are looked up by, oldest first."""

    def __init__(self):
        self._events = {}
        self._lock = threading.Lock()
        self.allowance = None
        """(requests, seconds) of LookupEvents, where a test wants CloudTrail to be as slow as it is."""
        self.page = None
        """The most events on a page, where a test wants pages shorter than they were asked for, as they may be."""

    def limit(self, requests, seconds, page):
        self.allowance = (int(requests), float(seconds)) if requests is not None else None
        self.page = int(page) if page is not None else None

    def newest_first(self, account, region, start, end, attribute=None):
        """The events of that time; of them only those with this attribute, a (name, value), if one is given."""
        with self._lock:
            events = self._events.get((account, region, attribute), [])
            first, after = bisect_left(events, start, key=_time_of), bisect_right(events, end, key=_time_of)
            return events[first:after][::-1]

    def _append(self, account, region, event):
        with self._lock:
            for attribute in {None, *event.attributes()}:
                # Records made elsewhere come in any order.
                insort_right(self._events.setdefault((account, region, attribute), []), event, key=_time_of)

    def seed(self, account, region, record):
        """A record made elsewhere; what CloudTrail always writes is added where it is missing."""
        record = {
            "eventVersion": "1.09",
            "eventTime": iso(now()),
            "awsRegion": region,
            "eventID": str(uuid.uuid4()),
            "readOnly": bool(_READING.match(record["eventName"])),
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account,
            "eventCategory": "Management",
            **record,
        }
        identity = record.get("userIdentity") or {}
        resources = [(r.get("type"), r.get("ARN") or r.get("arn")) for r in record.get("resources") or []]
        event = Event(
            record["eventID"],
            record["eventName"],
            record["eventSource"],
            parse_instant(record["eventTime"]),
            record["readOnly"],
            identity.get("accessKeyId", ""),
            _username(identity),
            resources + _resources(record.get("requestParameters") or {}) + _minted(record.get("responseElements")),
            lambda: record,
        )
        self._append(account, region, event)
        return event.id

    def add(self, call, access_key, response, code, message=None):
        """A call the lab has decided about."""
        operation = call.operation
        if not operation.name or _is_data_event(operation):
            return
        region = _region_of(operation)
        identity, at, event_id = identity_of(call.principal, access_key, call.account), now(), str(uuid.uuid4())
        reading = bool(_READING.match(operation.name)) or (
            operation.service == "kms" and operation.name.startswith(_KMS_READING)
        )
        source = f"{operation.service}.amazonaws.com"
        answered = response if code is None and (operation.service == "sts" or not reading) else None
        resources = _resources(operation.params)
        if answered is not None and operation.service == "sts":
            # Found eagerly: one looks for the parent of a session by the key the session has.
            found = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", answered.body)
            resources += [("AWS::IAM::AccessKey", found[1].decode())] if found else []
        record = {
            "eventVersion": "1.09",
            "userIdentity": identity,
            "eventTime": iso(at),
            "eventSource": source,
            "eventName": operation.name,
            "awsRegion": region,
            "sourceIPAddress": call.request.peer,
            "userAgent": call.request.header("user-agent"),
            **_failure(operation, code, message or _message_of(response)),
            "requestID": call.request_id,
            "eventID": event_id,
            "readOnly": reading,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": call.account,
            "eventCategory": "Management",
        }

        def write(record=record):
            shown = {"requestParameters": _request_parameters(operation), "responseElements": None}
            if answered is not None:
                shown["responseElements"] = _response_elements(operation, answered)
            return {**record, **shown}

        names = (event_id, operation.name, source, at, reading)
        self._append(call.account, region, Event(*names, access_key, _username(identity), resources, write))
        self._add_to_owner_of_role(call, names, record, resources, write)

    def _add_to_owner_of_role(self, call, names, record, resources, write):
        """A role of another account that was assumed: its owner's history has the call as well."""
        role_arn = call.params.get("RoleArn") or ""
        owner = role_arn.split(":")[4] if role_arn.count(":") >= 5 else call.account
        if call.operation.service != "sts" or owner == call.account or "errorCode" in record:
            return
        twin_id, shared = str(uuid.uuid4()), str(uuid.uuid4())
        record["sharedEventID"] = shared
        twin = {
            **record,
            "userIdentity": {"type": "AWSAccount", "principalId": call.principal.user_id,
                             "accountId": call.principal.account},
            "eventID": twin_id,
            "recipientAccountId": owner,
        }  # fmt: skip
        event = Event(twin_id, *names[1:], "", "", resources, lambda: write(twin))
        self._append(owner, record["awsRegion"], event)


def _is_data_event(operation):
    if operation.service == "s3" and operation.params.get("Key"):
        return True
    return operation.name in _DATA_EVENTS.get(operation.service, ())


def _region_of(operation):
    """IAM is global in each partition: its events are in one Region, whatever the caller's."""
    if operation.service != "iam":
        return operation.region
    homes = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}
    return next((home for start, home in homes.items() if operation.region.startswith(f"{start}-")), "us-east-1")


# --- who -------------------------------------------------------------------------------------------


def identity_of(principal, access_key, account):
    """The userIdentity element of a principal's calls."""
    base = {"principalId": principal.user_id, "arn": principal.arn, "accountId": principal.account}
    base["accessKeyId"] = access_key
    if principal.kind == "admin":
        root = f"arn:aws:iam::{account}:root"
        return {"type": "Root", **base, "principalId": account, "arn": root, "accountId": account}
    session, entity = principal.session, principal.entity
    if session is None:
        return {"type": "IAMUser", **base, "userName": entity.name}
    attributes = {"creationDate": iso(session.issued_at), "mfaAuthenticated": str(session.mfa).lower()}
    if principal.kind not in ("role", "federation"):
        return {"type": "IAMUser", **base, "userName": entity.name, "sessionContext": {"attributes": attributes}}
    is_role = principal.kind == "role"
    issuer = {
        "type": "Role" if is_role else "IAMUser",
        "principalId": entity.id,
        "arn": entity.arn,
        "accountId": session.account,
        "userName": entity.name,
    }
    context = {"sessionIssuer": issuer, "attributes": attributes}
    if session.instance_arn:
        context["ec2RoleDelivery"] = "2.0"
    return {"type": "AssumedRole" if is_role else "FederatedUser", **base, "sessionContext": context}


def _username(identity):
    """What LookupEvents calls the user: the session's name for a role, the federated name, or root."""
    if identity.get("type") == "Root":
        return "root"
    if identity.get("type") in ("AssumedRole", "FederatedUser"):
        return identity.get("principalId", "").partition(":")[2]
    return identity.get("userName") or ""


# --- what ------------------------------------------------------------------------------------------


def _resources(parameters):
    by_name = {name[:1].upper() + name[1:]: value for name, value in parameters.items()}
    return [(kind, by_name[name]) for name, kind in _RESOURCES.items() if isinstance(by_name.get(name), str)]


def _minted(answer):
    key = ((answer or {}).get("credentials") or {}).get("accessKeyId")
    return [("AWS::IAM::AccessKey", key)] if key else []


def _failure(operation, code, message):
    if code is None:
        return {}
    if operation.service == "ec2":
        code = f"Client.{code}"
    elif operation.model is not None:
        # IAM and STS are recorded under the names of their exceptions, not the codes on the wire.
        names = {shape.metadata.get("error", {}).get("code"): shape.name for shape in operation.model.error_shapes}
        code = names.get(code, code)
    if code in ("AccessDeniedException", "AuthorizationError"):
        code = "AccessDenied"
    return {"errorCode": code, "errorMessage": message}


def _message_of(response):
    found = re.search(rb"<Message>(.*?)</Message>|\"[mM]essage\": ?\"(.*?)\"", response.body, re.DOTALL)
    return (found[1] or found[2] or b"").decode("utf-8", "replace") if found else ""


def _request_parameters(operation):
    if operation.service == "s3":
        return {"bucketName": operation.params["Bucket"]} if operation.params["Bucket"] else None
    return _shown(operation.params) or None


def _response_elements(operation, response):
    if operation.model is None or operation.model.output_shape is None or not response.body:
        return None
    parsed = _parser(operation.protocol).parse(
        {"status_code": response.status, "headers": dict(response.headers), "body": response.body},
        operation.model.output_shape,
    )
    parsed.pop("ResponseMetadata", None)
    return _shown(parsed) or None


@functools.cache
def _parser(protocol):
    return create_parser(protocol)


def _shown(value):
    """As CloudTrail writes it: names begin in lower case, and secrets are left out."""
    if isinstance(value, dict):
        return {n[:1].lower() + n[1:]: _shown(v) for n, v in value.items() if v is not None and not _SECRET.search(n)}
    if isinstance(value, (list, tuple)):
        return [_shown(element) for element in value]
    if hasattr(value, "strftime"):
        # "Nov 21, 2026, 8:46:56 PM", the one place where CloudTrail does not write ISO 8601.
        return f"{value:%b} {value.day}, {value:%Y}, {value.hour % 12 or 12}:{value:%M:%S %p}"
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def as_text(event):
    return json.dumps(event.record())
