//! Identities: what the walk reads of them, and what it does in their own way.

pub(crate) mod cloudtrail;
mod mfa;
mod observe;
pub(crate) mod principal;

use super::act::Attempt;
use super::conclude::Work;
use super::kind::{Afterwards, Kind, Seen, Wave};
use super::walk::Decided;
use super::{Delivery, Function};
use crate::aws::Fault;
use crate::containment::identity::{self, Observed, Principal};
use crate::containment::{CannotContain, Decision, Responder};
use crate::error::Retry;
use crate::event::IgnoredReason;
use crate::finding::{Finding, Target};
use crate::id::{Partition, Region};
use crate::outcome::Status;
use crate::plan::Plan;
use crate::step::{Applied, Step};
use crate::timestamp::Timestamp;

/// IAM users and the sessions of roles: what `contain-identity` is for.
#[derive(Debug)]
pub struct Identities;

/// How many connections to IAM a first wave uses at once.
const IAM_CONNECTIONS: usize = 11;

impl Kind for Identities {
    type State = Principal;
    type Beside = mfa::Evidence;

    const NOT_MINE: IgnoredReason = IgnoredReason::NotAnIdentity;

    fn is_mine(target: &Target) -> bool {
        target.is_identity()
    }

    fn endpoints(region: &Region, partition: Partition) -> Vec<String> {
        let iam = format!("https://{}", partition.iam_host());
        let guardduty = format!("https://guardduty.{region}.{}", partition.dns_suffix());
        std::iter::repeat_n(iam, IAM_CONNECTIONS).chain([guardduty]).collect()
    }

    async fn observe(function: &Function<Self>, finding: &Finding, target: &Target) -> Result<Wave<Principal>, Retry> {
        observe::observe(function, finding, target).await
    }

    fn decide(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder, now: Timestamp) -> Decision {
        identity::decide(finding, target, observed, responder, now)
    }

    async fn look(decided: &Decided<Self>, _: &Plan) -> Result<Seen<Principal>, Retry> {
        principal::look(&decided.access.iam, &decided.target).await
    }

    fn missing(_: &Decided<Self>, plan: &Plan, state: &Principal, responder: &Responder, now: Timestamp) -> Plan {
        identity::missing(plan, state, responder.partition, now)
    }

    fn became_another(before: &Principal, now: &Principal) -> Option<String> {
        principal::another_principal(before, now)
    }

    fn unread(state: &Principal) -> &[String] {
        state.unread()
    }

    fn unreachable(state: &Principal) -> Option<&str> {
        match state {
            Principal::Unreachable { reason } => Some(reason),
            _ => None,
        }
    }

    async fn apply(_: &Function<Self>, decided: &Decided<Self>, step: &Step) -> Result<Applied, Fault> {
        step.apply_to_identity(&decided.access.iam).await
    }

    async fn beside(_: &Delivery<'_, Self>, work: &Work<Self>) -> Option<mfa::Evidence> {
        mfa::evidence(work).await
    }

    fn afterwards(work: &Work<Self>, attempts: &[Attempt], evidence: mfa::Evidence) -> Afterwards {
        mfa::remove(work, attempts, evidence)
    }

    fn not_contained(plan: &Plan, statuses: &[(Step, Status)]) -> Option<&'static str> {
        identity::not_denied(plan, statuses).map(CannotContain::as_str)
    }
}
