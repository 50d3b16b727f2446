"""An instance is released: whatever state it was in, it is in that state again, and what somebody changed since stays."""

import random

import pytest
from lab import seed, seed_instances
from lab_assertions import refused
from releasing import does, reasons, release
from test_contain_instance import check_isolated
from test_undo_instance import STATES, random_instance, state


def contained(scene, instance):
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    return delivery.result["case"]


def but_the_role(of):
    return {name: value for name, value in of.items() if name != "role"}


@pytest.mark.parametrize("number", range(STATES))
def test_everything_is_put_back_as_it_was(scene, number):
    instance = random_instance(scene, random.Random(20261121 + number))
    before = state(scene.lab, instance)
    case = contained(scene, instance)
    check_isolated(scene, instance)
    done = release(scene, case)
    assert done.result["release"] == "released", done.result
    assert but_the_role(state(scene.lab, instance)) == but_the_role(before)


def test_old_credentials_stay_refused_and_new_ones_work(scene):
    role = seed.role(scene.lab, profile_path="/")
    instance = seed_instances.instance(scene.lab, of_role=role)
    stolen = seed_instances.instance_credentials(scene.lab, instance)
    case = contained(scene, instance)
    done = release(scene, case)
    assert done.result["release"] == "released", done.result
    refused("AccessDenied", scene.lab.client("s3", stolen).list_buckets)
    fresh = scene.lab.mint_session(role.arn, instance.id, issued_at="2099-01-01T00:00:00Z")
    scene.lab.client("s3", fresh).list_buckets()
    assert "stay denied until its metadata service has new ones" in done.message["message"]


def test_a_group_somebody_attached_is_named_and_stays(scene):
    instance = seed_instances.instance(scene.lab, interfaces=2)
    case = contained(scene, instance)
    first, second = instance.interfaces
    another = seed_instances.group(scene.lab, instance.network)
    ec2 = scene.lab.client("ec2")
    ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=[another])
    done = release(scene, case)
    assert done.result["release"] == "partly_released" and another in done.result["reason"]
    now = seed_instances.groups_now(scene.lab, instance)
    assert (now[first], now[second]) == ([another], instance.groups[second])
    forced = release(scene, case, force=[f"isolate_interface {first}"])
    assert forced.result["release"] == "released", forced.result
    assert seed_instances.groups_now(scene.lab, instance) == instance.groups


def test_a_terminated_instance_is_named_and_only_its_role_is_freed(scene):
    role = seed.role(scene.lab, profile_path="/")
    instance = seed_instances.instance(scene.lab, of_role=role)
    case = contained(scene, instance)
    ec2 = scene.lab.client("ec2")
    ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance.id])
    done = release(scene, case)
    assert done.result["release"] == "released", done.result
    assert "terminated" in reasons(done, "isolate_interface")
    assert does(done)["deny_session"] == {"undo"}
    assert set(done.changes()) - {"CreateSchedule"} == {"PutRolePolicy"}


def test_evidence_stays(scene):
    instance = seed_instances.instance(scene.lab)
    case = contained(scene, instance)
    done = release(scene, case)
    assert does(done)["snapshot_volumes"] == {"stay"} and does(done)["lock_snapshot"] == {"stay"}
    snapshots = scene.lab.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:ir:incident", "Values": [case]}])
    assert len(snapshots["Snapshots"]) == len(instance.volumes)
