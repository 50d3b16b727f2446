//! Which snapshot sets of an instance a person may delete: at most, never too many, and never the best evidence.
//!
//! Counting snapshots and deleting the oldest is what an attacker would ask for: seven findings, triggered on purpose,
//! push the first snapshot out, and the first is the one taken before he cleaned up (CONTAINMENT B19). So sets are
//! counted, only ours, and the earliest stays. Nothing here deletes anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{CaseId, SnapshotId};
use crate::timestamp::Timestamp;

/// How many sets of an instance stay without a question asked.
pub const KEPT_SETS: usize = 7;

/// The snapshots of an instance's volumes that were taken together. They stay or go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSet {
    /// The case they were taken for.
    pub case: CaseId,
    /// When.
    pub taken_at: Timestamp,
    /// The snapshots.
    pub snapshots: Vec<SetSnapshot>,
    /// Whether the case is the one the instance is held under now.
    pub case_open: bool,
    /// Whether the ledger of the case records every one of them: tags alone prove nothing.
    pub recorded: bool,
}

/// One snapshot of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetSnapshot {
    /// Its id.
    pub snapshot: SnapshotId,
    /// Whether it is locked.
    pub locked: bool,
}

/// Why a set stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// It is not recorded as ours: somebody else's, or tags that claim more than the ledger.
    NotOurs,
    /// Its case is open.
    CaseOpen,
    /// One of its snapshots is locked.
    Locked,
    /// It is the earliest of the instance.
    EarliestOfInstance,
    /// It is the earliest of its case, which has others: those are what more findings could have brought about.
    EarliestOfCase,
    /// There are not too many.
    Few,
    /// Enough are proposed for once.
    EnoughForOnce,
}

/// What becomes of the sets of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How many sets are ours.
    pub counted: usize,
    /// The sets a person may delete, oldest first.
    pub delete: Vec<SnapshotSet>,
    /// The sets that stay, oldest first, each with the first reason there is.
    pub keep: Vec<(SnapshotSet, Keep)>,
}

/// What a person may delete of the sets of one instance: those of ours beyond [`KEPT_SETS`], oldest first, `most` at a
/// time, and none that has a reason to stay.
#[must_use]
pub fn propose(sets: &[SnapshotSet], most: usize) -> Retention {
    let mut sets = sets.to_vec();
    sets.sort_by(|one, other| {
        let first = |set: &SnapshotSet| set.snapshots.iter().map(|snapshot| snapshot.snapshot.clone()).min();
        (one.taken_at, &one.case, first(one)).cmp(&(other.taken_at, &other.case, first(other)))
    });
    // A set that is not ours is never the earliest: it would leave the true one without that protection.
    let ours = || sets.iter().filter(|set| set.recorded);
    let counted = ours().count();
    let earliest = ours().map(|set| set.taken_at).min();
    let mut of_case: BTreeMap<CaseId, (Timestamp, usize)> = BTreeMap::new();
    for set in ours() {
        of_case.entry(set.case.clone()).or_insert((set.taken_at, 0)).1 += 1;
    }
    let mut too_many = counted.saturating_sub(KEPT_SETS);
    let (mut delete, mut keep) = (Vec::new(), Vec::new());
    for set in sets {
        let reason = if !set.recorded {
            Some(Keep::NotOurs)
        } else if set.case_open {
            Some(Keep::CaseOpen)
        } else if set.snapshots.iter().any(|snapshot| snapshot.locked) {
            Some(Keep::Locked)
        } else if earliest == Some(set.taken_at) {
            Some(Keep::EarliestOfInstance)
        } else if of_case.get(&set.case).is_some_and(|(first, sets)| *first == set.taken_at && *sets > 1) {
            Some(Keep::EarliestOfCase)
        } else if too_many == 0 {
            Some(Keep::Few)
        } else if delete.len() >= most {
            Some(Keep::EnoughForOnce)
        } else {
            None
        };
        if let Some(reason) = reason {
            keep.push((set, reason));
        } else {
            too_many -= 1;
            delete.push(set);
        }
    }
    Retention { counted, delete, keep }
}
