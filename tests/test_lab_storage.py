"""S3, KMS behind it, and the queues and topics that are encrypted."""

import base64
import hashlib
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from lab import policies, seed
from lab_assertions import refused


@pytest.fixture
def key_arn(lab):
    return lab.client("kms").create_key()["KeyMetadata"]["Arn"]


@pytest.fixture
def bucket(lab, key_arn):
    """A case bucket: versioned, locked, encrypted with a key of the customer's."""
    s3, name = lab.client("s3"), seed.unique("cases")
    location = {"LocationConstraint": lab.region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=location, ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    s3.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
    )
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


def writer(lab, bucket, key_arn, *kms_actions, **condition):
    objects = f"arn:aws:s3:::{bucket}/*"
    statements = [policies.allow(["s3:PutObject", "s3:GetObject"], objects)]
    if kms_actions:
        statements.append(policies.allow([f"kms:{a}" for a in kms_actions], key_arn, **condition))
    return seed.user(lab, policy=policies.document(*statements))


def test_one_winner_among_racing_conditional_creations(lab, bucket):
    clients = [lab.client("s3", seed.user(lab).key) for _ in range(20)]
    start = threading.Barrier(len(clients))

    def race(number):
        start.wait()
        try:
            clients[number].put_object(Bucket=bucket, Key="cases/1", Body=b"%d" % number, IfNoneMatch="*")
            return number
        except clients[number].exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None

    with ThreadPoolExecutor(len(clients)) as pool:
        winners = [n for n in pool.map(race, range(len(clients))) if n is not None]
    assert len(winners) == 1
    assert lab.client("s3").get_object(Bucket=bucket, Key="cases/1")["Body"].read() == b"%d" % winners[0]
    versions = lab.client("s3").list_object_versions(Bucket=bucket)["Versions"]
    assert len(versions) == 1


def test_if_match_lets_one_of_two_updates_through(lab, bucket):
    s3 = lab.client("s3")
    tag = s3.put_object(Bucket=bucket, Key="targets/x", Body=b"1")["ETag"]
    s3.put_object(Bucket=bucket, Key="targets/x", Body=b"2", IfMatch=tag)
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="targets/x", Body=b"3", IfMatch=tag)
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2


def test_objects_inherit_lock_and_encryption(lab, bucket, key_arn):
    s3 = lab.client("s3")
    put = s3.put_object(Bucket=bucket, Key="cases/1", Body=b"x")
    head = s3.head_object(Bucket=bucket, Key="cases/1")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert head["ObjectLockRetainUntilDate"] > head["LastModified"]
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == key_arn
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key="cases/1", VersionId=put["VersionId"])


def test_wrong_checksum_is_refused(lab, bucket):
    s3 = lab.client("s3")
    right = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumSHA256=right)
    refused("BadDigest", s3.put_object, Bucket=bucket, Key="k", Body=b"y", ChecksumSHA256=right)


def test_missing_object_is_404_only_for_who_may_list(lab, bucket):
    """S3 answers 403 for a missing key when the caller may not list the bucket."""
    read = policies.allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")

    def reader(**condition):
        lists = [policies.allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", **condition)] if condition else []
        return lab.client("s3", seed.user(lab, policy=policies.document(read, *lists)).key)

    missing = {"Bucket": bucket, "Key": "cases/none"}
    blind = reader()
    refused("AccessDenied", blind.get_object, **missing)
    refused("403", blind.head_object, **missing)
    lister = reader(StringLikeIfExists={"s3:prefix": "cases/*"})
    refused("NoSuchKey", lister.get_object, **missing)
    refused("404", lister.head_object, **missing)
    by_prefix = reader(StringLike={"s3:prefix": "cases/*"})
    refused("AccessDenied", by_prefix.get_object, **missing)


def test_bucket_of_another_account_is_closed_without_a_policy_that_opens_it(lab, bucket):
    """Whatever the caller's own policies say (IAM User Guide, "Cross-account policy evaluation logic")."""
    lab.client("s3").put_object(Bucket=bucket, Key="cases/1", Body=b"x")
    administrator = seed.user(lab.in_account("333344445555"), policy=policies.ADMINISTRATOR)
    s3 = lab.client("s3", administrator.key)
    refused("AccessDenied", s3.get_object, Bucket=bucket, Key="cases/1")
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket)
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="cases/1", Body=b"y")
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key="cases/1")
    same = lab.client("s3", seed.user(lab, policy=policies.ADMINISTRATOR).key)
    assert same.get_object(Bucket=bucket, Key="cases/1")["Body"].read() == b"x"


