//! The open case of a target: idempotency key, lease and memory in one object.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entry;
use crate::containment::Decision;
use crate::finding::Finding;
use crate::id::FindingId;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::step::Step;
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// A case id: `IR-<UTC date of the first sighting>-<8 hex of SHA-256(target key ‖ finding id)>`. Deterministic, so a
/// retry computes the same one (DESIGN §5.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId(String);

impl CaseId {
    /// The id of the case that `finding` opens for the target filed under `target_key`.
    #[must_use]
    pub fn of(finding: &Finding, target_key: &str) -> Self {
        let digest = sha256(format!("{target_key}{}", finding.id).as_bytes());
        Self(format!("IR-{}-{}", finding.first_seen.to_day(), &digest[..8]))
    }

    /// Checks text given by a person.
    ///
    /// # Errors
    /// When it has not the form of a case id.
    pub fn parse(text: &str) -> Result<Self, crate::id::InvalidId> {
        let mut parts = text.split('-');
        let parsed = (parts.next(), parts.next(), parts.next(), parts.next());
        let all = |part: &str, length: usize, fits: fn(u8) -> bool| part.len() == length && part.bytes().all(fits);
        match parsed {
            (Some("IR"), Some(day), Some(hash), None)
                if all(day, 8, |byte| byte.is_ascii_digit())
                    && all(hash, 8, |byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(crate::id::InvalidId { expected: "a case id (IR-20261121-3f9a1c2e)", value: text.to_owned() }),
        }
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for CaseId {
    type Error = crate::id::InvalidId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<CaseId> for String {
    fn from(case: CaseId) -> Self {
        case.0
    }
}

/// The object under `targets/<account>/<kind>/<id>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenCase {
    /// The case.
    pub case: CaseId,
    /// The target's key.
    pub target: String,
    /// Whether somebody is at work on it.
    pub state: State,
    /// Who is, and until when nobody else may be.
    pub lease: Lease,
    /// How often the event at work has been delivered: Lambda tries three times.
    pub attempts: u32,
    /// How often the containment was found undone and asserted again.
    pub reasserted: u32,
    /// The findings that accuse the target.
    pub findings: Vec<FindingId>,
    /// The steps that failed when they were last tried: that they do not hold is nobody's tampering.
    #[serde(default)]
    pub failed: Vec<Step>,
    /// Everything planned so far: the remembered plan, and what later deliveries found had to be added.
    pub plan: Plan,
    /// The number of the ledger entry it was last settled with: a report that comes after it was made by a delivery
    /// that crashed before it could settle the case.
    #[serde(default)]
    pub settled_at: u32,
    /// The last outcome people were told.
    pub outcome: Option<Outcome>,
    /// The ledger entry holding finding, decision, plan and original state: written here first, in the one conditional
    /// write that also claims the target, then into the ledger with the same bytes.
    pub memory: Entry,
}

/// Whether somebody is at work on a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A delivery is at work, or was when it crashed.
    Working,
    /// The outcome stands.
    Settled,
}

/// Who is at work on a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The request id of the delivery. Lambda retries an event under the same id, so a retry takes its own work up
    /// again at once.
    pub holder: String,
    /// When the delivery is certainly over: its deadline.
    pub until: Timestamp,
}

impl Lease {
    /// Whether `request_id` may work on the case at `now`.
    #[must_use]
    pub fn admits(&self, request_id: &str, now: Timestamp) -> bool {
        self.holder == request_id || self.until <= now
    }
}

/// What the memory entry holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The finding acted on.
    pub finding: Finding,
    /// The SHA-256 of the event as delivered, stored beside the ledger as `event-<its first 16 digits>.json`.
    pub event_sha256: String,
    /// What was decided.
    pub decision: Decision,
    /// The plan as lines to type, whole: messages carry them with their keys redacted.
    pub commands: Vec<String>,
    /// The target as it was before the first change: what release restores.
    pub original: Value,
}

impl OpenCase {
    /// The memory.
    ///
    /// # Errors
    /// When the entry holds something else: a case of another version, or tampering.
    pub fn remembered(&self) -> Result<Memory, serde_json::Error> {
        Memory::deserialize(&self.memory.what)
    }

    /// Where a target's open case is stored.
    #[must_use]
    pub fn key(target: &str) -> String {
        format!("targets/{target}.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_case_id_is_one() {
        assert!(CaseId::parse("IR-20261121-3f9a1c2e").is_ok());
        for text in ["IR-20261121-3F9A1C2E", "IR-2026112-3f9a1c2e", "IR-20261121-3f9a1c2e-", "IR-20261121", "../../x", ""] {
            assert!(CaseId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lease_admits_its_holder_and_after_its_end_anyone() {
        let at = |text: &str| Timestamp::parse(text).expect("a timestamp");
        let lease = Lease { holder: "a".to_owned(), until: at("2026-11-21T20:01:00Z") };
        assert!(lease.admits("a", at("2026-11-21T20:00:00Z")));
        assert!(!lease.admits("b", at("2026-11-21T20:00:59Z")));
        assert!(lease.admits("b", at("2026-11-21T20:01:00Z")));
    }
}
