"""EventBridge Scheduler: one-time schedules, and their delivery.

AWS behaviour: EventBridge Scheduler API reference, CreateSchedule; User Guide, "Execution role", "Confused deputy
prevention", "Configuring the dead-letter queue" and "Deleting a schedule". Nothing becomes due by itself here: a test says
until when schedules fire (`fire`), so that nobody waits for an hour. Only ``at(...)`` expressions are known.
"""

import json
import re
from datetime import datetime, timezone

from ...client import client_for
from .. import access
from ..call import guards, handles
from ..errors import AwsError
from ..operation import Operation
from ..principals import find_role
from ..trust import trusted
from ..world import iso, now
from .sts import mint_role_session

SERVICE = "scheduler.amazonaws.com"
_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}")
_ONCE = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_MOST_ATTEMPTS = 3

_tokens = {}
"""(account, region, group, name) -> the client token it was made with and what was asked for."""


def group_arn(account, region, group):
    return f"arn:aws:scheduler:{region}:{account}:schedule-group/{group}"


@guards("scheduler", "CreateSchedule")
def refuse_what_aws_refuses(call):
    params = call.params
    target, name, group = params.get("Target") or {}, params.get("Name") or "", params.get("GroupName") or "default"
    if not _NAME.fullmatch(name):
        raise AwsError("ValidationException", f"Name {name!r} does not match {_NAME.pattern}.")
    if not _ONCE.fullmatch(params.get("ScheduleExpression") or ""):
        raise AwsError("ValidationException", f"Invalid Schedule Expression {params.get('ScheduleExpression')}.")
    if (params.get("FlexibleTimeWindow") or {}).get("Mode") != "OFF":
        raise AwsError("ValidationException", "The lab knows FlexibleTimeWindow OFF only.")
    if group not in _backend(call.account, call.region).schedule_groups:
        raise AwsError("ResourceNotFoundException", f"Schedule group {group} does not exist.", 404)
    json.loads(target.get("Input") or "{}")
    role, service = find_role(target.get("RoleArn") or ""), _service(call.account, call.region, group)
    if role is None or not trusted(role, service, service.context):
        raise AwsError(
            "ValidationException",
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
        )


@handles("scheduler", "CreateSchedule")
def create_schedule(call):
    """moto's, but for the token that makes the tries of one request one."""
    params = call.params
    key = (call.account, call.region, params.get("GroupName") or "default", params["Name"])
    asked = {k: v for k, v in params.items() if k != "ClientToken"}, params.get("ClientToken")
    group = _backend(call.account, call.region).schedule_groups[key[2]]
    if params["Name"] not in group.schedules:
        _tokens[key] = asked
        return call.lab.gateway.forward(call)
    if params.get("ClientToken") and _tokens.get(key) == asked:
        return {"ScheduleArn": group.schedules[params["Name"]].arn}
    raise AwsError("ConflictException", f"Schedule {params['Name']} already exists.", 409)


def listed(prefix=""):
    """Every schedule whose name begins so, soonest first."""
    return sorted(
        (
            {
                "account": account,
                "region": region,
                "group": group.name,
                "name": schedule.name,
                "at": iso(_instant(schedule)),
                "function": schedule.target["Arn"].rsplit(":", 1)[-1],
                "input": json.loads(schedule.target["Input"]),
            }
            for account, region, group, schedule in _all()
            if schedule.name.startswith(prefix)
        ),
        key=lambda one: (one["at"], one["name"]),
    )


def fire(lab, until=None, prefix=""):
    """Deliver what is due by then (everything, without a time), in order; what became of each."""
    due = [
        found
        for found in _all()
        if found[3].name.startswith(prefix) and (until is None or _instant(found[3]) <= until)
    ]
    due.sort(key=lambda found: (_instant(found[3]), found[3].name))
    return [_deliver(lab, *found) for found in due]


def _deliver(lab, account, region, group, schedule):
    target, error = schedule.target, None
    attempts = min(_MOST_ATTEMPTS, int(target["RetryPolicy"].get("MaximumRetryAttempts", 185)) + 1)
    outcome = {"name": schedule.name, "status": "failed", "request_id": None}
    for _ in range(attempts):
        try:
            functions = _client(lab, account, region, group.name, target["RoleArn"], "lambda")
            answer = functions.invoke(
                FunctionName=target["Arn"], InvocationType="Event", Payload=target["Input"].encode()
            )
            outcome |= {"status": "delivered", "request_id": answer["ResponseMetadata"]["RequestId"]}
            break
        except Exception as failure:
            error = str(failure)
    if outcome["status"] == "failed":
        outcome |= {"error": error, "status": _bury(lab, account, region, group.name, target, error)}
    lab.world.deliveries.append(
        event_id=None, rule=None, schedule=schedule.name, target=target["Arn"], status=outcome["status"],
        attempts=attempts, error=outcome.get("error"), request_id=outcome["request_id"],
    )  # fmt: skip
    if schedule.action_after_completion == "DELETE":
        group.schedules.pop(schedule.name, None)
    return outcome


def _bury(lab, account, region, group, target, error):
    """With the schedule's own role, as Scheduler does."""
    queue = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue:
        return "failed"
    try:
        sqs = _client(lab, account, region, group, target["RoleArn"], "sqs")
        owner, name = queue.split(":")[4:6]
        attributes = {"ERROR_MESSAGE": {"DataType": "String", "StringValue": error[:1000]}}
        sqs.send_message(
            QueueUrl=f"{lab.world.endpoint}/{owner}/{name}", MessageBody=target["Input"], MessageAttributes=attributes
        )
    except Exception as failure:
        return f"failed, and so did its dead-letter queue: {failure}"
    return "dead_lettered"


def _client(lab, account, region, group, role_arn, service):
    principal = _service(account, region, group)
    operation = Operation("sts", "AssumeRole", "query", region)
    session = mint_role_session(lab, principal, role_arn, "scheduler", context=principal.context, operation=operation)
    return client_for(lab.world.endpoint, service, region, session)


def _service(account, region, group):
    """Scheduler itself, acting for a schedule of this group."""
    principal = access.service_principal(SERVICE, account)
    principal.context["aws:sourcearn"] = group_arn(account, region, group)
    return principal


def _all():
    from moto.scheduler.models import scheduler_backends

    for account, regions in list(scheduler_backends.items()):
        for region, backend in list(regions.items()):
            for group in list(backend.schedule_groups.values()):
                for schedule in list(group.schedules.values()):
                    yield account, region, group, schedule


def _backend(account, region):
    from moto.scheduler.models import scheduler_backends

    return scheduler_backends[account][region]


def _instant(schedule):
    return datetime.fromisoformat(_ONCE.fullmatch(schedule.schedule_expression)[1]).replace(tzinfo=timezone.utc)


def is_due(text):
    """The time a test names, or now."""
    return now() if text == "now" else datetime.fromisoformat(text.replace("Z", "+00:00"))
