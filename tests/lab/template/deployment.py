"""The deployment: resources in the order of their references, then functions, then guardrails."""

from dataclasses import dataclass, field
from pathlib import Path

from . import custom, delivery
from .intrinsics import Resolver, TemplateError, references_in
from .resources import CREATORS, JUDGED_ELSEWHERE, WITHOUT_MEANING, Account, Properties, Resource, create
from .source import BUILD_BUCKET, parameter_values, translate

RESOURCE_KEYS = {"Type", "Properties", "Condition", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy"}
GUARDRAILS_KEY = "guardrails.toml"
LAB_ENVIRONMENT = {"VERIFY_AFTER_MS": "300"}
"""The lab's IAM is consistent at once: what AWS needs seconds for needs no wait here."""
LAB_RETRY_DELAYS_MS = (50, 100)
"""Where Lambda waits one and two minutes before it tries again."""


@dataclass
class Deployment:
    account: str
    region: str
    resources: dict
    """Logical id -> Resource, of everything that was created."""
    outputs: dict
    """The stack's outputs by name."""
    functions: list = field(default_factory=list)
    """As registered with the lab."""
    left_out: dict = field(default_factory=dict)
    """Logical id -> why it was not deployed."""
    stack: str = "tourniquet"
    source: tuple = ()
    """The template and its resolver, for outputs that are known later."""

    def renew_outputs(self):
        self.outputs = outputs_of(*self.source)

    def ref(self, logical_id):
        return self.resources[logical_id].ref

    def arn(self, logical_id):
        return self.resources[logical_id].attributes["Arn"]


def deploy(template_path, lab, parameters=None, binaries_dir=".", environment=None, guardrails=None,
           retry_delays_ms=LAB_RETRY_DELAYS_MS, stack="tourniquet", custom_resources=True):  # fmt: skip
    """Deploy the template to a running lab (`client.Lab`) and register its functions there.

    `environment` overrides variables of the functions. `guardrails` is the text of the guardrails,
    by default the file beside the template. `custom_resources` False leaves the functions of those unasked.
    """
    deployment = deploy_stack(template_path, lab, parameters, stack)
    if guardrails is None:
        guardrails = (Path(template_path).parent / GUARDRAILS_KEY).read_text(encoding="utf-8")
    _put_guardrails(lab.client("s3"), deployment, guardrails)
    register(deployment, lab, binaries_dir, environment, retry_delays_ms, custom_resources)
    return deployment


def register(deployment, lab, binaries_dir, environment=None, retry_delays_ms=LAB_RETRY_DELAYS_MS, custom_resources=True):
    """Register the functions of a deployed stack with the lab, anew where it knows them, and ask for the custom resources
    that were made or changed."""
    delivery.check(deployment.resources, lab.account)
    variables = {"AWS_ENDPOINT_URL": lab.endpoint, **LAB_ENVIRONMENT, **(environment or {})}
    deployment.functions = registrations(deployment.resources, Path(binaries_dir).resolve(), variables, retry_delays_ms)
    for registration in deployment.functions:
        lab.register_function(**registration)
    if custom_resources:
        custom.ask_pending(deployment, lab)


def deploy_stack(template_path, lab, parameters=None, stack="tourniquet"):
    """The resources of a template and nothing more, in the account and Region the lab is asked as."""
    template = translate(template_path, parameters, lab.region)
    resolver = resolver_of(template, parameters, pseudo_parameters(lab.account, lab.region, stack))
    aws = Account(lab.client, lab.account, lab.region, stack)
    deployment = Deployment(lab.account, lab.region, resolver.resources, {}, stack=stack, source=(template, resolver))
    for logical_id in creation_order(template["Resources"]):
        deploy_resource(aws, resolver, deployment, logical_id, template["Resources"][logical_id])
    deployment.renew_outputs()
    return deployment


def resolver_of(template, parameters, pseudo):
    return Resolver(
        parameter_values(template, parameters), pseudo, template.get("Conditions"), template.get("Mappings")
    )


def creation_order(resources):
    """Logical ids so that each comes after everything it refers to; the file's order otherwise."""
    waiting = {}
    for logical_id, resource in resources.items():
        unknown = sorted(set(resource) - RESOURCE_KEYS)
        if unknown:
            raise TemplateError(f"{logical_id} has {', '.join(unknown)}, which the lab does not know")
        depends = resource.get("DependsOn", [])
        depends = {depends} if isinstance(depends, str) else set(depends)
        waiting[logical_id] = (references_in(resource.get("Properties", {})) | depends) & set(resources)
    order = []
    while waiting:
        ready = [logical_id for logical_id, needed in waiting.items() if needed <= set(order)]
        if not ready:
            raise TemplateError(f"these resources refer to each other in a circle: {', '.join(sorted(waiting))}")
        order += ready
        for logical_id in ready:
            del waiting[logical_id]
    return order


def registrations(resources, binaries_dir, variables, retry_delays_ms):
    """What the lab has to know to run each function of the template as Lambda would."""
    by_function = {
        resource.properties["FunctionName"]: resource.properties
        for resource in resources.values()
        if resource.type == "AWS::Lambda::EventInvokeConfig"
    }
    found = []
    for resource in resources.values():
        if resource.type != "AWS::Lambda::Function":
            continue
        function, invoke = resource.properties, by_function.get(resource.ref, {})
        code = function["Code"]
        # Text, whatever the type of the parameter it came from.
        own = function.get("Environment", {}).get("Variables", {})
        if code.get("S3Bucket") != BUILD_BUCKET:
            raise TemplateError(f"{resource.ref} is not built from this workspace: {code}")
        found.append(
            {
                "name": resource.ref,
                "command": [str(binaries_dir / code["S3Key"])],
                "environment": {name: str(value) for name, value in {**own, **variables}.items()},
                "role_arn": function["Role"],
                "timeout": function.get("Timeout", 3),
                # What Lambda does when nothing is configured: two more tries, and no destination.
                "max_retry_attempts": invoke.get("MaximumRetryAttempts", 2),
                "retry_delays_ms": list(retry_delays_ms),
                "on_failure_arn": invoke.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
                "log_group": function.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{resource.ref}"),
            }
        )
    return found


def deploy_resource(aws, resolver, deployment, logical_id, resource):
    """Create it if its condition holds, and make it known to the references that follow."""
    kind = resource["Type"]
    is_custom = kind.startswith(custom.PREFIX)
    if not (is_custom or kind in CREATORS or kind in WITHOUT_MEANING or kind in JUDGED_ELSEWHERE):
        raise TemplateError(f"{logical_id}: the lab cannot deploy {kind}")
    if "Condition" in resource and not resolver.condition(resource["Condition"]):
        deployment.left_out[logical_id] = f"condition {resource['Condition']} is false"
        return
    values = resolver.resolve(resource.get("Properties", {}))
    if is_custom:
        resolver.resources[logical_id] = Resource(kind, "", custom.Unanswered(), values)
    elif kind in WITHOUT_MEANING:
        deployment.left_out[logical_id] = WITHOUT_MEANING[kind]
    elif kind in JUDGED_ELSEWHERE:
        _refuse_unknown(logical_id, kind, values)
        resolver.resources[logical_id] = Resource(kind, aws.name(logical_id), {}, values)
    else:
        resolver.resources[logical_id] = create(aws, logical_id, kind, values)


_JUDGED_PROPERTIES = {
    "AWS::Lambda::EventInvokeConfig": ("FunctionName", "MaximumRetryAttempts", "DestinationConfig"),
    "AWS::Lambda::Permission": ("FunctionName", "Action", "Principal", "SourceArn", "SourceAccount"),
}


def _refuse_unknown(logical_id, kind, values):
    properties = Properties(logical_id, kind, values)
    for name in _JUDGED_PROPERTIES[kind]:
        properties.take(name)
    properties.finish()


def outputs_of(template, resolver):
    outputs = template.get("Outputs", {})
    return {
        name: resolver.resolve(output["Value"])
        for name, output in outputs.items()
        if "Condition" not in output or resolver.condition(output["Condition"])
    }


def _put_guardrails(s3, deployment, text):
    bucket = deployment.outputs["CaseBucketName"]
    s3.put_object(Bucket=bucket, Key=GUARDRAILS_KEY, Body=text.encode(), ChecksumAlgorithm="SHA256")


def pseudo_parameters(account, region, stack, partition="aws"):
    return {
        "AWS::AccountId": account,
        "AWS::Partition": partition,
        "AWS::Region": region,
        "AWS::StackName": stack,
        "AWS::StackId": f"arn:{partition}:cloudformation:{region}:{account}:stack/{stack}/lab",
        "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
        "AWS::NotificationARNs": [],
    }
