//! Carrying steps out. A step that fails never stops, and never reverts, another.

use futures_util::future::join_all;

use super::conclude::{Work, taken_over};
use super::walk::Decided;
use super::{Delivery, Kind};
use crate::aws::Fault;
use crate::case::store::{Remembered, Written};
use crate::containment::identity;
use crate::error::Retry;
use crate::outcome::{Status, StepReport};
use crate::plan::{Cut, Plan};
use crate::step::{Step, is_full};

/// What became of a step.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(super) step: Step,
    /// The step as it was carried out, where the plan could not know.
    pub(super) as_done: Option<Step>,
    pub(super) report: StepReport,
    /// Whether it failed in a way a retry could mend.
    pub(super) retryable: bool,
    /// Whether it failed because it does not fit: then the rungs below it are tried.
    full: bool,
}

impl<K: Kind> Delivery<'_, K> {
    /// The denies of our own: side by side, and beside the write that remembers the plan.
    pub(super) async fn cut(&self, decided: &Decided<K>, cuts: &[Cut]) -> Vec<Attempt> {
        join_all(cuts.iter().map(|cut| self.attempt(decided, cut.step()))).await
    }

    /// Everything else of a remembered plan, or the part of it that `only` names: stage after stage, the steps of a
    /// stage side by side.
    pub(super) async fn carry_out(&self, decided: &Decided<K>, remembered: &Remembered, only: Option<&Plan>) -> Vec<Attempt> {
        // A device may have been enabled again by its owner since: only what evidence asks for now is taken away.
        let by_itself = |step: &Step| !matches!(step, Step::DeactivateMfaDevice(_));
        let is_wanted =
            |step: &&Step| only.map_or_else(|| by_itself(step), |only| only.steps().any(|wanted| wanted.is_same_change(step)));
        let mut attempts: Vec<Attempt> = Vec::new();
        for stage in &remembered.plan().then {
            // What a stage before found out, the steps of this one are given.
            let done: Vec<Step> = attempts.iter().filter_map(|attempt| attempt.as_done.clone()).collect();
            let steps = stage.steps.iter().filter(is_wanted);
            attempts.extend(join_all(steps.map(|step| self.attempt_given(decided, step, &done))).await);
        }
        attempts
    }

    /// Where a cut does not fit: the rungs below it, one after the other, until one holds. Those an earlier delivery
    /// carried out come first. A rung that holds becomes a step of the plan, and is remembered as one at once
    /// (CONTAINMENT A19).
    pub(super) async fn climb_down(
        &self,
        work: &mut Work<K>,
        remembered: Remembered,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Remembered, Retry> {
        let does_not_fit = |cut: &&Cut| {
            let last = last_of_each(attempts).into_iter().find(|attempt| attempt.step.is_same_change(cut.step()));
            last.is_some_and(|attempt| attempt.full)
        };
        // A principal has one ladder, whichever of its cuts does not fit.
        let Some(cut) = work.case.plan.cut.iter().find(does_not_fit) else { return Ok(remembered) };
        let mut failed = cut.step().clone();
        let mut carried_out: Vec<Step> = work.case.plan.rungs().cloned().collect();
        carried_out.reverse();
        while let Some(rung) = carried_out.pop().or_else(|| work.case.plan.rung_after(&failed).cloned()) {
            let attempt = self.attempt(&work.decided, &rung).await;
            let holds = attempt.report.status.holds();
            attempts.push(attempt);
            if holds {
                identity::widen(&mut work.decided.memory.decision, &rung);
                if work.case.plan.rungs().any(|known| known.is_same_change(&rung)) {
                    return Ok(remembered);
                }
                work.case.plan.take_rung(&rung);
                return match self.function.store.replace(&work.case, remembered.etag()).await {
                    Ok(Written::Written(remembered)) => Ok(remembered),
                    Ok(Written::Lost) => Err(work.failed("remembering the rung that holds", &taken_over(), attempts)),
                    Err(fault) => Err(work.failed("remembering the rung that holds", &fault, attempts)),
                };
            }
            failed = rung;
        }
        Ok(remembered)
    }

    /// A step with what earlier ones found out, which it is remembered with as done.
    async fn attempt_given(&self, decided: &Decided<K>, step: &Step, done: &[Step]) -> Attempt {
        let given = step.given(done);
        let mut attempt = self.attempt(decided, &given).await;
        if given != *step {
            attempt.as_done.get_or_insert(given);
            attempt.step = step.clone();
        }
        attempt
    }

    async fn attempt(&self, decided: &Decided<K>, step: &Step) -> Attempt {
        let started_ms = self.elapsed_ms();
        // Boxed: the futures of many SDK operations, of which one is polled.
        let applied = Box::pin(K::apply(self.function, decided, step)).await;
        let took_ms = self.elapsed_ms() - started_ms;
        let retryable = applied.as_ref().is_err_and(Fault::is_retryable);
        let full = applied.as_ref().is_err_and(|fault| is_full(&fault.code));
        let (status, request_id, as_done) = match applied {
            Ok(applied) if applied.changed => (Status::Done, applied.request_id, applied.as_done),
            Ok(applied) => (Status::Already, applied.request_id, applied.as_done),
            // Offered, not promised: what this hardware or account does not know is left out, and said so.
            Err(fault) if step.is_best_effort() && !retryable => (Status::Skipped(fault.to_string()), None, None),
            Err(fault) => (Status::Failed(fault.to_string()), None, None),
        };
        let report = StepReport {
            step: step.name().to_owned(),
            on: as_done.as_ref().unwrap_or(step).on(),
            status,
            started_ms,
            took_ms,
            request_ids: request_id.into_iter().collect(),
        };
        Attempt { step: step.clone(), as_done, report, retryable, full }
    }
}

/// The last attempt at every change, in the order they were first tried.
pub(super) fn last_of_each(attempts: &[Attempt]) -> Vec<&Attempt> {
    let mut last: Vec<&Attempt> = Vec::new();
    for attempt in attempts {
        match last.iter_mut().find(|known| known.step.is_same_change(&attempt.step)) {
            Some(known) => *known = attempt,
            None => last.push(attempt),
        }
    }
    last
}

/// The steps that were not carried out when they were last tried: that they do not hold is no tampering, and there is
/// nothing of them to undo.
pub(super) fn undone_steps(attempts: &[Attempt]) -> Vec<Step> {
    let tried = last_of_each(attempts).into_iter();
    tried.filter(|attempt| !attempt.report.status.holds()).map(|attempt| attempt.step.clone()).collect()
}

/// Those of them that should have been.
pub(super) fn failed_steps(attempts: &[Attempt]) -> Vec<Step> {
    let failed = |attempt: &&Attempt| matches!(attempt.report.status, Status::Failed(_));
    last_of_each(attempts).into_iter().filter(failed).map(|attempt| attempt.step.clone()).collect()
}

impl Retry {
    /// A call that failed after these steps were tried.
    pub(super) fn after(what: &'static str, resource: String, fault: &Fault, attempts: &[Attempt]) -> Self {
        let done: Vec<_> = last_of_each(attempts)
            .into_iter()
            .filter(|attempt| attempt.report.status.holds())
            .map(|attempt| format!("{} on {}", attempt.report.step, attempt.report.on))
            .collect();
        let done = if done.is_empty() { "nothing".to_owned() } else { done.join(", ") };
        Self { what, resource, cause: fault.to_string(), done, not_done: "the rest of the case".to_owned() }
    }
}
