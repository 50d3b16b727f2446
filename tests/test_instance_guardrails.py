"""Every setting of `[isolation]` and `[evidence]` does what the guardrails say of it, and nothing else."""

import json
import re

import pytest
from isolation import allow, groups_of, guardrails_with, isolation_group
from lab import seed, seed_instances, undo
from lab.reachability import Packet, may_pass
from lab_assertions import refused
from test_contain_instance import attribute, check_isolated, rules_of, snapshots_of

LOWEST = {"TcpEstablishedTimeout": 60, "UdpStreamTimeout": 60, "UdpTimeout": 30}


def contained(scene, instance, text, function=None):
    """A delivery under other guardrails."""
    event = scene.accuse_instance(instance)
    with scene.guardrails_being(text):
        delivery = scene.invoke(event, function) if function else scene.fire(event)
    assert delivery.result["outcome"] == "contained", delivery.result
    return delivery


def steps_of(delivery):
    return {step for step, _ in delivery.steps()}


def openings(lab, group):
    """What a group lets through: direction, protocol, ports, peer."""
    return {
        (
            "out" if rule["IsEgress"] else "in", rule["IpProtocol"], rule["FromPort"], rule["ToPort"],
            rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId")
            or rule["ReferencedGroupInfo"]["GroupId"],
        )
        for rule in rules_of(lab, group)
    }  # fmt: skip


def prefix_list(lab, *cidrs):
    made = lab.client("ec2").create_managed_prefix_list(
        PrefixListName=seed.unique("endpoints"), MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": c} for c in cidrs]
    )
    return made["PrefixList"]["PrefixListId"]


# --- exceptions ------------------------------------------------------------------------------------------------


def test_exceptions_are_the_only_rules_and_only_in_their_vpc(scene):
    """Network of either family, group and prefix list, in and out; what holds in every VPC and what in one."""
    lab = scene.lab
    net, other = seed_instances.network(lab, ipv6=True), seed_instances.network(lab)
    bastion, endpoints = seed_instances.group(lab, net), seed_instances.group(lab, net)
    listed = prefix_list(lab, "52.218.0.0/17")
    text = guardrails_with(
        scene,
        allow("in", "203.0.113.10/32", 22)
        + allow("out", "2001:db8:5::/48", 8443)
        + allow("in", bastion, 22, net.vpc)
        + allow("out", endpoints, 443, net.vpc)
        + allow("out", listed, 443, net.vpc),
    )
    instance = seed_instances.instance(lab, in_network=net, ipv6=True)
    neighbour = seed_instances.instance(lab, in_network=other)
    everywhere = {("in", "tcp", 22, 22, "203.0.113.10/32"), ("out", "tcp", 8443, 8443, "2001:db8:5::/48")}
    contained(scene, instance, text)
    assert openings(lab, isolation_group(scene, net.vpc)) == everywhere | {
        ("in", "tcp", 22, 22, bastion),
        ("out", "tcp", 443, 443, endpoints),
        ("out", "tcp", 443, 443, listed),
    }
    contained(scene, neighbour, text)
    assert openings(lab, isolation_group(scene, other.vpc)) == everywhere

    def passes(*packet, **more):
        return may_pass(lab, instance.interfaces[0], Packet(*packet, **more))

    assert passes("in", "tcp", "203.0.113.10", 22)
    assert passes("out", "tcp", "2001:db8:5::7", 8443)
    assert passes("in", "tcp", "10.0.0.9", 22, peer_groups=frozenset([bastion]))
    assert passes("out", "tcp", "10.0.0.9", 443, peer_groups=frozenset([endpoints]))
    assert passes("out", "tcp", "52.218.1.1", 443)
    assert not passes("in", "tcp", "203.0.113.11", 22), "the neighbour of the bastion"
    assert not passes("out", "tcp", "203.0.113.10", 22), "the way in is no way out"
    assert not passes("in", "tcp", "203.0.113.10", 23)
    assert not passes("in", "udp", "203.0.113.10", 22)
    assert not passes("in", "tcp", "2001:db8:5::7", 8443)
    assert not passes("out", "tcp", "198.51.100.7", 443)
    assert not passes("in", "tcp", "10.0.0.9", 443, peer_groups=frozenset([endpoints]))
    assert not passes("out", "udp", "10.0.0.2", 53)


