"""Somebody with rights of their own undoes the isolation of an instance, in every part of it (CONTAINMENT A3, B4)."""

import subprocess
import threading

import pytest
from botocore.exceptions import ClientError
from isolation import groups_of, isolation_group, put_back
from lab import policies, seed, seed_instances, undo
from lab_assertions import refused
from test_contain_instance import attribute, check_isolated, snapshots_of
from test_contested import ASSERTIONS, EVERY_SECONDS, REASSERTED

UNDONE = "somebody undid this containment"
BACK_DOOR = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}]


class Adversary:
    """Another administrator, who does something to a contained instance as soon as it can be done."""

    def __init__(self, undoing, once=False):
        self.undone = 0
        self._undoing, self._once = undoing, once
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._over.wait(EVERY_SECONDS):
            try:
                did = self._undoing()
            except ClientError:
                continue
            self.undone += bool(did)
            if did and self._once:
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@pytest.fixture(scope="module")
def patient(scene):
    """A function that reads back after a second and a half: time enough to do something in between."""
    return scene.copy("contain-instance", environment={"VERIFY_AFTER_MS": "1500"})


def isolated(scene, instance):
    """Whether every interface it was launched with has a single group that it was not launched with."""
    now = seed_instances.groups_now(scene.lab, instance)
    return all(len(groups) == 1 and groups != instance.groups[i] for i, groups in now.items())


def opening(scene, instance):
    """Puts the old groups back, once they are gone."""
    def undo_it():
        if not isolated(scene, instance):
            return False
        put_back(scene.lab, instance)
        return True

    return undo_it


def meanwhile(scene, patient, instance, undoing):
    """A delivery during which somebody does something, once, after the isolation and before the read-back."""
    started = scene.start(scene.accuse_instance(instance), patient)
    scene.lab.wait_for(lambda: isolated(scene, instance), 20)
    scene.lab.wait_for(lambda: undoing() is not False, 10)
    return started.wait(60)


def assertions(delivery, scene, instance):
    """How often the isolation group was put on an interface of the instance."""
    group = isolation_group(scene, instance.vpc)
    return len(delivery.calls(action="ModifyNetworkInterfaceAttribute", resource=group_arn(scene, group)))


def group_arn(scene, group):
    return f"arn:aws:ec2:{scene.lab.region}:{scene.lab.account}:security-group/{group}"


def told_once_that_it_was_undone(delivery):
    assert delivery.result["outcome"] == "contained", delivery.result
    assert UNDONE in delivery.message["message"]
    delivery.case.check_chain()


# --- the groups ----------------------------------------------------------------------------------------------


def the_policy_it_names_holds(scene, instance, message):
    """Denied by it, an administrator opens nothing, stops nothing, and works on as before elsewhere; the role named may.

    The lab has no organizations: the document stands on the principals as a policy of their own, which denies as much.
    """
    line = next(line.strip() for line in message.splitlines() if "create-policy" in line)
    mine = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account), policy=policies.ADMINISTRATOR)
    made = subprocess.run(
        ["bash", "-c", f"aws() {{ printf '%s\\n' \"$@\"; }}; {line}; echo \"$policy_id\""],
        env={"RESPONDER_ROLE_ARN": mine.arn}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = made.stdout.splitlines()
    document = words[words.index("--content") + 1]
    iam, theirs = scene.lab.client("iam"), seed.user(scene.lab, policy=policies.ADMINISTRATOR)
    iam.put_user_policy(UserName=theirs.name, PolicyName="scp", PolicyDocument=document)
    iam.put_role_policy(RoleName=mine.name, PolicyName="scp", PolicyDocument=document)
    ec2, (interface, *_) = scene.lab.client("ec2", theirs.key), instance.interfaces
    (group,) = seed_instances.groups_now(scene.lab, instance)[interface]
    refused("UnauthorizedOperation", lambda: ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group]))
    refused("UnauthorizedOperation", lambda: ec2.terminate_instances(InstanceIds=[instance.id]))
    ec2.describe_instances(InstanceIds=[instance.id])
    other = seed_instances.instance(scene.lab)
    ec2.modify_instance_attribute(InstanceId=other.id, DisableApiTermination={"Value": True})
    session = scene.lab.mint_session(mine.arn, "responder")
    scene.lab.client("ec2", session).modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])


