//! Whatever is done to a ledger, the first link it breaks is named.

use rstest::rstest;
use serde_json::json;
use tourniquet::case::{Broken, CaseId, Entry, EntryKind, event_key, verify_chain};
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
    objects.push((event_key(&case_id(), &sha256(EVENT)), EVENT.to_vec()));
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
            // Where the byte is one of the event's hash, it is the event that does not answer to it.
            let of_event = at == 0 && broken.key.starts_with("cases/IR-20261121-3f9a1c2e/event-");
            assert!(broken.key == own || broken.key == next || of_event, "byte {byte} of {own}: {broken}");
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
#[case(0, "0002", "entry 1 is missing before it")]
#[case(1, "0003", "entry 2 is missing before it")]
#[case(2, "0004", "entry 3 is missing before it")]
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
    assert_eq!(broken.reason, "it says it is cases/IR-20261121-3f9a1c2e/0003.json");
}

#[test]
fn an_entry_under_another_number_is_named() {
    let mut objects = objects();
    objects[3].0 = objects[3].0.replace("0004", "0005");
    assert_eq!(broken(&objects).reason, "entry 4 is missing before it");
    objects[2].0 = objects[2].0.replace("0003", "0004");
    assert_eq!(broken(&objects).reason, "entry 3 is missing before it");
    objects.remove(2);
    objects[2].0 = objects[2].0.replace("0005", "0003");
    assert_eq!(broken(&objects).reason, "it says it is cases/IR-20261121-3f9a1c2e/0004.json");
}

#[rstest]
#[case::of_a_number("0002-decided.json")]
#[case::without_zeros("2.json")]
#[case::with_more_zeros("00002.json")]
#[case::signed("+002.json")]
#[case::of_another_kind("0002.html")]
#[case::in_a_folder("old/0002.json")]
fn what_is_not_named_like_an_entry_is_no_entry(#[case] name: &str) {
    // There is one key for each number, so a second entry of one number has nowhere to stand.
    let mut objects = objects();
    let rival = entry(2, EntryKind::Decided, Some(sha256(&objects[0].1)), json!({}));
    assert_eq!(rival.key(), key_of(&objects, 1));
    objects.push((format!("cases/IR-20261121-3f9a1c2e/{name}"), rival.bytes()));
    assert_eq!(verify_chain(&case_id(), &objects).expect("a chain").entries, 4);
}

#[test]
fn an_entry_of_another_case_is_named() {
    let mut objects = objects();
    let mut foreign = entry(2, EntryKind::Acted, Some(sha256(&objects[0].1)), json!({}));
    foreign.case = CaseId::parse("IR-20261121-00000000").expect("a case id");
    objects[1].1 = foreign.bytes();
    let broken = broken(&objects);
    assert_eq!(broken.key, key_of(&objects, 1));
    assert_eq!(broken.reason, "it says it is cases/IR-20261121-00000000/0002.json");
}

#[test]
fn objects_of_other_cases_do_not_count() {
    let mut objects = objects();
    objects.push(("cases/IR-20261121-00000000/0005.json".to_owned(), b"{}".to_vec()));
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
fn an_event_is_stored_under_the_beginning_of_its_hash() {
    let key = event_key(&case_id(), &sha256(EVENT));
    assert_eq!(key, format!("cases/IR-20261121-3f9a1c2e/event-{}.json", &sha256(EVENT)[..16]));
    assert_ne!(key, event_key(&case_id(), &sha256(b"another event")));
    // What an entry records may be anything: it is looked for, not trusted.
    assert_eq!(event_key(&case_id(), "short"), "cases/IR-20261121-3f9a1c2e/event-short.json");
    assert_eq!(event_key(&case_id(), "123456789012345\u{e9}"), "cases/IR-20261121-3f9a1c2e/event-123456789012345\u{e9}.json");
}

#[test]
fn an_event_that_is_not_the_one_recorded_is_named() {
    let mut objects = objects();
    objects[4].1.push(b' ');
    let broken = broken(&objects);
    assert_eq!(broken.key, event_key(&case_id(), &sha256(EVENT)));
    assert!(broken.reason.contains(&sha256(EVENT)), "{broken}");
    assert!(broken.reason.contains(&sha256(&objects[4].1)), "{broken}");
}

#[test]
fn an_event_that_is_missing_is_named() {
    let mut objects = objects();
    objects.remove(4);
    let broken = broken(&objects);
    assert_eq!(broken.key, event_key(&case_id(), &sha256(EVENT)));
    assert_eq!(broken.reason, "entry 1 records this event, and it is not there");
}

const SECOND_EVENT: &[u8] = b"{\"detail-type\":\"Security Hub Findings - Imported\"}";

/// A case that a second event joined, decided anew and resumed.
fn with_two_events() -> Objects {
    let mut objects = objects();
    for (number, kind) in [(5, EntryKind::Joined), (6, EntryKind::Decided)] {
        let previous = Some(sha256(
            &objects.iter().find(|(key, _)| key.ends_with(&format!("/{:04}.json", number - 1))).expect("an entry").1,
        ));
        let entry = entry(number, kind, previous, json!({ "event_sha256": sha256(SECOND_EVENT) }));
        objects.push((entry.key(), entry.bytes()));
    }
    objects.push((event_key(&case_id(), &sha256(SECOND_EVENT)), SECOND_EVENT.to_vec()));
    objects
}

#[test]
fn every_event_of_a_case_is_checked_against_the_entries_that_record_it() {
    let whole = with_two_events();
    assert_eq!(verify_chain(&case_id(), &whole).expect("a chain").entries, 6);
    for (event, first) in [(EVENT, 1), (SECOND_EVENT, 5)] {
        let key = event_key(&case_id(), &sha256(event));
        let mut missing = whole.clone();
        missing.retain(|(stored, _)| *stored != key);
        let found = broken(&missing);
        assert_eq!((found.key, found.reason), (key.clone(), format!("entry {first} records this event, and it is not there")));
        let mut forged = whole.clone();
        forged.iter_mut().find(|(stored, _)| *stored == key).expect("the event").1 = b"{}".to_vec();
        let found = broken(&forged);
        assert_eq!(found.key, key);
        assert_eq!(found.reason, format!("it hashes to {}, entry {first} recorded {}", sha256(b"{}"), sha256(event)));
    }
    // One event in the other's place is neither.
    let mut exchanged = whole;
    let (first, second) = (event_key(&case_id(), &sha256(EVENT)), event_key(&case_id(), &sha256(SECOND_EVENT)));
    for (key, _) in &mut exchanged {
        *key = if *key == first {
            second.clone()
        } else if *key == second {
            first.clone()
        } else {
            key.clone()
        };
    }
    assert_eq!(broken(&exchanged).key, first);
}

#[test]
fn a_case_without_entries_is_no_chain() {
    assert_eq!(broken(&Vec::new()).to_string(), "broken at cases/IR-20261121-3f9a1c2e/: no entries");
    assert!(verify_chain(&case_id(), &objects()[4..]).is_err());
}
