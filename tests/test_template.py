"""The SAM template: what can be said of it without deploying it."""

import json
from pathlib import Path

import pytest

from lab.template import Resolver, intrinsics_in, load

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
ACCOUNT, REGION = "111122223333", "eu-west-1"
RULES = {"FindingFired", "RootCredentialUsed", "FindingImported", "FindingImportedV2", "ExposedKey", "PrincipalExposed", "BucketPolicyChanged"}


@pytest.fixture(scope="module")
def template():
    return load(TEMPLATE)


@pytest.fixture(scope="module")
def resources(template):
    return template["Resources"]


def of_type(resources, kind):
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def as_list(value):
    return value if isinstance(value, list) else [value]


def resolved(value):
    pseudo = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
    return Resolver({}, pseudo).resolve(value)


def statements(value):
    """Every policy statement anywhere inside a value."""
    if isinstance(value, list):
        return [s for item in value for s in statements(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if "Effect" in value and "Action" in value else []
    return own + [s for item in value.values() for s in statements(item)]


# --- rules ---------------------------------------------------------------------------------------


def test_rules_are_the_ones_the_design_names(resources):
    assert set(of_type(resources, "AWS::Events::Rule")) == RULES


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_contains_and_alerts(resources, name):
    targets = resources[name]["Properties"]["Targets"]
    assert [target["Arn"] for target in targets] == [
        {"Fn::GetAtt": ["ContainIdentity", "Arn"]},
        {"Ref": "AlertTopic"},
    ]
    for target in targets:
        assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["RuleDeadLetterQueue", "Arn"]}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


@pytest.mark.parametrize("name", sorted(RULES))
def test_pattern_is_literal_and_uses_known_operators(resources, name):
    pattern = resources[name]["Properties"]["EventPattern"]
    assert intrinsics_in(pattern) == []
    assert operators_in(pattern) <= {"prefix", "suffix", "anything-but", "numeric", "exists"}


def operators_in(node):
    """The comparison operators of a pattern; a leaf is a list of scalars or of one-operator objects."""
    found = set()
    for name, value in node.items():
        if name.startswith("$"):
            found.add(name)
        elif isinstance(value, dict):
            found |= operators_in(value)
        else:
            assert isinstance(value, list) and value, f"{name} is no leaf of a pattern"
            found |= {operator for item in value if isinstance(item, dict) for operator in item}
    return found


@pytest.mark.parametrize("name", sorted(RULES))
def test_alert_is_one_json_string_of_known_placeholders(resources, name):
    transformer = resources[name]["Properties"]["Targets"][1]["InputTransformer"]
    text = transformer["InputTemplate"]
    for placeholder in transformer["InputPathsMap"]:
        assert f"<{placeholder}>" in text
        text = text.replace(f"<{placeholder}>", "value")
    assert "<" not in text
    assert json.loads(text).startswith("Tourniquet: ")


def test_no_alert_quotes_an_access_key(resources):
    for rule in of_type(resources, "AWS::Events::Rule").values():
        for path in rule["Targets"][1]["InputTransformer"]["InputPathsMap"].values():
            assert "entityValue" not in path and "accessKey" not in path


def test_each_rule_alone_may_invoke_the_function(resources):
    permissions = of_type(resources, "AWS::Lambda::Permission").values()
    assert {p["SourceArn"]["Fn::GetAtt"][0] for p in permissions} == RULES
    assert len(permissions) == len(RULES)
    for permission in permissions:
        assert permission["Principal"] == "events.amazonaws.com"
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["SourceArn"]["Fn::GetAtt"][1] == "Arn"
        assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}


# --- privileges ----------------------------------------------------------------------------------


GRANTED = {
    "guardduty:GetFindings",
    "securityhub:GetFindings", "securityhub:BatchUpdateFindings",
    "iam:GetUser", "iam:ListAccessKeys", "iam:GetLoginProfile", "iam:ListServiceSpecificCredentials",
    "iam:ListSSHPublicKeys", "iam:ListSigningCertificates", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies",
    "iam:ListMFADevices", "iam:GetAccessKeyLastUsed", "iam:ListGroupsForUser", "iam:GetRole", "iam:GetRolePolicy",
    "iam:GetGroupPolicy",
    "iam:ListInstanceProfilesForRole", "iam:ListAttachedRolePolicies", "cloudtrail:LookupEvents", "sts:AssumeRole",
    "iam:PutUserPolicy", "iam:UpdateAccessKey", "iam:DeleteLoginProfile", "iam:UpdateServiceSpecificCredential",
    "iam:UpdateSSHPublicKey", "iam:UpdateSigningCertificate", "iam:AttachUserPolicy", "iam:PutRolePolicy",
    "iam:PutUserPermissionsBoundary", "iam:AddUserToGroup", "iam:DeactivateMFADevice",
    "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary",
    "s3:GetObject", "s3:PutObject", "s3:ListBucket",
    "kms:GenerateDataKey", "kms:Decrypt",
    "sns:Publish", "sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents",
}  # fmt: skip


def role_statements(resources, effect):
    return [s for s in statements(resources["ContainIdentityRole"]["Properties"]["Policies"]) if s["Effect"] == effect]


def test_role_grants_exactly_what_the_function_calls(resources):
    granted = [action for s in role_statements(resources, "Allow") for action in as_list(s["Action"])]
    assert set(granted) == GRANTED
    assert not [action for action in granted if "*" in action]


