"""One containment a target, one message a change of outcome, however a finding arrives (DESIGN §4, invariant 3)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import seed

DELIVERIES = 20


def one_case(first, *others):
    """All deliveries came to the first one's case, which stands as it stood, and told nobody again."""
    for other in others:
        assert other.result["case"] == first.result["case"]
        assert other.result["outcome"] == first.result["outcome"]
        assert other.result["repeat"] is True
        # A copy that lacks the unique id finds the case when it claims it, beside putting the same deny again.
        assert set(other.writes()) <= {"PutUserPolicy"}
    assert len(first.messages()) == 1
    case = first.case
    case.check_chain()
    return case


@pytest.fixture
def first(scene):
    """A user contained; `first.user` and `first.finding` say whom and by which finding."""
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    delivery = scene.fire(event)
    assert delivery.result["outcome"] == "contained"
    delivery.user, delivery.event, delivery.finding = user, event, event["detail"]["id"]
    delivery.memory = delivery.case.open["memory"]
    return delivery


def test_finding_delivered_twice(scene, first):
    again = scene.fire(first.event)
    case = one_case(first, again)
    assert case.open["memory"] == first.memory
    assert case.kinds == ["opened", "acted", "verified", "reported"]


@pytest.mark.parametrize(
    "copy",
    [
        "leaked-access-key-security-hub-copy",
        "leaked-access-key-ocsf-copy",
        "leaked-access-key-ocsf-copy-sparse",
        "leaked-access-key-updated",
    ],
)
def test_finding_that_arrives_in_another_shape(scene, first, copy):
    """Straight to the function: the rules leave GuardDuty's own copies out already."""
    again = scene.invoke(scene.accuse(first.user, copy, finding=first.finding))
    case = one_case(first, again)
    assert case.open["memory"] == first.memory
    assert len(case.open["findings"]) == 1


@pytest.mark.parametrize(
    "copy", ["leaked-access-key-security-hub-copy", "leaked-access-key-ocsf-copy", "leaked-access-key-ocsf-copy-sparse"]
)
def test_copy_that_arrives_first_contains(scene, copy):
    """The copies are sparser than the finding; its detector is asked for the rest."""
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    scene.lab.seed_finding(event["detail"])
    copied = scene.invoke(scene.accuse(user, copy, finding=event["detail"]["id"]))
    assert copied.result["outcome"] == "contained"
    again = scene.fire(event)
    one_case(copied, again)


def test_copy_that_arrives_later_gets_the_note_it_missed(scene, first):
    copy = scene.accuse(first.user, "leaked-access-key-security-hub-copy", finding=first.finding)
    finding = scene.import_copy(copy)
    one_case(first, scene.invoke(copy))
    noted = scene.in_security_hub(finding)
    assert noted["Workflow"]["Status"] == "NOTIFIED"
    assert first.result["case"] in noted["Note"]["Text"]


def test_administrators_delivery_is_the_members(scene, first):
    """The delegated administrator receives the member's finding in its own envelope."""
    envelope = {**first.event, "account": "444455556666", "id": "7d9c1b2e-0000-4000-8000-000000000001"}
    again = scene.fire(envelope, whole=True)
    assert one_case(first, again).open["target"].startswith(scene.lab.account)


def test_administrators_delivery_alone_contains_in_the_findings_account(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user, "account-mismatch", "svc-payments")
    delivery = scene.fire(event, whole=True)
    assert delivery.result["outcome"] == "contained"
    assert delivery.result["target"]["account"] == scene.lab.account


