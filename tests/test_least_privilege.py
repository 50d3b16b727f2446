"""The role in the template is enough, and nothing in it is unused (DESIGN §4, invariant 8).

Runs last (see conftest): the call record then holds what every other test made the function do. The
deliveries below use every permission once, so that this file proves the same when it runs alone.
"""

import json

import pytest
from lab import organization, policies, seed, stage
from lab.stage import FUNCTION
from lab_assertions import refused
from privileges import (
    PROBE,
    calls_of,
    check_actions_are_named,
    denied_in,
    fail_for_good,
    granted_on_everything,
    grants_in,
    name_of,
    statements_of,
    unused_of,
)


@pytest.fixture(scope="module")
def played(scene):
    """One delivery of each sort, in the function's own account and in a member's, and a failure."""
    lab = scene.lab
    for account in (lab, scene.member()):
        play(scene, account)
    # Every listed role is asked for; in the last account nobody made it.
    for number in (organization.MEMBERS[1], organization.WITHOUT_ROLE):
        scene.fire(scene.accuse(seed.user(lab.in_account(number))))
    fail_for_good(scene, scene.accuse(seed.user(lab)), FUNCTION)
    return scene


def play(scene, lab):
    """A user with a copy in Security Hub, a role, a key without a name, and each rung of the ladder."""
    user = seed.user(lab, everything=True)
    # An MFA device added with the stolen key, after the finding's first sighting.
    seed.mfa_device(lab, user, by=user.key)
    copy = scene.import_copy(scene.accuse(user, "leaked-access-key-security-hub-copy"))
    scene.fire(scene.accuse(user, finding=copy.rsplit("/", 1)[1]))
    scene.fire(scene.accuse(user))
    role = seed.role(lab, trust=policies.trust(account=lab.account))
    scene.fire(scene.accuse_role(role, "role-without-session", "nightly-export"))
    exposed = json.dumps(scene.accuse(seed.user(lab), "exposed-key-health")).replace("us-east-1", lab.region)
    exposed = json.loads(exposed.replace("7f3kQ2mWzX", user.name))
    exposed["detail"]["affectedAccount"] = lab.account
    scene.fire(exposed)
    ladder = ("iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary")
    for rung in range(len(ladder)):
        walk(scene, scene.accuse(seed.user(lab)), ladder[: rung + 1])
    ladder = ("iam:PutRolePolicy", "iam:AttachRolePolicy")
    text = scene.guardrails.replace('deny_whole_role = "never"', 'deny_whole_role = "when_full"')
    assert text != scene.guardrails
    with scene.guardrails_being(text):
        for rung in range(len(ladder)):
            role = seed.role(lab, trust=policies.trust(account=lab.account))
            walk(scene, scene.accuse_role(role, "role-without-session", "nightly-export"), ladder[: rung + 1])


def walk(scene, event, full):
    """A delivery in which these changes, all of them, meet a full quota: the first rung above them holds."""
    function = scene.copy()
    for action in full:
        for call in range(1, 10):
            scene.lab.fault(function, at_call=call, kind="error", action=action, code="LimitExceeded", status=409)
    scene.invoke(event, function)
    scene.lab.clear_faults()


def role_name(scene):
    return name_of(scene.role_arn)


def calls_of_the_role(scene):
    """Every call the function made, or Lambda made with its role, in the whole run."""
    return calls_of(scene.lab, scene.role_arn)


def calls_of_the_members_role(scene):
    return calls_of(scene.member(), stage.member_role_arn(organization.MEMBERS[0]))


def statements(scene):
    return statements_of(scene.lab, role_name(scene))


def grants(scene):
    """Every (action, resource) the role is allowed, one by one."""
    return grants_in(statements(scene))


@pytest.mark.parametrize("made_by", [calls_of_the_role, calls_of_the_members_role])
def test_role_is_enough(played, made_by):
    """Not one call was refused for want of a permission; what a fault refused was never asked of IAM."""
    assert denied_in(made_by(played)) == []


def test_everything_granted_is_used(played, capsys):
    assert unused_of("the function's role", grants(played), calls_of_the_role(played), capsys) == set()


