"""Propose, and approve: the plan that was asked about is carried out, and no other (CONTAINMENT H4).

A finding is proposed; a person presses the button or runs the line of the message. What changed in between is named
and asked again; what is expired, foreign or carried out already changes nothing.
"""

import json
import secrets
import shlex
import uuid

import pytest
from crash_targets import lets_in
from lab import policies, seed, seed_instances
from lab.stage import FUNCTION, INSTANCE_FUNCTION
from lab_assertions import refused

class Proposed:
    """A user whose containment is proposed, with two ways to approve it."""

    function = FUNCTION

    def __init__(self, scene, **user):
        self.scene, self.lab = scene, scene.lab
        self.finding = secrets.token_hex(16)
        self.accuse(**user)
        self.delivery = scene.fire(self.event)
        assert self.delivery.result["outcome"] == "proposed", self.delivery.result
        assert self.delivery.changes() == []
        self.case = self.delivery.result["case"]
        self.message = self.delivery.message["message"]

    def accuse(self, **user):
        self.user = seed.user(self.lab, **user)
        self.event = self.scene.accuse(self.user, "anomalous-behaviour-user", "j.doe", finding=self.finding)

    @property
    def proposal(self):
        return self.open["memory"]["what"]["proposal"]

    @property
    def open(self):
        return self.scene.read_case(self.case).open

    def button(self, act=None):
        event = self.scene.accuse(self.user, "custom-action-user", "j.doe", finding=self.finding)
        return {**event, "id": act or str(uuid.uuid4())}

    def press(self, act=None, function=None):
        return self.scene.invoke(self.button(act), function or self.function)

    def line(self, message=None):
        """The payload of the message's line, as a shell hands it over."""
        words = shlex.split(line_of(message or self.message))
        assert words[words.index("--function-name") + 1].endswith(f":function:{self.function}")
        return json.loads(words[words.index("--payload") + 1])

    def approve(self, plan=None, case=None, function=None, request_id=None):
        payload = {"approve": {"case": case or self.case, "plan": plan or self.line()["approve"]["plan"]}}
        return self.scene.start(payload, function or self.function, forged=True, request_id=request_id).wait()

    def attacker_gets_in(self):
        return lets_in(self.lab.client("s3", self.user.key))

    def change_the_world(self):
        """A step more than was proposed."""
        self.lab.client("iam").create_access_key(UserName=self.user.name)

    def expire(self):
        """As if the proposal were a day old. On AWS only the functions may write this; the lab has no bucket policies."""
        case = self.open
        case["memory"]["what"]["proposal"]["expires"] = "2026-11-21T20:00:00.000Z"
        s3 = self.lab.client("s3")
        key = f"targets/{case['target']}.json"
        s3.put_object(Bucket=self.scene.bucket, Key=key, Body=json.dumps(case).encode(), ChecksumAlgorithm="SHA256")


class ProposedInstance(Proposed):
    function = INSTANCE_FUNCTION

    def accuse(self, **instance):
        self.instance = seed_instances.instance(self.lab, **{"eks_cluster": "prod", **instance})
        self.event = self.scene.accuse_instance(self.instance, finding=self.finding)

    def button(self, act=None):
        event = self.scene.accuse_instance(self.instance, "custom-action-instance", finding=self.finding)
        return {**event, "id": act or str(uuid.uuid4())}

    def attacker_gets_in(self):
        return seed_instances.groups_now(self.lab, self.instance) == self.instance.groups

    def change_the_world(self):
        on_shutdown = {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}}
        self.lab.client("ec2").modify_instance_attribute(InstanceId=self.instance.id, **on_shutdown)


def line_of(message):
    (line,) = [line.strip() for line in message.splitlines() if "aws lambda invoke" in line]
    return line


def by_button(proposed):
    return proposed.press()


def by_line(proposed):
    return proposed.approve()


WAYS = pytest.mark.parametrize("approve", [by_button, by_line])
KINDS = pytest.mark.parametrize("kind", [Proposed, ProposedInstance])


