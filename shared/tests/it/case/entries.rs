//! Case ids, and entries as they are stored and hashed.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;
use serde::Deserialize;
use serde_json::{Value, json};
use tourniquet::case::{Actor, CaseId, Entry, EntryKind, Lease, Memory, OpenCase, State};
use tourniquet::containment::TargetRecord;
use tourniquet::containment::identity::{Principal, decide};
use tourniquet::finding::{Elsewhere, ElsewhereSort, Finding, RoleSession, Target, User};
use tourniquet::step::Step;
use tourniquet::text::sha256;

use crate::checks::text::holds_a_key;
use crate::support::{
    FIRST_KEY, accused_role, accused_user, at, finding, findings, key, now, observed_user, responder, sample, user,
};

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
        (record.key(&finding.id), CaseId::of(finding, &record.key(&finding.id)))
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
    let distinct: BTreeSet<_> =
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
#[case(1, "cases/IR-20261121-3f9a1c2e/0001.json")]
#[case(10, "cases/IR-20261121-3f9a1c2e/0010.json")]
#[case(9_999, "cases/IR-20261121-3f9a1c2e/9999.json")]
fn an_entry_is_stored_under_its_number_whatever_it_records(#[case] number: u32, #[case] key: &str) {
    // Of two writers of one number only one can then succeed: the chain does not fork.
    for kind in [
        EntryKind::Opened,
        EntryKind::Decided,
        EntryKind::Resumed,
        EntryKind::Acted,
        EntryKind::Verified,
        EntryKind::Reported,
        EntryKind::Joined,
    ] {
        assert_eq!(entry(number, kind, None, Value::Null).key(), key);
    }
}

fn key_in(finding: &Finding, target: &Target) -> String {
    TargetRecord::accused(finding, target).key(&finding.id)
}

#[test]
fn targets_nobody_can_tell_apart_are_filed_under_the_finding_that_accuses_them() {
    let (one, other) = (finding("leaked-access-key"), finding("anomalous-behaviour-user"));
    assert_ne!(one.id, other.id);
    let elsewhere = |sort, label: &str| Target::Elsewhere(Elsewhere { sort, label: label.to_owned(), key: None });
    let Target::User(named) = accused_user() else { unreachable!("a user") };
    let Target::RoleSession(role) = accused_role(Some("someone"), None) else { unreachable!("a role") };
    let nameless = [
        Target::AccessKey { key: key(FIRST_KEY) },
        elsewhere(ElsewhereSort::SeveralActors, "2 actors"),
        elsewhere(ElsewhereSort::Unnamed, ""),
        elsewhere(ElsewhereSort::FederatedUser, "alice"),
        Target::User(User { unique_id: None, ..named }),
        Target::RoleSession(RoleSession { role_id: None, ..role }),
        Target::Resource { resource_type: "S3Bucket".to_owned() },
    ];
    let mut keys = BTreeSet::new();
    for target in &nameless {
        // The same finding comes back to its case; another one must not find that case settled.
        assert_eq!(key_in(&one, target), key_in(&one.clone(), target));
        for finding in [&one, &other] {
            let key = key_in(finding, target);
            assert!(key.starts_with(&format!("111122223333/{}/finding-", target.kind().as_str())), "{key}");
            keys.insert(key);
        }
    }
    assert_eq!(keys.len(), nameless.len() * 2, "{keys:#?}");
}

#[rstest]
#[case::two_exposed_keys("exposed-key-health", "exposed-key-health", "/detail/eventArn")]
#[case::two_attack_sequences("attack-sequence-two-actors", "attack-sequence-two-actors", "/detail/arn")]
fn two_findings_without_a_name_never_share_a_case(#[case] one: &str, #[case] other: &str, #[case] id: &str) {
    let first = finding(one);
    let mut event: Value = serde_json::from_slice(&sample(other)).expect("JSON");
    let id = event.pointer_mut(id).expect("the finding's id");
    *id = format!("{}0", id.as_str().expect("text")).into();
    let second = findings(&serde_json::to_vec(&event).expect("JSON")).remove(0);
    assert_eq!(first.targets, second.targets, "they say the same of whom they accuse");
    assert_ne!(first.id, second.id);
    for (ours, theirs) in first.targets.iter().zip(&second.targets) {
        let (ours, theirs) = (key_in(&first, ours), key_in(&second, theirs));
        assert_ne!(ours, theirs);
        assert_ne!(CaseId::of(&first, &ours), CaseId::of(&second, &theirs));
    }
}

