//! An entry that stands for evidence stands only as long as the evidence does.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::case::{EntryKind, verify_chain};
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
