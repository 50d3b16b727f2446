//! Recomputing a case's hash chain.

use serde_json::Value;

use super::{CaseId, Entry};
use crate::text::sha256;

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
/// With the first link that does not hold: a missing, doubled, foreign or unreadable entry, one whose `previous` is
/// not the hash of the entry before, or evidence whose hash is not the one recorded.
pub fn verify_chain(case: &CaseId, objects: &[(String, Vec<u8>)]) -> Result<ChainReport, Broken> {
    let prefix = format!("cases/{case}/");
    let broken = |key: &str, reason: String| Broken { key: key.to_owned(), reason };
    let mut ledger: Vec<_> = objects.iter().filter(|(key, _)| entry_number(&prefix, key).is_some()).collect();
    ledger.sort_by_key(|(key, _)| entry_number(&prefix, key));
    let mut previous: Option<String> = None;
    let mut event_sha256 = None;
    for (index, (key, bytes)) in ledger.iter().enumerate() {
        let expected = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let number = entry_number(&prefix, key).unwrap_or_default();
        if number < expected {
            return Err(broken(key, format!("a second entry {number}")));
        }
        if number > expected {
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
        if index == 0 {
            event_sha256 = entry.what.get("event_sha256").and_then(Value::as_str).map(str::to_owned);
        }
        previous = Some(sha256(bytes));
    }
    let head = previous.ok_or_else(|| broken(&prefix, "no entries".to_owned()))?;
    let event_key = format!("{prefix}event.json");
    if let (Some((key, bytes)), Some(recorded)) = (objects.iter().find(|(key, _)| *key == event_key), event_sha256)
        && sha256(bytes) != recorded
    {
        return Err(broken(key, format!("it hashes to {}, the first entry recorded {recorded}", sha256(bytes))));
    }
    Ok(ChainReport { entries: ledger.len(), head })
}

/// The number in `<prefix>0002-acted.json`; nothing for evidence.
fn entry_number(prefix: &str, key: &str) -> Option<u32> {
    key.strip_prefix(prefix)?.split_once('-')?.0.parse().ok()
}
