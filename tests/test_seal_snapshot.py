"""Evidence that is there is sealed: hashed so that anybody can compute it again, locked, and copied out of reach."""

import hashlib
import json

import evidence_hash
import pytest
from botocore.exceptions import ClientError
from lab import organization, policies, seed, seed_instances
from lab.plugin.policy import PolicySet, evaluate
from lab_assertions import refused
from sealing import (
    FORENSICS, Ledger, asleep, contained, deliver, event, ids, locks, manifest, of, result_of, set_event, settled, snapshots,
    tags,
)  # fmt: skip

PATIENT = {"retry_delays_ms": [4000, 8000]}
"""Two deliveries at once wait for each other as they would at Lambda's one and two minutes."""


@pytest.fixture(scope="module")
def whole_way(away, there):
    """An instance contained, its two volumes copied to the forensics account, and everything told."""
    instance, case = contained(away, data_volumes=1)
    ledger = Ledger(away, instance, case)
    sources = ids(of(away.lab, instance))
    ledger.wait_told(*sources)
    away.lab.wait_for(lambda: len(of(there, instance, "forensic")) == 2, 40, interval=0.25)
    ledger.wait_told(*ids(of(there, instance, "forensic")))
    return instance, ledger


# --- sealed -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sealed(scene):
    """The same without a forensics account."""
    instance, case = contained(scene, data_volumes=1)
    ledger = Ledger(scene, instance, case)
    ledger.wait_told(*ids(of(scene.lab, instance)))
    return instance, ledger


def test_snapshots_of_a_contained_instance_are_sealed_once_they_are_complete(scene, sealed):
    """By the event that EBS sends, through EventBridge and the rule."""
    instance, ledger = sealed
    for snapshot in of(scene.lab, instance):
        (fact,) = ledger.facts("sealed", snapshot=snapshot["SnapshotId"])
        assert (fact["role"], fact["account"], fact["instance"]) == ("source", scene.lab.account, instance.id)
        assert (fact["volume"], fact["recorded"]) == (snapshot["VolumeId"], "snapshot")
        assert fact["algorithm"] == "ebs-manifest/1" and not fact.get("missing")
        kept, stored, where = manifest(scene, fact)
        assert where["key"] == f"cases/{ledger.id}/snapshots/{snapshot['SnapshotId']}.json"
        assert hashlib.sha256(stored).hexdigest() == where["sha256"]
        assert {m["level"]: m["root"] for m in kept["manifests"]} == {h["level"]: h["root"] for h in fact["hashes"]}
        content = next(h for h in fact["hashes"] if h["level"] == "content")
        assert tags(snapshot)["ir:hash"] == f"sha256:{content['root']}" and tags(snapshot)["ir:hash-level"] == "content"
    ledger.file().check_chain()


def test_sealed_snapshots_are_locked(scene, sealed):
    instance, ledger = sealed
    mine = ids(of(scene.lab, instance))
    assert locks(scene.lab, mine) == dict.fromkeys(mine, ("governance", 365))
    for snapshot in mine:
        refused("OperationNotPermitted", scene.lab.client("ec2").delete_snapshot, SnapshotId=snapshot)
        (fact,) = ledger.facts("sealed", snapshot=snapshot)
        assert fact["locked"]["lock"] == "locked"


def test_anybody_computes_the_same_roots_from_the_api(scene, sealed):
    """With other pages, other tokens and other code than the function's."""
    instance, ledger = sealed
    for snapshot in ids(of(scene.lab, instance)):
        (fact,) = ledger.facts("sealed", snapshot=snapshot)
        recorded = {h["level"]: (h["root"], h["blocks"]) for h in fact["hashes"]}
        for page in (1, 7, 1000):
            with snapshots(scene.lab, page=page):
                assert evidence_hash.roots(scene.lab.client("ebs"), snapshot) == recorded


def test_roots_of_different_disks_differ(scene, sealed):
    instance, ledger = sealed
    facts = [ledger.facts("sealed", snapshot=s)[0] for s in ids(of(scene.lab, instance))]
    roots = [h["root"] for fact in facts for h in fact["hashes"] if h["level"] == "content"]
    assert len(set(roots)) == len(facts) == 2


def test_a_level_says_what_it_proves(sealed):
    _, ledger = sealed
    said = {h["level"]: h["proves"] for fact in ledger.facts("sealed") for h in fact["hashes"]}
    assert "not what is in them" in said["block-index"].lower() or "nothing of what" in said["block-index"].lower(), said
    (message,) = ledger.messages()[:1]
    assert said["block-index"] in message["message"] and said["content"] in message["message"]


