"""Creates one resource of each known type through its own API.

Every property of a resource must be used here or be listed with the reason why the lab does
without it; anything else is refused. So a template that grows fails here before it can be
"green" in the lab without its new property.
"""

import hashlib
import json
from dataclasses import dataclass, field

from .groups import create_group
from .intrinsics import TemplateError

WITHOUT_MEANING = {
    "AWS::CloudWatch::Alarm": "the lab measures no metrics; its references are resolved all the same",
    "AWS::CloudWatch::Dashboard": "the lab measures no metrics; its references are resolved all the same",
    "AWS::S3::BucketPolicy": (
        "moto applies an object-level Deny to everybody, whatever its Principal and Condition; over the lab's "
        "plain http a TLS-only policy would close the bucket"
    ),
}
"""Types that deploy to nothing, with the reason."""

JUDGED_ELSEWHERE = {
    "AWS::Lambda::EventInvokeConfig": "part of the registration of its function",
    "AWS::Lambda::Permission": "checked against the rules: see `delivery`",
}
"""Types that make no API call of their own, but are not ignored either."""

IGNORED_PROPERTIES = {
    "AWS::KMS::Key": {"PendingWindowInDays": "counts only after a key's deletion, and nothing here deletes one"},
    "AWS::Lambda::Function": {
        "Architectures": "the lab runs the binary built for its own machine",
        "Description": "the lab has no console to show it",
        "Handler": "provided.al2023 starts the binary, whatever the handler's name",
        "MemorySize": "local processes are not limited",
        "Tags": "the lab's functions have none",
    },
    "AWS::Lambda::EventInvokeConfig": {
        "MaximumEventAgeInSeconds": "no event waits that long in the lab",
        "Qualifier": "the lab's functions have no versions",
    },
}
"""Properties the lab does without, with the reason."""


@dataclass
class Resource:
    type: str
    ref: str
    attributes: dict = field(default_factory=dict)
    properties: dict = field(default_factory=dict)
    """As resolved."""
    changed_from: dict = None
    """Of a custom resource: the properties its function was asked for before these."""


class Properties:
    """A resource's resolved properties, of which none may be left over."""

    def __init__(self, logical_id, kind, values):
        self.logical_id = logical_id
        self.kind = kind
        self._left = dict(values)
        for name in IGNORED_PROPERTIES.get(kind, ()):
            self._left.pop(name, None)

    def take(self, name, default=None):
        return self._left.pop(name, default)

    def need(self, name):
        if name not in self._left:
            raise TemplateError(f"{self.logical_id} ({self.kind}) has no {name}")
        return self._left.pop(name)

    def finish(self):
        if self._left:
            raise TemplateError(
                f"{self.logical_id} ({self.kind}) has properties the lab does not know: {', '.join(sorted(self._left))}"
            )


class Account:
    """Where to create: API clients, and names as CloudFormation would choose them."""

    def __init__(self, client, account, region, stack):
        self.client = client
        self.account = account
        self.region = region
        self.stack = stack

    def arn(self, service, resource):
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def name(self, logical_id):
        """stack-LogicalId-XXXX, the same in every deployment."""
        digest = hashlib.sha256(f"{self.account}/{self.region}/{self.stack}/{logical_id}".encode()).hexdigest()
        return f"{self.stack}-{logical_id}-{digest[:12].upper()}"


def create(aws, logical_id, kind, values):
    """Create the resource; its Ref and its attributes."""
    properties = Properties(logical_id, kind, values)
    ref, attributes = CREATORS[kind](aws, logical_id, properties)
    properties.finish()
    return Resource(kind, ref, attributes, values)


def _tags(properties):
    return properties.take("Tags", [])


def _role(aws, logical_id, properties):
    iam = aws.client("iam")
    name = properties.take("RoleName") or aws.name(logical_id)
    optional = {
        key: properties.take(key)
        for key in ("Path", "Description", "MaxSessionDuration", "PermissionsBoundary")
    }
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(properties.need("AssumeRolePolicyDocument")),
        Tags=_tags(properties),
        **{key: value for key, value in optional.items() if value is not None},
    )["Role"]
    for policy in properties.take("Policies", []):
        iam.put_role_policy(
            RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(policy["PolicyDocument"])
        )
    for arn in properties.take("ManagedPolicyArns", []):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    return name, {"Arn": role["Arn"], "RoleId": role["RoleId"]}


def _key(aws, _, properties):
    kms = aws.client("kms")
    key = kms.create_key(
        Description=properties.take("Description", ""),
        Policy=json.dumps(properties.need("KeyPolicy")),
        Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in _tags(properties)],
    )["KeyMetadata"]
    if properties.take("EnableKeyRotation", False):
        kms.enable_key_rotation(KeyId=key["KeyId"])
    return key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]}


