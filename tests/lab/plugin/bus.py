"""Event delivery: rules, targets, retries and dead letters.

AWS behaviour: EventBridge User Guide, "Event structure" (the envelope), "Targets", "Input
transformation", "Retry policy and dead-letter queues". Delivery is asynchronous; a rule's targets
are independent; a target that fails is retried with back-off and then, if it has a
DeadLetterConfig, its event goes to that queue with the reason in message attributes.
"""

import json
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from .patterns import matches
from .policy import PolicySet, evaluate
from .services.sns import publish_as_service
from .wildcards import listed
from .world import iso, now

# AWS retries for 24 hours; the lab's back-off is short enough to be watched.
_MOST_ATTEMPTS = 4
_BACK_OFF_SECONDS = 0.05


class Bus:
    def __init__(self, lab):
        self.lab = lab
        self.world = lab.world
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="bus")

    def publish(self, account, region, source, detail_type, detail, resources=(), time=None, bus="default"):
        """Put one event on a bus; returns its id."""
        instant = time if isinstance(time, datetime) else now()
        envelope = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": account,
            "time": iso(instant),
            "region": region,
            "resources": list(resources),
            "detail": detail,
        }
        return self.deliver(account, region, envelope, bus)

    def deliver(self, account, region, envelope, bus="default"):
        """Hand a complete envelope to every rule it matches, as it is."""
        for rule in self._rules(account, region, bus):
            if rule.state != "ENABLED" or not rule.event_pattern.get_pattern():
                continue
            if matches(rule.event_pattern.get_pattern(), envelope):
                for target in list(rule.targets):
                    self._pool.submit(self._send, account, region, rule.name, dict(target), envelope)
        return envelope["id"]

    def _rules(self, account, region, bus):
        from moto.events.models import events_backends

        found = events_backends[account][region].event_buses.get(bus)
        return list(found.rules.values()) if found else []

    def _send(self, account, region, rule, target, envelope):
        stated = (target.get("RetryPolicy") or {}).get("MaximumRetryAttempts")
        attempts = min(_MOST_ATTEMPTS, _MOST_ATTEMPTS if stated is None else int(stated) + 1)
        error = None
        for attempt in range(1, attempts + 1):
            try:
                self._reach(account, region, target, envelope)
                self._record(envelope, rule, target, "delivered", attempt, None)
                return
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
                if attempt < attempts:
                    time.sleep(_BACK_OFF_SECONDS * 2 ** (attempt - 1))
        self._record(
            envelope, rule, target, self._bury(account, region, rule, target, envelope, error), attempts, error
        )

    def _record(self, envelope, rule, target, status, attempts, error):
        self.world.deliveries.append(
            event_id=envelope["id"], rule=rule, target=target["Arn"], status=status, attempts=attempts, error=error
        )

    def _reach(self, account, region, target, envelope):
        arn, payload = target["Arn"], target_input(target, envelope)
        service = arn.split(":")[2]
        if service == "lambda":
            self.lab.functions.invoke_async(arn.split(":function:")[-1], payload, envelope["id"])
        elif service == "sns":
            publish_as_service(self.world, arn.split(":")[4], arn.split(":")[3], arn, payload)
        elif service == "sqs":
            self.send_to_queue(
                arn, json.dumps(payload), group=(target.get("SqsParameters") or {}).get("MessageGroupId")
            )
        elif service == "events" and ":event-bus/" in arn:
            self._hand_over(account, arn, envelope)
        elif service == "logs":
            self._log(arn, payload)
        else:
            raise ValueError(f"the lab has no {service} target")

    def _hand_over(self, account, arn, envelope):
        """To another bus; one of another account is asked for its leave (User Guide, "Permissions for event buses")."""
        from moto.events.models import events_backends

        _, _, _, region, owner, name = arn.split(":")
        name = name.rsplit("/", 1)[-1]
        if owner != account:
            bus = events_backends[owner][region].event_buses.get(name)
            if bus is None or not _admits(bus.policy, account, arn, envelope):
                raise PermissionError(f"NO_PERMISSIONS: {arn} does not admit this event of {account}")
        self.deliver(owner, region, envelope, name)

    @staticmethod
    def send_to_queue(arn, body, group=None, attributes=None):
        from moto.sqs.models import sqs_backends

        _, _, _, region, account, name = arn.split(":")
        sqs_backends[account][region].send_message(
            queue_name=name, message_body=body, group_id=group, message_attributes=attributes
        )

    @staticmethod
    def _log(arn, payload):
        from moto.logs.models import logs_backends

        _, _, _, region, account, _, group = arn.split(":")[:7]
        backend, stream = logs_backends[account][region], str(uuid.uuid4())
        backend.create_log_stream(group, stream)
        backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": json.dumps(payload)}])

    def _bury(self, account, region, rule, target, envelope, error):
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return "failed"
        attributes = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in {
                "RULE_ARN": f"arn:aws:events:{region}:{account}:rule/{rule}",
                "TARGET_ARN": target["Arn"],
                "ERROR_CODE": "SDK_CLIENT_ERROR",
                "ERROR_MESSAGE": error,
            }.items()
        }
        try:
            self.send_to_queue(queue, json.dumps(envelope), attributes=attributes)
        except Exception as failure:
            return f"failed, and so did its dead-letter queue: {failure}"
        return "dead_lettered"


def _admits(policy, account, arn, envelope):
    context = {"events:source": envelope["source"], "events:detail-type": envelope["detail-type"]}
    sender = (account, f"arn:aws:iam::{account}:root")
    named = []
    for statement in json.loads(policy)["Statement"] if policy else []:
        principal = statement["Principal"]
        if principal == "*" or set(sender) & set(listed(principal["AWS"])):
            named.append({key: value for key, value in statement.items() if key != "Principal"})
    document = json.dumps({"Statement": named})
    return evaluate(PolicySet((document,)), "events:PutEvents", arn, context).allowed


def target_input(target, envelope):
    """What a target receives: the event, a part of it, a constant, or a filled-in template."""
    if target.get("Input") is not None:
        return json.loads(target["Input"])
    if target.get("InputPath"):
        return _at(envelope, target["InputPath"])
    transformer = target.get("InputTransformer")
    if not transformer:
        return envelope
    return _transform(transformer, envelope)


def _at(node, path):
    for name in re.findall(r"[^.\[\]$'\"]+", path):
        if isinstance(node, list):
            node = node[int(name)] if name.isdigit() and int(name) < len(node) else None
        else:
            node = node.get(name) if isinstance(node, dict) else None
    return node


def _transform(transformer, envelope):
    values = {name: _at(envelope, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values["aws.events.event.json"] = values["aws.events.event"] = envelope
    template = transformer["InputTemplate"]

    def fill(match):
        value = values.get(match[1])
        inside_quotes = template[: match.start()].count('"') % 2 == 1
        if inside_quotes:
            text = value if isinstance(value, str) else json.dumps(value)
            return json.dumps(text)[1:-1]
        return json.dumps(value)

    filled = re.sub(r"<([\w.\-]+)>", fill, template)
    try:
        return json.loads(filled)
    except ValueError:
        return filled
