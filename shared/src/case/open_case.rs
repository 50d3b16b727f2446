//! The open case of a target: idempotency key, lease and memory in one object.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entry;
use crate::containment::Decision;
use crate::finding::Finding;
use crate::id::{CaseId, FindingId};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::step::Step;
use crate::timestamp::Timestamp;

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
    fn a_lease_admits_its_holder_and_after_its_end_anyone() {
        let at = |text: &str| Timestamp::parse(text).expect("a timestamp");
        let lease = Lease { holder: "a".to_owned(), until: at("2026-11-21T20:01:00Z") };
        assert!(lease.admits("a", at("2026-11-21T20:00:00Z")));
        assert!(!lease.admits("b", at("2026-11-21T20:00:59Z")));
        assert!(lease.admits("b", at("2026-11-21T20:01:00Z")));
    }
}
