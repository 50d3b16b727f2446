"""SNS: what was published is kept, so a test can read what a human would have received."""

import json

from ..call import handles
from ..errors import error_code_of


@handles("sns", "Publish")
def publish(call):
    response = call.lab.gateway.forward(call)
    if error_code_of(response) is None:
        params = call.params
        record(call.world, params.get("TopicArn") or params.get("TargetArn"), params.get("Subject"), params["Message"])
    return response


@handles("sns", "PublishBatch")
def publish_batch(call):
    response = call.lab.gateway.forward(call)
    if error_code_of(response) is None:
        for entry in call.params.get("PublishBatchRequestEntries") or []:
            record(call.world, call.params["TopicArn"], entry.get("Subject"), entry["Message"])
    return response


def record(world, topic, subject, message):
    world.notifications.append(topic=topic, subject=subject, message=message)


def publish_as_service(world, account, region, topic_arn, message):
    """A service publishes with its own permission (resource policies are not evaluated)."""
    from moto.sns.models import sns_backends

    text = message if isinstance(message, str) else json.dumps(message)
    sns_backends[account][region].publish(message=text, arn=topic_arn)
    record(world, topic_arn, None, text)
