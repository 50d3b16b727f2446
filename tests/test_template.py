"""The SAM template: what can be said of it without deploying it."""

import json
from pathlib import Path

import pytest

from lab.plugin.patterns import matches
from lab.template import Resolver, intrinsics_in, load

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
ACCOUNT, REGION, FORENSICS = "111122223333", "eu-west-1", "555566667777"
MEMBERS = ("333344445555", "777788889999")
IDENTITY, INSTANCE, SEAL, RECHECK = "ContainIdentity", "ContainInstance", "SealSnapshot", "Recheck"
RELEASE = "Release"
REGISTER = "RegisterActions"
"""No part of it contains anything: it knows no case, no key and no guardrails."""
FUNCTIONS = {
    IDENTITY: "contain-identity", INSTANCE: "contain-instance", SEAL: "seal-snapshot", RECHECK: "recheck", RELEASE: "release",
}  # fmt: skip
ALERTING = {
    "FindingFired": IDENTITY,
    "RootCredentialUsed": IDENTITY,
    "FindingImported": IDENTITY,
    "FindingImportedV2": IDENTITY,
    "ExposedKey": IDENTITY,
    "PrincipalExposed": IDENTITY,
    "BucketPolicyChanged": IDENTITY,
    "InstanceFindingFired": INSTANCE,
    "InstanceFindingImported": INSTANCE,
    "InstanceFindingImportedV2": INSTANCE,
    "IdentityButton": IDENTITY,
    "InstanceButton": INSTANCE,
}
BUTTONS = {"IdentityButton": IDENTITY, "InstanceButton": INSTANCE, "ReleaseButton": RELEASE}
# The first line to the responders is FindingFired's; and a snapshot that is ready alarms nobody.
# What a release shows is its own message.
SILENT = {
    "InstanceAccusedToo": INSTANCE, "SnapshotReady": SEAL, "MemberSnapshotReady": SEAL, "CopyReady": SEAL,
    "ReleaseButton": RELEASE,
}  # fmt: skip
RULES = {**ALERTING, **SILENT}


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
    pseudo = {
        "AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com",
    }  # fmt: skip
    role = f"arn:aws:iam::{FORENSICS}:role/tourniquet/TourniquetForensics-{REGION}"
    members = [f"arn:aws:iam::{account}:role/tourniquet/TourniquetEvidence" for account in MEMBERS]
    return Resolver({"ForensicsRoleArn": role, "MemberEvidenceRoleArns": members}, pseudo).resolve(value)


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
    assert set(of_type(resources, "AWS::Events::Rule")) == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_goes_to_its_function_and_alerts_once(resources, name):
    targets = resources[name]["Properties"]["Targets"]
    function = [{"Fn::GetAtt": [RULES[name], "Arn"]}]
    assert [target["Arn"] for target in targets] == function + ([{"Ref": "AlertTopic"}] if name in ALERTING else [])
    for target in targets:
        assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["RuleDeadLetterQueue", "Arn"]}
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0


@pytest.mark.parametrize("name", sorted(RULES))
def test_pattern_is_literal_and_uses_known_operators(resources, name):
    pattern = dict(resources[name]["Properties"]["EventPattern"])
    if RULES[name] == SEAL:
        # Whose snapshots is known at deployment alone.
        assert pattern.pop("account")
    if name in BUTTONS:
        # Nor whose buttons.
        assert pattern.pop("resources")
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


@pytest.mark.parametrize("name", sorted(ALERTING))
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
        for target in rule["Targets"][1:]:
            for path in target["InputTransformer"]["InputPathsMap"].values():
                assert "entityValue" not in path and "accessKey" not in path


def test_each_rule_alone_may_invoke_its_function(resources):
    permissions = of_type(resources, "AWS::Lambda::Permission").values()
    assert {p["SourceArn"]["Fn::GetAtt"][0]: p["FunctionName"]["Ref"] for p in permissions} == RULES
    assert len(permissions) == len(RULES)
    for permission in permissions:
        assert permission["Principal"] == "events.amazonaws.com"
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["SourceArn"]["Fn::GetAtt"][1] == "Arn"
        assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_every_rule_may_send_what_it_could_not_deliver(resources):
    (sends,) = [s for s in statements(resources["RuleDeadLetterQueuePolicy"]) if s["Effect"] == "Allow"]
    arns = sends["Condition"]["ArnEquals"]["aws:SourceArn"]
    named = [arn["Fn::If"][1] if "Fn::If" in arn else arn for arn in arns]
    assert {arn["Fn::GetAtt"][0] for arn in named} == set(RULES)


def test_only_what_needs_the_forensics_account_hangs_on_it(template, resources):
    hanging = {name for name, resource in resources.items() if resource.get("Condition") == "HasForensicsAccount"}
    assert hanging == {"CopyReady", "CopyReadyInvokes", "ForensicsAccountSends"}
    hanging = {name for name, resource in resources.items() if resource.get("Condition") == "EntersMembersForEvidence"}
    assert hanging == {"MemberSnapshotReady", "MemberSnapshotReadyInvokes", "MemberAccountsSend"}


def test_only_what_the_buttons_need_hangs_on_them(resources):
    hanging = {name for name, resource in resources.items() if resource.get("Condition") == "HasButtons"}
    assert hanging == {
        "RegisterActions", "RegisterActionsLogs", "RegisterActionsRole", "SecurityHubActions", "RegisterActionsErrorsAlarm",
        "RegisterActionsThrottlesAlarm", *BUTTONS, *(f"{rule}Invokes" for rule in BUTTONS),
    }  # fmt: skip


