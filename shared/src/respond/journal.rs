//! Appending to a case's ledger, each entry holding the hash of the one before.

use serde::Serialize;

use super::Delivery;
use crate::aws::{Fault, FaultClass};
use crate::case::{CaseId, Entry, EntryKind};
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// The end of a case's chain.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    case: CaseId,
    /// Number and hash of the last entry.
    head: Option<(u32, String)>,
    /// The last entry.
    pub(super) last: Option<Entry>,
}

impl Journal {
    /// The ledger of a case that does not exist yet.
    pub(super) fn empty(case: CaseId) -> Self {
        Self { case, head: None, last: None }
    }

    /// The next entry.
    pub(super) fn next(&self, delivery: &Delivery<'_>, kind: EntryKind, what: &impl Serialize) -> Entry {
        Entry {
            case: self.case.clone(),
            number: self.head.as_ref().map_or(1, |(number, _)| number + 1),
            entry: kind,
            at: Timestamp::now(),
            actor: delivery.actor.clone(),
            previous: self.head.as_ref().map(|(_, digest)| digest.clone()),
            what: serde_json::to_value(what).unwrap_or_default(),
        }
    }

    /// Moves the end of the chain to `entry`, which is being stored.
    pub(super) fn advance(&mut self, entry: &Entry) {
        self.head = Some((entry.number, entry.digest()));
        self.last = Some(entry.clone());
    }

    /// The number of the last entry; 0 where there is none.
    pub(super) fn number(&self) -> u32 {
        self.head.as_ref().map_or(0, |(number, _)| *number)
    }

    /// The kind of the last entry.
    pub(super) fn last_kind(&self) -> Option<EntryKind> {
        self.last.as_ref().map(|entry| entry.entry)
    }

    /// Whether `entry` is the one this chain is waiting for.
    fn lacks(&self, entry: &Entry) -> bool {
        self.head.as_ref().map_or(1, |(number, _)| number + 1) == entry.number
    }
}

impl Delivery<'_> {
    /// The ledger of an open case as it stands, with the memory entry stored if a crash kept it from being so.
    pub(super) async fn journal(&self, case: &CaseId, memory: &Entry) -> Result<Journal, Fault> {
        let mut journal = Journal::empty(case.clone());
        if let Some(bytes) = self.function.store.last_entry(case).await? {
            let entry = serde_json::from_slice::<Entry>(&bytes).map_err(|error| Fault {
                code: "Unreadable".to_owned(),
                message: format!("the last entry of {case}: {error}"),
                class: FaultClass::Permanent,
            })?;
            journal.head = Some((entry.number, sha256(&bytes)));
            journal.last = Some(entry);
        }
        if journal.lacks(memory) {
            self.function.store.append(memory).await?;
            journal.advance(memory);
        }
        Ok(journal)
    }

    /// Appends one record.
    pub(super) async fn append(&self, journal: &mut Journal, kind: EntryKind, what: &impl Serialize) -> Result<(), Fault> {
        let entry = journal.next(self, kind, what);
        self.function.store.append(&entry).await?;
        journal.advance(&entry);
        Ok(())
    }
}
