//! Which snapshot sets of the instance a person may delete. Looked for after a set was sealed, told, and left at that.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Case;
use super::{Delivery, Work};
use crate::aws::{Fault, Snapshot};
use crate::case::CaseId;
use crate::case::belongs::{STAGE_TAG, recorded_sets};
use crate::case::sealed::SealRecord;
use crate::error::Retry;
use crate::evidence::{KEPT_SETS, SetSnapshot, SnapshotSet, propose};
use crate::id::SnapshotId;
use crate::step::{INCIDENT_TAG, INSTANCE_TAG};

/// How many sets are proposed at once.
const MOST_AT_ONCE: usize = 3;

impl Delivery<'_> {
    /// The sets that a person may delete, recorded.
    pub(super) async fn retain(&self, work: &Work<'_>, case: &mut Case) -> Result<Vec<Vec<SnapshotId>>, Retry> {
        let fact = |counted, delete| SealRecord::Retention {
            instance: work.claim.instance.clone(),
            after: work.snapshot.id.clone(),
            counted,
            delete,
        };
        if case.knows(&fact(0, Vec::new())) {
            return Ok(Vec::new());
        }
        let sets =
            self.sets(work, case).await.map_err(|fault| case.failed("looking at the snapshots of the instance", &fault))?;
        let retention = propose(&sets, MOST_AT_ONCE);
        let ids = |set: SnapshotSet| set.snapshots.into_iter().map(|snapshot| snapshot.snapshot).collect();
        let delete: Vec<Vec<SnapshotId>> = retention.delete.into_iter().map(ids).collect();
        if !delete.is_empty() {
            self.record(case, fact(retention.counted, delete.clone())).await?;
        }
        Ok(delete)
    }

    /// The snapshot sets of the instance. What cannot be too many is not looked at closely.
    async fn sets(&self, work: &Work<'_>, case: &Case) -> Result<Vec<SnapshotSet>, Fault> {
        let tagged = work.place.tagged((INSTANCE_TAG, work.claim.instance.as_str()), None).await?;
        let tagged: Vec<Snapshot> = tagged.into_iter().filter(|snapshot| !snapshot.tags.contains_key(STAGE_TAG)).collect();
        if tagged.len() <= KEPT_SETS {
            return Ok(Vec::new());
        }
        let ids: Vec<SnapshotId> = tagged.iter().map(|snapshot| snapshot.id.clone()).collect();
        let locked = work.place.locked(&ids).await?;
        let mut of_case: BTreeMap<CaseId, BTreeMap<SnapshotId, &Snapshot>> = BTreeMap::new();
        for snapshot in &tagged {
            let named = snapshot.tags.get(INCIDENT_TAG).and_then(|case| CaseId::parse(case).ok());
            if let Some(named) = named {
                of_case.entry(named).or_default().insert(snapshot.id.clone(), snapshot);
            }
        }
        let mut sets = Vec::new();
        for (id, mut snapshots) in of_case {
            let is_open = id == case.id;
            let recorded = if is_open {
                recorded_sets(Some(&case.open), &case.entries)
            } else {
                recorded_sets(None, &self.function.store.entries(&id).await?)
            };
            let mut take = |ids: &BTreeSet<SnapshotId>, recorded: bool| {
                let taken: Vec<&Snapshot> = ids.iter().filter_map(|id| snapshots.remove(id)).collect();
                // One without a beginning is none that could be old.
                let taken_at = taken.iter().filter_map(|snapshot| snapshot.started).min()?;
                let snapshots = taken
                    .iter()
                    .map(|snapshot| SetSnapshot { locked: locked.contains(&snapshot.id), snapshot: snapshot.id.clone() });
                Some(SnapshotSet { case: id.clone(), taken_at, snapshots: snapshots.collect(), case_open: is_open, recorded })
            };
            sets.extend(recorded.iter().filter_map(|set| take(set, true)));
            let others: Vec<BTreeSet<SnapshotId>> = ids.iter().map(|id| BTreeSet::from([id.clone()])).collect();
            sets.extend(others.iter().filter_map(|set| take(set, false)));
        }
        Ok(sets)
    }
}
