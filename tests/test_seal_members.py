"""Evidence of member accounts: sealed there through the role there, and copied to the forensics account."""

import json

import pytest
from lab import organization, policies, seed, seed_instances, stage
from lab.plugin.policy import PolicySet, evaluate
from lab_assertions import refused
from sealing import FORENSICS, Ledger, asleep, contained, deliver, event, ids, locks, of, settled, tags
from test_seal_snapshot import bucket_now, names, snapshot_of, without_principal

LISTED, SECOND = organization.MEMBERS


@pytest.fixture(scope="module")
def whole_way(away, there):
    """An instance of a member account contained, and all that followed, by events alone."""
    member = away.member()
    key = member.client("kms").create_key()["KeyMetadata"]["Arn"]
    instance, case = contained(away, member, data_volumes=1, kms_key=key)
    assert stage.account_of(instance) == LISTED
    ledger = Ledger(away, instance, case)
    ledger.wait_told(*ids(of(member, instance)))
    away.lab.wait_for(lambda: len(of(there, instance, "forensic")) == 2, 40, interval=0.25)
    ledger.wait_told(*ids(of(there, instance, "forensic")))
    return instance, ledger


def test_snapshots_are_sealed_in_the_member_account(away, whole_way):
    instance, ledger = whole_way
    member = away.member()
    sources = of(member, instance)
    assert len(sources) == 2 and locks(member, ids(sources)) == dict.fromkeys(ids(sources), ("governance", 365))
    for snapshot in sources:
        (fact,) = ledger.facts("sealed", snapshot=snapshot["SnapshotId"])
        assert (fact["role"], fact["account"], fact["copied_to"]) == ("source", LISTED, FORENSICS)
        content = next(h for h in fact["hashes"] if h["level"] == "content")
        assert tags(snapshot)["ir:hash"] == f"sha256:{content['root']}"
    assert any(LISTED in message["subject"] for message in ledger.messages())
    ledger.file().check_chain()


def test_transit_copies_are_the_members_and_shared_with_the_forensics_account_alone(away, whole_way):
    instance, _ = whole_way
    member, key = away.member(), away.forensics.outputs["ForensicsKeyArn"]
    assert of(away.lab, instance, "transit") == []
    transits = of(member, instance, "transit")
    assert [(s["OwnerId"], s["KmsKeyId"]) for s in transits] == [(LISTED, key)] * 2
    ec2 = member.client("ec2")
    for snapshot in ids(transits):
        shared = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
        assert shared["CreateVolumePermissions"] == [{"UserId": FORENSICS}]
    for snapshot in ids(of(member, instance)):
        shared = ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
        assert shared["CreateVolumePermissions"] == []


def test_forensic_copies_have_the_content_of_the_members_snapshots(away, there, whole_way):
    instance, ledger = whole_way
    copies = of(there, instance, "forensic")
    assert {tags(copy)["ir:copy-of"] for copy in copies} == set(ids(of(away.member(), instance)))
    for copy in copies:
        (fact,) = ledger.facts("sealed", snapshot=copy["SnapshotId"])
        assert (fact["role"], fact["account"]) == ("forensic", FORENSICS)
        assert fact["compared"] == {"same_blocks": True, "same_content": True}
        assert tags(copy)["ir:account"] == LISTED
    assert set(locks(there, ids(copies))) == set(ids(copies))


def test_everything_about_the_snapshots_goes_through_the_roles_there(away, whole_way):
    """And through no role of the responder's account."""
    instance, _ = whole_way
    mine = set(ids(of(away.member(), instance)) + ids(of(away.member(), instance, "transit")))
    used = {
        (call["account"], call["role"])
        for call in away.lab.calls()
        if call["action"] in ("GetSnapshotBlock", "CopySnapshot", "ModifySnapshotAttribute")
        and (call["resource"] or "").rsplit("/", 1)[-1] in mine
    }
    forensics = (FORENSICS, away.forensics.outputs["ForensicsRoleArn"])
    assert used == {(LISTED, stage.member_evidence_role_arn(LISTED)), forensics}


def test_without_a_forensics_account_they_are_sealed_where_they_are(scene):
    member = scene.member(1)
    instance, case = contained(scene, member)
    ledger, (source,) = Ledger(scene, instance, case), ids(of(member, instance))
    ledger.wait_told(source)
    (fact,) = ledger.facts("sealed", snapshot=source)
    assert fact["account"] == SECOND and not fact.get("copied_to")
    assert not of(member, instance, "transit")


# --- not ours ---------------------------------------------------------------------------------------------


def check_left_alone(scene, sent, reason):
    before = bucket_now(scene)
    delivery = deliver(scene, sent)
    assert delivery.answer["snapshots"] == []
    assert [ignored["reason"] for ignored in delivery.answer["ignored"]] == [reason], delivery.answer
    assert delivery.changes() == [] and not delivery.calls(service="sns")
    assert bucket_now(scene) == before
    return delivery


@pytest.mark.parametrize("account", [organization.UNLISTED, organization.WITHOUT_ROLE, "999900001111"])
def test_accounts_that_are_not_listed_are_not_entered(away, account):
    """In the organization, with the roles of member.yaml and the rule that forwards, or not: the list decides."""
    with asleep(away):
        foreign = away.lab.in_account(account)
        tagged = {"ir_incident": "IR-20261121-0badcafe", "ir_instance": seed.instance_id()}
        snapshot = snapshot_of(foreign, seed_instances.instance(foreign).volumes["/dev/sda1"], **tagged)
        delivery = check_left_alone(away, event(foreign, snapshot, account=account), "account_not_listed")
    assert not delivery.calls(service="sts")


