"""IAM on EC2, Auto Scaling and load balancing: on which ARNs, under which condition keys."""

import pytest
from botocore.exceptions import ClientError
from lab import policies, seed, seed_instances
from lab_assertions import refused

ANY = "arn:aws:ec2:*:*:"
SNAPSHOTS = "arn:aws:ec2:*::snapshot/*"


@pytest.fixture(scope="module")
def victim(lab):
    return seed_instances.instance(lab, auto_scaling=True, target_groups=["instance"], load_balancer=True)


def client(lab, service, *statements):
    """A client of somebody who may do this much."""
    return lab.client(service, seed.user(lab, policy=policies.document(*statements)).key)


def judged(lab, operation, **arguments):
    """The actions and resources a call is judged on."""
    somebody = seed.user(lab, policy=policies.document(policies.allow("*"), policies.deny("sns:Publish")))
    mark = lab.mark()
    try:
        getattr(lab.client("ec2", somebody.key), operation)(**arguments)
    except ClientError:
        pass
    calls = lab.calls(mark, access_key=somebody.key["AccessKeyId"])
    return {(call["action"], call["resource"].split(":", 3)[3]) for call in calls}


def test_interfaces_are_judged_on_the_interface_and_the_group(lab, victim):
    eni, group = victim.interfaces[0], victim.network.group
    here = f"{lab.region}:{lab.account}"
    assert judged(lab, "modify_network_interface_attribute", NetworkInterfaceId=eni, Groups=[group]) == {
        ("ModifyNetworkInterfaceAttribute", f"{here}:network-interface/{eni}"),
        ("ModifyNetworkInterfaceAttribute", f"{here}:security-group/{group}"),
    }
    arguments = {"NetworkInterfaceId": eni, "Groups": [group]}
    half = client(lab, "ec2", policies.allow("ec2:*", f"{ANY}network-interface/*"))
    refused("UnauthorizedOperation", half.modify_network_interface_attribute, **arguments)
    both = policies.allow("ec2:*", [f"{ANY}network-interface/*", f"{ANY}security-group/*"])
    client(lab, "ec2", both).modify_network_interface_attribute(**arguments)


def test_one_vpc_only(lab, victim):
    here = f"arn:aws:ec2:{lab.region}:{lab.account}:vpc/"
    for vpc, allowed in ((victim.vpc, True), ("vpc-0123456789abcdef0", False)):
        somebody = client(lab, "ec2", policies.allow("ec2:*", ArnEquals={"ec2:Vpc": here + vpc}))
        call = somebody.modify_network_interface_attribute
        arguments = {"NetworkInterfaceId": victim.interfaces[0], "Groups": [victim.network.group]}
        call(**arguments) if allowed else refused("UnauthorizedOperation", call, **arguments)


def test_a_group_is_made_with_the_tags_that_were_granted(lab, victim):
    grant = [
        policies.allow("ec2:CreateSecurityGroup", f"{ANY}vpc/*"),
        policies.allow(
            "ec2:CreateSecurityGroup", f"{ANY}security-group/*",
            StringEquals={"aws:RequestTag/ir:isolation": victim.vpc},
            **{"ForAllValues:StringEquals": {"aws:TagKeys": ["ir:isolation"]}},
        ),
        policies.allow(
            "ec2:CreateTags", f"{ANY}security-group/*", StringEquals={"ec2:CreateAction": "CreateSecurityGroup"}
        ),
    ]  # fmt: skip
    ec2 = client(lab, "ec2", *grant)

    def arguments(**tags):
        listed = [{"Key": key.replace("_", ":"), "Value": value} for key, value in tags.items()]
        specification = [{"ResourceType": "security-group", "Tags": listed}] if listed else []
        name = seed.unique("isolation")
        return {"GroupName": name, "Description": "x", "VpcId": victim.vpc, "TagSpecifications": specification}

    group = ec2.create_security_group(**arguments(ir_isolation=victim.vpc))["GroupId"]
    refused("UnauthorizedOperation", ec2.create_security_group, **arguments())
    refused("UnauthorizedOperation", ec2.create_security_group, **arguments(ir_isolation="other"))
    refused("UnauthorizedOperation", ec2.create_security_group, **arguments(ir_isolation=victim.vpc, more="x"))
    untagged = client(lab, "ec2", *grant[:2]).create_security_group
    refused("UnauthorizedOperation", untagged, **arguments(ir_isolation=victim.vpc))
    # Tagging what exists is another matter.
    tags = [{"Key": "ir:isolation", "Value": "x"}]
    refused("UnauthorizedOperation", ec2.create_tags, Resources=[group], Tags=tags)


