//! Reading back after the consistency window, and asserting again what somebody undid: a write response is not
//! containment (CONTAINMENT A3).

use serde_json::json;

use super::Delivery;
use super::act::{Attempt, failed_steps};
use super::conclude::{DELIVERIES, Work, taken_over};
use super::principal::{Seen, look};
use super::walk::names;
use crate::aws::{Fault, FaultClass};
use crate::case::EntryKind;
use crate::case::store::{Etag, Written};
use crate::containment::identity::Principal;
use crate::error::Retry;

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
}

impl Delivery<'_> {
    pub(super) async fn verify(&self, work: &mut Work, attempts: &mut Vec<Attempt>, mut etag: Etag) -> Result<Etag, Retry> {
        for round in 1..=ASSERTIONS {
            tokio::time::sleep(self.function.config.verify_after).await;
            let principal = match look(&work.decided.access.iam, &work.decided.target).await {
                // Half-blind for a moment, with tries left: the next one sees all of it.
                Ok(Seen { principal, passing: true }) if work.case.attempts < DELIVERIES => {
                    let message = principal.unread().join(", ");
                    let fault = Fault { code: "NotReadBack".to_owned(), message, class: FaultClass::Retryable };
                    return Err(work.failed("reading back", &fault, attempts));
                }
                Ok(seen) => seen.principal,
                Err(retry) if work.case.attempts < DELIVERIES => {
                    let fault = Fault { code: "NotReadBack".to_owned(), message: retry.cause, class: FaultClass::Retryable };
                    return Err(work.failed("reading back", &fault, attempts));
                }
                Err(retry) => {
                    work.verified.unverified = Some(format!("it could not be read back: {}", retry.cause));
                    return Ok(etag);
                }
            };
            if let Some(changed) = another_principal(&work.decided.principal, &principal) {
                work.verified.unverified = Some(changed);
                return Ok(etag);
            }
            let failed = failed_steps(attempts);
            let missing = self.missing(&work.case.plan, &principal).without(&failed);
            let what = json!({ "round": round, "holds": missing.is_empty() && failed.is_empty() && principal.unread().is_empty(), "missing": missing, "failed": failed, "unread": principal.unread() });
            let written = self.append(&mut work.journal, EntryKind::Verified, &what).await;
            written.map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
            work.verified.unverified =
                (!principal.unread().is_empty()).then(|| format!("it could not be read back: {}", principal.unread().join(", ")));
            if missing.is_empty() {
                if principal.unread().is_empty() {
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
            let (cuts, taken) =
                tokio::join!(self.cut(&work.decided.access.iam, &missing.cut), self.function.store.replace(&work.case, &etag));
            attempts.extend(cuts);
            let remembered = match taken {
                Ok(Written::Written(remembered)) => remembered,
                Ok(Written::Lost) => return Err(work.failed("asserting again", &taken_over(), attempts)),
                Err(fault) => return Err(work.failed("asserting again", &fault, attempts)),
            };
            let remembered = self.climb_down(work, remembered, attempts).await?;
            etag = remembered.etag().clone();
            attempts.extend(self.carry_out(&work.decided.access.iam, &remembered, Some(&missing)).await);
            self.record(work, attempts).await?;
        }
        Ok(etag)
    }
}

/// Whether the name now belongs to nobody, or to somebody else: then nothing more is written under it (CONTAINMENT A9).
pub(super) fn another_principal(before: &Principal, now: &Principal) -> Option<String> {
    match (before.unique_id(), now.unique_id()) {
        (Some(before), Some(now)) if before == now => None,
        (Some(_), Some(now)) => {
            Some(format!("the name now belongs to {now}: it was deleted and made again while being contained"))
        }
        (Some(_), None) => Some("it was deleted while being contained; look in CloudTrail for who did it".to_owned()),
        (None, _) => None,
    }
}
