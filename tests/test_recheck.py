"""Does a containment still hold, a minute, a quarter of an hour and an hour later? (CONTAINMENT A3, A22)"""

import json
from datetime import datetime, timezone

import pytest
from lab import organization, policies, seed, stage
from lab.stage import RECHECK_FUNCTION, ROOT
from lab_assertions import refused
from rechecking import ask, asking, look, outcome, scheduled
from test_contested import REASSERTED, assertions, strip

CREATED = ["CreateUser", "CreateAccessKey", "CreateRole"]


def contained(scene, user=None):
    user = user or seed.user(scene.lab)
    delivery = scene.fire(scene.accuse(user))
    assert delivery.result["outcome"] == "contained", delivery.result
    return user, delivery


# --- scheduling ------------------------------------------------------------------------------------------------


def test_three_looks_are_scheduled_and_the_ledger_says_when(scene):
    lab = scene.lab
    _, delivery = contained(scene)
    case = delivery.case
    planned = lab.schedules(prefix=f"{case.id}-")
    assert [one["name"] for one in planned] == [f"{case.id}-0-{number}" for number in (1, 2, 3)]
    assert [one["input"]["recheck"]["round"] for one in planned] == [1, 2, 3]
    assert {one["function"] for one in planned} == {RECHECK_FUNCTION}
    now = datetime.now(timezone.utc)
    minutes = [(datetime.fromisoformat(one["at"].replace("Z", "+00:00")) - now).total_seconds() / 60 for one in planned]
    assert [round(m) for m in minutes] == [1, 15, 60]
    assert case.entry("reported")["recheck"] == ", ".join(one["at"] for one in planned)


def test_a_repetition_and_a_proposal_schedule_nothing(scene):
    lab, user = scene.lab, seed.user(scene.lab)
    event = scene.accuse(user)
    first = scene.fire(event)
    case = first.result["case"]
    lab.fire_schedules(prefix=f"{case}-")
    again = scene.fire(event)
    assert again.result["repeat"] is True
    assert scheduled(lab, case) == []
    with scene.guardrails_being(None):
        proposed = scene.invoke(scene.accuse(seed.user(lab)))
    assert proposed.attempts[-1]["status"] == "ok" and proposed.result["outcome"] == "proposed"
    assert scheduled(lab, proposed.result["case"]) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [("access_denied", "AccessDenied"), ("throttle", "TooManyRequests"), ("timeout", "did not answer")],
)
def test_what_cannot_be_scheduled_changes_no_outcome_and_is_told(scene, kind, words):
    lab, user = scene.lab, seed.user(scene.lab)
    function = scene.copy()
    lab.fault(function, at_call=1, kind=kind, action="scheduler:CreateSchedule", scope="invocation")
    delivery = scene.invoke(scene.accuse(user), function)
    lab.clear_faults()
    assert delivery.result["outcome"] == "contained"
    assert len(delivery.attempts) == 1
    assert "nobody looks later whether it still holds" in delivery.message["message"]
    assert words in delivery.case.entry("reported")["recheck"]
    assert "not scheduled" in delivery.case.entry("reported")["recheck"]


def test_a_name_that_is_taken_is_no_failure(scene):
    """A try that crashed between scheduling and telling schedules again, under the same names."""
    lab, user = scene.lab, seed.user(scene.lab)
    function = scene.copy(retry_delays_ms=[10, 10])
    lab.fault(function, at_call=1, kind="crash_before", action="sns:Publish")
    delivery = scene.invoke(scene.accuse(user), function)
    lab.clear_faults()
    assert [attempt["status"] for attempt in delivery.attempts] == ["crashed", "ok"]
    case = delivery.result["case"]
    assert scheduled(lab, case) == [f"{case}-0-{number}" for number in (1, 2, 3)]
    assert "not scheduled" not in delivery.case.entry("reported")["recheck"]


def test_without_settings_nothing_is_scheduled_and_nothing_said(scene):
    function = scene.copy(environment={"RECHECK_FUNCTION_ARN": ""})
    delivery = scene.invoke(scene.accuse(seed.user(scene.lab)), function)
    assert delivery.result["outcome"] == "contained"
    assert scheduled(scene.lab, delivery.result["case"]) == []
    assert "recheck" not in delivery.case.entry("reported")
    assert delivery.calls(service="scheduler") == []


