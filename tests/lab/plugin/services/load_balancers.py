"""Load balancers: targets by id and port, draining, and pages.

AWS behaviour: Elastic Load Balancing API reference, DeregisterTargets ("if the specified target does not exist,
the action returns successfully"), TargetDescription (a target without a port is meant with the port of the group),
DescribeTargetHealth (a target that was deregistered is `draining` for the deregistration delay, where the group is
used by a load balancer); DescribeTargetGroups and the classic DescribeLoadBalancers, PageSize.
"""

import time

from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup

from ..call import handles
from ..errors import AwsError
from ..paging import page


def _key(group, target):
    return f"{target['Id']}:{int(target.get('Port') or group.port or 0)}"


def _register(group, targets):
    for target in targets:
        instance = group.ec2_backend.get_instance_by_id(target["Id"])
        if group.target_type == "instance" and (instance is None or instance.state != "running"):
            raise AwsError(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{target['Id']}'",
            )
        port = int(target.get("Port") or group.port or 0)
        entry = {"Id": target["Id"], "Port": port}
        if target.get("AvailabilityZone"):
            entry["AvailabilityZone"] = target["AvailabilityZone"]
        group.targets[_key(group, target)] = entry
        group.deregistered_targets.pop(_key(group, target), None)


def _deregister(group, targets):
    for target in targets:
        key = _key(group, target)
        if key in group.targets:
            group.deregistered_targets[key] = {**group.targets.pop(key), "since": time.time()}


def _leave(group, ids):
    _deregister(group, [t for t in list(group.targets.values()) if t["Id"] in ids])


def _terminated(group, ids):
    _leave(group, set(ids))


FakeTargetGroup.register = _register
FakeTargetGroup.deregister = _deregister
FakeTargetGroup.leave = _leave
FakeTargetGroup.deregister_terminated_instances = _terminated


def _draining(group):
    delay = float(group.attributes.get("deregistration_delay.timeout_seconds") or 300)
    used = bool(group.load_balancer_arns)
    return [t for t in group.deregistered_targets.values() if used and time.time() - t["since"] < delay]


@handles("elasticloadbalancing", "DescribeTargetHealth")
def describe_target_health(call):
    from moto.elbv2.models import elbv2_backends

    backend = elbv2_backends[call.account][call.region]
    group = backend.target_groups.get(call.params["TargetGroupArn"])
    if group is None:
        raise AwsError("TargetGroupNotFound", "One or more target groups not found")
    asked = call.params.get("Targets") or [*group.targets.values(), *_draining(group)]
    return {"TargetHealthDescriptions": [_health(group, backend.ec2_backend, target) for target in asked]}


def _health(group, ec2_backend, target):
    key, port = _key(group, target), int(target.get("Port") or group.port or 0)
    if key in group.targets:
        state, reason, stored = "healthy", None, group.targets[key]
        instance = ec2_backend.get_instance_by_id(target["Id"])
        if instance is not None and instance.state == "stopped":
            state, reason = "unused", "Target.InvalidState"
        elif not group.load_balancer_arns:
            state, reason = "unused", "Target.NotInUse"
    elif any(_key(group, t) == key for t in _draining(group)):
        state, reason, stored = "draining", "Target.DeregistrationInProgress", group.deregistered_targets[key]
    else:
        state, reason, stored = "unused", "Target.NotRegistered", {}
    status = FakeHealthStatus(target["Id"], port, group.health_check_port, state, reason)
    described = {"Target": status.target, "HealthCheckPort": str(port), "TargetHealth": {"State": state}}
    if reason:
        described["TargetHealth"]["Reason"] = reason
    if stored.get("AvailabilityZone"):
        described["Target"]["AvailabilityZone"] = stored["AvailabilityZone"]
    return described


@handles("elasticloadbalancing", "DescribeTargetGroups")
def describe_target_groups(call):
    from moto.elbv2.models import elbv2_backends

    params = call.params
    found = elbv2_backends[call.account][call.region].describe_target_groups(
        params.get("LoadBalancerArn"), params.get("TargetGroupArns") or [], params.get("Names") or []
    )
    return page(call, "TargetGroups", list(found), "PageSize", "Marker", "NextMarker", most=400)
