"""The fallback ladder: where the inline deny does not fit, the next rung holds (CONTAINMENT A19)."""

import json

import pytest
from lab import policies, quotas, seed
from lab_assertions import refused

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


class Crowded:
    """A user whose inline policies are full, with a stolen key and a session that outlives it."""

    def __init__(self, scene):
        self.lab = scene.lab
        self.user = seed.user(self.lab)
        self.session = self.lab.session_token(self.user.key)
        quotas.fill_inline(self.lab, self.user)
        self.inline = self.lab.client("iam").list_user_policies(UserName=self.user.name)["PolicyNames"]

    def is_refused(self):
        """The key, and what was minted with it at a service that the quarantine marker leaves open."""
        refused("InvalidClientTokenId", self.lab.client("sns", self.user.key).list_topics)
        refused("AuthorizationError", self.lab.client("sns", self.session).list_topics)

    def attached(self):
        found = self.lab.client("iam").list_attached_user_policies(UserName=self.user.name)["AttachedPolicies"]
        return {policy["PolicyArn"] for policy in found}

    def groups(self):
        return [g["GroupName"] for g in self.lab.client("iam").list_groups_for_user(UserName=self.user.name)["Groups"]]

    def kept_its_policies(self, before):
        """No room was made: what the victim had is evidence, and the way back."""
        assert self.lab.client("iam").list_user_policies(UserName=self.user.name)["PolicyNames"] == self.inline
        assert before <= self.attached()


@pytest.fixture
def crowded(scene):
    return Crowded(scene)


@pytest.fixture
def deny_group(scene):
    return scene.deployment.outputs["DenyGroupName"]


@pytest.fixture
def boundary_is_full(scene):
    """A function for whom a boundary is refused for want of room; on AWS a boundary always has its place."""
    function = scene.copy()
    action = "iam:PutUserPermissionsBoundary"
    scene.lab.fault(function, at_call=1, kind="error", times=99, action=action, code="LimitExceeded", status=409)
    yield function
    scene.lab.clear_faults()


def rungs(delivery):
    """The steps of the ladder that were tried, in order, each with whether it holds."""
    ladder = ("deny_all", "attach_deny_all", "deny_by_boundary", "join_deny_group")
    return [(s["step"], s["status"] == "done") for s in delivery.result["steps"] if s["step"] in ladder]


def contained(delivery):
    assert delivery.result["outcome"] in ("contained", "partial")
    assert delivery.result["cut_off_ms"] > 0
    delivery.case.check_chain()
    return True


def test_inline_full_attaches_the_deny(scene, crowded):
    delivery = scene.fire(scene.accuse(crowded.user))
    crowded.is_refused()
    assert contained(delivery)
    assert rungs(delivery) == [("deny_all", False), ("attach_deny_all", True)]
    assert DENY_ALL in crowded.attached()
    assert quotas.boundary_of(scene.lab, crowded.user) is None and crowded.groups() == []
    assert "attach_deny_all" in delivery.message["message"]
    crowded.kept_its_policies(set())


def test_the_last_place_goes_to_the_deny_and_not_to_the_marker(scene, crowded):
    quotas.fill_managed(scene.lab, crowded.user, leave=1)
    before = crowded.attached()
    delivery = scene.fire(scene.accuse(crowded.user))
    crowded.is_refused()
    assert contained(delivery)
    assert crowded.attached() == before | {DENY_ALL}


@pytest.mark.parametrize("had_boundary", [True, False])
def test_inline_and_managed_full_deny_by_the_boundary(scene, crowded, had_boundary):
    old = quotas.set_boundary(scene.lab, crowded.user) if had_boundary else None
    quotas.fill_managed(scene.lab, crowded.user)
    before = crowded.attached()
    delivery = scene.fire(scene.accuse(crowded.user))
    crowded.is_refused()
    assert contained(delivery)
    assert rungs(delivery) == [("deny_all", False), ("attach_deny_all", False), ("deny_by_boundary", True)]
    assert quotas.boundary_of(scene.lab, crowded.user) == DENY_ALL
    # What the boundary was is nowhere else any more.
    if had_boundary:
        assert old in json.dumps(delivery.case.memory)
        assert f"--permissions-boundary {old}" in delivery.message["message"]
    else:
        assert "delete-user-permissions-boundary" in delivery.message["message"]
    crowded.kept_its_policies(before)


def test_no_boundary_either_joins_the_deny_group(scene, crowded, deny_group, boundary_is_full):
    quotas.fill_managed(scene.lab, crowded.user)
    before = crowded.attached()
    delivery = scene.invoke(scene.accuse(crowded.user), boundary_is_full)
    crowded.is_refused()
    assert contained(delivery)
    assert rungs(delivery)[-2:] == [("deny_by_boundary", False), ("join_deny_group", True)]
    assert crowded.groups() == [deny_group]
    crowded.kept_its_policies(before)