# --- an identity -----------------------------------------------------------------------------------------------


def test_what_holds_is_one_line_in_the_ledger_and_told_to_nobody(scene):
    _, delivery = contained(scene)
    case = delivery.result["case"]
    before = delivery.case.kinds
    for number in (1, 2, 3):
        seen = look(scene, case, number)
        assert seen.found["holds"] is True and seen.found["handed_back"] is False
        assert seen.told_by_anyone() == []
    file = scene.read_case(case)
    assert file.kinds == [*before, "rechecked", "rechecked", "rechecked"]
    assert [e["what"]["round"] for e in file.entries if e["entry"] == "rechecked"] == [1, 2, 3]
    file.check_chain()
    page = scene.read(f"cases/{case}/report.html").decode()
    assert page.count(">rechecked</text>") == 3 and "it holds" in page
    assert scheduled(scene.lab, case) == []


def test_deny_stripped_since_is_put_back(scene):
    user, delivery = contained(scene, seed.user(scene.lab, everything=True))
    case = delivery.result["case"]
    strip(scene, user)
    scene.lab.client("sns", user.session).list_topics()
    seen = look(scene, case)
    assert seen.found["holds"] is False and seen.found["handed_back"] is True
    assert seen.found["missing"] == [f"deny_all on user/{user.name}"]
    assert outcome(seen)["outcome"] == "contained" and outcome(seen)["case"] == case
    refused("AuthorizationError", scene.lab.client("sns", user.session).list_topics)
    (message,) = seen.told_by_anyone()
    assert "somebody undid this containment; it was asserted again" in message["message"]
    file = scene.read_case(case)
    file.check_chain()
    assert file.kinds[-5:] == ["rechecked", "resumed", "acted", "verified", "reported"]
    # And it is looked at anew.
    assert len(scheduled(scene.lab, case, 1)) == 1


def test_key_and_password_made_since_are_found(scene):
    user, delivery = contained(scene)
    iam = scene.lab.client("iam")
    key = iam.create_access_key(UserName=user.name)["AccessKey"]
    iam.create_login_profile(UserName=user.name, Password="Correct-Horse-7")
    seen = look(scene, delivery.result["case"])
    found = [line.split(" on ")[0] for line in seen.found["missing"]]
    assert sorted(found) == ["deactivate_key", "remove_login_profile"]
    assert key["AccessKeyId"] not in json.dumps(seen.found)
    assert outcome(seen)["outcome"] == "contained"
    refused("InvalidAccessKeyId", scene.lab.client("s3", key).list_buckets)


def test_session_and_whole_role_are_looked_at_too(scene):
    lab, iam = scene.lab, scene.lab.client("iam")
    for event in (("role-session-named",), ("role-without-session", "nightly-export")):
        role = seed.role(lab, trust=policies.trust(account=lab.account))
        case = scene.fire(scene.accuse_role(role, *event)).result["case"]
        assert look(scene, case, 1).found["holds"] is True
        for name in iam.list_role_policies(RoleName=role.name)["PolicyNames"]:
            if name.startswith("Tourniquet") or name.startswith("IR"):
                iam.delete_role_policy(RoleName=role.name, PolicyName=name)
        seen = look(scene, case, 2)
        assert seen.found["holds"] is False and outcome(seen)["outcome"] == "contained"


def test_fight_ends_contested_with_the_scp_to_attach(scene):
    """An administrator who undoes the deny again and again, whenever it has been settled."""
    lab = scene.lab
    user, delivery = contained(scene)
    case, since = delivery.result["case"], delivery.calls_before
    for _ in range(REASSERTED):
        strip(scene, user)
        assert outcome(look(scene, case))["outcome"] == "contained"
    strip(scene, user)
    last = look(scene, case)
    assert outcome(last)["outcome"] == "contested"
    (message,) = last.told_by_anyone()
    assert message["subject"].startswith("[Tourniquet] CONTESTED")
    assert "aws organizations create-policy --type SERVICE_CONTROL_POLICY" in message["message"]
    assert user.arn in message["message"]
    puts = [c for c in lab.calls(since, action="PutUserPolicy", resource=user.arn) if c["function"]]
    assert len(puts) == 1 + REASSERTED
    # Those that are scheduled still look, and leave it to the person who was called.
    for name in scheduled(lab, case):
        seen = look(scene, case, int(name[-1]))
        assert seen.found["handed_back"] is False and "contested" in seen.found["left"]
        assert seen.told_by_anyone() == []
    scene.read_case(case).check_chain()


