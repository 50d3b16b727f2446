"""The case lies in the forensics account beside the evidence it speaks of: whole, checked, and out of the responder's reach."""

import json
import os
import subprocess

import pytest
from crash_targets_seal import IN_FORENSICS, ForensicCopy
from lab import policies, seed
from lab.plugin.policy import PolicySet, evaluate
from lab.stage import BINARIES, FORENSICS_TEMPLATE
from lab.template import load, pseudo_parameters
from lab.template.intrinsics import Resolver
from lab_assertions import refused
from sealing import (
    FORENSICS, Ledger, asleep, contained, deliver, ids, kept, kept_bucket, of, result_of, tags,
)  # fmt: skip


@pytest.fixture(scope="module")
def whole_way(away, there):
    """An instance contained, its two volumes copied to the forensics account, and everything told."""
    instance, case = contained(away, data_volumes=1)
    ledger = Ledger(away, instance, case)
    away.lab.wait_for(lambda: len(of(there, instance, "forensic")) == 2, 60, interval=0.25)
    ledger.wait_told(*ids(of(there, instance, "forensic")), deadline=60)
    return instance, ledger


@pytest.fixture
def copy(away):
    """A forensic copy that is complete, and whose event has not been delivered; the rules sleep."""
    with asleep(away):
        yield ForensicCopy(away)


# --- kept -------------------------------------------------------------------------------------------------


def test_case_lies_there_byte_for_byte_up_to_the_seal_of_the_copy(away, there, whole_way):
    instance, ledger = whole_way
    here, file = ledger.file(), kept(away, ledger.id)
    assert file.objects and all(here.objects[key] == body for key, body in file.objects.items())
    file.check_chain()
    # What was written after the last copy was sealed is not there: who was told of it, above all.
    seals = [ledger.number("sealed", snapshot=snapshot) for snapshot in ids(of(there, instance, "forensic"))]
    last = file.entries[-1]["number"]
    assert max(seals) <= last < len(here.entries)
    later = {f"cases/{ledger.id}/{entry['number']:04}.json" for entry in here.entries if entry["number"] > last}
    # Nor the page: it is written anew each time, and made of the others.
    assert set(here.objects) - set(file.objects) == later | {f"cases/{ledger.id}/report.html"}
    sorts = {key.split("/")[2].split("-")[0] for key in file.objects}
    assert {"event", "evidence", "snapshots", "0001.json"} <= sorts, sorts


def test_ledger_records_what_lies_there(away, there, whole_way):
    """Each copy brings what was written since the one before."""
    instance, ledger = whole_way
    facts = ledger.facts("kept")
    assert {fact["after"] for fact in facts} == set(ids(of(there, instance, "forensic")))
    assert {fact["bucket"] for fact in facts} == {kept_bucket(away)}
    assert {o["key"] for fact in facts for o in fact["objects"]} == set(kept(away, ledger.id).objects)
    ledger.file().check_chain()


def test_what_lies_there_is_locked_and_under_a_key_of_that_account(away, there, whole_way):
    _, ledger = whole_way
    s3, key = there.client("s3"), away.forensics.arn("CaseKey")
    assert key.split(":")[4] == FORENSICS and key != away.forensics.outputs["ForensicsKeyArn"]
    for name in kept(away, ledger.id).objects:
        head = s3.head_object(Bucket=kept_bucket(away), Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["ObjectLockMode"]) == ("aws:kms", key, "GOVERNANCE")
        version = {"Bucket": kept_bucket(away), "Key": name, "VersionId": head["VersionId"]}
        refused("AccessDenied", s3.delete_object, **version)


def test_examiner_verifies_the_case_there(away, there, whole_way):
    """With what an examiner of that account needs, and nothing of the responder account."""
    _, ledger = whole_way
    bucket = f"arn:aws:s3:::{kept_bucket(away)}"
    through = {"StringEquals": {"kms:ViaService": f"s3.{away.lab.region}.amazonaws.com"}}
    allowed = [
        policies.allow("s3:ListBucket", bucket), policies.allow("s3:GetObject", f"{bucket}/cases/*"),
        policies.allow("kms:Decrypt", away.forensics.arn("CaseKey"), **through),
    ]  # fmt: skip
    examiner = seed.user(there, policy=policies.document(*allowed))
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": examiner.key["AccessKeyId"], "AWS_REGION": away.lab.region,
        "AWS_SECRET_ACCESS_KEY": examiner.key["SecretAccessKey"], "AWS_ENDPOINT_URL": away.lab.endpoint,
        "CASE_BUCKET": kept_bucket(away),
    }  # fmt: skip
    command = [str(BINARIES / "tourniquet"), "verify-case", ledger.id]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    entries = len(kept(away, ledger.id).entries)
    assert f"{ledger.id} in s3://{kept_bucket(away)}: {entries} entries, the chain holds." in checked.stdout


