//! A case as this function reads it, and the facts it adds.

use std::collections::BTreeMap;

use super::Delivery;
use crate::aws::{Fault, FaultClass};
use crate::case::belongs::Claim;
use crate::case::sealed::{CopyRecord, Failed, FailedStep, Role, SealRecord, Sealed};
use crate::case::store::{CaseStore, ENTRY_TAKEN};
use crate::case::{CaseId, Entry, EntryKind, Journal, OpenCase};
use crate::error::Retry;
use crate::id::SnapshotId;
use crate::timestamp::Timestamp;

/// A case, as far as the ledger was read or written by this delivery.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) id: CaseId,
    pub(super) open: OpenCase,
    pub(super) entries: Vec<Entry>,
    /// How many facts this delivery added.
    pub(super) written: u32,
    journal: Journal,
}

/// Whether a fact was added, or was known by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    Now,
    Before,
}

/// How often a fact finds that another delivery has just written to the ledger.
const MOST_RACES: u32 = 5;

/// The code of a fact that other deliveries kept from being written.
const CONTENDED: &str = "Contended";

impl Case {
    /// The case a snapshot claims to belong to, or why it cannot.
    pub(super) async fn read(store: &CaseStore, claim: &Claim) -> Result<Result<Self, String>, Fault> {
        let Some((open, _)) = store.open_case(&claim.target()).await? else {
            return Ok(Err(format!("there is no case of {}", claim.instance)));
        };
        if open.case != claim.case {
            return Ok(Err(format!("the case of {} is {}, not {}", claim.instance, open.case, claim.case)));
        }
        let journal = Journal::read(store, &claim.case, Some(&open.memory)).await?;
        let entries = store.entries(&claim.case).await?;
        Ok(Ok(Self { id: claim.case.clone(), open, entries, written: 0, journal }))
    }

    fn records(&self) -> impl Iterator<Item = (&Entry, SealRecord)> {
        self.entries.iter().filter_map(|entry| Some((entry, SealRecord::of(entry)?)))
    }

    /// What was sealed of this snapshot.
    pub(super) fn sealed(&self, snapshot: &SnapshotId) -> Option<Sealed> {
        self.records().find_map(|(_, record)| match record {
            SealRecord::Sealed(sealed) if sealed.snapshot == *snapshot => Some(*sealed),
            _ => None,
        })
    }

    /// The last failure of this snapshot that was not made good since.
    pub(super) fn failure(&self, snapshot: &SnapshotId) -> Option<Failed> {
        let is_mended = |step: FailedStep| match step {
            FailedStep::Hash => self.sealed(snapshot).is_some(),
            FailedStep::Share => self
                .records()
                .any(|(_, record)| matches!(record, SealRecord::Shared { snapshot: shared, .. } if shared == *snapshot)),
            FailedStep::Copy => {
                self.records().any(|(_, record)| matches!(record, SealRecord::Copied(copy) if copy.from == *snapshot))
            }
            FailedStep::Create | FailedStep::Compare => false,
        };
        let failures = self.records().filter_map(|(_, record)| match record {
            SealRecord::Failed(failed) if failed.snapshot == *snapshot && !is_mended(failed.step) => Some(failed),
            _ => None,
        });
        failures.last()
    }

    /// Whether `step` failed of this snapshot, so that this delivery need not try it: ever, where nothing mends it, and
    /// else in an earlier try of the same event. A person who has enabled a key delivers the event again.
    pub(super) fn has_failed(&self, snapshot: &SnapshotId, step: FailedStep, request_id: &str) -> bool {
        let is_final = matches!(step, FailedStep::Create | FailedStep::Compare);
        self.records().any(|(entry, record)| {
            matches!(record, SealRecord::Failed(failed) if failed.snapshot == *snapshot && failed.step == step)
                && (is_final || entry.actor.request_id == request_id)
        })
    }

    /// The copies of a source that were begun, the last one last.
    fn copies(&self, of: &SnapshotId, role: Role) -> impl Iterator<Item = CopyRecord> {
        self.records().filter_map(move |(_, record)| match record {
            SealRecord::Copied(copy) if copy.of == *of && copy.role == role => Some(copy),
            _ => None,
        })
    }

    /// The copy of a source that was begun last, unless it came to nothing.
    pub(super) fn copied(&self, of: &SnapshotId, role: Role) -> Option<CopyRecord> {
        self.copies(of, role).last().filter(|copy| !self.came_to_nothing(copy))
    }

    /// The copy of a source that was begun last and came to nothing.
    pub(super) fn lost_copy(&self, of: &SnapshotId, role: Role) -> Option<SnapshotId> {
        self.copies(of, role).last().filter(|copy| self.came_to_nothing(copy)).and_then(|copy| copy.snapshot)
    }

    fn came_to_nothing(&self, copy: &CopyRecord) -> bool {
        self.records().any(|(_, record)| {
            matches!(record, SealRecord::Failed(failed) if failed.step == FailedStep::Create && Some(&failed.snapshot) == copy.snapshot.as_ref())
        })
    }

