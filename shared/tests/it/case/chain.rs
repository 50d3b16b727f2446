//! Whatever is done to a ledger, the first link it breaks is named.

use rstest::rstest;
use serde_json::json;
use tourniquet::case::{Broken, CaseId, Entry, EntryKind, verify_chain};
use tourniquet::text::sha256;

use super::entries::{case_id, entry};

type Objects = Vec<(String, Vec<u8>)>;

const EVENT: &[u8] = b"{\"detail-type\":\"GuardDuty Finding\"}";

fn opened() -> Entry {
    entry(1, EntryKind::Opened, None, json!({ "event_sha256": sha256(EVENT), "finding": { "severity": 8.0 } }))
}

/// A whole case: four entries, the event as delivered, and evidence of other kinds.
fn objects() -> Objects {
    let mut entries = vec![opened()];
    for (number, kind) in [(2, EntryKind::Acted), (3, EntryKind::Verified), (4, EntryKind::Reported)] {
        let previous = entries.last().map(Entry::digest);
        entries.push(entry(number, kind, previous, json!({ "note": format!("entry {number}") })));
    }
    let mut objects: Objects = entries.iter().map(|entry| (entry.key(), entry.bytes())).collect();
    objects.push(("cases/IR-20261121-3f9a1c2e/event.json".to_owned(), EVENT.to_vec()));
    objects.push(("cases/IR-20261121-3f9a1c2e/report.html".to_owned(), b"<html>".to_vec()));
    objects
}

fn key_of(objects: &Objects, at: usize) -> String {
    objects[at].0.clone()
}

fn broken(objects: &Objects) -> Broken {
    verify_chain(&case_id(), objects).expect_err("a chain that must break")
}

#[test]
fn a_whole_chain_holds_in_any_order() {
    let mut objects = objects();
    let head = sha256(&objects[3].1);
    for _ in 0..objects.len() {
        objects.rotate_left(1);
        let report = verify_chain(&case_id(), &objects).expect("a chain that holds");
        assert_eq!((report.entries, &report.head), (4, &head));
    }
    objects.reverse();
    assert!(verify_chain(&case_id(), &objects).is_ok());
}

#[test]
fn a_changed_byte_anywhere_breaks_the_chain_at_the_entry_or_the_next() {
    let whole = objects();
    for at in 0..3 {
        for byte in 0..whole[at].1.len() {
            let mut objects = whole.clone();
            objects[at].1[byte] ^= 1;
            let broken = broken(&objects);
            let (own, next) = (key_of(&whole, at), key_of(&whole, at + 1));
            assert!(broken.key == own || broken.key == next, "byte {byte} of {own}: {broken}");
        }
    }
}

#[test]
fn a_changed_byte_in_the_last_entry_breaks_it_or_changes_the_head() {
    let whole = objects();
    let head = verify_chain(&case_id(), &whole).expect("a chain").head;
    for byte in 0..whole[3].1.len() {
        let mut objects = whole.clone();
        objects[3].1[byte] ^= 1;
        match verify_chain(&case_id(), &objects) {
            Ok(report) => assert_ne!(report.head, head, "byte {byte}"),
            Err(broken) => assert_eq!(broken.key, key_of(&whole, 3), "byte {byte}"),
        }
    }
}

#[test]
fn a_truncated_or_padded_entry_breaks_the_chain() {
    let whole = objects();
    for at in 0..3 {
        for change in [|bytes: &mut Vec<u8>| bytes.push(b'\n'), |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1), Vec::clear]
        {
            let mut objects = whole.clone();
            change(&mut objects[at].1);
            let broken = broken(&objects);
            assert!([key_of(&whole, at), key_of(&whole, at + 1)].contains(&broken.key), "{broken}");
        }
    }
}

#[rstest]
#[case(0, "0002-acted", "entry 1 is missing before it")]
#[case(1, "0003-verified", "entry 2 is missing before it")]
#[case(2, "0004-reported", "entry 3 is missing before it")]
fn a_removed_entry_is_missed_by_the_next(#[case] at: usize, #[case] named: &str, #[case] reason: &str) {
    let mut objects = objects();
    objects.remove(at);
    let broken = broken(&objects);
    assert_eq!((broken.key, broken.reason.as_str()), (format!("cases/IR-20261121-3f9a1c2e/{named}.json"), reason));
}

