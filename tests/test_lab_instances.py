"""Instances, interfaces and addresses: EC2 shows and refuses what AWS shows and refuses."""

import json

import pytest
from lab import seed_instances, stage
from lab.organization import MEMBERS
from lab_assertions import put_role_policy, refused

NOBODY = "i-0123456789abcdef0"


@pytest.fixture
def ec2(lab):
    return lab.client("ec2")


def interface(ec2, eni):
    (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    return found


def groups(ec2, eni):
    return [group["GroupId"] for group in interface(ec2, eni)["Groups"]]


# --- interfaces ------------------------------------------------------------------------------------


def test_an_interface_has_the_groups_it_was_given_and_no_others(lab, ec2):
    victim = seed_instances.instance(lab, interfaces=2)
    isolation = seed_instances.group(lab, victim.network)
    primary, other = victim.interfaces
    ec2.modify_network_interface_attribute(NetworkInterfaceId=primary, Groups=[isolation])
    assert groups(ec2, primary) == [isolation]
    assert groups(ec2, other) == [victim.network.group]
    found = ec2.describe_instances(InstanceIds=[victim.id])["Reservations"][0]["Instances"][0]
    assert [group["GroupId"] for group in found["SecurityGroups"]] == [isolation]


def test_groups_of_a_launch_without_interfaces_are_replaced_too(lab, ec2):
    net = seed_instances.network(lab)
    launch = {"ImageId": "ami-0abcdef1234567890", "MinCount": 1, "MaxCount": 1, "SubnetId": net.subnet}
    made = ec2.run_instances(**launch, SecurityGroupIds=[net.group])["Instances"][0]
    eni = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    isolation = seed_instances.group(lab, net)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[isolation])
    assert groups(ec2, eni) == [isolation]


def test_unknown_groups_and_groups_of_another_vpc_are_refused(lab, ec2):
    victim, other = seed_instances.instance(lab), seed_instances.network(lab)
    change, eni = ec2.modify_network_interface_attribute, victim.interfaces[0]
    refused("InvalidGroup.NotFound", change, NetworkInterfaceId=eni, Groups=["sg-0123456789abcdef0"])
    refused("InvalidGroup.NotFound", change, NetworkInterfaceId=eni, Groups=[other.group])
    create = ec2.create_network_interface
    refused("InvalidGroup.NotFound", create, SubnetId=victim.subnet, Groups=["sg-0123456789abcdef0"])
    assert groups(ec2, eni) == [victim.network.group]


def test_one_attribute_a_call(lab, ec2):
    victim = seed_instances.instance(lab)
    change, eni = ec2.modify_network_interface_attribute, victim.interfaces[0]
    timeouts = {"TcpEstablishedTimeout": 60}
    both = {"Groups": [victim.network.group], "ConnectionTrackingSpecification": timeouts}
    refused("InvalidParameterCombination", change, NetworkInterfaceId=eni, **both)
    attributes = {"DisableApiStop": {"Value": True}, "DisableApiTermination": {"Value": True}}
    refused("InvalidParameterCombination", ec2.modify_instance_attribute, InstanceId=victim.id, **attributes)


def test_interfaces_of_two_vpcs_each_want_a_group_of_their_own(lab, ec2):
    victim = seed_instances.instance(lab, other_vpc=True)
    primary, foreign = victim.interfaces
    assert victim.vpcs == {primary: victim.network.vpc, foreign: victim.second_network.vpc}
    assert victim.network.vpc != victim.second_network.vpc
    change = ec2.modify_network_interface_attribute
    refused("InvalidGroup.NotFound", change, NetworkInterfaceId=foreign, Groups=[victim.network.group])
    change(NetworkInterfaceId=foreign, Groups=[victim.second_network.group])


def test_an_interface_without_ipv4(lab, ec2):
    victim = seed_instances.instance(lab, ipv6_only=True)
    found = interface(ec2, victim.interfaces[0])
    assert "PrivateIpAddress" not in found and found["PrivateIpAddresses"] == []
    assert len(found["Ipv6Addresses"]) == 1
    ec2.modify_network_interface_attribute(NetworkInterfaceId=victim.interfaces[0], Groups=[victim.network.group])


def test_interfaces_come_in_pages(lab, ec2):
    victim = seed_instances.instance(lab, interfaces=6)
    wanted = [{"Name": "attachment.instance-id", "Values": [victim.id]}]
    first = ec2.describe_network_interfaces(Filters=wanted, MaxResults=5)
    rest = ec2.describe_network_interfaces(Filters=wanted, MaxResults=5, NextToken=first["NextToken"])
    found = first["NetworkInterfaces"] + rest["NetworkInterfaces"]
    assert (len(first["NetworkInterfaces"]), "NextToken" in rest) == (5, False)
    assert {eni["NetworkInterfaceId"] for eni in found} == set(victim.interfaces)
    assert found[0]["Attachment"]["InstanceId"] == victim.id


