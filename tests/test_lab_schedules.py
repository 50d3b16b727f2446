"""EventBridge Scheduler in the lab: who may schedule, whose role delivers, once."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from lab import policies, seed
from test_lab_functions import Double

GROUP = "watch"


@pytest.fixture(scope="module")
def group(lab):
    return lab.client("scheduler").create_schedule_group(Name=GROUP)["ScheduleGroupArn"]


@pytest.fixture
def double(lab):
    return Double(lab)


def deliverer(lab, *allowed, **condition):
    """A role that Scheduler may assume."""
    trust = policies.trust(service="scheduler.amazonaws.com", **condition)
    return seed.role(lab, trust=trust, policy=policies.document(*allowed))


def invoking(lab, double, group):
    allowed = policies.allow("lambda:InvokeFunction", f"arn:aws:lambda:{lab.region}:{lab.account}:function:{double.name}")
    return deliverer(lab, allowed, ArnEquals={"aws:SourceArn": group}, StringEquals={"aws:SourceAccount": lab.account})


def scheduled(lab, double, role, minutes=1, credentials=None, **changes):
    name = seed.unique("one")
    at = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    target = {
        "Arn": f"arn:aws:lambda:{lab.region}:{lab.account}:function:{double.name}",
        "RoleArn": role.arn,
        "Input": json.dumps({"script": [{"answer": name}]}),
        **changes.pop("target", {}),
    }
    request = {
        "Name": name, "GroupName": GROUP, "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})", "Target": target,
        "FlexibleTimeWindow": {"Mode": "OFF"}, "ActionAfterCompletion": "DELETE", **changes,
    }  # fmt: skip
    lab.client("scheduler", credentials).create_schedule(**request)
    return request


def code(error):
    return error.value.response["Error"]["Code"]


def test_a_schedule_is_delivered_once_when_it_is_due(lab, double, group):
    role = invoking(lab, double, group)
    soon, late = (scheduled(lab, double, role, minutes)["Name"] for minutes in (1, 60))
    in_two_minutes = datetime.now(timezone.utc) + timedelta(minutes=2)
    assert lab.fire_schedules(until=datetime.now(timezone.utc), prefix="one") == []
    (fired,) = lab.fire_schedules(until=in_two_minutes, prefix=soon)
    assert fired["status"] == "delivered"
    double.attempts(fired["request_id"], 1)
    assert [one["name"] for one in lab.schedules(prefix=late)] == [late]
    assert lab.schedules(prefix=soon) == [] == lab.fire_schedules(prefix=soon)


def test_a_name_is_taken_until_it_was_delivered_and_a_token_is_the_same_request(lab, double, group):
    role = invoking(lab, double, group)
    request = scheduled(lab, double, role, ClientToken="first")
    scheduler = lab.client("scheduler")
    scheduler.create_schedule(**request)
    with pytest.raises(ClientError) as refused:
        scheduler.create_schedule(**{**request, "ClientToken": "second"})
    assert code(refused) == "ConflictException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_whoever_schedules_must_be_allowed_to_pass_the_role(lab, double, group):
    role = invoking(lab, double, group)
    create = policies.allow("scheduler:CreateSchedule", f"arn:aws:scheduler:*:*:schedule/{GROUP}/*")
    for passing, is_enough in (
        ([], False),
        ([policies.allow("iam:PassRole", role.arn, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"})], False),
        ([policies.allow("iam:PassRole", role.arn, StringEquals={"iam:PassedToService": "scheduler.amazonaws.com"})], True),
    ):
        user = seed.user(lab, policy=policies.document(create, *passing))
        if is_enough:
            scheduled(lab, double, role, credentials=user.key)
            continue
        with pytest.raises(ClientError) as refused:
            scheduled(lab, double, role, credentials=user.key)
        assert code(refused) == "AccessDeniedException"


def test_a_role_that_scheduler_may_not_assume_for_this_group_is_refused(lab, double, group):
    other = group.replace(GROUP, "other")
    for role in (
        seed.role(lab, trust=policies.trust(service="lambda.amazonaws.com"), policy=policies.ADMINISTRATOR),
        deliverer(lab, policies.allow("*"), ArnEquals={"aws:SourceArn": other}),
    ):
        with pytest.raises(ClientError) as refused:
            scheduled(lab, double, role)
        assert code(refused) == "ValidationException"


def test_what_the_role_may_not_invoke_ends_in_the_dead_letter_queue_by_the_same_role(lab, double, group):
    queue = f"arn:aws:sqs:{lab.region}:{lab.account}:{double.name}"
    role = deliverer(lab, policies.allow("sqs:SendMessage", queue))
    request = scheduled(lab, double, role, target={"DeadLetterConfig": {"Arn": queue}})
    (fired,) = lab.fire_schedules(prefix=request["Name"])
    assert fired["status"] == "dead_lettered"
    assert double.failures() == [json.loads(request["Target"]["Input"])]


@pytest.mark.parametrize(
    "changes",
    [{"Name": "a" * 65}, {"ScheduleExpression": "at(tomorrow)"}, {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}],
    ids=["name", "expression", "window"],
)
def test_what_is_no_schedule_is_refused(lab, double, group, changes):
    with pytest.raises(ClientError):
        scheduled(lab, double, invoking(lab, double, group), **changes)


def test_a_group_that_does_not_exist_takes_no_schedule(lab, double, group):
    with pytest.raises(ClientError) as refused:
        scheduled(lab, double, invoking(lab, double, group), GroupName="nowhere")
    assert code(refused) == "ResourceNotFoundException"