def test_listing_is_limited_to_the_granted_prefix(lab, bucket):
    prefix = {"StringLike": {"s3:prefix": "cases/*"}}
    reader = seed.user(
        lab, policy=policies.document(policies.allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", **prefix))
    )
    s3 = lab.client("s3", reader.key)
    s3.list_objects_v2(Bucket=bucket, Prefix="cases/IR-1/")
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket, Prefix="targets/")
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket)


def test_listing_has_what_is_there_in_order_and_nothing_else(lab, bucket):
    s3, plain = lab.client("s3"), seed.unique("plain")
    s3.create_bucket(Bucket=plain, CreateBucketConfiguration={"LocationConstraint": lab.region})
    for where in (bucket, plain):
        names = ["cases/IR-1", "cases/IR-1/0001", "cases/IR-1/0002", "cases/IR-10/0001", "targets/a"]
        for name in [*reversed(names), "cases/IR-1/0001"]:
            s3.put_object(Bucket=where, Key=name, Body=b"x", ChecksumAlgorithm="SHA256")

        def listed(prefix, where=where, **options):
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=where, Prefix=prefix, **options)
            return [item["Key"] for page in pages for item in page.get("Contents", [])]

        assert listed("") == names
        assert listed("cases/IR-1") == names[:4]
        assert listed("cases/IR-1/") == names[1:3]
        assert listed("cases/", PaginationConfig={"PageSize": 1}) == names[:4]
        assert listed("cases/IR-2") == listed("z") == []
        folders = s3.list_objects_v2(Bucket=where, Prefix="cases/", Delimiter="/")["CommonPrefixes"]
        assert [folder["Prefix"] for folder in folders] == ["cases/IR-1/", "cases/IR-10/"]
        s3.delete_object(Bucket=where, Key="cases/IR-1/0001")
        assert listed("cases/IR-1/") == ["cases/IR-1/0002"]
        s3.put_object(Bucket=where, Key="cases/IR-1/0001", Body=b"y", ChecksumAlgorithm="SHA256")
        assert listed("cases/IR-1/") == names[1:3]


def test_writing_needs_the_data_key_and_reading_the_decryption(lab, bucket, key_arn):
    s3_only = lab.client("s3", writer(lab, bucket, key_arn).key)
    refused("AccessDenied", s3_only.put_object, Bucket=bucket, Key="k", Body=b"x")
    can_write = lab.client("s3", writer(lab, bucket, key_arn, "GenerateDataKey").key)
    can_write.put_object(Bucket=bucket, Key="k", Body=b"x")
    refused("AccessDenied", can_write.get_object, Bucket=bucket, Key="k")
    can_read = lab.client("s3", writer(lab, bucket, key_arn, "Decrypt").key)
    assert can_read.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_kms_grant_through_s3_alone(lab, bucket, key_arn):
    via = {"StringEquals": {"kms:ViaService": f"s3.{lab.region}.amazonaws.com"}}
    user = writer(lab, bucket, key_arn, "GenerateDataKey", "Decrypt", **via)
    mark = lab.mark()
    lab.client("s3", user.key).put_object(Bucket=bucket, Key="k", Body=b"x")
    refused("AccessDeniedException", lab.client("kms", user.key).generate_data_key, KeyId=key_arn, KeySpec="AES_256")
    actions = [
        (c["service"], c["action"], c["resource"]) for c in lab.calls(mark, principal=user.arn, decision="allow")
    ]
    assert actions == [("s3", "PutObject", f"arn:aws:s3:::{bucket}/k"), ("kms", "GenerateDataKey", key_arn)]