#[test]
fn a_principal_with_an_id_is_one_target_whichever_finding_accuses_it() {
    let (one, other) = (finding("leaked-access-key"), finding("anomalous-behaviour-user"));
    for (target, key) in [
        (accused_user(), "111122223333/user/AIDASVCBUILDQ7EXAMPLE"),
        (accused_role(None, None), "111122223333/role_session/AROADEVELOPERQEXAMPLE"),
        (accused_role(Some("someone"), None), "111122223333/role_session/AROADEVELOPERQEXAMPLE:someone"),
        (Target::Root { key: None }, "111122223333/root/root"),
    ] {
        assert_eq!((key_in(&one, &target), key_in(&other, &target)), (key.to_owned(), key.to_owned()));
    }
}

fn memory() -> Memory {
    let finding = finding("leaked-access-key");
    let decision = decide(&finding, &accused_user(), &observed_user(user()), &responder(), now());
    let original = serde_json::to_value(Principal::User(Box::new(user()))).expect("JSON");
    Memory {
        finding,
        event_sha256: sha256(b"event"),
        commands: decision.plan.commands(),
        decision,
        original,
        proposal: None,
        approval: None,
    }
}

fn open_case(memory: &Memory) -> OpenCase {
    OpenCase {
        case: case_id(),
        target: "111122223333/user/AIDASVCBUILDQ7EXAMPLE".to_owned(),
        state: State::Working,
        lease: Lease { holder: "a".to_owned(), until: now() },
        attempts: 1,
        reasserted: 0,
        findings: vec![memory.finding.id.clone()],
        spent: Vec::new(),
        failed: memory.decision.plan.steps().take(1).cloned().collect(),
        plan: memory.decision.plan.clone(),
        settled_at: 0,
        contained_at: None,
        active_at: None,
        outcome: None,
        release: None,
        memory: entry(1, EntryKind::Opened, None, serde_json::to_value(memory).expect("JSON")),
    }
}

#[test]
fn the_open_case_remembers_finding_decision_and_original_state_whole() {
    let memory = memory();
    let what = serde_json::to_value(&memory).expect("JSON");
    assert!(holds_a_key(&what.to_string()), "release needs the keys whole");
    let open = open_case(&memory);
    let stored = serde_json::to_vec(&open).expect("JSON");
    let restored: OpenCase = serde_json::from_slice(&stored).expect("an open case");
    assert_eq!(restored, open);
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
    for field in ["finding", "event_sha256", "decision", "commands", "original"] {
        let mut without = what.clone();
        without.as_object_mut().expect("an object").remove(field);
        assert!(open(without).is_err(), "{field}");
    }
    what["finding"]["account"] = "111122223333/../x".into();
    assert!(open(what).is_err(), "an id that is none is not read back");
}

#[test]
fn the_memory_holds_the_plan_as_lines_to_type_with_the_keys_whole() {
    let memory = memory();
    let steps: Vec<_> = memory.decision.plan.steps().map(Step::command).collect();
    assert_eq!(memory.commands, steps);
    assert!(memory.commands.iter().any(|line| line.contains(FIRST_KEY)), "{:?}", memory.commands);
}

#[test]
fn an_open_case_of_an_earlier_version_has_no_failed_steps() {
    let mut stored = serde_json::to_value(open_case(&memory())).expect("JSON");
    assert!(stored["failed"].as_array().is_some_and(|failed| failed.len() == 1));
    stored.as_object_mut().expect("an object").remove("failed");
    assert_eq!(serde_json::from_value::<OpenCase>(stored).expect("an open case").failed, []);
}

proptest! {
    #[test]
    fn an_entry_read_back_gives_the_same_bytes(
        text in any::<String>(), number in any::<i64>(), severity in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
    ) {
        let entry = entry(1, EntryKind::Opened, None, json!({ "text": text, "number": number, "severity": severity }));
        let restored: Entry = serde_json::from_slice(&entry.bytes()).expect("an entry");
        prop_assert_eq!(restored.bytes(), entry.bytes());
        prop_assert_eq!(restored, entry);
    }

    #[test]
    fn a_severity_is_stored_and_read_back_to_the_last_bit(severity in 0.0..10.0_f64) {
        let finding = Finding { severity, ..finding("leaked-access-key") };
        let stored = serde_json::to_vec(&finding).expect("JSON");
        let restored: Finding = serde_json::from_slice(&stored).expect("a finding");
        prop_assert_eq!(restored.severity.to_bits(), severity.to_bits());
        // The way of the memory: through a JSON value, and back from the stored bytes.
        let entry = entry(1, EntryKind::Opened, None, serde_json::to_value(&finding).expect("JSON"));
        let restored: Entry = serde_json::from_slice(&entry.bytes()).expect("an entry");
        prop_assert_eq!(Finding::deserialize(&restored.what).expect("a finding"), finding);
    }
}