def test_connection_tracking_is_shown_once_it_was_set(lab, ec2):
    eni = seed_instances.instance(lab).interfaces[0]
    assert "ConnectionTrackingConfiguration" not in interface(ec2, eni)
    timeouts = {"TcpEstablishedTimeout": 60, "UdpStreamTimeout": 60, "UdpTimeout": 30}
    change = ec2.modify_network_interface_attribute
    change(NetworkInterfaceId=eni, ConnectionTrackingSpecification=timeouts)
    assert interface(ec2, eni)["ConnectionTrackingConfiguration"] == timeouts
    too_short = {"TcpEstablishedTimeout": 59}
    refused("InvalidParameterValue", change, NetworkInterfaceId=eni, ConnectionTrackingSpecification=too_short)


def test_an_interface_of_another_service_is_not_ours_to_change(lab, ec2):
    victim = seed_instances.instance(lab)
    lab.set_interface(victim.interfaces[0])
    assert interface(ec2, victim.interfaces[0])["RequesterManaged"] is True
    change = ec2.modify_network_interface_attribute
    refused("AuthFailure", change, NetworkInterfaceId=victim.interfaces[0], Groups=[victim.network.group])


# --- addresses -------------------------------------------------------------------------------------


def test_an_elastic_address_is_shown_on_its_interface_and_found_by_instance(lab, ec2):
    victim = seed_instances.instance(lab, elastic_address=True)
    shown = interface(ec2, victim.interfaces[0])
    assert shown["Association"]["AllocationId"] == victim.allocation
    assert shown["PrivateIpAddresses"][0]["Association"]["AssociationId"] == victim.association
    (address,) = ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [victim.id]}])["Addresses"]
    assert (address["AllocationId"], address["PrivateIpAddress"]) == (victim.allocation, shown["PrivateIpAddress"])
    ec2.disassociate_address(AssociationId=victim.association)
    assert "Association" not in interface(ec2, victim.interfaces[0])
    refused("InvalidAssociationID.NotFound", ec2.disassociate_address, AssociationId=victim.association)


def test_an_elastic_address_of_a_secondary_private_address(lab, ec2):
    victim = seed_instances.instance(lab, public_address=True)
    eni = victim.interfaces[0]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=1)
    secondary = interface(ec2, eni)["PrivateIpAddresses"][1]["PrivateIpAddress"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=eni, PrivateIpAddress=secondary)
    primary, other = interface(ec2, eni)["PrivateIpAddresses"]
    assert primary["Association"]["PublicIp"] == victim.public_ip
    assert other["Association"]["AllocationId"] == address


def test_a_public_address_is_taken_away(lab, ec2):
    victim = seed_instances.instance(lab, public_address=True)
    eni = victim.interfaces[0]
    assert interface(ec2, eni)["Association"] == {
        "IpOwnerId": "amazon", "PublicIp": victim.public_ip,
        "PublicDnsName": interface(ec2, eni)["Association"]["PublicDnsName"],
    }  # fmt: skip
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, AssociatePublicIpAddress=False)
    assert "Association" not in interface(ec2, eni)
    assert groups(ec2, eni) == [victim.network.group]


def test_only_a_primary_interface_is_given_a_public_address(lab, ec2):
    primary, other = seed_instances.instance(lab, interfaces=2).interfaces
    for eni in (primary, other):
        ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, AssociatePublicIpAddress=True)
        assert ("Association" in interface(ec2, eni)) == (eni == primary)


def test_who_was_given_a_public_address_gets_another_after_the_elastic_one(lab, ec2):
    """Unless there is more than one interface."""
    for interfaces, given in ((1, True), (2, False)):
        victim = seed_instances.instance(lab, public_address=True, elastic_address=True, interfaces=interfaces)
        assert interface(ec2, victim.interfaces[0])["Association"]["AllocationId"] == victim.allocation
        ec2.disassociate_address(AssociationId=victim.association)
        assert ("Association" in interface(ec2, victim.interfaces[0])) == given


# --- attributes ------------------------------------------------------------------------------------


def attribute(ec2, instance, name):
    answer = ec2.describe_instance_attribute(InstanceId=instance, Attribute=name)
    return answer[name[0].upper() + name[1:]].get("Value")