def chunked_upload(lab, bucket, key, body, checksum):
    """An upload as the AWS SDK for Rust makes it: unsigned chunks and the checksum in a trailer."""
    trailer = b"x-amz-checksum-sha256:" + base64.b64encode(checksum) + b"\r\n\r\n"
    raw = b"%x\r\n" % len(body) + body + b"\r\n0\r\n" + trailer
    headers = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Decoded-Content-Length": str(len(body)),
        "X-Amz-Trailer": "x-amz-checksum-sha256",
        "X-Amz-SDK-Checksum-Algorithm": "SHA256",
        "Content-Type": "application/json",
        "If-None-Match": "*",
    }
    signed = AWSRequest("PUT", f"{lab.endpoint}/{bucket}/{key}", headers, raw)
    S3SigV4Auth(Credentials(lab.admin["key"], lab.admin["secret"]), "s3", lab.region).add_auth(signed)
    request = urllib.request.Request(signed.url, raw, dict(signed.headers), method="PUT")
    try:
        return urllib.request.urlopen(request).status, b""
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_chunked_uploads_with_checksum_trailers(lab, bucket):
    body, right = b"streamed", hashlib.sha256(b"streamed").digest()
    status, answer = chunked_upload(lab, bucket, "cases/s", body, hashlib.sha256(b"other").digest())
    assert (status, b"BadDigest" in answer) == (400, True)
    assert chunked_upload(lab, bucket, "cases/s", body, right)[0] == 200
    stored = lab.client("s3").get_object(Bucket=bucket, Key="cases/s", ChecksumMode="ENABLED")
    assert stored["Body"].read() == body
    assert stored["ChecksumSHA256"] == base64.b64encode(right).decode()
    assert chunked_upload(lab, bucket, "cases/s", body, right)[0] == 412


def test_presigned_url_is_judged_by_the_signers_present_rights(lab, bucket):
    victim = seed.user(lab)
    lab.client("s3").put_object(Bucket=bucket, Key="k", Body=b"x")
    session = lab.boto_session(victim.key)
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    url = session.client("s3", endpoint_url=lab.endpoint, config=config).generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"}
    )
    assert urllib.request.urlopen(url).read() == b"x"
    document = json.dumps(policies.DENY_ALL)
    lab.client("iam").put_user_policy(UserName=victim.name, PolicyName="d", PolicyDocument=document)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(url)
    assert raised.value.code == 403


def test_encrypted_topic_and_queue_need_the_key(lab, key_arn):
    name = seed.unique("enc")
    topic = lab.client("sns").create_topic(Name=name, Attributes={"KmsMasterKeyId": key_arn})["TopicArn"]
    url = lab.client("sqs").create_queue(QueueName=name, Attributes={"KmsMasterKeyId": key_arn})["QueueUrl"]
    queue = f"arn:aws:sqs:{lab.region}:{lab.account}:{name}"
    basic = [policies.allow("sns:Publish", topic), policies.allow("sqs:SendMessage", queue)]
    keyless = seed.user(lab, policy=policies.document(*basic))
    refused("AuthorizationError", lab.client("sns", keyless.key).publish, TopicArn=topic, Message="m")
    refused("AccessDeniedException", lab.client("sqs", keyless.key).send_message, QueueUrl=url, MessageBody="m")
    key = policies.allow(["kms:GenerateDataKey", "kms:Decrypt"], key_arn)
    able = seed.user(lab, policy=policies.document(*basic, key))
    lab.client("sns", able.key).publish(TopicArn=topic, Message="m", Subject="s")
    lab.client("sqs", able.key).send_message(QueueUrl=url, MessageBody="m")
    assert [(n["subject"], n["message"]) for n in lab.notifications(topic=topic)] == [("s", "m")]


def test_each_protocol_is_told_its_own(lab):
    topic = lab.client("sns").create_topic(Name=seed.unique("told"))["TopicArn"]
    said = json.dumps({"default": "for all", "https": "for a chat"})
    lab.client("sns").publish(TopicArn=topic, Message=said, MessageStructure="json")
    (told,) = lab.notifications(topic=topic)
    assert (told["message"], told["card"]) == ("for all", "for a chat")


@pytest.mark.parametrize("message", ["no JSON", json.dumps({"https": "for a chat"}), json.dumps({"default": "x" * 262_144})])
def test_what_sns_does_not_take_is_told_to_nobody(lab, message):
    topic = lab.client("sns").create_topic(Name=seed.unique("untold"))["TopicArn"]
    refused("InvalidParameter", lab.client("sns").publish, TopicArn=topic, Message=message, MessageStructure="json")
    assert lab.notifications(topic=topic) == []