def test_groups_put_back_for_ever_are_contested(scene):
    instance = seed_instances.instance(scene.lab)
    with Adversary(opening(scene, instance)) as adversary:
        delivery = scene.fire(scene.accuse_instance(instance))
    assert adversary.undone >= ASSERTIONS
    assert delivery.result["outcome"] == "contested", delivery.result
    assert assertions(delivery, scene, instance) == ASSERTIONS
    message = delivery.message
    assert message["subject"].startswith("[Tourniquet] CONTESTED")
    assert "Somebody keeps undoing the containment" in message["message"]
    the_policy_it_names_holds(scene, instance, message["message"])
    case = delivery.case
    case.check_chain()
    missing = [e["what"]["missing"]["then"] for e in case.entries if e["entry"] == "verified"]
    found = [[s["step"] for stage in each for s in stage["steps"]] for each in missing]
    assert found == [["isolate_interface"]] * ASSERTIONS
    # What the adversary did not undo stays done.
    assert attribute(scene.lab, instance, "disableApiTermination") is True
    assert len(snapshots_of(scene.lab, instance)) == 1, "the fight takes no further snapshots"


def test_groups_put_back_once_are_taken_off_again(scene):
    instance = seed_instances.instance(scene.lab)
    with Adversary(opening(scene, instance), once=True) as adversary:
        delivery = scene.fire(scene.accuse_instance(instance))
    assert adversary.undone == 1
    told_once_that_it_was_undone(delivery)
    assert assertions(delivery, scene, instance) == 2
    check_isolated(scene, instance)


def test_groups_put_back_later_are_taken_off_by_the_next_delivery(scene):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    first = scene.fire(event)
    put_back(scene.lab, instance)
    again = scene.fire(event)
    assert again.result["case"] == first.result["case"]
    told_once_that_it_was_undone(again)
    check_isolated(scene, instance)
    original = {i["id"]: i["groups"] for i in again.case.original["interfaces"]}
    assert original == {i: sorted(groups) for i, groups in instance.groups.items()}
    assert again.case.open["memory"] == first.case.open["memory"]


def test_fight_that_starts_again_and_again_ends(scene):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.fire(event)
    for _ in range(REASSERTED):
        put_back(scene.lab, instance)
        again = scene.fire(event)
        told_once_that_it_was_undone(again)
        assert assertions(again, scene, instance) == 1
    put_back(scene.lab, instance)
    last = scene.fire(event)
    assert (last.result["outcome"], assertions(last, scene, instance)) == ("contested", 0)
    assert last.message["subject"].startswith("[Tourniquet] CONTESTED")
    repeated = scene.fire(event)
    assert (repeated.result["outcome"], repeated.messages()) == ("contested", [])
    # Another finding is another incident.
    other = scene.fire(scene.accuse_instance(instance))
    assert other.result["outcome"] == "contained"
    check_isolated(scene, instance)
    assert len(snapshots_of(scene.lab, instance)) == 1


# --- the isolation group -------------------------------------------------------------------------------------


def test_rule_added_meanwhile_is_revoked(scene, patient):
    instance = seed_instances.instance(scene.lab)

    def add():
        group = isolation_group(scene, instance.vpc)
        scene.lab.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=BACK_DOOR)

    told_once_that_it_was_undone(meanwhile(scene, patient, instance, add))
    check_isolated(scene, instance)


