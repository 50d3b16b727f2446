//! MFA devices that the accused credentials registered: taken away on evidence only, and after the cut (CONTAINMENT A16).

use super::super::act::{Attempt, last_of_each};
use super::super::conclude::Work;
use super::super::kind::Afterwards;
use super::{Identities, cloudtrail};
use crate::aws::Fault;
use crate::containment::identity::{MfaEvidence, PERSISTENCE_STAGE, Principal, mfa_left, mfa_suspects, mfa_to_deactivate};
use crate::plan::{Plan, Stage};
use crate::step::Step;

/// What CloudTrail says of the devices enabled since the first sighting, or why it says nothing.
pub(super) type Evidence = Result<Vec<MfaEvidence>, Fault>;

/// Asks CloudTrail, where its answer could matter. Runs beside the steps, never before the cut.
pub(super) async fn evidence(work: &Work<Identities>) -> Option<Evidence> {
    let Principal::User(user) = &work.decided.state else { return None };
    if !mfa_suspects(work.decided.finding(), user) {
        return None;
    }
    Some(cloudtrail::mfa_devices_enabled(&work.decided.access, work.decided.finding()).await)
}

/// Deactivates what the evidence proves to be the attacker's, once the deny holds; the rest is named for a person.
pub(super) fn remove(work: &Work<Identities>, attempts: &[Attempt], evidence: Evidence) -> Afterwards {
    let mut after = Afterwards::default();
    let Principal::User(user) = &work.decided.state else { return after };
    if !is_denied(&work.case.plan, attempts) {
        return after;
    }
    let finding = work.decided.finding();
    let evidence = evidence.unwrap_or_else(|fault| {
        after.next_steps.push(format!("CloudTrail could not be asked who enabled an MFA device ({fault}): look there."));
        Vec::new()
    });
    after.next_steps.extend(mfa_left(finding, user, &evidence));
    let steps = mfa_to_deactivate(finding, user, &evidence);
    if !steps.is_empty() {
        after.plan.then.push(Stage { name: PERSISTENCE_STAGE.to_owned(), steps });
    }
    after
}

/// Whether every deny of the plan, or a rung in its place, was accepted.
fn is_denied(plan: &Plan, attempts: &[Attempt]) -> bool {
    let tried = last_of_each(attempts);
    let holds = |step: &Step| tried.iter().any(|attempt| attempt.report.status.holds() && attempt.step.is_same_change(step));
    plan.rungs().any(holds) || plan.cut.iter().all(|cut| holds(cut.step()))
}