def test_rule_says_why_it_is_there(scene):
    instance = seed_instances.instance(scene.lab)
    contained(scene, instance, guardrails_with(scene, allow("in", "203.0.113.10/32", 22)))
    (rule,) = rules_of(scene.lab, isolation_group(scene, instance.vpc))
    assert rule["Description"] == "in 22 for the test"


def test_exception_taken_back_is_revoked_when_the_group_is_used_again(scene):
    net = seed_instances.network(scene.lab)
    first, second = (seed_instances.instance(scene.lab, in_network=net) for _ in range(2))
    contained(scene, first, guardrails_with(scene, allow("in", "203.0.113.10/32", 22) + allow("out", "203.0.113.0/24", 443)))
    group = isolation_group(scene, net.vpc)
    assert len(openings(scene.lab, group)) == 2
    assert scene.fire(scene.accuse_instance(second)).result["outcome"] == "contained"
    assert isolation_group(scene, net.vpc) == group
    check_isolated(scene, second)
    check_isolated(scene, first)


def test_wider_rule_of_somebody_else_does_not_pass_for_an_exception(scene):
    net = seed_instances.network(scene.lab)
    text = guardrails_with(scene, allow("in", "203.0.113.10/32", 22))
    contained(scene, seed_instances.instance(scene.lab, in_network=net), text)
    group = isolation_group(scene, net.vpc)
    wider = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]},
             {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [{"CidrIp": "203.0.113.10/32"}]}]  # fmt: skip
    scene.lab.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=wider)
    contained(scene, seed_instances.instance(scene.lab, in_network=net), text)
    assert openings(scene.lab, group) == {("in", "tcp", 22, 22, "203.0.113.10/32")}


# --- connections that exist ------------------------------------------------------------------------------------


def test_elastic_address_stays_where_the_guardrails_say_so(scene):
    instance = seed_instances.instance(scene.lab, elastic_address=True)
    delivery = contained(scene, instance, guardrails_with(scene, disassociate_addresses=False))
    (address,) = scene.lab.client("ec2").describe_addresses(AllocationIds=[instance.allocation])["Addresses"]
    assert address["AssociationId"] == instance.association
    assert "disassociate_address" not in steps_of(delivery)
    assert "elastic addresses are taken off" not in delivery.message["message"]
    check_isolated(scene, instance)


def public_address(scene, instance):
    found = scene.lab.client("ec2").describe_instances(InstanceIds=[instance.id])["Reservations"][0]["Instances"][0]
    return found.get("PublicIpAddress")


def test_public_address_stays_unless_the_guardrails_say_otherwise(scene):
    instance = seed_instances.instance(scene.lab, public_address=True)
    assert instance.public_ip
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained"
    assert public_address(scene, instance) == instance.public_ip
    assert f"its public address {instance.public_ip} stays" in delivery.message["message"]


def test_public_address_is_removed_where_the_guardrails_say_so(scene):
    instance = seed_instances.instance(scene.lab, public_address=True)
    delivery = contained(scene, instance, guardrails_with(scene, remove_public_addresses=True))
    assert public_address(scene, instance) is None
    assert delivery.steps()["remove_public_address", f"{instance.public_ip} from {instance.interfaces[0]}"] == "done"
    check_isolated(scene, instance)


def timeouts(scene, instance):
    found = scene.lab.client("ec2").describe_network_interfaces(NetworkInterfaceIds=instance.interfaces)
    return [eni.get("ConnectionTrackingConfiguration") for eni in found["NetworkInterfaces"]]


def test_timeouts_of_connections_are_lowered_on_every_interface(scene):
    instance = seed_instances.instance(scene.lab, interfaces=2)
    assert scene.fire(scene.accuse_instance(instance)).result["outcome"] == "contained"
    assert timeouts(scene, instance) == [LOWEST] * 2


