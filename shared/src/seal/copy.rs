//! Copies, each made once. `CopySnapshot` has no client token: the intent is recorded first, and whoever finds one looks
//! for the copy by its tags before making another.

use super::case::{Case, Recorded, is_at_work};
use super::{Delivery, Work};
use crate::aws::{Copying, Fault, FaultClass, Snapshots, State};
use crate::case::belongs::{ACCOUNT_TAG, COPY_OF_TAG, STAGE_TAG};
use crate::case::sealed::{CopyRecord, Failed, FailedStep, Role, SealRecord};
use crate::config::Forensics;
use crate::error::Retry;
use crate::id::{AccountId, SnapshotId};
use crate::report::sealed::CopyBegun;
use crate::step::{INCIDENT_TAG, INSTANCE_TAG, Lock, LockSnapshot, Origin};
use crate::timestamp::Timestamp;

/// What EC2 says where 20 copies are on their way to one Region: an hour later there is room (CONTAINMENT B17).
const TOO_MANY_COPIES: &str = "ResourceLimitExceeded";

/// How long a transit copy is locked: it is handed over within hours, and in the way of nobody a week later.
const DAYS_ON_ITS_WAY: u16 = 7;

impl Delivery<'_> {
    /// The copy of a snapshot into `account`, begun now or before; nothing where that failed for good.
    pub(super) async fn copy(
        &self,
        work: &Work<'_>,
        case: &mut Case,
        (place, account, role): (&Snapshots, &AccountId, Role),
        (forensics, lock): (&Forensics, Option<Lock>),
    ) -> Result<Option<CopyBegun>, Retry> {
        let (from, of) = (&work.snapshot.id, &work.claim.source);
        let begun =
            |copy: CopyRecord| copy.snapshot.map(|snapshot| CopyBegun { snapshot, account: copy.account, not_locked: None });
        if let Some(copy) = case.copied(of, role) {
            return Ok(begun(copy));
        }
        if case.has_failed(from, FailedStep::Copy, &self.actor.request_id) {
            return Ok(None);
        }
        let (key, of, from_id) = (forensics.key.as_str().to_owned(), of.clone(), from.clone());
        // One that came to nothing is made again, by a person who sends the event of what it is copied from again.
        let instead_of = case.lost_copy(&of, role);
        let mut record = CopyRecord { of, from: from_id, role, account: account.clone(), key, snapshot: None, instead_of };
        let mut made = None;
        let intent = case.intent(&record);
        let intent = intent.map(|(entry, over)| !over && is_at_work(entry, &self.actor.request_id, Timestamp::now()));
        match intent {
            Some(true) => return Err(at_work(case)),
            Some(false) => made = self.found(work, case, place, &record).await?,
            None => {
                if self.record(case, SealRecord::Copying(record.clone())).await? == Recorded::Before {
                    return Err(at_work(case));
                }
            }
        }
        if made.is_none() {
            let tags = tags(work, case, role);
            let description = format!("Tourniquet {}: {} copy of {}", case.id, role.as_str(), record.of);
            let copying = Copying { from, key: &forensics.key, tags: &tags, description: &description };
            match place.copy(&copying).await {
                Ok(copy) => made = Some(copy),
                Err(fault) if fault.is_retryable() => return Err(case.failed("copying a snapshot", &fault)),
                Err(fault) => {
                    // Lambda's next tries are over before a copy is.
                    let hint = if fault.code == TOO_MANY_COPIES { "; send the event again once others are done" } else { "" };
                    self.fail(work, case, FailedStep::Copy, format!("{fault}{hint}")).await?;
                    return Ok(None);
                }
            }
        }
        let not_locked = match (&made, lock) {
            (Some(copy), Some(how)) => self.lock_on_its_way(work, case, place, copy, how).await?,
            _ => None,
        };
        record.snapshot = made;
        self.record(case, SealRecord::Copied(record.clone())).await?;
        Ok(case.copied(&record.of, role).and_then(begun).map(|copy| CopyBegun { not_locked, ..copy }))
    }

    /// Locks a copy for as long as it may be on its way: deleted before it is handed over, it would be missed by nobody.
    /// Says why it could not.
    async fn lock_on_its_way(
        &self,
        work: &Work<'_>,
        case: &Case,
        place: &Snapshots,
        copy: &SnapshotId,
        mode: Lock,
    ) -> Result<Option<String>, Retry> {
        let wanted = LockSnapshot { region: work.region.clone(), snapshot: copy.clone(), mode, days: DAYS_ON_ITS_WAY };
        match place.lock(&wanted).await {
            Ok(_) => Ok(None),
            Err(fault) if fault.is_retryable() => Err(case.failed("locking a copy", &fault)),
            Err(fault) => Ok(Some(fault.to_string())),
        }
    }

    /// The copy an earlier delivery made and could not record: by its tags, and under the forensics key, which nobody but
    /// us copies under.
    async fn found(
        &self,
        work: &Work<'_>,
        case: &Case,
        place: &Snapshots,
        wanted: &CopyRecord,
    ) -> Result<Option<SnapshotId>, Retry> {
        let tagged = place.tagged((COPY_OF_TAG, wanted.of.as_str()), Some((STAGE_TAG, wanted.role.as_str()))).await;
        let tagged = tagged.map_err(|fault| case.failed("looking for a copy", &fault))?;
        let is_it = |tags: &std::collections::BTreeMap<String, String>| {
            tags.get(INCIDENT_TAG).map(String::as_str) == Some(work.claim.case.as_str())
        };
        let ours = tagged.into_iter().filter(|copy| copy.key.as_deref() == Some(wanted.key.as_str()) && is_it(&copy.tags));
        let ours = ours.filter(|copy| copy.state != State::Error && Some(&copy.id) != wanted.instead_of.as_ref());
        Ok(ours.min_by_key(|copy| (copy.started, copy.id.clone())).map(|copy| copy.id))
    }

    /// Records that something failed for good.
    pub(super) async fn fail(&self, work: &Work<'_>, case: &mut Case, step: FailedStep, reason: String) -> Result<(), Retry> {
        let reason = crate::text::printable(&reason, 300);
        let failed = Failed { snapshot: work.snapshot.id.clone(), role: work.claim.role, step, reason };
        self.record(case, SealRecord::Failed(failed)).await.map(drop)
    }
}

fn at_work(case: &Case) -> Retry {
    let message = "another delivery is making this copy".to_owned();
    case.failed("copying a snapshot", &Fault { code: "InProgress".to_owned(), message, class: FaultClass::Retryable })
}

/// The tags of a copy: copies do not get those of their source (CONTAINMENT B17).
fn tags(work: &Work<'_>, case: &Case, role: Role) -> Vec<(String, String)> {
    let finding = case.open.findings.first().cloned();
    let origin = finding.map(|finding| Origin { case: case.id.clone(), finding }.tags());
    let mut tags = origin.unwrap_or_else(|| vec![(INCIDENT_TAG.to_owned(), case.id.to_string())]);
    let claim = &work.claim;
    tags.extend(
        [
            (INSTANCE_TAG, claim.instance.as_str()),
            (ACCOUNT_TAG, claim.account.as_str()),
            (COPY_OF_TAG, claim.source.as_str()),
            (STAGE_TAG, role.as_str()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    tags
}
