"""The role of recheck, the one it takes on in member accounts, and the one that Scheduler invokes with: each is enough,
nothing is unused, and none of them can change what it looks at (DESIGN §4, invariant 8)."""

import json

import pytest
from lab import organization, policies, seed, seed_instances, stage
from lab.stage import RECHECK_FUNCTION
from lab_assertions import refused
from privileges import (
    PROBE, calls_of, check_actions_are_named, denied_in, granted_on_everything, grants_in, name_of, statements_of, unused_of,
)  # fmt: skip
from rechecking import asking, look
from releasing import release
from scene import ATTEMPTS
from test_contested import strip


@pytest.fixture(scope="module")
def played(scene):
    """A user, a session and an instance looked at here and in a member account; one handed back each; a failure."""
    lab = scene.lab
    for account in (lab, scene.member()):
        here = type("There", (), {"lab": account})
        user = seed.user(account, everything=True)
        case = scene.fire(scene.accuse(user)).result["case"]
        strip(here, user)
        look(scene, case)
        role = seed.role(account, trust=policies.trust(account=account.account))
        look(scene, scene.fire(scene.accuse_role(role)).result["case"])
        instance = seed_instances.instance(account, of_role=seed.role(account, profile_path="/"))
        case = scene.fire(scene.accuse_instance(instance)).result["case"]
        seed_instances_back(account, instance)
        look(scene, case)
    spawning = seed.user(lab)
    lab.client("iam", spawning.key).create_user(UserName=seed.unique("spawn"))
    case = scene.fire(scene.accuse(spawning)).result["case"]
    assert look(scene, case).told()
    for number in (organization.MEMBERS[1],):
        look(scene, scene.fire(scene.accuse(seed.user(lab.in_account(number)))).result["case"])
    # In the last account nobody made the role that is listed.
    last = scene.copy(RECHECK_FUNCTION, retry_delays_ms=[10, 10])
    lab.fault(last, at_call=1, kind="crash_after", times=ATTEMPTS)
    since = len(lab.deliveries())
    failed = scene.start(asking(scene.read_case(case).open, 2), last, forged=True).wait()
    lab.clear_faults()
    lab.wait_for(lambda: [d for d in lab.deliveries(since) if d.get("request_id") == failed.request_id])
    undeliverable(scene)
    ended(scene)
    return scene


def ended(scene):
    """The end of a release is scheduled with the same role."""
    case = scene.fire(scene.accuse(seed.user(scene.lab))).result["case"]
    release(scene, case)
    (fired,) = scene.lab.fire_schedules(prefix=f"lift-{case}")
    assert fired["status"] == "delivered", fired


def seed_instances_back(account, instance):
    ec2 = account.client("ec2")
    for interface, groups in instance.groups.items():
        ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)


def undeliverable(scene):
    """What Scheduler cannot deliver goes to the queue with the same role."""
    lab, outputs = scene.lab, scene.deployment
    queue = outputs.arn("RuleDeadLetterQueue")
    lab.client("scheduler").create_schedule(
        Name="nobody", GroupName=outputs.ref("ScheduleGroup"), ScheduleExpression="at(2026-11-21T20:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"}, ActionAfterCompletion="DELETE",
        Target={"Arn": f"arn:aws:lambda:{lab.region}:{lab.account}:function:nobody", "RoleArn": outputs.arn("ScheduleRole"),
                "Input": "{}", "DeadLetterConfig": {"Arn": queue}},
    )  # fmt: skip
    (fired,) = lab.fire_schedules(prefix="nobody")
    assert fired["status"] == "dead_lettered", fired


def places(scene):
    outputs = scene.deployment.outputs
    return {
        "responder": (scene.lab, outputs["RecheckRoleArn"]),
        "member": (scene.member(), stage.member_recheck_role_arn(organization.MEMBERS[0])),
        "schedules": (scene.lab, scene.deployment.arn("ScheduleRole")),
    }