def test_timeouts_stay_where_the_guardrails_say_so(scene):
    instance = seed_instances.instance(scene.lab)
    before = timeouts(scene, instance)
    delivery = contained(scene, instance, guardrails_with(scene, lower_connection_timeouts=False))
    assert timeouts(scene, instance) == before
    assert "lower_connection_timeout" not in steps_of(delivery)


# --- the two-step through an open group -------------------------------------------------------------------------


def puts(scene, delivery, instance):
    """The groups that were put on the interfaces of the instance, one after the other."""
    made = delivery.calls(action="ModifyNetworkInterfaceAttribute")
    return [c["resource"].rsplit("/", 1)[1] for c in made if ":security-group/" in c["resource"]]


def open_groups(lab, vpc):
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "tag:ir:isolation", "Values": [f"open-{vpc}"]}]
    return [group["GroupId"] for group in lab.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]]


def test_untracking_goes_through_the_open_group_and_ends_isolated(scene):
    instance = seed_instances.instance(scene.lab)
    delivery = contained(scene, instance, guardrails_with(scene, untrack_connections=True))
    group = isolation_group(scene, instance.vpc)
    (opened,) = open_groups(scene.lab, instance.vpc)
    assert puts(scene, delivery, instance) == [group, opened, group]
    assert delivery.steps()["untrack_connections", instance.interfaces[0]] == "done"
    check_isolated(scene, instance)
    assert openings(scene.lab, opened) >= {("in", "-1", -1, -1, "0.0.0.0/0"), ("out", "-1", -1, -1, "0.0.0.0/0")}
    # The next one of the VPC uses the same.
    another = seed_instances.instance(scene.lab, in_network=instance.network)
    contained(scene, another, guardrails_with(scene, untrack_connections=True))
    assert open_groups(scene.lab, instance.vpc) == [opened]


UNTRACK_ALONE = {"untrack_connections": True, "lower_connection_timeouts": False}
"""So that an interface is modified for nothing else: isolated first, then opened, then closed."""


def untracked_with(scene, *faults):
    """A delivery of an untracking under faults, in a VPC that has both groups."""
    net, text = seed_instances.network(scene.lab), guardrails_with(scene, **UNTRACK_ALONE)
    contained(scene, seed_instances.instance(scene.lab, in_network=net), text)
    instance, function = seed_instances.instance(scene.lab, in_network=net), scene.copy("contain-instance")
    for fault in faults:
        scene.lab.fault(function, **{"at_call": 1, "action": "ec2:ModifyNetworkInterfaceAttribute", **fault})
    with scene.guardrails_being(text):
        delivery = scene.invoke(scene.accuse_instance(instance), function)
    scene.lab.clear_faults()
    delivery.put_on = puts(scene, delivery, instance)
    delivery.isolation, delivery.opened = isolation_group(scene, net.vpc), open_groups(scene.lab, net.vpc)[0]
    check_isolated(scene, instance)
    return delivery


@pytest.mark.parametrize(
    "fault",
    [
        {"at_call": 2, "kind": "access_denied"},
        {"action": "ec2:DescribeSecurityGroupRules", "at_call": 2, "kind": "access_denied", "times": 9},
    ],
    ids=["opening refused", "open group unreadable"],
)
def test_untracking_whose_first_half_fails_is_left_out_and_ends_isolated(scene, fault):
    delivery = untracked_with(scene, fault)
    assert delivery.opened not in delivery.put_on
    assert delivery.put_on[-1] == delivery.isolation


def test_first_half_that_fails_for_a_moment_is_tried_again(scene):
    delivery = untracked_with(scene, {"at_call": 2, "kind": "internal_error", "times": 3})
    assert delivery.result["outcome"] == "contained", delivery.result
    assert delivery.put_on.count(delivery.opened) == 1
    assert delivery.put_on[-1] == delivery.isolation


