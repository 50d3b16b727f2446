//! What the walk does in its own way for each kind of target. A function is made for one kind, so that its binary holds
//! no other service's code.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::act::Attempt;
use super::conclude::Work;
use super::walk::Decided;
use super::{Delivery, Function};
use crate::aws::{Access, Fault};
use crate::case::OpenCase;
use crate::case::store::Etag;
use crate::containment::budget::Fleet;
use crate::containment::{Decision, Observed, Responder};
use crate::error::Retry;
use crate::event::IgnoredReason;
use crate::finding::{Finding, Target};
use crate::id::{Partition, Region};
use crate::outcome::Status;
use crate::plan::Plan;
use crate::step::{Applied, Step};
use crate::timestamp::Timestamp;

/// A kind of target.
pub(crate) trait Kind: fmt::Debug + Sized + 'static {
    /// What AWS says of a target, and what the case remembers of it.
    type State: fmt::Debug + Clone + Serialize;
    /// What is read beside the steps, for what can only be decided after the cut.
    type Beside;

    /// Why a finding without such a target is ignored.
    const NOT_MINE: IgnoredReason;

    /// Whether `target` is of this kind.
    fn is_mine(target: &Target) -> bool;

    /// The endpoints that the first waves need, each as often as it is asked side by side.
    fn endpoints(region: &Region, partition: Partition) -> Vec<String>;

    /// Reads the finding at its source, the target, the guardrails and the open case, side by side.
    ///
    /// # Errors
    /// When the target or its open case cannot be read: nothing was changed.
    async fn observe(function: &Function<Self>, finding: &Finding, target: &Target) -> Result<Wave<Self::State>, Retry>;

    /// What to do.
    fn decide(
        finding: &Finding,
        target: &Target,
        observed: &Observed<Self::State>,
        responder: &Responder,
        now: Timestamp,
    ) -> Decision;

    /// Reads the target again, with everything `plan` changes.
    ///
    /// # Errors
    /// When AWS does not answer, or not with what it documents.
    async fn look(decided: &Decided<Self>, plan: &Plan) -> Result<Seen<Self::State>, Retry>;

    /// What `plan` wants and does not hold in `state`, and what else is needed by now.
    fn missing(decided: &Decided<Self>, plan: &Plan, state: &Self::State, responder: &Responder, now: Timestamp) -> Plan;

    /// Puts into a plan what a delivery that crashed had found out, and could not write down.
    fn complete(_plan: &mut Plan, _state: &Self::State) {}

    /// Whether the accused is no more, or the name is another's by now: then nothing more is written.
    fn became_another(before: &Self::State, now: &Self::State) -> Option<String>;

    /// What could not be read of it.
    fn unread(state: &Self::State) -> &[String];

    /// Why its account could not be entered.
    fn unreachable(state: &Self::State) -> Option<&str>;

    /// Carries one step out.
    ///
    /// # Errors
    /// With what AWS said.
    async fn apply(function: &Function<Self>, decided: &Decided<Self>, step: &Step) -> Result<Applied, Fault>;

    /// Reads what only matters after the cut. Runs beside the steps.
    async fn beside(delivery: &Delivery<'_, Self>, work: &Work<Self>) -> Option<Self::Beside>;

    /// What else is to be done, by what was read beside the steps and what the steps gave.
    fn afterwards(work: &Work<Self>, attempts: &[Attempt], beside: Self::Beside) -> Afterwards;

    /// Why the target counts as not contained at all, whatever else was done.
    fn not_contained(plan: &Plan, statuses: &[(Step, Status)]) -> Option<&'static str>;
}

/// Everything the reads give.
#[derive(Debug)]
pub(crate) struct Wave<S> {
    /// The target, in the detector's words where these say more.
    pub(super) target: Target,
    /// The key its case is filed under: what was looked up is what will be written.
    pub(super) key: String,
    /// What AWS says.
    pub(super) observed: Observed<S>,
    /// The open case of the target.
    pub(super) open_case: Option<(OpenCase, Etag)>,
    /// The clients for its account.
    pub(super) access: Access,
    /// Why the guardrails could not be read, where they may be a moment later.
    pub(super) guardrails_passing: Option<String>,
    /// The Auto Scaling group it is in.
    pub(super) fleet: Option<Fleet>,
}

/// A target as it was read.
pub(crate) struct Seen<S> {
    pub(crate) state: S,
    /// Whether something of it could not be read that may be read a moment later.
    pub(crate) passing: bool,
}

/// What is left to do after the cut.
#[derive(Debug, Default)]
pub(crate) struct Afterwards {
    /// More steps: remembered first, like all others.
    pub(super) plan: Plan,
    /// What a person has to know.
    pub(super) next_steps: Vec<String>,
    /// What was collected, for the ledger.
    pub(super) collected: Option<Value>,
}