def test_twenty_deliveries_at_once(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    scene.lab.seed_finding(event["detail"])
    with ThreadPoolExecutor(DELIVERIES) as pool:
        started = list(pool.map(lambda _: scene.start(event), range(DELIVERIES)))
    deliveries = [delivery.wait() for delivery in started]
    results = [delivery.result for delivery in deliveries]
    assert {result["case"] for result in results} == {results[0]["case"]}
    at_work = [result for result in results if not result.get("repeat")]
    assert [result["outcome"] for result in at_work] == ["contained"]
    earliest = min(deliveries, key=lambda delivery: delivery.notifications_before)
    assert len(earliest.messages()) == 1
    case = earliest.case
    case.check_chain()
    assert case.kinds == ["opened", "acted", "verified", "reported"]
    assert case.original["keys"] == [{**case.original["keys"][0], "active": True}]
    # Whoever lost the race may have put the same deny; nobody did anything else.
    losers = [d for d in deliveries if d.result.get("repeat")]
    assert {write for loser in losers for write in loser.writes()} <= {"PutUserPolicy"}
    scene.lab.client("iam").get_user_policy(UserName=user.name, PolicyName="TourniquetDenyAll")


def test_two_findings_at_once_about_one_user(scene):
    """The second finds the first at work, and comes back when Lambda tries again: in minutes on AWS."""
    user, function = seed.user(scene.lab), scene.copy(retry_delays_ms=[1500, 1500])
    events = [scene.accuse(user), scene.accuse(user)]
    deliveries = [delivery.wait() for delivery in [scene.start(event, function) for event in events]]
    assert len({delivery.result["case"] for delivery in deliveries}) == 1
    case = deliveries[0].case
    case.check_chain()
    assert sorted(case.open["findings"]) == sorted(event["detail"]["arn"] for event in events)
    assert len(deliveries[0].messages()) == 1


def test_second_finding_joins_the_case_of_its_target(scene, first):
    second = scene.fire(scene.accuse(first.user))
    case = one_case(first, second)
    assert case.open["findings"] == [first.event["detail"]["arn"], second.answer["finding"]["id"]]
    assert case.kinds[-1] == "joined"
    assert case.open["memory"] == first.memory


def test_one_press_of_the_button_with_two_findings(scene):
    lab, role = scene.lab, seed.role(scene.lab, profile_path="/")
    user, instance = seed.user(scene.lab), seed.instance_id()
    words = {
        "svc-build": user.name,
        "AIDASVCBUILDQ7EXAMPLE": user.id,
        "AKIASVCBUILDQEXAMPLE": user.key["AccessKeyId"],
        "app-server": role.name,
        "AROAAPPSERVERQEXAMPLE": role.id,
        "i-0a1b2c3d4e5f67890": instance,
    }
    event = scene.event("two-findings-custom-action", words)
    key, stolen = (finding["Id"].rsplit("/", 1)[1] for finding in event["detail"]["findings"])
    lab.seed_finding(scene.accuse(user, finding=key)["detail"])
    exfiltrated = scene.accuse_role(
        role, "instance-credentials-exfiltrated", "app-server", {"i-0a1b2c3d4e5f67890": instance}, finding=stolen
    )
    lab.seed_finding(exfiltrated["detail"])
    delivery = scene.invoke(event)
    results = delivery.answer["results"]
    assert [(r["target"]["kind"], r["outcome"]) for r in results] == [
        ("user", "contained"),
        ("role_session", "contained"),
    ]
    assert len({r["case"] for r in results}) == 2
    for result in results:
        scene.read_case(result["case"]).check_chain()
        assert len(delivery.messages(result["case"])) == 1


def test_guardrails_that_change_take_the_same_case_on(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    with scene.guardrails_being(scene.guardrails.replace('mode = "contain"', 'mode = "observe"', 1)):
        observed = scene.fire(event)
    assert observed.result["outcome"] == "observed"
    contained = scene.fire(event)
    assert contained.result["outcome"] == "contained"
    assert contained.result["case"] == observed.result["case"]
    case = contained.case
    case.check_chain()
    assert case.kinds == ["opened", "reported", "decided", "acted", "verified", "reported"]
    assert case.original["keys"][0]["active"] is True
    assert [m["subject"].split(":")[0] for m in observed.messages()] == [
        "[Tourniquet] OBSERVED",
        "[Tourniquet] CONTAINED",
    ]
