//! An entry that stands for evidence stands only as long as the evidence does.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::case::sealed::SealRecord;
use tourniquet::case::{Entry, EntryKind, Object, verify_chain};
use tourniquet::id::SnapshotId;
use tourniquet::text::sha256;

use super::entries::{case_id, entry};

const CONSOLE: &[u8] = b"login: root";
const MANIFEST: &[u8] = b"{\"snapshot\":\"snap-0123456789abcdef0\"}";

fn key(name: &str) -> String {
    format!("cases/IR-20261121-3f9a1c2e/{name}")
}

/// A case whose second entry collected, and whose third sealed.
fn objects(collected: &Value) -> Vec<(String, Vec<u8>)> {
    let opened = entry(1, EntryKind::Opened, None, json!({}));
    let collected = entry(2, EntryKind::Collected, Some(opened.digest()), json!({ "objects": collected }));
    let sealed = [json!({ "key": key("snapshots/snap-0123456789abcdef0.json"), "sha256": sha256(MANIFEST) })];
    let sealed = entry(3, EntryKind::Sealed, Some(collected.digest()), json!({ "objects": sealed }));
    let entries = [opened, collected, sealed];
    let mut objects: Vec<_> = entries.iter().map(|entry| (entry.key(), entry.bytes())).collect();
    objects.push((key("evidence/console.txt"), CONSOLE.to_vec()));
    objects.push((key("snapshots/snap-0123456789abcdef0.json"), MANIFEST.to_vec()));
    objects
}

fn console() -> Value {
    json!([{ "key": key("evidence/console.txt"), "sha256": sha256(CONSOLE) }])
}

#[test]
fn evidence_that_is_there_holds() {
    assert_eq!(verify_chain(&case_id(), &objects(&console())).expect("a chain").entries, 3);
    assert!(verify_chain(&case_id(), &objects(&json!([]))).is_ok());
}

#[rstest]
#[case(3, "evidence/console.txt", 2)]
#[case(4, "snapshots/snap-0123456789abcdef0.json", 3)]
fn evidence_that_is_missing_or_changed_is_named(#[case] at: usize, #[case] name: &str, #[case] by: u32) {
    let mut missing = objects(&console());
    missing.remove(at);
    let broken = verify_chain(&case_id(), &missing).expect_err("evidence is missing");
    assert_eq!(broken.key, key(name));
    assert_eq!(broken.reason, format!("entry {by} records this object, and it is not there"));
    for byte in 0..objects(&console())[at].1.len() {
        let mut changed = objects(&console());
        changed[at].1[byte] ^= 1;
        let broken = verify_chain(&case_id(), &changed).expect_err("evidence was changed");
        assert_eq!(broken.key, key(name));
        assert!(broken.reason.contains(&format!("entry {by} recorded ")), "{broken}");
    }
}

#[rstest]
#[case::of_another_case(json!([{ "key": "cases/IR-20261121-00000000/0001.json", "sha256": sha256(b"") }]))]
#[case::of_no_case(json!([{ "key": "guardrails.toml", "sha256": sha256(b"") }]))]
#[case::without_a_hash(json!([{ "key": key("evidence/console.txt") }]))]
#[case::that_is_text(json!(["evidence/console.txt"]))]
#[case::that_is_no_list(json!("evidence/console.txt"))]
#[case::that_is_nothing(Value::Null)]
fn an_entry_that_records_what_cannot_be_checked_is_broken(#[case] recorded: Value) {
    assert_eq!(verify_chain(&case_id(), &objects(&recorded)).expect_err("no evidence").key, key("0002.json"));
}

fn kept(bucket: &str, after: &str, objects: Vec<Object>) -> SealRecord {
    SealRecord::Kept { bucket: bucket.to_owned(), after: SnapshotId::parse(after).expect("a snapshot"), objects }
}

fn not_kept(bucket: &str, after: &str, reason: &str) -> SealRecord {
    let after = SnapshotId::parse(after).expect("a snapshot");
    SealRecord::NotKept { bucket: bucket.to_owned(), after, reason: reason.to_owned() }
}

const COPY: &str = "snap-000000000000000cc";

#[test]
fn what_was_kept_elsewhere_is_checked_here_too() {
    let whole = objects(&console());
    let object = Object { key: key("evidence/console.txt"), sha256: sha256(CONSOLE) };
    let what = serde_json::to_value(kept("cases-there", COPY, vec![object])).expect("JSON");
    let last = entry(4, EntryKind::Sealed, Some(sha256(&whole[2].1)), what);
    let mut objects = [whole, vec![(last.key(), last.bytes())]].concat();
    assert_eq!(verify_chain(&case_id(), &objects).expect("a chain").entries, 4);
    assert_eq!(
        SealRecord::of(&serde_json::from_slice::<Entry>(&last.bytes()).expect("an entry")).as_ref().map(name),
        Some("kept")
    );
    objects[3].1.push(b' ');
    assert_eq!(verify_chain(&case_id(), &objects).expect_err("changed since").key, key("evidence/console.txt"));
}

fn name(record: &SealRecord) -> &'static str {
    match record {
        SealRecord::Kept { .. } => "kept",
        SealRecord::NotKept { .. } => "not_kept",
        _ => "another",
    }
}

#[rstest]
#[case::again_with_nothing_new(kept("a", COPY, Vec::new()), kept("a", COPY, vec![Object { key: key("0001.json"), sha256: sha256(b"") }]), true)]
#[case::after_another_copy(kept("a", COPY, Vec::new()), kept("a", "snap-000000000000000dd", Vec::new()), false)]
#[case::in_another_bucket(kept("a", COPY, Vec::new()), kept("b", COPY, Vec::new()), false)]
#[case::refused_in_other_words(not_kept("a", COPY, "no"), not_kept("a", COPY, "never"), true)]
#[case::refused_and_kept_since(not_kept("a", COPY, "no"), kept("a", COPY, Vec::new()), false)]
fn a_case_is_kept_once_after_each_copy(#[case] one: SealRecord, #[case] other: SealRecord, #[case] same: bool) {
    assert_eq!((one.is_same_fact(&other), other.is_same_fact(&one)), (same, same));
}