def test_attributes_that_protect_evidence(lab, ec2):
    victim, change = seed_instances.instance(lab), ec2.modify_instance_attribute
    change(InstanceId=victim.id, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    assert attribute(ec2, victim.id, "instanceInitiatedShutdownBehavior") == "terminate"
    change(InstanceId=victim.id, InstanceInitiatedShutdownBehavior={"Value": "stop"})
    assert attribute(ec2, victim.id, "instanceInitiatedShutdownBehavior") == "stop"
    assert seed_instances.groups_now(lab, victim) == victim.groups
    change(InstanceId=victim.id, DisableApiTermination={"Value": True})
    change(InstanceId=victim.id, DisableApiStop={"Value": True})
    refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=[victim.id])
    refused("OperationNotPermitted", ec2.stop_instances, InstanceIds=[victim.id])
    kept = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}]
    change(InstanceId=victim.id, BlockDeviceMappings=kept)
    unknown = [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": False}}]
    refused("InvalidInstanceAttributeValue", change, InstanceId=victim.id, BlockDeviceMappings=unknown)
    change(InstanceId=victim.id, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[victim.id])
    assert ec2.describe_volumes(VolumeIds=[victim.volumes["/dev/sda1"]])["Volumes"][0]["State"] == "available"


def test_a_spot_instance_cannot_be_protected_from_termination(lab, ec2):
    victim = seed_instances.instance(lab, spot=True)
    found = ec2.describe_instances(InstanceIds=[victim.id])["Reservations"][0]["Instances"][0]
    assert found["InstanceLifecycle"] == "spot"
    change = ec2.modify_instance_attribute
    refused("UnsupportedOperation", change, InstanceId=victim.id, DisableApiTermination={"Value": True})
    change(InstanceId=victim.id, DisableApiStop={"Value": True})


def test_an_instance_with_two_interfaces_has_no_groups_of_its_own(lab, ec2):
    victim = seed_instances.instance(lab, interfaces=2)
    refused(
        "InvalidInstanceID", ec2.modify_instance_attribute, InstanceId=victim.id, Groups=[victim.network.group]
    )


def test_what_does_not_exist_and_what_is_gone(lab, ec2):
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=[NOBODY])
    change = {"DisableApiStop": {"Value": True}}
    refused("InvalidInstanceID.NotFound", ec2.modify_instance_attribute, InstanceId=NOBODY, **change)
    refused("InvalidInstanceID.NotFound", ec2.get_console_screenshot, InstanceId=NOBODY)
    gone = seed_instances.instance(lab, state="terminated", elastic_address=True)
    refused("IncorrectInstanceState", ec2.modify_instance_attribute, InstanceId=gone.id, **change)
    refused("IncorrectInstanceState", ec2.get_console_screenshot, InstanceId=gone.id)
    found = ec2.describe_instances(InstanceIds=[gone.id])["Reservations"][0]["Instances"][0]
    assert (found["State"]["Name"], found["NetworkInterfaces"]) == ("terminated", [])
    (address,) = ec2.describe_addresses(AllocationIds=[gone.allocation])["Addresses"]
    assert "AssociationId" not in address
    change = ec2.modify_network_interface_attribute
    refused(
        "InvalidNetworkInterfaceID.NotFound", change, NetworkInterfaceId=gone.interfaces[0], Groups=[gone.network.group]
    )


def test_an_instance_store_cannot_be_stopped_and_has_no_volumes(lab, ec2):
    victim = seed_instances.instance(lab, instance_store=True)
    found = ec2.describe_instances(InstanceIds=[victim.id])["Reservations"][0]["Instances"][0]
    assert (found["RootDeviceType"], found["BlockDeviceMappings"]) == ("instance-store", [])
    refused("UnsupportedOperation", ec2.stop_instances, InstanceIds=[victim.id])


def test_console_and_user_data(lab, ec2):
    victim = seed_instances.instance(lab, user_data="#!/bin/sh\necho hello\n")
    assert "Linux" in ec2.get_console_output(InstanceId=victim.id, Latest=True)["Output"]
    one, other = (seed_instances.instance(lab).id for _ in range(2))
    pictures = {ec2.get_console_screenshot(InstanceId=i)["ImageData"] for i in (one, other)}
    assert len(pictures) == 2
    assert attribute(ec2, victim.id, "userData")


def test_the_profile_of_an_instance(lab, ec2):
    with_path, without = seed_instances.instance(lab, profile_path="/apps/web/"), seed_instances.instance(
        lab, with_profile=False
    )
    assert with_path.profile.endswith(f":instance-profile/apps/web/{with_path.role.name}")
    assert (without.profile, without.role) == ("", None)
    wanted = [{"Name": "instance-id", "Values": [with_path.id]}]
    (found,) = ec2.describe_iam_instance_profile_associations(Filters=wanted)["IamInstanceProfileAssociations"]
    assert (found["IamInstanceProfile"]["Arn"], found["State"]) == (with_path.profile, "associated")


