"""Deploying the SAM template to an empty lab: resolving, creating, and refusing."""

import copy
import json
from pathlib import Path

import pytest

from lab.client import ACCOUNT, REGION, Lab
from lab.template import (
    Resolver, TemplateError, deploy, deploy_stack, intrinsics_in, load, pseudo_parameters, resolver_of, translate,
)  # fmt: skip
from lab.template.delivery import check as check_delivery
from lab.template.deployment import creation_order, registrations
from lab.template.resources import Properties, Resource
from lab.template.source import parameter_values

MEMBER_ROLES = ",".join(f"arn:aws:iam::{n * 12}:role/tourniquet/TourniquetResponder" for n in "23")
MEMBER_EVIDENCE_ROLES = MEMBER_ROLES.replace("TourniquetResponder", "TourniquetEvidence")
MEMBER_INSTANCE_ROLES = MEMBER_ROLES.replace("TourniquetResponder", "TourniquetInstanceResponder")
FORENSICS = {
    "ForensicsRoleArn": f"arn:aws:iam::444444444444:role/tourniquet/TourniquetForensics-{REGION}",
    "ForensicsKeyArn": f"arn:aws:kms:{REGION}:444444444444:key/01234567-89ab-cdef-0123-456789abcdef",
    "ForensicsCaseBucket": "tourniquet-forensics-casebucket-1a2b3c4d5e6f",
    "ForensicsExternalId": "tourniquet-lab",
}
TEMPLATE = Path(__file__).resolve().parent.parent / "infra" / "template.yaml"


# --- intrinsic functions -------------------------------------------------------------------------


def resolver(**conditions):
    made = Resolver(
        {"Stage": "prod", "Zones": "a,b"},
        {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com"},
        {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}, **conditions},
        {"Sizes": {"prod": {"memory": 512}}},
    )
    made.resources["Topic"] = Resource("AWS::SNS::Topic", "arn:topic", {"TopicName": "alerts"})
    return made


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ({"Ref": "Stage"}, "prod"),
        ({"Ref": "AWS::AccountId"}, ACCOUNT),
        ({"Ref": "Topic"}, "arn:topic"),
        ({"Fn::GetAtt": ["Topic", "TopicName"]}, "alerts"),
        ({"Fn::GetAtt": "Topic.TopicName"}, "alerts"),
        ({"Fn::Sub": "${AWS::Partition}:${Topic}:${Topic.TopicName}:${!Literal}"}, "aws:arn:topic:alerts:${Literal}"),
        ({"Fn::Sub": ["${Name}/${Stage}", {"Name": {"Ref": "Topic"}}]}, "arn:topic/prod"),
        ({"Fn::Join": ["-", ["x", {"Ref": "Stage"}]]}, "x-prod"),
        ({"Fn::Select": [1, {"Fn::Split": [",", {"Ref": "Zones"}]}]}, "b"),
        ({"Fn::If": ["IsProd", {"Ref": "Stage"}, {"Ref": "Missing"}]}, "prod"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 512),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
        ({"Condition": {"StringEquals": {"k": {"Ref": "Stage"}}}}, {"Condition": {"StringEquals": {"k": "prod"}}}),
    ],
)
def test_resolves(value, expected):
    assert resolver().resolve(value) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Fn::Not": [{"Condition": "IsProd"}]}, False),
        ({"Fn::And": [{"Condition": "IsProd"}, {"Fn::Equals": [1, "1"]}]}, True),
        ({"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Condition": "IsProd"}]}, True),
    ],
)
def test_evaluates_conditions(condition, expected):
    assert resolver(Asked=condition).condition("Asked") is expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue is not supported"),
        ({"Ref": "Nobody"}, "Nobody is no parameter"),
        ({"Fn::Sub": "${Nobody.Arn}"}, "Nobody is no parameter"),
        ({"Fn::GetAtt": ["Topic", "Arn"]}, "Topic has no attribute Arn"),
        ({"Fn::If": ["Unknown", 1, 2]}, "no condition is named Unknown"),
        ({"Fn::Select": [2, ["a"]]}, "item 2 of 1"),
        ({"Fn::FindInMap": ["Sizes", "test", "memory"]}, "no 'test' in Sizes"),
    ],
)
def test_refuses_what_it_cannot_resolve(value, message):
    with pytest.raises(TemplateError, match=message.replace("(", r"\(")):
        resolver().resolve(value)


