"""Auto Scaling: what an instance must be to leave a group, and what leaving it does elsewhere.

AWS behaviour: EC2 Auto Scaling API reference, EnterStandby, DetachInstances, SetInstanceProtection; User Guide,
"Temporarily remove instances from your Auto Scaling group": from InService alone, out of the load balancers and
target groups, replaced unless the desired capacity is decremented, which may not go below the minimum.
The wording of the refusals is from what people have reported.
"""

from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends

from ..call import guards, handles
from ..errors import AwsError


def _backend(call):
    return autoscaling_backends[call.account][call.region]


def set_lifecycle_state(account, region, instance_id, state):
    """What Auto Scaling does by itself and takes its time for: Pending, Terminating:Wait and the like."""
    for member in autoscaling_backends[account][region].describe_auto_scaling_instances([instance_id]):
        member.lifecycle_state = state


def _refuse(message):
    raise AwsError("ValidationError", message)


def _members(call, states, wording):
    """The group, and the states of the instances named; each must be one of its own and in one of these states."""
    name = call.params.get("AutoScalingGroupName")
    group = _backend(call).autoscaling_groups.get(name)
    if group is None:
        _refuse(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
    ids = call.params.get("InstanceIds") or []
    if len(ids) > 20 and call.operation.name != "SetInstanceProtection":
        _refuse("The number of instances must be 20 or less.")
    by_id = {state.instance.id: state for state in group.instance_states}
    for instance_id in ids:
        if instance_id not in by_id:
            _refuse(f"The instance {instance_id} is not part of Auto Scaling group {name}.")
        if by_id[instance_id].lifecycle_state not in states:
            _refuse(f"The instance {instance_id} is not in {wording}.")
    return group, [by_id[instance_id] for instance_id in ids]


def _refuse_below_minimum(call, group, count, purpose):
    decrement = str(call.params.get("ShouldDecrementDesiredCapacity")).lower() == "true"
    if decrement and group.desired_capacity - count < group.min_size:
        _refuse(
            f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, and "
            f"desired-size={group.desired_capacity}. To {purpose} {count} instance{'s' if count > 1 else ''}, please "
            "update the AutoScalingGroup sizes appropriately."
        )


@handles("autoscaling", "EnterStandby")
def enter_standby(call):
    group, members = _members(call, ("InService",), "InService")
    _refuse_below_minimum(call, group, len(members), "place into standby")
    response = call.lab.gateway.forward(call)
    _leave_load_balancers(call, group, members)
    return response


@handles("autoscaling", "DetachInstances")
def detach_instances(call):
    group, members = _members(call, ("InService", "Standby"), "InService or Standby")
    _refuse_below_minimum(call, group, len(members), "detach")
    response = call.lab.gateway.forward(call)
    _leave_load_balancers(call, group, members)
    for state in members:
        # An instance that left may join another group; moto looks here first.
        if hasattr(state.instance, "autoscaling_group"):
            del state.instance.autoscaling_group
    return response


@guards("autoscaling", "SetInstanceProtection")
def refuse_protection_of_others(call):
    states = ("InService", "EnteringStandby", "Standby")
    _members(call, states, "InService or EnteringStandby or Standby")


def _leave_load_balancers(call, group, members):
    from moto.elbv2.models import elbv2_backends

    backend = elbv2_backends[call.account][call.region]
    ids = {state.instance.id for state in members}
    for arn in group.target_group_arns:
        target_group = backend.target_groups.get(arn)
        if target_group is not None:
            target_group.leave(ids)
    _backend(call).update_attached_elbs(group.name)


def _update_attached_target_groups(self, group_name):
    """Instances in service, and no others: moto registers those in standby again whenever the capacity changes."""
    group = self.autoscaling_groups[group_name]
    for arn in group.target_group_arns:
        target_group = self.elbv2_backend.target_groups.get(arn)
        if target_group is not None:
            known = {target["Id"] for target in target_group.targets.values()}
            ids = [state.instance.id for state in group.active_instances()]
            target_group.register([{"Id": i} for i in ids if i not in known])


AutoScalingBackend.update_attached_target_groups = _update_attached_target_groups
