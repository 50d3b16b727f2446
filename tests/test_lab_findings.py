"""Security Hub, GuardDuty and EventBridge: findings and what they set off."""

import json

import pytest
from lab import policies, seed
from lab.plugin.bus import target_input
from lab.plugin.patterns import matches
from lab_assertions import refused

NOW = "2026-11-21T20:00:00Z"


def finding(lab, **changes):
    number = seed.unique("finding")
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"arn:aws:guardduty:{lab.region}:{lab.account}:detector/d1/finding/{number}",
        "ProductArn": f"arn:aws:securityhub:{lab.region}::product/aws/guardduty",
        "GeneratorId": "g",
        "AwsAccountId": lab.account,
        "Types": ["TTPs/Discovery"],
        "CreatedAt": NOW,
        "UpdatedAt": NOW,
        "Severity": {"Label": "HIGH"},
        "Title": "t",
        "Description": "d",
        "Resources": [{"Type": "AwsIamAccessKey", "Id": "AWS::IAM::AccessKey:AKIA"}],
        **changes,
    }


def identity(found):
    return {"Id": found["Id"], "ProductArn": found["ProductArn"]}


def get(lab, found):
    filters = {name: [{"Value": value, "Comparison": "EQUALS"}] for name, value in identity(found).items()}
    return lab.client("securityhub").get_findings(Filters=filters)["Findings"]


def queue_for(lab, pattern, **target):
    """A rule of its own that delivers to a queue of its own; returns a reader of bodies."""
    name = seed.unique("rule")
    sqs, events = lab.client("sqs"), lab.client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{lab.region}:{lab.account}:{name}"
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn, **target}])
    received = []

    def read():
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return received

    return read


