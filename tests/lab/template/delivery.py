"""Would AWS deliver? The permissions a rule's targets need, checked before the lab delivers.

EventBridge invokes a function, publishes to a topic and sends to a dead-letter queue by the
*target's* resource policy; a rule whose target has not given leave delivers nothing, and tells
only a metric. The lab does not evaluate resource policies, so their absence has to fail here.
"""

from .intrinsics import TemplateError

SERVICE = "events.amazonaws.com"
# The type of policy, its property that names what it is for, and the action to allow.
TOPIC = ("SNS::TopicPolicy", "Topics", "sns:Publish")
QUEUE = ("SQS::QueuePolicy", "Queues", "sqs:SendMessage")


def check(resources, account):
    """Raise for every rule target that has not permitted the rule."""
    for logical_id, rule in _of_type(resources, "AWS::Events::Rule"):
        rule_arn = rule.attributes["Arn"]
        for target in rule.properties["Targets"]:
            _check_target(resources, logical_id, rule_arn, target["Arn"], account)
            queue = target.get("DeadLetterConfig", {}).get("Arn")
            if queue:
                _check_policy(resources, *QUEUE, queue, logical_id, rule_arn, account)


def _check_target(resources, logical_id, rule_arn, target, account):
    service = target.split(":")[2]
    if service == "lambda":
        _check_function(resources, logical_id, rule_arn, target, account)
    elif service == "sns":
        _check_policy(resources, *TOPIC, target, logical_id, rule_arn, account)
    else:
        raise TemplateError(f"{logical_id}: the lab does not know what permission a target of {service} needs")


def _check_function(resources, logical_id, rule_arn, function_arn, account):
    for _, permission in _of_type(resources, "AWS::Lambda::Permission"):
        given = permission.properties
        if (
            given["FunctionName"] in (function_arn, function_arn.rsplit(":", 1)[-1])
            and given["Action"] == "lambda:InvokeFunction"
            and given["Principal"] == SERVICE
            and given.get("SourceArn") == rule_arn
            and given.get("SourceAccount") == account
        ):
            return
    raise TemplateError(f"{logical_id} has no AWS::Lambda::Permission for it and its account: it would deliver nothing")


def _check_policy(resources, kind, holder, action, arn, logical_id, rule_arn, account):
    # Topics are referred to by ARN, queues by URL.
    name = next((r.ref for r in resources.values() if arn in (r.ref, r.attributes.get("Arn"))), arn)
    for _, policy in _of_type(resources, f"AWS::{kind}"):
        statements = policy.properties["PolicyDocument"]["Statement"]
        if name in policy.properties[holder] and any(_admits(s, action, arn, rule_arn, account) for s in statements):
            return
    raise TemplateError(f"{logical_id}: no {kind} lets {SERVICE} {action} to {arn} for this rule")


def _admits(statement, action, arn, rule_arn, account):
    return (
        statement["Effect"] == "Allow"
        and statement.get("Principal") == {"Service": SERVICE}
        and action in _list(statement["Action"])
        and arn in _list(statement["Resource"])
        and all(
            _holds(operator, key, wanted, rule_arn, account)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator, key, wanted, rule_arn, account):
    known = {
        ("ArnEquals", "aws:sourcearn"): rule_arn,
        ("StringEquals", "aws:sourceaccount"): account,
    }
    return known.get((operator, key.lower())) in _list(wanted)


def _of_type(resources, kind):
    return [(logical_id, r) for logical_id, r in resources.items() if r.type == kind]


def _list(value):
    return value if isinstance(value, list) else [value]