def test_only_groups_that_are_tagged(lab, victim):
    ours, theirs = (seed_instances.group(lab, victim.network) for _ in range(2))
    lab.client("ec2").create_tags(Resources=[ours], Tags=[{"Key": "ir:isolation", "Value": "x"}])
    for key in ("aws:ResourceTag/ir:isolation", "ec2:ResourceTag/ir:isolation"):
        grant = policies.allow("ec2:RevokeSecurityGroupEgress", f"{ANY}security-group/*", StringLike={key: "*"})
        revoke = client(lab, "ec2", grant).revoke_security_group_egress
        refused("UnauthorizedOperation", revoke, GroupId=theirs, SecurityGroupRuleIds=["sgr-0123456789abcdef0"])
        code = "InvalidSecurityGroupRuleId.NotFound"
        refused(code, revoke, GroupId=ours, SecurityGroupRuleIds=["sgr-0123456789abcdef0"])


def test_attributes_of_instances_can_be_granted_singly(lab, victim):
    grant = policies.allow(
        "ec2:ModifyInstanceAttribute", f"{ANY}instance/*", StringEquals={"ec2:Attribute": ["DisableApiStop"]}
    )
    change = client(lab, "ec2", grant).modify_instance_attribute
    change(InstanceId=victim.id, DisableApiStop={"Value": False})
    refused("UnauthorizedOperation", change, InstanceId=victim.id, UserData={"Value": b"#!"})


def test_snapshots_have_no_account_in_their_arn(lab, victim):
    volume = victim.volumes["/dev/sda1"]
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "ir:incident", "Value": "x"}]}]
    here = f"{lab.region}:{lab.account}"
    wanted = {
        ("CreateSnapshots", f"{lab.region}::snapshot/*"),
        ("CreateSnapshots", f"{here}:instance/{victim.id}"),
        ("CreateSnapshots", f"{here}:volume/{volume}"),
        ("CreateTags", f"{lab.region}::snapshot/*"),
    }
    arguments = {"InstanceSpecification": {"InstanceId": victim.id}, "TagSpecifications": tags}
    assert judged(lab, "create_snapshots", **arguments) == wanted
    assert judged(lab, "create_snapshot", VolumeId=volume) == {
        ("CreateSnapshot", f"{lab.region}::snapshot/*"),
        ("CreateSnapshot", f"{here}:volume/{volume}"),
    }
    scoped = [policies.allow("ec2:CreateSnapshots", [SNAPSHOTS, f"{ANY}instance/*", f"{ANY}volume/*"])]
    refused("UnauthorizedOperation", client(lab, "ec2", *scoped).create_snapshots, **arguments)
    scoped.append(policies.allow("ec2:CreateTags", SNAPSHOTS, StringEquals={"ec2:CreateAction": "CreateSnapshots"}))
    made = client(lab, "ec2", *scoped).create_snapshots(**arguments)["Snapshots"][0]["SnapshotId"]
    copy = {"SourceRegion": lab.region, "SourceSnapshotId": made}
    assert judged(lab, "copy_snapshot", **copy) == {
        ("CopySnapshot", f"{lab.region}::snapshot/*"),
        ("CopySnapshot", f"{lab.region}::snapshot/{made}"),
    }


