//! Carrying steps out. A step that fails never stops, and never reverts, another.

use futures_util::future::join_all;

use super::Delivery;
use crate::aws::Fault;
use crate::case::store::Remembered;
use crate::outcome::{Status, StepReport};
use crate::plan::Cut;
use crate::step::Step;

/// What became of a step.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) step: Step,
    /// The step as it was carried out, where the plan could not know.
    pub(super) as_done: Option<Step>,
    pub(super) report: StepReport,
    /// Whether it failed in a way a retry could mend.
    pub(super) retryable: bool,
}

impl Delivery<'_> {
    /// The denies of our own: side by side, and beside the write that remembers the plan.
    pub(super) async fn cut(&self, cuts: &[Cut]) -> Vec<Attempt> {
        join_all(cuts.iter().map(|cut| self.attempt(cut.step()))).await
    }

    /// Everything else of a remembered plan: stage after stage, the steps of a stage side by side.
    pub(super) async fn carry_out(&self, remembered: &Remembered) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for stage in &remembered.plan().then {
            attempts.extend(join_all(stage.steps.iter().map(|step| self.attempt(step))).await);
        }
        attempts
    }

    async fn attempt(&self, step: &Step) -> Attempt {
        let started_ms = self.elapsed_ms();
        // Boxed: the futures of nine SDK operations, of which one is polled.
        let applied = Box::pin(step.apply(&self.function.clients.iam)).await;
        let took_ms = self.elapsed_ms() - started_ms;
        let retryable = applied.as_ref().is_err_and(Fault::is_retryable);
        let (status, request_id, as_done) = match applied {
            Ok(applied) if applied.changed => (Status::Done, applied.request_id, applied.as_done),
            Ok(applied) => (Status::Already, applied.request_id, applied.as_done),
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
        Attempt { step: step.clone(), as_done, report, retryable }
    }
}
