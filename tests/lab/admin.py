"""The lab's own endpoints under /lab: plain JSON, no authentication, 127.0.0.1 only.

They stand for what is outside the AWS API: the console's sign-in page, the Lambda service minting
credentials, a detector that found something, and the record a test reads.
"""

import dataclasses
import json
import re
from urllib.parse import parse_qsl, unquote

from .plugin.conditions import parse_instant
from .plugin.dates import set_dates
from .plugin.ec2_model import ec2_of
from .plugin.errors import AwsError
from .plugin.principals import find_role, iam_of
from .plugin.services.autoscaling import set_lifecycle_state
from .plugin.services.ec2_instances import set_instance_store
from .plugin.services.events import seed_finding
from .plugin.services.scheduler import fire, is_due, listed
from .plugin.services.securityhub_actions import press
from .plugin.world import now
from .wire import Response

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations/?")


class Admin:
    def __init__(self, lab):
        self.lab = lab

    @staticmethod
    def wants(request):
        if request.path.startswith("/lab/"):
            return True
        # A signed invocation is an API call like any other and goes through the gateway.
        return bool(_INVOKE.fullmatch(request.path)) and not request.header("authorization")

    def __call__(self, request):
        try:
            invoke = _INVOKE.fullmatch(request.path)
            if invoke:
                return invoke_response(self.lab, unquote(invoke[1]), request)
            route = f"{request.method} {request.path.removeprefix('/lab').rstrip('/')}"
            handler = _ROUTES.get(route)
            if handler is None:
                return _json({"message": f"no such endpoint: {route}"}, 404)
            body = json.loads(request.body) if request.body else {}
            query = dict(parse_qsl(request.query))
            return _json(handler(self.lab, body, query))
        except AwsError as error:
            return _json({"code": error.code, "message": error.message}, error.status)
        except (KeyError, TypeError, ValueError) as error:
            return _json({"code": "BadRequest", "message": f"{type(error).__name__}: {error}"}, 400)


def invoke_response(lab, name, request):
    """The Invoke API of Lambda: wait for the answer, or accept the event."""
    try:
        payload = _event(request)
    except ValueError as error:
        return _json(
            {"Type": "User", "Message": f"Could not parse request body into json: {error}"},
            400,
            [("x-amzn-ErrorType", "InvalidRequestContentException")],
        )
    if name.split(":function:")[-1].split(":")[0] not in lab.functions.functions:
        return _json(
            {"Type": "User", "Message": f"Function not found: {name}"},
            404,
            [("x-amzn-ErrorType", "ResourceNotFoundException")],
        )
    if request.header("x-amz-invocation-type") == "Event":
        wanted = request.header("x-lab-request-id") or None
        request_id = lab.functions.invoke_async(name, payload, request_id=wanted)
        return Response(202, [("x-amzn-RequestId", request_id)])
    invocation = lab.functions.invoke(name, payload)
    headers = [("x-amzn-RequestId", invocation.request_id), ("X-Amz-Executed-Version", "$LATEST")]
    if invocation.status == "ok":
        return _json(invocation.response, 200, headers)
    return _json(invocation.error, 200, [*headers, ("X-Amz-Function-Error", "Unhandled")])


def _event(request):
    """What the function gets: the body's JSON, or its bytes if a test wants the function alone to judge them."""
    if request.header("x-lab-raw-event"):
        return request.body
    return json.loads(request.body) if request.body else {}


def _json(value, status=200, headers=()):
    return Response(status, [("Content-Type", "application/json"), *headers], json.dumps(value, default=str).encode())


def _records(log, query):
    """What a record holds after `since`, of it only the lines with the other fields given."""
    wanted = {name: value for name, value in query.items() if name != "since"}
    since = log.since(int(query.get("since", 0)), wanted.get("request_id"))
    return [record for record in since if all(str(record.get(name)) == value for name, value in wanted.items())]


def _marks(lab, *_):
    """How long each record is by now: numbers to give as `since` later."""
    return {name: len(getattr(lab.world, name)) for name in ("calls", "invocations", "notifications", "deliveries")}


def _register(lab, body, _):
    return _function(lab, lab.functions.register(**body))


def _function(lab, function):
    return {**dataclasses.asdict(function), "arn": function.arn}


def _arm(lab, body, _):
    return lab.faults.arm(**body).as_dict()


def _clear_faults(lab, *_):
    lab.faults.clear()
    return {}


def _seed(lab, body, _):
    account, region = body.get("account") or lab.world.account, body.get("region") or lab.world.region
    lab.detections.seed(account, region, body["finding"])
    return {"id": body["finding"]["id"]}


def _press(lab, body, _):
    """A person presses a button in Security Hub's console."""
    return {"EventIds": press(lab, body["account"], body["region"], body["action"], body["findings"])}


def _deliver(lab, event, query):
    account = query.get("account") or lab.world.account
    region = event.get("region") or lab.world.region
    if event["source"] == "aws.guardduty" and event["detail-type"] == "GuardDuty Finding":
        seed_finding(lab, account, region, event["detail"])
    return {"EventId": lab.bus.deliver(account, region, event)}


def _mint(lab, body, _):
    """A role session as EC2, Lambda or another service would mint it, whatever the trust policy."""
    role = find_role(body["role_arn"])
    if role is None:
        raise AwsError("NoSuchEntity", f"no role {body['role_arn']}", 404)
    issued = parse_instant(str(body["issued_at"])) if body.get("issued_at") else now()
    session = lab.sessions.mint(
        "role",
        role.account_id,
        role.name,
        role.id,
        issued,
        int(body.get("seconds") or 43200),
        name=body["session_name"],
        instance_arn=body.get("instance_arn") or "",
    )
    return _handed_over(session)