def test_without_a_forensics_account_it_stays_and_that_is_said(scene, sealed):
    instance, ledger = sealed
    assert all("copied_to" not in fact for fact in ledger.facts("sealed"))
    assert not ledger.facts("copying") and not of(scene.lab, instance, "transit")
    (message,) = ledger.messages()
    assert message["subject"].startswith("[Tourniquet] SEALED: 2 snapshots")
    assert "no forensics account is configured" in message["message"]


def test_of_a_large_disk_the_index_alone_is_hashed_and_that_is_said(scene):
    with snapshots(scene.lab, blocks=40):
        instance, case = contained(scene)
    (snapshot,) = ids(of(scene.lab, instance))
    ledger = Ledger(scene, instance, case)
    ledger.wait_told(snapshot)
    # The very event again, to a function with less time: what stands in the case is not made less.
    small = scene.copy("seal-snapshot", environment={"CONTENT_HASH_BLOCKS": "39"})
    assert [h["level"] for h in result_of(deliver(scene, event(scene.lab, snapshot), small), snapshot)["hashes"]] == [
        "block-index", "content",
    ]  # fmt: skip
    with snapshots(scene.lab, blocks=40, hold=True):
        instance, case = contained(scene)
        (snapshot,) = ids(of(scene.lab, instance))
        with asleep(scene):
            scene.lab.release_snapshots([snapshot])
            result = result_of(deliver(scene, event(scene.lab, snapshot), small), snapshot)
    assert [h["level"] for h in result["hashes"]] == ["block-index"]
    (described,) = of(scene.lab, instance)
    assert tags(described)["ir:hash-level"] == "block-index"
    (message,) = Ledger(scene, instance, case).messages()
    assert "no hash of the content: 40 blocks are listed, up to 39 are hashed" in message["message"]
    assert "make verify-snapshot" in message["message"]


# --- once -------------------------------------------------------------------------------------------------


def state_of(lab, ledger, instance):
    """All there is of a case and its snapshots, to see that nothing is new."""
    here = [(s["SnapshotId"], tags(s)) for stage in (None, "transit") for s in of(lab, instance, stage)]
    forensic = [(s["SnapshotId"], tags(s)) for s in of(lab.in_account(FORENSICS), instance, "forensic")]
    return here, forensic, sorted(ledger.file().objects), len(ledger.messages())


def test_the_same_event_again_changes_nothing(away, whole_way):
    """Those of the sources, of the transit copies and of the forensic copies; the set's and each one's."""
    instance, ledger = whole_way
    lab = away.lab
    there = lab.in_account(FORENSICS)
    before = state_of(lab, ledger, instance)
    sources = ids(of(lab, instance))
    again = [set_event(lab, sources), *(event(lab, s) for s in sources)]
    again += [event(lab, s, "copySnapshot") for s in ids(of(lab, instance, "transit"))]
    again += [event(there, s, "copySnapshot") for s in ids(of(there, instance, "forensic"))]
    for sent in again:
        delivery = deliver(away, sent)
        assert delivery.answer["snapshots"] and all(r.get("repeat") for r in delivery.answer["snapshots"]), delivery.answer
        assert not [c for c in delivery.changes() if c not in ("ListSnapshotBlocks", "GetSnapshotBlock")]
    assert state_of(lab, ledger, instance) == before


@pytest.fixture
def quiet(away):
    """The rules sleep: what is delivered is what the test delivers."""
    with asleep(away):
        yield away


def completed(scene, **options):
    """A contained instance whose snapshots are complete and not sealed; while the rules sleep."""
    instance, case = contained(scene, **options)
    lab = scene.lab
    lab.wait_for(lambda: all(s["State"] == "completed" for s in of(lab, instance)))
    return instance, Ledger(scene, instance, case), ids(of(lab, instance))


def test_the_single_event_beside_the_sets_doubles_nothing(quiet):
    instance, ledger, sources = completed(quiet, data_volumes=1)
    lab = quiet.lab
    function = quiet.copy("seal-snapshot", **PATIENT)
    started = [quiet.start(e, function) for e in (set_event(lab, sources), *(event(lab, s) for s in sources))]
    for delivery in started:
        delivery.wait(60)
        assert delivery.attempts[-1]["status"] == "ok", delivery.attempts[-1]["error"]
    check_once(ledger, sources, of(lab, instance, "transit"))