def test_a_dry_run_changes_nothing(lab, ec2):
    victim = seed_instances.instance(lab)
    isolation = seed_instances.group(lab, victim.network)
    change, eni = ec2.modify_network_interface_attribute, victim.interfaces[0]
    refused("DryRunOperation", change, NetworkInterfaceId=eni, Groups=[isolation], DryRun=True)
    refused("DryRunOperation", ec2.create_snapshot, VolumeId=victim.volumes["/dev/sda1"], DryRun=True)
    assert groups(ec2, eni) == [victim.network.group]


# --- credentials -----------------------------------------------------------------------------------


def test_credentials_of_one_instance_are_denied_old_and_new(lab):
    """The instance by either name; another instance of the role keeps working."""
    victim = seed_instances.instance(lab)
    neighbour = seed_instances.instance(lab, of_role=victim.role)
    before = seed_instances.instance_credentials(lab, victim)
    for key, value in (
        ("aws:userid", f"{victim.role.id}:{victim.id}"),
        ("ec2:SourceInstanceARN", victim.arn),
    ):
        operator = "ArnEquals" if key.startswith("ec2") else "StringEquals"
        deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {operator: {key: value}}}
        put_role_policy(lab, victim.role, "deny", {"Version": "2012-10-17", "Statement": [deny]})
        after = seed_instances.instance_credentials(lab, victim)
        assert after["AccessKeyId"] != before["AccessKeyId"]
        refused("AccessDenied", lab.client("s3", before).list_buckets)
        refused("AccessDenied", lab.client("s3", after).list_buckets)
        lab.client("s3", seed_instances.instance_credentials(lab, neighbour)).list_buckets()


# --- events about instances ------------------------------------------------------------------------

SAMPLE = {
    "detail-type": "GuardDuty Finding",
    "source": "aws.guardduty",
    "account": "111122223333",
    "region": "eu-west-1",
    "resources": [],
    "detail": {
        "schemaVersion": "2.0",
        "accountId": "111122223333",
        "region": "eu-west-1",
        "id": "0123456789abcdef0123456789abcdef",
        "type": "Backdoor:EC2/C&CActivity.B",
        "severity": 8,
        "createdAt": "2026-11-20T08:00:00.000Z",
        "updatedAt": "2026-11-20T08:00:00.000Z",
        "resource": {
            "resourceType": "Instance",
            "instanceDetails": {
                "instanceId": "i-0123456789abcdef0",
                "launchTime": "2026-11-01T08:00:00.000Z",
                "iamInstanceProfile": {
                    "arn": "arn:aws:iam::111122223333:instance-profile/web",
                    "id": "AIPAABCDEFGHIJKLMNOPQ",
                },
                "networkInterfaces": [
                    {"networkInterfaceId": "eni-0123456789abcdef0", "vpcId": "vpc-0123456789abcdef0"}
                ],
            },
        },
        "service": {"serviceName": "guardduty", "detectorId": "", "archived": False},
    },
}


@pytest.mark.parametrize("member", [False, True])
def test_an_event_about_a_seeded_instance_is_at_its_source(lab, member):
    there = lab.in_account(MEMBERS[0]) if member else lab
    victim = seed_instances.instance(there, profile_path="/apps/")
    event = json.loads(stage.about_instance(json.dumps(SAMPLE), victim))
    detector = there.client("guardduty").create_detector(Enable=True)["DetectorId"]
    event["detail"]["service"]["detectorId"] = detector
    there.put_event(event)
    found = there.client("guardduty").get_findings(DetectorId=detector, FindingIds=[event["detail"]["id"]])
    details = found["Findings"][0]["Resource"]["InstanceDetails"]
    assert (details["InstanceId"], details["IamInstanceProfile"]["Arn"]) == (victim.id, victim.profile)
    shown = details["NetworkInterfaces"][0]
    assert (shown["NetworkInterfaceId"], shown["VpcId"]) == (victim.interfaces[0], victim.vpc)
    assert event["detail"]["accountId"] == there.account


def test_an_event_about_an_instance_without_profile_names_none(lab):
    victim = seed_instances.instance(lab, with_profile=False)
    event = json.loads(stage.about_instance(json.dumps(SAMPLE), victim))
    assert event["detail"]["resource"]["instanceDetails"]["iamInstanceProfile"] is None