# --- deployment ----------------------------------------------------------------------------------


def test_order_follows_references():
    order = creation_order(
        {
            "Rule": {"Type": "t", "Properties": {"Arn": {"Fn::GetAtt": ["Function", "Arn"]}}},
            "Function": {"Type": "t", "Properties": {"Role": {"Fn::Sub": "x/${Role.Arn}"}}, "DependsOn": "Log"},
            "Role": {"Type": "t"},
            "Log": {"Type": "t"},
        }
    )
    assert order.index("Role") < order.index("Function") < order.index("Rule")
    assert order.index("Log") < order.index("Function")


def test_circle_is_refused():
    with pytest.raises(TemplateError, match="circle: A, B"):
        creation_order({n: {"Type": "t", "Properties": {"X": {"Ref": o}}} for n, o in (("A", "B"), ("B", "A"))})


def test_unknown_property_is_refused():
    properties = Properties("Q", "AWS::SQS::Queue", {"FifoQueue": True, "QueueName": "q"})
    properties.take("QueueName")
    with pytest.raises(TemplateError, match="does not know: FifoQueue"):
        properties.finish()


def test_unknown_parameter_is_refused():
    with pytest.raises(TemplateError, match="no parameter Nonsense"):
        translate(TEMPLATE, {"Nonsense": "1"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("Architecture", "mips", "must be one of"),
        ("SecurityHubButtons", "yes", "must be one of"),
        ("NotificationEmail", "nobody", "must be an e-mail address"),
        ("MemberRoleArns", MEMBER_ROLES.replace("TourniquetResponder", "Admin"), "must be ARNs of the roles"),
        ("MemberRoleArns", MEMBER_ROLES + ",*", "must be ARNs of the roles"),
        ("MemberRoleArns", MEMBER_INSTANCE_ROLES, "must be ARNs of the roles"),
        ("MemberInstanceRoleArns", MEMBER_ROLES, "must be ARNs of the instance roles"),
        ("MemberEvidenceRoleArns", MEMBER_ROLES, "must be ARNs of the evidence roles"),
        ("ForensicsRoleArn", MEMBER_ROLES.split(",")[0], "must be the ARN of the role that forensics.yaml makes"),
        ("ForensicsKeyArn", FORENSICS["ForensicsRoleArn"], "must be the ARN of a KMS key"),
        ("ForensicsCaseBucket", "arn:aws:s3:::cases", "must be the name of a bucket"),
        ("ForensicsExternalId", "x", "must be 2 to 1224"),
        ("MemberExternalId", "x", "must be 2 to 1224"),
    ],
)
def test_unfit_parameter_is_refused(name, value, message):
    with pytest.raises(TemplateError, match=f"{name} {message}"):
        parameter_values(load(TEMPLATE), {name: value})


def test_list_parameter_is_a_list_for_references_and_text_for_sam():
    given = {"MemberRoleArns": MEMBER_ROLES.replace(",", ", ")}
    values = parameter_values(load(TEMPLATE), given)
    assert values["MemberRoleArns"] == MEMBER_ROLES.split(",")
    variables = translate(TEMPLATE, given)["Resources"]["ContainIdentity"]["Properties"]["Environment"]["Variables"]
    assert Resolver(values, {}).resolve(variables["MEMBER_ROLE_ARNS"]) == MEMBER_ROLES


@pytest.fixture(scope="module")
def lab():
    with Lab() as running:
        yield running


@pytest.fixture(scope="module")
def deployed(lab):
    return deploy(
        TEMPLATE, lab, {"NotificationEmail": "responders@example.com", "CaseRetentionDays": "30"},
        binaries_dir="/bin-dir", environment={"EXTRA": "1"}, guardrails="# none\n", custom_resources=False,
    )  # fmt: skip


