"""Principals of member accounts: contained through the role there, and nowhere the list does not say."""

import json

import pytest
from lab import organization, policies, seed, stage
from lab_assertions import refused

LISTED, SECOND = organization.MEMBERS
OWN_ROLE = "this is Tourniquet's own role: the responder never contains itself"


def assumed(delivery):
    """The roles the function asked STS for, one by one."""
    return [c["resource"] for c in delivery.calls(service="sts", action="AssumeRole")]


def untouched(delivery, outcome, reason):
    """Nothing was written to any account's IAM; people were told once."""
    assert delivery.writes() == []
    assert (delivery.result["outcome"], delivery.result.get("reason")) == (outcome, reason)
    assert delivery.result["steps"] == [] and "cut_off_ms" not in delivery.result
    delivery.case.check_chain()
    return delivery.message["message"]


def key_states(lab, user):
    return {key["Status"] for key in lab.client("iam").list_access_keys(UserName=user.name)["AccessKeyMetadata"]}


# --- contained ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_user_of_a_member_account_is_contained(scene, number):
    """As the delegated administrator gets the finding: envelope its own account's, detail the member's."""
    member = scene.member(number)
    user = seed.user(member, keys=2, everything=True)
    console = member.sign_in(user.name, user.password)
    event = scene.accuse(user)
    assert (event["account"], event["detail"]["accountId"]) == (scene.lab.account, member.account)
    delivery = scene.fire(event)
    assert delivery.result["outcome"] == "contained"
    assert delivery.result["target"]["arn"] == user.arn
    for key in user.keys:
        refused("InvalidAccessKeyId", member.client("s3", key).list_buckets)
        refused("InvalidClientTokenId", member.client("iam", key).list_users)
    refused("AccessDenied", member.client("s3", user.session).list_buckets)
    refused("AccessDenied", member.client("s3", console).list_buckets)
    assert key_states(member, user) == {"Inactive"}
    assert member.account in delivery.message["message"]
    delivery.case.check_chain()


def test_role_session_of_a_member_account_is_contained(scene):
    member = scene.member()
    role = seed.role(member, trust=policies.trust(account=member.account))
    stolen = member.mint_session(role.arn, "m.rossi@example.com")
    colleague = member.mint_session(role.arn, "alice@example.com")
    delivery = scene.fire(scene.accuse_role(role))
    assert delivery.result["outcome"] == "contained"
    refused("AccessDenied", member.client("s3", stolen).list_buckets)
    member.client("s3", colleague).list_buckets()


def test_everything_about_the_principal_goes_through_the_members_role(scene):
    """And nothing else does: the case, Security Hub and the message are the responder's own."""
    user = seed.user(scene.member(), everything=True)
    delivery = scene.fire(scene.accuse(user))
    roles = {service: set() for service in ("iam", "guardduty", "s3", "securityhub", "sns", "sts")}
    for call in delivery.calls():
        if call["service"] in roles:
            roles[call["service"]].add((call["account"], call["role"]))
    there, here = (LISTED, stage.member_role_arn(LISTED)), (scene.lab.account, scene.role_arn)
    assert roles["iam"] == roles["guardduty"] == {there}
    assert roles["s3"] == roles["sns"] == roles["securityhub"] == {here}
    assert roles["sts"] <= {here}


def test_namesake_in_the_responders_account_is_left_alone(scene):
    """The same name in both accounts: the one of the finding's account is meant."""
    name = seed.unique("svc-shared")
    namesake, user = seed.user(scene.lab, name), seed.user(scene.member(), name)
    assert scene.fire(scene.accuse(user)).result["outcome"] == "contained"
    refused("InvalidClientTokenId", scene.lab.client("iam", user.key).list_users)
    scene.lab.client("iam", namesake.key).list_users()
    assert key_states(scene.lab, namesake) == {"Active"}


# --- what it costs ------------------------------------------------------------------------------------------------


def test_one_more_dependent_call_when_cold_and_none_when_warm(scene):
    """AssumeRole once for each account and environment; its session serves later findings."""
    function = scene.copy()
    seen = []
    for number in (0, 0, 1, 0):
        delivery = scene.invoke(scene.accuse(seed.user(scene.member(number))), function)
        assert delivery.result["outcome"] == "contained"
        seen.append((delivery.attempts[0]["cold"], assumed(delivery), delivery.result["cut_off_calls"]))
    first, second = stage.member_role_arn(LISTED), stage.member_role_arn(SECOND)
    assert seen == [(True, [first], 3), (False, [], 2), (False, [second], 3), (False, [], 2)]


def test_own_account_needs_no_role_of_anybody(scene):
    delivery = scene.invoke(scene.accuse(seed.user(scene.lab)), scene.copy())
    assert (delivery.result["outcome"], assumed(delivery)) == ("contained", [])
    assert delivery.result["cut_off_calls"] == 2