def test_everything_granted_in_a_member_account_is_used(played, capsys):
    granted = grants_in(statements_of(played.member(), "TourniquetResponder"))
    assert unused_of("the member's role", granted, calls_of_the_members_role(played), capsys) == set()


def test_actions_are_named_one_by_one(scene):
    check_actions_are_named(statements(scene))


def test_only_what_takes_no_resource_is_granted_on_everything(scene):
    on_everything = granted_on_everything(statements(scene))
    assert on_everything == {"ReadFindingAtSource", "ReadAndNoteImportedFinding", "LookUpWhatItDid"}


def test_nothing_that_creates_or_deletes_an_identity_is_granted(scene):
    actions = {action for action, _ in grants(scene)}
    destructive = {
        a for a in actions if a.split(":")[1].startswith(("Delete", "Create", "Remove", "Detach", "Terminate"))
    }
    assert destructive == {"iam:DeleteLoginProfile", "logs:CreateLogStream", "scheduler:CreateSchedule"}


# --- with the role's own credentials ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def probe(scene):
    session = scene.lab.mint_session(scene.role_arn, PROBE)
    return lambda service: scene.lab.client(service, session)


@pytest.fixture(scope="module")
def user(scene):
    return seed.user(scene.lab)


ANY_POLICY = json.dumps(policies.document(policies.allow("*")))


MANAGED = "arn:aws:iam::aws:policy/"


def test_role_attaches_policies_that_deny_and_no_other(scene, probe, user):
    iam, role = probe("iam"), seed.role(scene.lab)
    iam.attach_user_policy(UserName=user.name, PolicyArn=MANAGED + "AWSCompromisedKeyQuarantineV2")
    iam.attach_user_policy(UserName=user.name, PolicyArn=MANAGED + "AWSDenyAll")
    iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=MANAGED + "AWSDenyAll")
    iam.attach_role_policy(RoleName=role.name, PolicyArn=MANAGED + "AWSDenyAll")
    iam.put_role_permissions_boundary(RoleName=role.name, PermissionsBoundary=MANAGED + "AWSDenyAll")
    for name in ("AdministratorAccess", "IAMFullAccess", "ReadOnlyAccess"):
        refused("AccessDenied", iam.attach_user_policy, UserName=user.name, PolicyArn=MANAGED + name)
        refused("AccessDenied", iam.attach_role_policy, RoleName=role.name, PolicyArn=MANAGED + name)
        boundary = {"PermissionsBoundary": MANAGED + name}
        refused("AccessDenied", iam.put_user_permissions_boundary, UserName=user.name, **boundary)
        refused("AccessDenied", iam.put_role_permissions_boundary, RoleName=role.name, **boundary)


def test_role_adds_users_to_the_deny_group_alone(scene, probe, user):
    iam, admins = probe("iam"), seed.unique("admins")
    scene.lab.client("iam").create_group(GroupName=admins)
    refused("AccessDenied", iam.add_user_to_group, GroupName=admins, UserName=user.name)
    iam.add_user_to_group(GroupName=scene.deny_group, UserName=user.name)
    refused("AccessDenied", scene.lab.client("iam", user.key).list_users)


def test_role_enters_listed_accounts_alone(scene, probe):
    """The role of the unlisted account trusts it just as well."""
    said = {"RoleSessionName": PROBE, "ExternalId": stage.EXTERNAL_ID}
    sts = probe("sts")
    for account in organization.MEMBERS:
        sts.assume_role(RoleArn=stage.member_role_arn(account), **said)
    refused("AccessDenied", sts.assume_role, RoleArn=stage.member_role_arn(organization.UNLISTED), **said)


