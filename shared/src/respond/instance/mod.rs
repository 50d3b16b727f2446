//! Instances: what the walk reads of them, and what it does in their own way.

mod describe;
mod evidence;
mod fleet;
mod groups;
pub(crate) mod observe;
mod raw;

use super::act::Attempt;
use super::conclude::Work;
use super::kind::{Afterwards, Kind, Seen, Wave};
use super::walk::Decided;
use super::{Delivery, Function};
use crate::aws::{Compute, Fault};
use crate::containment::instance::{self, Found, Observed};
use crate::containment::{Decision, Responder};
use crate::error::Retry;
use crate::event::IgnoredReason;
use crate::finding::{Finding, Target};
use crate::id::{CaseId, Partition, Region};
use crate::outcome::Status;
use crate::plan::Plan;
use crate::step::{Applied, Step};
use crate::timestamp::Timestamp;

/// EC2 instances: what `contain-instance` is for.
#[derive(Debug)]
pub struct Instances;

/// How many connections to EC2 a first wave uses at once.
const EC2_CONNECTIONS: usize = 8;

/// What `plan` wants and does not hold on the instance, and what an instance as it is now needs besides. What is made for
/// it belongs to the case that `plan` is filed under, else to `case`.
pub(crate) fn missing(
    finding: &Finding,
    target: &Target,
    observed: &Observed,
    plan: &Plan,
    case: Option<&CaseId>,
    responder: &Responder,
) -> Plan {
    let mut fresh = instance::decide(finding, target, observed, responder).plan;
    // Decided afresh it is filed as if this finding had opened the case: whatever another one had made for it would
    // be made again, a second set of snapshots among it.
    if let Some(case) = plan.filed_under().or(case) {
        fresh.file_under(case);
    }
    instance::missing(plan, &fresh, &observed.state)
}

impl Kind for Instances {
    type State = Found;
    type Beside = evidence::Beside;

    const NOT_MINE: IgnoredReason = IgnoredReason::NotAnInstance;

    fn is_mine(target: &Target) -> bool {
        target.is_instance()
    }

    fn endpoints(region: &Region, partition: Partition) -> Vec<String> {
        let suffix = partition.dns_suffix();
        let regional = |service: &str| format!("https://{service}.{region}.{suffix}");
        let others = ["autoscaling", "elasticloadbalancing", "guardduty"].map(regional);
        let iam = format!("https://{}", partition.iam_host());
        std::iter::repeat_n(regional("ec2"), EC2_CONNECTIONS).chain(others).chain([iam]).collect()
    }

    async fn observe(function: &Function<Self>, finding: &Finding, target: &Target) -> Result<Wave<Found>, Retry> {
        observe::observe(function, finding, target).await
    }

    fn decide(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder, _: Timestamp) -> Decision {
        instance::decide(finding, target, observed, responder)
    }

    async fn look(decided: &Decided<Self>, plan: &Plan) -> Result<Seen<Found>, Retry> {
        observe::look(&decided.access, decided.finding(), &decided.target, plan).await
    }

    fn missing(decided: &Decided<Self>, plan: &Plan, state: &Found, responder: &Responder, _: Timestamp) -> Plan {
        let observed = Observed { state: state.clone(), ..decided.grounds() };
        missing(decided.finding(), &decided.target, &observed, plan, decided.decision().plan.filed_under(), responder)
    }

    fn complete(plan: &mut Plan, state: &Found) {
        if let Some(instance) = state.instance() {
            plan.forget_groups(&instance.gone);
            plan.know_groups(&instance.isolation);
        }
    }

    fn became_another(before: &Found, now: &Found) -> Option<String> {
        let is_gone = |found: &Found| found.instance().is_none_or(|instance| instance.state == "terminated");
        (!is_gone(before) && is_gone(now))
            .then(|| "it was terminated while being contained; look in CloudTrail for who did it".to_owned())
    }

    fn unread(state: &Found) -> &[String] {
        state.unread()
    }

    fn unreachable(state: &Found) -> Option<&str> {
        match state {
            Found::Unreachable { reason } => Some(reason),
            _ => None,
        }
    }

    async fn apply(function: &Function<Self>, decided: &Decided<Self>, step: &Step) -> Result<Applied, Fault> {
        let aws = Compute::new(&decided.access, &decided.finding().region);
        match step {
            Step::PrepareIsolationGroup(step) => groups::prepare(function, decided, step, &aws).await,
            other => other.apply_to_instance(&aws).await,
        }
    }

    async fn beside(delivery: &Delivery<'_, Self>, work: &Work<Self>) -> Option<evidence::Beside> {
        Some(evidence::collect(delivery, work).await)
    }

    fn afterwards(work: &Work<Self>, attempts: &[Attempt], beside: evidence::Beside) -> Afterwards {
        evidence::afterwards(work, attempts, &beside)
    }

    fn not_contained(_: &Plan, _: &[(Step, Status)]) -> Option<&'static str> {
        None
    }
}
