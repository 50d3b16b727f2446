"""A contained target, accused again: what another finding asks for beyond what was done."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from lab import seed
from lab.stage import FUNCTION, ROOT
from test_contain_role import INSTANCE, cut_off, dead, deny_name, inline_policies, text_of, works
from scene import ATTEMPTS
from test_crash import NEVER, QUICK, REPEATED, WORKERS

WHOLE_ROLE = ("role-without-session", "nightly-export")


def revoke(scene, role):
    return scene.fire(scene.accuse_role(role, *WHOLE_ROLE))


def a_second_later(scene):
    """Issue times have whole seconds: a later cut-off needs a later second."""
    later = datetime.now(timezone.utc) + timedelta(seconds=1.1)
    scene.lab.wait_for(lambda: datetime.now(timezone.utc) > later)


def test_another_finding_on_a_revoked_role_revokes_what_was_issued_since(scene):
    lab, role = scene.lab, seed.role(scene.lab)
    first = revoke(scene, role)
    before = cut_off(scene, role)
    since = lab.mint_session(role.arn, "attacker", issued_at=text_of(before))
    works(lab, since)
    a_second_later(scene)
    again = revoke(scene, role)
    assert again.result["case"] == first.result["case"]
    assert again.result["outcome"] == "contained"
    assert cut_off(scene, role) > before
    dead(lab, since)
    assert len(again.messages()) == 1, "people hear that it had to be done again"
    case = again.case
    assert case.kinds == ["opened", "acted", "verified", "reported", "resumed", "acted", "verified", "reported"]
    assert case.memory["original"]["revocation"] is None, "what was there before the first change stays the original"
    case.check_chain()


def test_same_finding_again_leaves_newer_sessions_alone(scene):
    role = seed.role(scene.lab)
    event = scene.accuse_role(role, *WHOLE_ROLE)
    scene.fire(event)
    before = cut_off(scene, role)
    a_second_later(scene)
    again = scene.fire(event)
    assert again.result["repeat"] is True
    assert again.writes() == []
    assert cut_off(scene, role) == before


def test_finding_that_names_the_instance_widens_the_deny_of_its_session(scene):
    lab, role = scene.lab, seed.role(scene.lab, profile_path="/")
    instance = seed.instance_id()
    first = scene.fire(scene.accuse_role(role, "role-session-named-like-an-instance", words={"i-0123456789abcdef0": instance}))
    (document,) = inline_policies(lab, role).values()
    event = scene.accuse_role(role, "instance-credentials-exfiltrated", "app-server", {INSTANCE: instance})
    again = scene.fire(event, to=FUNCTION)
    assert again.result["case"] == first.result["case"]
    widened = inline_policies(lab, role)[deny_name(instance)]
    assert "ec2:SourceInstanceARN" not in document
    assert f":instance/{instance}" in widened and "IRDenyByUserId" in widened
    _, stolen = seed.instance_session(lab, role, instance)
    dead(lab, stolen)


# --- activity after the cut (CONTAINMENT D1) ------------------------------------------------------------------


ACTIVE = "GuardDuty also counts refused calls"


def seen_again(scene, event, minutes):
    """GuardDuty's update of a finding: the activity was last seen so many minutes from now."""
    later = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    update = json.loads(json.dumps(event))
    service = update["detail"]["service"]
    service["eventLastSeen"], service["count"] = text_of(later), int(service.get("count") or 1) + 1
    update["detail"]["updatedAt"] = text_of(later)
    return update


def cut_an_hour_ago(scene, key):
    """As if the case's cut had been then."""
    s3, name = scene.lab.client("s3"), f"targets/{key}.json"
    case = scene.open_case(key)
    case["contained_at"] = text_of(datetime.now(timezone.utc) - timedelta(hours=3))
    s3.put_object(Bucket=scene.bucket, Key=name, Body=json.dumps(case).encode(), ChecksumAlgorithm="SHA256")


