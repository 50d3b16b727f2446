"""Auto Scaling groups and load balancers: when an instance may leave, and what leaving does."""

import pytest
from lab import seed_instances
from lab_assertions import refused

NOBODY = "i-0123456789abcdef0"


@pytest.fixture
def autoscaling(lab):
    return lab.client("autoscaling")


def state(autoscaling, instance):
    found = autoscaling.describe_auto_scaling_instances(InstanceIds=[instance])["AutoScalingInstances"]
    return found[0] if found else None


def targets(lab, arn):
    found = lab.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {t["Target"]["Id"]: t["TargetHealth"]["State"] for t in found}


def capacity(autoscaling, name):
    (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return group["DesiredCapacity"], {i["InstanceId"]: i["LifecycleState"] for i in group["Instances"]}


def test_standby_takes_an_instance_out_of_service_and_replaces_it(lab, autoscaling):
    victim = seed_instances.instance(lab, auto_scaling=True, target_groups=["instance"])
    group, arn = victim.auto_scaling_group, victim.target_groups["instance"]
    assert targets(lab, arn)[victim.id] == "healthy"
    enter = {"AutoScalingGroupName": group, "ShouldDecrementDesiredCapacity": False}
    autoscaling.enter_standby(InstanceIds=[victim.id], **enter)
    assert state(autoscaling, victim.id)["LifecycleState"] == "Standby"
    desired, members = capacity(autoscaling, group)
    assert (desired, sorted(members.values())) == (1, ["InService", "Standby"])
    assert targets(lab, arn)[victim.id] == "draining"
    # Nor does it come back when the group grows.
    autoscaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)
    assert sorted(targets(lab, arn).values()) == ["draining", "healthy", "healthy"]
    assert targets(lab, arn)[victim.id] == "draining"
    error = refused("ValidationError", autoscaling.enter_standby, InstanceIds=[victim.id], **enter)
    assert f"The instance {victim.id} is not in InService." in str(error)


def test_decrementing_stops_at_the_minimum(lab, autoscaling):
    victim = seed_instances.instance(lab, auto_scaling=True, min_size=1)
    arguments = {"AutoScalingGroupName": victim.auto_scaling_group, "InstanceIds": [victim.id]}
    for leave, purpose in ((autoscaling.enter_standby, "place into standby"), (autoscaling.detach_instances, "detach")):
        error = refused("ValidationError", leave, ShouldDecrementDesiredCapacity=True, **arguments)
        assert f"has min-size=1, max-size=4, and desired-size=1. To {purpose} 1 instance" in str(error)
    autoscaling.enter_standby(ShouldDecrementDesiredCapacity=False, **arguments)


def test_a_detached_instance_is_out_of_its_target_group(lab, autoscaling):
    victim = seed_instances.instance(lab, auto_scaling=True, target_groups=["instance"])
    group, arn = victim.auto_scaling_group, victim.target_groups["instance"]
    autoscaling.detach_instances(
        AutoScalingGroupName=group, InstanceIds=[victim.id], ShouldDecrementDesiredCapacity=False
    )
    assert state(autoscaling, victim.id) is None
    assert targets(lab, arn)[victim.id] == "draining"
    desired, members = capacity(autoscaling, group)
    assert desired == 1 and victim.id not in members and len(members) == 1
    (replacement,) = members
    assert targets(lab, arn)[replacement] == "healthy"
    refused(
        "ValidationError", autoscaling.detach_instances,
        AutoScalingGroupName=group, InstanceIds=[victim.id], ShouldDecrementDesiredCapacity=False,
    )  # fmt: skip


def test_a_detached_instance_may_come_back(lab, autoscaling):
    victim = seed_instances.instance(lab, auto_scaling=True)
    name = {"AutoScalingGroupName": victim.auto_scaling_group, "InstanceIds": [victim.id]}
    autoscaling.detach_instances(ShouldDecrementDesiredCapacity=True, **name)
    autoscaling.attach_instances(**name)
    assert state(autoscaling, victim.id)["LifecycleState"] == "InService"


