//! Case ids, and entries as they are stored and hashed.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::case::{Actor, CaseId, Entry, EntryKind, Lease, Memory, OpenCase, State};
use tourniquet::containment::TargetRecord;
use tourniquet::containment::identity::{Principal, decide};
use tourniquet::finding::Finding;
use tourniquet::text::sha256;

use crate::support::{accused_user, at, finding, holds_a_key, now, observed_user, responder, user};

pub(super) fn actor() -> Actor {
    Actor {
        function: "arn:aws:lambda:eu-west-1:111122223333:function:contain-identity".to_owned(),
        version: "0.1.0".to_owned(),
        request_id: "8f1c1e0e-5f5e-4f6e-9d0a-3b7a3c2d1e0f".to_owned(),
    }
}

pub(super) fn case_id() -> CaseId {
    CaseId::parse("IR-20261121-3f9a1c2e").expect("a case id")
}

pub(super) fn entry(number: u32, kind: EntryKind, previous: Option<String>, what: Value) -> Entry {
    Entry { case: case_id(), number, entry: kind, at: at("2026-11-21T20:48:01.250Z"), actor: actor(), previous, what }
}

#[test]
fn a_case_id_is_the_day_of_the_first_sighting_and_a_hash_of_target_and_finding() {
    let finding = finding("leaked-access-key");
    let key = "111122223333/user/AIDASVCBUILDQ7EXAMPLE";
    let hash = sha256(format!("{key}{}", finding.id).as_bytes());
    assert_eq!(CaseId::of(&finding, key).to_string(), format!("IR-20261121-{}", &hash[..8]));
    // Pinned: a case opened by an earlier version must be found again.
    insta::assert_snapshot!(CaseId::of(&finding, key), @"IR-20261121-2a07885a");
}

#[test]
fn every_copy_of_a_finding_opens_the_same_case() {
    let principal = Principal::User(Box::new(user()));
    let case = |finding: &Finding| {
        let record = TargetRecord::of(finding, &accused_user(), &principal);
        (record.key(), CaseId::of(finding, &record.key()))
    };
    let copies =
        ["leaked-access-key", "leaked-access-key-updated", "leaked-access-key-security-hub-copy", "leaked-access-key-ocsf-copy"];
    let first = case(&finding(copies[0]));
    assert_eq!(first.0, "111122223333/user/AIDASVCBUILDQ7EXAMPLE");
    assert!(copies.iter().all(|copy| case(&finding(copy)) == first));
}

#[rstest]
#[case("2026-11-21T23:59:59.999Z", "IR-20261121-")]
#[case("2026-11-21T23:30:00-05:00", "IR-20261122-")]
#[case("2026-11-22T00:30:00+01:00", "IR-20261121-")]
fn the_day_is_that_of_utc(#[case] first_seen: &str, #[case] prefix: &str) {
    let finding = Finding { first_seen: at(first_seen), ..finding("leaked-access-key") };
    assert!(CaseId::of(&finding, "x").to_string().starts_with(prefix));
}

