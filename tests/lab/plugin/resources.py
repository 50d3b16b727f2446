"""Which IAM actions on which resources a request needs, and its own context keys.

AWS behaviour: the Service Authorization Reference, one page a service. An operation that is not
in a table here needs the action of its own name on ``*``: a grant scoped to an ARN then refuses
it, which is the loud way to be incomplete.
"""

from .need import Need
from .principals import iam_of
from .resources_compute import autoscaling_needs, ebs_needs, ec2_needs, load_balancing_needs
from .world import PARTITION


def needs_of(operation, principal, account):
    """Everything that must be allowed for this operation, without KMS (see `encryption`)."""
    needs = _SERVICES.get(operation.service, _plain)(operation, principal, account)
    return needs if isinstance(needs, list) else [needs]


def _plain(operation, *_):
    return Need(f"{operation.service}:{operation.name or 'Unknown'}")


# --- IAM -------------------------------------------------------------------------------------

_OWN_USER_DEFAULT = {
    "GetUser", "ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey",
    "ListMFADevices", "ListServiceSpecificCredentials", "ListSSHPublicKeys", "ListSigningCertificates",
    "UpdateSigningCertificate", "UploadSigningCertificate", "UpdateServiceSpecificCredential",
    "GetLoginProfile", "CreateLoginProfile", "DeleteLoginProfile", "ChangePassword", "DeactivateMFADevice",
}  # fmt: skip
_POLICY_ON_ENTITY = ("AttachUserPolicy", "DetachUserPolicy", "AttachRolePolicy", "DetachRolePolicy",
                     "AttachGroupPolicy", "DetachGroupPolicy")  # fmt: skip
# Where iam:PermissionsBoundary is the boundary that the user or role has, not one in the request.
_UNDER_BOUNDARY = {
    f"{verb}{kind}{what}"
    for kind in ("User", "Role")
    for verb, what in (("Put", "Policy"), ("Delete", "Policy"), ("Attach", "Policy"), ("Detach", "Policy"),
                       ("Delete", "PermissionsBoundary"))
}  # fmt: skip


def _iam(operation, principal, account):
    params, name = operation.params, operation.name
    context = {}
    if name in _POLICY_ON_ENTITY and params.get("PolicyArn"):
        context["iam:policyarn"] = params["PolicyArn"]
    boundary = params.get("PermissionsBoundary") or _boundary_of_target(name, params, iam_of(account))
    if boundary:
        context["iam:permissionsboundary"] = boundary
    return Need(f"iam:{name}", _iam_resource(name, params, principal, account), context)


def _boundary_of_target(name, params, backend):
    if name not in _UNDER_BOUNDARY:
        return None
    owners, owner = (backend.roles, "RoleName") if "Role" in name else (backend.users, "UserName")
    target = next((entity for entity in list(owners.values()) if entity.name == params.get(owner)), None)
    return getattr(target, "permissions_boundary_arn", None)


def _iam_resource(name, params, principal, account):
    backend, prefix = iam_of(account), f"arn:{PARTITION}:iam::{account}"
    if name == "GetAccessKeyLastUsed":
        owner = backend.access_keys.get(params.get("AccessKeyId", ""))
        return _entity_arn(backend.users, owner.user_name, prefix, "user") if owner else f"{prefix}:user/*"
    if params.get("InstanceProfileName"):
        return _entity_arn(backend.instance_profiles, params["InstanceProfileName"], prefix, "instance-profile", params)
    if params.get("RoleName"):
        return _entity_arn(backend.roles, params["RoleName"], prefix, "role", params)
    if params.get("GroupName"):
        return _entity_arn(backend.groups, params["GroupName"], prefix, "group", params)
    if params.get("UserName"):
        return _entity_arn(backend.users, params["UserName"], prefix, "user", params)
    if name in _OWN_USER_DEFAULT and principal.entity is not None and principal.kind != "role":
        return principal.entity.arn
    if params.get("PolicyArn"):
        return params["PolicyArn"]
    if name == "CreateVirtualMFADevice":
        return f"{prefix}:mfa{params.get('Path') or '/'}{params.get('VirtualMFADeviceName')}"
    if name == "DeleteVirtualMFADevice":
        return params.get("SerialNumber") or "*"
    if name == "SimulatePrincipalPolicy":
        return params.get("PolicySourceArn") or "*"
    if params.get("PolicyName") and name == "CreatePolicy":
        return f"{prefix}:policy{params.get('Path') or '/'}{params['PolicyName']}"
    return "*"


def _entity_arn(entities, name, prefix, kind, params=None):
    """The ARN with the path the entity really has; a new one has the path of the request."""
    for entity in list(entities.values()):
        if entity.name.lower() == name.lower():
            return entity.arn
    return f"{prefix}:{kind}{(params or {}).get('Path') or '/'}{name}"


# --- STS -------------------------------------------------------------------------------------


