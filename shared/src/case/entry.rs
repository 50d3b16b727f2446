//! Ledger entries.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CaseId;
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// One entry of a case's ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The case it belongs to.
    pub case: CaseId,
    /// Its place in the chain, from 1.
    pub number: u32,
    /// What it records.
    pub entry: EntryKind,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub actor: Actor,
    /// The SHA-256 of the entry before, as stored; none for the first.
    pub previous: Option<String>,
    /// The record itself.
    pub what: Value,
}

/// What an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The case was opened: finding, decision, plan and original state.
    Opened,
    /// A new decision on an open case: finding, decision, plan and original state.
    Decided,
    /// A delivery took the case up again, after a crash or because the containment did not hold.
    Resumed,
    /// Steps were carried out; what became of each.
    Acted,
    /// Evidence was collected; each piece with its hash.
    Collected,
    /// A snapshot was sealed: hashed, locked, copied, or found to have failed.
    Sealed,
    /// The containment was read back.
    Verified,
    /// The people were told.
    Reported,
    /// Another finding accused the same target.
    Joined,
    /// What a release would do was shown.
    Shown,
    /// The case was released, or part of it; what became of each step.
    Released,
    /// What kept the older sessions out after a release was taken away, its time being over.
    Lifted,
    /// It was looked at again, later, whether the containment holds.
    Rechecked,
    /// People were told what a look found: `look` is the number of its entry.
    Told,
}

/// Who wrote an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The function's ARN.
    pub function: String,
    /// Its version.
    pub version: String,
    /// The invocation's request id.
    pub request_id: String,
}

/// One object of the case that an entry stands for: the entries of collected and of sealed evidence hold a list of them
/// under `objects`, and `verify_chain` checks each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its key in the case bucket, under `cases/<case>/`.
    pub key: String,
    /// The SHA-256 of its bytes.
    pub sha256: String,
}

impl Entry {
    /// Where the entry is stored: by its number alone, so that of two writers of one number only one succeeds and the
    /// chain cannot fork.
    #[must_use]
    pub fn key(&self) -> String {
        format!("cases/{}/{:04}.json", self.case, self.number)
    }

    /// The bytes stored, and hashed. Field order is fixed by the types, so the same entry always gives the same bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // A struct of strings, numbers and JSON values: there is nothing in it that serde_json refuses.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The SHA-256 of the entry as stored: the `previous` of the next.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.bytes())
    }
}