#[test]
fn a_chain_cut_short_at_its_end_is_shorter_and_has_another_head() {
    // Nothing inside a chain can tell that its end is gone: whoever kept head or length can.
    let whole = objects();
    let mut cut = whole.clone();
    cut.remove(3);
    let (whole, cut) = (verify_chain(&case_id(), &whole).expect("a chain"), verify_chain(&case_id(), &cut).expect("a chain"));
    assert_eq!((whole.entries, cut.entries), (4, 3));
    assert_ne!(whole.head, cut.head);
}

#[test]
fn two_entries_that_changed_places_are_named() {
    let mut objects = objects();
    let (second, third) = (objects[1].1.clone(), objects[2].1.clone());
    (objects[1].1, objects[2].1) = (third, second);
    let broken = broken(&objects);
    assert_eq!(broken.key, key_of(&objects, 1));
    assert_eq!(broken.reason, "it says it is cases/IR-20261121-3f9a1c2e/0003-verified.json");
}

#[test]
fn an_entry_under_another_number_is_named() {
    let mut objects = objects();
    objects[3].0 = objects[3].0.replace("0004", "0005");
    assert_eq!(broken(&objects).reason, "entry 4 is missing before it");
    objects[3].0 = objects[3].0.replace("0005", "4");
    assert!(broken(&objects).reason.starts_with("it says it is"));
}

#[test]
fn a_second_entry_of_one_number_is_named() {
    let mut objects = objects();
    let rival = entry(2, EntryKind::Decided, Some(sha256(&objects[0].1)), json!({}));
    objects.push((rival.key(), rival.bytes()));
    let broken = broken(&objects);
    assert!(broken.key.contains("/0002-"), "{broken}");
    assert_eq!(broken.reason, "a second entry 2");
}

#[test]
fn an_entry_of_another_case_is_named() {
    let mut objects = objects();
    let mut foreign = entry(2, EntryKind::Acted, Some(sha256(&objects[0].1)), json!({}));
    foreign.case = CaseId::parse("IR-20261121-00000000").expect("a case id");
    objects[1].1 = foreign.bytes();
    let broken = broken(&objects);
    assert_eq!(broken.key, key_of(&objects, 1));
    assert_eq!(broken.reason, "it says it is cases/IR-20261121-00000000/0002-acted.json");
}

#[test]
fn objects_of_other_cases_do_not_count() {
    let mut objects = objects();
    objects.push(("cases/IR-20261121-00000000/0005-acted.json".to_owned(), b"{}".to_vec()));
    objects.push(("targets/111122223333/user/AIDASVCBUILDQ7EXAMPLE.json".to_owned(), b"{}".to_vec()));
    assert_eq!(verify_chain(&case_id(), &objects).expect("a chain").entries, 4);
}

#[rstest]
#[case::empty(b"")]
#[case::no_json(b"not an entry")]
#[case::no_entry(b"{}")]
#[case::no_text(b"\xff\xfe")]
fn garbage_is_named(#[case] garbage: &[u8]) {
    let mut objects = objects();
    objects[2].1 = garbage.to_vec();
    let broken = broken(&objects);
    assert_eq!(broken.key, key_of(&objects, 2));
    assert!(broken.reason.starts_with("not an entry: "), "{broken}");
}

#[test]
fn a_rewritten_entry_is_betrayed_by_the_next() {
    let mut objects = objects();
    let rewritten = entry(2, EntryKind::Acted, Some(sha256(&objects[0].1)), json!({ "note": "nothing happened" }));
    let (before, after) = (sha256(&objects[1].1), rewritten.digest());
    objects[1].1 = rewritten.bytes();
    let broken = broken(&objects);
    assert_eq!(broken.key, key_of(&objects, 2));
    assert_eq!(broken.reason, format!("`previous` is {before}, the entry before hashes to {after}"));
}

#[test]
fn a_first_entry_that_follows_something_is_named() {
    let mut objects = objects();
    objects.truncate(1);
    objects[0].1 = Entry { previous: Some("0".repeat(64)), ..opened() }.bytes();
    assert!(broken(&objects).reason.ends_with("the entry before hashes to none"));
}

#[test]
fn an_event_that_is_not_the_one_recorded_is_named() {
    let mut objects = objects();
    objects[4].1.push(b' ');
    let broken = broken(&objects);
    assert_eq!(broken.key, "cases/IR-20261121-3f9a1c2e/event.json");
    assert!(broken.reason.contains(&sha256(EVENT)), "{broken}");
}

#[test]
fn a_case_without_entries_is_no_chain() {
    assert_eq!(broken(&Vec::new()).to_string(), "broken at cases/IR-20261121-3f9a1c2e/: no entries");
    assert!(verify_chain(&case_id(), &objects()[4..]).is_err());
}
