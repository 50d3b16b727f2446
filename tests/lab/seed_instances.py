"""Instances for the lab: launched as people launch them, in networks of their own.

`instance` makes one, in a VPC of its own unless told otherwise, so that tests share a lab without meeting.
Everything about it is in the `Instance` it returns.
"""

import itertools
from dataclasses import dataclass, field, replace

from . import seed

_IMAGE = "ami-0abcdef1234567890"
_networks = itertools.count(1)


@dataclass
class Network:
    vpc: str
    subnet: str
    group: str
    """A group that lets 443 in from anywhere and everything out."""
    ipv6_subnet: str = ""
    """A subnet without IPv4."""
    ipv6: str = ""
    """The VPC's IPv6 range, where it has one."""


@dataclass
class Instance:
    id: str
    arn: str
    vpc: str
    subnet: str
    interfaces: list
    """Interface ids, the primary one first."""
    groups: dict
    """The groups each interface had when it was launched, by interface id."""
    vpcs: dict
    """The VPC of each interface, by interface id."""
    volumes: dict
    """Volume ids by device name."""
    role: seed.Role = None
    profile: str = ""
    """The ARN of the instance profile, or nothing."""
    network: Network = None
    second_network: Network = None
    """The network of the last interface, where that is of another VPC."""
    public_ip: str = ""
    allocation: str = ""
    association: str = ""
    auto_scaling_group: str = ""
    target_groups: dict = field(default_factory=dict)
    """ARNs of target groups by target type: instance, ip."""
    load_balancer: str = ""
    """The name of a classic load balancer."""


