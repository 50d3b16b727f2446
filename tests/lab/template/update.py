"""A stack deployed again with other parameters: what they change is changed, what they add is made, all else stays.

Only what the product's own templates change by a parameter can be updated here; anything else is an error, as is a
resource that would go or be replaced.
"""

import json

from . import custom
from .deployment import creation_order, deploy_resource, pseudo_parameters, resolver_of
from .intrinsics import TemplateError
from .resources import CREATORS, WITHOUT_MEANING, Account, Properties
from .source import translate


def update_stack(deployment, template_path, lab, parameters=None, stack="tourniquet"):
    """Bring a deployment to what the template says with these parameters."""
    template = translate(template_path, parameters, lab.region)
    resolver = resolver_of(template, parameters, pseudo_parameters(lab.account, lab.region, stack))
    resolver.resources.update(deployment.resources)
    aws = Account(lab.client, lab.account, lab.region, stack)
    deployment.left_out.clear()
    for logical_id in creation_order(template["Resources"]):
        resource, known = template["Resources"][logical_id], deployment.resources.get(logical_id)
        gone = "Condition" in resource and not resolver.condition(resource["Condition"])
        if known is None or gone:
            if known is not None:
                raise TemplateError(f"{logical_id}: the lab removes nothing from a stack")
            deploy_resource(aws, resolver, deployment, logical_id, resource)
            continue
        values = resolver.resolve(resource.get("Properties", {}))
        if values != known.properties:
            if known.type.startswith(custom.PREFIX):
                # Asked for once its function is registered anew.
                known.changed_from = known.properties
            else:
                _update(aws, logical_id, known, values)
            known.properties = values
    deployment.resources, deployment.source = resolver.resources, (template, resolver)
    deployment.renew_outputs()
    return deployment


def _update(aws, logical_id, known, values):
    changed = {name for name in {*values, *known.properties} if values.get(name) != known.properties.get(name)}
    if known.type == "AWS::IAM::Role" and changed == {"Policies"}:
        for policy in values["Policies"]:
            aws.client("iam").put_role_policy(
                RoleName=known.ref, PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(policy["PolicyDocument"])
            )
    elif known.type == "AWS::SQS::QueuePolicy" and changed == {"PolicyDocument"}:
        CREATORS[known.type](aws, logical_id, Properties(logical_id, known.type, values))
    elif not (known.type == "AWS::Lambda::Function" and changed == {"Environment"}) and known.type not in WITHOUT_MEANING:
        # A function is registered anew by whoever deploys it.
        raise TemplateError(f"{logical_id}: the lab cannot update {', '.join(sorted(changed))} of {known.type}")