def test_deliveries_at_once_double_nothing(quiet):
    instance, ledger, (source,) = completed(quiet)
    function = quiet.copy("seal-snapshot", **PATIENT)
    started = [quiet.start(event(quiet.lab, source), function) for _ in range(6)]
    for delivery in started:
        delivery.wait(60)
        assert delivery.attempts[-1]["status"] == "ok", delivery.attempts[-1]["error"]
    check_once(ledger, [source], of(quiet.lab, instance, "transit"))
    (transit,) = ids(of(quiet.lab, instance, "transit"))
    settled(quiet.lab, transit)
    started = [quiet.start(event(quiet.lab, transit, "copySnapshot"), function) for _ in range(4)]
    for delivery in started:
        delivery.wait(60)
        assert delivery.attempts[-1]["status"] == "ok", delivery.attempts[-1]["error"]
    assert len(of(quiet.lab.in_account(FORENSICS), instance, "forensic")) == 1
    assert len(ledger.facts("copied", role="forensic")) == 1


def check_once(ledger, sources, transits):
    assert len(transits) == len(sources)
    for source in sources:
        assert len(ledger.facts("sealed", snapshot=source)) == 1
        assert len(ledger.facts("copied", of=source, role="transit")) == 1
    ledger.file().check_chain()
    # Which delivery tells is the one that comes first: one that finds it sealed by another and not told yet, perhaps.
    assert {s for m in ledger.messages() for s in sources if s in m["message"]} == set(sources)


# --- not ours ---------------------------------------------------------------------------------------------


def snapshot_of(lab, volume, **tagged):
    listed = [{"Key": key.replace("_", ":", 1), "Value": value} for key, value in tagged.items()]
    specification = [{"ResourceType": "snapshot", "Tags": listed}] if listed else []
    made = lab.client("ec2").create_snapshot(VolumeId=volume, TagSpecifications=specification)["SnapshotId"]
    settled(lab, made)
    return made


def bucket_now(scene):
    pages = scene.lab.client("s3").get_paginator("list_objects_v2").paginate(Bucket=scene.bucket)
    return {(item["Key"], item["ETag"]) for page in pages for item in page.get("Contents", [])}


def check_left_alone(scene, snapshot, reason, sent=None):
    before = bucket_now(scene)
    delivery = deliver(scene, sent or event(scene.lab, snapshot))
    assert delivery.answer["snapshots"] == []
    assert [ignored["reason"] for ignored in delivery.answer["ignored"]] == [reason], delivery.answer
    assert delivery.changes() == [] and not delivery.calls(service="sns")
    assert bucket_now(scene) == before


def test_a_snapshot_without_our_tags_is_nobodys_evidence(quiet):
    volume = seed_instances.instance(quiet.lab).volumes["/dev/sda1"]
    check_left_alone(quiet, snapshot_of(quiet.lab, volume), "not_evidence")


@pytest.fixture(scope="module")
def accused(away):
    """An instance with a case, for those who forge its tags."""
    with asleep(away):
        instance, ledger, sources = completed(away)
        deliver(away, event(away.lab, sources[0]))
    return instance, ledger


def test_tags_that_name_a_real_case_are_not_believed(quiet, accused):
    """The attacker tags a snapshot of his own volume as evidence of a case that exists."""
    instance, ledger = accused
    volume = seed_instances.instance(quiet.lab).volumes["/dev/sda1"]
    forged = snapshot_of(quiet.lab, volume, ir_incident=ledger.id, ir_instance=instance.id)
    check_left_alone(quiet, forged, "not_recorded")
    assert forged not in locks(quiet.lab, [forged])


@pytest.mark.parametrize("stage", ["transit", "forensic", "something-else"])
def test_tags_of_a_copy_are_not_believed_either(quiet, accused, stage):
    instance, ledger = accused
    volume = seed_instances.instance(quiet.lab).volumes["/dev/sda1"]
    source = ids(of(quiet.lab, instance))[0]
    made = {"ir_incident": ledger.id, "ir_instance": instance.id, "ir_copy-of": source, "ir_stage": stage}
    made["ir_account"] = quiet.lab.account
    forged = snapshot_of(quiet.lab, volume, **made)
    sent = event(quiet.lab, forged, "copySnapshot")
    check_left_alone(quiet, forged, "not_recorded" if stage == "transit" else "not_evidence", sent)
    permissions = quiet.lab.client("ec2").describe_snapshot_attribute(SnapshotId=forged, Attribute="createVolumePermission")
    assert permissions["CreateVolumePermissions"] == []


