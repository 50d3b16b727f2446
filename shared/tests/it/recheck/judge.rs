//! What follows from a look.

use tourniquet::case::{Actor, CaseId, Entry, EntryKind, Lease, Look, MOST_HAND_BACKS, OpenCase, RecheckRecord, State};
use tourniquet::event::{Created, CreatedOn};
use tourniquet::id::PrincipalName;
use tourniquet::outcome::Outcome;
use tourniquet::plan::Plan;
use tourniquet::step::DenyAll;
use tourniquet::timestamp::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a timestamp")
}

fn name(text: &str) -> PrincipalName {
    PrincipalName::parse(text).expect("a name")
}

fn entry(number: u32, when: &str, record: &RecheckRecord) -> Entry {
    Entry {
        case: CaseId::parse("IR-20261121-3f9a1c2e").expect("a case"),
        number,
        entry: EntryKind::Rechecked,
        at: at(when),
        actor: Actor { function: "f".to_owned(), version: "0".to_owned(), request_id: "r".to_owned() },
        previous: None,
        what: serde_json::to_value(record).expect("JSON"),
    }
}

/// The ledger after a look of which people were told.
fn told(look: Entry) -> Vec<Entry> {
    let what = serde_json::json!({ "look": look.number });
    let told = Entry { number: look.number + 1, entry: EntryKind::Told, what, ..look.clone() };
    vec![look, told]
}

fn case(outcome: Outcome) -> OpenCase {
    let blank = RecheckRecord::judge(1, &bare(None), &[], Look::default(), at("2026-11-21T20:00:00Z"));
    OpenCase { memory: entry(1, "2026-11-21T20:00:00Z", &blank), ..bare(Some(outcome)) }
}

fn bare(outcome: Option<Outcome>) -> OpenCase {
    OpenCase {
        case: CaseId::parse("IR-20261121-3f9a1c2e").expect("a case"),
        target: "111122223333/user/AIDA".to_owned(),
        state: State::Settled,
        lease: Lease { holder: "a".to_owned(), until: at("2026-11-21T20:01:00Z") },
        attempts: 1,
        reasserted: 0,
        findings: Vec::new(),
        failed: Vec::new(),
        plan: Plan::default(),
        settled_at: 4,
        contained_at: None,
        active_at: None,
        release: None,
        spent: Vec::new(),
        outcome,
        memory: Entry {
            case: CaseId::parse("IR-20261121-3f9a1c2e").expect("a case"),
            number: 1,
            entry: EntryKind::Opened,
            at: at("2026-11-21T20:00:00Z"),
            actor: Actor { function: "f".to_owned(), version: "0".to_owned(), request_id: "r".to_owned() },
            previous: None,
            what: serde_json::Value::Null,
        },
    }
}

fn undone() -> Look {
    Look { missing: Plan { cut: vec![DenyAll { user: name("svc-build") }.into()], ..Plan::default() }, ..Look::default() }
}

fn spawn(event: &str) -> Created {
    Created {
        event: event.to_owned(),
        call: "CreateUser".to_owned(),
        at: at("2026-11-21T19:00:00Z"),
        on: CreatedOn::User(name("spawn")),
        key: None,
    }
}

const NOW: &str = "2026-11-21T21:00:00Z";

#[test]
fn what_holds_is_no_news() {
    let record = RecheckRecord::judge(2, &case(Outcome::Contained), &[], Look::default(), at(NOW));
    assert!(record.holds && !record.news && !record.handed_back);
    assert_eq!((record.round, record.settled, record.line().as_str()), (2, 4, "it holds"));
}

#[test]
fn what_was_undone_is_handed_back_and_told_by_whom_it_is_handed_to() {
    let record = RecheckRecord::judge(1, &case(Outcome::Contained), &[], undone(), at(NOW));
    assert!(!record.holds && record.handed_back && !record.news);
    assert!(record.line().contains("deny_all on user/svc-build"), "{}", record.line());
}

#[test]
fn a_contested_case_is_left_to_the_person_who_was_called() {
    let record = RecheckRecord::judge(1, &case(Outcome::Contested("again".to_owned())), &[], undone(), at(NOW));
    assert!(!record.handed_back && !record.news && record.left.is_some());
}

#[test]
fn a_case_is_not_handed_back_without_end() {
    let handed = RecheckRecord::judge(1, &case(Outcome::Contained), &[], undone(), at(NOW));
    let entries = |when: &str| -> Vec<_> { (0..MOST_HAND_BACKS).map(|_| entry(9, when, &handed)).collect() };
    let today = RecheckRecord::judge(1, &case(Outcome::Contained), &entries("2026-11-21T20:30:00Z"), undone(), at(NOW));
    assert!(!today.handed_back && today.news && today.left.is_some());
    let before = RecheckRecord::judge(1, &case(Outcome::Contained), &entries("2026-11-20T20:30:00Z"), undone(), at(NOW));
    assert!(before.handed_back);
}

#[test]
fn what_was_created_is_told_once() {
    let look = || Look { created: vec![spawn("a"), spawn("b")], ..Look::default() };
    let first = RecheckRecord::judge(1, &case(Outcome::Contained), &[], look(), at(NOW));
    assert!(first.holds && first.news && first.created.len() == 2);
    let more = Look { created: vec![spawn("a"), spawn("b"), spawn("c")], ..Look::default() };
    let second = RecheckRecord::judge(2, &case(Outcome::Contained), &told(entry(5, NOW, &first)), more, at(NOW));
    assert!(second.news);
    assert_eq!(second.created, [spawn("c")]);
    let third = RecheckRecord::judge(3, &case(Outcome::Contained), &told(entry(5, NOW, &first)), look(), at(NOW));
    assert!(!third.news && third.created.is_empty());
}

#[test]
fn what_is_gone_or_unread_is_told_once_and_holds_nothing() {
    for look in [
        Look { gone: Some("deleted".to_owned()), ..Look::default() },
        Look { unread: vec!["access keys: AccessDenied".to_owned()], ..Look::default() },
    ] {
        let first = RecheckRecord::judge(1, &case(Outcome::Contained), &[], look.clone(), at(NOW));
        assert!(!first.holds && first.news && !first.handed_back);
        let again = RecheckRecord::judge(2, &case(Outcome::Contained), &told(entry(5, NOW, &first)), look, at(NOW));
        assert!(!again.news);
    }
}

#[test]
fn what_nobody_could_be_told_is_news_to_the_next_look() {
    let look = Look { gone: Some("deleted".to_owned()), created: vec![spawn("a")], ..Look::default() };
    let first = RecheckRecord::judge(1, &case(Outcome::Contained), &[], look.clone(), at(NOW));
    let second = RecheckRecord::judge(2, &case(Outcome::Contained), &[entry(5, NOW, &first)], look, at(NOW));
    assert!(second.news);
    assert_eq!(second.created, [spawn("a")]);
}
