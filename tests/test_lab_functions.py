"""The function host: environments, failures, retries, faults, and whose credentials are used."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import organization, policies, seed
from lab.client import LabRefused
from lab_assertions import put_role_policy

TESTS = str(Path(__file__).parent)
LIST_USERS = {"call": ["iam", "list_users", {}]}


class Double:
    """A registered function made of `lab.double`, with a role and a failure queue of its own."""

    def __init__(self, lab, allowed=("iam:*",), **settings):
        self.lab = lab
        self.name = seed.unique("fn")
        self.group = f"/lab/{self.name}"
        queue_arn = f"arn:aws:sqs:{lab.region}:{lab.account}:{self.name}"
        logs = [
            policies.allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:*:*:log-group:{self.group}:*")
        ]
        document = policies.document(policies.allow(list(allowed)), policies.allow("sqs:SendMessage", queue_arn), *logs)
        self.role = seed.role(lab, trust=policies.trust(service="lambda.amazonaws.com"), policy=document)
        self.queue = lab.client("sqs").create_queue(QueueName=self.name)["QueueUrl"]
        lab.client("logs").create_log_group(logGroupName=self.group)
        environment = {"PYTHONPATH": TESTS, **settings.pop("environment", {})}
        lab.register_function(
            name=self.name,
            command=[sys.executable, "-m", "lab.double"],
            environment=environment,
            role_arn=self.role.arn,
            log_group=self.group,
            retry_delays_ms=[10, 20],
            on_failure_arn=queue_arn,
            **settings,
        )

    def run(self, *script):
        return self.lab.invoke(self.name, {"script": list(script)})

    def attempts(self, request_id, count):
        """The recorded attempts of an event, once there are this many."""
        return self.lab.wait_for(lambda: len(found := self.lab.invocations(request_id=request_id)) >= count and found)

    def failures(self):
        received = self.lab.client("sqs").receive_message(QueueUrl=self.queue).get("Messages", [])
        return [json.loads(message["Body"]) for message in received]


@pytest.fixture
def double(lab):
    return Double(lab)


def users(*names):
    return [{"call": ["iam", "create_user", {"UserName": name}]} for name in names]


def exists(lab, name):
    return name in {u["UserName"] for u in lab.client("iam").list_users()["Users"]}


def test_environment_is_started_cold_and_reused_warm(lab, double):
    first, error = double.run(LIST_USERS)
    second, _ = double.run(LIST_USERS)
    assert error is None
    assert first["results"] == ["ok"]
    assert first["pid"] == second["pid"]
    assert [i["cold"] for i in lab.invocations(function=double.name)] == [True, False]


def test_calls_are_made_with_the_role_and_recorded_for_the_invocation(lab, double):
    mark = lab.mark()
    answer, _ = double.run(LIST_USERS, {"call": ["s3", "list_buckets", {}]})
    assert answer["results"] == ["ok", "AccessDenied"]
    mine = lab.calls(mark, request_id=answer["request_id"])
    assert [(c["action"], c["decision"]) for c in mine] == [("ListUsers", "allow"), ("ListAllMyBuckets", "deny")]
    arn = f"arn:aws:sts::{lab.account}:assumed-role/{double.role.name}/{double.name}"
    assert {(c["principal"], c["function"]) for c in mine} == {(arn, double.name)}


def test_calls_with_a_role_it_assumed_are_the_functions_too(lab, double):
    """In another account, and in later invocations of the environment: recorded for each, and counted by faults."""
    member = lab.in_account(organization.MEMBERS[0])
    there = seed.role(member, trust=policies.trust(principals=[double.role.arn]))
    allowed = policies.document(policies.allow("sts:AssumeRole", there.arn))
    put_role_policy(lab, double.role, "assume", allowed)
    mark = lab.mark()
    first, _ = double.run({"assume": {"RoleArn": there.arn, "RoleSessionName": "function"}}, LIST_USERS)
    assert first["results"] == ["assume", "ok"]
    second, _ = double.run(LIST_USERS)
    assert second["pid"] == first["pid"]
    made = [(c["request_id"], c["action"], c["account"], c["role"]) for c in lab.calls(mark, function=double.name)]
    assert made == [
        (first["request_id"], "AssumeRole", lab.account, double.role.arn),
        (first["request_id"], "ListUsers", member.account, there.arn),
        (second["request_id"], "ListUsers", member.account, there.arn),
    ]
    lab.fault(double.name, at_call=1, kind="access_denied")
    try:
        third, _ = double.run(LIST_USERS)
    finally:
        lab.clear_faults()
    assert third["results"] == ["AccessDenied"]


def test_role_that_lambda_may_not_assume_starts_nothing(lab):
    role = seed.role(lab, trust=policies.trust(account=lab.account))
    name = seed.unique("fn")
    lab.register_function(name=name, command=[sys.executable, "-m", "lab.double"], role_arn=role.arn)
    _, error = lab.invoke(name, {})
    assert error == "Unhandled"
    assert lab.invocations(function=name)[0]["status"] == "error"


def test_handler_error_is_reported_and_the_environment_survives(double):
    answer, error = double.run({"fail": "no"})
    assert (error, answer["errorMessage"]) == ("Unhandled", "no")
    assert double.run(LIST_USERS)[1] is None


def test_exit_is_a_crash_and_the_next_event_gets_a_new_process(lab, double):
    first, _ = double.run(LIST_USERS)
    answer, error = double.run({"exit": 3})
    assert error == "Unhandled" and "exit status 3" in answer["errorMessage"]
    second, _ = double.run(LIST_USERS)
    assert second["pid"] != first["pid"]
    assert [i["status"] for i in lab.invocations(function=double.name)] == ["ok", "crashed", "ok"]


def test_timeout_kills(lab):
    double = Double(lab, timeout=0.4)
    pid = double.run()[0]["pid"]
    answer, error = double.run({"pause": 30})
    assert error == "Unhandled" and "timed out after 0.40 seconds" in answer["errorMessage"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_failure_at_start_is_an_init_error(lab):
    double = Double(lab, environment={"FAIL_INIT": "bad configuration"})
    answer, error = double.run()
    assert (error, answer["errorMessage"]) == ("Unhandled", "bad configuration")


def test_events_at_once_get_environments_of_their_own(lab, double):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: double.run({"pause": 0.3})[0], range(4)))
    assert len({a["pid"] for a in answers}) == 4


def test_unknown_function_is_refused(lab):
    with pytest.raises(LabRefused):
        lab.invoke_async("nobody", {})


def test_logs_reach_cloudwatch_with_the_roles_permissions(lab, double):
    mark = lab.mark()
    double.run({"print": "a line of log"})
    logs = lab.client("logs")

    def lines():
        return [e["message"] for e in logs.filter_log_events(logGroupName=double.group)["events"]]

    assert "a line of log" in lab.wait_for(lines)
    (record,) = lab.invocations(function=double.name)
    assert "a line of log" in record["logs"]
    shipped = [c for c in lab.calls(mark, service="logs") if double.role.name in c["principal"]]
    assert {(c["action"], c["decision"]) for c in shipped} == {("CreateLogStream", "allow"), ("PutLogEvents", "allow")}


def test_async_failure_is_tried_thrice_with_one_request_id_then_sent_on(lab, double):
    request_id = lab.invoke_async(double.name, {"script": [{"fail": "again"}]})
    tries = double.attempts(request_id, 3)
    assert [(t["attempt"], t["status"]) for t in tries] == [(1, "error"), (2, "error"), (3, "error")]
    (failure,) = lab.wait_for(double.failures)
    assert failure["requestContext"]["requestId"] == request_id
    assert failure["requestContext"]["condition"] == "RetriesExhausted"
    assert failure["requestContext"]["approximateInvokeCount"] == 3
    assert failure["requestPayload"] == {"script": [{"fail": "again"}]}
    assert failure["responsePayload"]["errorMessage"] == "again"
    sent = [c for c in lab.calls(service="sqs", action="SendMessage") if double.role.name in (c["principal"] or "")]
    assert [c["decision"] for c in sent] == ["allow"]


def test_async_success_is_not_repeated(lab, double):
    request_id = lab.invoke_async(double.name, {"script": [LIST_USERS]})
    double.attempts(request_id, 1)
    # A synchronous event after it has been served; a second try would have come before.
    double.run(LIST_USERS)
    assert len(lab.invocations(request_id=request_id)) == 1


def test_rule_delivers_to_the_function(lab, double):
    events = lab.client("events")
    events.put_rule(Name=double.name, EventPattern=json.dumps({"detail": {"for": [double.name]}}))
    arn = f"arn:aws:lambda:{lab.region}:{lab.account}:function:{double.name}"
    events.put_targets(Rule=double.name, Targets=[{"Id": "f", "Arn": arn}])
    detail = {"for": double.name, "script": [LIST_USERS]}
    event_id = lab.put_event({"source": "lab.test", "detail-type": "T", "detail": detail})
    (record,) = lab.wait_for(lambda: lab.invocations(event_id=event_id))
    assert record["status"] == "ok" and record["response"]["results"] == ["ok"]


class TestFaults:
    @pytest.mark.parametrize("k", [1, 2, 3])
    def test_crash_leaves_exactly_the_first_k_calls_applied(self, lab, double, k):
        names = [seed.unique("crash") for _ in range(3)]
        double.run()
        lab.fault(double.name, at_call=k, kind="crash_after")
        answer, error = double.run(*users(*names))
        assert error == "Unhandled" and "SIGKILL" in answer["errorMessage"]
        assert [exists(lab, name) for name in names] == [n < k for n in range(3)]
        (fault,) = [f for f in lab.faults() if f["function"] == double.name]
        assert fault["fired"] == 1

    def test_retry_after_the_crash_has_the_same_request_id_and_no_fault(self, lab, double):
        name = seed.unique("crash")
        lab.fault(double.name, at_call=1, kind="crash_after")
        request_id = lab.invoke_async(double.name, {"script": users(name)})
        crashed, finished = double.attempts(request_id, 2)
        assert (crashed["status"], crashed["attempt"]) == ("crashed", 1)
        assert (finished["status"], finished["attempt"]) == ("ok", 2)
        assert finished["response"]["results"] == ["EntityAlreadyExists"]

    def test_crash_every_time_ends_in_the_failure_queue(self, lab, double):
        lab.fault(double.name, at_call=1, kind="crash_after", times=3)
        request_id = lab.invoke_async(double.name, {"script": [LIST_USERS]})
        assert [t["status"] for t in double.attempts(request_id, 3)] == ["crashed"] * 3
        (failure,) = lab.wait_for(double.failures)
        assert failure["responsePayload"]["errorType"] == "Runtime.ExitError"

    @pytest.mark.parametrize(
        "kind, code",
        [("throttle", "Throttling"), ("internal_error", "ServiceFailure"), ("access_denied", "AccessDenied")],
    )
    def test_error_faults_answer_without_carrying_out(self, lab, double, kind, code):
        names = [seed.unique("fault") for _ in range(3)]
        lab.fault(double.name, at_call=2, kind=kind)
        answer, _ = double.run(*users(*names))
        assert answer["results"] == ["ok", code, "ok"]
        assert [exists(lab, name) for name in names] == [True, False, True]

    def test_garbage_is_no_answer_an_sdk_understands(self, lab, double):
        lab.fault(double.name, at_call=1, kind="garbage")
        answer, _ = double.run(LIST_USERS, LIST_USERS)
        assert answer["results"][0] not in ("ok", "AccessDenied")
        assert answer["results"][1] == "ok"

    def test_fault_may_count_one_action_only(self, lab, double):
        lab.fault(double.name, at_call=1, kind="throttle", action="iam:CreateUser", times=2)
        names = [seed.unique("fault") for _ in range(3)]
        answer, _ = double.run(LIST_USERS, *users(*names))
        assert answer["results"] == ["ok", "Throttling", "Throttling", "ok"]

    def test_fault_may_be_any_error(self, lab, double):
        order = {"code": "EntityTemporarilyUnmodifiable", "status": 409}
        lab.fault(double.name, at_call=1, kind="error", **order)
        assert double.run(LIST_USERS, LIST_USERS)[0]["results"] == ["EntityTemporarilyUnmodifiable", "ok"]

    def test_calls_at_once_before_the_crash_are_all_carried_out_and_none_after(self, lab, double):
        """Five calls in parallel, a crash at the third: three users exist, whichever they are."""
        names = [seed.unique("burst") for _ in range(5)]
        double.run(LIST_USERS)
        lab.fault(double.name, at_call=3, kind="crash_after")
        _, error = double.run({"together": users(*names)})
        assert error == "Unhandled"
        assert sum(exists(lab, name) for name in names) == 3

    def test_fault_beyond_the_last_call_does_not_fire(self, lab, double):
        lab.fault(double.name, at_call=9, kind="crash_after")
        assert double.run(LIST_USERS)[1] is None
        (fault,) = [f for f in lab.faults() if f["function"] == double.name]
        assert (fault["seen"], fault["fired"]) == (1, 0)
        lab.clear_faults()
        assert lab.faults() == []

    def test_unknown_kind_is_refused(self, lab, double):
        with pytest.raises(LabRefused):
            lab.fault(double.name, at_call=1, kind="earthquake")
