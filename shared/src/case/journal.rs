//! Appending to a case's ledger, each entry holding the hash of the one before.

use serde::Serialize;

use super::store::CaseStore;
use super::{Actor, CaseId, Entry, EntryKind};
use crate::aws::{Fault, FaultClass};
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// The end of a case's chain.
#[derive(Debug, Clone)]
pub struct Journal {
    case: CaseId,
    /// Number and hash of the last entry.
    head: Option<(u32, String)>,
    /// The last entry.
    last: Option<Entry>,
    /// Every entry, where this delivery wrote them all: then the ledger is known without reading it.
    whole: Option<Vec<Entry>>,
}

/// How often an entry finds its place taken by a writer of another kind before that is left to a retry.
const MOST_TAKEN: u32 = 5;

impl Journal {
    /// The ledger of a case that does not exist yet.
    #[must_use]
    pub fn empty(case: CaseId) -> Self {
        Self { case, head: None, last: None, whole: Some(Vec::new()) }
    }

    /// The ledger of a case as it stands, with `memory` stored if a crash kept it from being so.
    ///
    /// # Errors
    /// When the ledger cannot be read, or its last entry is none.
    pub async fn read(store: &CaseStore, case: &CaseId, memory: Option<&Entry>) -> Result<Self, Fault> {
        let mut journal = Self::empty(case.clone());
        journal.find_end(store).await?;
        if let Some(memory) = memory.filter(|memory| journal.lacks(memory)) {
            store.append(memory).await?;
            journal.advance(memory);
        }
        Ok(journal)
    }

    async fn find_end(&mut self, store: &CaseStore) -> Result<(), Fault> {
        let Some(bytes) = store.last_entry(&self.case).await? else { return Ok(()) };
        let entry = serde_json::from_slice::<Entry>(&bytes).map_err(|error| Fault {
            code: "Unreadable".to_owned(),
            message: format!("the last entry of {}: {error}", self.case),
            class: FaultClass::Permanent,
        })?;
        self.head = Some((entry.number, sha256(&bytes)));
        self.last = Some(entry);
        self.whole = None;
        Ok(())
    }

    /// The next entry.
    #[must_use]
    pub fn next(&self, actor: &Actor, kind: EntryKind, what: &impl Serialize) -> Entry {
        Entry {
            case: self.case.clone(),
            number: self.head.as_ref().map_or(1, |(number, _)| number + 1),
            entry: kind,
            at: Timestamp::now(),
            actor: actor.clone(),
            previous: self.head.as_ref().map(|(_, digest)| digest.clone()),
            what: serde_json::to_value(what).unwrap_or_default(),
        }
    }

    /// Moves the end of the chain to `entry`, which is being stored.
    pub fn advance(&mut self, entry: &Entry) {
        self.head = Some((entry.number, entry.digest()));
        self.last = Some(entry.clone());
        if let Some(whole) = &mut self.whole {
            whole.push(entry.clone());
        }
    }

    /// Appends one record. Where a function of another name has written in the meantime, such as the one that seals
    /// snapshots, the record comes after its entry; another delivery of this function means that the case was taken
    /// over.
    ///
    /// # Errors
    /// When the write fails, or another delivery of the same function stands in its place.
    pub async fn append(
        &mut self,
        store: &CaseStore,
        actor: &Actor,
        kind: EntryKind,
        what: &impl Serialize,
    ) -> Result<(), Fault> {
        for _ in 0..MOST_TAKEN {
            let entry = self.next(actor, kind, what);
            match store.append(&entry).await {
                Ok(()) => {
                    self.advance(&entry);
                    return Ok(());
                }
                Err(fault) if fault.code == super::store::ENTRY_TAKEN => {
                    self.find_end(store).await?;
                    if self.last.as_ref().is_some_and(|last| last.actor.function == actor.function) {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault {
            code: super::store::ENTRY_TAKEN.to_owned(),
            message: format!("other functions kept writing to {}", self.case),
            class: FaultClass::Retryable,
        })
    }

    /// The whole ledger, read only where others have written to it.
    ///
    /// # Errors
    /// When it has to be read and cannot be.
    pub async fn entries(&self, store: &CaseStore) -> Result<Vec<Entry>, Fault> {
        match &self.whole {
            Some(whole) => Ok(whole.clone()),
            None => store.entries(&self.case).await,
        }
    }

    /// The number of the last entry; 0 where there is none.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.head.as_ref().map_or(0, |(number, _)| *number)
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.last.as_ref()
    }

    /// The kind of the last entry.
    #[must_use]
    pub fn last_kind(&self) -> Option<EntryKind> {
        self.last.as_ref().map(|entry| entry.entry)
    }

    /// Whether `entry` is the one this chain is waiting for.
    fn lacks(&self, entry: &Entry) -> bool {
        self.number() + 1 == entry.number
    }
}
