"""What `infra/forensics.yaml` lets the responder do in the forensics account, and whom it lets in."""

import json

import pytest
from lab import organization, policies, seed, stage
from lab.client import Lab
from lab.template import Resolver, load
from lab_assertions import refused

ACCOUNT, OUTSIDE = "880000000009", "999900001111"


@pytest.fixture(scope="module")
def lab():
    with Lab() as running:
        yield running


def role_arn(lab, account=ACCOUNT):
    return f"arn:aws:iam::{account}:role/tourniquet/TourniquetForensics-{lab.region}"


def sealer(lab, name, account=ACCOUNT):
    """A role that may assume the forensics role, as seal-snapshot's may."""
    policy = policies.document(policies.allow("sts:AssumeRole", role_arn(lab, account)))
    return seed.role(lab, name, "/tourniquet/", policies.trust(service="lambda.amazonaws.com"), policy)


@pytest.fixture(scope="module")
def seal(lab):
    return sealer(lab, "seal-role")


@pytest.fixture(scope="module")
def deployed(lab, seal):
    return stage.deploy_forensics(lab, seal.arn, ACCOUNT)


def enter(lab, role, account=ACCOUNT, external_id=stage.EXTERNAL_ID):
    said = {"ExternalId": external_id} if external_id is not None else {}
    sts = lab.client("sts", lab.mint_session(role.arn, "seal-snapshot"))
    arguments = {"RoleArn": role_arn(lab, account), "RoleSessionName": "seal-snapshot", **said}
    return sts.assume_role, arguments


# --- who is let in ----------------------------------------------------------------------------------------


def test_function_enters(lab, seal, deployed):
    assert deployed.outputs["ForensicsRoleArn"] == role_arn(lab)
    assume, arguments = enter(lab, seal)
    assert assume(**arguments)["AssumedRoleUser"]["Arn"].split(":")[4] == ACCOUNT


@pytest.mark.parametrize("external_id", [None, "another-id", stage.EXTERNAL_ID.upper()])
def test_external_id_has_to_be_the_agreed_one(lab, seal, deployed, external_id):
    assume, arguments = enter(lab, seal, external_id=external_id)
    refused("AccessDenied", assume, **arguments)


def test_no_other_role_is_let_in(lab, deployed):
    """Its own policies allow it; the trust does not."""
    assume, arguments = enter(lab, sealer(lab, seed.unique("other")))
    refused("AccessDenied", assume, **arguments)


@pytest.mark.parametrize(
    ("caller_in", "into", "wanted", "let_in"),
    [
        (organization.UNLISTED, "880000000011", organization.ID, True),
        (organization.UNLISTED, "880000000012", "o-an0therone", False),
        (OUTSIDE, "880000000013", organization.ID, False),
    ],
)
def test_caller_has_to_belong_to_the_organization(lab, caller_in, into, wanted, let_in):
    caller = sealer(lab.in_account(caller_in), seed.unique("caller"), into)
    stage.deploy_forensics(lab, caller.arn, into, wanted)
    assume, arguments = enter(lab, caller, into)
    assume(**arguments) if let_in else refused("AccessDenied", assume, **arguments)


# --- what it may do there -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template():
    return load(stage.FORENSICS_TEMPLATE)


@pytest.fixture(scope="module")
def granted(template):
    role = template["Resources"]["Forensics"]["Properties"]
    return {s["Sid"]: s for s in role["Policies"][0]["PolicyDocument"]["Statement"]}


def actions(statement):
    return statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]


def test_role_grants_exactly_what_the_function_calls(granted):
    assert {s["Effect"] for s in granted.values()} == {"Allow"}
    assert {action for s in granted.values() for action in actions(s)} == {
        "ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots", "ec2:CopySnapshot", "ec2:CreateTags", "ec2:LockSnapshot",
        "ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock",
        "kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom",
        "kms:ReEncryptTo", "kms:CreateGrant", "kms:GenerateDataKey", "s3:PutObject",
    }  # fmt: skip
    assert [sid for sid, s in granted.items() if s["Resource"] == "*"] == ["FindSnapshots"]


EVIDENCE = {"aws:ResourceTag/ir:incident": "IR-*"}


@pytest.mark.parametrize("sid", ["NoteHash", "LockEvidence", "ReadBlocks"])
def test_only_evidence_is_touched(granted, sid):
    assert granted[sid]["Condition"]["StringLike"] == EVIDENCE


def test_tags_are_written_while_a_copy_is_made_and_afterwards_the_hash_alone(granted):
    tagging = {sid: s["Condition"] for sid, s in granted.items() if "ec2:CreateTags" in actions(s)}
    assert set(tagging) == {"TagCopies", "NoteHash"}
    assert tagging["TagCopies"]["StringEquals"] == {"ec2:CreateAction": "CopySnapshot"}
    assert tagging["NoteHash"]["ForAllValues:StringEquals"] == {"aws:TagKeys": ["ir:hash", "ir:hash-level"]}
    assert tagging["NoteHash"]["Null"] == {"aws:TagKeys": "false"}