def test_activity_after_the_cut_is_told_once_though_everything_holds(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    first = scene.fire(event)
    assert first.result["outcome"] == "contained"
    cut_an_hour_ago(scene, f"{scene.lab.account}/user/{user.id}")
    again = scene.fire(seen_again(scene, event, -100))
    assert again.result["outcome"] == "partial" and ACTIVE in again.result["reason"]
    assert again.writes() == []
    assert ACTIVE in again.message["message"] and "NOT FULLY CONTAINED" in again.message["message"]
    # The next update, and the same once more, are no news; nor is the outcome taken back.
    for minutes in (-90, -100):
        quiet = scene.fire(seen_again(scene, event, minutes))
        assert quiet.result["repeat"] is True and quiet.result["outcome"] == "partial"
        assert quiet.messages() == []
    late = scene.fire(seen_again(scene, event, -30))
    assert late.result["outcome"] == "partial" and len(late.messages()) == 1, "more than an hour later it is news again"
    late.case.check_chain()


def test_activity_before_the_cut_or_within_its_grace_is_no_news(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    scene.fire(event)
    for minutes in (-60, 2):
        again = scene.fire(seen_again(scene, event, minutes))
        assert again.result["repeat"] is True and again.result["outcome"] == "contained"
        assert again.messages() == []


def test_activity_after_the_cut_of_what_was_undone_is_asserted_again(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    scene.fire(event)
    cut_an_hour_ago(scene, f"{scene.lab.account}/user/{user.id}")
    scene.lab.client("iam").delete_user_policy(UserName=user.name, PolicyName="TourniquetDenyAll")
    again = scene.fire(seen_again(scene, event, -1))
    assert again.result["outcome"] == "contained" and again.writes().count("PutUserPolicy") == 1
    quiet = scene.fire(seen_again(scene, event, 2))
    assert quiet.result["repeat"] is True, "what was seen before it was asserted again is explained by that"


def test_crash_while_activity_is_told_is_mended(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    scene.fire(event)
    cut_an_hour_ago(scene, f"{scene.lab.account}/user/{user.id}")
    mine = scene.copy(**QUICK)
    scene.lab.fault(mine, at_call=1, kind="crash_before", action="sns:Publish")
    update = seen_again(scene, event, -100)
    again = scene.invoke(update, mine)
    scene.lab.clear_faults()
    assert [attempt["status"] for attempt in again.attempts] == ["crashed", "ok"]
    assert again.result["outcome"] == "partial" and ACTIVE in again.message["message"]
    assert scene.fire(update).messages() == []


# --- a crash while a settled case is taken up again --------------------------------------------------------


class WithNewKey:
    """A contained user for whom somebody has made another key since."""

    def __init__(self, scene, function):
        self.lab = scene.lab
        self.user = seed.user(self.lab)
        self.first = scene.invoke(scene.accuse(self.user), function)
        assert self.first.result["outcome"] == "contained"
        self.memory = self.first.case.open["memory"]
        iam = self.lab.client("iam")
        self.new_key = iam.create_access_key(UserName=self.user.name)["AccessKey"]["AccessKeyId"]
        self.event = scene.accuse(self.user)

    def check_end(self, delivery):
        assert delivery.result["outcome"] == "contained"
        keys = self.lab.client("iam").list_access_keys(UserName=self.user.name)["AccessKeyMetadata"]
        assert {key["Status"] for key in keys} == {"Inactive"}, "the new key still works"
        case = delivery.case
        assert case.id == self.first.case.id and case.open["state"] == "settled"
        assert case.open["memory"] == self.memory, "the original state was replaced"
        assert self.new_key in str(case.open["plan"]), "nobody could undo what was done to the new key"
        assert len(case.open["findings"]) == 2
        case.check_chain()
        told = delivery.messages()
        assert len(told) in (1, 2)
        assert all(REPEATED in message["message"] for message in told[1:])


def test_crash_after_every_call_of_a_case_taken_up_again_is_mended(scene, capsys):
    function = scene.copy(**QUICK)
    clean = WithNewKey(scene, function)
    scene.lab.fault(function, at_call=NEVER, kind="crash_after")
    clean.check_end(scene.invoke(clean.event, function))
    calls = [fault for fault in scene.lab.faults() if fault["function"] == function][0]["seen"]
    scene.lab.clear_faults()

    def crashed(k):
        mine = scene.copy(**QUICK)
        target = WithNewKey(scene, mine)
        scene.lab.fault(mine, at_call=k, kind="crash_after")
        delivery = scene.invoke(target.event, mine)
        try:
            assert [attempt["status"] for attempt in delivery.attempts] == ["crashed", "ok"]
            target.check_end(delivery)
        except AssertionError as error:
            return f"after call {k}: {error}"
        return None

    with ThreadPoolExecutor(WORKERS) as pool:
        wrong = [problem for problem in pool.map(crashed, range(1, calls + 1)) if problem]
    scene.lab.clear_faults()
    with capsys.disabled():
        print(f"\nAccused again: a crash after each of {calls} calls, {calls - len(wrong)} of {calls} mended")
    assert not wrong, "\n".join(wrong)


def test_containment_found_undone_and_not_to_be_asserted_again_is_no_longer_called_contained(scene):
    user = seed.user(scene.lab)
    event = scene.accuse(user)
    first = scene.fire(event)
    assert first.result["outcome"] == "contained"
    scene.lab.client("iam").delete_user_policy(UserName=user.name, PolicyName="TourniquetDenyAll")
    with scene.guardrails_being((ROOT / "infra/guardrails.toml").read_text().replace('mode = "contain"', 'mode = "propose"', 1)):
        again = scene.fire(event)
    assert again.result["case"] == first.result["case"]
    assert again.result["outcome"] == "partial"
    assert "deny_all on user/" in again.result["reason"]
    assert again.writes() == []
    assert "NOT FULLY CONTAINED" in again.message["message"]
    assert again.case.open["memory"] == first.case.open["memory"]
    again.case.check_chain()


def test_case_that_always_crashed_gets_the_plan_of_the_finding_that_takes_it_up(scene):
    """The first finding's revocation is in force when its last try dies; the second is about a session made since."""
    lab, role = scene.lab, seed.role(scene.lab)
    function = scene.copy(**QUICK, timeout=3)
    lab.fault(function, at_call=14, kind="crash_after", times=ATTEMPTS)
    lost = scene.invoke(scene.accuse_role(role, *WHOLE_ROLE), function)
    assert [attempt["status"] for attempt in lost.attempts] == ["crashed"] * ATTEMPTS
    lab.clear_faults()
    # The event goes to the on-failure queue after the last try; other tests look there for their own.
    sqs = lab.client("sqs")
    (kept,) = lab.wait_for(lambda: sqs.receive_message(QueueUrl=scene.failures, VisibilityTimeout=30).get("Messages"))
    sqs.delete_message(QueueUrl=scene.failures, ReceiptHandle=kept["ReceiptHandle"])
    before = cut_off(scene, role)
    since = lab.mint_session(role.arn, "attacker", issued_at=text_of(before))
    works(lab, since)
    lease = scene.open_case(f"{lab.account}/role_session/{role.id}")["lease"]["until"]
    over = datetime.fromisoformat(lease.replace("Z", "+00:00"))
    lab.wait_for(lambda: datetime.now(timezone.utc) > over, 15)
    second = scene.invoke(scene.accuse_role(role, *WHOLE_ROLE))
    assert second.result["outcome"] == "contained"
    assert cut_off(scene, role) > before
    dead(lab, since)
    assert len(second.case.open["findings"]) == 2
    second.case.check_chain()
