"""CloudTrail's LookupEvents over what the lab decided."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from lab import policies, quotas, seed
from lab_assertions import refused

FEDERATED = policies.document(policies.allow("s3:ListAllMyBuckets"))


def look_up(lab, attribute=None, value=None, region="us-east-1", **arguments):
    """Every event with an attribute, newest first."""
    if attribute:
        arguments["LookupAttributes"] = [{"AttributeKey": attribute, "AttributeValue": value}]
    pages = lab.client("cloudtrail", region=region).get_paginator("lookup_events").paginate(**arguments)
    return [event for page in pages for event in page["Events"]]


def the_event(lab, attribute, value, name, region="us-east-1"):
    """The only event of a name with an attribute: as listed, and its record."""
    (event,) = [e for e in look_up(lab, attribute, value, region) if e["EventName"] == name]
    return event, json.loads(event["CloudTrailEvent"])


def test_a_call_becomes_an_event(lab):
    user = seed.user(lab)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    lab.client("iam", user.key).list_groups_for_user(UserName=user.name)
    event, record = the_event(lab, "AccessKeyId", user.key["AccessKeyId"], "ListGroupsForUser")
    assert event["EventSource"] == record["eventSource"] == "iam.amazonaws.com"
    assert event["Username"] == user.name
    assert event["ReadOnly"] == "true" and record["readOnly"] is True
    assert event["EventId"] == record["eventID"]
    assert {"ResourceType": "AWS::IAM::User", "ResourceName": user.name} in event["Resources"]
    assert before <= event["EventTime"] <= datetime.now(timezone.utc)
    assert record["userIdentity"] == {
        "type": "IAMUser",
        "principalId": user.id,
        "arn": user.arn,
        "accountId": lab.account,
        "accessKeyId": user.key["AccessKeyId"],
        "userName": user.name,
    }
    assert record["requestParameters"] == {"userName": user.name}
    assert record["responseElements"] is None
    assert (record["awsRegion"], record["sourceIPAddress"]) == ("us-east-1", "127.0.0.1")
    assert (record["recipientAccountId"], record["eventVersion"]) == (lab.account, "1.09")
    assert "errorCode" not in record


def test_iam_events_are_in_one_region_and_others_in_their_own(lab):
    user = seed.user(lab)
    key = user.key["AccessKeyId"]
    lab.client("iam", user.key).list_users()
    lab.client("sns", user.key).list_topics()
    lab.client("sts", user.key).get_caller_identity()
    lab.client("sts", user.key, region="us-east-1").get_caller_identity()
    assert [e["EventName"] for e in look_up(lab, "AccessKeyId", key)] == ["GetCallerIdentity", "ListUsers"]
    assert [e["EventName"] for e in look_up(lab, "AccessKeyId", key, lab.region)] == ["GetCallerIdentity", "ListTopics"]
    assert look_up(lab, "AccessKeyId", key, "ap-southeast-2") == []


def test_other_partitions_have_a_region_of_their_own_for_iam(lab):
    user = seed.user(lab)
    for partition, home in {"cn-northwest-1": "cn-north-1", "us-gov-east-1": "us-gov-west-1"}.items():
        lab.client("iam", user.key, region=partition).list_users()
        (event,) = look_up(lab, "AccessKeyId", user.key["AccessKeyId"], home)
        assert (event["EventName"], json.loads(event["CloudTrailEvent"])["awsRegion"]) == ("ListUsers", home)


def test_a_refused_call_is_an_event_with_an_error(lab):
    user = seed.user(lab, policy=policies.document(policies.allow("iam:AttachUserPolicy")))
    iam, key = lab.client("iam", user.key), user.key["AccessKeyId"]
    refused("AccessDenied", iam.list_users)
    refused("NoSuchEntity", iam.attach_user_policy, UserName="nobody-here", PolicyArn="arn:aws:iam::aws:policy/X")
    _, denied = the_event(lab, "AccessKeyId", key, "ListUsers")
    assert denied["errorCode"] == "AccessDenied" and user.arn in denied["errorMessage"]
    _, missing = the_event(lab, "AccessKeyId", key, "AttachUserPolicy")
    assert missing["errorCode"] == "NoSuchEntityException" and "nobody-here" in missing["errorMessage"]
    assert missing["responseElements"] is None


def test_an_unknown_credential_leaves_no_event(lab):
    user = seed.user(lab)
    lab.client("iam").update_access_key(
        UserName=user.name, AccessKeyId=user.key["AccessKeyId"], Status="Inactive"
    )
    refused("InvalidClientTokenId", lab.client("iam", user.key).list_users)
    assert look_up(lab, "Username", user.name) == []


def test_an_mfa_device_an_intruder_enabled(lab):
    user = seed.user(lab)
    serial = seed.mfa_device(lab, user, by=user.key)
    event, record = the_event(lab, "ResourceName", serial, "EnableMFADevice")
    assert event["AccessKeyId"] == user.key["AccessKeyId"] and event["ReadOnly"] == "false"
    assert record["requestParameters"] == {"userName": user.name, "serialNumber": serial}
    _, created = the_event(lab, "AccessKeyId", user.key["AccessKeyId"], "CreateVirtualMFADevice")
    assert created["responseElements"] == {"virtualMFADevice": {"serialNumber": serial}}


def test_a_new_key_is_named_and_its_secret_is_not(lab):
    user = seed.user(lab)
    made = seed.new_key(lab, user, by=user.key)
    (listed,) = [e for e in look_up(lab, "EventName", "CreateAccessKey") if e["Username"] == user.name]
    shown = json.loads(listed["CloudTrailEvent"])["responseElements"]["accessKey"]
    assert (shown["accessKeyId"], shown["userName"], shown["status"]) == (made["AccessKeyId"], user.name, "Active")
    assert made["SecretAccessKey"] not in listed["CloudTrailEvent"]


def test_a_console_password_is_not_in_the_record(lab):
    user = seed.user(lab)
    seed.console_login(lab, user, by=user.key)
    event, record = the_event(lab, "AccessKeyId", user.key["AccessKeyId"], "CreateLoginProfile")
    assert record["responseElements"]["loginProfile"]["userName"] == user.name
    assert user.password not in event["CloudTrailEvent"]


# --- sessions --------------------------------------------------------------------------------------


def test_a_federated_user_leads_to_its_issuer(lab):
    user = seed.user(lab)
    session = lab.federation_token(user.key, "reporter", FEDERATED)
    lab.client("s3", session).list_buckets()
    event, record = the_event(lab, "AccessKeyId", session["AccessKeyId"], "ListBuckets", lab.region)
    assert event["Username"] == "reporter"
    identity = record["userIdentity"]
    context = identity.pop("sessionContext")
    assert identity == {
        "type": "FederatedUser",
        "principalId": f"{lab.account}:reporter",
        "arn": f"arn:aws:sts::{lab.account}:federated-user/reporter",
        "accountId": lab.account,
        "accessKeyId": session["AccessKeyId"],
    }
    assert context["sessionIssuer"] == {
        "type": "IAMUser",
        "principalId": user.id,
        "arn": user.arn,
        "accountId": lab.account,
        "userName": user.name,
    }
    assert context["attributes"]["mfaAuthenticated"] == "false"


@pytest.mark.parametrize("operation", ["GetFederationToken", "GetSessionToken", "AssumeRole"])
def test_the_parent_of_a_session_is_found_by_the_key_it_was_given(lab, operation):
    user = seed.user(lab)
    role = seed.role(lab, trust=policies.trust(principals=[user.arn]))
    session = {
        "GetFederationToken": lambda: lab.federation_token(user.key, "reporter"),
        "GetSessionToken": lambda: lab.session_token(user.key),
        "AssumeRole": lambda: lab.assume_role(user.key, role.arn, "night-shift"),
    }[operation]()
    event, record = the_event(lab, "ResourceName", session["AccessKeyId"], operation, lab.region)
    assert event["AccessKeyId"] == user.key["AccessKeyId"]
    answered = record["responseElements"]
    assert answered["credentials"]["accessKeyId"] == session["AccessKeyId"]
    assert session["SecretAccessKey"] not in event["CloudTrailEvent"]
    if operation == "AssumeRole":
        assert record["requestParameters"] == {"roleArn": role.arn, "roleSessionName": "night-shift"}
        assert answered["assumedRoleUser"]["assumedRoleId"] == f"{role.id}:night-shift"
    if operation == "GetFederationToken":
        assert answered["federatedUser"]["federatedUserId"] == f"{lab.account}:reporter"


def test_a_role_session_names_its_role(lab):
    role = seed.role(lab, path="/apps/")
    instance, session = seed.instance_session(lab, role)
    lab.client("sns", session).list_topics()
    event, record = the_event(lab, "AccessKeyId", session["AccessKeyId"], "ListTopics", lab.region)
    assert event["Username"] == instance
    identity = record["userIdentity"]
    assert (identity["type"], identity["principalId"]) == ("AssumedRole", f"{role.id}:{instance}")
    assert identity["arn"] == f"arn:aws:sts::{lab.account}:assumed-role/{role.name}/{instance}"
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert (issuer["type"], issuer["arn"], issuer["principalId"]) == ("Role", role.arn, role.id)
    assert issuer["userName"] == role.name
    assert identity["sessionContext"]["ec2RoleDelivery"] == "2.0"


def test_the_owner_of_a_role_sees_who_came_from_elsewhere(lab):
    user, other = seed.user(lab), "444455556666"
    trust = policies.trust(principals=[user.arn])
    arguments = {"RoleName": seed.unique("role"), "AssumeRolePolicyDocument": json.dumps(trust)}
    role = in_account(lab, "iam", other).create_role(**arguments)["Role"]
    session = lab.assume_role(user.key, role["Arn"], "visitor")
    _, here = the_event(lab, "AccessKeyId", user.key["AccessKeyId"], "AssumeRole", lab.region)
    found = in_account(lab, "cloudtrail", other).lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": session["AccessKeyId"]}]
    )
    (there,) = [json.loads(event["CloudTrailEvent"]) for event in found["Events"]]
    assert there["sharedEventID"] == here["sharedEventID"] and there["eventID"] != here["eventID"]
    assert there["userIdentity"] == {"type": "AWSAccount", "principalId": user.id, "accountId": lab.account}
    assert there["recipientAccountId"] == other


def in_account(lab, service, account):
    """A client of the admin that works in another account."""
    session = lab.boto_session((lab.admin["key"], lab.admin["secret"]))
    client = session.client(service, endpoint_url=lab.endpoint)
    client.meta.events.register("before-sign", lambda request, **_: request.headers.add_header(
        "x-moto-account-id", account
    ))  # fmt: skip
    return client


# --- looking up ------------------------------------------------------------------------------------


def test_objects_are_data_events_and_buckets_are_not(lab):
    user, bucket = seed.user(lab), seed.unique("bucket")
    s3 = lab.client("s3", user.key)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": lab.region})
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.get_object(Bucket=bucket, Key="a")
    s3.list_objects_v2(Bucket=bucket)
    s3.get_bucket_location(Bucket=bucket)
    names = [e["EventName"] for e in look_up(lab, "AccessKeyId", user.key["AccessKeyId"], lab.region)]
    assert names == ["GetBucketLocation", "CreateBucket"]
    _, record = the_event(lab, "ResourceName", bucket, "CreateBucket", lab.region)
    assert record["requestParameters"] == {"bucketName": bucket}


def test_pages_hold_fifty_newest_first(lab):
    user = seed.user(lab)
    sts, key = lab.client("sts", user.key), user.key["AccessKeyId"]
    for _ in range(60):
        sts.get_caller_identity()
    cloudtrail = lab.client("cloudtrail")
    question = {"LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": key}]}
    first = cloudtrail.lookup_events(**question)
    assert len(first["Events"]) == 50
    # What happens between two pages shifts nothing.
    sts.get_caller_identity()
    second = cloudtrail.lookup_events(NextToken=first["NextToken"], **question)
    assert len(second["Events"]) == 10 and "NextToken" not in second
    events = first["Events"] + second["Events"]
    assert len({event["EventId"] for event in events}) == 60
    times = [event["EventTime"] for event in events]
    assert times == sorted(times, reverse=True)
    refused("InvalidMaxResultsException", cloudtrail.lookup_events, MaxResults=51)
    refused("InvalidNextTokenException", cloudtrail.lookup_events, NextToken="made-up", **question)
    refused("InvalidNextTokenException", cloudtrail.lookup_events, NextToken=first["NextToken"])


def test_one_attribute_and_only_known_ones(lab):
    cloudtrail = lab.client("cloudtrail")
    two = [{"AttributeKey": name, "AttributeValue": "x"} for name in ("EventName", "Username")]
    refused("InvalidLookupAttributesException", cloudtrail.lookup_events, LookupAttributes=two)
    address = [{"AttributeKey": "SourceIPAddress", "AttributeValue": "127.0.0.1"}]
    refused("InvalidLookupAttributesException", cloudtrail.lookup_events, LookupAttributes=address)


def seeded(lab, at, **more):
    record = {
        "eventName": "EnableMFADevice",
        "eventSource": "iam.amazonaws.com",
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "userIdentity": {"type": "IAMUser", "userName": "svc", "accessKeyId": seed.unique("AKIA")},
        "requestParameters": {"userName": "svc", "serialNumber": "arn:aws:iam::111122223333:mfa/svc"},
        **more,
    }
    return lab.seed_trail(record), record["userIdentity"]["accessKeyId"]


def test_seeded_events_are_found_by_time_and_attribute(lab):
    now = datetime.now(timezone.utc).replace(microsecond=0)
    event_id, key = seeded(lab, now - timedelta(days=2))
    event, record = the_event(lab, "AccessKeyId", key, "EnableMFADevice")
    assert event["EventId"] == event_id and event["EventTime"] == now - timedelta(days=2)
    assert (event["Username"], event["ReadOnly"]) == ("svc", "false")
    assert record["awsRegion"] == "us-east-1" and record["readOnly"] is False
    by_id = look_up(lab, "EventId", event_id)
    assert [e["EventId"] for e in by_id] == [event_id]
    within = {"StartTime": now - timedelta(days=3), "EndTime": now - timedelta(days=1)}
    assert len(look_up(lab, "AccessKeyId", key, **within)) == 1
    assert look_up(lab, "AccessKeyId", key, StartTime=now - timedelta(days=1)) == []
    assert look_up(lab, "AccessKeyId", key, EndTime=now - timedelta(days=3)) == []
    assert look_up(lab, "AccessKeyId", key, lab.region) == []
    backwards = {"StartTime": now, "EndTime": now - timedelta(days=1)}
    refused("InvalidTimeRangeException", lab.client("cloudtrail").lookup_events, **backwards)


def test_history_ends_after_ninety_days(lab):
    now = datetime.now(timezone.utc)
    _, gone = seeded(lab, now - timedelta(days=91))
    _, kept = seeded(lab, now - timedelta(days=89))
    assert look_up(lab, "AccessKeyId", gone, StartTime=now - timedelta(days=100)) == []
    assert len(look_up(lab, "AccessKeyId", kept)) == 1


def test_the_rate_is_limited_when_a_test_says_so(lab):
    cloudtrail, elsewhere = lab.client("cloudtrail"), lab.client("cloudtrail", region="eu-central-1")
    for _ in range(5):
        cloudtrail.lookup_events(MaxResults=1)
    lab.limit_lookups(2, seconds=600)
    try:
        cloudtrail.lookup_events(MaxResults=1)
        cloudtrail.lookup_events(MaxResults=1)
        refused("ThrottlingException", cloudtrail.lookup_events, MaxResults=1)
        elsewhere.lookup_events(MaxResults=1)
    finally:
        lab.limit_lookups()
    cloudtrail.lookup_events(MaxResults=1)


def test_looking_up_needs_a_permission(lab):
    nobody, analyst = (
        seed.user(lab, policy=policies.document(policies.allow(action)))
        for action in ("cloudtrail:GetTrail", "cloudtrail:LookupEvents")
    )
    refused("AccessDeniedException", lab.client("cloudtrail", nobody.key).lookup_events)
    assert lab.client("cloudtrail", analyst.key).lookup_events(MaxResults=1)["Events"]


def test_root_is_named_root(lab):
    group = quotas.group(lab)
    event, record = the_event(lab, "ResourceName", group, "CreateGroup")
    assert event["Username"] == "root"
    assert record["userIdentity"]["type"] == "Root"
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{lab.account}:root"
