//! Ledgers: a chain holds or names its first broken link, and one that holds does not survive a changed byte.

use serde_json::json;
use tourniquet::case::{Broken, CaseId, ChainReport, Entry, event_key, verify_chain};
use tourniquet::text::sha256;

/// A case's stored objects.
pub type Objects = Vec<(String, Vec<u8>)>;

/// The case every ledger here belongs to.
pub fn case_id() -> CaseId {
    CaseId::parse("IR-20261121-3f9a1c2e").expect("a case id")
}

/// A ledger written as text: four bytes that say what to do with it, then one object a line. A line that begins with
/// `@` is an event as delivered, every other one an entry.
///
/// Where the first byte is even, lines that are entries are linked into one chain first: no fuzzer finds a SHA-256 by
/// itself, and it is the chains that hold whose changes must be seen.
pub fn check_text(bytes: &[u8]) {
    let Some((&[first, choice @ ..], rest)) = bytes.split_first_chunk::<4>() else { return };
    let (events, entries): (Vec<_>, Vec<_>) = rest.split(|byte| *byte == b'\n').partition(|line| line.starts_with(b"@"));
    let mut objects: Objects =
        events.iter().map(|line| (event_key(&case_id(), &sha256(&line[1..])), line[1..].to_vec())).collect();
    objects.sort();
    objects.dedup();
    let events: Vec<String> = objects.iter().map(|(_, event)| sha256(event)).collect();
    let mut previous: Option<String> = None;
    for (at, line) in entries.iter().enumerate() {
        let key = format!("cases/{}/{:04}.json", case_id(), at + 1);
        let linked = || linked(line, at, previous.clone(), &events);
        let stored = if first % 2 == 0 { linked().unwrap_or_else(|| line.to_vec()) } else { line.to_vec() };
        previous = Some(sha256(&stored));
        objects.push((key, stored));
    }
    // What the verdict is does not matter here; what must hold of it is checked on the way.
    drop(check(&objects, choice.iter().fold(0, |choice, byte| choice << 8 | usize::from(*byte))));
}

/// `line` as entry number `at + 1` of the case; one that records an event records one that is there.
fn linked(line: &[u8], at: usize, previous: Option<String>, events: &[String]) -> Option<Vec<u8>> {
    let mut entry: Entry = serde_json::from_slice(line).ok()?;
    entry.case = case_id();
    entry.number = u32::try_from(at + 1).ok()?;
    entry.previous = previous;
    if entry.what.get("event_sha256").is_some() {
        entry.what["event_sha256"] = events.get(at % events.len().max(1)).map_or(json!(null), |hash| json!(hash));
    }
    Some(entry.bytes())
}

/// Checks a ledger and, where it holds, that it would not hold with the byte changed that `choice` falls on.
pub fn check(objects: &Objects, choice: usize) -> Result<ChainReport, Broken> {
    let verdict = verify(objects);
    let mut other_way_round = objects.clone();
    other_way_round.reverse();
    assert_eq!(verify(&other_way_round), verdict, "the order of the listing changed the verdict");
    if let Ok(report) = &verdict {
        let entries: Vec<usize> = (0..objects.len()).filter(|at| is_entry(&objects[*at].0)).collect();
        assert_eq!(report.entries, entries.len());
        for at in &entries {
            check_tampered(objects, *at, choice, report);
        }
        for at in (0..objects.len()).filter(|at| !entries.contains(at) && is_recorded(objects, &objects[*at].0)) {
            let Some(changed) = with_byte_changed(objects, at, choice) else { continue };
            assert_eq!(verify(&changed).map_err(|broken| broken.key), Err(objects[at].0.clone()), "another event, unnoticed");
        }
    }
    verdict
}

fn verify(objects: &Objects) -> Result<ChainReport, Broken> {
    let verdict = verify_chain(&case_id(), objects);
    assert_eq!(verify_chain(&case_id(), objects), verdict, "verified twice, it says two things");
    if let Err(broken) = &verdict {
        assert!(!broken.reason.is_empty() && broken.key.starts_with("cases/IR-20261121-3f9a1c2e/"), "{broken}");
    }
    verdict
}

fn check_tampered(objects: &Objects, at: usize, choice: usize, whole: &ChainReport) {
    let is_last = sha256(&objects[at].1) == whole.head;
    if let Some(changed) = with_byte_changed(objects, at, choice) {
        match verify(&changed) {
            // Nothing follows the last entry: its change is seen by whoever kept the head.
            Ok(report) => assert!(is_last && report.head != whole.head, "a changed byte of {} went unnoticed", objects[at].0),
            Err(broken) => assert!(is_last || !broken.key.is_empty()),
        }
    }
    let mut shorter = objects.clone();
    shorter.remove(at);
    match verify(&shorter) {
        Ok(report) => assert!(is_last && report.entries + 1 == whole.entries, "a removed {} went unnoticed", objects[at].0),
        Err(_) => assert!(!is_last || whole.entries == 1, "a chain may be cut at its end"),
    }
}

fn with_byte_changed(objects: &Objects, at: usize, choice: usize) -> Option<Objects> {
    let mut changed = objects.clone();
    let length = changed[at].1.len();
    // The low bit keeps digits digits and letters letters: the change that a parser notices least.
    *changed[at].1.get_mut(choice % length.max(1))? ^= 1;
    Some(changed)
}

fn is_entry(key: &str) -> bool {
    !key.contains("/event-")
}

/// Whether some entry records the event stored under `key`.
fn is_recorded(objects: &Objects, key: &str) -> bool {
    objects.iter().filter(|(key, _)| is_entry(key)).filter_map(|(_, bytes)| serde_json::from_slice::<Entry>(bytes).ok()).any(
        |entry| {
            let recorded = entry.what.get("event_sha256").and_then(|hash| hash.as_str());
            recorded.is_some_and(|hash| event_key(&case_id(), hash) == key)
        },
    )
}