def test_refused_untracking_is_no_failure_of_the_containment(scene):
    """Offered, and not promised."""
    delivery = untracked_with(scene, {"at_call": 2, "kind": "access_denied"})
    assert delivery.result["outcome"] == "contained", delivery.result
    (status,) = [status for (step, _), status in delivery.steps().items() if step == "untrack_connections"]
    assert status == "skipped"


@pytest.mark.parametrize("kind", ["access_denied", "internal_error"])
def test_second_half_is_tried_again_until_the_isolation_group_is_on(scene, kind):
    delivery = untracked_with(scene, *({"at_call": call, "kind": kind} for call in (3, 4)))
    assert delivery.result["outcome"] == "contained", delivery.result
    assert delivery.put_on == [delivery.isolation, delivery.opened, delivery.isolation]


def test_open_group_left_on_is_found_by_the_read_back(scene):
    """All tries of the second half fail: the interface does not stay open for longer than until it is looked at."""
    delivery = untracked_with(scene, *({"at_call": call, "kind": "access_denied"} for call in (3, 4, 5)))
    assert delivery.result["outcome"] == "contained", delivery.result
    assert delivery.put_on[-2:] == [delivery.opened, delivery.isolation]


@pytest.mark.parametrize("crash", [{"at_call": 2, "kind": "crash_after"}, {"at_call": 3, "kind": "crash_before"}])
def test_crash_between_the_halves_is_mended_by_the_retry(scene, crash):
    delivery = untracked_with(scene, crash)
    assert delivery.result["outcome"] == "contained", delivery.result
    assert len(delivery.attempts) == 2


@pytest.mark.parametrize("reachable", ["elastic_address", "public_address", "ipv6", "load_balancer"])
def test_untracking_is_left_out_where_the_world_could_reach_it(scene, reachable):
    instance = seed_instances.instance(scene.lab, **{reachable: True})
    delivery = contained(scene, instance, guardrails_with(scene, untrack_connections=True))
    assert open_groups(scene.lab, instance.vpc) == []
    assert "untrack_connections" not in steps_of(delivery)
    assert "somebody undid" not in delivery.message["message"], "what our own changes close is no tampering"
    assert "the two-step untracking was left out" in delivery.message["message"]
    check_isolated(scene, instance)


# --- Auto Scaling and clusters ---------------------------------------------------------------------------------


def test_instance_is_detached_from_its_group_and_replaced(scene):
    instance = seed_instances.instance(scene.lab, auto_scaling=True, min_size=1)
    contained(scene, instance, guardrails_with(scene, auto_scaling="detach"))
    autoscaling = scene.lab.client("autoscaling")
    assert autoscaling.describe_auto_scaling_instances(InstanceIds=[instance.id])["AutoScalingInstances"] == []
    (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[instance.auto_scaling_group])[
        "AutoScalingGroups"
    ]
    assert group["DesiredCapacity"] == 1 and len(group["Instances"]) == 1
    check_isolated(scene, instance)


def test_node_of_a_cluster_is_contained_where_the_guardrails_say_so(scene):
    instance = seed_instances.instance(scene.lab, eks_cluster="prod")
    delivery = contained(scene, instance, guardrails_with(scene, cluster_nodes="contain"))
    assert "every pod on this node of cluster prod" in delivery.message["message"]
    check_isolated(scene, instance)


# --- evidence --------------------------------------------------------------------------------------------------


def locks_of(scene, instance):
    ids = [snapshot["SnapshotId"] for snapshot in snapshots_of(scene.lab, instance)]
    assert ids
    return scene.lab.client("ec2").describe_locked_snapshots(SnapshotIds=ids)["Snapshots"]


def test_lock_in_compliance_mode_can_be_taken_back_for_three_days(scene):
    instance = seed_instances.instance(scene.lab)
    contained(scene, instance, guardrails_with(scene, evidence="compliance"))
    (lock,) = locks_of(scene, instance)
    assert lock["LockState"] in ("pending-compliance", "compliance-cooloff")
    assert (lock["LockDuration"], lock["CoolOffPeriod"]) == (365, 72)