@pytest.mark.parametrize("lifecycle_state", ["Pending", "Terminating:Wait"])
def test_who_is_on_the_way_in_or_out_neither_stands_by_nor_leaves(lab, autoscaling, lifecycle_state):
    victim = seed_instances.instance(lab, auto_scaling=True)
    lab.set_instance(victim.id, lifecycle_state=lifecycle_state)
    leave = {
        "AutoScalingGroupName": victim.auto_scaling_group, "InstanceIds": [victim.id],
        "ShouldDecrementDesiredCapacity": False,
    }  # fmt: skip
    refused("ValidationError", autoscaling.enter_standby, **leave)
    error = refused("ValidationError", autoscaling.detach_instances, **leave)
    assert "is not in InService or Standby." in str(error)


def test_protection_from_scale_in_is_for_members(lab, autoscaling):
    victim = seed_instances.instance(lab, auto_scaling=True)
    protect = {"AutoScalingGroupName": victim.auto_scaling_group, "ProtectedFromScaleIn": True}
    autoscaling.set_instance_protection(InstanceIds=[victim.id], **protect)
    assert state(autoscaling, victim.id)["ProtectedFromScaleIn"] is True
    refused("ValidationError", autoscaling.set_instance_protection, InstanceIds=[NOBODY], **protect)
    protect["AutoScalingGroupName"] = "nobody"
    refused("ValidationError", autoscaling.set_instance_protection, InstanceIds=[victim.id], **protect)


def test_targets_are_deregistered_by_id_and_port(lab):
    elb = lab.client("elbv2")
    victim = seed_instances.instance(lab, target_groups=["instance", "ip"])
    arn, by_ip = victim.target_groups["instance"], victim.target_groups["ip"]
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": victim.id, "Port": 9090}])

    def states():
        found = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {t["Target"]["Port"]: t["TargetHealth"]["State"] for t in found}

    assert states() == {8080: "healthy", 9090: "healthy"}
    # Without a port the port of the group is meant, and what is not registered is no error.
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": victim.id}])
    assert states() == {8080: "draining", 9090: "healthy"}
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": victim.id, "Port": 9090}, {"Id": victim.id, "Port": 1}])
    assert states() == {8080: "draining", 9090: "draining"}
    (address,) = targets(lab, by_ip)
    elb.deregister_targets(TargetGroupArn=by_ip, Targets=[{"Id": address, "Port": 8080}])
    assert targets(lab, by_ip) == {address: "draining"}


def test_a_group_that_no_load_balancer_uses_does_not_drain(lab):
    elb, victim = lab.client("elbv2"), seed_instances.instance(lab)
    made = elb.create_target_group(Name="unused", Protocol="HTTP", Port=80, VpcId=victim.vpc, TargetType="instance")
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": victim.id}])
    assert targets(lab, arn) == {victim.id: "unused"}
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": victim.id}])
    assert targets(lab, arn) == {}


def test_target_groups_come_in_pages(lab):
    elb = lab.client("elbv2")
    for _ in range(2):
        seed_instances.instance(lab, target_groups=["instance"])
    everything = elb.describe_target_groups()["TargetGroups"]
    found, marker = [], {}
    while True:
        answer = elb.describe_target_groups(PageSize=1, **marker)
        found += answer["TargetGroups"]
        assert len(answer["TargetGroups"]) == 1
        if "NextMarker" not in answer:
            break
        marker = {"Marker": answer["NextMarker"]}
    assert [g["TargetGroupArn"] for g in found] == [g["TargetGroupArn"] for g in everything]


def test_a_classic_load_balancer_lets_an_instance_go(lab):
    elb, victim = lab.client("elb"), seed_instances.instance(lab, load_balancer=True)

    def members():
        found = elb.describe_load_balancers(LoadBalancerNames=[victim.load_balancer])["LoadBalancerDescriptions"]
        return [i["InstanceId"] for i in found[0]["Instances"]]

    assert members() == [victim.id]
    elb.deregister_instances_from_load_balancer(
        LoadBalancerName=victim.load_balancer, Instances=[{"InstanceId": victim.id}]
    )
    assert members() == []
