"""As `test_recheck.py`, for an instance: its isolation group, its interfaces, its end."""

from isolation import isolation_group, put_back
from lab import seed, seed_instances
from rechecking import look, outcome
from test_contain_instance import check_isolated
from test_instance_contested import BACK_DOOR


def contained(scene, lab=None, **settings):
    instance = seed_instances.instance(lab or scene.lab, **settings)
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained", delivery.result
    return instance, delivery.result["case"]


def test_what_holds_is_one_line_and_told_to_nobody(scene):
    _, case = contained(scene, of_role=seed.role(scene.lab, profile_path="/"))
    seen = look(scene, case)
    assert seen.found["holds"] is True, seen.found
    assert seen.told_by_anyone() == [] and seen.delivery.changes() == []
    scene.read_case(case).check_chain()


def test_edited_isolation_group_is_found_and_emptied(scene):
    instance, case = contained(scene)
    group = isolation_group(scene, instance.vpc)
    scene.lab.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=BACK_DOOR)
    seen = look(scene, case)
    assert [line.split(" on ")[0] for line in seen.found["missing"]] == ["prepare_isolation_group"]
    assert outcome(seen)["outcome"] == "contained"
    check_isolated(scene, instance)


def test_groups_put_back_on_an_interface_are_found(scene):
    instance, case = contained(scene, interfaces=2)
    put_back(scene.lab, instance)
    seen = look(scene, case)
    assert {line.split(" on ")[0] for line in seen.found["missing"]} == {"isolate_interface"}
    assert outcome(seen)["outcome"] == "contained"
    check_isolated(scene, instance)


def test_group_added_beside_the_isolation_group_is_found(scene):
    instance, case = contained(scene)
    (interface,) = instance.interfaces
    both = [isolation_group(scene, instance.vpc), *instance.groups[interface]]
    scene.lab.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=both)
    seen = look(scene, case)
    assert [line.split(" on ")[0] for line in seen.found["missing"]] == ["isolate_interface"]
    assert outcome(seen)["outcome"] == "contained"


def test_terminated_instance_is_said_and_nothing_written(scene):
    instance, case = contained(scene)
    ec2 = scene.lab.client("ec2")
    ec2.modify_instance_attribute(InstanceId=instance.id, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance.id])
    seen = look(scene, case)
    assert "terminated since" in seen.found["gone"] and seen.found["handed_back"] is False
    (message,) = seen.told()
    assert "terminated since" in message["message"]
    assert seen.delivery.changes() == [] and look(scene, case, 2).told() == []


def test_instance_of_a_member_account(scene):
    member = scene.member()
    instance, case = contained(scene, member)
    put_back(member, instance)
    seen = look(scene, case)
    assert seen.found["handed_back"] is True and outcome(seen)["outcome"] == "contained"


def test_what_its_role_created_is_told(scene):
    lab = scene.lab
    role = seed.role(lab, profile_path="/")
    instance = seed_instances.instance(lab, of_role=role)
    made = seed.unique("spawn")
    lab.client("iam", seed_instances.instance_credentials(lab, instance)).create_user(UserName=made)
    delivery = scene.fire(scene.accuse_instance(instance))
    seen = look(scene, delivery.result["case"])
    assert seen.found["created"] == [f"CreateUser user/{made}"]
