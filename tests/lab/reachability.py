"""May this packet pass? Security groups evaluated, since no packet ever flows in the lab.

AWS behaviour: VPC User Guide, "Security group rules": rules allow and never deny; the rules of all groups of an
interface are taken together; a rule is for one protocol (-1: all), one range of ports, and one peer: a range of
addresses of one family, a prefix list, or the interfaces that have a group. What is let in is answered, and the other
way round: the question is who may begin. Connections that exist are another matter (connection tracking).

`permitting` is pure; `rules_on` asks the lab.
"""

import ipaddress
from dataclasses import dataclass

_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection, as an interface sends or gets it."""

    direction: str
    """in or out"""
    protocol: str
    """tcp, udp, icmp, icmpv6, or a number"""
    peer: str
    """The address of the other side; its family is the packet's."""
    port: int = None
    """The port at the receiving side; of ICMP the type."""
    peer_groups: frozenset = frozenset()
    """The groups of the interface at the other side, where that is one of the VPC."""


def permitting(rules, packet, prefix_lists=None):
    """The rules that let the packet pass; none means that it does not.

    Rules are as DescribeSecurityGroupRules gives them; `prefix_lists` has the ranges of each list by its id.
    """
    return [rule for rule in rules if _permits(rule, packet, prefix_lists or {})]


def _permits(rule, packet, prefix_lists):
    if rule["IsEgress"] != (packet.direction == "out"):
        return False
    return _protocol_matches(rule, packet) and _peer_matches(rule, packet, prefix_lists)


def _protocol_matches(rule, packet):
    wanted = _NUMBERS.get(rule["IpProtocol"], rule["IpProtocol"])
    if wanted == "-1":
        return True
    if wanted != _NUMBERS.get(packet.protocol, packet.protocol):
        return False
    if wanted in ("icmp", "icmpv6"):
        return rule["FromPort"] in (-1, packet.port)
    return wanted not in ("tcp", "udp") or packet.port is not None and rule["FromPort"] <= packet.port <= rule["ToPort"]


def _peer_matches(rule, packet, prefix_lists):
    if rule.get("ReferencedGroupInfo"):
        return rule["ReferencedGroupInfo"]["GroupId"] in packet.peer_groups
    ranges = [rule.get("CidrIpv4") or rule.get("CidrIpv6")]
    if rule.get("PrefixListId"):
        ranges = prefix_lists.get(rule["PrefixListId"], [])
    address = ipaddress.ip_address(packet.peer)
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in ranges if cidr]
    return any(network.version == address.version and address in network for network in networks)


# --- what the lab has --------------------------------------------------------------------------------


def rules_on(lab, interface):
    """The rules of all groups the interface has now."""
    ec2 = lab.client("ec2")
    (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    groups = [group["GroupId"] for group in found["Groups"]]
    pages = ec2.get_paginator("describe_security_group_rules")
    return [
        rule
        for page in pages.paginate(Filters=[{"Name": "group-id", "Values": groups}])
        for rule in page["SecurityGroupRules"]
    ]


def prefix_lists_in(lab):
    ec2 = lab.client("ec2")
    found = ec2.describe_managed_prefix_lists()["PrefixLists"]
    ids = [prefix_list["PrefixListId"] for prefix_list in found]
    return {i: [e["Cidr"] for e in ec2.get_managed_prefix_list_entries(PrefixListId=i)["Entries"]] for i in ids}


def may_pass(lab, interface, packet):
    """Whether the lab's present groups let the packet pass at the interface."""
    rules = rules_on(lab, interface)
    lists = prefix_lists_in(lab) if any(rule.get("PrefixListId") for rule in rules) else {}
    return bool(permitting(rules, packet, lists))


def in_words(rules):
    """A line for each rule, to be shown to people; one line that says so where there is none."""
    return [_line(rule) for rule in sorted(rules, key=lambda r: (r["IsEgress"], r["GroupId"]))] or ["nothing may pass"]


def _line(rule):
    peer = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId")
    peer = peer or rule["ReferencedGroupInfo"]["GroupId"]
    what = "everything" if rule["IpProtocol"] == "-1" else rule["IpProtocol"]
    if what in ("tcp", "udp"):
        same = rule["FromPort"] == rule["ToPort"]
        what += f" {rule['FromPort']}" if same else f" {rule['FromPort']}-{rule['ToPort']}"
    return f"{'out' if rule['IsEgress'] else 'in'}: {what} {'to' if rule['IsEgress'] else 'from'} {peer}"