def test_a_case_that_is_not_the_instances_is_not_believed(quiet, accused):
    instance, _ = accused
    volume = seed_instances.instance(quiet.lab).volumes["/dev/sda1"]
    forged = snapshot_of(quiet.lab, volume, ir_incident="IR-20261121-0badcafe", ir_instance=instance.id)
    check_left_alone(quiet, forged, "not_of_a_case")
    unknown = snapshot_of(quiet.lab, volume, ir_incident="IR-20261121-0badcafe", ir_instance=seed.instance_id())
    check_left_alone(quiet, unknown, "not_of_a_case")


@pytest.mark.parametrize("account", [organization.UNLISTED, "999900001111"])
def test_another_accounts_snapshot_is_not_looked_at(quiet, account):
    there = quiet.lab.in_account(account)
    volume = seed_instances.instance(there).volumes["/dev/sda1"]
    foreign = snapshot_of(there, volume, ir_incident="IR-20261121-0badcafe", ir_instance=seed.instance_id())
    check_left_alone(quiet, foreign, "account_not_listed", event(there, foreign))
    # Said to be our own, it is none that the account owns.
    check_left_alone(quiet, foreign, "no_such_snapshot", event(quiet.lab, foreign))


def test_events_that_are_none_are_ignored(quiet):
    sent = event(quiet.lab, "snap-0123456789abcdef0")
    sent["detail"]["event"] = "deleteSnapshot"
    check_left_alone(quiet, "", "unknown_envelope", sent)
    sent = event(quiet.lab, "../../etc/passwd")
    check_left_alone(quiet, "", "incomplete_event", sent)


def test_a_snapshot_somebody_took_of_an_accused_volume_is_sealed_and_named_as_such(quiet):
    """A responder's own, with the case's tags: the case records the volume, and not the snapshot."""
    instance, ledger, _ = completed(quiet)
    volume = instance.volumes["/dev/sda1"]
    by_hand = snapshot_of(quiet.lab, volume, ir_incident=ledger.id, ir_instance=instance.id)
    result = result_of(deliver(quiet, event(quiet.lab, by_hand)), by_hand)
    assert (result["outcome"], result["recorded"]) == ("sealed", "volume")
    assert "see who made it" in ledger.messages()[-1]["message"]


# --- what fails -------------------------------------------------------------------------------------------


def test_a_failed_set_is_told_with_its_cause(away):
    with snapshots(away.lab, fail_next=1, fail_message="Client.InternalError: no luck"):
        instance, case = contained(away, data_volumes=1)
    ledger, mine = Ledger(away, instance, case), ids(of(away.lab, instance))
    ledger.wait_told(*mine)
    for snapshot in mine:
        (fact,) = ledger.facts("failed", snapshot=snapshot)
        assert fact["step"] == "create" and "no luck" in fact["reason"]
    (message,) = ledger.messages()
    assert message["subject"].startswith("[Tourniquet] NOT SEALED: 2 of 2 snapshots")
    assert "no luck" in message["message"] and f"describe-snapshots --snapshot-ids {mine[0]}" in message["message"]
    assert not ledger.facts("sealed") and not ledger.facts("copying")
    ledger.file().check_chain()


def test_of_a_set_that_failed_what_is_whole_is_sealed(quiet):
    instance, ledger, (one, other) = completed(quiet, data_volumes=1)
    sent = set_event(quiet.lab, [one, other], "failed", "one volume", ["completed", "error"])
    delivery = deliver(quiet, sent)
    assert {r["outcome"] for r in delivery.answer["snapshots"]} == {"sealed"}, "what EC2 says now counts"


def key_of(scene):
    return scene.forensics.outputs["ForensicsKeyArn"]