def test_key_is_used_through_ebs_alone(granted):
    of_cases = granted["EncryptCasesThroughS3"]
    assert (actions(of_cases), of_cases["Resource"]) == (["kms:GenerateDataKey"], {"Fn::GetAtt": ["CaseKey", "Arn"]})
    for sid, statement in granted.items():
        if statement is not of_cases and any(action.startswith("kms:") for action in actions(statement)):
            assert statement["Resource"] == {"Fn::GetAtt": ["EvidenceKey", "Arn"]}
            assert "kms:ViaService" in statement["Condition"]["StringEquals"], sid
    assert granted["LetEbsUseTheKey"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_cases_are_added_to_and_neither_read_nor_unlocked(granted):
    of_s3 = {sid: s for sid, s in granted.items() if any(action.startswith("s3:") for action in actions(s))}
    assert {sid: (actions(s), s["Resource"]) for sid, s in of_s3.items()} == {
        "KeepCases": (["s3:PutObject"], {"Fn::Sub": "${CaseBucket.Arn}/cases/*"})
    }
    through = granted["EncryptCasesThroughS3"]["Condition"]["StringEquals"]["kms:ViaService"]
    assert through == {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}


# --- the bucket -----------------------------------------------------------------------------------------------


def test_bucket_is_kept_as_the_responders_case_bucket_is(template):
    """Lock, retention, encryption, versions, no public access, one owner: what a case has there it has here."""
    responders = load(stage.TEMPLATE)
    mine, theirs = (t["Resources"]["CaseBucket"] for t in (template, responders))
    assert mine == theirs
    assert template["Parameters"]["CaseRetentionDays"]["Default"] == responders["Parameters"]["CaseRetentionDays"]["Default"]
    assert mine["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
        "Mode": "GOVERNANCE", "Days": {"Ref": "CaseRetentionDays"},
    }  # fmt: skip


def test_key_of_the_cases_knows_nobody_outside_of_the_account(template):
    (administer, use) = template["Resources"]["CaseKey"]["Properties"]["KeyPolicy"]["Statement"]
    own = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert administer["Principal"] == use["Principal"] == own
    assert actions(use) == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert use["Condition"]["StringEquals"]["kms:CallerAccount"] == {"Ref": "AWS::AccountId"}
    assert not set(actions(administer)) & {"kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"}


def test_case_outlives_the_stack(template):
    for name in ("CaseBucket", "CaseBucketPolicy", "CaseKey"):
        resource = template["Resources"][name]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name


def test_bucket_is_locked_and_encrypted_once_it_is_deployed(lab, deployed):
    s3, bucket = lab.in_account(ACCOUNT).client("s3"), deployed.outputs["ForensicsCaseBucketName"]
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 365)
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == deployed.arn("CaseKey")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


# --- the key --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key_policy(template):
    key = template["Resources"]["EvidenceKey"]["Properties"]
    stated = [s["Fn::If"][1] if "Fn::If" in s else s for s in key["KeyPolicy"]["Statement"]]
    return {s["Sid"]: s for s in stated}


def test_responder_writes_copies_and_never_reads_them(key_policy):
    responder = {"Ref": "SealRoleArn"}
    theirs = [s for s in key_policy.values() if json.dumps(responder) in json.dumps(s["Principal"])]
    assert {action for s in theirs for action in actions(s)} == {
        "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo", "kms:CreateGrant",
    }  # fmt: skip
    assert all("kms:ViaService" in s["Condition"]["StringEquals"] for s in theirs)


def test_members_roles_write_copies_and_never_read_them(key_policy):
    """As seal-snapshot's own role, statement by statement; without members nobody is named."""
    pairs = {"MembersEncrypt": "ResponderEncrypts", "GrantsForEbsOfMembers": "GrantsForEbs"}
    theirs = {sid: s for sid, s in key_policy.items() if s["Principal"] == {"AWS": {"Ref": "MemberEvidenceRoleArns"}}}
    assert set(theirs) == set(pairs)
    for sid, statement in theirs.items():
        own = key_policy[pairs[sid]]
        assert {**statement, "Sid": "", "Principal": ""} == {**own, "Sid": "", "Principal": ""}


def test_grants_are_for_aws_resources_alone(key_policy):
    granting = [s for s in key_policy.values() if "kms:CreateGrant" in actions(s)]
    assert [s["Condition"]["Bool"] for s in granting] == [{"kms:GrantIsForAWSResource": "true"}] * 2


def test_administrators_of_the_key_cannot_use_it(key_policy):
    administered = set(actions(key_policy["AdministerKey"]))
    assert not administered & {"kms:Decrypt", "kms:Encrypt", "kms:CreateGrant", "kms:ReEncryptFrom", "kms:GenerateDataKey"}
    assert not [action for s in key_policy.values() for action in actions(s) if "*" in action]


def test_evidence_key_outlives_the_stack(template):
    key = template["Resources"]["EvidenceKey"]
    assert key["DeletionPolicy"] == key["UpdateReplacePolicy"] == "Retain"


# --- what it tells ----------------------------------------------------------------------------------------------


def test_finished_copies_are_told_to_the_responder(lab, deployed):
    """The same pattern as the rule that waits for them in the responder's account, which names this account."""
    forensics = lab.in_account(ACCOUNT)
    rule = forensics.client("events").describe_rule(Name=deployed.ref("CopyReady"))
    waiting = load(stage.TEMPLATE)["Resources"]["CopyReady"]["Properties"]["EventPattern"]
    there = {"ForensicsRoleArn": role_arn(lab)}
    assert json.loads(rule["EventPattern"]) == Resolver(there, {}).resolve(waiting)
    (target,) = forensics.client("events").list_targets_by_rule(Rule=deployed.ref("CopyReady"))["Targets"]
    assert target["Arn"] == f"arn:aws:events:{lab.region}:{lab.account}:event-bus/default"
    assert target["RoleArn"] == deployed.arn("CopyReadyRole")
    assert target["DeadLetterConfig"]["Arn"] == deployed.arn("UndeliveredQueue")


def test_eventbridge_hands_over_to_that_bus_alone(template):
    role = template["Resources"]["CopyReadyRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("events:PutEvents", {"Ref": "ResponderBusArn"})
