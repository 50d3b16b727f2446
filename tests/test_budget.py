"""The circuit breaker: past a budget everything is proposed, people are paged once, nothing is lost (CONTAINMENT H5).

In a lab of its own, since what other tests contain counts. Each test gives a budget of what is counted by then and
some.
"""

import json
import re
import shlex

import pytest
from crash_targets import lets_in
from lab import seed, seed_instances
from lab.case_file import read_all
from lab.client import Lab
from lab.stage import FUNCTION, INSTANCE_FUNCTION
from test_concurrency import USERS, Patient, check_nothing_left_behind, deliver, result

AT_ONCE = 25
"""How many environments of a function the lab runs side by side: its reserved concurrency."""
COUNTED = "budget/counted/"


@pytest.fixture(scope="module")
def scene():
    with Lab() as running:
        yield (scene := Patient(running))
        check_nothing_left_behind(scene)


def counted(scene):
    """The cases that count, each with how often it stands there."""
    keys = read_all(scene.lab.client("s3"), scene.bucket, COUNTED)
    cases = [key.rsplit("/", 1)[1].removesuffix(".json") for key in keys]
    assert {key.split("/")[3] for key in keys} <= {scene.lab.account}
    return cases


def budget(scene, **keys):
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    return scene.guardrails_being(without_counts(scene).replace("[budget]\n", f"[budget]\n{lines}\n", 1))


def without_counts(scene):
    return re.sub(r"^\w+_per_hour = \d+$", "", scene.guardrails, flags=re.MULTILINE)


def pages(delivery):
    scene = delivery.scene
    told = scene.lab.notifications(delivery.notifications_before)
    return [n for n in told if n["subject"] and "BUDGET USED UP" in n["subject"]]


def forget_pages(scene):
    """As if the hour were another one: the pages of other tests are of this one's budgets too."""
    s3 = scene.lab.client("s3")
    for key in read_all(s3, scene.bucket, "budget/paged/"):
        s3.delete_object(Bucket=scene.bucket, Key=key)


def proposed_in_silence(scene):
    kept = read_all(scene.lab.client("s3"), scene.bucket, "budget/proposed/")
    return {key.rsplit("/", 1)[1].removesuffix(".json"): json.loads(body) for key, body in kept.items()}


@pytest.mark.parametrize(
    ("key", "where"),
    [("per_account_per_hour", "in account 111122223333"), ("total_per_hour", "in all accounts")],
)
def test_past_a_budget_people_are_paged_once_and_asked(scene, key, where):
    room = len(counted(scene)) + 2
    users = [seed.user(scene.lab) for _ in range(5)]
    forget_pages(scene)
    with budget(scene, **{key: room}):
        inside = [scene.fire(scene.accuse(user)) for user in users[:2]]
        first = scene.fire(scene.accuse(users[2]))
        events = [scene.accuse(user) for user in users[3:]]
        later = [scene.fire(event) for event in events]
        again = scene.fire(events[0])
        assert [d.result["outcome"] for d in inside] == ["contained"] * 2
        assert len(counted(scene)) == room
        reason = f"the budget of {room} containments an hour {where} is used up"
        for delivery in (first, *later):
            assert (delivery.result["outcome"], delivery.result["reason"]) == ("proposed", reason)
            assert delivery.changes() == []
        # Paged once, with what a person needs; the rest is in its cases, in the ledger, and in one place.
        (page,) = pages(inside[0])
        assert reason in page["message"] and first.result["case"] in page["message"]
        assert all(d.result["case"] in page["message"] for d in inside)
        assert [d.messages() for d in later] == [[], []] and again.result["repeat"]
        silent = proposed_in_silence(scene)
        for delivery in (first, *later):
            case = delivery.case
            case.check_chain()
            assert case.open["state"] == "settled" and case.memory["proposal"]
            assert silent[case.id]["approve"].startswith("aws lambda invoke")
        assert later[0].case.entry("reported")["notification"] is None
        assert all(lets_in(scene.lab.client("s3", user.key)) for user in users[2:])
        # A person is bound by no budget, and counts.
        words = shlex.split(silent[later[0].result["case"]]["approve"])
        approved = scene.start(json.loads(words[words.index("--payload") + 1]), forged=True).wait()
        assert approved.result["outcome"] == "contained"
        assert len(approved.messages()) == 1
        assert not lets_in(scene.lab.client("s3", users[3].key))
        assert len(counted(scene)) == room + 1
    # With room again the next delivery of what was proposed contains it.
    assert scene.fire(events[1]).result["outcome"] == "contained"


def test_one_containment_counts_once_however_often_it_is_delivered(scene):
    user, before = seed.user(scene.lab, everything=True), len(counted(scene))
    function = scene.copy(retry_delays_ms=[20, 20])
    event = scene.accuse(user)
    scene.lab.fault(function, at_call=1, kind="crash_after", action="iam:DeleteLoginProfile")
    with budget(scene, per_account_per_hour=before + 1):
        crashed = scene.invoke(event, function)
        scene.lab.clear_faults()
        assert [attempt["status"] for attempt in crashed.attempts] == ["crashed", "ok"]
        assert crashed.result["outcome"] == "contained", "its own containment is no reason to stop half-way"
        scene.lab.client("iam").delete_user_policy(UserName=user.name, PolicyName="TourniquetDenyAll")
        again = scene.fire(event)
        assert again.result["outcome"] == "contained" and "PutUserPolicy" in again.writes(), "asserted again"
        joined = scene.fire(scene.accuse(user))
        assert joined.result["case"] == crashed.result["case"]
    assert counted(scene).count(crashed.result["case"]) == 1 and len(counted(scene)) == before + 1