class TestSecurityHub:
    def test_filters_select(self, lab):
        hub = lab.client("securityhub")
        mine, other = finding(lab), finding(lab, RecordState="ARCHIVED")
        answer = hub.batch_import_findings(Findings=[mine, other])
        assert answer["SuccessCount"] == 2
        assert [f["Id"] for f in get(lab, mine)] == [mine["Id"]]
        both = [{"Value": f["Id"], "Comparison": "EQUALS"} for f in (mine, other)]

        def ids(**filters):
            filters = {name: [{"Value": pair[0], "Comparison": pair[1]}] for name, pair in filters.items()}
            return [f["Id"] for f in hub.get_findings(Filters={"Id": both, **filters})["Findings"]]

        assert ids(RecordState=("ACTIVE", "EQUALS")) == [mine["Id"]]
        assert ids(RecordState=("ACTIVE", "NOT_EQUALS")) == [other["Id"]]
        assert ids(WorkflowStatus=("NEW", "EQUALS")) == [mine["Id"], other["Id"]]
        assert ids(AwsAccountId=("999999999999", "EQUALS")) == []
        assert ids(Type=("TTPs", "PREFIX")) == [mine["Id"], other["Id"]]
        assert ids(ResourceType=("AwsEc2Instance", "EQUALS")) == []
        assert ids(ProductName=("GuardDuty", "EQUALS")) == []

    def test_import_without_required_fields_fails_for_that_finding_alone(self, lab):
        broken = finding(lab)
        broken["Title"] = ""
        answer = lab.client("securityhub").batch_import_findings(Findings=[finding(lab), broken])
        assert (answer["SuccessCount"], answer["FailedCount"]) == (1, 1)
        assert answer["FailedFindings"][0]["Id"] == broken["Id"]

    def test_update_sets_workflow_and_note(self, lab):
        hub, found = lab.client("securityhub"), finding(lab)
        hub.batch_import_findings(Findings=[found])
        answer = hub.batch_update_findings(
            FindingIdentifiers=[identity(found), {**identity(found), "Id": "nothing"}],
            Workflow={"Status": "NOTIFIED"},
            Note={"Text": "contained", "UpdatedBy": "test"},
        )
        assert answer["ProcessedFindings"] == [identity(found)]
        assert [u["ErrorCode"] for u in answer["UnprocessedFindings"]] == ["FindingNotFound"]
        (stored,) = get(lab, found)
        assert stored["Workflow"]["Status"] == "NOTIFIED"
        assert stored["Note"]["Text"] == "contained"
        assert stored["UpdatedAt"] == NOW

    def test_note_is_limited(self, lab):
        hub, found = lab.client("securityhub"), finding(lab)
        hub.batch_import_findings(Findings=[found])
        update = {"FindingIdentifiers": [identity(found)]}
        hub.batch_update_findings(**update, Note={"Text": "x" * 512, "UpdatedBy": "test"})
        long = {"Text": "x" * 513, "UpdatedBy": "test"}
        refused("InvalidInputException", hub.batch_update_findings, **update, Note=long)

    def test_reimport_keeps_what_the_customer_wrote(self, lab):
        hub, found = lab.client("securityhub"), finding(lab)
        hub.batch_import_findings(Findings=[found])
        note = {"Text": "seen", "UpdatedBy": "test"}
        hub.batch_update_findings(FindingIdentifiers=[identity(found)], Workflow={"Status": "NOTIFIED"}, Note=note)
        again = {**found, "Title": "second", "Workflow": {"Status": "NEW"}}
        hub.batch_import_findings(Findings=[again])
        (stored,) = get(lab, found)
        assert (stored["Title"], stored["Workflow"]["Status"], stored["Note"]["Text"]) == ("second", "NOTIFIED", "seen")

    def test_return_from_the_archive_is_new(self, lab):
        hub, found = lab.client("securityhub"), finding(lab)
        hub.batch_import_findings(Findings=[found])
        hub.batch_update_findings(FindingIdentifiers=[identity(found)], Workflow={"Status": "NOTIFIED"})
        hub.batch_import_findings(Findings=[{**found, "RecordState": "ARCHIVED"}])
        assert get(lab, found)[0]["Workflow"]["Status"] == "NOTIFIED"
        hub.batch_import_findings(Findings=[{**found, "RecordState": "ACTIVE"}])
        assert get(lab, found)[0]["Workflow"]["Status"] == "NEW"

    def test_same_id_from_another_product_is_another_finding(self, lab):
        hub, found = lab.client("securityhub"), finding(lab)
        other = {**found, "ProductArn": f"arn:aws:securityhub:{lab.region}:{lab.account}:product/{lab.account}/default"}
        hub.batch_import_findings(Findings=[found, other])
        assert len(get(lab, found)) == len(get(lab, other)) == 1

    def test_import_and_update_each_emit_one_event_a_finding(self, lab):
        hub, one, two = lab.client("securityhub"), finding(lab), finding(lab)
        pattern = {
            "source": ["aws.securityhub"],
            "detail-type": ["Security Hub Findings - Imported"],
            "detail": {"findings": {"Id": [one["Id"], two["Id"]]}},
        }
        read = queue_for(lab, pattern)
        hub.batch_import_findings(Findings=[one, two])
        lab.wait_for(lambda: len(read()) == 2)
        hub.batch_update_findings(FindingIdentifiers=[identity(one)], Workflow={"Status": "NOTIFIED"})
        events = lab.wait_for(lambda: len(read()) == 3 and read())
        assert all(len(e["detail"]["findings"]) == 1 for e in events)
        assert events[2]["detail"]["findings"][0]["Workflow"]["Status"] == "NOTIFIED"
        assert events[2]["resources"] == [f"{one['ProductArn']}/{one['Id']}"]


