//! Tags claim, the case says.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::case::belongs::{Claim, Claimed, provenance, recorded_sets};
use tourniquet::case::sealed::{CopyRecord, Provenance, Role, SealRecord};
use tourniquet::case::{Actor, CaseId, Entry, EntryKind, Lease, OpenCase, State};
use tourniquet::guardrails::EvidenceLock;
use tourniquet::id::{AccountId, FindingId, InstanceId, Region, SnapshotId, VolumeId};
use tourniquet::plan::{Plan, Stage};
use tourniquet::step::{Origin, SnapshotVolumes, Step};

use crate::support::{ACCOUNT, INSTANCE, account, now};

const CASE: &str = "IR-20261121-3f9a1c2e";
const OURS: &str = "snap-0000000000000000a";
const VOLUME: &str = "vol-0000000000000000a";
const FORENSICS: &str = "555566667777";
const KEY: &str = "arn:aws:kms:eu-west-1:555566667777:key/1";

fn snap(text: &str) -> SnapshotId {
    SnapshotId::parse(text).expect("a snapshot id")
}

fn case() -> CaseId {
    CaseId::parse(CASE).expect("a case id")
}

fn step(snapshots: &[&str]) -> Step {
    SnapshotVolumes {
        region: Region::parse("eu-west-1").expect("a Region"),
        instance: InstanceId::parse(INSTANCE).expect("an instance"),
        volumes: vec![VolumeId::parse(VOLUME).expect("a volume")],
        origin: Origin { case: case(), finding: FindingId::parse("finding").expect("a finding") },
        lock: EvidenceLock::default(),
        snapshots: snapshots.iter().copied().map(snap).collect(),
    }
    .into()
}

fn entry(number: u32, kind: EntryKind, what: Value) -> Entry {
    let actor = Actor { function: "f".to_owned(), version: "0".to_owned(), request_id: "r".to_owned() };
    Entry { case: case(), number, entry: kind, at: now(), actor, previous: None, what }
}

fn open(snapshots: &[&str]) -> OpenCase {
    OpenCase {
        case: case(),
        target: format!("{ACCOUNT}/instance/{INSTANCE}"),
        state: State::Settled,
        lease: Lease { holder: "r".to_owned(), until: now() },
        attempts: 1,
        reasserted: 0,
        findings: Vec::new(),
        spent: Vec::new(),
        failed: Vec::new(),
        plan: Plan {
            cut: Vec::new(),
            then: vec![Stage { name: "evidence".to_owned(), steps: vec![step(snapshots)] }],
            fallback: Vec::new(),
        },
        settled_at: 0,
        contained_at: None,
        active_at: None,
        outcome: None,
        release: None,
        memory: entry(1, EntryKind::Opened, json!({})),
    }
}

