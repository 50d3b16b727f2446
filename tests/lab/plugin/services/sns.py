"""SNS: what was published is kept, so a test can read what a human would have received."""

import json

from ..call import handles
from ..errors import AwsError, error_code_of


@handles("sns", "Publish")
def publish(call):
    refuse_what_sns_would(call.params)
    response = call.lab.gateway.forward(call)
    if error_code_of(response) is None:
        params = call.params
        record(call.world, params.get("TopicArn") or params.get("TargetArn"), params.get("Subject"), **said(params))
    return response


@handles("sns", "PublishBatch")
def publish_batch(call):
    response = call.lab.gateway.forward(call)
    if error_code_of(response) is None:
        for entry in call.params.get("PublishBatchRequestEntries") or []:
            record(call.world, call.params["TopicArn"], entry.get("Subject"), **said(entry))
    return response


_LONGEST = 256 * 1024


def refuse_what_sns_would(params):
    """Too long, or no message for the protocols that are not named. moto lets both pass."""
    message = params["Message"]
    if len(message.encode()) > _LONGEST:
        raise AwsError("InvalidParameter", "Invalid parameter: Message too long")
    if params.get("MessageStructure") != "json":
        return
    try:
        by_protocol = json.loads(message)
    except ValueError:
        by_protocol = None
    if not isinstance(by_protocol, dict):
        raise AwsError("InvalidParameter", "Invalid parameter: Message Structure - JSON message body failed to parse")
    if "default" not in by_protocol:
        raise AwsError("InvalidParameter", "Invalid parameter: Message Structure - No default entry in JSON message body")


def said(params):
    """What each subscriber gets: all the same, or with `MessageStructure` `json` something else by protocol.

    AWS behaviour: SNS API reference, Publish: the `default` is required and every value is a string; who is subscribed
    by HTTPS, as Amazon Q Developer in chat applications is, gets the value of `https`.
    """
    if params.get("MessageStructure") != "json":
        return {"message": params["Message"], "card": None}
    by_protocol = json.loads(params["Message"])
    return {"message": by_protocol["default"], "card": by_protocol.get("https")}


def record(world, topic, subject, message, card=None):
    world.notifications.append(topic=topic, subject=subject, message=message, card=card)


def publish_as_service(world, account, region, topic_arn, message):
    """A service publishes with its own permission (resource policies are not evaluated)."""
    from moto.sns.models import sns_backends

    text = message if isinstance(message, str) else json.dumps(message)
    sns_backends[account][region].publish(message=text, arn=topic_arn)
    record(world, topic_arn, None, text)