def network(lab, ipv6=False, ipv6_only=False):
    ec2, number = lab.client("ec2"), next(_networks)
    cidr = f"10.{number % 250}.0.0/16"
    vpc = ec2.create_vpc(CidrBlock=cidr, AmazonProvidedIpv6CidrBlock=ipv6 or ipv6_only)["Vpc"]["VpcId"]
    made = Network(vpc, "", "")
    # All in one zone: an interface is attached to an instance of its own zone only.
    subnet = {"VpcId": vpc, "CidrBlock": cidr.replace("/16", "/24"), "AvailabilityZone": f"{lab.region}a"}
    if ipv6 or ipv6_only:
        described = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
        made.ipv6 = described["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]
        subnet["Ipv6CidrBlock"] = made.ipv6.replace("/56", "/64")
    if ipv6_only:
        native = {"VpcId": vpc, "Ipv6Native": True, "AvailabilityZone": f"{lab.region}a"}
        prefix = made.ipv6.split("::")[0]
        made.ipv6_subnet = ec2.create_subnet(**native, Ipv6CidrBlock=f"{prefix[:-2]}01::/64")["Subnet"]["SubnetId"]
    made.subnet = ec2.create_subnet(**subnet)["Subnet"]["SubnetId"]
    made.group = group(lab, made)
    return made


def group(lab, of_network, name=None, port=443, source="0.0.0.0/0"):
    """A security group that lets one port in, and everything out as every new group does."""
    ec2 = lab.client("ec2")
    made = ec2.create_security_group(GroupName=name or seed.unique("web"), Description="web", VpcId=of_network.vpc)
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": source}]}
    ec2.authorize_security_group_ingress(GroupId=made["GroupId"], IpPermissions=[permission])
    return made["GroupId"]


def instance(
    lab, of_role=None, profile_path="/", with_profile=True, in_network=None, interfaces=1, other_vpc=False, ipv6=False,
    ipv6_only=False, data_volumes=0, volume_size=8, kms_key=None, elastic_address=False, public_address=False,
    auto_scaling=False, min_size=0, target_groups=(), load_balancer=False, spot=False, instance_store=False,
    state="running", tags=None, eks_cluster=None, user_data="", instance_type="m5.large",
    on_shutdown=None,
):  # fmt: skip
    """An instance; `other_vpc` adds an interface of another VPC, `target_groups` names target types, `kms_key` encrypts
    its volumes ("aws/ebs" with the default key)."""
    ec2 = lab.client("ec2")
    net = in_network or network(lab, ipv6, ipv6_only)
    role = of_role or (seed.role(lab, profile_path=profile_path) if with_profile else None)
    subnet = net.ipv6_subnet if ipv6_only else net.subnet
    specs = [
        {"DeviceIndex": index, "SubnetId": subnet, "Groups": [net.group], **({"Ipv6AddressCount": 1} if ipv6 else {})}
        for index in range(interfaces)
    ]
    if public_address:
        specs[0]["AssociatePublicIpAddress"] = True
    arguments = {
        "ImageId": _IMAGE, "InstanceType": instance_type, "MinCount": 1, "MaxCount": 1, "NetworkInterfaces": specs,
        "BlockDeviceMappings": [_device(name, volume_size, kms_key) for name in _devices(data_volumes)],
    }  # fmt: skip
    if role is not None and role.profile:
        arguments["IamInstanceProfile"] = {"Arn": role.profile}
    if spot:
        arguments["InstanceMarketOptions"] = {"MarketType": "spot"}
    if user_data:
        arguments["UserData"] = user_data
    if on_shutdown:
        arguments["InstanceInitiatedShutdownBehavior"] = on_shutdown
    tags = dict(tags or {})
    if eks_cluster:
        tags |= {"eks:cluster-name": eks_cluster, f"kubernetes.io/cluster/{eks_cluster}": "owned"}
    if tags:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        arguments["TagSpecifications"] = [{"ResourceType": "instance", "Tags": listed}]
    instance_id = ec2.run_instances(**arguments)["Instances"][0]["InstanceId"]
    second = _attach_foreign_interface(lab, instance_id, interfaces) if other_vpc else None
    if instance_store:
        lab.set_instance(instance_id, root_device_type="instance-store")
    made = look_at(lab, instance_id)
    made.role, made.network, made.second_network = role, net, second
    if elastic_address:
        _elastic_address(lab, made)
    for kind in target_groups:
        made.target_groups[kind] = _target_group(lab, made, kind)
    if load_balancer:
        made.load_balancer = _classic_load_balancer(lab, made)
    if auto_scaling:
        made.auto_scaling_group = _auto_scaling_group(lab, made, min_size)
    if state == "stopped":
        ec2.stop_instances(InstanceIds=[instance_id])
    elif state == "terminated":
        ec2.terminate_instances(InstanceIds=[instance_id])
    return made


def look_at(lab, instance_id):
    """What EC2 says about an instance now."""
    ec2 = lab.client("ec2")
    found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    enis = sorted(found["NetworkInterfaces"], key=lambda eni: eni["Attachment"]["DeviceIndex"])
    return Instance(
        id=instance_id,
        arn=f"arn:aws:ec2:{lab.region}:{lab.account}:instance/{instance_id}",
        vpc=found.get("VpcId", ""),
        subnet=found.get("SubnetId", ""),
        interfaces=[eni["NetworkInterfaceId"] for eni in enis],
        groups={eni["NetworkInterfaceId"]: [g["GroupId"] for g in eni["Groups"]] for eni in enis},
        vpcs={eni["NetworkInterfaceId"]: eni["VpcId"] for eni in enis},
        volumes={device["DeviceName"]: device["Ebs"]["VolumeId"] for device in found["BlockDeviceMappings"]},
        profile=(found.get("IamInstanceProfile") or {}).get("Arn", ""),
        public_ip=found.get("PublicIpAddress", ""),
    )


def look_at_again(lab, of_instance):
    """The same instance, with the groups its interfaces have by now."""
    return replace(of_instance, groups=groups_now(lab, of_instance))


def groups_now(lab, of_instance):
    """The groups every interface of the instance has now, by interface id."""
    found = lab.client("ec2").describe_network_interfaces(NetworkInterfaceIds=of_instance.interfaces)
    return {eni["NetworkInterfaceId"]: [g["GroupId"] for g in eni["Groups"]] for eni in found["NetworkInterfaces"]}


def instance_credentials(lab, of_instance, role=None):
    """What the metadata service of the instance would hand out now: a new session each time."""
    role = role or of_instance.role
    return lab.mint_session(role.arn, of_instance.id, instance_arn=of_instance.arn)


def _devices(data_volumes):
    return ["/dev/sda1", *(f"/dev/sd{letter}" for letter in "fghijk"[:data_volumes])]


def _device(name, size, kms_key):
    ebs = {"VolumeSize": size, "DeleteOnTermination": True, "VolumeType": "gp3"}
    if kms_key:
        ebs |= {"Encrypted": True, **({"KmsKeyId": kms_key} if kms_key != "aws/ebs" else {})}
    return {"DeviceName": name, "Ebs": ebs}


def _attach_foreign_interface(lab, instance_id, index):
    ec2, other = lab.client("ec2"), network(lab)
    made = ec2.create_network_interface(SubnetId=other.subnet, Groups=[other.group])["NetworkInterface"]
    ec2.attach_network_interface(
        NetworkInterfaceId=made["NetworkInterfaceId"], InstanceId=instance_id, DeviceIndex=index
    )
    return other


def _elastic_address(lab, of_instance):
    ec2 = lab.client("ec2")
    address = ec2.allocate_address(Domain="vpc")
    associated = ec2.associate_address(
        AllocationId=address["AllocationId"], NetworkInterfaceId=of_instance.interfaces[0]
    )
    of_instance.allocation, of_instance.association = address["AllocationId"], associated["AssociationId"]
    of_instance.public_ip = address["PublicIp"]


def _target_group(lab, of_instance, kind):
    """A target group behind a load balancer, with the instance or its primary address in it."""
    elb, net = lab.client("elbv2"), of_instance.network
    ec2 = lab.client("ec2")
    made = elb.create_target_group(
        Name=seed.unique(kind)[:32], Protocol="HTTP", Port=8080, VpcId=net.vpc, TargetType=kind
    )["TargetGroups"][0]["TargetGroupArn"]
    cidr = ec2.describe_vpcs(VpcIds=[net.vpc])["Vpcs"][0]["CidrBlock"].replace(".0.0/16", f".{_third_octet()}.0/24")
    second = ec2.create_subnet(VpcId=net.vpc, CidrBlock=cidr, AvailabilityZone=f"{lab.region}b")["Subnet"]["SubnetId"]
    balancer = elb.create_load_balancer(Name=seed.unique("lb")[:32], Subnets=[net.subnet, second])["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": made}],
    )  # fmt: skip
    target = of_instance.id
    if kind == "ip":
        found = ec2.describe_network_interfaces(NetworkInterfaceIds=of_instance.interfaces[:1])
        target = found["NetworkInterfaces"][0]["PrivateIpAddress"]
    elb.register_targets(TargetGroupArn=made, Targets=[{"Id": target, "Port": 8080}])
    return made


