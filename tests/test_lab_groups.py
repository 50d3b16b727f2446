"""Security groups: names, rules by their ids, and what EC2 refuses."""

import pytest
from lab import seed_instances
from lab_assertions import refused


@pytest.fixture
def ec2(lab):
    return lab.client("ec2")


def rules(ec2, group, **page):
    wanted = [{"Name": "group-id", "Values": [group]}]
    return ec2.describe_security_group_rules(Filters=wanted, **page)


def tcp(port, **peer):
    return [{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}]


def test_a_name_is_taken_once_in_a_vpc_whatever_its_case(lab, ec2):
    net, other = seed_instances.network(lab), seed_instances.network(lab)
    create = ec2.create_security_group
    create(GroupName="Isolation", Description="x", VpcId=net.vpc)
    refused("InvalidGroup.Duplicate", create, GroupName="isolation", Description="x", VpcId=net.vpc)
    create(GroupName="isolation", Description="x", VpcId=other.vpc)
    refused("InvalidVpcID.NotFound", create, GroupName="a", Description="x", VpcId="vpc-0123456789abcdef0")


def test_a_description_has_few_characters(lab, ec2):
    net = seed_instances.network(lab)
    create = ec2.create_security_group
    refused("InvalidParameterValue", create, GroupName="a", Description="don't", VpcId=net.vpc)
    refused("InvalidParameterValue", create, GroupName="sg-a", Description="x", VpcId=net.vpc)


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_new_group_lets_everything_out(lab, ec2, ipv6):
    net = seed_instances.network(lab, ipv6=ipv6)
    group = ec2.create_security_group(GroupName="new", Description="x", VpcId=net.vpc)["GroupId"]
    found = rules(ec2, group)["SecurityGroupRules"]
    assert all(rule["IsEgress"] and rule["IpProtocol"] == "-1" for rule in found)
    assert [rule.get("CidrIpv4") or rule["CidrIpv6"] for rule in found] == ["0.0.0.0/0", "::/0"][: 1 + ipv6]
    assert {rule["GroupOwnerId"] for rule in found} == {lab.account}


def test_every_rule_is_revoked_by_its_id(lab, ec2):
    net = seed_instances.network(lab, ipv6=True)
    peer = seed_instances.group(lab, net)
    group = seed_instances.group(lab, net)
    permissions = tcp(22, UserIdGroupPairs=[{"GroupId": peer}]) + tcp(23, Ipv6Ranges=[{"CidrIpv6": "2001:db8::/32"}])
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    found = rules(ec2, group)["SecurityGroupRules"]
    assert sorted(rule["IsEgress"] for rule in found) == [False, False, False, True, True]
    inbound = [rule["SecurityGroupRuleId"] for rule in found if not rule["IsEgress"]]
    outbound = [rule["SecurityGroupRuleId"] for rule in found if rule["IsEgress"]]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=inbound)
    ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=outbound)
    assert rules(ec2, group)["SecurityGroupRules"] == []
    revoke = ec2.revoke_security_group_ingress
    refused("InvalidSecurityGroupRuleId.NotFound", revoke, GroupId=group, SecurityGroupRuleIds=inbound[:1])


def test_rules_come_in_pages(lab, ec2):
    group = seed_instances.network(lab).group
    more = [{"CidrIp": f"203.0.113.{n}/32"} for n in range(6)]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=tcp(22, IpRanges=more))
    first = rules(ec2, group, MaxResults=5)
    rest = rules(ec2, group, MaxResults=5, NextToken=first["NextToken"])
    assert len(first["SecurityGroupRules"]) == 5
    assert len(rest["SecurityGroupRules"]) == 3
    assert "NextToken" not in rest


def test_a_rule_twice_and_rules_about_unknown_things(lab, ec2):
    net, other = seed_instances.network(lab), seed_instances.network(lab)
    allow = ec2.authorize_security_group_ingress
    again = tcp(443, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    refused("InvalidPermission.Duplicate", allow, GroupId=net.group, IpPermissions=again)
    unknown = tcp(22, UserIdGroupPairs=[{"GroupId": "sg-0123456789abcdef0"}])
    refused("InvalidGroup.NotFound", allow, GroupId=net.group, IpPermissions=unknown)
    foreign = tcp(22, UserIdGroupPairs=[{"GroupId": other.group}])
    refused("InvalidGroup.NotFound", allow, GroupId=net.group, IpPermissions=foreign)
    prefix_list = tcp(22, PrefixListIds=[{"PrefixListId": "pl-0123456789abcdef0"}])
    refused("InvalidPrefixListID.NotFound", allow, GroupId=net.group, IpPermissions=prefix_list)
    refused("InvalidGroup.NotFound", allow, GroupId="sg-0123456789abcdef0", IpPermissions=again)


def test_a_known_prefix_list_is_a_peer(lab, ec2):
    net = seed_instances.network(lab)
    made = ec2.create_managed_prefix_list(PrefixListName="s3", MaxEntries=1, AddressFamily="IPv4")["PrefixList"]
    peers = [{"PrefixListId": made["PrefixListId"]}]
    ec2.authorize_security_group_egress(GroupId=net.group, IpPermissions=tcp(443, PrefixListIds=peers))
    found = rules(ec2, net.group)["SecurityGroupRules"]
    assert made["PrefixListId"] in [rule.get("PrefixListId") for rule in found]


def test_a_group_in_use_is_not_deleted(lab, ec2):
    victim = seed_instances.instance(lab)
    delete, group = ec2.delete_security_group, victim.network.group
    refused("DependencyViolation", delete, GroupId=group)
    isolation = seed_instances.group(lab, victim.network)
    ec2.modify_network_interface_attribute(NetworkInterfaceId=victim.interfaces[0], Groups=[isolation])
    permissions = tcp(22, UserIdGroupPairs=[{"GroupId": group}])
    ec2.authorize_security_group_ingress(GroupId=isolation, IpPermissions=permissions)
    refused("DependencyViolation", delete, GroupId=group)
    ec2.revoke_security_group_ingress(GroupId=isolation, IpPermissions=permissions)
    delete(GroupId=group)
    refused("InvalidGroup.NotFound", delete, GroupId=group)


def test_groups_are_found_by_tag_with_their_tags(lab, ec2):
    net = seed_instances.network(lab)
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "ir:isolation", "Value": net.vpc}]}]
    made = ec2.create_security_group(GroupName="i", Description="x", VpcId=net.vpc, TagSpecifications=tags)["GroupId"]
    found = ec2.describe_security_groups(
        Filters=[{"Name": "tag-key", "Values": ["ir:isolation"]}, {"Name": "vpc-id", "Values": [net.vpc]}]
    )["SecurityGroups"]
    assert [(group["GroupId"], group["Tags"]) for group in found] == [(made, tags[0]["Tags"])]
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=["sg-0123456789abcdef0"])