def test_count_that_crashed_before_the_claim_is_no_obstacle(scene):
    """Cut and count are out, the case is not: the next try contains all the same."""
    user, before = seed.user(scene.lab), len(counted(scene))
    function = scene.copy(retry_delays_ms=[20, 20])
    scene.lab.fault(function, at_call=1, kind="internal_error", times=3, action="s3:PutObject", resource="*/targets/*")
    with budget(scene, per_account_per_hour=before + 1):
        delivery = scene.invoke(scene.accuse(user), function)
        scene.lab.clear_faults()
    assert [attempt["status"] for attempt in delivery.attempts] == ["error", "ok"]
    assert delivery.result["outcome"] == "contained"
    assert len(counted(scene)) == before + 1


@pytest.mark.parametrize("kind", ["access_denied", "internal_error"])
def test_budget_that_cannot_be_read_contains_nothing(scene, kind):
    user, function = seed.user(scene.lab), scene.copy(retry_delays_ms=[20, 20])
    scene.lab.fault(function, at_call=1, kind=kind, times=3, resource=f"*/{COUNTED}*")
    with budget(scene, total_per_hour=10_000):
        delivery = scene.invoke(scene.accuse(user), function)
        scene.lab.clear_faults()
    if kind == "access_denied":
        assert delivery.result["outcome"] == "proposed" and delivery.changes() == []
        unread = "what was contained in the last hour could not be read: AccessDenied"
        assert delivery.result["reason"].startswith(unread)
        assert len(delivery.messages()) == 1, "nobody is silent about that"
    else:
        # Told, and asked again, as with guardrails that cannot be read for a moment.
        assert [attempt["status"] for attempt in delivery.attempts] == ["error", "ok"]
        assert delivery.result["outcome"] == "contained"


def test_without_budgets_the_count_does_not_matter(scene):
    user, function = seed.user(scene.lab), scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", times=3, resource=f"*/{COUNTED}*")
    with scene.guardrails_being(without_counts(scene)):
        delivery = scene.invoke(scene.accuse(user), function)
    scene.lab.clear_faults()
    assert delivery.result["outcome"] == "contained"


def test_fleet_keeps_its_share_in_service(scene):
    """Three instances of a group: with a third, one is isolated and put on standby, the next is asked about."""
    first = seed_instances.instance(scene.lab, auto_scaling=True)
    others = [seed_instances.instance(scene.lab, in_network=first.network) for _ in range(2)]
    group, scaling = first.auto_scaling_group, scene.lab.client("autoscaling")
    scaling.attach_instances(InstanceIds=[other.id for other in others], AutoScalingGroupName=group)
    contained = scene.fire(scene.accuse_instance(first))
    assert contained.result["outcome"] == "contained", contained.result
    asked = scene.fire(scene.accuse_instance(others[0]))
    assert asked.result["outcome"] == "proposed" and asked.changes() == []
    assert f"the budget of Auto Scaling group {group} is used up: 1 of its " in asked.result["reason"]
    assert "BUDGET USED UP" in asked.message["subject"]
    assert seed_instances.groups_now(scene.lab, others[0]) == others[0].groups
    scaling.exit_standby(InstanceIds=[first.id], AutoScalingGroupName=group)
    again = scene.fire(scene.accuse_instance(others[1]))
    assert again.result["outcome"] == "contained", again.result


@pytest.mark.parametrize("function", [FUNCTION, INSTANCE_FUNCTION])
def test_mode_observe_stops_both_functions_within_one_invocation(scene, function):
    event = {
        FUNCTION: lambda: scene.accuse(seed.user(scene.lab)),
        INSTANCE_FUNCTION: lambda: scene.accuse_instance(seed_instances.instance(scene.lab)),
    }[function]()
    with scene.guardrails_being(scene.guardrails.replace('mode = "contain"', 'mode = "observe"', 1)):
        stopped = scene.fire(event)
    assert stopped.result["outcome"] == "observed" and stopped.changes() == []
    assert scene.fire(event).result["outcome"] == "contained", "and the next one runs again"


def test_storm_is_contained_up_to_the_budget_and_nothing_of_it_is_lost(scene):
    users, function = [seed.user(scene.lab) for _ in range(USERS)], scene.copy()
    events = [scene.accuse(user) for user in users]
    before, room = set(counted(scene)), 20
    forget_pages(scene)
    since = scene._begin()
    with budget(scene, per_account_per_hour=len(before) + room):
        results = [result(record) for record in deliver(scene, events, function)]
    outcomes = [found["outcome"] for found in results]
    contained, proposed = outcomes.count("contained"), outcomes.count("proposed")
    assert contained + proposed == USERS
    assert room <= contained <= room + AT_ONCE, "the budget, and what was in flight when it was used up"
    assert len({found["case"] for found in results}) == USERS
    assert set(counted(scene)) - before == {f["case"] for f in results if f["outcome"] == "contained"}
    paged = read_all(scene.lab.client("s3"), scene.bucket, "budget/paged/")
    assert len(pages(since)) == len(paged) == len({key.split("/")[2] for key in paged}), "paged once an hour"
    silent = proposed_in_silence(scene)
    assert {found["case"] for found in results if found["outcome"] == "proposed"} <= set(silent)
    for user, found in zip(users, results, strict=True):
        case = scene.open_case(f"{scene.lab.account}/user/{user.id}")
        assert (case["case"], case["state"]) == (found["case"], "settled")
        assert case["outcome"]["outcome"] == found["outcome"]
        assert lets_in(scene.lab.client("s3", user.key)) == (found["outcome"] == "proposed")