def test_without_a_lock_the_snapshots_are_taken_all_the_same(scene):
    instance = seed_instances.instance(scene.lab)
    delivery = contained(scene, instance, guardrails_with(scene, evidence="none"))
    assert locks_of(scene, instance) == []
    assert "lock_snapshot" not in steps_of(delivery)
    assert len(snapshots_of(scene.lab, instance)) == 1


def test_days_of_the_lock_are_the_guardrails(scene):
    instance = seed_instances.instance(scene.lab)
    contained(scene, instance, guardrails_with(scene, lock_days=7))
    (lock,) = locks_of(scene, instance)
    assert lock["LockDuration"] == 7 and not lock.get("CoolOffPeriod")


# --- who is never touched ----------------------------------------------------------------------------------------


def protect(arn):
    return f'\n[[protect]]\narn = "{arn}"\nbecause = "the way in"\n'


def test_protected_instance_is_left_alone(scene):
    instance = seed_instances.instance(scene.lab)
    with scene.guardrails_being(guardrails_with(scene, more=protect(instance.arn))):
        delivery = scene.fire(scene.accuse_instance(instance))
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("skipped", "protected: the way in")
    assert "isolate it by hand" in delivery.message["message"]
    untouched(scene, delivery, instance)


def untouched(scene, delivery, instance):
    assert delivery.changes() == []
    assert groups_of(scene.lab, instance) == instance.groups
    assert snapshots_of(scene.lab, instance) == []
    delivery.case.check_chain()


def test_protected_role_keeps_its_policies_and_the_instance_is_isolated(scene):
    instance = seed_instances.instance(scene.lab)
    delivery = contained(scene, instance, guardrails_with(scene, more=protect(instance.role.arn)))
    assert "PutRolePolicy" not in delivery.changes()
    stolen = seed_instances.instance_credentials(scene.lab, instance)
    scene.lab.client("s3", stolen).list_buckets()
    assert "The credentials of its role still work" in delivery.message["message"]
    assert "protected: the way in" in delivery.message["message"]
    check_isolated(scene, instance)


def test_tourniquets_own_role_on_an_instance_is_left_alone(scene):
    """Somebody who can pass roles puts the responder's own on a machine: isolated, and the role not written."""
    own = scene.deployment.outputs["ContainInstanceRoleArn"]
    iam, profile = scene.lab.client("iam"), seed.unique("profile")
    made = iam.create_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=own.rsplit("/", 1)[1])
    role = seed.Role(own.rsplit("/", 1)[1], own, "")
    role.profile = made["Arn"]
    instance = seed_instances.instance(scene.lab, of_role=role)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    assert "PutRolePolicy" not in delivery.changes()
    check_isolated(scene, instance)


# --- when nothing is to be done ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "mode = [", 'version = 1\nmode = "contain"\n[isolation]\nallow = 1\n'])
def test_unreadable_guardrails_propose(scene, text):
    instance = seed_instances.instance(scene.lab)
    with scene.guardrails_being(text):
        delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "proposed"
    assert delivery.result["reason"].startswith("the guardrails could not be read: ")
    assert "aws ec2 modify-network-interface-attribute" in delivery.message["message"]
    untouched(scene, delivery, instance)


def test_mode_observe_stops_the_whole_machine(scene):
    instance = seed_instances.instance(scene.lab)
    with scene.guardrails_being(scene.guardrails.replace('mode = "contain"', 'mode = "observe"', 1)):
        delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "observed"
    untouched(scene, delivery, instance)


def test_nothing_is_allowed_where_the_guardrails_cannot_be_read(scene):
    """The plan that is proposed then opens nothing, takes nothing off that is lost, and locks."""
    instance = seed_instances.instance(scene.lab, elastic_address=True)
    with scene.guardrails_being("mode = ["):
        delivery = scene.fire(scene.accuse_instance(instance))
    commands = "\n".join(delivery.case.memory["commands"])
    assert "authorize-security-group" not in commands and "disassociate-address" not in commands


# --- a proposal, carried out by hand -----------------------------------------------------------------------------


DECIDES = "# The first rule that matches decides."
PROPOSE = """[[rule]]
name = "asks-first"
types = ["CryptoCurrency:EC2/BitcoinTool.B!DNS"]
mode = "propose"

"""