#[test]
fn another_target_or_another_finding_is_another_case() {
    let (one, other) = (finding("leaked-access-key"), finding("anomalous-behaviour-user"));
    let distinct: std::collections::BTreeSet<_> =
        [CaseId::of(&one, "a"), CaseId::of(&one, "b"), CaseId::of(&other, "a"), CaseId::of(&other, "b")].into();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn an_entry_s_bytes_and_digest_do_not_change_between_versions() {
    let entry =
        entry(2, EntryKind::Acted, Some("0".repeat(64)), json!({ "b": [1, 2.5, null], "a": { "z": "\u{e9}\n", "y": true } }));
    let bytes = String::from_utf8(entry.bytes()).expect("text");
    insta::assert_snapshot!("entry_bytes", bytes);
    assert_eq!(entry.digest(), sha256(bytes.as_bytes()));
    insta::assert_snapshot!(entry.digest(), @"7b933acfacee3e747e5870816b547982ed1ed7ee1ee344ef212ad1ed288f4827");
}

#[rstest]
#[case(EntryKind::Opened, 1, "cases/IR-20261121-3f9a1c2e/0001-opened.json")]
#[case(EntryKind::Decided, 2, "cases/IR-20261121-3f9a1c2e/0002-decided.json")]
#[case(EntryKind::Resumed, 3, "cases/IR-20261121-3f9a1c2e/0003-resumed.json")]
#[case(EntryKind::Acted, 10, "cases/IR-20261121-3f9a1c2e/0010-acted.json")]
#[case(EntryKind::Verified, 9_999, "cases/IR-20261121-3f9a1c2e/9999-verified.json")]
#[case(EntryKind::Reported, 10_000, "cases/IR-20261121-3f9a1c2e/10000-reported.json")]
#[case(EntryKind::Joined, 7, "cases/IR-20261121-3f9a1c2e/0007-joined.json")]
fn an_entry_is_stored_under_its_number_and_kind(#[case] kind: EntryKind, #[case] number: u32, #[case] key: &str) {
    assert_eq!(entry(number, kind, None, Value::Null).key(), key);
}

fn memory() -> Memory {
    let finding = finding("leaked-access-key");
    let decision = decide(&finding, &accused_user(), &observed_user(user()), &responder(), now());
    let original = serde_json::to_value(Principal::User(Box::new(user()))).expect("JSON");
    Memory { finding, event_sha256: sha256(b"event"), decision, original }
}

#[test]
fn the_open_case_remembers_finding_decision_and_original_state_whole() {
    let memory = memory();
    let what = serde_json::to_value(&memory).expect("JSON");
    assert!(holds_a_key(&what.to_string()), "release needs the keys whole");
    let open = OpenCase {
        case: case_id(),
        target: "111122223333/user/AIDASVCBUILDQ7EXAMPLE".to_owned(),
        state: State::Working,
        lease: Lease { holder: "a".to_owned(), until: now() },
        attempts: 1,
        reasserted: 0,
        findings: vec![memory.finding.id.clone()],
        plan: memory.decision.plan.clone(),
        outcome: None,
        memory: entry(1, EntryKind::Opened, None, what),
    };
    let stored = serde_json::to_vec(&open).expect("JSON");
    let restored: OpenCase = serde_json::from_slice(&stored).expect("an open case");
    assert_eq!(restored.remembered().expect("the memory"), memory);
    let original: Principal = serde_json::from_value(memory.original).expect("the original state");
    assert_eq!(original, Principal::User(Box::new(user())));
    // Whoever finishes the case after a crash writes the same first entry.
    assert_eq!(restored.memory.bytes(), open.memory.bytes());
    assert_eq!(OpenCase::key(&open.target), "targets/111122223333/user/AIDASVCBUILDQ7EXAMPLE.json");
}

#[test]
fn a_memory_of_another_shape_is_an_error_and_not_a_guess() {
    let open = |what| serde_json::from_value::<Memory>(what);
    let mut what = serde_json::to_value(memory()).expect("JSON");
    assert!(open(what.clone()).is_ok());
    for field in ["finding", "event_sha256", "decision", "original"] {
        let mut without = what.clone();
        without.as_object_mut().expect("an object").remove(field);
        assert!(open(without).is_err(), "{field}");
    }
    what["finding"]["account"] = "111122223333/../x".into();
    assert!(open(what).is_err(), "an id that is none is not read back");
}

proptest! {
    #[test]
    fn an_entry_read_back_gives_the_same_bytes(text in any::<String>(), number in any::<i64>(), tenths in 0_u32..=100) {
        let severity = f64::from(tenths) / 10.0;
        let entry = entry(1, EntryKind::Opened, None, json!({ "text": text, "number": number, "severity": severity }));
        let restored: Entry = serde_json::from_slice(&entry.bytes()).expect("an entry");
        prop_assert_eq!(restored.bytes(), entry.bytes());
        prop_assert_eq!(restored, entry);
    }
}