def _set_ids(lab, body, _):
    """Give a user or role the unique id, and a user's first key the key id, that an event names."""
    backend = iam_of(body["account"])
    if "user" in body:
        user = backend.users[body["user"]]
        user.id = body.get("id") or user.id
        if body.get("key"):
            key = user.access_keys[0]
            backend.access_keys.pop(key.access_key_id, None)
            key.access_key_id = body["key"]
            backend.access_keys[key.access_key_id] = key
        return {"id": user.id}
    role = next(role for role in backend.roles.values() if role.name == body["role"])
    backend.roles[body["id"]] = backend.roles.pop(role.id)
    role.id = body["id"]
    return {"id": role.id}


def _set_dates(lab, body, _):
    """When something of a user or role was made, enabled or used."""
    account, at = body.pop("account", lab.world.account), parse_instant(str(body.pop("at")))
    return {"dated": set_dates(account, at=at, **body)}


def _set_instance(lab, body, _):
    """What the image decides when an instance is launched, and where Auto Scaling is with it."""
    if body.get("root_device_type") not in (None, "instance-store"):
        raise ValueError("root_device_type is instance-store or nothing")
    with lab.world.lock_of("ec2"):
        if body.get("root_device_type"):
            set_instance_store(ec2_of(body["account"], body["region"]), body["instance"])
        if body.get("lifecycle_state"):
            set_lifecycle_state(body["account"], body["region"], body["instance"], body["lifecycle_state"])
    return {"id": body["instance"]}


def _set_interface(lab, body, _):
    """An interface that another AWS service manages: EC2 lets nobody else change it."""
    with lab.world.lock_of("ec2"):
        eni = ec2_of(body["account"], body["region"]).get_network_interface(body["interface"])
        eni.requester_managed = bool(body["requester_managed"])
    return {"id": eni.id}


def _seed_event(lab, body, _):
    """An event in CloudTrail's history that no call of this lab made."""
    account, region = body.get("account") or lab.world.account, body.get("region") or lab.world.region
    return {"id": lab.trail.seed(account, region, body["event"])}


def _limit_lookups(lab, body, _):
    lab.trail.limit(body.get("requests"), body.get("seconds", 1.0), body.get("page"))
    return {}


def _fire(lab, body, _):
    """Deliver the schedules that are due by `until`, or all; `prefix` is what their names begin with."""
    until = is_due(body["until"]) if body.get("until") else None
    return {"fired": fire(lab, until, body.get("prefix") or "")}


def _sign_in(lab, body, _):
    """Console sign-in: a session of the user, refused without a login profile."""
    user = iam_of(body["account"]).users.get(body["user"])
    if user is None or not user.password or user.password != body["password"]:
        raise AwsError("AuthenticationFailed", "Your authentication information is incorrect. Please try again.", 401)
    user.password_last_used = now()
    session = lab.sessions.mint("console", body["account"], user.name, user.id, now(), 43200, mfa=bool(body.get("mfa")))
    return _handed_over(session)


def _handed_over(session):
    return {
        "Credentials": {
            "AccessKeyId": session.access_key,
            "SecretAccessKey": session.secret,
            "SessionToken": session.token,
            "Expiration": session.expires_at.isoformat(),
        },
        "IssuedAt": session.issued_at.isoformat(),
    }


_ROUTES = {
    "GET /calls": lambda lab, _, query: _records(lab.world.calls, query),
    "GET /calls/count": lambda lab, *_: {"n": len(lab.world.calls)},
    "GET /marks": _marks,
    "GET /invocations": lambda lab, _, query: _records(lab.world.invocations, query),
    "GET /notifications": lambda lab, _, query: _records(lab.world.notifications, query),
    "GET /deliveries": lambda lab, _, query: _records(lab.world.deliveries, query),
    "GET /functions": lambda lab, *_: [_function(lab, f) for f in lab.functions.functions.values()],
    "POST /functions": _register,
    "GET /faults": lambda lab, _, query: lab.faults.all(**query),
    "POST /faults": _arm,
    "GET /network": lambda lab, _, query: _records(lab.network.trips, query),
    "POST /network": lambda lab, body, _: lab.network.set(**body),
    "DELETE /faults": _clear_faults,
    "POST /guardduty/findings": _seed,
    "POST /events": _deliver,
    "POST /press": _press,
    "GET /answers": lambda lab, _, query: lab.answers.given(query["id"]),
    "POST /answers": lambda lab, *_: lab.answers.expect(),
    "POST /answers/refuse": lambda lab, body, _: lab.answers.refuse(body["times"]),
    "POST /sessions": _mint,
    "POST /signin": _sign_in,
    "POST /ids": _set_ids,
    "POST /dates": _set_dates,
    "GET /schedules": lambda lab, _, query: listed(query.get("prefix", "")),
    "POST /schedules/fire": _fire,
    "GET /snapshots": lambda lab, *_: lab.snapshots.settings(),
    "POST /snapshots": lambda lab, body, _: lab.snapshots.set(**body),
    "POST /snapshots/release": lambda lab, body, _: {"released": lab.snapshots.release(**body)},
    "POST /instances": _set_instance,
    "POST /interfaces": _set_interface,
    "POST /cloudtrail": _seed_event,
    "POST /cloudtrail/limit": _limit_lookups,
}