EACH = pytest.mark.parametrize("which", ["responder", "member", "schedules"])
ENTERING = f"arn:aws:iam::{organization.WITHOUT_ROLE}:role/tourniquet/TourniquetRechecker"
NOBODY = ("lambda", "InvokeFunction", "nobody")


@EACH
def test_role_is_enough(played, which):
    lab, arn = places(played)[which]
    denied = [d for d in denied_in(calls_of(lab, arn)) if not d[2].endswith(":function:nobody")]
    assert denied == []


@EACH
def test_everything_granted_is_used(played, which, capsys):
    lab, arn = places(played)[which]
    unused = unused_of(f"recheck, {which}", grants_in(statements_of(lab, name_of(arn))), calls_of(lab, arn), capsys)
    assert {(action, resource) for action, resource in unused if resource != ENTERING} == set()


@EACH
def test_nothing_it_may_do_changes_a_target(scene, which):
    lab, arn = places(scene)[which]
    statements = statements_of(lab, name_of(arn))
    check_actions_are_named(statements)
    changing = {a for a, _ in grants_in(statements) if not a.split(":")[1].startswith(("Get", "List", "Describe", "LookupEvents"))}
    own = {"s3:PutObject", "sns:Publish", "sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents", "kms:GenerateDataKey",
           "kms:Decrypt", "lambda:InvokeFunction", "sts:AssumeRole"}  # fmt: skip
    assert changing == {"responder": own, "member": set(), "schedules": {"lambda:InvokeFunction", "sqs:SendMessage"}}[which]
    assert granted_on_everything(statements) <= {"LookAtInstances", "LookUpWhatItLeftBehind"}


def test_its_own_credentials_change_nothing(played):
    scene, lab = played, played.lab
    outputs = scene.deployment.outputs
    session = lab.mint_session(outputs["RecheckRoleArn"], PROBE)
    user = seed.user(lab)
    iam, s3 = lab.client("iam", session), lab.client("s3", session)
    deny = json.dumps(policies.DENY_ALL)
    refused("AccessDenied", iam.put_user_policy, UserName=user.name, PolicyName="x", PolicyDocument=deny)
    refused("AccessDenied", iam.delete_user_policy, UserName=user.name, PolicyName="TourniquetDenyAll")
    refused("AccessDenied", iam.create_access_key, UserName=user.name)
    for key in ("guardrails.toml", f"targets/{lab.account}/user/{user.id}.json", "isolation/x.json"):
        refused("AccessDenied", s3.put_object, Bucket=scene.bucket, Key=key, Body=b"", ChecksumAlgorithm="SHA256")
    lambda_ = lab.client("lambda", session)
    for name in ("seal-snapshot", "recheck"):
        refused("AccessDeniedException", lambda_.invoke, FunctionName=name, InvocationType="Event", Payload=b"{}")
    refused("AccessDenied", lab.client("sts", session).assume_role, RoleArn=scene.role_arn, RoleSessionName="next")


def test_the_containing_functions_may_schedule_in_this_group_with_this_role_alone(played):
    scene, lab = played, played.lab
    session = lab.mint_session(scene.role_arn, PROBE)
    scheduler, group = lab.client("scheduler", session), scene.deployment.ref("ScheduleGroup")
    recheck = f"arn:aws:lambda:{lab.region}:{lab.account}:function:recheck"
    request = {"Name": "probe", "ScheduleExpression": "at(2030-01-01T00:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    good = {"Arn": recheck, "RoleArn": scene.deployment.arn("ScheduleRole"), "Input": "{}"}
    refused("AccessDeniedException", scheduler.create_schedule, **request, GroupName="default", Target=good)
    bad = {**good, "RoleArn": scene.role_arn}
    refused("AccessDeniedException", scheduler.create_schedule, **request, GroupName=group, Target=bad)
    for call in ("delete_schedule", "get_schedule"):
        refused("AccessDeniedException", getattr(scheduler, call), Name="probe", GroupName=group)