def test_silent_failure_of_the_key_is_told_of_the_transit_copy(away, there):
    """CopySnapshot answers well; that the key cannot be used is in StateMessage, later."""
    kms, key = there.client("kms"), key_of(away).rsplit("/", 1)[1]
    kms.disable_key(KeyId=key)
    try:
        instance, case = contained(away)
        ledger = Ledger(away, instance, case)
        away.lab.wait_for(lambda: of(away.lab, instance, "transit"), 40, interval=0.25)
        (transit,) = ids(of(away.lab, instance, "transit"))
        ledger.wait_told(transit)
    finally:
        kms.enable_key(KeyId=key)
    (fact,) = ledger.facts("failed", snapshot=transit)
    assert fact["step"] == "create" and "Given key ID is not accessible" in fact["reason"]
    message = ledger.messages()[-1]
    assert "NOT SEALED" in message["subject"] and "Given key ID is not accessible" in message["message"]
    assert "If a key is disabled or about to be deleted, enable it; then send the event again" in message["message"]
    assert not ledger.facts("shared") and not of(there, instance)
    (source,) = ids(of(away.lab, instance))
    assert ledger.facts("sealed", snapshot=source), "the source is sealed all the same"
    # As the message says, once the key works: another copy is made, and goes the whole way.
    result = result_of(deliver(away, event(away.lab, source)), source)
    assert result["copy"]["snapshot"] != transit
    away.lab.wait_for(lambda: ledger.facts("sealed", role="forensic"), 60, interval=0.25)
    (again,) = ledger.facts("copied", instead_of=transit)
    assert again["snapshot"] == result["copy"]["snapshot"] and len(of(there, instance, "forensic")) == 1
    ledger.file().check_chain()


def test_failed_forensic_copy_is_told(quiet, there):
    instance, ledger, (source,) = completed(quiet)
    deliver(quiet, event(quiet.lab, source))
    (transit,) = ids(of(quiet.lab, instance, "transit"))
    settled(quiet.lab, transit)
    with snapshots(quiet.lab, fail_next=1, fail_message="Given key ID is not accessible"):
        deliver(quiet, event(quiet.lab, transit, "copySnapshot"))
    (copy,) = ids(of(there, instance, "forensic"))
    settled(quiet.lab, copy)
    sent = event(there, copy, "copySnapshot", "failed", "the copy failed")
    result = result_of(deliver(quiet, sent), copy)
    assert result["outcome"] == "failed" and "Given key ID is not accessible" in result["reason"]
    message = ledger.messages()[-1]
    assert "NOT SEALED" in message["subject"] and copy in message["message"]
    (fact,) = ledger.facts("failed", snapshot=copy)
    assert fact["role"] == "forensic" and fact["step"] == "create"
    result = result_of(deliver(quiet, event(quiet.lab, transit, "copySnapshot")), transit)
    assert result["copy"]["snapshot"] != copy, "sent again, the transit copy is copied again"
    assert result_of(deliver(quiet, event(quiet.lab, transit, "copySnapshot")), transit)["copy"] == result["copy"]


def test_too_many_copies_at_once_are_told_and_made_later(quiet):
    lab = quiet.lab
    instance, ledger, (source,) = completed(quiet)
    function, sent = quiet.copy("seal-snapshot"), event(lab, source)
    lab.fault(function, at_call=1, kind="error", code="ResourceLimitExceeded", scope="event", action="ec2:CopySnapshot")
    result = result_of(deliver(quiet, sent, function), source)
    lab.clear_faults()
    assert result["outcome"] == "failed" and "ResourceLimitExceeded" in result["reason"]
    message = ledger.messages()[-1]["message"]
    assert f"{source}" in message and "send the event again once others are done" in " ".join(message.split())
    assert ledger.facts("sealed", snapshot=source), "the source is sealed all the same"
    assert result_of(deliver(quiet, sent, function), source)["copy"]["snapshot"] == ids(of(lab, instance, "transit"))[0]


def test_what_fails_again_for_another_reason_is_told_again(quiet):
    lab = quiet.lab
    instance, ledger, (source,) = completed(quiet)
    function = quiet.copy("seal-snapshot")
    for reason in ("AccessDeniedException", "ResourceNotFoundException"):
        lab.fault(function, at_call=1, kind="error", code=reason, scope="event", action="ebs:ListSnapshotBlocks")
        result = result_of(deliver(quiet, event(lab, source), function), source)
        lab.clear_faults()
        assert result["outcome"] == "failed" and reason in result["reason"], result
        assert reason in ledger.messages()[-1]["message"]
    assert len(ledger.messages()) == 2