def nothing_done(delivery):
    assert delivery.changes() == []


def refusal(delivery):
    """The reason of a refusal, which writes nothing at all and tells nobody."""
    assert delivery.ignored == "approval_refused", delivery.answer
    assert not [c for c in delivery.calls() if c["action"].startswith(("Put", "Publish", "BatchUpdate"))]
    nothing_done(delivery)
    return delivery.answer["ignored"][0]["detail"]


# --- what is asked ---------------------------------------------------------------------------------------


def test_message_asks_all_that_a_person_has_to_know(scene):
    proposed = Proposed(scene)
    for section in (
        "WHAT HAPPENED", "WHO", "WHAT IS PROPOSED", "WHY IT WAS NOT DONE", "WHOM IT WOULD HIT", "WHAT IT WOULD COST",
        "WHAT CONTAINING IT WOULD LEAVE OPEN", "HOW TO APPROVE", "UNTIL WHEN",
    ):  # fmt: skip
        assert f"\n{section}\n" in proposed.message, section
    assert proposed.proposal["expires"] in proposed.message
    assert proposed.line() == {"approve": {"case": proposed.case, "plan": proposed.proposal["plan"]}}
    assert proposed.user.key["AccessKeyId"] not in proposed.message


# --- approved ----------------------------------------------------------------------------------------------


@KINDS
@WAYS
def test_approval_carries_out_what_was_proposed(scene, kind, approve):
    proposed = kind(scene)
    proposal = proposed.proposal
    plan = {s["step"] for s in _steps(proposed.open["memory"]["what"]["decision"]["plan"])}
    delivery = approve(proposed)
    assert delivery.result["outcome"] == "contained", delivery.result
    assert delivery.result["case"] == proposed.case
    assert not proposed.attacker_gets_in()
    case = delivery.case
    case.check_chain()
    assert plan <= set(case.planned)
    assert len(delivery.messages()) == 1
    approval = case.entry("decided")["approval"]
    assert approval["plan"] == proposal["plan"] and approval["not_told"]
    if approve is by_button:
        assert approval["by"] == "button" and approval["action"].endswith(":action/custom/TourniquetContain")
        assert approval["account"] == scene.lab.account and approval["event"] and approval["at"]
    else:
        assert (approval["by"], approval["request"]) == ("invocation", delivery.request_id)


def _steps(plan):
    return plan["cut"] + [step for stage in plan["then"] for step in stage["steps"]]


def test_revocation_is_computed_afresh(scene):
    """What only time changes is no other plan: the cut-off is that of the approval."""
    role = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    stolen = scene.lab.mint_session(role.arn, "somebody")
    finding = secrets.token_hex(16)
    text = scene.guardrails.replace('mode = "contain"', 'mode = "propose"', 1)
    with scene.guardrails_being(text):
        proposed = scene.fire(scene.accuse_role(role, "role-without-session", "nightly-export", finding=finding))
    assert proposed.result["outcome"] == "proposed"
    (before,) = proposed.case.memory["decision"]["plan"]["cut"]
    payload = {"approve": {"case": proposed.result["case"], "plan": proposed.case.memory["proposal"]["plan"]}}
    delivery = scene.start(payload, forged=True).wait()
    assert delivery.result["outcome"] == "contained", delivery.answer
    (after,) = delivery.case.memory["decision"]["plan"]["cut"]
    assert after["cutoff"] > before["cutoff"]
    refused("AccessDenied", scene.lab.client("s3", stolen).list_buckets)


def test_button_on_a_fresh_finding_contains_at_once(scene):
    user, finding = seed.user(scene.lab), secrets.token_hex(16)
    scene.lab.seed_finding(scene.accuse(user, "anomalous-behaviour-user", "j.doe", finding=finding)["detail"])
    delivery = scene.invoke(scene.accuse(user, "custom-action-user", "j.doe", finding=finding))
    assert delivery.result["outcome"] == "contained"
    approval = delivery.case.entry("opened")["approval"]
    assert approval["by"] == "button" and "plan" not in approval


