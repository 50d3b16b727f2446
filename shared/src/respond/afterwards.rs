//! What can only be known after the cut: remembered by a second conditional write before it is carried out.

use super::act::Attempt;
use super::conclude::{Work, taken_over};
use super::kind::Afterwards;
use super::{Delivery, Kind};
use crate::case::EntryKind;
use crate::case::store::{Etag, Written};
use crate::error::Retry;

impl<K: Kind> Delivery<'_, K> {
    /// Records what was collected beside the steps, and does what it, or what the steps gave, asks for.
    pub(super) async fn finish_up(
        &self,
        work: &mut Work<K>,
        attempts: &mut Vec<Attempt>,
        etag: Etag,
        beside: K::Beside,
    ) -> Result<Etag, Retry> {
        let Afterwards { plan: wanted, next_steps, collected } = K::afterwards(work, attempts, beside);
        work.decided.memory.decision.next_steps.extend(next_steps);
        if let Some(collected) = collected {
            let written = self.append(&mut work.journal, EntryKind::Collected, &collected).await;
            written.map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
        }
        if wanted.is_empty() {
            return Ok(etag);
        }
        work.case.plan = work.case.plan.clone().merged(&wanted);
        let remembered = match self.function.store.replace(&work.case, &etag).await {
            Ok(Written::Written(remembered)) => remembered,
            Ok(Written::Lost) => return Err(work.failed("remembering what else to change", &taken_over(), attempts)),
            Err(fault) => return Err(work.failed("remembering what else to change", &fault, attempts)),
        };
        attempts.extend(self.carry_out(&work.decided, &remembered, Some(&wanted)).await);
        self.record(work, attempts).await?;
        Ok(remembered.etag().clone())
    }
}