def test_partial_containment_that_is_undone_again_and_again_ends_contested_too(scene):
    lab, user = scene.lab, seed.user(scene.lab)
    function = scene.copy()
    lab.fault(function, at_call=1, kind="access_denied", action="iam:AttachUserPolicy", scope="event")
    first = scene.invoke(scene.accuse(user), function)
    lab.clear_faults()
    assert first.result["outcome"] == "partial"
    case = first.result["case"]
    ends = []
    for _ in range(REASSERTED + 1):
        strip(scene, user)
        ends.append(outcome(look(scene, case))["outcome"])
    assert ends[-1] == "contested" and "contested" not in ends[:-1]


def test_deleted_user_is_said_and_nothing_written(scene):
    lab = scene.lab
    user, delivery = contained(scene, seed.user(lab))
    seed_gone(lab, user)
    seen = look(scene, delivery.result["case"])
    assert seen.found["holds"] is False and seen.found["handed_back"] is False
    assert "it was deleted since" in seen.found["gone"]
    (message,) = seen.told()
    assert "it was deleted since" in message["message"]
    assert seen.delivery.changes() == []
    assert look(scene, delivery.result["case"], 2).told() == [], "once is enough"


def test_user_made_again_is_another_and_nothing_is_written_to_it(scene):
    lab = scene.lab
    user, delivery = contained(scene, seed.user(lab))
    seed_gone(lab, user)
    other = seed.user(lab, name=user.name)
    assert other.id != user.id
    seen = look(scene, delivery.result["case"])
    assert other.id in seen.found["gone"] and seen.found["missing"] == [] and seen.found["handed_back"] is False
    assert "made again" in seen.told()[0]["message"]
    lab.client("s3", other.key).list_buckets()


def seed_gone(lab, user):
    """Delete a user with all that hangs on it."""
    iam = lab.client("iam")
    for key in iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user.name, AccessKeyId=key["AccessKeyId"])
    for name in iam.list_user_policies(UserName=user.name)["PolicyNames"]:
        iam.delete_user_policy(UserName=user.name, PolicyName=name)
    for policy in iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=user.name, PolicyArn=policy["PolicyArn"])
    iam.delete_user(UserName=user.name)


# --- what it left behind -----------------------------------------------------------------------------------------


def test_what_it_created_is_told_once_with_the_lines_to_contain_it(scene):
    lab, user = scene.lab, seed.user(scene.lab)
    attacker = lab.client("iam", user.key)
    spawn, role = seed.unique("spawn"), seed.unique("door")
    attacker.create_user(UserName=spawn)
    key = attacker.create_access_key(UserName=spawn)["AccessKey"]
    attacker.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(policies.trust(account=lab.account)))
    _, delivery = contained(scene, user)
    # Somebody else's doing is nobody's business here.
    lab.client("iam").create_user(UserName=seed.unique("colleague"))
    case = delivery.result["case"]
    seen = look(scene, case, 1)
    assert seen.found["holds"] is True and seen.found["handed_back"] is False
    assert [line.split()[0] for line in seen.found["created"]] == CREATED
    (message,) = seen.told()
    text = message["message"]
    assert f"aws iam put-user-policy --user-name {spawn}" in text
    assert f"aws iam update-access-key --user-name {spawn}" in text and key["AccessKeyId"] not in text
    assert f"aws iam attach-role-policy --role-name {role} --policy-arn arn:aws:iam::aws:policy/AWSDenyAll" in text
    assert "colleague" not in text
    again = look(scene, case, 2)
    assert again.found["created"] == [] and again.told_by_anyone() == []
    # Nothing was contained by itself.
    (listed,) = lab.client("iam").list_access_keys(UserName=spawn)["AccessKeyMetadata"]
    assert listed["Status"] == "Active"