def test_a_copy_cannot_be_deleted_on_its_way(quiet, there):
    """Before it is handed over nobody would miss it."""
    instance, ledger, (source,) = completed(quiet)
    deliver(quiet, event(quiet.lab, source))
    (transit,) = ids(of(quiet.lab, instance, "transit"))
    with pytest.raises(ClientError) as refused:
        quiet.lab.client("ec2").delete_snapshot(SnapshotId=transit)
    assert refused.value.response["Error"]["Code"] == "OperationNotPermitted"
    assert locks(quiet.lab, [transit])[transit] == ("governance", 7)


def test_a_copy_that_could_not_be_locked_is_made_and_told(quiet):
    instance, ledger, (source,) = completed(quiet)
    function = quiet.copy("seal-snapshot")
    # The source is looked at first, and is locked by contain-instance.
    quiet.lab.fault(function, at_call=1, kind="access_denied", scope="event", action="ec2:LockSnapshot")
    result = result_of(deliver(quiet, event(quiet.lab, source), function), source)
    quiet.lab.clear_faults()
    assert result["outcome"] == "sealed" and "UnauthorizedOperation" in result["copy"]["not_locked"]
    assert "NOT LOCKED while it is on its way" in ledger.messages()[-1]["message"]


def test_blocks_that_could_not_be_read_are_told_and_sealed_later(quiet):
    """Refused as for want of the victim's key, once; then a person has set that right and delivers the event again."""
    lab = quiet.lab
    key = lab.client("kms").create_key()["KeyMetadata"]["Arn"]
    instance, ledger, (source,) = completed(quiet, kms_key=key)
    function = quiet.copy("seal-snapshot")
    lab.fault(function, at_call=1, kind="access_denied", scope="invocation", action="ebs:GetSnapshotBlock")
    result = result_of(deliver(quiet, event(lab, source), function), source)
    lab.clear_faults()
    assert result["outcome"] == "failed" and "AccessDenied" in result["reason"]
    assert "NOT SEALED" in ledger.messages()[-1]["subject"]
    result = result_of(deliver(quiet, event(lab, source), function), source)
    assert result["outcome"] == "sealed", "the event again, once it may be read"
    assert "[Tourniquet] SEALED" in ledger.messages()[-1]["subject"]
    ledger.file().check_chain()


@pytest.mark.parametrize(
    ("action", "step"),
    [("ec2:CopySnapshot", "copy"), ("ec2:ModifySnapshotAttribute", "share"), ("sts:AssumeRole", "copy")],
)
def test_what_was_refused_for_a_while_works_with_the_next_delivery(quiet, there, action, step):
    lab = quiet.lab
    instance, ledger, (source,) = completed(quiet)
    function, snapshot, sent = quiet.copy("seal-snapshot"), source, event(lab, source)
    if action != "ec2:CopySnapshot":
        deliver(quiet, sent)
        (snapshot,) = ids(of(lab, instance, "transit"))
        settled(lab, snapshot)
        sent = event(lab, snapshot, "copySnapshot")
    lab.fault(function, at_call=1, kind="access_denied", scope="event", action=action)
    result = result_of(deliver(quiet, sent, function), snapshot)
    lab.clear_faults()
    assert result["outcome"] == "failed", result
    (fact,) = ledger.facts("failed", snapshot=snapshot)
    assert fact["step"] == step
    assert "NOT SEALED" in ledger.messages()[-1]["subject"]
    result = result_of(deliver(quiet, sent, function), snapshot)
    assert result["outcome"] != "failed" and result["copy"], result
    made = of(lab, instance, "transit") if snapshot == source else of(there, instance, "forensic")
    assert ids(made) == [result["copy"]["snapshot"]]
    ledger.file().check_chain()


# --- the forensics account --------------------------------------------------------------------------------


def test_evidence_goes_to_the_forensics_account_by_a_transit_copy(away, there, whole_way):
    instance, ledger = whole_way
    lab = away.lab
    sources, transits, forensics = of(lab, instance), of(lab, instance, "transit"), of(there, instance, "forensic")
    assert {tags(s)["ir:copy-of"] for s in transits} == {tags(s)["ir:copy-of"] for s in forensics} == set(ids(sources))
    for copy in transits + forensics:
        assert (copy["Encrypted"], copy["KmsKeyId"], copy["State"]) == (True, key_of(away), "completed")
    for copy in transits:
        attribute = lab.client("ec2").describe_snapshot_attribute(
            SnapshotId=copy["SnapshotId"], Attribute="createVolumePermission"
        )
        assert attribute["CreateVolumePermissions"] == [{"UserId": FORENSICS}], "with that account and no other"
    for source in sources:
        attribute = lab.client("ec2").describe_snapshot_attribute(
            SnapshotId=source["SnapshotId"], Attribute="createVolumePermission"
        )
        assert attribute["CreateVolumePermissions"] == [], "the victim's own is never shared"
    assert {s["OwnerId"] for s in forensics} == {FORENSICS}
    assert len(ledger.facts("shared", **{"with": FORENSICS})) == 2