def proposed(scene, instance, allow_text=""):
    text = scene.guardrails.replace(DECIDES, PROPOSE + DECIDES, 1) + allow_text
    assert text != scene.guardrails
    with scene.guardrails_being(text):
        delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "proposed"
    assert delivery.result["reason"].startswith("the guardrails say propose: asks-first")
    untouched(scene, delivery, instance)
    return delivery


def paste(lab, lines):
    """Carries lines out as one shell session would: variables that a line sets are there for those after it.

    The shell says which calls it makes; those of a line are made before the next is read, for it may need an answer.
    """
    variables = {}
    for line in lines:
        for name, command in re.findall(r"(\w+)=\$\((aws .*? --output text)\)", line):
            variables[name] = answer(lab, command, variables)
            line = line.replace(f"{name}=$({command}) && ", "")
        for command in re.findall(r"\$\((aws [^()]*(?:\[\][^()]*)*--output text)\)", line):
            line = line.replace(f"$({command})", answer(lab, command, variables))
        given = "; ".join(f"{name}={value}" for name, value in variables.items())
        undo.run(lab, [f"{given}; {line}" if given else line])


def answer(lab, command, variables):
    """What a command with `--query` and `--output text` prints."""
    given = "".join(f"{name}={value}; " for name, value in variables.items())
    ((service, operation, *words),) = undo.typed(given + command)
    query = words[words.index("--query") + 1]
    if operation == "create-security-group":
        assert query == "GroupId"
        kept = words[: words.index("--query")]
        return undo.call(lab, service, operation, kept)["GroupId"]
    assert (operation, query) == ("describe-security-group-rules", "SecurityGroupRules[].SecurityGroupRuleId")
    name, _, group = words[words.index("--filters") + 1].partition(",Values=")
    assert name == "Name=group-id"
    return " ".join(rule["SecurityGroupRuleId"] for rule in rules_of(lab, group))


@pytest.mark.parametrize("exceptions", [False, True])
def test_lines_of_a_proposal_isolate_when_they_are_pasted(scene, exceptions):
    lab = scene.lab
    instance = seed_instances.instance(lab, interfaces=2, data_volumes=1, elastic_address=True, other_vpc=True)
    text = allow("in", "203.0.113.10/32", 22) + allow("out", "2001:db8:5::/48", 8443) if exceptions else ""
    delivery = proposed(scene, instance, text)
    paste(lab, delivery.case.memory["commands"])
    for interface, groups in groups_of(lab, instance).items():
        (group,) = groups
        assert groups != instance.groups[interface]
        wanted = {("in", "tcp", 22, 22, "203.0.113.10/32"), ("out", "tcp", 8443, 8443, "2001:db8:5::/48")}
        assert openings(lab, group) == (wanted if exceptions else set())
        assert not may_pass(lab, interface, Packet("out", "tcp", "198.51.100.7", 443))
    assert attribute(lab, instance, "disableApiTermination") is True
    assert len(snapshots_of(lab, instance)) == 2
    refused("AccessDenied", lab.client("s3", seed_instances.instance_credentials(lab, instance)).list_buckets)


def test_lines_of_a_proposal_use_the_group_that_is_there(scene):
    net = seed_instances.network(scene.lab)
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    instance = seed_instances.instance(scene.lab, in_network=net)
    delivery = proposed(scene, instance)
    undo.run(scene.lab, delivery.case.memory["commands"])
    check_isolated(scene, instance)


def test_proposal_that_was_followed_and_then_contained_keeps_one_case(scene):
    """A person says yes: the guardrails contain now, and the same finding is delivered again."""
    instance = seed_instances.instance(scene.lab)
    delivery = proposed(scene, instance)
    event = json.loads(delivery.case.event())
    again = scene.fire(event)
    assert again.result["outcome"] == "contained", again.result
    assert again.result["case"] == delivery.result["case"]
    check_isolated(scene, instance)
    assert len(snapshots_of(scene.lab, instance)) == 1