fn tags(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let common = [("ir:incident", CASE), ("ir:instance", INSTANCE)];
    common.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn account_of(text: &str) -> AccountId {
    AccountId::parse(text).expect("an account")
}

fn source(snapshot: &str) -> Claim {
    Claim::of(&snap(snapshot), &tags(&[]), &account(), false).expect("a claim")
}

fn copy(more: &[(&str, &str)], holder: &str) -> Result<Claim, String> {
    Claim::of(&snap("snap-000000000000000cc"), &tags(more), &account_of(holder), holder == FORENSICS)
}

fn says(claim: &Claim, snapshot: &str, volume: Option<&str>, open: &OpenCase, entries: &[Entry]) -> Option<Provenance> {
    let volume = volume.map(|volume| VolumeId::parse(volume).expect("a volume"));
    let holder = if claim.role == Role::Forensic { account_of(FORENSICS) } else { account() };
    let claimed = Claimed { claim, snapshot: &snap(snapshot), volume: volume.as_ref(), key: Some(KEY), holder: &holder };
    provenance(claimed, open, entries)
}

#[test]
fn a_snapshot_the_case_names_belongs_to_it() {
    assert_eq!(says(&source(OURS), OURS, None, &open(&[OURS]), &[]), Some(Provenance::Snapshot));
    // The plan may not know yet what was carried out.
    let acted = entry(2, EntryKind::Acted, json!({ "steps": [{ "step": step(&[OURS]) }] }));
    assert_eq!(says(&source(OURS), OURS, None, &open(&[]), &[acted]), Some(Provenance::Snapshot));
}

#[test]
fn a_snapshot_of_a_volume_the_case_names_belongs_to_it_and_that_is_said() {
    assert_eq!(says(&source(OURS), OURS, Some(VOLUME), &open(&[]), &[]), Some(Provenance::Volume));
}

#[test]
fn tags_alone_prove_nothing() {
    let other = "snap-0000000000000000b";
    assert_eq!(says(&source(other), other, Some("vol-0000000000000000b"), &open(&[OURS]), &[]), None);
    assert_eq!(says(&source(other), other, None, &open(&[OURS]), &[]), None);
}

#[test]
fn what_an_attacker_may_have_written_into_the_case_proves_nothing() {
    let forged = json!({
        "finding": { "title": OURS, "snapshot": OURS, "snapshots": [OURS] },
        "original": { "tags": { "snapshot": OURS }, "snapshots": [OURS], "steps": [{ "step": step(&[OURS]) }] },
        "steps": "text",
    });
    for kind in [EntryKind::Opened, EntryKind::Decided, EntryKind::Collected, EntryKind::Acted] {
        assert_eq!(says(&source(OURS), OURS, None, &open(&[]), &[entry(2, kind, forged.clone())]), None, "{kind:?}");
    }
}

#[test]
fn the_case_of_another_target_says_nothing() {
    let mut another = open(&[OURS]);
    another.target = format!("{ACCOUNT}/instance/i-00000000000000000");
    assert_eq!(says(&source(OURS), OURS, Some(VOLUME), &another, &[]), None);
    let mut another = open(&[OURS]);
    another.case = CaseId::parse("IR-20261121-00000000").expect("a case id");
    assert_eq!(says(&source(OURS), OURS, Some(VOLUME), &another, &[]), None);
}

#[rstest]
#[case::no_case(&[("ir:incident", "none")], ACCOUNT)]
#[case::no_instance(&[("ir:instance", "i-1")], ACCOUNT)]
#[case::unknown_stage(&[("ir:stage", "sealed")], ACCOUNT)]
#[case::transit_of_nothing(&[("ir:stage", "transit")], ACCOUNT)]
#[case::forensic_at_home(&[("ir:stage", "forensic"), ("ir:copy-of", OURS), ("ir:account", ACCOUNT)], ACCOUNT)]
#[case::source_in_the_forensics_account(&[], FORENSICS)]
#[case::transit_in_the_forensics_account(&[("ir:stage", "transit"), ("ir:copy-of", OURS)], FORENSICS)]
#[case::forensic_of_no_account(&[("ir:stage", "forensic"), ("ir:copy-of", OURS)], FORENSICS)]
fn tags_that_say_nothing_are_no_claim(#[case] more: &[(&str, &str)], #[case] holder: &str) {
    copy(more, holder).expect_err("no claim");
}

#[test]
fn the_open_case_is_looked_for_where_the_instance_is() {
    assert_eq!(source(OURS).target(), format!("{ACCOUNT}/instance/{INSTANCE}"));
    let forensic = copy(&[("ir:stage", "forensic"), ("ir:copy-of", OURS), ("ir:account", ACCOUNT)], FORENSICS).expect("a claim");
    assert_eq!((forensic.target(), forensic.source), (format!("{ACCOUNT}/instance/{INSTANCE}"), snap(OURS)));
}

fn copied(role: Role, in_account: &str, snapshot: Option<&str>) -> SealRecord {
    let record = CopyRecord {
        of: snap(OURS),
        from: snap(OURS),
        role,
        account: account_of(in_account),
        key: KEY.to_owned(),
        snapshot: snapshot.map(snap),
        instead_of: None,
    };
    if snapshot.is_some() { SealRecord::Copied(record) } else { SealRecord::Copying(record) }
}

#[test]
fn a_copy_in_the_place_of_one_that_came_to_nothing_belongs_to_the_case_too() {
    let claim = copy(&[("ir:stage", "transit"), ("ir:copy-of", OURS)], ACCOUNT).expect("a claim");
    let (lost, this, other) = ("snap-000000000000000cc", "snap-000000000000000dd", "snap-000000000000000ee");
    let instead = |record: SealRecord| match record {
        SealRecord::Copying(copy) => SealRecord::Copying(CopyRecord { instead_of: Some(snap(lost)), ..copy }),
        SealRecord::Copied(copy) => SealRecord::Copied(CopyRecord { instead_of: Some(snap(lost)), ..copy }),
        record => record,
    };
    let (intent, begun) = (|| copied(Role::Transit, ACCOUNT, None), |id| copied(Role::Transit, ACCOUNT, Some(id)));
    let case = open(&[OURS]);
    let mut records = vec![intent(), begun(lost), instead(intent())];
    assert_eq!(says(&claim, this, None, &case, &ledger(&records)), Some(Provenance::Intent));
    records.push(instead(begun(this)));
    assert_eq!(says(&claim, this, None, &case, &ledger(&records)), Some(Provenance::Snapshot));
    assert_eq!(says(&claim, lost, None, &case, &ledger(&records)), Some(Provenance::Snapshot), "what is recorded stays so");
    assert_eq!(says(&claim, other, None, &case, &ledger(&records)), None, "an intent is carried out once");
}

fn ledger(records: &[SealRecord]) -> Vec<Entry> {
    let what = |record: &SealRecord| serde_json::to_value(record).expect("JSON");
    records.iter().zip(2..).map(|(record, number)| entry(number, EntryKind::Sealed, what(record))).collect()
}

#[test]
fn a_copy_belongs_to_the_case_that_began_it_and_to_no_other() {
    let claim = copy(&[("ir:stage", "transit"), ("ir:copy-of", OURS)], ACCOUNT).expect("a claim");
    let (this, other) = ("snap-000000000000000cc", "snap-000000000000000dd");
    let case = open(&[OURS]);
    assert_eq!(says(&claim, this, None, &case, &[]), None);
    let intent = copied(Role::Transit, ACCOUNT, None);
    assert_eq!(says(&claim, this, None, &case, &ledger(std::slice::from_ref(&intent))), Some(Provenance::Intent));
    let begun = ledger(&[intent, copied(Role::Transit, ACCOUNT, Some(this))]);
    assert_eq!(says(&claim, this, None, &case, &begun), Some(Provenance::Snapshot));
    assert_eq!(says(&claim, other, None, &case, &begun), None, "a second copy under the same tags");
    let forensic = ledger(&[copied(Role::Forensic, FORENSICS, Some(this))]);
    assert_eq!(says(&claim, this, None, &case, &forensic), None, "another role");
}

#[test]
fn an_intended_copy_under_another_key_is_somebody_else_s() {
    let claim = copy(&[("ir:stage", "transit"), ("ir:copy-of", OURS)], ACCOUNT).expect("a claim");
    let intent = ledger(&[copied(Role::Transit, ACCOUNT, None)]);
    for key in [None, Some("arn:aws:kms:eu-west-1:111122223333:key/1")] {
        let holder = account();
        let claimed = Claimed { claim: &claim, snapshot: &snap("snap-000000000000000cc"), volume: None, key, holder: &holder };
        assert_eq!(provenance(claimed, &open(&[OURS]), &intent), None, "{key:?}");
    }
}

#[test]
fn snapshots_that_were_taken_together_are_one_set_wherever_the_case_names_them() {
    let acted = entry(2, EntryKind::Acted, json!({ "steps": [{ "step": step(&[OURS, "snap-0000000000000000b"]) }] }));
    let later = entry(3, EntryKind::Acted, json!({ "steps": [{ "step": step(&["snap-0000000000000000d"]) }] }));
    let sets = recorded_sets(Some(&open(&["snap-0000000000000000b", "snap-0000000000000000c"])), &[acted, later]);
    let mut sets: Vec<Vec<&str>> = sets.iter().map(|set| set.iter().map(SnapshotId::as_str).collect()).collect();
    sets.sort();
    assert_eq!(sets, [vec![OURS, "snap-0000000000000000b", "snap-0000000000000000c"], vec!["snap-0000000000000000d"]]);
}
