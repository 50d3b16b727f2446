"""What the case remembers is enough: whatever state an instance was in, the undo lines put it back exactly.

The states come from a fixed seed; `UNDO_STATES` says how many there are.
"""

import os
import random

import pytest
from lab import seed, seed_instances, undo
from test_contain_instance import attribute, check_isolated, devices

STATES = int(os.environ.get("UNDO_STATES", "8"))
DEFAULTS = {"TcpEstablishedTimeout": 432_000, "UdpStreamTimeout": 180, "UdpTimeout": 30}


def random_instance(scene, chance):
    """An instance in a state somebody may have left it in."""
    lab, ec2 = scene.lab, scene.lab.client("ec2")
    in_group = chance.random() < 0.5
    running = in_group or chance.random() < 0.7
    instance = seed_instances.instance(
        lab,
        interfaces=chance.randint(1, 3),
        data_volumes=chance.randint(0, 2),
        other_vpc=chance.random() < 0.3,
        with_profile=chance.random() < 0.8,
        profile_path=chance.choice(["/", "/apps/", "/apps/web/"]),
        elastic_address=chance.random() < 0.5,
        auto_scaling=in_group,
        # A target group takes only what runs.
        target_groups=[kind for kind in ("instance", "ip") if running and chance.random() < 0.5],
        load_balancer=chance.random() < 0.4,
        on_shutdown=chance.choice(["stop", "terminate"]),
        state="running" if running else "stopped",
    )
    for interface in instance.interfaces:
        if instance.vpcs[interface] != instance.vpc:
            continue
        groups = [seed_instances.group(lab, instance.network) for _ in range(chance.randint(0, 3))]
        groups += instance.groups[interface] if not groups or chance.random() < 0.5 else []
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
        if chance.random() < 0.5:
            timeouts = {"TcpEstablishedTimeout": chance.randint(60, 432_000), "UdpTimeout": chance.randint(30, 60)}
            ec2.modify_network_interface_attribute(
                NetworkInterfaceId=interface, ConnectionTrackingSpecification=timeouts
            )
    if chance.random() < 0.4:
        ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiTermination={"Value": True})
    if chance.random() < 0.4:
        ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiStop={"Value": True})
    for device in instance.volumes:
        if chance.random() < 0.5:
            flag = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": False}}]
            ec2.modify_instance_attribute(InstanceId=instance.id, BlockDeviceMappings=flag)
    if in_group and chance.random() < 0.5:
        lab.client("autoscaling").set_instance_protection(
            InstanceIds=[instance.id], AutoScalingGroupName=instance.auto_scaling_group, ProtectedFromScaleIn=True
        )
    return seed_instances.look_at_again(lab, instance)


def state(lab, instance):
    """Everything a containment may change, as AWS tells it."""
    ec2 = lab.client("ec2")
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=instance.interfaces)["NetworkInterfaces"]
    interfaces = {
        eni["NetworkInterfaceId"]: {
            "groups": sorted(group["GroupId"] for group in eni["Groups"]),
            "addresses": sorted(
                (a["PrivateIpAddress"], (a.get("Association") or {}).get("AllocationId"))
                for a in eni["PrivateIpAddresses"]
            ),
            "timeouts": {**DEFAULTS, **(eni.get("ConnectionTrackingConfiguration") or {})},
        }
        for eni in found
    }
    names = ("disableApiTermination", "disableApiStop", "instanceInitiatedShutdownBehavior")
    place = lab.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance.id])["AutoScalingInstances"]
    described = ec2.describe_instances(InstanceIds=[instance.id])["Reservations"][0]["Instances"][0]
    return {
        "state": described["State"]["Name"],
        "profile": (described.get("IamInstanceProfile") or {}).get("Arn"),
        "interfaces": interfaces,
        "attributes": {name: attribute(lab, instance, name) for name in names},
        "volumes": devices(lab, instance),
        "auto scaling": [
            (p["AutoScalingGroupName"], p["LifecycleState"], p["ProtectedFromScaleIn"]) for p in place
        ],
        "target groups": {arn: registered(lab, arn, found, instance) for arn in instance.target_groups.values()},
        "load balancer": instance.load_balancer and lab.client("elb").describe_load_balancers(
            LoadBalancerNames=[instance.load_balancer]
        )["LoadBalancerDescriptions"][0]["Instances"],
        "role": instance.role and lab.client("iam").list_role_policies(RoleName=instance.role.name)["PolicyNames"],
    }  # fmt: skip


def registered(lab, arn, interfaces, instance):
    """The instance's own registrations: Auto Scaling registers what takes its place."""
    own = {instance.id, *(a["PrivateIpAddress"] for eni in interfaces for a in eni["PrivateIpAddresses"])}
    found = lab.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    there = [t["Target"] for t in found if t["TargetHealth"]["State"] != "draining"]
    return sorted((target["Id"], target.get("Port")) for target in there if target["Id"] in own)


@pytest.mark.parametrize("number", range(STATES))
def test_recorded_state_alone_puts_everything_back(scene, number):
    instance = random_instance(scene, random.Random(20261121 + number))
    before = state(scene.lab, instance)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    check_isolated(scene, instance)
    assert state(scene.lab, instance) != before
    undo.run(scene.lab, delivery.case.entry("acted")["undo"])
    assert state(scene.lab, instance) == before


def test_instance_is_as_it_was_and_old_credentials_stay_refused_until_the_deny_goes(scene):
    """The deny of the credentials is the last but one line: whoever undoes by hand can leave it out."""
    role = seed.role(scene.lab, profile_path="/")
    instance = seed_instances.instance(scene.lab, of_role=role)
    before = state(scene.lab, instance)
    delivery = scene.fire(scene.accuse_instance(instance))
    lines = [line for line in delivery.case.entry("acted")["undo"] if "delete-role-policy" not in line]
    undo.run(scene.lab, lines)
    now = state(scene.lab, instance)
    assert {k: v for k, v in now.items() if k != "role"} == {k: v for k, v in before.items() if k != "role"}
    assert [name for name in now["role"] if name.startswith("TourniquetDenySession-")]