def _bucket(aws, logical_id, properties):
    s3 = aws.client("s3")
    name = properties.take("BucketName") or aws.name(logical_id).lower()
    s3.create_bucket(
        Bucket=name,
        ObjectLockEnabledForBucket=properties.take("ObjectLockEnabled", False),
        CreateBucketConfiguration={"LocationConstraint": aws.region},
    )
    versioning = properties.take("VersioningConfiguration")
    if versioning:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
    lock = properties.take("ObjectLockConfiguration")
    if lock:
        s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    encryption = properties.take("BucketEncryption")
    if encryption:
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
            }
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    access = properties.take("PublicAccessBlockConfiguration")
    if access:
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=access)
    ownership = properties.take("OwnershipControls")
    if ownership:
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=ownership)
    tags = _tags(properties)
    if tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    return name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"}


def _topic(aws, logical_id, properties):
    name = properties.take("TopicName") or aws.name(logical_id)
    attributes = {key: properties.take(key) for key in ("DisplayName", "KmsMasterKeyId")}
    arn = aws.client("sns").create_topic(
        Name=name,
        Attributes={key: value for key, value in attributes.items() if value is not None},
        Tags=_tags(properties),
    )["TopicArn"]
    return arn, {"TopicArn": arn, "TopicName": name}


def _topic_policy(aws, logical_id, properties):
    policy = json.dumps(properties.need("PolicyDocument"))
    for arn in properties.need("Topics"):
        aws.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return aws.name(logical_id), {}


def _subscription(aws, _, properties):
    arn = aws.client("sns").subscribe(
        TopicArn=properties.need("TopicArn"),
        Protocol=properties.need("Protocol"),
        Endpoint=properties.need("Endpoint"),
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return arn, {"Arn": arn}


def _queue(aws, logical_id, properties):
    name = properties.take("QueueName") or aws.name(logical_id)
    attributes = {key: properties.take(key) for key in ("MessageRetentionPeriod", "SqsManagedSseEnabled")}
    url = aws.client("sqs").create_queue(
        QueueName=name,
        Attributes={key: str(value).lower() for key, value in attributes.items() if value is not None},
        tags={tag["Key"]: tag["Value"] for tag in _tags(properties)},
    )["QueueUrl"]
    return url, {"Arn": aws.arn("sqs", name), "QueueName": name, "QueueUrl": url}


def _queue_policy(aws, logical_id, properties):
    policy = json.dumps(properties.need("PolicyDocument"))
    for url in properties.need("Queues"):
        aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return aws.name(logical_id), {}


def _log_group(aws, logical_id, properties):
    logs = aws.client("logs")
    name = properties.take("LogGroupName") or aws.name(logical_id)
    logs.create_log_group(logGroupName=name, tags={tag["Key"]: tag["Value"] for tag in _tags(properties)})
    days = properties.take("RetentionInDays")
    if days is not None:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    return name, {"Arn": aws.arn("logs", f"log-group:{name}:*")}


def _rule(aws, logical_id, properties):
    events = aws.client("events")
    name = properties.take("Name") or aws.name(logical_id)
    arn = events.put_rule(
        Name=name,
        EventPattern=json.dumps(properties.need("EventPattern")),
        Description=properties.take("Description", ""),
        State=properties.take("State", "ENABLED"),
    )["RuleArn"]
    refused = events.put_targets(Rule=name, Targets=properties.need("Targets"))["FailedEntries"]
    if refused:
        raise TemplateError(f"{logical_id}: EventBridge refused targets: {refused}")
    return name, {"Arn": arn}


def _managed_policy(aws, logical_id, properties):
    iam = aws.client("iam")
    name, description = properties.take("ManagedPolicyName") or aws.name(logical_id), properties.take("Description", "")
    document = json.dumps(properties.need("PolicyDocument"))
    made = iam.create_policy(
        PolicyName=name, Path=properties.take("Path", "/"), Description=description, PolicyDocument=document
    )
    for role in properties.take("Roles", []):
        iam.attach_role_policy(RoleName=role, PolicyArn=made["Policy"]["Arn"])
    return made["Policy"]["Arn"], {"PolicyArn": made["Policy"]["Arn"]}


def _schedule_group(aws, logical_id, properties):
    name = properties.take("Name") or aws.name(logical_id)
    arn = aws.client("scheduler").create_schedule_group(Name=name, Tags=_tags(properties))["ScheduleGroupArn"]
    return name, {"Arn": arn}


def _bus_policy(aws, logical_id, properties):
    """One statement of a bus; what EventBridge is asked for is a policy of one."""
    name, bus = properties.need("StatementId"), properties.take("EventBusName", "default")
    statement = {"Sid": name, **properties.need("Statement")}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("events").put_permission(EventBusName=bus, Policy=policy)
    return aws.name(logical_id), {}


def _function(aws, logical_id, properties):
    """Names only: a function can be registered once everything it refers to exists."""
    if properties.need("Runtime") != "provided.al2023":
        raise TemplateError(f"{logical_id}: the lab runs bootstraps of provided.al2023 only")
    for name in ("Code", "Role", "Timeout", "Environment", "LoggingConfig"):
        properties.take(name)
    name = properties.take("FunctionName") or aws.name(logical_id)
    return name, {"Arn": aws.arn("lambda", f"function:{name}")}


CREATORS = {
    "AWS::Events::EventBusPolicy": _bus_policy,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::Group": create_group,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::Scheduler::ScheduleGroup": _schedule_group,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
}