def test_side_by_side_targets_make_one_session(scene):
    """Two findings in one event about two users of one account."""
    function, member = scene.copy(), scene.member()
    users = [seed.user(member), seed.user(member)]
    deliveries = [scene.start(scene.accuse(user), function) for user in users]
    for user, delivery in zip(users, deliveries, strict=True):
        assert delivery.wait().result["outcome"] == "contained"
        assert len(assumed(delivery)) <= 1
        refused("InvalidClientTokenId", member.client("iam", user.key).list_users)


# --- not entered ----------------------------------------------------------------------------------------------------


def test_account_that_is_not_listed_is_never_entered(scene):
    """The role is there and would let the function in: the list decides, and STS is not even asked."""
    unlisted = scene.lab.in_account(organization.UNLISTED)
    user = seed.user(unlisted)
    delivery = scene.fire(scene.accuse(user))
    untouched(delivery, "cannot_contain", "foreign_account")
    assert assumed(delivery) == []
    assert {c["account"] for c in delivery.calls()} == {scene.lab.account}
    unlisted.client("iam", user.key).list_users()


def test_without_a_list_no_account_is_entered(scene):
    user = seed.user(scene.member())
    alone = scene.copy(environment={"MEMBER_ROLE_ARNS": "", "MEMBER_EXTERNAL_ID": ""})
    delivery = scene.invoke(scene.accuse(user), alone)
    untouched(delivery, "cannot_contain", "foreign_account")
    assert assumed(delivery) == []


@pytest.mark.parametrize("external_id", ["not-the-agreed-one", ""])
def test_wrong_external_id_changes_nothing_and_is_told(scene, external_id):
    member = scene.member()
    user = seed.user(member)
    function = scene.copy(environment={"MEMBER_EXTERNAL_ID": external_id})
    delivery = scene.invoke(scene.accuse(user), function)
    assert "member.yaml" in untouched(delivery, "cannot_contain", "no_access")
    assert {c["decision"] for c in delivery.calls(service="sts")} == {"allow"}, "its own policy lets it ask"
    assert {c["error"] for c in delivery.calls(service="sts")} == {"AccessDenied"}
    member.client("iam", user.key).list_users()


def test_member_without_the_role_is_told(scene):
    """Listed, but nobody deployed member.yaml there, or somebody removed it."""
    bare = scene.lab.in_account(organization.WITHOUT_ROLE)
    user = seed.user(bare)
    delivery = scene.fire(scene.accuse(user))
    assert "member.yaml" in untouched(delivery, "cannot_contain", "no_access")
    assert set(assumed(delivery)) == {stage.member_role_arn(organization.WITHOUT_ROLE)}
    bare.client("iam", user.key).list_users()


def test_passing_trouble_of_sts_is_tried_again(scene):
    member, function = scene.member(), scene.copy(retry_delays_ms=[10, 10])
    user = seed.user(member)
    scene.lab.fault(function, at_call=1, kind="throttle", action="sts:AssumeRole")
    try:
        delivery = scene.invoke(scene.accuse(user), function)
    finally:
        scene.lab.clear_faults()
    assert delivery.result["outcome"] == "contained"
    assert [c["decision"] for c in delivery.calls(service="sts")] == ["fault", "allow"]
    refused("InvalidClientTokenId", member.client("iam", user.key).list_users)


# --- protected ------------------------------------------------------------------------------------------------------


def test_own_role_in_a_member_account_is_never_contained(scene):
    member = scene.member()
    made = member.client("iam").get_role(RoleName="TourniquetResponder")["Role"]
    own = seed.Role(made["RoleName"], made["Arn"], made["RoleId"])
    untouched(scene.fire(scene.accuse_role(own, "responder-role", "contain-identity-role")), "skipped", OWN_ROLE)


def test_guardrails_protect_a_principal_of_a_member_account(scene):
    """By ARN: the namesake in the other member is not meant."""
    name = seed.unique("break-glass")
    protected, namesake = seed.user(scene.member(0), name), seed.user(scene.member(1), name)
    rule = f'\n[[protect]]\narn = "{protected.arn}"\nbecause = "their way back in"\n'
    with scene.guardrails_being(scene.guardrails + rule):
        untouched(scene.fire(scene.accuse(protected)), "skipped", "protected: their way back in")
        assert scene.fire(scene.accuse(namesake)).result["outcome"] == "contained"
    scene.member(0).client("iam", protected.key).list_users()
    refused("InvalidClientTokenId", scene.member(1).client("iam", namesake.key).list_users)


def test_containment_that_nobody_can_look_at_any_more_is_not_called_contained(scene):
    """A second administrator breaks the way in, and takes the deny away: the next finding must say so."""
    member = scene.member(1)
    user = seed.user(member)
    first = scene.fire(scene.accuse(user))
    assert first.result["outcome"] == "contained"
    iam, role = member.client("iam"), stage.member_role_arn(member.account).rsplit("/", 1)[1]
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(policies.trust(service="ec2.amazonaws.com")))
    try:
        # A process of its own: the warm one still holds a session.
        again = scene.invoke(scene.accuse(user), scene.copy())
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    assert again.result["case"] == first.result["case"]
    assert again.result["outcome"] == "partial" and "cannot be entered" in again.result["reason"]
    assert again.message