def test_people_are_told_where_the_case_is_kept(away, there, whole_way):
    instance, ledger = whole_way
    for snapshot in ids(of(there, instance, "forensic")):
        (message,) = [m["message"] for m in ledger.messages() if f"Forensic copy {snapshot}" in m["message"]]
        assert f"s3://{kept_bucket(away)}/cases/{ledger.id}/" in message
        assert "ITS CASE COULD NOT BE KEPT" not in message


def versions(there, bucket):
    return sorted((v["Key"], v["VersionId"]) for v in there.client("s3").list_object_versions(Bucket=bucket)["Versions"])


def test_same_event_again_writes_nothing(away, there, copy):
    first = result_of(deliver(away, copy.event), copy.snapshot)
    assert first["outcome"] == "sealed" and first["kept"]["bucket"] == kept_bucket(away)
    before = versions(there, kept_bucket(away)), sorted(copy.ledger.file().objects)
    again = deliver(away, copy.event)
    result = result_of(again, copy.snapshot)
    assert result["repeat"] and result["kept"] == first["kept"]
    assert not [c for c in again.calls(service="s3") if c["action"] == "PutObject"]
    assert (versions(there, kept_bucket(away)), sorted(copy.ledger.file().objects)) == before


# --- not kept ---------------------------------------------------------------------------------------------


def test_bucket_that_refuses_is_told_and_the_case_comes_with_the_next_delivery(away, copy):
    lab, function = away.lab, away.copy("seal-snapshot")
    order = {"action": "s3:PutObject", "resource": f"{IN_FORENSICS}/*"}
    lab.fault(function, at_call=1, kind="access_denied", scope="event", times=1000, **order)
    result = result_of(deliver(away, copy.event, function), copy.snapshot)
    lab.clear_faults()
    assert result["outcome"] == "sealed" and "kept" not in result, "the copy is what it is"
    (missing,) = result["missing"]
    assert f"s3://{kept_bucket(away)}/cases/{copy.case}/" in missing and "AccessDenied" in missing
    (fact,) = copy.ledger.facts("not_kept")
    assert (fact["after"], fact["bucket"]) == (copy.snapshot, kept_bucket(away)) and not copy.ledger.facts("kept")
    message = copy.ledger.messages()[-1]["message"]
    assert "ITS CASE COULD NOT BE KEPT THERE" in message and missing in message
    result = result_of(deliver(away, copy.event, function), copy.snapshot)
    assert result["kept"]["objects"] == len(kept(away, copy.case).objects) and "missing" not in result
    copy.check_case_is_kept()
    assert f"s3://{kept_bucket(away)}/cases/{copy.case}/" in copy.ledger.messages()[-1]["message"]


def test_case_that_does_not_hold_together_is_not_written_where_nothing_can_be_put_right(away, copy):
    """Somebody has edited an entry in the responder account: that is told, with the broken link."""
    s3, key = away.lab.client("s3"), f"cases/{copy.case}/0001.json"
    original = away.read(key)
    s3.put_object(Bucket=away.bucket, Key=key, Body=original + b" ")
    result = result_of(deliver(away, copy.event), copy.snapshot)
    assert result["outcome"] == "sealed"
    (missing,) = result["missing"]
    assert "BrokenChain" in missing and f"cases/{copy.case}/0002.json" in missing
    assert missing in copy.ledger.messages()[-1]["message"]
    assert not kept(away, copy.case).objects
    s3.put_object(Bucket=away.bucket, Key=key, Body=original)
    assert "kept" in result_of(deliver(away, copy.event), copy.snapshot)
    copy.check_case_is_kept()


def test_answer_that_is_not_s3s_is_not_kept(away, copy):
    """An event that is read as garbage once: what lies there could not be put right."""
    function = away.copy("seal-snapshot", retry_delays_ms=[5, 5])
    away.lab.fault(function, at_call=1, kind="garbage", scope="invocation", action="s3:GetObject", resource="*/event-*")
    delivery = deliver(away, copy.event, function)
    away.lab.clear_faults()
    assert [attempt["status"] for attempt in delivery.attempts] == ["error", "ok"]
    assert result_of(delivery, copy.snapshot)["kept"]
    copy.check_case_is_kept()
    copy.check_kept([])


def test_without_a_bucket_the_case_is_kept_once_and_that_is_said(away, copy):
    """And as soon as there is one, the next delivery puts it there."""
    function = away.copy("seal-snapshot", environment={"FORENSICS_CASE_BUCKET": ""})
    result = result_of(deliver(away, copy.event, function), copy.snapshot)
    assert result["outcome"] == "sealed" and "kept" not in result and "missing" not in result
    assert "It is kept nowhere else" in copy.ledger.messages()[-1]["message"]
    assert not kept(away, copy.case).objects and not copy.ledger.facts("not_kept")
    assert result_of(deliver(away, copy.event), copy.snapshot)["kept"]
    copy.check_case_is_kept()


# --- out of reach -----------------------------------------------------------------------------------------