def test_refused_calls_and_other_sessions_created_nothing(scene):
    lab = scene.lab
    role = seed.role(lab, trust=policies.trust(account=lab.account))
    friend = seed.user(lab)
    mine, other = (lab.assume_role(friend.key, role.arn, name) for name in ("developer-laptop", "somebody-else"))
    lab.client("iam", other).create_user(UserName=seed.unique("theirs"))
    made = seed.unique("its")
    lab.client("iam", mine).create_user(UserName=made)
    with pytest.raises(Exception, match="already exists"):
        lab.client("iam", mine).create_user(UserName=made)
    event = scene.accuse_role(role)
    event = json.loads(json.dumps(event).replace(session_of(event), "developer-laptop"))
    case = scene.fire(event).result["case"]
    seen = look(scene, case)
    assert seen.found["created"] == [f"CreateUser user/{made}"]


def session_of(event):
    return event["detail"]["resource"]["accessKeyDetails"]["principalId"].split(":")[1]


# --- who asks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"recheck": None},
        {"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "../guardrails.toml", "round": 1}},
        {"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "111122223333/user/AIDA", "round": 0}},
        {"recheck": {"case": "IR-20261121-3f9a1c2e", "target": "111122223333/user/AIDA", "round": 1, "force": True}},
        b"\xff\xfe",
        [1, 2],
    ],
    ids=str,
)
def test_what_is_no_recheck_is_said_to_be_none_and_nothing_is_read(scene, event):
    seen = ask(scene, event)
    if seen.delivery.attempts[-1]["status"] == "ok":
        assert seen.nothing == "not_a_recheck"
    assert seen.delivery.calls(service="s3") == [] and seen.delivery.changes() == []


def test_another_case_and_none_are_nothing_to_recheck(scene):
    _, delivery = contained(scene)
    case = delivery.case.open
    before = len(delivery.case.entries)
    assert ask(scene, asking(case, case="IR-20261121-00000000")).nothing == "superseded"
    assert ask(scene, asking(case, target=f"{scene.lab.account}/user/AIDANOBODY0000000000")).nothing == "no_case"
    assert len(scene.read_case(case["case"]).entries) == before


def test_the_sample_is_understood(scene):
    sample = json.loads((ROOT / "events/recheck/first-look.json").read_bytes())
    assert ask(scene, sample).nothing == "no_case"


def test_a_case_that_nobody_contained_is_nothing_to_recheck(scene):
    user = seed.user(scene.lab)
    with scene.guardrails_being(stage.GUARDRAILS.read_text().replace('mode = "contain"', 'mode = "propose"', 1)):
        proposed = scene.fire(scene.accuse(user))
    assert ask(scene, asking(proposed.case.open)).nothing == "not_contained"


def test_delivered_twice_is_looked_at_once(scene):
    user, delivery = contained(scene)
    event = asking(delivery.case.open, 1)
    assert ask(scene, event).found["holds"] is True
    strip(scene, user)
    again = ask(scene, event)
    assert again.found["repeat"] is True and again.again == []
    assert scene.read_case(delivery.result["case"]).kinds.count("rechecked") == 1


def test_a_case_at_work_is_left_until_it_is_done(scene):
    lab, user = scene.lab, seed.user(scene.lab)
    function = scene.copy(timeout=20)
    lab.fault(function, at_call=1, kind="held", action="sns:Publish")
    started = scene.start(scene.accuse(user), function)
    key = f"{lab.account}/user/{user.id}"
    lab.wait_for(lambda: scene.open_case(key), 20)
    mine = scene.copy(RECHECK_FUNCTION, max_retry_attempts=0)
    scene.start(asking(scene.open_case(key)), mine, forged=True)
    tries = lab.wait_for(lambda: lab.invocations(function=mine), 20)
    assert tries[0]["status"] == "error" and "at work on it" in tries[0]["error"]["errorMessage"]
    lab.clear_faults()
    assert started.wait().result["outcome"] == "contained"


# --- what could not be read ----------------------------------------------------------------------------------------


def test_cloudtrail_that_does_not_answer_is_asked_again(scene):
    _, delivery = contained(scene)
    mine = scene.copy(RECHECK_FUNCTION, retry_delays_ms=[10, 10])
    scene.lab.fault(mine, at_call=1, kind="throttle", action="cloudtrail:LookupEvents", scope="invocation")
    seen = ask(scene, asking(delivery.case.open), mine)
    scene.lab.clear_faults()
    assert [attempt["status"] for attempt in seen.delivery.attempts] == ["error", "ok"]
    assert seen.found["holds"] is True
    assert scene.read_case(delivery.result["case"]).kinds.count("rechecked") == 1