@pytest.mark.parametrize("role", ["its own", "service-linked", "Identity Center"])
def test_role_writes_to_no_protected_role(scene, probe, role):
    made = {"service-linked": seed.service_linked_role, "Identity Center": seed.sso_role}
    name = made[role](scene.lab).name if role in made else role_name(scene)
    iam = probe("iam")
    refused("AccessDenied", iam.put_role_policy, RoleName=name, PolicyName="x", PolicyDocument=ANY_POLICY)
    refused("AccessDenied", iam.update_assume_role_policy, RoleName=name, PolicyDocument=ANY_POLICY)
    refused("AccessDenied", iam.delete_role_policy, RoleName=name, PolicyName="contain-identity")
    refused("AccessDenied", iam.attach_role_policy, RoleName=name, PolicyArn=MANAGED + "AWSDenyAll")
    refused(
        "AccessDenied", iam.put_role_permissions_boundary, RoleName=name, PermissionsBoundary=MANAGED + "AWSDenyAll"
    )


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("create_access_key", {}),
        ("delete_access_key", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}),
        ("create_login_profile", {"Password": "correct-horse"}),
        ("delete_user", {}),
        ("delete_user_policy", {"PolicyName": "TourniquetDenyAll"}),
        ("detach_user_policy", {"PolicyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"}),
        ("delete_user_permissions_boundary", {}),
        ("remove_user_from_group", {"GroupName": "TourniquetDenied"}),
    ],
)
def test_role_cannot_make_or_remove_credentials(probe, user, operation, arguments):
    refused("AccessDenied", getattr(probe("iam"), operation), UserName=user.name, **arguments)


def test_role_cannot_destroy_or_rewrite_evidence(scene, played, probe):
    s3, admin, bucket = probe("s3"), scene.lab.client("s3"), scene.bucket
    first = admin.list_objects_v2(Bucket=bucket, Prefix="cases/", MaxKeys=1)["Contents"][0]["Key"]
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key=first)
    version = admin.head_object(Bucket=bucket, Key=first)["VersionId"]
    refused(
        "AccessDenied", s3.delete_object, Bucket=bucket, Key=first, VersionId=version, BypassGovernanceRetention=True
    )
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="guardrails.toml", Body=b"", ChecksumAlgorithm="SHA256")
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="other", Body=b"", ChecksumAlgorithm="SHA256")
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket, Prefix="scope/")
    refused("AccessDenied", s3.list_buckets)


def test_role_uses_its_keys_through_their_services_alone(scene, probe):
    keys = [r.ref for r in scene.deployment.resources.values() if r.type == "AWS::KMS::Key"]
    assert len(keys) == 2
    for key in keys:
        refused("AccessDeniedException", probe("kms").generate_data_key, KeyId=key, KeySpec="AES_256")


def test_role_reaches_nothing_else(scene, probe, user):
    lab = scene.lab
    topic = lab.client("sns").create_topic(Name=seed.unique("other"))["TopicArn"]
    refused("AuthorizationError", probe("sns").publish, TopicArn=topic, Message="x")
    code = refused_code(probe("sqs").receive_message, QueueUrl=scene.failures)
    assert code.startswith("AccessDenied")
    role = seed.role(lab, trust=policies.trust(account=lab.account))
    refused("AccessDenied", probe("sts").assume_role, RoleArn=role.arn, RoleSessionName="next")
    detector = "12abc34d567e8fa901bc2d34e56789f0"
    refused("AccessDeniedException", probe("guardduty").archive_findings, DetectorId=detector, FindingIds=["x"])
    refused("AccessDeniedException", probe("securityhub").batch_import_findings, Findings=[minimal_finding(lab)])


def refused_code(call, **arguments):
    with pytest.raises(Exception) as raised:
        call(**arguments)
    return raised.value.response["Error"]["Code"]


def minimal_finding(lab):
    return {
        "SchemaVersion": "2018-10-08", "Id": "x", "GeneratorId": "x",
        "ProductArn": f"arn:aws:securityhub:{lab.region}::product/aws/guardduty",
        "AwsAccountId": lab.account, "CreatedAt": "2026-11-21T00:00:00Z",
        "UpdatedAt": "2026-11-21T00:00:00Z", "Severity": {"Label": "HIGH"}, "Title": "x", "Description": "x",
        "Types": ["x"], "Resources": [{"Type": "Other", "Id": "x"}],
    }  # fmt: skip