def test_rule_added_for_ever_is_not_called_contained(scene):
    """The group is emptied as often as a delivery may, and people are told once that it does not stay so."""
    net = seed_instances.network(scene.lab)
    scene.fire(scene.accuse_instance(seed_instances.instance(scene.lab, in_network=net)))
    instance, group = seed_instances.instance(scene.lab, in_network=net), isolation_group(scene, net.vpc)

    def add():
        scene.lab.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=BACK_DOOR)
        return True

    with Adversary(add) as adversary:
        delivery = scene.start(scene.accuse_instance(instance), "contain-instance").wait(90)
    assert adversary.undone > 1
    assert delivery.result["outcome"] in ("contested", "partial"), delivery.result
    assert len(delivery.messages()) == 1
    revoked = delivery.calls(action="RevokeSecurityGroupIngress")
    assert 1 <= len(revoked) <= 3 * ASSERTIONS * len(delivery.attempts)
    assert seed_instances.groups_now(scene.lab, instance) == {instance.interfaces[0]: [group]}
    delivery.case.check_chain()


def test_isolation_group_that_was_deleted_is_made_again(scene):
    """Put back, and then the group itself removed: another one is made, recorded and put on."""
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.fire(event)
    gone = isolation_group(scene, instance.vpc)
    put_back(scene.lab, instance)
    scene.lab.client("ec2").delete_security_group(GroupId=gone)
    told_once_that_it_was_undone(scene.fire(event))
    assert isolation_group(scene, instance.vpc) != gone
    check_isolated(scene, instance)


# --- what hangs on it ----------------------------------------------------------------------------------------


def test_elastic_address_put_back_meanwhile_is_taken_off(scene, patient):
    instance = seed_instances.instance(scene.lab, elastic_address=True)
    ec2 = scene.lab.client("ec2")

    def associate():
        if address_of(scene, instance).get("AssociationId"):
            return False
        ec2.associate_address(AllocationId=instance.allocation, NetworkInterfaceId=instance.interfaces[0])

    delivery = meanwhile(scene, patient, instance, associate)
    told_once_that_it_was_undone(delivery)
    assert not address_of(scene, instance).get("AssociationId")
    # Taken off twice, it is put back once.
    undo.run(scene.lab, delivery.case.entry("acted")["undo"])
    assert address_of(scene, instance)["NetworkInterfaceId"] == instance.interfaces[0]


def address_of(scene, instance):
    (address,) = scene.lab.client("ec2").describe_addresses(AllocationIds=[instance.allocation])["Addresses"]
    return address


def deny_of(scene, instance):
    names = scene.lab.client("iam").list_role_policies(RoleName=instance.role.name)["PolicyNames"]
    return [name for name in names if name.startswith("TourniquetDenySession-")]


def test_deny_deleted_meanwhile_is_put_back(scene, patient):
    instance = seed_instances.instance(scene.lab)

    def delete():
        if not deny_of(scene, instance):
            return False
        for name in deny_of(scene, instance):
            scene.lab.client("iam").delete_role_policy(RoleName=instance.role.name, PolicyName=name)

    told_once_that_it_was_undone(meanwhile(scene, patient, instance, delete))
    stolen = seed_instances.instance_credentials(scene.lab, instance)
    refused("AccessDenied", scene.lab.client("s3", stolen).list_buckets)


def test_deny_deleted_later_is_put_back_by_the_next_delivery(scene):
    instance = seed_instances.instance(scene.lab)
    event = scene.accuse_instance(instance)
    scene.fire(event)
    for name in deny_of(scene, instance):
        scene.lab.client("iam").delete_role_policy(RoleName=instance.role.name, PolicyName=name)
    told_once_that_it_was_undone(scene.fire(event))
    stolen = seed_instances.instance_credentials(scene.lab, instance)
    refused("AccessDenied", scene.lab.client("s3", stolen).list_buckets)