    /// The entry that says that this copy of a source was to be made, and whether the delivery that wrote it has given up.
    pub(super) fn intent(&self, wanted: &CopyRecord) -> Option<(&Entry, bool)> {
        let wanted = SealRecord::Copying(wanted.clone());
        let (intent, copy) = self.records().find_map(|(entry, record)| match record {
            SealRecord::Copying(ref copy) if record.is_same_fact(&wanted) => Some((entry, copy.clone())),
            _ => None,
        })?;
        let given_up = self.records().any(|(entry, record)| {
            entry.actor.request_id == intent.actor.request_id
                && matches!(record, SealRecord::Failed(failed) if failed.snapshot == copy.from && failed.step == FailedStep::Copy)
        });
        Some((intent, given_up))
    }

    /// What lies of this case in a bucket of the forensics account, each key with its hash.
    pub(super) fn kept_in(&self, bucket: &str) -> BTreeMap<String, String> {
        let kept = self.records().filter_map(|(_, record)| match record {
            SealRecord::Kept { bucket: other, objects, .. } if other == bucket => Some(objects),
            _ => None,
        });
        kept.flatten().map(|object| (object.key, object.sha256)).collect()
    }

    /// Why the case could not be put into that bucket, in an earlier try of the same event.
    pub(super) fn not_kept(&self, bucket: &str, after: &SnapshotId, request_id: &str) -> Option<String> {
        self.records().find_map(|(entry, record)| match record {
            SealRecord::NotKept { bucket: other, after: copy, reason }
                if other == bucket && copy == *after && entry.actor.request_id == request_id =>
            {
                Some(reason)
            }
            _ => None,
        })
    }

    /// Whether this is in the ledger.
    pub(super) fn knows(&self, fact: &SealRecord) -> bool {
        self.records().any(|(_, record)| record.is_same_fact(fact))
    }

    /// Whether this was in the ledger before entry `number`.
    fn knew(&self, fact: &SealRecord, number: u32) -> bool {
        self.records().any(|(entry, record)| entry.number < number && record.is_same_fact(fact))
    }

    /// Whether the ledger holds something of a snapshot that people were not told.
    pub(super) fn is_news(&self, snapshot: &SnapshotId) -> bool {
        let last = |is_wanted: &dyn Fn(&SealRecord) -> bool| {
            self.records().filter(|(_, record)| is_wanted(record)).map(|(entry, _)| entry.number).max()
        };
        let told = last(&|record| matches!(record, SealRecord::Told { about, .. } if about.contains(snapshot)));
        let news = last(&|record| match record {
            SealRecord::Sealed(sealed) => sealed.snapshot == *snapshot,
            SealRecord::Failed(failed) => failed.snapshot == *snapshot,
            SealRecord::Retention { after, .. } | SealRecord::Kept { after, .. } | SealRecord::NotKept { after, .. } => {
                after == snapshot
            }
            _ => false,
        });
        news > told
    }

    pub(super) fn failed(&self, what: &'static str, fault: &Fault) -> Retry {
        Retry {
            what,
            resource: self.id.to_string(),
            cause: fault.to_string(),
            done: if self.written == 0 { "nothing".to_owned() } else { format!("{} facts are in the ledger", self.written) },
            not_done: "the rest".to_owned(),
        }
    }
}

impl Delivery<'_> {
    /// Adds a fact to the ledger, unless it is there. Deliveries of other snapshots write to the same ledger: after each of
    /// theirs it is read again.
    pub(super) async fn record(&self, case: &mut Case, fact: SealRecord) -> Result<Recorded, Retry> {
        let store = &self.function.store;
        for _ in 0..MOST_RACES {
            // Telling is no fact about the evidence: it may have to be done again.
            if !matches!(fact, SealRecord::Told { .. }) && case.knows(&fact) {
                return Ok(Recorded::Before);
            }
            let known = case.entries.last().map_or(0, |entry| entry.number);
            match case.journal.append(store, &self.actor, EntryKind::Sealed, &fact).await {
                Ok(()) => {
                    case.written += 1;
                    let number = case.journal.number();
                    if number == known + 1 {
                        case.entries.extend(case.journal.last().cloned());
                    } else {
                        // Others wrote in between, this function perhaps among them.
                        self.read_again(case).await?;
                    }
                    return Ok(if case.knew(&fact, number) { Recorded::Before } else { Recorded::Now });
                }
                Err(fault) if fault.code == ENTRY_TAKEN => self.read_again(case).await?,
                Err(fault) => return Err(case.failed("writing the ledger", &fault)),
            }
        }
        let message = "other deliveries kept writing to the ledger".to_owned();
        Err(case.failed("writing the ledger", &Fault { code: CONTENDED.to_owned(), message, class: FaultClass::Retryable }))
    }

    /// The end of the chain before the entries: what is written in between is seen, and not written after.
    async fn read_again(&self, case: &mut Case) -> Result<(), Retry> {
        let store = &self.function.store;
        let journal = Journal::read(store, &case.id, None).await.map_err(|fault| case.failed("reading the ledger", &fault))?;
        case.entries = store.entries(&case.id).await.map_err(|fault| case.failed("reading the ledger", &fault))?;
        case.journal = journal;
        Ok(())
    }
}

/// Whether an entry was written by another delivery so lately that it may still be at work.
pub(super) fn is_at_work(entry: &Entry, request_id: &str, now: Timestamp) -> bool {
    const LONGEST: std::time::Duration = std::time::Duration::from_mins(2);
    entry.actor.request_id != request_id && entry.at.plus(LONGEST) > now
}