def test_bucket_is_locked_encrypted_and_private(lab, deployed):
    s3, bucket = lab.client("s3"), deployed.outputs["CaseBucketName"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 30)
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == deployed.arn("CaseKey")
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_object(Bucket=bucket, Key="guardrails.toml")["Body"].read() == b"# none\n"


@pytest.mark.parametrize(
    ("logical_id", "name"),
    [
        ("ContainIdentity", "contain-identity"),
        ("ContainInstance", "contain-instance"),
        ("SealSnapshot", "seal-snapshot"),
    ],
)
def test_role_has_its_trust_and_policy(lab, deployed, logical_id, name):
    iam = lab.client("iam")
    role = iam.get_role(RoleName=deployed.ref(f"{logical_id}Role"))["Role"]
    assert role["Arn"].split(":role")[1].startswith(f"/tourniquet/tourniquet-{logical_id}Role-")
    assert deployed.outputs[f"{logical_id}RoleArn"] == role["Arn"]
    policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"]
    assert intrinsics_in(policy) == []
    (case_key,) = [s for s in policy["Statement"] if s["Sid"] == "UseCaseKeyThroughS3"]
    assert case_key["Resource"] == deployed.arn("CaseKey")


def test_deny_group_denies_everything(lab, deployed):
    iam, name = lab.client("iam"), deployed.outputs["DenyGroupName"]
    assert name.startswith("tourniquet-DenyGroup-")
    assert iam.get_group(GroupName=name)["Group"]["Arn"].endswith(f":group/tourniquet/{name}")
    document = iam.get_group_policy(GroupName=name, PolicyName="deny-all")["PolicyDocument"]
    assert document["Statement"] == [{"Sid": "DenyAll", "Effect": "Deny", "Action": "*", "Resource": "*"}]


def resolver_with(deployed, parameters):
    """The template with other parameters, as if it were deployed on top of what is there."""
    template = translate(TEMPLATE, parameters)
    made = resolver_of(template, parameters, pseudo_parameters(ACCOUNT, REGION, "tourniquet"))
    made.resources = dict(deployed.resources)
    return template, made


def statements_with(deployed, parameters, role):
    template, made = resolver_with(deployed, parameters)
    policy = made.resolve(template["Resources"][role]["Properties"]["Policies"][0])
    return {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}


@pytest.mark.parametrize(
    ("role", "parameter", "roles"),
    [
        ("ContainIdentityRole", "MemberRoleArns", MEMBER_ROLES),
        ("ContainInstanceRole", "MemberInstanceRoleArns", MEMBER_INSTANCE_ROLES),
        ("SealSnapshotRole", "MemberEvidenceRoleArns", MEMBER_EVIDENCE_ROLES),
    ],
)
def test_members_are_entered_only_when_there_are_any(deployed, role, parameter, roles):
    assert "EnterMemberAccounts" not in json.dumps(deployed.resources[role].properties)
    assert statements_with(deployed, {parameter: roles}, role)["EnterMemberAccounts"]["Resource"] == roles.split(",")


@pytest.mark.parametrize("role", ["ContainIdentityRole", "ContainInstanceRole"])
def test_neither_list_of_members_opens_the_other_function_s_way(deployed, role):
    other = "MemberInstanceRoleArns" if role == "ContainIdentityRole" else "MemberRoleArns"
    roles = MEMBER_INSTANCE_ROLES if role == "ContainIdentityRole" else MEMBER_ROLES
    assert "EnterMemberAccounts" not in statements_with(deployed, {other: roles}, role)


FOR_FORENSICS = {
    "CopyEvidence", "TagCopies", "ShareTransitCopies", "UseSourceKeysForCopies", "EncryptCopiesForForensics",
    "LetEbsUseTheKeys", "EnterForensicsAccount",
}  # fmt: skip