def test_administrator_of_production_does_not_reach_the_case(away, whole_way):
    """By what the lab models: a bucket of another account, without a policy that lets anybody of this one in."""
    _, ledger = whole_way
    check_out_of_reach(away, ledger.id, seed.user(away.lab, policy=policies.ADMINISTRATOR).key)


@pytest.mark.parametrize("role", ["SealSnapshotRoleArn", "ContainInstanceRoleArn", "ContainIdentityRoleArn"])
def test_roles_of_the_responder_do_not_reach_it_either(away, whole_way, role):
    """seal-snapshot adds to it as the role of that account, which reads nothing."""
    _, ledger = whole_way
    check_out_of_reach(away, ledger.id, away.lab.mint_session(away.deployment.outputs[role], "probe"))


def check_out_of_reach(scene, case, credential):
    s3, bucket, key = scene.lab.client("s3", credential), kept_bucket(scene), f"cases/{case}/0001.json"
    before = versions(scene.lab.in_account(FORENSICS), bucket)
    refused("AccessDenied", s3.get_object, Bucket=bucket, Key=key)
    refused("AccessDenied", s3.list_objects_v2, Bucket=bucket, Prefix=f"cases/{case}/")
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key=key, Body=b"forged")
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="cases/IR-20260101-00000000/0001.json", Body=b"forged")
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key=key)
    (version,) = [version for name, version in before if name == key]
    bypassing = {"VersionId": version, "BypassGovernanceRetention": True}
    refused("AccessDenied", s3.delete_object, Bucket=bucket, Key=key, **bypassing)
    refused("AccessDenied", s3.put_bucket_policy, Bucket=bucket, Policy=json.dumps(policies.document()))
    assert versions(scene.lab.in_account(FORENSICS), bucket) == before


ROLE, KEY, BUCKET = "Forensics", "CaseKey", "CaseBucket"


@pytest.fixture(scope="module")
def judge(away):
    """The template's bucket policy, evaluated here: the lab neither deploys nor evaluates bucket policies. It only
    denies, so a statement that allows everything stands for the caller's own policies."""
    template = load(FORENSICS_TEMPLATE)["Resources"]
    resolver = Resolver({}, pseudo_parameters(FORENSICS, away.lab.region, "tourniquet-forensics"), None, None)
    resolver.resources.update(away.forensics.resources)
    document = resolver.resolve(template["CaseBucketPolicy"]["Properties"]["PolicyDocument"])
    assert {(s["Effect"], s["Principal"]) for s in document["Statement"]} == {("Deny", "*")}
    statements = [{name: value for name, value in s.items() if name != "Principal"} for s in document["Statement"]]
    everything = policies.allow("*", "*")
    policy = PolicySet((json.dumps(policies.document(everything, *statements)),))
    bucket = away.forensics.resources[BUCKET].attributes["Arn"]

    def allowed(action, principal=None, key="cases/IR-1/0001.json", **context):
        given = {"aws:securetransport": "true", "aws:principalarn": principal or away.forensics.arn(ROLE), **context}
        given = {name: value for name, value in given.items() if value is not None}
        return evaluate(policy, f"s3:{action}", f"{bucket}/{key}" if key else bucket, given).allowed

    return allowed


ONCE = {"s3:if-none-match": "*"}
ENCRYPTION, KMS_KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"


def test_bucket_policy_lets_the_role_add(away, judge):
    assert judge("PutObject", **ONCE)
    assert judge("PutObject", **ONCE, **{ENCRYPTION: "aws:kms", KMS_KEY: away.forensics.arn(KEY)})


@pytest.mark.parametrize(
    "changed",
    [
        {"s3:if-none-match": None},
        {"aws:securetransport": "false"},
        {ENCRYPTION: "AES256"},
        {KMS_KEY: "arn:aws:kms:eu-west-1:999900001111:key/1"},
        {"principal": f"arn:aws:iam::{FORENSICS}:role/admin"},
        {"principal": f"arn:aws:iam::{FORENSICS}:root"},
        {"principal": "arn:aws:iam::111122223333:user/admin"},
    ],
)
def test_bucket_policy_refuses_what_would_overwrite_forge_or_hide(judge, changed):
    assert not judge("PutObject", **{**ONCE, **changed})


@pytest.mark.parametrize("action", ["DeleteObject", "DeleteObjectVersion", "BypassGovernanceRetention"])
@pytest.mark.parametrize("principal", [None, f"arn:aws:iam::{FORENSICS}:role/admin"])
def test_bucket_policy_lets_nobody_take_away(judge, action, principal):
    assert not judge(action, principal)


def test_bucket_policy_leaves_reading_and_locking_longer_to_the_account(judge):
    examiner = f"arn:aws:iam::{FORENSICS}:role/examiner"
    for action in ("GetObject", "PutObjectRetention", "PutObjectLegalHold"):
        assert judge(action, examiner), action
    assert judge("ListBucket", examiner, key="")