class TestGuardDuty:
    def source(self, lab, **changes):
        found = {
            "id": seed.unique("gd"),
            "accountId": lab.account,
            "region": lab.region,
            "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
            "severity": 8,
            "resource": {"resourceType": "AccessKey", "accessKeyDetails": {"userName": "x"}},
            "service": {"detectorId": "d-1", "count": 1, "archived": False, "additionalInfo": {"sample": True}},
        }
        return {**found, **changes}

    def test_finding_is_there_once_seeded_and_archived_on_request(self, lab):
        client, found = lab.client("guardduty"), self.source(lab)
        lab.seed_finding(found)
        (stored,) = client.get_findings(DetectorId="d-1", FindingIds=[found["id"], "unknown"])["Findings"]
        assert stored["Type"] == found["type"]
        assert stored["Resource"]["AccessKeyDetails"]["UserName"] == "x"
        assert json.loads(stored["Service"]["AdditionalInfo"]["Value"]) == {"sample": True}
        assert found["id"] in client.list_findings(DetectorId="d-1")["FindingIds"]
        client.archive_findings(DetectorId="d-1", FindingIds=[found["id"]])
        (stored,) = client.get_findings(DetectorId="d-1", FindingIds=[found["id"]])["Findings"]
        assert stored["Service"]["Archived"] is True
        criteria = {"Criterion": {"service.archived": {"Eq": ["false"]}}}
        assert found["id"] not in client.list_findings(DetectorId="d-1", FindingCriteria=criteria)["FindingIds"]

    def test_unknown_detector_is_refused(self, lab):
        refused("BadRequestException", lab.client("guardduty").get_findings, DetectorId="none", FindingIds=["x"])

    def test_an_event_seeds_its_finding_but_does_not_replace_it(self, lab):
        found = self.source(lab)
        lab.seed_finding(found)
        event = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {**found, "severity": 2}}
        lab.put_event(event)
        client = lab.client("guardduty")
        (stored,) = client.get_findings(DetectorId="d-1", FindingIds=[found["id"]])["Findings"]
        assert stored["Severity"] == 8
        fresh = self.source(lab)
        lab.put_event({**event, "detail": fresh})
        assert client.get_findings(DetectorId="d-1", FindingIds=[fresh["id"]])["Findings"]


EVENT = {
    "source": "aws.securityhub",
    "detail": {
        "findings": [
            {"Workflow": {"Status": "NEW"}, "RecordState": "ARCHIVED", "Types": ["A/x", "B/y"], "n": 8},
            {"Workflow": {"Status": "NOTIFIED"}, "RecordState": "ACTIVE", "Types": ["C/z"], "n": 2.5},
        ],
        "name": "abc.txt",
        "ip": "10.1.2.3",
        "empty": [],
    },
}
PATTERNS = [
    ({"findings": {"Workflow": {"Status": ["NEW"]}}}, True),
    ({"findings": {"Workflow": {"Status": ["NEW"]}, "RecordState": ["ACTIVE"]}}, False),
    ({"findings": {"Workflow": {"Status": ["NOTIFIED"]}, "RecordState": ["ACTIVE"]}}, True),
    ({"findings": {"Workflow": {"Status": ["NEW"]}, "Types": [{"prefix": "B/"}]}}, True),
    ({"findings": {"Workflow": {"Status": ["NEW"]}, "Types": [{"prefix": "C/"}]}}, False),
    ({"findings": {"n": [{"numeric": [">=", 7]}], "RecordState": ["ARCHIVED"]}}, True),
    ({"findings": {"n": [{"numeric": [">", 8, "<", 9]}]}}, False),
    ({"findings": {"Missing": [{"exists": False}], "RecordState": ["ACTIVE"]}}, True),
    ({"findings": {"RecordState": [{"exists": True}]}}, True),
    ({"findings": {"RecordState": [{"anything-but": ["ARCHIVED", "ACTIVE"]}]}}, False),
    ({"$or": [{"name": ["no"]}, {"findings": {"RecordState": ["ACTIVE"]}}]}, True),
    ({"name": [{"suffix": ".txt"}]}, True),
    ({"name": [{"wildcard": "a*.t*"}]}, True),
    ({"name": [{"equals-ignore-case": "ABC.TXT"}]}, True),
    ({"name": [{"anything-but": {"prefix": "abc"}}]}, False),
    ({"ip": [{"cidr": "10.0.0.0/8"}]}, True),
    ({"name": ["abc.txt", "x"]}, True),
    ({"name": {"deeper": ["x"]}}, False),
    ({"none": {"deeper": [{"exists": False}]}}, True),
    ({"empty": [{"exists": False}]}, True),
]


@pytest.mark.parametrize("pattern, matched", PATTERNS)
def test_patterns_match_within_one_element(pattern, matched):
    assert matches({"source": ["aws.securityhub"], "detail": pattern}, EVENT) is matched
    assert not matches({"source": ["other"], "detail": pattern}, EVENT)