@pytest.mark.parametrize("missing", [None, "ForensicsRoleArn", "ForensicsKeyArn"])
def test_evidence_leaves_only_for_a_forensics_account_that_is_named_whole(deployed, missing):
    without = statements_with(deployed, {}, "SealSnapshotRole")
    parameters = {name: value for name, value in FORENSICS.items() if name != missing}
    template, made = resolver_with(deployed, parameters)
    given = statements_with(deployed, parameters, "SealSnapshotRole")
    assert set(given) - set(without) == (set() if missing else FOR_FORENSICS)
    assert made.condition(template["Resources"]["CopyReady"]["Condition"]) is (missing is None)
    if missing is None:
        assert given["ShareTransitCopies"]["Condition"]["StringEquals"] == {
            "ec2:Add/userId": "444444444444", "aws:ResourceTag/ir:stage": "transit",
        }  # fmt: skip
        assert given["EnterForensicsAccount"]["Resource"] == FORENSICS["ForensicsRoleArn"]
        sender = made.resolve(template["Resources"]["ForensicsAccountSends"]["Properties"])["Statement"]["Principal"]
        assert sender == {"AWS": "arn:aws:iam::444444444444:root"}
        pattern = made.resolve(template["Resources"]["CopyReady"]["Properties"]["EventPattern"])
        assert pattern["account"] == ["444444444444"]


def test_forensics_account_may_send_to_the_bus(lab):
    """The whole template with it, in a Region of its own: what is made of the condition is made."""
    other = lab.in_account("222233334444")
    made = deploy_stack(TEMPLATE, other, FORENSICS)
    assert not {"CopyReady", "ForensicsAccountSends", "CopyReadyInvokes"} & set(made.left_out)
    check_delivery(made.resources, other.account)
    policy = json.loads(other.client("events").describe_event_bus()["Policy"])
    (statement,) = policy["Statement"]
    assert (statement["Action"], statement["Principal"]) == ("events:PutEvents", {"AWS": "arn:aws:iam::444444444444:root"})
    assert statement["Resource"] == made.outputs["EventBusArn"]
    assert statement["Condition"]["StringEquals"] == {
        "events:source": "aws.ec2", "events:detail-type": "EBS Snapshot Notification",
    }  # fmt: skip


def test_member_accounts_may_send_to_the_bus(lab):
    other = lab.in_account("222233334455")
    made = deploy_stack(TEMPLATE, other, {"MemberEvidenceRoleArns": MEMBER_EVIDENCE_ROLES})
    assert not {"MemberSnapshotReady", "MemberAccountsSend", "MemberSnapshotReadyInvokes"} & set(made.left_out)
    check_delivery(made.resources, other.account)
    (statement,) = json.loads(other.client("events").describe_event_bus()["Policy"])["Statement"]
    members = [f"arn:aws:iam::{n * 12}:root" for n in "23"]
    assert (statement["Action"], statement["Principal"]) == ("events:PutEvents", {"AWS": members})
    assert statement["Resource"] == made.outputs["EventBusArn"]
    assert statement["Condition"]["StringEquals"]["events:source"] == "aws.ec2"


