//! MFA devices that the accused credentials registered: taken away on evidence only, and after the cut (CONTAINMENT A16).

use super::Delivery;
use super::act::Attempt;
use super::cloudtrail;
use super::conclude::{Work, taken_over};
use crate::aws::Fault;
use crate::case::store::{Etag, Written};
use crate::containment::identity::{MfaEvidence, PERSISTENCE_STAGE, Principal, mfa_left, mfa_suspects, mfa_to_deactivate};
use crate::error::Retry;
use crate::plan::{Plan, Stage};

/// What CloudTrail says of the devices enabled since the first sighting, or why it says nothing.
pub(super) type Evidence = Result<Vec<MfaEvidence>, Fault>;

impl Delivery<'_> {
    /// Asks CloudTrail, where its answer could matter. Runs beside the steps, never before the cut.
    pub(super) async fn mfa_evidence(&self, work: &Work) -> Option<Evidence> {
        let Principal::User(user) = &work.decided.principal else { return None };
        if !mfa_suspects(work.decided.finding(), user) {
            return None;
        }
        Some(cloudtrail::mfa_devices_enabled(&work.decided.access, work.decided.finding()).await)
    }

    /// Deactivates what the evidence proves to be the attacker's. Remembered first, like everything else; the rest is
    /// named for a person.
    pub(super) async fn remove_mfa_devices(
        &self,
        work: &mut Work,
        attempts: &mut Vec<Attempt>,
        etag: Etag,
        evidence: Evidence,
    ) -> Result<Etag, Retry> {
        let Principal::User(user) = &work.decided.principal else { return Ok(etag) };
        let finding = &work.decided.memory.finding;
        let next_steps = &mut work.decided.memory.decision.next_steps;
        let evidence = evidence.unwrap_or_else(|fault| {
            next_steps.push(format!("CloudTrail could not be asked who enabled an MFA device ({fault}): look there."));
            Vec::new()
        });
        next_steps.extend(mfa_left(finding, user, &evidence));
        let steps = mfa_to_deactivate(finding, user, &evidence);
        if steps.is_empty() {
            return Ok(etag);
        }
        let wanted = Plan { then: vec![Stage { name: PERSISTENCE_STAGE.to_owned(), steps }], ..Plan::default() };
        work.case.plan = work.case.plan.clone().merged(&wanted);
        let remembered = match self.function.store.replace(&work.case, &etag).await {
            Ok(Written::Written(remembered)) => remembered,
            Ok(Written::Lost) => return Err(work.failed("remembering what else to change", &taken_over(), attempts)),
            Err(fault) => return Err(work.failed("remembering what else to change", &fault, attempts)),
        };
        attempts.extend(self.carry_out(&work.decided.access.iam, &remembered, Some(&wanted)).await);
        self.record(work, attempts).await?;
        Ok(remembered.etag().clone())
    }
}
