//! Reading back after the consistency window, and asserting again what somebody undid: a write response is not
//! containment (CONTAINMENT A3).

use serde_json::json;

use super::act::{Attempt, failed_steps, undone_steps};
use super::conclude::{DELIVERIES, Work, taken_over};
use super::kind::Seen;
use super::walk::names;
use super::{Delivery, Kind};
use crate::aws::{Fault, FaultClass};
use crate::case::EntryKind;
use crate::case::store::{Etag, Written};
use crate::error::Retry;
use crate::timestamp::Timestamp;

/// How often a containment found undone right after the change is asserted within one delivery.
const ASSERTIONS: u32 = 3;

/// What reading back found.
#[derive(Default)]
pub(super) struct Verified {
    /// How often the containment was found undone after our own change.
    pub(super) undone: u32,
    /// Why it counts as contested.
    pub(super) contested: Option<String>,
    /// Why it could not be read back, or what became of the principal.
    pub(super) unverified: Option<String>,
    /// When it was found to hold.
    pub(super) held_at: Option<Timestamp>,
}

impl<K: Kind> Delivery<'_, K> {
    pub(super) async fn verify(&self, work: &mut Work<K>, attempts: &mut Vec<Attempt>, mut etag: Etag) -> Result<Etag, Retry> {
        for round in 1..=ASSERTIONS {
            tokio::time::sleep(self.function.config.verify_after).await;
            let state = match K::look(&work.decided, &work.case.plan).await {
                // Half-blind for a moment, with tries left: the next one sees all of it.
                Ok(Seen { state, passing: true }) if work.case.attempts < DELIVERIES => {
                    let message = K::unread(&state).join(", ");
                    let fault = Fault { code: "NotReadBack".to_owned(), message, class: FaultClass::Retryable };
                    return Err(work.failed("reading back", &fault, attempts));
                }
                Ok(seen) => seen.state,
                Err(retry) if work.case.attempts < DELIVERIES => {
                    let fault = Fault { code: "NotReadBack".to_owned(), message: retry.cause, class: FaultClass::Retryable };
                    return Err(work.failed("reading back", &fault, attempts));
                }
                Err(retry) => {
                    work.verified.unverified = Some(format!("it could not be read back: {}", retry.cause));
                    return Ok(etag);
                }
            };
            if let Some(changed) = K::became_another(&work.decided.state, &state) {
                work.verified.unverified = Some(changed);
                return Ok(etag);
            }
            let failed = failed_steps(attempts);
            let missing = self.missing(&work.decided, &work.case.plan, &state).without(&undone_steps(attempts));
            let what = json!({ "round": round, "holds": missing.is_empty() && failed.is_empty() && K::unread(&state).is_empty(), "missing": missing, "failed": failed, "unread": K::unread(&state) });
            let written = self.append(&mut work.journal, EntryKind::Verified, &what).await;
            written.map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
            work.verified.unverified =
                (!K::unread(&state).is_empty()).then(|| format!("it could not be read back: {}", K::unread(&state).join(", ")));
            if missing.is_empty() {
                work.verified.held_at = work.journal.last().map(|entry| entry.at);
                if K::unread(&state).is_empty() {
                    // What could not be read at first was read now, and holds.
                    work.decided.memory.decision.unread.clear();
                }
                return Ok(etag);
            }
            // Credentials that could not be listed at first, and are listed now, were not undone by anybody.
            if work.decided.decision().unread.is_empty() {
                work.verified.undone += 1;
            }
            if round == ASSERTIONS {
                let last = names(&missing);
                work.verified.contested =
                    Some(format!("undone {} times within this delivery, last: {last}", work.verified.undone));
                return Ok(etag);
            }
            // What the attacker added since is remembered before it is changed, like everything else.
            work.case.plan = work.case.plan.clone().merged(&missing);
            K::complete(&mut work.case.plan, &state);
            let (cuts, taken) =
                tokio::join!(self.cut(&work.decided, &missing.cut), self.function.store.replace(&work.case, &etag));
            attempts.extend(cuts);
            let remembered = match taken {
                Ok(Written::Written(remembered)) => remembered,
                Ok(Written::Lost) => return Err(work.failed("asserting again", &taken_over(), attempts)),
                Err(fault) => return Err(work.failed("asserting again", &fault, attempts)),
            };
            let remembered = self.climb_down(work, remembered, attempts).await?;
            etag = remembered.etag().clone();
            attempts.extend(self.carry_out(&work.decided, &remembered, Some(&missing)).await);
            self.record(work, attempts).await?;
        }
        Ok(etag)
    }
}
