"""GetFederationToken: what a federated user may do is what its issuer and its session policy both allow."""

import pytest
from botocore.exceptions import ParamValidationError
from lab import policies, quotas, seed
from lab_assertions import put_policy, refused

BUCKETS = policies.document(policies.allow("s3:ListAllMyBuckets"))
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


@pytest.fixture
def user(lab):
    return seed.user(lab)


@pytest.fixture
def session(lab, user):
    """A federated session that works, of a user of its own."""
    credentials = lab.federation_token(user.key, "reporter", BUCKETS)
    lab.client("s3", credentials).list_buckets()
    return credentials


def test_a_federated_user_is_named_for_its_session(lab, session):
    assert session["AccessKeyId"].startswith("ASIA")
    identity = lab.client("sts", session).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{lab.account}:federated-user/reporter"
    assert identity["UserId"] == f"{lab.account}:reporter"


def test_it_may_do_what_both_allow(lab, session):
    refused("AuthorizationError", lab.client("sns", session).list_topics)
    poor = seed.user(lab, policy=policies.document(policies.allow(["sts:GetFederationToken", "sns:ListTopics"])))
    wide = lab.federation_token(poor.key, "reporter", policies.ADMINISTRATOR)
    lab.client("sns", wide).list_topics()
    refused("AccessDenied", lab.client("s3", wide).list_buckets)


def test_without_a_session_policy_it_may_do_nothing(lab, user):
    refused("AccessDenied", lab.client("s3", lab.federation_token(user.key, "reporter")).list_buckets)


def inline(lab, user):
    put_policy(lab, user, "deny", policies.DENY_ALL)


def attached(lab, user):
    lab.client("iam").attach_user_policy(UserName=user.name, PolicyArn=DENY_ALL)


def boundary(lab, user):
    quotas.set_boundary(lab, user, DENY_ALL)


def group(lab, user):
    quotas.join(lab, user, quotas.group(lab, policy=policies.DENY_ALL))


@pytest.mark.parametrize("deny", [inline, attached, boundary, group])
def test_a_deny_on_the_issuer_refuses_it(lab, user, session, deny):
    deny(lab, user)
    refused("AccessDenied", lab.client("s3", session).list_buckets)


def test_a_dead_key_of_the_issuer_does_not(lab, user, session):
    key = user.key["AccessKeyId"]
    lab.client("iam").update_access_key(UserName=user.name, AccessKeyId=key, Status="Inactive")
    lab.client("s3", session).list_buckets()


def test_a_deny_on_an_iam_user_of_the_same_name_does_not(lab, user):
    namesake = seed.user(lab, name=seed.unique("ci"))
    credentials = lab.federation_token(user.key, namesake.name, BUCKETS)
    inline(lab, namesake)
    lab.client("s3", credentials).list_buckets()


def test_it_may_not_call_iam_nor_get_sessions(lab, user):
    everything = lab.federation_token(user.key, "reporter", policies.ADMINISTRATOR)
    refused("AccessDenied", lab.client("iam", everything).list_users)
    role = seed.role(lab, trust=policies.trust(account=lab.account))
    sts = lab.client("sts", everything)
    refused("AccessDenied", sts.assume_role, RoleArn=role.arn, RoleSessionName="next")
    refused("AccessDenied", sts.get_federation_token, Name="another")
    refused("AccessDenied", sts.get_session_token)


def test_who_may_federate(lab):
    powerless = seed.user(lab, policy=None)
    refused("AccessDenied", lab.client("sts", powerless.key).get_federation_token, Name="reporter")
    role = seed.role(lab)
    session = lab.mint_session(role.arn, "somebody")
    refused("AccessDenied", lab.client("sts", session).get_federation_token, Name="reporter")


def test_names_and_durations_have_limits(lab, user):
    sts = lab.client("sts", user.key)
    refused("ValidationError", sts.get_federation_token, Name="x" * 33)
    refused("ValidationError", sts.get_federation_token, Name="with space")
    refused("ValidationError", sts.get_federation_token, Name="reporter", DurationSeconds=129601)
    refused("ValidationError", sts.get_session_token, DurationSeconds=129601)
    with pytest.raises(ParamValidationError):
        sts.get_federation_token(Name="x")
    assert sts.get_federation_token(Name="reporter", DurationSeconds=129600)