def _sts(operation, *_):
    params, context = operation.params, {}
    if params.get("ExternalId"):
        context["sts:externalid"] = params["ExternalId"]
    if params.get("RoleSessionName"):
        context["sts:rolesessionname"] = params["RoleSessionName"]
    return Need(f"sts:{operation.name}", params.get("RoleArn") or "*", context)


# --- S3 --------------------------------------------------------------------------------------

_S3_ACTIONS = {
    "ListBuckets": "ListAllMyBuckets", "ListObjects": "ListBucket", "HeadBucket": "ListBucket",
    "GetBucketListVersions": "ListBucketVersions", "GetBucketUploads": "ListBucketMultipartUploads",
    "HeadObject": "GetObject", "CopyObject": "PutObject", "PostObject": "PutObject",
    "PostObjectUploads": "PutObject", "PutObjectUploadId": "PutObject", "PostObjectUploadId": "PutObject",
    "GetObjectUploadId": "ListMultipartUploadParts", "DeleteObjectUploadId": "AbortMultipartUpload",
    "PostBucketDelete": "DeleteObject", "GetObjectAttributes": "GetObject",
    "GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration", "PutBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketPublicAccessBlock": "GetBucketPublicAccessBlock",
    "DeleteBucketPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketReplication": "GetReplicationConfiguration", "PutBucketReplication": "PutReplicationConfiguration",
}  # fmt: skip


def _s3(operation, *_):
    params, query = operation.params, operation.params.get("query", {})
    action = "s3:" + _S3_ACTIONS.get(operation.name, operation.name)
    resource, context = "*", {}
    if params["Bucket"]:
        resource = f"arn:{PARTITION}:s3:::{params['Bucket']}"
        if params["Key"]:
            resource += f"/{params['Key']}"
        elif operation.name == "PostBucketDelete":
            resource += "/*"
    if action in ("s3:ListBucket", "s3:ListBucketVersions") and operation.name != "HeadBucket":
        # Absent from the request means absent from the context, not an empty prefix.
        for key, parameter in (("s3:prefix", "prefix"), ("s3:delimiter", "delimiter"), ("s3:max-keys", "max-keys")):
            if parameter in query:
                context[key] = query[parameter]
    needs = [Need(action, resource, context)]
    if query.get("versionId"):
        needs = [Need(action.replace("Object", "ObjectVersion", 1), resource, context)]
    return needs


# --- everything with an ARN or a name in its parameters -----------------------------------------


def _sns(operation, _, account):
    params = operation.params
    arn = params.get("TopicArn") or params.get("TargetArn") or params.get("ResourceArn")
    if not arn and operation.name == "CreateTopic":
        arn = f"arn:{PARTITION}:sns:{operation.region}:{account}:{params.get('Name')}"
    return Need(f"sns:{operation.name}", arn or "*")


def _sqs(operation, _, account):
    params = operation.params
    name = (params.get("QueueUrl") or "").rsplit("/", 1)[-1] or params.get("QueueName")
    action = operation.name.removesuffix("Batch") if operation.name != "ListQueues" else operation.name
    return Need(f"sqs:{action}", f"arn:{PARTITION}:sqs:{operation.region}:{account}:{name}" if name else "*")


def _logs(operation, _, account):
    params = operation.params
    group = params.get("logGroupName") or params.get("logGroupIdentifier")
    if not group:
        return Need(f"logs:{operation.name}")
    if group.startswith("arn:"):
        group = group.split(":")[6]
    stream = params.get("logStreamName")
    # Log group ARNs end in ":*" for group actions; stream actions name the stream.
    tail = f"log-stream:{stream}" if stream and operation.name != "CreateLogStream" else "*"
    if operation.name == "CreateLogStream":
        tail = f"log-stream:{stream}"
    return Need(f"logs:{operation.name}", f"arn:{PARTITION}:logs:{operation.region}:{account}:log-group:{group}:{tail}")


def _kms(operation, _, account):
    params = operation.params
    context = {f"kms:encryptioncontext:{k}".lower(): v for k, v in (params.get("EncryptionContext") or {}).items()}
    context["kms:calleraccount"] = account
    key = params.get("KeyId")
    return Need(f"kms:{operation.name}", key_arn(key, operation.region, account) if key else "*", context)


def key_arn(key, region, account):
    """The key's ARN from any of its names: id, ARN, alias name or alias ARN."""
    from moto.kms.models import kms_backends

    if ":key/" in key:
        return key
    backend = kms_backends[account][region]
    if "alias/" in key:
        alias = "alias/" + key.split("alias/", 1)[1]
        key = backend.get_key_id_from_alias(alias) or key
    return f"arn:{PARTITION}:kms:{region}:{account}:key/{key}"