def test_only_what_takes_no_resource_is_granted_on_everything(resources):
    everywhere = [s for s in role_statements(resources, "Allow") if "*" in as_list(s["Resource"])]
    assert [s["Action"] for s in everywhere] == [
        "guardduty:GetFindings",
        ["securityhub:GetFindings", "securityhub:BatchUpdateFindings"],
        "cloudtrail:LookupEvents",
    ]


def test_role_can_never_change_roles_of_tourniquet(resources):
    role = resources["ContainIdentityRole"]["Properties"]
    own = f"arn:aws:iam::{ACCOUNT}:role{role['Path']}*"
    (deny,) = role_statements(resources, "Deny")
    assert own in resolved(deny["Resource"])
    assert "Condition" not in deny
    written = {a for a in GRANTED if a.startswith(("iam:Put", "iam:Attach"))}
    assert {a for a in written if "Role" in a} <= set(deny["Action"])


QUARANTINE, DENY_ALL = (f"arn:aws:iam::aws:policy/{name}" for name in ("AWSCompromisedKeyQuarantine*", "AWSDenyAll"))


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        ("iam:AttachUserPolicy", {"ArnLike": {"iam:PolicyARN": [QUARANTINE, DENY_ALL]}}),
        ("iam:AttachRolePolicy", {"ArnEquals": {"iam:PolicyARN": DENY_ALL}}),
        ("iam:PutUserPermissionsBoundary", {"StringEquals": {"iam:PermissionsBoundary": DENY_ALL}}),
        ("iam:PutRolePermissionsBoundary", {"StringEquals": {"iam:PermissionsBoundary": DENY_ALL}}),
    ],
)
def test_managed_policies_are_limited_to_those_that_deny(resources, action, condition):
    (granted,) = [s for s in role_statements(resources, "Allow") if action in as_list(s["Action"])]
    assert resolved(granted["Condition"]) == condition


def test_users_are_added_to_the_deny_group_alone(resources):
    (granted,) = [s for s in role_statements(resources, "Allow") if "iam:AddUserToGroup" in as_list(s["Action"])]
    assert granted["Resource"] == {"Fn::GetAtt": ["DenyGroup", "Arn"]}
    (denied,) = statements(resources["DenyGroup"])
    assert (denied["Effect"], denied["Action"], denied["Resource"]) == ("Deny", "*", "*")
    assert "Condition" not in denied


def test_only_the_listed_member_roles_are_assumed(resources):
    (granted,) = [s for s in role_statements(resources, "Allow") if "sts:AssumeRole" in as_list(s["Action"])]
    assert granted["Resource"] == {"Ref": "MemberRoleArns"}


def test_member_role_may_do_in_its_account_what_the_function_may_here(resources):
    """Statement by statement, less what is in the responder's account alone."""
    responder = {s["Sid"]: s for s in statements(resources["ContainIdentityRole"]["Properties"]["Policies"])}
    member = load(ROOT / "infra" / "member.yaml")["Resources"]["Responder"]["Properties"]
    theirs = {s["Sid"]: s for s in statements(member["Policies"])}
    assert theirs == {sid: responder[sid] for sid in theirs}
    assert set(responder) - set(theirs) == {
        "ReadAndNoteImportedFinding", "EnterMemberAccounts", "ReadGuardrailsAndCases", "WriteCases", "FindCases",
        "UseCaseKeyThroughS3", "Tell", "UseAlertKeyThroughSns", "HandOverWhatFailed", "Log",
    }  # fmt: skip


def test_keys_are_used_only_through_their_service(resources):
    for statement in role_statements(resources, "Allow"):
        if any(action.startswith("kms:") for action in as_list(statement["Action"])):
            assert "kms:ViaService" in statement["Condition"]["StringEquals"]


def test_function_cannot_write_its_own_guardrails(resources):
    for statement in role_statements(resources, "Allow"):
        if "s3:PutObject" in as_list(statement["Action"]):
            assert all(r["Fn::Sub"].endswith(("/cases/*", "/targets/*")) for r in statement["Resource"])


def test_only_lambda_assumes_the_role(resources):
    (trust,) = statements(resources["ContainIdentityRole"]["Properties"]["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_no_policy_of_the_template_allows_everything(resources):
    for statement in statements(resources):
        if statement["Effect"] == "Allow":
            assert not [action for action in as_list(statement["Action"]) if action == "*" or action.endswith(":*")]
            assert statement.get("Principal") != "*"


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"])
def test_resources_refuse_plain_http(resources, kind):
    policies = of_type(resources, kind)
    assert policies
    for policy in policies.values():
        denied = [s for s in statements(policy) if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [s.get("Condition") for s in denied]


def test_nobody_but_the_function_writes_cases(resources):
    (policy,) = of_type(resources, "AWS::S3::BucketPolicy").values()
    by_sid = {statement["Sid"]: statement for statement in statements(policy)}
    cases = by_sid["OnlyTheFunctionWritesCases"]
    assert cases["Effect"] == "Deny" and cases["Principal"] == "*"
    assert {"s3:PutObject", "s3:DeleteObject", "s3:BypassGovernanceRetention"} <= set(cases["Action"])
    assert cases["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["ContainIdentityRole", "Arn"]}}
    }
    assert by_sid["NobodyDeletesGuardrails"]["Effect"] == "Deny"
    assert by_sid["OnlyTheseWriteGuardrails"]["Condition"] == {
        "ArnNotLike": {"aws:PrincipalArn": {"Ref": "GuardrailsWriterArn"}}
    }


def test_evidence_outlives_the_stack(resources):
    for name in ("CaseBucket", "CaseBucketPolicy", "CaseKey"):
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Retain"