def test_copies_have_the_tags_their_source_could_not_give_them(away, there, whole_way):
    instance, ledger = whole_way
    by_id = {s["SnapshotId"]: tags(s) for s in of(away.lab, instance)}
    for copy in of(away.lab, instance, "transit") + of(there, instance, "forensic"):
        have = tags(copy)
        source = by_id[have["ir:copy-of"]]
        for key in ("ir:incident", "ir:source", "ir:instance"):
            assert have[key] == source[key], key
        assert have["ir:account"] == away.lab.account and have["ir:collected-by"].startswith("tourniquet ")


def test_forensic_copy_is_hashed_anew_and_is_what_its_source_is(away, there, whole_way):
    instance, ledger = whole_way
    for copy in of(there, instance, "forensic"):
        (fact,) = ledger.facts("sealed", snapshot=copy["SnapshotId"])
        (source,) = ledger.facts("sealed", snapshot=tags(copy)["ir:copy-of"])
        assert (fact["role"], fact["account"], fact["key"]) == ("forensic", FORENSICS, key_of(away))
        assert fact["compared"]["same_content"] is True and not fact.get("missing")
        content = {h["level"]: (h["root"], h["blocks"]) for h in fact["hashes"]}
        assert content["content"] == next((h["root"], h["blocks"]) for h in source["hashes"] if h["level"] == "content")
        assert evidence_hash.roots(there.client("ebs"), copy["SnapshotId"]) == content
        assert tags(copy)["ir:hash"] == f"sha256:{content['content'][0]}" and tags(copy)["ir:hash-level"] == "content"
        _, stored, where = manifest(away, fact)
        assert hashlib.sha256(stored).hexdigest() == where["sha256"]
    mine = ids(of(there, instance, "forensic"))
    assert locks(there, mine) == dict.fromkeys(mine, ("governance", 365))
    ledger.file().check_chain()


def test_people_are_told_where_it_is_and_what_may_go(away, there, whole_way):
    instance, ledger = whole_way
    subjects = [m["subject"] for m in ledger.messages()]
    assert all("[Tourniquet] SEALED" in subject for subject in subjects) and len(subjects) == 3, subjects
    for transit in ids(of(away.lab, instance, "transit")):
        (message,) = [m for m in ledger.messages() if f"transit copy {transit}" in m["message"]]
        assert "you may delete it" in message["message"]


@pytest.mark.parametrize("key", ["aws/ebs", "own"])
def test_encrypted_volumes_go_the_same_way(away, there, key):
    """What is under aws/ebs cannot be shared as it is (CONTAINMENT B17)."""
    if key == "own":
        key = away.lab.client("kms").create_key()["KeyMetadata"]["Arn"]
    instance, case = contained(away, kms_key=key)
    ledger = Ledger(away, instance, case)
    (source,) = of(away.lab, instance)
    assert source["Encrypted"] and source["KmsKeyId"] != key_of(away)
    away.lab.wait_for(lambda: of(there, instance, "forensic"), 40, interval=0.25)
    (copy,) = ids(of(there, instance, "forensic"))
    ledger.wait_told(copy)
    (fact,) = ledger.facts("sealed", snapshot=copy)
    assert fact["compared"]["same_content"] is True


def test_administrator_of_production_does_not_reach_the_copy(away, there, whole_way):
    """By what the lab models: snapshots of another account. Its key policy is judged below."""
    instance, _ = whole_way
    (copy, *_) = ids(of(there, instance, "forensic"))
    administrator = seed.user(away.lab, policy=policies.ADMINISTRATOR)
    ec2 = away.lab.client("ec2", administrator.key)
    refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=[copy])
    refused("InvalidSnapshot.NotFound", ec2.delete_snapshot, SnapshotId=copy)
    refused("InvalidSnapshot.NotFound", ec2.unlock_snapshot, SnapshotId=copy)
    copying = {"SourceRegion": away.lab.region, "SourceSnapshotId": copy}
    refused("InvalidSnapshot.NotFound", ec2.copy_snapshot, **copying)
    ebs = away.lab.client("ebs", administrator.key)
    refused("ResourceNotFoundException", ebs.list_snapshot_blocks, SnapshotId=copy)
    role = away.forensics.outputs["ForensicsRoleArn"]
    sts = away.lab.client("sts", administrator.key)
    refused("AccessDenied", sts.assume_role, RoleArn=role, RoleSessionName="probe", ExternalId="tourniquet-lab")