class TestEventBridge:
    def event(self, **detail):
        return {"source": "lab.test", "detail-type": "Test", "resources": ["r"], "detail": detail}

    def test_envelope(self, lab):
        name = seed.unique("x")
        read = queue_for(lab, {"detail": {"name": [name]}})
        event_id = lab.put_event(self.event(name=name))
        (envelope,) = lab.wait_for(read)
        assert envelope["id"] == event_id
        assert envelope["account"] == lab.account
        assert envelope["region"] == lab.region
        assert envelope["time"].endswith("Z") and len(envelope["time"]) == 20
        assert (envelope["version"], envelope["resources"]) == ("0", ["r"])
        delivery = lab.wait_for(lambda: lab.deliveries(event_id=event_id))
        assert [d["status"] for d in delivery] == ["delivered"]

    def test_aws_sources_are_for_aws(self, lab):
        victim = seed.user(lab)
        entry = {"Source": "aws.guardduty", "DetailType": "GuardDuty Finding", "Detail": "{}"}
        answer = lab.client("events", victim.key).put_events(Entries=[entry])
        assert answer["FailedEntryCount"] == 1
        assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"

    def test_same_envelope_twice_keeps_its_id(self, lab):
        name = seed.unique("x")
        read = queue_for(lab, {"detail": {"name": [name]}})
        envelope = {**self.event(name=name), "id": "fixed", "region": lab.region, "account": lab.account}
        lab.deliver_event(envelope)
        lab.deliver_event(envelope)
        lab.wait_for(lambda: len(read()) == 2)
        assert [e["id"] for e in read()] == ["fixed", "fixed"]

    def test_sns_target_is_notified(self, lab):
        name = seed.unique("topic")
        topic = lab.client("sns").create_topic(Name=name)["TopicArn"]
        events = lab.client("events")
        events.put_rule(Name=name, EventPattern=json.dumps({"detail": {"name": [name]}}))
        events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": topic, "InputPath": "$.detail"}])
        lab.put_event(self.event(name=name))
        (note,) = lab.wait_for(lambda: lab.notifications(topic=topic))
        assert json.loads(note["message"]) == {"name": name}

    def test_unreachable_target_is_retried_then_buried(self, lab):
        name = seed.unique("dead")
        sqs, events = lab.client("sqs"), lab.client("events")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        missing = f"arn:aws:lambda:{lab.region}:{lab.account}:function:{name}"
        events.put_rule(Name=name, EventPattern=json.dumps({"detail": {"name": [name]}}))
        dead = {"Arn": f"arn:aws:sqs:{lab.region}:{lab.account}:{name}"}
        events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": missing, "DeadLetterConfig": dead}])
        event_id = lab.put_event(self.event(name=name))
        (delivery,) = lab.wait_for(lambda: lab.deliveries(event_id=event_id))
        assert (delivery["status"], delivery["attempts"]) == ("dead_lettered", 4)
        (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
        assert json.loads(message["Body"])["id"] == event_id
        assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == missing

    def test_disabled_rule_is_silent(self, lab):
        name = seed.unique("off")
        read_off, read_on = queue_for(lab, {"detail": {"name": [name]}}), queue_for(lab, {"detail": {"name": [name]}})
        rules = [r["Name"] for r in lab.client("events").list_rules()["Rules"] if name in r["EventPattern"]]
        lab.client("events").disable_rule(Name=sorted(rules, key=lambda n: int(n.split("-")[1]))[0])
        lab.put_event(self.event(name=name))
        lab.wait_for(read_on)
        assert read_off() == []

    def test_input_transformer(self):
        event = {"id": "1", "detail": {"type": 'say "hi"', "n": 3, "list": [{"a": 1}]}}
        transformer = {
            "InputPathsMap": {"t": "$.detail.type", "n": "$.detail.n", "a": "$.detail.list[0].a"},
            "InputTemplate": '{"text": "type <t>", "n": <n>, "a": <a>, "whole": <aws.events.event.json>}',
        }
        made = target_input({"InputTransformer": transformer}, event)
        assert made == {"text": 'type say "hi"', "n": 3, "a": 1, "whole": event}
        text = {"InputPathsMap": {"t": "$.detail.type"}, "InputTemplate": '"type <t>"'}
        assert target_input({"InputTransformer": text}, event) == 'type say "hi"'

    def test_put_events_needs_permission(self, lab):
        victim = seed.user(lab, policy=policies.document(policies.allow("sns:*")))
        entry = {"Source": "mine", "DetailType": "x", "Detail": "{}"}
        refused("AccessDeniedException", lab.client("events", victim.key).put_events, Entries=[entry])