_octets = itertools.count(1)


def _third_octet():
    return next(_octets) % 250 + 1


def _classic_load_balancer(lab, of_instance):
    elb, name = lab.client("elb"), seed.unique("classic")[:32]
    listener = {"Protocol": "HTTP", "LoadBalancerPort": 80, "InstanceProtocol": "HTTP", "InstancePort": 8080}
    elb.create_load_balancer(LoadBalancerName=name, Listeners=[listener], Subnets=[of_instance.subnet])
    elb.register_instances_with_load_balancer(LoadBalancerName=name, Instances=[{"InstanceId": of_instance.id}])
    return name


def _auto_scaling_group(lab, of_instance, min_size):
    """A group the instance joined, with a launch template for those that replace it."""
    autoscaling, name = lab.client("autoscaling"), seed.unique("group")
    data = {"ImageId": _IMAGE, "InstanceType": "m5.large", "SecurityGroupIds": [of_instance.network.group]}
    lab.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name, MinSize=0, MaxSize=4, DesiredCapacity=0,
        LaunchTemplate={"LaunchTemplateName": name}, VPCZoneIdentifier=of_instance.subnet,
        TargetGroupARNs=[arn for kind, arn in of_instance.target_groups.items() if kind == "instance"],
    )  # fmt: skip
    autoscaling.attach_instances(AutoScalingGroupName=name, InstanceIds=[of_instance.id])
    if min_size:
        autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=min_size)
    return name