def test_sharing_can_be_granted_for_one_account(lab, victim):
    made = lab.client("ec2").create_snapshot(VolumeId=victim.volumes["/dev/sda1"])["SnapshotId"]
    grant = policies.allow(
        "ec2:ModifySnapshotAttribute", SNAPSHOTS, StringEquals={"ec2:Add/userId": "222233334444"}
    )
    share = client(lab, "ec2", grant).modify_snapshot_attribute
    arguments = {"SnapshotId": made, "Attribute": "createVolumePermission"}
    share(**arguments, CreateVolumePermission={"Add": [{"UserId": "222233334444"}]})
    share(**arguments, OperationType="add", UserIds=["222233334444"])
    other = {"Add": [{"UserId": "999988887777"}]}
    refused("UnauthorizedOperation", share, **arguments, CreateVolumePermission=other)


def test_an_address_is_judged_on_itself_and_its_interface(lab):
    victim = seed_instances.instance(lab, elastic_address=True)
    here = f"{lab.region}:{lab.account}"
    assert judged(lab, "disassociate_address", AssociationId=victim.association) == {
        ("DisassociateAddress", f"{here}:elastic-ip/{victim.allocation}"),
        ("DisassociateAddress", f"{here}:network-interface/{victim.interfaces[0]}"),
    }


def test_reads_have_no_resource_but_the_console_has(lab, victim):
    for operation in ("describe_instances", "describe_snapshots", "describe_security_group_rules"):
        refused(
            "UnauthorizedOperation", getattr(client(lab, "ec2", policies.allow("ec2:*", f"{ANY}*")), operation)
        )
    grant = policies.allow("ec2:GetConsole*", f"{ANY}instance/*")
    client(lab, "ec2", grant).get_console_output(InstanceId=victim.id)
    client(lab, "ec2", grant).get_console_screenshot(InstanceId=victim.id)


def test_auto_scaling_is_judged_on_the_group(lab, victim):
    name = victim.auto_scaling_group
    lab.client("autoscaling").create_or_update_tags(
        Tags=[{"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": "team", "Value": "web",
               "PropagateAtLaunch": False}]
    )  # fmt: skip
    arguments = {"AutoScalingGroupName": name, "InstanceIds": [victim.id], "ProtectedFromScaleIn": True}
    arn = f"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/{name}"
    protect = client(lab, "autoscaling", policies.allow("autoscaling:*", arn)).set_instance_protection
    protect(**arguments)
    for key in ("aws:ResourceTag/team", "autoscaling:ResourceTag/team"):
        for team, allowed in (("web", True), ("db", False)):
            grant = policies.allow("autoscaling:SetInstanceProtection", arn, StringEquals={key: team})
            protect = client(lab, "autoscaling", grant).set_instance_protection
            protect(**arguments) if allowed else refused("AccessDenied", protect, **arguments)
    grant = policies.allow("autoscaling:*", arn)
    refused("AccessDenied", client(lab, "autoscaling", grant).describe_auto_scaling_instances)


def test_load_balancing_is_judged_on_the_target_group_or_the_balancer(lab, victim):
    arn, targets = victim.target_groups["instance"], [{"Id": "i-0123456789abcdef0"}]
    grant = policies.allow("elasticloadbalancing:DeregisterTargets", "arn:aws:elasticloadbalancing:*:*:targetgroup/*")
    client(lab, "elbv2", grant).deregister_targets(TargetGroupArn=arn, Targets=targets)
    refused("AccessDenied", client(lab, "elbv2", grant).describe_target_groups)
    instances = [{"InstanceId": "i-0123456789abcdef0"}]
    for name, allowed in ((victim.load_balancer, True), ("other", False)):
        grant = policies.allow(
            "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
            f"arn:aws:elasticloadbalancing:*:*:loadbalancer/{name}",
        )
        leave = client(lab, "elb", grant).deregister_instances_from_load_balancer
        arguments = {"LoadBalancerName": victim.load_balancer, "Instances": instances}
        leave(**arguments) if allowed else refused("AccessDenied", leave, **arguments)
    grant = policies.allow("elasticloadbalancing:DescribeLoadBalancers")
    assert client(lab, "elb", grant).describe_load_balancers()["LoadBalancerDescriptions"]