def test_the_bus_does_not_take_events_of_an_account_that_is_not_listed(away):
    """Its rule forwards them, and they come no further than its own queue."""
    unlisted = away.lab.in_account(organization.UNLISTED)
    sent = event(unlisted, "snap-0123456789abcdef0")
    number = unlisted.put_event(sent)
    (delivery,) = away.lab.wait_for(lambda: [d for d in away.lab.deliveries() if d.get("event_id") == number])
    assert delivery["status"] == "dead_lettered" and "NO_PERMISSIONS" in delivery["error"]


def test_a_member_sends_events_about_snapshots_and_no_others(away):
    member = away.member()
    own = away.member_events[LISTED].ref("SnapshotReady")
    others = seed.unique("everything")
    events = member.client("events")
    target = events.list_targets_by_rule(Rule=own)["Targets"][0]
    events.put_rule(Name=others, EventPattern=json.dumps({"source": ["aws.guardduty", "made.up"]}))
    events.put_targets(Rule=others, Targets=[target])
    try:
        for source, kind in (("aws.guardduty", "GuardDuty Finding"), ("made.up", "EBS Snapshot Notification")):
            sent = {**event(member, "snap-0123456789abcdef0"), "source": source, "detail-type": kind}
            number = member.put_event(sent)
            (delivery,) = away.lab.wait_for(lambda n=number: [d for d in away.lab.deliveries() if d.get("event_id") == n])
            assert "NO_PERMISSIONS" in delivery["error"], delivery
    finally:
        events.remove_targets(Rule=others, Ids=[target["Id"]])
        events.delete_rule(Name=others)


def test_a_members_tags_do_not_reach_into_another_accounts_case(away, whole_way):
    """Whoever holds one member account tags a snapshot there as evidence of an instance of another."""
    instance, ledger = whole_way
    with asleep(away):
        other = away.member(1)
        volume = seed_instances.instance(other).volumes["/dev/sda1"]
        tagged = {"ir_incident": ledger.id, "ir_instance": instance.id, "ir_account": LISTED}
        forged = snapshot_of(other, volume, **tagged)
        check_left_alone(away, event(other, forged), "not_of_a_case")
        copied = {**tagged, "ir_copy-of": ids(of(away.member(), instance))[0], "ir_stage": "transit"}
        copy = snapshot_of(other, volume, **copied)
        check_left_alone(away, event(other, copy, "copySnapshot"), "not_of_a_case")
        here = snapshot_of(away.member(), seed_instances.instance(away.member()).volumes["/dev/sda1"], **tagged)
        check_left_alone(away, event(away.member(), here), "not_recorded")


def test_a_member_that_cannot_be_entered_ends_in_the_queue_for_failures(away):
    """Said by an alarm, not passed over: there may be evidence."""
    function = away.copy("seal-snapshot", environment={"MEMBER_EXTERNAL_ID": "another"}, retry_delays_ms=[10, 10])
    with asleep(away):
        member = away.member()
        snapshot = snapshot_of(member, seed_instances.instance(member).volumes["/dev/sda1"])
        settled(away.lab, snapshot)
        before = bucket_now(away)
        delivery = deliver(away, event(member, snapshot), function)
    assert [a["status"] for a in delivery.attempts].count("ok") == 0
    assert "AccessDenied" in json.dumps(delivery.attempts[-1]) and bucket_now(away) == before


# --- the key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["ec2", "ebs", None])
def test_key_policy_lets_the_members_role_write_and_never_read(away, there, service):
    """The deployed policy, evaluated here: the lab itself evaluates no key policies."""
    key = away.forensics.outputs["ForensicsKeyArn"]
    document = json.loads(there.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    role = stage.member_evidence_role_arn(LISTED)
    context = {"kms:calleraccount": LISTED, "kms:grantisforawsresource": "true"}
    context |= {"kms:viaservice": f"{service}.{away.lab.region}.amazonaws.com"} if service else {}
    for principal in (
        role, stage.member_instance_role_arn(LISTED), f"arn:aws:iam::{LISTED}:root",
        stage.member_evidence_role_arn(organization.UNLISTED),
    ):  # fmt: skip
        naming = [s for s in document["Statement"] if names(s["Principal"], principal)]
        mine = (json.dumps(policies.document(*map(without_principal, naming))),)
        allowed = {
            action
            for action in ("Decrypt", "ReEncryptFrom", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptTo",
                           "DescribeKey", "CreateGrant", "PutKeyPolicy")
            if naming and evaluate(PolicySet(mine), f"kms:{action}", key, context).allowed
        }  # fmt: skip
        writes = {"GenerateDataKeyWithoutPlaintext", "ReEncryptTo", "DescribeKey", "CreateGrant"}
        assert allowed == (writes if principal == role and service == "ec2" else set()), principal


def test_seal_snapshot_enters_by_its_own_role_alone(away):
    lab, said = away.lab, {"RoleSessionName": "probe", "ExternalId": stage.EXTERNAL_ID}
    outputs = away.deployment.outputs
    sts = {name: lab.client("sts", lab.mint_session(outputs[name], "probe")) for name in outputs if name.endswith("RoleArn")}
    theirs = {
        "ContainIdentityRoleArn": stage.member_role_arn(LISTED),
        "ContainInstanceRoleArn": stage.member_instance_role_arn(LISTED),
        "SealSnapshotRoleArn": stage.member_evidence_role_arn(LISTED),
    }
    for name, client in sts.items():
        for wanted, role in theirs.items():
            if name == wanted:
                client.assume_role(RoleArn=role, **said)
            else:
                refused("AccessDenied", client.assume_role, RoleArn=role, **said)
