//! Recomputing a case's hash chain.

use serde::Deserialize as _;
use serde_json::Value;

use super::{CaseId, Entry, Object};
use crate::text::{printable, sha256};

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// How many entries it has.
    pub entries: usize,
    /// The SHA-256 of the last entry.
    pub head: String,
}

/// The first broken link of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("broken at {key}: {reason}")]
pub struct Broken {
    /// The object where the chain breaks.
    pub key: String,
    /// How.
    pub reason: String,
}

/// Recomputes the chain of `case` over its stored objects, given as key and bytes in any order.
///
/// # Errors
/// With the first link that does not hold: a missing, foreign or unreadable entry, one whose `previous` is not the hash
/// of the entry before, or an event or a piece of evidence that is missing or is not the one an entry recorded.
pub fn verify_chain(case: &CaseId, objects: &[(String, Vec<u8>)]) -> Result<ChainReport, Broken> {
    let prefix = format!("cases/{case}/");
    let broken = |key: &str, reason: String| Broken { key: key.to_owned(), reason };
    let mut ledger: Vec<_> = objects.iter().filter(|(key, _)| entry_number(&prefix, key).is_some()).collect();
    ledger.sort_by_key(|(key, _)| entry_number(&prefix, key));
    let mut previous: Option<String> = None;
    for (index, (key, bytes)) in ledger.iter().enumerate() {
        let expected = u32::try_from(index + 1).unwrap_or(u32::MAX);
        if entry_number(&prefix, key) != Some(expected) {
            return Err(broken(key, format!("entry {expected} is missing before it")));
        }
        let entry: Entry = serde_json::from_slice(bytes).map_err(|error| broken(key, format!("not an entry: {error}")))?;
        if entry.case != *case || entry.key() != *key {
            return Err(broken(key, format!("it says it is {}", entry.key())));
        }
        if entry.previous != previous {
            let told = entry.previous.as_deref().unwrap_or("none");
            let found = previous.as_deref().unwrap_or("none");
            return Err(broken(key, format!("`previous` is {told}, the entry before hashes to {found}")));
        }
        if let Some(recorded) = entry.what.get("event_sha256").and_then(Value::as_str) {
            stands(objects, &event_key(case, recorded), recorded, ("event", expected))?;
        }
        let recorded = entry.what.get("objects").map(Vec::<Object>::deserialize).transpose();
        for recorded in
            recorded.map_err(|error| broken(key, format!("not objects and their hashes: {error}")))?.unwrap_or_default()
        {
            if !recorded.key.starts_with(&prefix) {
                return Err(broken(
                    key,
                    format!("it records {}, which is no object of this case", printable(&recorded.key, 120)),
                ));
            }
            stands(objects, &recorded.key, &recorded.sha256, ("object", expected))?;
        }
        previous = Some(sha256(bytes));
    }
    let head = previous.ok_or_else(|| broken(&prefix, "no entries".to_owned()))?;
    Ok(ChainReport { entries: ledger.len(), head })
}

/// Whether the object under `key` is there and hashes to what entry `by` recorded.
fn stands(objects: &[(String, Vec<u8>)], key: &str, recorded: &str, (what, by): (&str, u32)) -> Result<(), Broken> {
    let broken = |reason| Err(Broken { key: key.to_owned(), reason });
    match objects.iter().find(|(stored, _)| stored == key) {
        None => broken(format!("entry {by} records this {what}, and it is not there")),
        Some((_, bytes)) if sha256(bytes) != recorded => {
            broken(format!("it hashes to {}, entry {by} recorded {}", sha256(bytes), printable(recorded, 80)))
        }
        Some(_) => Ok(()),
    }
}

/// Where an event is stored as delivered: every entry that records one names it by its hash.
#[must_use]
pub fn event_key(case: &CaseId, sha256: &str) -> String {
    format!("cases/{case}/event-{}.json", sha256.get(..16).unwrap_or(sha256))
}

/// The number in `<prefix>0002.json`; nothing for evidence.
pub(super) fn entry_number(prefix: &str, key: &str) -> Option<u32> {
    let digits = key.strip_prefix(prefix)?.strip_suffix(".json")?;
    if digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}
