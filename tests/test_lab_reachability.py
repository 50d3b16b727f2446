"""The evaluation of group rules, and what it says of an interface before and after it is isolated."""

import pytest
from lab import seed_instances
from lab.reachability import Packet, in_words, may_pass, permitting, rules_on


def rule(egress=False, protocol="tcp", start=443, end=None, **peer):
    ports = {"FromPort": start, "ToPort": end or start}
    return {"GroupId": "sg-1", "IsEgress": egress, "IpProtocol": protocol, **ports, **peer}


V4, V6 = {"CidrIpv4": "203.0.113.0/24"}, {"CidrIpv6": "2001:db8::/32"}
GROUP, LIST = {"ReferencedGroupInfo": {"GroupId": "sg-2"}}, {"PrefixListId": "pl-1"}
INSIDE, INSIDE_6, OUTSIDE = "203.0.113.9", "2001:db8::9", "198.51.100.1"


@pytest.mark.parametrize(
    "given, packet, passes",
    [
        (rule(**V4), Packet("in", "tcp", INSIDE, 443), True),
        (rule(**V4), Packet("in", "6", INSIDE, 443), True),
        (rule(**V4), Packet("out", "tcp", INSIDE, 443), False),
        (rule(**V4), Packet("in", "udp", INSIDE, 443), False),
        (rule(**V4), Packet("in", "tcp", INSIDE, 444), False),
        (rule(start=400, end=500, **V4), Packet("in", "tcp", INSIDE, 444), True),
        (rule(**V4), Packet("in", "tcp", OUTSIDE, 443), False),
        (rule(**V6), Packet("in", "tcp", INSIDE_6, 443), True),
        (rule(**V6), Packet("in", "tcp", INSIDE, 443), False),
        (rule(CidrIpv4="0.0.0.0/0"), Packet("in", "tcp", INSIDE_6, 443), False),
        (rule(egress=True, protocol="-1", start=-1, CidrIpv4="0.0.0.0/0"), Packet("out", "47", OUTSIDE), True),
        (rule(protocol="icmp", start=-1, **V4), Packet("in", "icmp", INSIDE, 8), True),
        (rule(protocol="icmp", start=3, **V4), Packet("in", "icmp", INSIDE, 8), False),
        (rule(**GROUP), Packet("in", "tcp", INSIDE, 443, frozenset(["sg-2"])), True),
        (rule(**GROUP), Packet("in", "tcp", INSIDE, 443, frozenset(["sg-3"])), False),
        (rule(**LIST), Packet("in", "tcp", INSIDE, 443), True),
        (rule(**LIST), Packet("in", "tcp", OUTSIDE, 443), False),
    ],
)
def test_one_rule_and_one_packet(given, packet, passes):
    lists = {"pl-1": ["203.0.113.0/24", "2001:db8::/32"]}
    assert bool(permitting([given], packet, lists)) == passes
    # Rules are taken together: one more never takes away.
    other = rule(start=22, CidrIpv4="192.0.2.1/32")
    assert bool(permitting([other, given], packet, lists)) == passes


def test_before_and_after_isolation(lab):
    victim = seed_instances.instance(lab, ipv6=True)
    eni, ec2 = victim.interfaces[0], lab.client("ec2")
    probes = [
        Packet("in", "tcp", OUTSIDE, 443),
        Packet("out", "tcp", OUTSIDE, 8080),
        Packet("out", "udp", "2001:db8::1", 53),
        Packet("in", "tcp", "203.0.113.10", 22),
    ]
    assert [may_pass(lab, eni, packet) for packet in probes] == [True, True, True, False]
    isolation = ec2.create_security_group(GroupName="isolation", Description="x", VpcId=victim.vpc)["GroupId"]
    out = [r["SecurityGroupRuleId"] for r in ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [isolation]}])["SecurityGroupRules"]]  # fmt: skip
    ec2.modify_network_interface_attribute(NetworkInterfaceId=eni, Groups=[isolation])
    # An isolation group that nobody emptied is open to the outside.
    assert [may_pass(lab, eni, packet) for packet in probes] == [False, True, True, False]
    ec2.revoke_security_group_egress(GroupId=isolation, SecurityGroupRuleIds=out)
    assert [may_pass(lab, eni, packet) for packet in probes] == [False] * 4
    assert in_words(rules_on(lab, eni)) == ["nothing may pass"]
    bastion = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.10/32"}]}]
    ec2.authorize_security_group_ingress(GroupId=isolation, IpPermissions=bastion)
    assert [may_pass(lab, eni, packet) for packet in probes] == [False, False, False, True]
    assert in_words(rules_on(lab, eni)) == ["in: tcp 22 from 203.0.113.10/32"]


def test_a_second_group_opens_what_the_isolation_group_closes(lab):
    victim = seed_instances.instance(lab)
    ec2, probe = lab.client("ec2"), Packet("in", "tcp", OUTSIDE, 443)
    isolation = ec2.create_security_group(GroupName="isolation", Description="x", VpcId=victim.vpc)["GroupId"]
    change, eni = ec2.modify_network_interface_attribute, victim.interfaces[0]
    change(NetworkInterfaceId=eni, Groups=[isolation, victim.network.group])
    assert may_pass(lab, eni, probe)
    change(NetworkInterfaceId=eni, Groups=[isolation])
    assert not may_pass(lab, eni, probe)


def test_a_prefix_list_is_looked_up(lab):
    net = seed_instances.network(lab)
    victim, ec2 = seed_instances.instance(lab, in_network=net), lab.client("ec2")
    made = ec2.create_managed_prefix_list(
        PrefixListName="evidence", MaxEntries=1, AddressFamily="IPv4", Entries=[{"Cidr": "198.51.100.0/24"}]
    )["PrefixList"]["PrefixListId"]
    peers = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{"PrefixListId": made}]}]
    ec2.authorize_security_group_ingress(GroupId=net.group, IpPermissions=peers)
    assert may_pass(lab, victim.interfaces[0], Packet("in", "tcp", OUTSIDE, 22))
    assert not may_pass(lab, victim.interfaces[0], Packet("in", "tcp", INSIDE, 22))