def _securityhub(operation, _, account):
    if operation.name == "BatchImportFindings":
        arns = {f.get("ProductArn", "*") for f in operation.params.get("Findings") or [{}]}
        return [Need("securityhub:BatchImportFindings", arn) for arn in sorted(arns)]
    # Of custom actions two take the action's ARN, and two no resource at all.
    if operation.name in ("UpdateActionTarget", "DeleteActionTarget"):
        return Need(f"securityhub:{operation.name}", operation.params.get("ActionTargetArn") or "*")
    if operation.name in ("CreateActionTarget", "DescribeActionTargets"):
        return Need(f"securityhub:{operation.name}")
    action = operation.name.removesuffix("V2") if operation.name == "BatchUpdateFindingsV2" else operation.name
    return Need(f"securityhub:{action}", f"arn:{PARTITION}:securityhub:{operation.region}:{account}:hub/default")


def _guardduty(operation, _, account):
    detector = operation.params.get("DetectorId")
    arn = f"arn:{PARTITION}:guardduty:{operation.region}:{account}:detector/{detector}"
    # The Service Authorization Reference gives GetFindings no resource: a grant that names a detector grants nothing.
    return Need(f"guardduty:{operation.name}", arn if detector and operation.name != "GetFindings" else "*")


def _events(operation, _, account):
    prefix = f"arn:{PARTITION}:events:{operation.region}:{account}"
    params = operation.params
    if operation.name == "PutEvents":
        buses = {e.get("EventBusName") or "default" for e in params.get("Entries") or [{}]}
        return [
            Need("events:PutEvents", b if b.startswith("arn:") else f"{prefix}:event-bus/{b}") for b in sorted(buses)
        ]
    rule = params.get("Rule") or (params.get("Name") if "Rule" in operation.name else None)
    if rule:
        bus = params.get("EventBusName") or "default"
        bus = "" if bus == "default" else bus.rsplit("/", 1)[-1] + "/"
        return Need(f"events:{operation.name}", f"{prefix}:rule/{bus}{rule}")
    return Need(f"events:{operation.name}")


def _scheduler(operation, _, account):
    """CreateSchedule hands a role to Scheduler, and so needs leave to pass it (User Guide, "Identity-based policies")."""
    params = operation.params
    group, name = params.get("GroupName") or "default", params.get("Name")
    prefix = f"arn:{PARTITION}:scheduler:{operation.region}:{account}"
    if name and operation.name.endswith("ScheduleGroup"):
        return Need(f"scheduler:{operation.name}", f"{prefix}:schedule-group/{name}")
    needs = [Need(f"scheduler:{operation.name}", f"{prefix}:schedule/{group}/{name}" if name else "*")]
    role = (params.get("Target") or {}).get("RoleArn")
    if role:
        needs.append(Need("iam:PassRole", role, {"iam:passedtoservice": "scheduler.amazonaws.com"}))
    return needs


def _lambda(operation, _, account):
    name = operation.params.get("FunctionName")
    if not name:
        return Need(f"lambda:{operation.name}")
    action = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction"}.get(operation.name, operation.name)
    name = name.split(":function:")[-1]
    return Need(f"lambda:{action}", f"arn:{PARTITION}:lambda:{operation.region}:{account}:function:{name}")


def _dynamodb(operation, _, account):
    table = operation.params.get("TableName")
    arn = (
        table
        if table and table.startswith("arn:")
        else f"arn:{PARTITION}:dynamodb:{operation.region}:{account}:table/{table}"
    )
    return Need(f"dynamodb:{operation.name}", arn if table else "*")


def _secretsmanager(operation, _, account):
    secret = operation.params.get("SecretId") or operation.params.get("Name")
    if secret and not secret.startswith("arn:"):
        secret = f"arn:{PARTITION}:secretsmanager:{operation.region}:{account}:secret:{secret}-??????"
    return Need(f"secretsmanager:{operation.name}", secret or "*")


def _ssm(operation, _, account):
    name = operation.params.get("Name", "")
    if name and "Parameter" in operation.name:
        return Need(
            f"ssm:{operation.name}", f"arn:{PARTITION}:ssm:{operation.region}:{account}:parameter/{name.lstrip('/')}"
        )
    return Need(f"ssm:{operation.name}")


def _bedrock(operation, *_):
    actions = {"Converse": "InvokeModel", "ConverseStream": "InvokeModelWithResponseStream"}
    model = operation.params.get("modelId", "*")
    arn = model if model.startswith("arn:") else f"arn:{PARTITION}:bedrock:{operation.region}::foundation-model/{model}"
    return Need(f"bedrock:{actions.get(operation.name, operation.name)}", arn)


_SERVICES = {
    "iam": _iam, "sts": _sts, "s3": _s3, "sns": _sns, "sqs": _sqs, "logs": _logs, "kms": _kms,
    "securityhub": _securityhub, "guardduty": _guardduty, "events": _events, "lambda": _lambda, "scheduler": _scheduler,
    "dynamodb": _dynamodb, "secretsmanager": _secretsmanager, "ssm": _ssm, "bedrock": _bedrock,
    "ec2": ec2_needs, "ebs": ebs_needs, "autoscaling": autoscaling_needs, "elasticloadbalancing": load_balancing_needs,
}  # fmt: skip