def test_every_failure_of_a_function_alarms(resources):
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    watched = [(a["MetricName"], a["Dimensions"][0]["Value"]["Ref"]) for a in alarms if a["Namespace"] == "AWS/Lambda"]
    functions = (*FUNCTIONS, REGISTER)
    assert sorted(watched) == sorted((metric, name) for metric in ("Errors", "Throttles") for name in functions)
    assert all(alarm["AlarmActions"] == [{"Ref": "AlertTopic"}] for alarm in alarms)


OUTCOMES = {"contained", "partial", "contested", "cannot_contain", "proposed", "skipped", "observed"}
METRICS = {"Results", "FirstSeenToCut", "EventToCut", "HandlerToCut", "HandlerToVerified"}
"""What the functions write, in `shared/src/report/metrics.rs` and `timing.rs`."""


def test_dashboard_shows_every_metric_and_every_outcome(resources):
    (dashboard,) = of_type(resources, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(dashboard["DashboardBody"]["Fn::Sub"])
    shown = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
    plain = [metric for metric in shown if metric[0] == "Tourniquet"]
    assert {metric[1] for metric in plain} == METRICS
    assert {metric[3] for metric in plain if metric[1] == "Results"} == OUTCOMES
    assert all(metric[2] == "Outcome" and metric[3] in OUTCOMES for metric in plain)


def test_whatever_is_not_contained_alarms_and_a_slow_cut_too(resources):
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    left = alarms["NotContainedAlarm"]
    assert (left["Namespace"], left["MetricName"], left.get("Dimensions")) == ("Tourniquet", "NotContained", None)
    slow = alarms["SlowCutAlarm"]
    assert (slow["Namespace"], slow["MetricName"]) == ("Tourniquet", "HandlerToCut")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_protects_all_roles_and_hands_over_what_failed(resources, name):
    function = resources[name]["Properties"]
    assert function["FunctionName"] == resources[name]["Metadata"]["BuildProperties"]["Binary"] == FUNCTIONS[name]
    own = function["Environment"]["Variables"]["PROTECTED_ARNS"]["Fn::Join"][1]
    assert own == [{"Fn::GetAtt": [f"{other}Role", "Arn"]} for other in FUNCTIONS]
    invoked = function["EventInvokeConfig"]
    assert invoked["MaximumRetryAttempts"] == 2
    assert invoked["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["OnFailureQueue", "Arn"]}
    assert function["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
    assert resources[f"{name}Logs"]["Properties"]["LogGroupName"] == f"/aws/lambda/{FUNCTIONS[name]}"


GUARDDUTY = {
    "a finding about an instance": ({"resource": {"resourceType": "Instance"}}, {"InstanceFindingFired"}),
    "its credentials used elsewhere": (
        {
            "resource": {"resourceType": "AccessKey"},
            "type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        },
        {"FindingFired", "InstanceAccusedToo"},
    ),
    "the same, filed under the instance": (
        {
            "resource": {"resourceType": "Instance"},
            "type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        },
        {"InstanceFindingFired"},
    ),
    "an attack sequence of instances": (
        {"resource": {"resourceType": "AttackSequence"}, "type": "AttackSequence:EC2/CompromisedInstanceGroup"},
        {"FindingFired", "InstanceAccusedToo"},
    ),
    "an attack sequence of identities": (
        {"resource": {"resourceType": "AttackSequence"}, "type": "AttackSequence:IAM/CompromisedCredentials"},
        {"FindingFired"},
    ),
    "a finding about a key": ({"resource": {"resourceType": "AccessKey"}}, {"FindingFired"}),
    "one of low severity": ({"resource": {"resourceType": "Instance"}, "severity": 3.9}, set()),
    "an archived one": ({"resource": {"resourceType": "Instance"}, "service": {"archived": True}}, set()),
    "one about a cluster": ({"resource": {"resourceType": "EKSCluster"}}, set()),
}


@pytest.mark.parametrize("case", GUARDDUTY)
def test_guardduty_finding_reaches_the_functions_it_concerns(resources, case):
    said, rules = GUARDDUTY[case]
    detail = {"type": "CryptoCurrency:EC2/BitcoinTool.B", "severity": 5, "service": {"archived": False}, **said}
    assert matching(resources, {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": detail}) == rules
    assert len({RULES[rule] for rule in rules}) == len(rules), "no function is told twice"
    assert len(rules & set(ALERTING)) == min(1, len(rules)), "one alert"


def imported(*types, product="Own scanner", status="NEW"):
    finding = {
        "ProductName": product,
        "Workflow": {"Status": status},
        "RecordState": "ACTIVE",
        "Severity": {"Label": "HIGH"},
        "Resources": [{"Type": kind} for kind in types],
    }
    detail = {"findings": [finding]}
    return {"source": "aws.securityhub", "detail-type": "Security Hub Findings - Imported", "detail": detail}


def imported_v2(*types):
    finding = {
        "class_uid": 2004,
        "severity_id": 4,
        "status": "New",
        "metadata": {"product": {"name": "Own scanner"}},
        "resources": [{"type": kind} for kind in types],
    }
    return {"source": "aws.securityhub", "detail-type": "Findings Imported V2", "detail": {"findings": [finding]}}


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        (imported("AwsEc2Instance"), {"InstanceFindingImported"}),
        (imported("AwsIamUser"), {"FindingImported"}),
        (imported("AwsIamRole", "AwsEc2Instance"), {"FindingImported", "InstanceFindingImported"}),
        (imported("AwsS3Bucket"), set()),
        (imported("AwsEc2Instance", product="GuardDuty"), set()),
        (imported("AwsEc2Instance", status="NOTIFIED"), set()),
        (imported_v2("AWS::EC2::Instance"), {"InstanceFindingImportedV2"}),
        (imported_v2("AwsEc2Instance"), {"InstanceFindingImportedV2"}),
        (imported_v2("AWS::IAM::User"), {"FindingImportedV2"}),
    ],
)
def test_imported_finding_reaches_the_functions_it_concerns(resources, event, rules):
    assert matching(resources, event) == rules


def pressed(action, *types, account=ACCOUNT, region=REGION, **finding):
    finding = {"Resources": [{"Type": kind} for kind in types], **finding}
    detail = {"actionName": "Contain", "actionDescription": "", "findings": [finding]}
    arn = f"arn:aws:securityhub:{region}:{account}:action/custom/{action}"
    kind = "Security Hub Findings - Custom Action"
    return {"source": "aws.securityhub", "detail-type": kind, "resources": [arn], "detail": detail}


SETTLED = {"RecordState": "ARCHIVED", "Workflow": {"Status": "RESOLVED"}, "Severity": {"Label": "LOW"}}


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        (pressed("TourniquetContain", "AwsIamAccessKey"), {"IdentityButton"}),
        (pressed("TourniquetPropose", "AwsIamUser"), {"IdentityButton"}),
        (pressed("TourniquetContain", "AwsEc2Instance"), {"InstanceButton"}),
        (pressed("TourniquetPropose", "AwsEc2Instance"), {"InstanceButton"}),
        (pressed("TourniquetContain", "AwsIamRole", "AwsEc2Instance"), {"IdentityButton", "InstanceButton"}),
        (pressed("TourniquetContain", "AwsS3Bucket"), set()),
        # A finding as GuardDuty's own copy has it: without Compliance, whatever its state.
        (pressed("TourniquetContain", "AwsIamUser", ProductName="GuardDuty", **SETTLED), {"IdentityButton"}),
        (pressed("TourniquetContain", "AwsIamUser", Compliance={"Status": "FAILED"}), {"IdentityButton"}),
        (pressed("TourniquetRelease", "AwsIamUser", "AwsEc2Instance"), {"ReleaseButton"}),
        (pressed("TourniquetRelease", "AwsS3Bucket"), {"ReleaseButton"}),
        (pressed("Contain", "AwsIamUser"), set()),
        (pressed("TourniquetContain2", "AwsIamUser"), set()),
        (pressed("TourniquetContain", "AwsIamUser", account=MEMBERS[0]), set()),
        (pressed("TourniquetContain", "AwsIamUser", region="us-east-1"), set()),
    ],
)
def test_a_button_reaches_the_functions_it_concerns(resources, event, rules):
    assert matching(resources, event) == rules


def test_the_second_of_several_findings_is_seen_too(resources):
    event = pressed("TourniquetContain", "AwsS3Bucket")
    event["detail"]["findings"] += pressed("TourniquetContain", "AwsEc2Instance")["detail"]["findings"]
    assert matching(resources, event) == {"InstanceButton"}


def test_buttons_take_the_resources_that_the_imported_rules_take(resources):
    def types(rule):
        return resources[rule]["Properties"]["EventPattern"]["detail"]["findings"]["Resources"]["Type"]

    assert types("IdentityButton") == types("FindingImported")
    assert types("InstanceButton") == types("InstanceFindingImported")


def snapshot_event(event, result="succeeded", account=ACCOUNT, kind="EBS Snapshot Notification"):
    detail = {"event": event, "result": result}
    return {"source": "aws.ec2", "detail-type": kind, "account": account, "detail": detail}


MULTI = "EBS Multi-Volume Snapshots Completion Status"


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        (snapshot_event("createSnapshot"), {"SnapshotReady"}),
        (snapshot_event("createSnapshot", "failed"), {"SnapshotReady"}),
        (snapshot_event("copySnapshot", "failed"), {"SnapshotReady"}),
        (snapshot_event("createSnapshots", kind=MULTI), {"SnapshotReady"}),
        (snapshot_event("deleteSnapshot"), set()),
        (snapshot_event("shareSnapshot"), set()),
        (snapshot_event("copySnapshot", account=FORENSICS), {"CopyReady"}),
        (snapshot_event("copySnapshot", "failed", account=FORENSICS), {"CopyReady"}),
        (snapshot_event("createSnapshot", account=FORENSICS), set()),
        (snapshot_event("createSnapshot", account=MEMBERS[0]), {"MemberSnapshotReady"}),
        (snapshot_event("createSnapshots", "failed", MEMBERS[1], MULTI), {"MemberSnapshotReady"}),
        (snapshot_event("copySnapshot", account=MEMBERS[1]), {"MemberSnapshotReady"}),
        (snapshot_event("deleteSnapshot", account=MEMBERS[1]), set()),
        (snapshot_event("copySnapshot", account="999900001111"), set()),
    ],
)
def test_snapshot_that_is_ready_is_sealed(resources, event, rules):
    assert matching(resources, event) == rules


def matching(resources, event):
    """The rules that EventBridge would find for an event."""
    event = {"account": ACCOUNT, **event}
    rules = of_type(resources, "AWS::Events::Rule")
    return {name for name, rule in rules.items() if matches(resolved(rule["EventPattern"]), event)}


# --- privileges ----------------------------------------------------------------------------------


EVERY_FUNCTION = {
    "s3:GetObject", "s3:PutObject", "s3:ListBucket",
    "kms:GenerateDataKey", "kms:Decrypt",
    "sns:Publish", "sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents",
    "sts:AssumeRole",
}  # fmt: skip
# What only a release takes off: policies and boundaries of this product's own, by IAM's conditions where it has any.
TAKES_OFF = {
    "iam:DeleteUserPolicy", "iam:DeleteRolePolicy", "iam:DetachUserPolicy", "iam:DetachRolePolicy",
    "iam:DeleteUserPermissionsBoundary", "iam:DeleteRolePermissionsBoundary", "iam:RemoveUserFromGroup",
}  # fmt: skip
GRANTED = {
    IDENTITY: EVERY_FUNCTION | {
        "guardduty:GetFindings",
        "securityhub:GetFindings", "securityhub:BatchUpdateFindings",
        "iam:GetUser", "iam:ListAccessKeys", "iam:GetLoginProfile", "iam:ListServiceSpecificCredentials",
        "iam:ListSSHPublicKeys", "iam:ListSigningCertificates", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies",
        "iam:ListMFADevices", "iam:GetAccessKeyLastUsed", "iam:ListGroupsForUser", "iam:GetRole", "iam:GetRolePolicy",
        "iam:GetGroupPolicy",
        "iam:ListInstanceProfilesForRole", "iam:ListAttachedRolePolicies", "cloudtrail:LookupEvents",
        "iam:PutUserPolicy", "iam:UpdateAccessKey", "iam:DeleteLoginProfile", "iam:UpdateServiceSpecificCredential",
        "iam:UpdateSSHPublicKey", "iam:UpdateSigningCertificate", "iam:AttachUserPolicy", "iam:PutRolePolicy",
        "iam:PutUserPermissionsBoundary", "iam:AddUserToGroup", "iam:DeactivateMFADevice",
        "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary",
    },
    INSTANCE: EVERY_FUNCTION | {
        "guardduty:GetFindings",
        "securityhub:GetFindings", "securityhub:BatchUpdateFindings",
        "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses",
        "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots", "ec2:DescribeInstanceAttribute", "ec2:GetConsoleOutput", "ec2:GetConsoleScreenshot",
        "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeAutoScalingGroups", "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
        "ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress", "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:ModifyInstanceAttribute", "ec2:DisassociateAddress",
        "ec2:CreateSnapshots", "ec2:CreateSnapshot", "ec2:LockSnapshot",
        "autoscaling:SetInstanceProtection", "autoscaling:EnterStandby", "autoscaling:DetachInstances",
        "elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        "iam:GetInstanceProfile", "iam:GetRolePolicy", "iam:PutRolePolicy",
    },
    RECHECK: EVERY_FUNCTION | {
        "iam:GetUser", "iam:ListAccessKeys", "iam:GetLoginProfile", "iam:ListServiceSpecificCredentials",
        "iam:ListSSHPublicKeys", "iam:ListSigningCertificates", "iam:ListMFADevices", "iam:GetUserPolicy",
        "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser", "iam:GetRole", "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:GetInstanceProfile",
        "ec2:DescribeInstances", "ec2:DescribeInstanceAttribute", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses",
        "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules",
        "autoscaling:DescribeAutoScalingInstances", "elasticloadbalancing:DescribeLoadBalancers",
        "cloudtrail:LookupEvents", "lambda:InvokeFunction",
    },
    RELEASE: EVERY_FUNCTION | {
        "securityhub:GetFindings", "securityhub:BatchUpdateFindings",
        "iam:GetUser", "iam:ListAccessKeys", "iam:GetLoginProfile", "iam:ListServiceSpecificCredentials",
        "iam:ListSSHPublicKeys", "iam:ListSigningCertificates", "iam:ListMFADevices", "iam:GetUserPolicy",
        "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser", "iam:GetRole", "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:GetInstanceProfile",
        "ec2:DescribeInstances", "ec2:DescribeInstanceAttribute", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses",
        "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules",
        "autoscaling:DescribeAutoScalingInstances", "elasticloadbalancing:DescribeLoadBalancers",
        "iam:PutUserPolicy", "iam:PutRolePolicy",
        "iam:UpdateAccessKey", "iam:UpdateServiceSpecificCredential", "iam:UpdateSSHPublicKey",
        "iam:UpdateSigningCertificate", "iam:PutUserPermissionsBoundary", "iam:PutRolePermissionsBoundary",
        "ec2:ModifyNetworkInterfaceAttribute", "ec2:ModifyInstanceAttribute", "ec2:AssociateAddress",
        "autoscaling:SetInstanceProtection", "autoscaling:ExitStandby", "autoscaling:AttachInstances",
        "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
    } | TAKES_OFF,
    SEAL: EVERY_FUNCTION | {
        "ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots", "ec2:LockSnapshot", "ec2:CreateTags", "ec2:CopySnapshot",
        "ec2:ModifySnapshotAttribute", "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock",
        "kms:DescribeKey", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKeyWithoutPlaintext",
        "kms:CreateGrant",
    },
}  # fmt: skip


def role_statements(resources, effect, function=IDENTITY):
    own = statements(resources[f"{function}Role"]["Properties"]["Policies"])
    return [s for s in own if s["Effect"] == effect]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_role_grants_exactly_what_the_function_calls(resources, function):
    granted = [action for s in role_statements(resources, "Allow", function) for action in as_list(s["Action"])]
    assert set(granted) == GRANTED[function]
    assert not [action for action in granted if "*" in action]


def test_role_of_the_buttons_is_for_them_alone(resources):
    allowed = {
        (action, arn)
        for statement in role_statements(resources, "Allow", REGISTER)
        for action in as_list(statement["Action"])
        for arn in map(json.dumps, as_list(statement["Resource"]))
        if action.startswith("securityhub:")
    }
    prefix = f"arn:aws:securityhub:{REGION}:{ACCOUNT}:action/custom/Tourniquet"
    own = [f"{prefix}{name}" for name in ("Contain", "Release", "Propose")]
    assert {(action, resolved(json.loads(arn))) for action, arn in allowed} == {
        ("securityhub:DescribeActionTargets", "*"), ("securityhub:CreateActionTarget", "*"),
        *(("securityhub:UpdateActionTarget", arn) for arn in own),
        *(("securityhub:DeleteActionTarget", arn) for arn in own),
    }  # fmt: skip
    granted = {a for s in role_statements(resources, "Allow", REGISTER) for a in as_list(s["Action"])}
    assert {a for a in granted if not a.startswith("securityhub:")} == {
        "sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents",
    }  # fmt: skip
    assert not {a for function in FUNCTIONS for a in GRANTED[function]} & {a for a in granted if "ActionTarget" in a}


def test_buttons_are_a_custom_resource_that_is_answered_before_cloudformation_gives_up(resources):
    function, resource = resources[REGISTER]["Properties"], resources["SecurityHubActions"]
    assert resource["Type"] == "Custom::SecurityHubActions"
    assert resource["Properties"]["ServiceToken"] == {"Fn::GetAtt": [REGISTER, "Arn"]}
    tries = function["EventInvokeConfig"]["MaximumRetryAttempts"] + 1
    assert function["Timeout"] < resource["Properties"]["ServiceTimeout"] <= 3600 and tries == 3
    assert function["Role"] == {"Fn::GetAtt": [f"{REGISTER}Role", "Arn"]}
    assert "Environment" not in function


TAKES_NO_RESOURCE = {
    RELEASE: {
        "securityhub:GetFindings", "securityhub:BatchUpdateFindings",
        "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses",
        "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeInstanceAttribute", "autoscaling:DescribeAutoScalingInstances",
        "elasticloadbalancing:DescribeLoadBalancers",
    },
    IDENTITY: {
        "guardduty:GetFindings", "securityhub:GetFindings", "securityhub:BatchUpdateFindings", "cloudtrail:LookupEvents",
    },
    INSTANCE: {
        "guardduty:GetFindings", "securityhub:GetFindings", "securityhub:BatchUpdateFindings",
        "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses",
        "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots", "ec2:DescribeInstanceAttribute",
        "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeAutoScalingGroups", "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
    },
    SEAL: {"ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots"},
    RECHECK: {
        "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses",
        "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeInstanceAttribute", "autoscaling:DescribeAutoScalingInstances",
        "elasticloadbalancing:DescribeLoadBalancers", "cloudtrail:LookupEvents",
    },
}  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_what_takes_no_resource_is_granted_on_everything(resources, function):
    everywhere = [s for s in role_statements(resources, "Allow", function) if "*" in as_list(s["Resource"])]
    assert {action for s in everywhere for action in as_list(s["Action"])} == TAKES_NO_RESOURCE[function]


@pytest.mark.parametrize("function", [IDENTITY, INSTANCE, RELEASE])
def test_role_can_never_change_roles_of_tourniquet(resources, function):
    role = resources[f"{function}Role"]["Properties"]
    own = f"arn:aws:iam::{ACCOUNT}:role{role['Path']}*"
    (deny,) = [s for s in role_statements(resources, "Deny", function) if s["Sid"] == "NeverTheseRoles"]
    assert own in resolved(deny["Resource"])
    assert "Condition" not in deny
    written = {a for a in GRANTED[function] if a.startswith(("iam:Put", "iam:Attach", "iam:Delete", "iam:Detach"))}
    assert {a for a in written if "Role" in a} <= set(deny["Action"])


def test_both_containing_roles_are_denied_the_same_roles(resources):
    def denied(function):
        return [s for s in role_statements(resources, "Deny", function) if s["Sid"] == "NeverTheseRoles"]

    assert denied(IDENTITY) == denied(INSTANCE) == denied(RELEASE)


def test_no_role_can_do_what_only_another_is_for(resources):
    """Apart from the case and the messages, nothing that changes something is granted to two of them."""
    def changes(function):
        told = GRANTED[function] - EVERY_FUNCTION - {"securityhub:BatchUpdateFindings"}
        return {a for a in told if not a.split(":")[1].startswith(("Describe", "Get", "List", "Lookup"))}

    assert changes(IDENTITY) & changes(INSTANCE) == {"iam:PutRolePolicy"}
    assert changes(RECHECK) == {"lambda:InvokeFunction"}
    # What undoes takes nobody's hold: what it shares with those that contain sets a thing to one state or the other.
    assert not changes(RELEASE) & {
        "iam:AttachUserPolicy", "iam:AttachRolePolicy", "iam:AddUserToGroup", "iam:DeleteLoginProfile",
        "iam:DeactivateMFADevice", "ec2:CreateSecurityGroup", "ec2:DisassociateAddress", "ec2:CreateSnapshots",
        "autoscaling:EnterStandby", "autoscaling:DetachInstances", "elasticloadbalancing:DeregisterTargets",
    }  # fmt: skip
    assert not [a for function in (IDENTITY, INSTANCE, SEAL, RECHECK) for a in TAKES_OFF & GRANTED[function]]
    assert changes(INSTANCE) & changes(SEAL) == {"ec2:LockSnapshot", "ec2:CreateTags"}
    assert changes(IDENTITY) & changes(SEAL) == set()
    assert not [a for function in (INSTANCE, SEAL) for a in GRANTED[function] if a.startswith("iam:") and "User" in a]
    assert not [a for a in GRANTED[IDENTITY] if a.startswith(("ec2:", "ebs:"))]


def test_nothing_that_destroys_or_unlocks_is_granted(resources):
    verbs = ("Delete", "Remove", "Terminate", "Stop", "Unlock", "Release", "Reset", "Detach", "Create")
    containing = [function for function in FUNCTIONS if function != RELEASE]
    assert {a for a in GRANTED[RELEASE] if a.split(":")[1].startswith(verbs)} == TAKES_OFF | {
        "logs:CreateLogStream",
    }  # fmt: skip
    found = {a for function in containing for a in GRANTED[function] if a.split(":")[1].startswith(verbs)}
    assert found == {
        "iam:DeleteLoginProfile", "logs:CreateLogStream", "autoscaling:DetachInstances", "ec2:CreateSecurityGroup",
        "ec2:CreateTags", "ec2:CreateSnapshot", "ec2:CreateSnapshots", "kms:CreateGrant",
    }  # fmt: skip


# Of an action of EC2 and friends, on each resource it is granted on: the conditions.
ISOLATION_GROUP = {"StringLike": {"aws:ResourceTag/ir:isolation": ["vpc-*", "open-vpc-*"]}}
EVIDENCE = {"StringLike": {"aws:ResourceTag/ir:incident": "IR-*"}}
NEW_EVIDENCE = {"StringLike": {"aws:RequestTag/ir:incident": "IR-*"}}
HASH_ALONE = {
    **EVIDENCE, "ForAllValues:StringEquals": {"aws:TagKeys": ["ir:hash", "ir:hash-level"]}, "Null": {"aws:TagKeys": "false"},
}  # fmt: skip
MADE_NOW = {"StringEquals": {"ec2:CreateAction": ["CreateSecurityGroup", "CreateSnapshots", "CreateSnapshot"]}}
CONDITIONS = {
    INSTANCE: {
        ("ec2:CreateSecurityGroup", "security-group"): {
            "StringLike": {"aws:RequestTag/ir:isolation": ["vpc-*", "open-vpc-*"]},
            "ForAllValues:StringEquals": {
                "aws:TagKeys": ["ir:incident", "ir:source", "ir:collected-by", "ir:isolation"]
            },
        },
        ("ec2:CreateSecurityGroup", "vpc"): None,
        ("ec2:CreateTags", "security-group"): MADE_NOW,
        ("ec2:CreateTags", "snapshot"): MADE_NOW,
        ("ec2:RevokeSecurityGroupIngress", "security-group"): ISOLATION_GROUP,
        ("ec2:RevokeSecurityGroupEgress", "security-group"): ISOLATION_GROUP,
        ("ec2:AuthorizeSecurityGroupIngress", "security-group"): ISOLATION_GROUP,
        ("ec2:AuthorizeSecurityGroupEgress", "security-group"): ISOLATION_GROUP,
        ("ec2:ModifyNetworkInterfaceAttribute", "security-group"): ISOLATION_GROUP,
        ("ec2:ModifyNetworkInterfaceAttribute", "network-interface"): None,
        ("ec2:ModifyNetworkInterfaceAttribute", "instance"): None,
        ("ec2:ModifyNetworkInterfaceAttribute", "subnet"): None,
        ("ec2:ModifyInstanceAttribute", "instance"): None,
        ("ec2:ModifyInstanceAttribute", "volume"): None,
        ("ec2:DisassociateAddress", "elastic-ip"): None,
        ("ec2:DisassociateAddress", "network-interface"): None,
        ("ec2:CreateSnapshots", "instance"): None,
        ("ec2:CreateSnapshots", "volume"): None,
        ("ec2:CreateSnapshots", "snapshot"): NEW_EVIDENCE,
        ("ec2:CreateSnapshot", "volume"): None,
        ("ec2:CreateSnapshot", "snapshot"): NEW_EVIDENCE,
        ("ec2:LockSnapshot", "snapshot"): EVIDENCE,
        ("ec2:GetConsoleOutput", "instance"): None,
        ("ec2:GetConsoleScreenshot", "instance"): None,
    },
    SEAL: {
        ("ec2:LockSnapshot", "snapshot"): EVIDENCE,
        ("ec2:CreateTags", "snapshot"): [
            HASH_ALONE, {"StringEquals": {"ec2:CreateAction": "CopySnapshot"}, **NEW_EVIDENCE},
        ],
        ("ec2:CopySnapshot", "snapshot"): None,
        ("ec2:ModifySnapshotAttribute", "snapshot"): {
            "StringEquals": {"ec2:Add/userId": FORENSICS, "aws:ResourceTag/ir:stage": "transit"},
        },
        ("ebs:ListSnapshotBlocks", "snapshot"): EVIDENCE,
        ("ebs:GetSnapshotBlock", "snapshot"): EVIDENCE,
    },
}  # fmt: skip


@pytest.mark.parametrize("function", CONDITIONS)
def test_what_may_be_done_to_instances_groups_and_snapshots(resources, function):
    found = {}
    for statement in role_statements(resources, "Allow", function):
        for action in as_list(statement["Action"]):
            if not action.startswith(("ec2:", "ebs:")) or statement["Resource"] == "*":
                continue
            for arn in as_list(resolved(statement["Resource"])):
                kind = arn.split(":", 5)[5].split("/")[0]
                found.setdefault((action, kind), []).append(resolved(statement.get("Condition")))
    expected = {key: value if isinstance(value, list) else [value] for key, value in CONDITIONS[function].items()}
    assert found == expected


def test_machine_is_held_and_not_changed(resources):
    (deny,) = [s for s in role_statements(resources, "Deny", INSTANCE) if s["Sid"] == "NeverTheseAttributes"]
    assert deny["Resource"] == "*"
    assert {"UserData", "InstanceType"} <= set(deny["Condition"]["StringEqualsIgnoreCase"]["ec2:Attribute"])
    assert {"ec2:ModifyInstanceAttribute", "ec2:ModifyNetworkInterfaceAttribute"} == set(deny["Action"])


@pytest.mark.parametrize(
    ("action", "arn"),
    [
        ("autoscaling:EnterStandby", f"arn:aws:autoscaling:*:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/*"),
        ("elasticloadbalancing:DeregisterTargets", f"arn:aws:elasticloadbalancing:*:{ACCOUNT}:targetgroup/*"),
        (
            "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
            f"arn:aws:elasticloadbalancing:*:{ACCOUNT}:loadbalancer/*",
        ),
        ("iam:GetInstanceProfile", f"arn:aws:iam::{ACCOUNT}:instance-profile/*"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/*"),
    ],
)
def test_what_else_is_changed_around_an_instance(resources, action, arn):
    granted = [s for s in role_statements(resources, "Allow", INSTANCE) if action in as_list(s["Action"])]
    assert [resolved(s["Resource"]) for s in granted] == [arn]


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


@pytest.mark.parametrize(
    ("function", "parameter"),
    [(IDENTITY, "MemberRoleArns"), (INSTANCE, "MemberInstanceRoleArns"), (SEAL, "MemberEvidenceRoleArns"),
     (RECHECK, "MemberRecheckRoleArns"), (RELEASE, "MemberReleaseRoleArns")],
)
def test_only_the_listed_roles_are_assumed(resources, function, parameter):
    allowed = role_statements(resources, "Allow", function)
    granted = [s["Resource"] for s in allowed if "sts:AssumeRole" in as_list(s["Action"])]
    assert granted == [{"Ref": "ForensicsRoleArn"}] * (function == SEAL) + [{"Ref": parameter}]


@pytest.mark.parametrize(("function", "role"), [(IDENTITY, "Responder"), (INSTANCE, "InstanceResponder")])
def test_member_role_may_do_in_its_account_what_the_function_may_here(resources, function, role):
    """Statement by statement, less what is in the responder's account alone."""
    responder = {s["Sid"]: s for s in statements(resources[f"{function}Role"]["Properties"]["Policies"])}
    member = load(ROOT / "infra" / "member.yaml")["Resources"][role]["Properties"]
    theirs = {s["Sid"]: s for s in statements(member["Policies"])}
    assert theirs == {sid: responder[sid] for sid in theirs}
    assert set(responder) - set(theirs) == {
        "ReadAndNoteImportedFinding", "EnterMemberAccounts", "ReadGuardrailsAndCases", "WriteCases", "FindCases",
        "UseCaseKeyThroughS3", "Tell", "UseAlertKeyThroughSns", "HandOverWhatFailed", "Log",
    }  # fmt: skip


def test_releaser_may_do_in_its_account_what_the_function_may_here(resources):
    responder = {s["Sid"]: s for s in statements(resources["ReleaseRole"]["Properties"]["Policies"])}
    member = load(ROOT / "infra" / "member.yaml")["Resources"]["Releaser"]["Properties"]
    theirs = {s["Sid"]: s for s in statements(member["Policies"])}
    assert theirs == {sid: responder[sid] for sid in theirs}
    assert set(responder) - set(theirs) == {
        "EnterMemberAccounts", "NoteFinding", "ReadCases", "WriteCases", "FindCases", "UseCaseKeyThroughS3", "Tell",
        "UseAlertKeyThroughSns", "HandOverWhatFailed", "Log",
    }  # fmt: skip


def test_rechecker_may_do_in_its_account_what_the_function_may_here_and_changes_nothing(resources):
    responder = {s["Sid"]: s for s in role_statements(resources, "Allow", RECHECK)}
    member = load(ROOT / "infra" / "member.yaml")["Resources"]["Rechecker"]["Properties"]
    theirs = {s["Sid"]: s for s in statements(member["Policies"])}
    assert theirs == {sid: responder[sid] for sid in theirs}
    assert set(theirs) == {"LookAtUsers", "LookAtRoles", "FindRoleOfInstance", "LookAtInstances", "LookUpWhatItLeftBehind"}


def test_evidence_role_may_do_in_its_account_what_the_function_may_here(resources):
    """In every Region of it: its key of the forensics account is known by the account, the rest is the same."""
    responder = {s["Sid"]: s for s in role_statements(resources, "Allow", SEAL)}
    member = load(ROOT / "infra" / "member.yaml")["Resources"]["EvidenceResponder"]["Properties"]
    theirs = {s["Sid"]: s for s in statements(member["Policies"])}
    assert theirs == {sid: in_every_region(responder[sid]) for sid in theirs}
    assert set(responder) - set(theirs) == {
        "EnterForensicsAccount", "EnterMemberAccounts", "ReadGuardrailsAndCases", "WriteCases", "FindCases",
        "UseCaseKeyThroughS3", "Tell", "UseAlertKeyThroughSns", "HandOverWhatFailed", "Log",
    }  # fmt: skip


def in_every_region(statement):
    conditions = dict(statement.get("Condition", {}))
    if "kms:ViaService" in conditions.get("StringEquals", {}):
        conditions["StringLike"] = conditions.pop("StringEquals")
    text = json.dumps({**statement, **({"Condition": conditions} if conditions else {})})
    text = text.replace("${AWS::Region}", "*")
    account = json.dumps({"Fn::Select": [4, {"Fn::Split": [":", {"Ref": "ForensicsRoleArn"}]}]})
    text = text.replace(account, json.dumps({"Ref": "ForensicsAccountId"}))
    key = json.dumps({"Fn::Sub": "arn:${AWS::Partition}:kms:*:${ForensicsAccountId}:key/*"})
    return json.loads(text.replace(json.dumps({"Ref": "ForensicsKeyArn"}), key))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_keys_are_used_only_through_their_service(resources, function):
    for statement in role_statements(resources, "Allow", function):
        if any(action.startswith("kms:") for action in as_list(statement["Action"])):
            assert "kms:ViaService" in statement["Condition"]["StringEquals"]
            if "kms:CreateGrant" in as_list(statement["Action"]):
                assert statement["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_copies_for_the_forensics_account_cannot_be_read_back(resources):
    on_its_key = [
        action
        for statement in role_statements(resources, "Allow", SEAL)
        if {"Ref": "ForensicsKeyArn"} in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    ]
    assert sorted(on_its_key) == [
        "kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo",
    ]  # fmt: skip


WRITES = {
    IDENTITY: {"cases", "targets", "budget"}, INSTANCE: {"cases", "targets", "budget", "isolation"}, SEAL: {"cases"},
    RECHECK: {"cases"}, RELEASE: {"cases", "targets"},
}  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_writes_its_part_of_the_bucket_and_never_its_own_guardrails(resources, function):
    puts = [s for s in role_statements(resources, "Allow", function) if "s3:PutObject" in as_list(s["Action"])]
    written = {resource["Fn::Sub"] for s in puts for resource in as_list(s["Resource"])}
    assert written == {f"${{CaseBucket.Arn}}/{prefix}/*" for prefix in WRITES[function]}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_lambda_assumes_the_role(resources, function):
    (trust,) = statements(resources[f"{function}Role"]["Properties"]["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_what_is_later_is_scheduled_in_one_group_and_with_one_role(resources):
    policy = resources["SchedulePolicy"]["Properties"]
    assert policy["Roles"] == [{"Ref": f"{function}Role"} for function in (IDENTITY, INSTANCE, RELEASE)]
    schedule, passing = statements(policy["PolicyDocument"])
    group = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${ScheduleGroup}/*"
    assert (schedule["Action"], schedule["Resource"]) == ("scheduler:CreateSchedule", {"Fn::Sub": group})
    assert (passing["Action"], passing["Resource"]) == ("iam:PassRole", {"Fn::GetAtt": ["ScheduleRole", "Arn"]})
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_scheduler_assumes_its_role_for_this_group_of_this_account_alone(resources):
    role = resources["ScheduleRole"]["Properties"]
    (trust,) = statements(role["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    group = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule-group/${ScheduleGroup}"
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnEquals": {"aws:SourceArn": {"Fn::Sub": group}},
    }
    invoked = [s for s in statements(role["Policies"]) if s["Action"] == "lambda:InvokeFunction"]
    assert [r["Fn::Sub"].rsplit(":", 1)[1] for s in invoked for r in s["Resource"]] == ["recheck", "release"]


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


@pytest.mark.parametrize(
    ("sid", "prefix"),
    [
        ("OnlyTheFunctionsWriteCases", "cases"),
        ("OnlyContainmentWritesTargets", "targets"),
        ("OnlyContainmentWritesBudget", "budget"),
        ("OnlyContainInstanceWritesIsolation", "isolation"),
    ],
)
def test_nobody_but_the_functions_writes_what_they_write(resources, sid, prefix):
    denied = by_sid(resources)[sid]
    assert denied["Effect"] == "Deny" and denied["Principal"] == "*"
    assert {"s3:PutObject", "s3:DeleteObject", "s3:BypassGovernanceRetention"} <= set(denied["Action"])
    assert {"Fn::Sub": f"${{CaseBucket.Arn}}/{prefix}/*"} in as_list(denied["Resource"])
    writers = [f"{function}Role" for function in FUNCTIONS if prefix in WRITES[function]]
    assert denied["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": [{"Fn::GetAtt": [role, "Arn"]} for role in writers]}
    }


def by_sid(resources):
    (policy,) = of_type(resources, "AWS::S3::BucketPolicy").values()
    return {statement["Sid"]: statement for statement in statements(policy)}


def test_guardrails_are_written_by_their_writer_and_deleted_by_nobody(resources):
    statements = by_sid(resources)
    assert statements["NobodyDeletesGuardrails"]["Effect"] == "Deny"
    assert statements["OnlyTheseWriteGuardrails"]["Condition"] == {
        "ArnNotLike": {"aws:PrincipalArn": {"Ref": "GuardrailsWriterArn"}}
    }


def test_evidence_outlives_the_stack(resources):
    for name in ("CaseBucket", "CaseBucketPolicy", "CaseKey"):
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Retain"
