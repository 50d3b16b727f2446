"""Deploying the SAM template to an empty lab: resolving, creating, and refusing."""

import copy
import json
from pathlib import Path

import pytest

from lab.client import ACCOUNT, REGION, Lab
from lab.template import (
    Resolver, TemplateError, deploy, intrinsics_in, load, pseudo_parameters, resolver_of, translate,
)  # fmt: skip
from lab.template.delivery import check as check_delivery
from lab.template.deployment import creation_order, registrations
from lab.template.resources import Properties, Resource
from lab.template.source import parameter_values

MEMBER_ROLES = ",".join(f"arn:aws:iam::{n * 12}:role/tourniquet/TourniquetResponder" for n in "23")
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
        ("NotificationEmail", "nobody", "must be an e-mail address"),
        ("MemberRoleArns", MEMBER_ROLES.replace("TourniquetResponder", "Admin"), "must be ARNs of the roles"),
        ("MemberRoleArns", MEMBER_ROLES + ",*", "must be ARNs of the roles"),
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
        binaries_dir="/bin-dir", environment={"EXTRA": "1"}, guardrails="# none\n",
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


def test_role_has_its_trust_and_policy(lab, deployed):
    iam = lab.client("iam")
    role = iam.get_role(RoleName=deployed.ref("ContainIdentityRole"))["Role"]
    assert role["Arn"].split(":role")[1].startswith("/tourniquet/tourniquet-ContainIdentityRole-")
    assert deployed.outputs["ContainIdentityRoleArn"] == role["Arn"]
    policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="contain-identity")["PolicyDocument"]
    assert intrinsics_in(policy) == []
    (case_key,) = [s for s in policy["Statement"] if s["Sid"] == "UseCaseKeyThroughS3"]
    assert case_key["Resource"] == deployed.arn("CaseKey")


def test_deny_group_denies_everything(lab, deployed):
    iam, name = lab.client("iam"), deployed.outputs["DenyGroupName"]
    assert name.startswith("tourniquet-DenyGroup-")
    assert iam.get_group(GroupName=name)["Group"]["Arn"].endswith(f":group/tourniquet/{name}")
    document = iam.get_group_policy(GroupName=name, PolicyName="deny-all")["PolicyDocument"]
    assert document["Statement"] == [{"Sid": "DenyAll", "Effect": "Deny", "Action": "*", "Resource": "*"}]


def test_members_are_entered_only_when_there_are_any(deployed):
    assert "EnterMemberAccounts" not in json.dumps(deployed.resources["ContainIdentityRole"].properties)
    template = translate(TEMPLATE, {"MemberRoleArns": MEMBER_ROLES})
    pseudo = pseudo_parameters(ACCOUNT, REGION, "tourniquet")
    made = resolver_of(template, {"MemberRoleArns": MEMBER_ROLES}, pseudo)
    made.resources = deployed.resources
    role = made.resolve(template["Resources"]["ContainIdentityRole"]["Properties"])
    (enter,) = [s for s in role["Policies"][0]["PolicyDocument"]["Statement"] if s["Sid"] == "EnterMemberAccounts"]
    assert enter["Resource"] == MEMBER_ROLES.split(",")


def test_rules_have_their_patterns_and_targets(lab, deployed):
    resources, events = load(TEMPLATE)["Resources"], lab.client("events")
    rules = [name for name, resource in resources.items() if resource["Type"] == "AWS::Events::Rule"]
    assert rules
    for name in rules:
        rule = events.describe_rule(Name=deployed.ref(name))
        assert json.loads(rule["EventPattern"]) == resources[name]["Properties"]["EventPattern"]
        targets = events.list_targets_by_rule(Rule=deployed.ref(name))["Targets"]
        assert {t["Id"]: t["Arn"] for t in targets} == {
            "contain": deployed.arn("ContainIdentity"),
            "alert": deployed.outputs["AlertTopicArn"],
        }


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


def test_function_is_registered_as_the_template_says(lab, deployed):
    assert deployed.functions == [
        {
            "name": "contain-identity",
            "command": ["/bin-dir/contain-identity"],
            "environment": {
                "CASE_BUCKET": deployed.outputs["CaseBucketName"],
                "NOTIFICATION_TOPIC_ARN": deployed.outputs["AlertTopicArn"],
                "PROTECTED_ARNS": deployed.outputs["ContainIdentityRoleArn"],
                "VERIFY_AFTER_MS": "300",
                "MEMBER_ROLE_ARNS": "",
                "MEMBER_EXTERNAL_ID": "",
                "DENY_GROUP": deployed.ref("DenyGroup"),
                "AWS_ENDPOINT_URL": lab.endpoint,
                "EXTRA": "1",
            },
            "role_arn": deployed.outputs["ContainIdentityRoleArn"],
            "timeout": 60,
            "max_retry_attempts": 2,
            "retry_delays_ms": [50, 100],
            "on_failure_arn": deployed.arn("OnFailureQueue"),
            "log_group": "/aws/lambda/contain-identity",
        }
    ]
    assert "contain-identity" in json.dumps(lab.functions())


def test_what_is_left_out_is_said(deployed):
    alarms = {"OnFailureAlarm", "RuleDeadLetterAlarm", "ErrorsAlarm", "ThrottlesAlarm"}
    assert set(deployed.left_out) == {"CaseBucketPolicy"} | alarms
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