def test_what_was_undone_does_not_wait_for_cloudtrail(scene):
    user, delivery = contained(scene)
    strip(scene, user)
    mine = scene.copy(RECHECK_FUNCTION, retry_delays_ms=[10, 10])
    scene.lab.fault(mine, at_call=1, kind="throttle", action="cloudtrail:LookupEvents", scope="event")
    seen = ask(scene, asking(delivery.case.open), mine)
    scene.lab.clear_faults()
    assert len(seen.delivery.attempts) == 1
    assert outcome(seen)["outcome"] == "contained"
    assert any("CloudTrail" in line for line in seen.found["unread"])


def test_more_records_than_a_look_reads_are_named_and_no_reason_to_call_anybody(scene):
    user, delivery = contained(scene)
    for _ in range(21):
        scene.lab.client("iam").create_user(UserName=seed.unique("busy"))
    scene.lab.limit_lookups(page=1)
    try:
        seen = ask(scene, asking(delivery.case.open))
        assert seen.found["holds"] is True and "CreateUser" in seen.found["more"] and seen.told() == []
        scene.lab.client("iam").delete_user_policy(UserName=user.name, PolicyName="TourniquetDenyAll")
        mine = scene.copy(RECHECK_FUNCTION)
        scene.lab.fault(mine, at_call=1, kind="access_denied", action="lambda:Invoke", scope="event")
        later = ask(scene, asking(delivery.case.open, 2), mine)
    finally:
        scene.lab.limit_lookups()
        scene.lab.clear_faults()
    (message,) = later.told()
    assert "WHAT WAS NOT READ TO THE END" in message["message"] and "CreateUser" in message["message"]


def test_what_may_not_be_read_is_told_once(scene):
    _, delivery = contained(scene)
    mine = scene.copy(RECHECK_FUNCTION)
    for number in (1, 2):
        scene.lab.fault(mine, at_call=1, kind="access_denied", action="iam:ListAccessKeys", scope="event")
        seen = ask(scene, asking(delivery.case.open, number), mine)
        scene.lab.clear_faults()
        assert seen.found["holds"] is False and "access keys" in seen.found["unread"][0]
        assert len(seen.told()) == (1 if number == 1 else 0)
        assert seen.found["handed_back"] is False


def test_a_case_that_cannot_be_handed_back_is_told(scene):
    user, delivery = contained(scene)
    strip(scene, user)
    mine = scene.copy(RECHECK_FUNCTION)
    scene.lab.fault(mine, at_call=1, kind="access_denied", action="lambda:Invoke", scope="event")
    seen = ask(scene, asking(delivery.case.open), mine)
    scene.lab.clear_faults()
    assert seen.found["handed_back"] is False and "could not be invoked" in seen.found["left"]
    (message,) = seen.told()
    assert "IT DOES NOT HOLD" in message["message"]


# --- other accounts --------------------------------------------------------------------------------------------------


def test_a_member_account_is_read_through_the_role_that_only_reads(scene):
    member = scene.member()
    user = seed.user(member)
    case = scene.fire(scene.accuse(user)).result["case"]
    seen = look(scene, case, 1)
    assert seen.found["holds"] is True
    made = [c for c in seen.delivery.calls() if c["account"] == organization.MEMBERS[0]]
    assert {c["role"] for c in made if c["service"] == "iam"} == {stage.member_recheck_role_arn(organization.MEMBERS[0])}
    strip(type("There", (), {"lab": member}), user)
    again = look(scene, case, 2)
    assert again.found["missing"] == [f"deny_all on user/{user.name}"]
    assert outcome(again)["outcome"] == "contained"


def test_an_account_that_is_not_listed_is_not_looked_into(scene):
    user = seed.user(scene.member())
    delivery = scene.fire(scene.accuse(user))
    mine = scene.copy(RECHECK_FUNCTION, environment={"MEMBER_ROLE_ARNS": ""})
    seen = ask(scene, asking(delivery.case.open), mine)
    assert seen.found["holds"] is False and "not among those that are looked into" in seen.found["unread"][0]
    assert len(seen.told()) == 1
    assert seen.delivery.calls(service="iam") == []