def test_rules_have_their_patterns_and_targets(lab, deployed):
    resources, events = load(TEMPLATE)["Resources"], lab.client("events")
    rules = {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::Events::Rule"}
    made = {name: rule for name, rule in rules.items() if rule.get("Condition", "HasButtons") == "HasButtons"}
    assert set(rules) - set(made) == {"CopyReady", "MemberSnapshotReady"}
    pseudo = Resolver({}, pseudo_parameters(lab.account, lab.region, "tourniquet"))
    for name in made:
        rule = events.describe_rule(Name=deployed.ref(name))
        assert json.loads(rule["EventPattern"]) == pseudo.resolve(resources[name]["Properties"]["EventPattern"])
        targets = events.list_targets_by_rule(Rule=deployed.ref(name))["Targets"]
        function, *alert = resources[name]["Properties"]["Targets"]
        arns = [deployed.arn(function["Arn"]["Fn::GetAtt"][0])] + [deployed.outputs["AlertTopicArn"]] * len(alert)
        assert sorted(t["Arn"] for t in targets) == sorted(arns)


def test_topic_and_queues_have_their_policies(lab, deployed):
    topic = lab.client("sns").get_topic_attributes(TopicArn=deployed.ref("AlertTopic"))["Attributes"]
    assert topic["KmsMasterKeyId"] == deployed.arn("AlertKey")
    assert "events.amazonaws.com" in topic["Policy"]
    subscribed = lab.client("sns").list_subscriptions_by_topic(TopicArn=deployed.ref("AlertTopic"))
    assert [s["Endpoint"] for s in subscribed["Subscriptions"]] == ["responders@example.com"]
    for queue in ("OnFailureQueue", "RuleDeadLetterQueue"):
        url = deployed.ref(queue)
        attributes = lab.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["MessageRetentionPeriod"] == "1209600"
        assert attributes["QueueArn"] == deployed.arn(queue)
        assert "aws:SecureTransport" in attributes["Policy"]


OWN_SETTINGS = {
    "contain-identity": {"VERIFY_AFTER_MS": "300", "MEMBER_ROLE_ARNS": "", "MEMBER_EXTERNAL_ID": ""},
    "contain-instance": {"VERIFY_AFTER_MS": "300", "MEMBER_ROLE_ARNS": "", "MEMBER_EXTERNAL_ID": ""},
    "seal-snapshot": {
        # The lab gives it to every function; this one reads back nothing.
        "VERIFY_AFTER_MS": "300",
        "MEMBER_ROLE_ARNS": "", "MEMBER_EXTERNAL_ID": "",
        "FORENSICS_ROLE_ARN": "", "FORENSICS_KEY_ARN": "", "FORENSICS_CASE_BUCKET": "", "FORENSICS_EXTERNAL_ID": "",
        "CONTENT_HASH_BLOCKS": "16384",
    },
    "recheck": {"VERIFY_AFTER_MS": "300", "MEMBER_ROLE_ARNS": "", "MEMBER_EXTERNAL_ID": ""},
    "release": {"VERIFY_AFTER_MS": "300", "MEMBER_ROLE_ARNS": "", "MEMBER_EXTERNAL_ID": ""},
}  # fmt: skip
TIMEOUTS = {"contain-identity": 60, "contain-instance": 120, "seal-snapshot": 900, "recheck": 120, "release": 120}


@pytest.mark.parametrize("name", OWN_SETTINGS)
def test_function_is_registered_as_the_template_says(lab, deployed, name):
    logical_id = "".join(word.capitalize() for word in name.split("-"))
    outputs, own = deployed.outputs, dict(OWN_SETTINGS[name])
    if name == "contain-identity":
        own["DENY_GROUP"] = deployed.ref("DenyGroup")
    if name.startswith("contain-") or name == "release":
        own["SCHEDULE_GROUP"], own["SCHEDULE_ROLE_ARN"] = deployed.ref("ScheduleGroup"), deployed.arn("ScheduleRole")
        own["SCHEDULE_DEAD_LETTER_ARN"] = deployed.arn("RuleDeadLetterQueue")
    if name.startswith("contain-"):
        own["RECHECK_FUNCTION_ARN"] = deployed.arn("Recheck")
    if name == "recheck":
        own["CONTAIN_IDENTITY_ARN"] = deployed.arn("ContainIdentity")
        own["CONTAIN_INSTANCE_ARN"] = deployed.arn("ContainInstance")
    others = ("ContainIdentity", "ContainInstance", "SealSnapshot", "Recheck", "Release")
    protected = [outputs[f"{other}RoleArn"] for other in others]
    (registered,) = [function for function in deployed.functions if function["name"] == name]
    assert registered.pop("environment") == {
        "CASE_BUCKET": outputs["CaseBucketName"],
        "NOTIFICATION_TOPIC_ARN": outputs["AlertTopicArn"],
        "PROTECTED_ARNS": ",".join(protected),
        "AWS_ENDPOINT_URL": lab.endpoint,
        "EXTRA": "1",
        **own,
    }
    assert registered == {
        "name": name,
        "command": [f"/bin-dir/{name}"],
        "role_arn": outputs[f"{logical_id}RoleArn"],
        "timeout": TIMEOUTS[name],
        "max_retry_attempts": 2,
        "retry_delays_ms": [50, 100],
        "on_failure_arn": deployed.arn("OnFailureQueue"),
        "log_group": f"/aws/lambda/{name}",
    }
    assert name in json.dumps(lab.functions())


def test_nothing_else_is_registered(deployed):
    assert sorted(function["name"] for function in deployed.functions) == sorted([*OWN_SETTINGS, "register-actions"])


def test_function_of_the_buttons_has_no_settings_but_the_lab_s(lab, deployed):
    (registered,) = [function for function in deployed.functions if function["name"] == "register-actions"]
    assert registered["environment"] == {"AWS_ENDPOINT_URL": lab.endpoint, "EXTRA": "1", "VERIFY_AFTER_MS": "300"}
    assert registered["role_arn"] == deployed.outputs["RegisterActionsRoleArn"]
    assert (registered["timeout"], registered["max_retry_attempts"]) == (60, 2)


def test_custom_resource_that_nobody_asked_for_has_no_attributes(deployed):
    assert deployed.outputs["SecurityHubButtons"] == "(Buttons of a custom resource that was not asked for)"


def test_what_is_left_out_is_said(deployed):
    alarms = {
        "OnFailureAlarm", "RuleDeadLetterAlarm", "ErrorsAlarm", "ThrottlesAlarm", "ContainInstanceErrorsAlarm",
        "ContainInstanceThrottlesAlarm", "SealSnapshotErrorsAlarm", "SealSnapshotThrottlesAlarm", "NotContainedAlarm", "SlowCutAlarm",
        "RegisterActionsErrorsAlarm", "RegisterActionsThrottlesAlarm",
            "RecheckErrorsAlarm", "RecheckThrottlesAlarm", "ReleaseErrorsAlarm", "ReleaseThrottlesAlarm",
    }  # fmt: skip
    forensics = {"CopyReady", "CopyReadyInvokes", "ForensicsAccountSends"}
    members = {"MemberSnapshotReady", "MemberSnapshotReadyInvokes", "MemberAccountsSend"}
    assert set(deployed.left_out) == {"CaseBucketPolicy", "Dashboard"} | alarms | forensics | members
    assert all(deployed.left_out.values())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.pop("ExposedKeyInvokes"), "ExposedKey has no AWS::Lambda::Permission"),
        (lambda r: r["ExposedKeyInvokes"].properties.pop("SourceAccount"), "ExposedKey has no AWS::Lambda::Permission"),
        (lambda r: r["ExposedKeyInvokes"].properties.update(SourceArn="*"), "ExposedKey has no AWS::Lambda"),
        (lambda r: r.pop("AlertTopicPolicy"), "no SNS::TopicPolicy lets events.amazonaws.com sns:Publish"),
        (lambda r: r.pop("RuleDeadLetterQueuePolicy"), "no SQS::QueuePolicy lets events.amazonaws.com sqs:Send"),
    ],
)
def test_rule_that_would_deliver_nothing_is_refused(deployed, spoil, message):
    check_delivery(deployed.resources, deployed.account)
    spoiled = copy.deepcopy(deployed.resources)
    spoil(spoiled)
    with pytest.raises(TemplateError, match=message):
        check_delivery(spoiled, deployed.account)


def test_function_without_settings_gets_lambdas_own():
    function = Resource("AWS::Lambda::Function", "f", {}, {"Code": {"S3Bucket": "build", "S3Key": "f"}, "Role": "r"})
    (registration,) = registrations({"F": function}, Path("/b"), {}, (1, 2))
    assert registration["timeout"] == 3
    assert registration["max_retry_attempts"] == 2
    assert registration["on_failure_arn"] is None
