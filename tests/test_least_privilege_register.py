"""Both directions of least privilege for register-actions: all it needs is granted, all that is granted is needed.

By the name of this file it runs last, and looks back over what every other test made the function do.
"""

import pytest
from lab.stage import REGISTER_FUNCTION
from lab_assertions import refused
from privileges import (
    PROBE, calls_of, check_actions_are_named, denied_in, fail_for_good, grants_in, granted_on_everything, name_of,
    statements_of, unused_of,
)  # fmt: skip
from registering import BUTTONS, Stack

TAKES_NO_RESOURCE = {"FindAndMakeActions"}
"""Why each is "*" stands beside it in the template, and the Service Authorization Reference says so."""


@pytest.fixture(scope="module")
def stack(scene):
    return Stack(scene)


@pytest.fixture(scope="module")
def role_arn(scene):
    return scene.deployment.outputs["RegisterActionsRoleArn"]


@pytest.fixture(scope="module")
def statements(scene, role_arn):
    return statements_of(scene.lab, name_of(role_arn))


@pytest.fixture(scope="module")
def used(stack, role_arn):
    """Every request there is, so that the proof stands when this file runs alone; then what any test made it do."""
    stack.clear()
    physical_id = stack.ask("Create").answer["PhysicalResourceId"]
    stack.describe_otherwise()
    stack.ask("Update", physical_id)
    fail_for_good(stack.scene, stack.request("Update", physical_id)[0] | {"source": "aws.cloudformation"}, REGISTER_FUNCTION)
    stack.ask("Delete", physical_id)
    stack.ask("Create")
    return calls_of(stack.lab, role_arn)


def test_nothing_the_function_asked_was_refused(used):
    assert denied_in(used) == []


def test_every_grant_is_used(used, statements, capsys):
    assert unused_of("register-actions", grants_in(statements), used, capsys) == set()


def test_actions_are_named_and_only_two_take_no_resource(statements):
    check_actions_are_named(statements)
    assert granted_on_everything(statements) == TAKES_NO_RESOURCE


@pytest.fixture(scope="module")
def probe(scene, role_arn):
    session = scene.lab.mint_session(role_arn, PROBE)
    return lambda service: scene.lab.client(service, session)


def test_other_actions_are_not_changed(scene, used, probe):
    hub = scene.lab.client("securityhub")
    theirs = hub.create_action_target(Id="TourniquetTheirs", Name="Theirs", Description="theirs")["ActionTargetArn"]
    try:
        for action in (theirs, theirs.replace(scene.lab.region, "us-east-1")):
            refused("AccessDeniedException", probe("securityhub").update_action_target, ActionTargetArn=action, Name="Ours")
            refused("AccessDeniedException", probe("securityhub").delete_action_target, ActionTargetArn=action)
    finally:
        hub.delete_action_target(ActionTargetArn=theirs)


def test_nothing_else_is_done(scene, used, probe):
    for service, call, arguments in (
        ("securityhub", "get_findings", {}),
        ("securityhub", "disable_security_hub", {}),
        ("guardduty", "list_detectors", {}),
    ):
        refused("AccessDeniedException", getattr(probe(service), call), **arguments)
    for service, call, arguments in (
        ("iam", "list_users", {}),
        ("s3", "get_object", {"Bucket": scene.bucket, "Key": "guardrails.toml"}),
        ("sts", "assume_role", {"RoleArn": scene.role_arn, "RoleSessionName": "next"}),
    ):
        refused("AccessDenied", getattr(probe(service), call), **arguments)


def test_the_buttons_are_there_for_the_tests_that_press_them(stack, used):
    assert set(stack.actions()) == set(BUTTONS)