def test_protections_taken_off_meanwhile_are_put_back(scene, patient):
    instance = seed_instances.instance(scene.lab)
    ec2 = scene.lab.client("ec2")

    def unprotect():
        if not attribute(scene.lab, instance, "disableApiTermination"):
            return False
        ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiTermination={"Value": False})
        ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiStop={"Value": False})

    told_once_that_it_was_undone(meanwhile(scene, patient, instance, unprotect))
    refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=[instance.id])
    refused("OperationNotPermitted", ec2.stop_instances, InstanceIds=[instance.id])


# --- interfaces that come and go -----------------------------------------------------------------------------


def attach(scene, instance, index):
    ec2 = scene.lab.client("ec2")
    made = ec2.create_network_interface(SubnetId=instance.subnet, Groups=[instance.network.group])["NetworkInterface"]
    interface = made["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance.id, DeviceIndex=index)
    return interface


def detach(scene, interface):
    ec2 = scene.lab.client("ec2")
    (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"], Force=True)


def test_interface_attached_meanwhile_is_isolated_in_the_same_delivery(scene, patient):
    instance = seed_instances.instance(scene.lab)
    delivery = meanwhile(scene, patient, instance, lambda: attach(scene, instance, 1))
    assert delivery.result["outcome"] == "contained", delivery.result
    now = groups_of(scene.lab, instance)
    assert len(now) == 2
    assert {tuple(groups) for groups in now.values()} == {(isolation_group(scene, instance.vpc),)}
    assert delivery.case.planned.count("isolate_interface") == 2
    delivery.case.check_chain()


def test_interface_detached_meanwhile_needs_nothing_any_more(scene, patient):
    instance = seed_instances.instance(scene.lab, interfaces=2)
    delivery = meanwhile(scene, patient, instance, lambda: detach(scene, instance.interfaces[1]))
    assert delivery.result["outcome"] == "contained", delivery.result
    assert UNDONE not in delivery.message["message"]
    # It takes its isolation with it, and can be put back: its old groups are in the lines.
    undo.run(scene.lab, delivery.case.entry("acted")["undo"])
    assert seed_instances.groups_now(scene.lab, instance) == instance.groups


def test_interface_swapped_for_an_open_one_is_found(scene, patient):
    instance = seed_instances.instance(scene.lab, interfaces=2)

    def swap():
        detach(scene, instance.interfaces[1])
        attach(scene, instance, 1)

    delivery = meanwhile(scene, patient, instance, swap)
    assert delivery.result["outcome"] == "contained", delivery.result
    now = groups_of(scene.lab, instance)
    assert instance.interfaces[1] not in now and len(now) == 2
    assert {tuple(groups) for groups in now.values()} == {(isolation_group(scene, instance.vpc),)}


# --- the end of it -------------------------------------------------------------------------------------------


def test_instance_terminated_meanwhile_is_said_and_its_evidence_stays(scene, patient):
    instance = seed_instances.instance(scene.lab, data_volumes=1)
    ec2 = scene.lab.client("ec2")

    def terminate():
        if len(snapshots_of(scene.lab, instance)) < 2 or not attribute(scene.lab, instance, "disableApiTermination"):
            return False
        ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiTermination={"Value": False})
        ec2.terminate_instances(InstanceIds=[instance.id])

    delivery = meanwhile(scene, patient, instance, terminate)
    assert delivery.result["outcome"] == "partial", delivery.result
    assert "terminated while being contained" in delivery.message["message"]
    assert "CloudTrail" in delivery.message["message"]
    for snapshot in snapshots_of(scene.lab, instance):
        refused("OperationNotPermitted", ec2.delete_snapshot, SnapshotId=snapshot["SnapshotId"])
    kept = ec2.describe_volumes(VolumeIds=list(instance.volumes.values()))["Volumes"]
    assert len(kept) == 2, "its volumes do not go with it"
    # Nothing is left that the case could hold down: the same finding again changes and tells nothing.
    again = scene.fire(scene.accuse_instance(instance))
    assert again.result["case"] == delivery.result["case"]
    assert again.changes() == []
    delivery.case.check_chain()