@pytest.mark.parametrize("service", ["ec2", "ebs", None])
def test_key_policy_lets_nobody_of_production_decrypt(away, there, service):
    """The deployed policy, evaluated here: the lab itself evaluates no key policies. Of a principal of another account
    AWS wants a statement of the key's policy that names it."""
    document = json.loads(there.client("kms").get_key_policy(KeyId=key_of(away), PolicyName="default")["Policy"])
    seal = away.deployment.outputs["SealSnapshotRoleArn"]
    region = away.lab.region
    context = {"kms:calleraccount": away.lab.account, "kms:grantisforawsresource": "true"}
    context |= {"kms:viaservice": f"{service}.{region}.amazonaws.com"} if service else {}
    for principal in (f"arn:aws:iam::{away.lab.account}:root", f"arn:aws:iam::{away.lab.account}:user/admin", seal):
        naming = [s for s in document["Statement"] if names(s["Principal"], principal)]
        judge = lambda action, naming=naming: bool(naming) and evaluate(  # noqa: E731
            PolicySet((json.dumps(policies.document(*map(without_principal, naming))),)), action, key_of(away), context
        ).allowed
        for action in ("Decrypt", "ReEncryptFrom", "GenerateDataKey", "PutKeyPolicy", "ScheduleKeyDeletion"):
            assert not judge(f"kms:{action}"), (principal, action)
        assert judge("kms:GenerateDataKeyWithoutPlaintext") == (principal == seal and service == "ec2")


def names(element, principal):
    """Whether a Principal element names this one itself, or the account for it."""
    listed = element["AWS"] if isinstance(element["AWS"], list) else [element["AWS"]]
    account = f"arn:aws:iam::{principal.split(':')[4]}:root"
    return any(one in ("*", principal, account) for one in listed)


def without_principal(statement):
    return {name: value for name, value in statement.items() if name != "Principal"}


# --- retention --------------------------------------------------------------------------------------------


def test_more_than_seven_sets_lead_to_a_proposal_and_nothing_is_deleted(scene):
    """Nine incidents of one instance. The earliest set, locked ones and the open case's are never among what may go."""
    lab = scene.lab
    before = lab.mark()
    instance = seed_instances.instance(lab, data_volumes=1)
    sets = []
    for number in range(9):
        delivery = scene.fire(scene.accuse_instance(instance))
        case = delivery.result["case"]
        mine = [s for s in of(lab, instance) if tags(s)["ir:incident"] == case]
        assert len(mine) == 2, "one set for each case"
        ledger = Ledger(scene, instance, case)
        ledger.wait_told(*ids(mine))
        sets.append(ids(mine))
        if number != 1:
            for snapshot in ids(mine):
                lab.client("ec2").unlock_snapshot(SnapshotId=snapshot)
        proposed = [fact["delete"] for fact in ledger.facts("retention")]
        if number < 7:
            assert proposed == []
            assert "you may" not in ledger.messages()[-1]["message"]
        if number == 7:
            assert [sorted(set_) for set_ in proposed[0]] == [sorted(sets[2])]
        if number < 8:
            # A person closes the case.
            lab.client("s3").delete_object(Bucket=scene.bucket, Key=f"targets/{ledger.key}.json")
    (first, *_) = [fact for fact in ledger.facts("retention")]
    assert first["counted"] == 9 and [sorted(s) for s in first["delete"]] == [sorted(sets[2]), sorted(sets[3])]
    message = ledger.messages()[-1]["message"]
    assert "Nothing here deletes one; you may, the whole set each time" in message
    assert "They have no copy outside of their account: make one first." in message
    for number, of_set in enumerate(sets):
        listed = any(line.strip().split(" ")[0] in of_set and len(line.split()) == 2 for line in message.splitlines())
        assert listed == (number in (2, 3)), number
    assert sorted(ids(of(lab, instance))) == sorted(s for of_set in sets for s in of_set)
    assert lab.calls(since=before, action="DeleteSnapshot") == []
