"""What cannot be collected is named, and keeps nothing from being contained (CONTAINMENT B17)."""

import pytest
from lab import seed_instances
from lab.stage import INSTANCE_FUNCTION
from test_contain_instance import check_isolated, snapshots_of

ALL = {
    "console-output.txt", "console-screenshot.jpg", "user-data", "metadata-options.json", "describe-instances.xml",
    "describe-network-interfaces.xml",
}  # fmt: skip
NO_USER_DATA = {"action": "ec2:DescribeInstanceAttribute", "kind": "access_denied", "at_call": 4, "scope": "call"}
"""The first three reads of attributes are of the observation; user data comes after the cut."""


def with_faults(scene, *faults, **seeded):
    instance = seed_instances.instance(scene.lab, user_data="#!/bin/sh\n", **seeded)
    function = scene.copy(INSTANCE_FUNCTION)
    for fault in faults:
        scene.lab.fault(function, **{"at_call": 1, "scope": "event", **fault})
    delivery = scene.invoke(scene.accuse_instance(instance), function)
    scene.lab.clear_faults()
    check_isolated(scene, instance)
    assert len(snapshots_of(scene.lab, instance)) == 1
    return delivery


def collected(delivery):
    """The names of what was collected and of what was not."""
    entry = delivery.case.entry("collected")
    return {o["name"] for o in entry["objects"]}, {f["name"]: f["reason"] for f in entry["failed"]}


@pytest.mark.parametrize("kind", ["access_denied", "internal_error", "throttle", "garbage"])
@pytest.mark.parametrize(
    ("operation", "piece"),
    [("ec2:GetConsoleOutput", "console-output.txt"), ("ec2:GetConsoleScreenshot", "console-screenshot.jpg")],
)
def test_console_that_cannot_be_read_is_named(scene, operation, piece, kind):
    delivery = with_faults(scene, {"action": operation, "kind": kind})
    assert delivery.result["outcome"] == "contained", delivery.result
    there, failed = collected(delivery)
    assert there == ALL - {piece}
    assert set(failed) == {piece} and failed[piece]
    assert f"Evidence not collected: {piece}" in delivery.message["message"]
    delivery.case.check_chain()


def test_user_data_that_cannot_be_read_is_named(scene):
    delivery = with_faults(scene, NO_USER_DATA)
    assert delivery.result["outcome"] == "contained", delivery.result
    there, failed = collected(delivery)
    assert there == ALL - {"user-data"} and set(failed) == {"user-data"}
    assert "Evidence not collected: user-data" in delivery.message["message"]


def test_console_of_an_instance_that_is_older_than_nitro(scene):
    """`Latest` is refused there; what EC2 has kept is taken instead."""
    fault = {"action": "ec2:GetConsoleOutput", "kind": "error", "code": "UnsupportedOperation", "scope": "call"}
    delivery = with_faults(scene, fault)
    assert delivery.result["outcome"] == "contained"
    there, failed = collected(delivery)
    assert there == ALL and failed == {}


def test_nothing_can_be_collected_and_everything_is_contained(scene):
    delivery = with_faults(
        scene,
        {"action": "ec2:GetConsoleOutput", "kind": "access_denied"},
        {"action": "ec2:GetConsoleScreenshot", "kind": "access_denied"},
        NO_USER_DATA,
        {"action": "elasticloadbalancing:DescribeTargetGroups", "kind": "access_denied"},
    )
    assert delivery.result["outcome"] == "contained", delivery.result
    _, failed = collected(delivery)
    assert set(failed) == {"console-output.txt", "console-screenshot.jpg", "user-data"}
    message = delivery.message["message"]
    assert "The target groups of load balancers could not be searched" in message


def test_stopped_instance_has_no_screenshot_and_nothing_failed(scene):
    instance = seed_instances.instance(scene.lab, state="stopped")
    delivery = scene.fire(scene.accuse_instance(instance))
    assert delivery.result["outcome"] == "contained"
    there, failed = collected(delivery)
    assert "console-screenshot.jpg" not in there and failed == {}


def test_evidence_is_read_after_the_isolation_and_never_waited_for(scene):
    """None of it is asked for before the plan is remembered."""
    instance = seed_instances.instance(scene.lab, user_data="#!/bin/sh\n")
    delivery = scene.fire(scene.accuse_instance(instance))
    calls = delivery.calls()
    made = [call["action"] for call in calls]
    is_memory = [call["action"] == "PutObject" and "/targets/" in call["resource"] for call in calls]
    remembered = is_memory.index(True)
    assert made.index("GetConsoleOutput") > remembered
    assert made.index("GetConsoleScreenshot") > remembered