# --- the world has changed -----------------------------------------------------------------------------------


@KINDS
@WAYS
def test_changed_world_is_named_and_asked_again(scene, kind, approve):
    proposed = kind(scene)
    proposed.change_the_world()
    asked = approve(proposed)
    nothing_done(asked)
    assert asked.result["outcome"] == "proposed" and asked.result["case"] == proposed.case
    assert asked.result["reason"].startswith("the world has changed since it was proposed: new in the plan: ")
    assert asked.result["reason"] in asked.message["message"]
    assert proposed.attacker_gets_in()
    if approve is by_line:
        # The line of the first message approves nothing any more; that of the new one does.
        assert "not the plan proposed now" in refusal(proposed.approve())
        approved = scene.start(proposed.line(asked.message["message"]), proposed.function, forged=True).wait()
    else:
        approved = approve(proposed)
    assert approved.result["outcome"] == "contained", approved.answer
    assert not proposed.attacker_gets_in()
    approved.case.check_chain()


def test_instance_that_left_its_group_is_asked_about_again(scene):
    """Its isolation would have taken it out of an Auto Scaling group; somebody has done so since."""
    proposed = ProposedInstance(scene, auto_scaling=True)
    scaling = scene.lab.client("autoscaling")
    scaling.enter_standby(
        InstanceIds=[proposed.instance.id], AutoScalingGroupName=proposed.instance.auto_scaling_group,
        ShouldDecrementDesiredCapacity=True,
    )  # fmt: skip
    asked = proposed.press()
    nothing_done(asked)
    assert "no longer in the plan: " in asked.result["reason"] and "enter_standby on" in asked.result["reason"]
    assert proposed.press().result["outcome"] == "contained"


def test_principal_made_anew_is_not_the_one_that_was_proposed(scene):
    proposed = Proposed(scene, everything=False)
    seed_again(scene.lab, proposed.user)
    pressed = proposed.press()
    nothing_done(pressed)
    assert (pressed.result["outcome"], pressed.result["reason"]) == ("cannot_contain", "unique_id_mismatch")
    assert "CANNOT CONTAIN" in pressed.message["subject"]
    assert refusal(proposed.approve(plan="0" * 32))


def seed_again(lab, user):
    """Another user under the same name."""
    digits = [secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(17)]
    lab.set_ids(user=user.name, id="AIDA" + "".join(digits))


# --- what approves nothing -----------------------------------------------------------------------------------


@WAYS
def test_expired_proposal_is_asked_again(scene, approve):
    proposed = Proposed(scene)
    proposed.expire()
    asked = approve(proposed)
    nothing_done(asked)
    assert asked.result["reason"] == "the proposal could be approved until 2026-11-21T20:00:00.000Z"
    assert len(asked.messages()) == 1
    assert approve(proposed).result["outcome"] == "contained"


@WAYS
def test_plan_that_was_carried_out_is_not_carried_out_again(scene, approve):
    proposed = Proposed(scene)
    digest = proposed.line()["approve"]["plan"]
    assert approve(proposed).result["outcome"] == "contained"
    entries = len(scene.read_case(proposed.case).entries)
    again = proposed.approve(digest)
    nothing_done(again)
    assert again.result["repeat"] and again.result["outcome"] == "contained"
    assert again.result["remark"] == "the plan was carried out already: nothing was done"
    assert again.messages(proposed.case) == []
    assert len(scene.read_case(proposed.case).entries) == entries


