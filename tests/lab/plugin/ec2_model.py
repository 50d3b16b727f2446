"""moto's EC2 as the other modules ask for it: a backend, a thing by its id, tags of whatever has an id."""

from moto.ec2.models import ec2_backends

from .errors import AwsError


def ec2_of(account, region):
    return ec2_backends[account][region]


def backend_of(call):
    return ec2_of(call.account, call.region)


def group_or_refuse(backend, group_id):
    group = backend.get_security_group_from_id(group_id)
    if group is None:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
    return group


def groups_in_vpc(backend, group_ids, vpc_id):
    """The groups an interface of that VPC is to have; EC2 refuses unknown ones and those of another VPC."""
    groups = [group_or_refuse(backend, group_id) for group_id in group_ids]
    if any(group.vpc_id != vpc_id for group in groups):
        raise AwsError(
            "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
        )
    return groups


def tags_of(backend, resource_id):
    """Looked up, where `describe_tags` goes through those of everything there is."""
    return dict(backend.tags.get(resource_id) or {})


def flag(value):
    """A boolean of the query protocol, or the structure that wraps one; None when absent."""
    if isinstance(value, dict):
        value = value.get("Value")
    return None if value is None else str(value).lower() == "true"


def only_one_attribute(call, names):
    """EC2 changes one attribute a call."""
    named = [name for name in names if call.params.get(name) not in (None, [])]
    if len(named) > 1:
        raise AwsError(
            "InvalidParameterCombination", f"Fields for multiple attribute types specified: {', '.join(named)}"
        )
    if not named:
        raise AwsError("InvalidParameterCombination", "No attributes specified.")
    return named[0]
