"""The KMS permissions behind encrypted buckets, topics and queues.

AWS behaviour: S3 User Guide, "Using server-side encryption with AWS KMS keys": the caller of
PutObject needs kms:GenerateDataKey and the caller of GetObject needs kms:Decrypt on the key, and
the request reaches KMS with `kms:ViaService` = s3.<region>.amazonaws.com. SNS and SQS Developer
Guides, "Key management": a publisher or sender needs both, a receiver kms:Decrypt.
AWS-managed keys (`aws/s3` and the like) admit every principal of the account through the service.
"""

from dataclasses import replace

from .need import Need
from .resources import key_arn


def kms_needs(operation, request, account):
    key, actions, encryption_context = _key_in_use(operation, request, account)
    if not key or "alias/aws/" in key or not actions:
        return []
    context = {
        "kms:viaservice": f"{operation.service}.{operation.region}.amazonaws.com",
        "kms:calleraccount": account,
        **{f"kms:encryptioncontext:{name}".lower(): value for name, value in encryption_context.items()},
    }
    arn = key_arn(key, operation.region, account)
    return [Need(f"kms:{action}", arn, context) for action in actions]


def _key_in_use(operation, request, account):
    if operation.service == "s3":
        return _s3(operation, request)
    if operation.service == "sns" and operation.name in ("Publish", "PublishBatch"):
        return _sns(operation, account)
    if operation.service == "sqs":
        return _sqs(operation, account)
    return None, (), {}


_S3_WRITES = {"PutObject", "CopyObject", "PostObjectUploads", "PutObjectUploadId", "PostObjectUploadId"}


def _s3(operation, request):
    bucket_name, key_name = operation.params["Bucket"], operation.params["Key"]
    context = {"aws:s3:arn": f"arn:aws:s3:::{bucket_name}/{key_name}"}
    if operation.name in _S3_WRITES:
        stated = request.header("x-amz-server-side-encryption")
        if stated and stated != "aws:kms":
            return None, (), {}
        key = request.header("x-amz-server-side-encryption-aws-kms-key-id")
        key = key or _bucket_key(bucket_name)
        multipart = operation.name in ("PutObjectUploadId", "PostObjectUploadId", "PostObjectUploads")
        return key, ("GenerateDataKey", "Decrypt") if multipart else ("GenerateDataKey",), context
    reads_data = operation.name == "GetObject"
    # A HEAD touches the key only when it asks for the checksum.
    asks_checksum = operation.name == "HeadObject" and request.header("x-amz-checksum-mode").upper() == "ENABLED"
    if reads_data or asks_checksum:
        return _object_key(operation), ("Decrypt",), context
    return None, (), {}


def find_bucket(name):
    from moto.s3.models import s3_backends

    for account in list(s3_backends):
        bucket = s3_backends[account]["aws"].buckets.get(name)
        if bucket is not None:
            return bucket
    return None


def _bucket_key(name):
    bucket = find_bucket(name)
    rule = ((bucket.encryption if bucket else None) or {}).get("Rule")
    rule = rule[0] if isinstance(rule, list) else rule
    default = (rule or {}).get("ApplyServerSideEncryptionByDefault") or {}
    return default.get("KMSMasterKeyID") if default.get("SSEAlgorithm") == "aws:kms" else None


def _object_key(operation):
    bucket = find_bucket(operation.params["Bucket"])
    stored = bucket.keys.get(operation.params["Key"]) if bucket else None
    return stored.kms_key_id if stored is not None and getattr(stored, "encryption", None) == "aws:kms" else None


def _sns(operation, account):
    from moto.sns.models import sns_backends

    arn = operation.params.get("TopicArn") or operation.params.get("TargetArn")
    topic = sns_backends[account][operation.region].topics.get(arn)
    key = getattr(topic, "kms_master_key_id", None) if topic else None
    return key, ("GenerateDataKey", "Decrypt"), {"aws:sns:topicArn": arn or ""}


def _sqs(operation, account):
    from moto.sqs.models import sqs_backends

    actions = {
        "SendMessage": ("GenerateDataKey", "Decrypt"),
        "SendMessageBatch": ("GenerateDataKey", "Decrypt"),
        "ReceiveMessage": ("Decrypt",),
    }.get(operation.name)
    if not actions:
        return None, (), {}
    name = (operation.params.get("QueueUrl") or "").rsplit("/", 1)[-1]
    queue = sqs_backends[account][operation.region].queues.get(name)
    return (
        getattr(queue, "kms_master_key_id", None) if queue else None,
        actions,
        {"aws:sqs:arn": getattr(queue, "queue_arn", "")},
    )


def with_bucket_default(operation, request):
    """State the bucket's default KMS encryption in a request that states none.

    moto stores objects unencrypted unless the request itself asks; S3 applies the default.
    """
    if operation.service != "s3" or operation.name not in _S3_WRITES:
        return request
    headers = dict(request.headers)
    key = None if "x-amz-server-side-encryption" in headers else _bucket_key(operation.params["Bucket"])
    if key:
        headers["x-amz-server-side-encryption"] = "aws:kms"
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = key
    return replace(request, headers=headers)
