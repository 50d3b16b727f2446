//! The open case of a target: idempotency key, lease and memory in one object.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entry;
use crate::containment::Decision;
use crate::containment::proposal::{Approval, Proposal};
use crate::containment::release::{Asked, Shown};
use crate::finding::Finding;
use crate::id::{AccountId, CaseId, FindingId};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::step::{Hold, Step};
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
    /// What persons did that was answered by asking again: delivered once more, it approves nothing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub spent: Vec<String>,
    /// The steps that failed when they were last tried: that they do not hold is nobody's tampering.
    #[serde(default)]
    pub failed: Vec<Step>,
    /// Everything planned so far: the remembered plan, and what later deliveries found had to be added.
    pub plan: Plan,
    /// The number of the ledger entry it was last settled with: a report that comes after it was made by a delivery
    /// that crashed before it could settle the case.
    #[serde(default)]
    pub settled_at: u32,
    /// When it was last contained, where that was after the memory was written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contained_at: Option<Timestamp>,
    /// The last activity after the cut that people were told of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub active_at: Option<Timestamp>,
    /// The last outcome people were told.
    pub outcome: Option<Outcome>,
    /// What became of releasing it, since somebody asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release: Option<Releasing>,
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
    /// A release is at work, was when it crashed, or has left something undone.
    Releasing,
    /// Undone: the target is nobody's case any more. The next one is another case.
    Released,
}

/// A release, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releasing {
    /// What was shown last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown: Option<Shown>,
    /// The request that carries it out: the same one again goes on where it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<String>,
    /// What that request asked for.
    #[serde(default)]
    pub asked: Asked,
    /// What keeps the older sessions out once the denies are gone: remembered before any of them goes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub holds: Vec<Hold>,
    /// When everything was undone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub released_at: Option<Timestamp>,
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
    /// What a person is asked to approve, where the decision is to ask.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proposal: Option<Proposal>,
    /// Who asked for what is done, where a person did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub approval: Option<Approval>,
}

impl OpenCase {
    /// The memory.
    ///
    /// # Errors
    /// When the entry holds something else: a case of another version, or tampering.
    pub fn remembered(&self) -> Result<Memory, serde_json::Error> {
        Memory::deserialize(&self.memory.what)
    }

    /// When the attacker was last cut off, as far as the case knows.
    #[must_use]
    pub fn cut_at(&self) -> Timestamp {
        self.contained_at.unwrap_or(self.memory.at)
    }

    /// Where a target's open case is stored.
    #[must_use]
    pub fn key(target: &str) -> String {
        format!("targets/{target}.json")
    }

    /// Where the open cases of an account are stored.
    #[must_use]
    pub fn key_prefix(account: &AccountId) -> String {
        format!("targets/{account}/")
    }

    /// The target that is stored under `key`.
    #[must_use]
    pub fn target_of(key: &str) -> Option<&str> {
        key.strip_prefix("targets/")?.strip_suffix(".json")
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