def test_what_is_foreign_is_refused(scene):
    proposed, other, instance = Proposed(scene), Proposed(scene), ProposedInstance(scene)
    digest = proposed.proposal["plan"]
    assert "not the plan proposed now" in refusal(proposed.approve("f" * 32))
    assert "not the plan proposed now" in refusal(proposed.approve(digest, case=other.case))
    assert "there is no such case" in refusal(proposed.approve(digest, case="IR-20261121-00000000"))
    assert "another function's" in refusal(proposed.approve(instance.proposal["plan"], case=instance.case))
    assert "another function's" in refusal(instance.approve(digest, case=proposed.case))
    for case in ("IR-1", f"{proposed.case}/../{other.case}", "../targets"):
        assert refusal(proposed.approve(digest, case=case))
    for plan in ("", "F" * 32, digest + "0"):
        payload = {"approve": {"case": proposed.case, "plan": plan}}
        assert refusal(scene.start(payload, forged=True).wait())
    contained = scene.fire(scene.accuse(seed.user(scene.lab)))
    assert "carried out otherwise, and is contained" in refusal(proposed.approve(digest, case=contained.result["case"]))
    assert proposed.attacker_gets_in() and other.attacker_gets_in() and instance.attacker_gets_in()
    assert proposed.press().result["outcome"] == "contained", "nothing of all that has spent the proposal"


@WAYS
def test_one_act_delivered_twice_does_not_approve_what_it_led_to(scene, approve):
    """EventBridge delivers at least once, Lambda under another request id each time."""
    proposed = Proposed(scene)
    proposed.change_the_world()
    act = str(uuid.uuid4())
    first = proposed.press(act) if approve is by_button else proposed.approve(request_id=act)
    assert first.result["outcome"] == "proposed"
    if approve is by_button:
        second = proposed.press(act)
    else:
        line = proposed.line(first.message["message"])
        second = scene.start(line, forged=True, request_id=act).wait()
    nothing_done(second)
    assert second.result["outcome"] == "proposed" and second.result["repeat"]
    assert len(first.messages()) == 1
    assert proposed.attacker_gets_in()
    assert proposed.press().result["outcome"] == "contained"


def test_another_finding_does_not_make_a_spent_act_good_again(scene):
    proposed = Proposed(scene)
    proposed.change_the_world()
    act = str(uuid.uuid4())
    assert proposed.press(act).result["outcome"] == "proposed"
    joined = scene.fire(scene.accuse(proposed.user, "anomalous-behaviour-user", "j.doe"))
    assert joined.result["case"] == proposed.case
    again = proposed.press(act)
    nothing_done(again)
    assert again.result["outcome"] == "proposed"


# --- what an approval does not reach over ----------------------------------------------------------------------


@KINDS
@WAYS
@pytest.mark.parametrize("mode", ["observe", "propose"])
def test_mode_caps_an_approval_too(scene, kind, approve, mode):
    """The kill switch: read in the invocation that it stops."""
    proposed = kind(scene)
    with scene.guardrails_being(scene.guardrails.replace('mode = "contain"', f'mode = "{mode}"', 1)):
        capped = approve(proposed)
    nothing_done(capped)
    assert capped.result["outcome"] == {"observe": "observed", "propose": "proposed"}[mode]
    assert f'mode = "{mode}" caps' in capped.case.memory["decision"]["ruling"]["rule"]
    assert len(capped.messages()) == 1
    assert proposed.attacker_gets_in()
    # What was proposed stays so: the same line carries it out once the machine runs again.
    assert approve(proposed).result["outcome"] == "contained"


@WAYS
def test_what_is_protected_by_now_stays_so(scene, approve):
    proposed = Proposed(scene)
    rule = f'\n[[protect]]\narn = "{proposed.user.arn}"\nbecause = "on second thoughts"\n'
    with scene.guardrails_being(scene.guardrails + rule):
        pressed = approve(proposed)
    nothing_done(pressed)
    assert pressed.result["outcome"] == "skipped" and "on second thoughts" in pressed.result["reason"]


@WAYS
def test_finding_that_its_detector_has_no_more_is_ignored(scene, approve):
    proposed = Proposed(scene)
    function = scene.copy()
    scene.lab.fault(function, at_call=1, kind="access_denied", times=9, action="guardduty:GetFindings")
    asked = proposed.press(function=function) if approve is by_button else proposed.approve(function=function)
    scene.lab.clear_faults()
    nothing_done(asked)
    assert asked.result["outcome"] == "proposed" and "the detector could not be asked" in asked.result["reason"]
    assert approve(proposed).result["outcome"] == "contained"