def test_a_full_ladder_is_said_to_be_one(scene, crowded, deny_group, boundary_is_full):
    quotas.fill_managed(scene.lab, crowded.user)
    quotas.fill_groups(scene.lab, crowded.user)
    before = crowded.attached()
    delivery = scene.invoke(scene.accuse(crowded.user), boundary_is_full)
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("cannot_contain", "quota_full")
    assert rungs(delivery)[-1] == ("join_deny_group", False)
    assert deny_group not in crowded.groups()
    # The truth of it: the key is dead, what was minted with it is not.
    refused("InvalidClientTokenId", scene.lab.client("sns", crowded.user.key).list_topics)
    scene.lab.client("sns", crowded.session).list_topics()
    message = delivery.message
    assert "CANNOT CONTAIN" in message["subject"]
    policy = scp_in(message["message"])
    (statement,) = policy["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    (condition,) = statement["Condition"].values()
    assert condition == {"aws:PrincipalArn": crowded.user.arn}
    crowded.kept_its_policies(before)


def scp_in(text):
    """The service control policy a message offers."""
    policy, _ = json.JSONDecoder().raw_decode(text[text.index('{"Version"') :])
    return policy


def test_a_deny_group_that_was_emptied_is_no_rung(scene, crowded, deny_group, boundary_is_full):
    """Being a member of a group that no longer denies is not being denied."""
    quotas.fill_managed(scene.lab, crowded.user)
    iam = scene.lab.client("iam")
    kept = iam.get_group_policy(GroupName=deny_group, PolicyName="deny-all")["PolicyDocument"]
    harmless = policies.document(policies.allow("s3:GetObject", "arn:aws:s3:::nothing/*"))
    iam.put_group_policy(GroupName=deny_group, PolicyName="deny-all", PolicyDocument=json.dumps(harmless))
    try:
        delivery = scene.invoke(scene.accuse(crowded.user), boundary_is_full)
    finally:
        iam.put_group_policy(GroupName=deny_group, PolicyName="deny-all", PolicyDocument=json.dumps(kept))
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("cannot_contain", "quota_full")
    assert deny_group not in crowded.groups()
    assert "DenyGroupChanged" in delivery.message["message"]


# --- roles ------------------------------------------------------------------------------------------------------


WHEN_FULL = 'deny_whole_role = "when_full"'


@pytest.fixture
def full_role(scene):
    """A role whose inline policies are full, with a session that was stolen and one that was not."""
    role = seed.role(scene.lab, trust=policies.trust(account=scene.lab.account))
    quotas.fill_inline(scene.lab, role)
    return role, scene.lab.mint_session(role.arn, "m.rossi@example.com"), scene.lab.mint_session(role.arn, "a.colleague")


def test_a_full_role_is_not_denied_whole_unless_the_guardrails_say_so(scene, full_role):
    """AWSDenyAll on a role hits everyone who holds it: that outage is for a person to choose."""
    role, stolen, colleague = full_role
    delivery = scene.fire(scene.accuse_role(role))
    assert (delivery.result["outcome"], delivery.result["reason"]) == ("cannot_contain", "quota_full")
    assert quotas.boundary_of(scene.lab, role) is None
    scene.lab.client("sns", colleague).list_topics()
    scene.lab.client("sns", stolen).list_topics()
    policy = scp_in(delivery.message["message"])
    (statement,) = policy["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:userid": f"{role.id}:m.rossi@example.com"}}


def test_a_full_role_is_denied_whole_where_the_guardrails_say_so(scene, full_role):
    role, stolen, colleague = full_role
    quotas.fill_managed(scene.lab, role)
    text = scene.guardrails.replace('deny_whole_role = "never"', WHEN_FULL)
    assert WHEN_FULL in text
    with scene.guardrails_being(text):
        delivery = scene.fire(scene.accuse_role(role))
    assert contained(delivery)
    assert [s["step"] for s in delivery.result["steps"]] == ["deny_session", "attach_deny_all", "deny_by_boundary"]
    assert quotas.boundary_of(scene.lab, role) == DENY_ALL
    refused("AuthorizationError", scene.lab.client("sns", stolen).list_topics)
    refused("AuthorizationError", scene.lab.client("sns", colleague).list_topics)


def test_a_rung_that_is_taken_away_is_put_back(scene, crowded):
    """A later delivery finds the deny gone, and asserts it again where it was."""
    event = scene.accuse(crowded.user)
    assert contained(scene.fire(event))
    scene.lab.client("iam").detach_user_policy(UserName=crowded.user.name, PolicyArn=DENY_ALL)
    scene.lab.client("sns", crowded.session).list_topics()
    again = scene.fire(event)
    assert contained(again)
    assert DENY_ALL in crowded.attached()
    refused("AuthorizationError", scene.lab.client("sns", crowded.session).list_topics)
