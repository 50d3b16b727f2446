//! What of a plan does not hold on the instance: undone by somebody, added since, or never done.

use super::changes::{HOLD_STAGE, ISOLATE_STAGE, deny_name, isolation_of};
use super::observed::{Found, Interface, ObservedInstance};
use crate::id::{GroupId, VpcId};
use crate::plan::{Plan, Stage};
use crate::step::{DenySession, IsolateInterface, PrepareIsolationGroup, Step, Timeouts};

/// What `plan` wants and does not hold, and what interfaces attached since need. Empty when the containment holds. What
/// could not be read is not known to be gone.
#[must_use]
pub fn missing(plan: &Plan, found: &Found) -> Plan {
    let Some(instance) = found.instance() else { return Plan::default() };
    let stage = |known: &Stage| Stage {
        name: known.name.clone(),
        steps: known.steps.iter().filter(|step| !holds(step, instance)).cloned().collect(),
    };
    let mut missing = Plan { then: plan.then.iter().map(stage).collect(), ..Plan::default() };
    for (name, step) in attached_since(plan, instance) {
        match missing.then.iter_mut().find(|stage| stage.name == name) {
            Some(stage) => stage.steps.push(step),
            None => missing.then.push(Stage { name: name.to_owned(), steps: vec![step] }),
        }
    }
    missing.then.retain(|stage| !stage.steps.is_empty());
    missing
}

/// Interfaces that somebody attached after the isolation: one way around it.
fn attached_since(plan: &Plan, instance: &ObservedInstance) -> Vec<(&'static str, Step)> {
    let isolated = || plan.steps().filter_map(as_isolation);
    let Some(sample) = plan.steps().find_map(as_preparation).filter(|_| isolated().next().is_some()) else { return Vec::new() };
    let mut steps = Vec::new();
    for interface in instance.interfaces.iter().filter(|one| !one.is_managed && !isolated().any(|step| step.interface == one.id)) {
        let mut step = isolation_of(instance, interface);
        step.group = group_in(plan, &interface.vpc).or(step.group);
        if !plan.steps().filter_map(as_preparation).any(|known| known.vpc == interface.vpc) {
            let (vpc, group) = (interface.vpc.clone(), step.group.clone());
            let name = format!("tourniquet-isolation-{vpc}");
            // What is allowed in another VPC only is not allowed here.
            let allow = sample.allow.iter().filter(|allow| allow.vpc.is_none()).cloned().collect();
            steps.push((HOLD_STAGE, PrepareIsolationGroup { vpc, name, allow, group, ..sample.clone() }.into()));
        }
        let stage = if step.group.is_some() { HOLD_STAGE } else { ISOLATE_STAGE };
        steps.push((stage, step.into()));
    }
    steps
}

fn group_in(plan: &Plan, vpc: &VpcId) -> Option<GroupId> {
    plan.steps().filter_map(as_preparation).find(|step| step.vpc == *vpc)?.group.clone()
}

fn as_isolation(step: &Step) -> Option<&IsolateInterface> {
    match step {
        Step::IsolateInterface(step) => Some(step),
        _ => None,
    }
}

fn as_preparation(step: &Step) -> Option<&PrepareIsolationGroup> {
    match step {
        Step::PrepareIsolationGroup(step) => Some(step),
        _ => None,
    }
}

/// Whether what `step` wants is so. An interface, a volume or a membership that is gone needs nothing any more.
fn holds(step: &Step, instance: &ObservedInstance) -> bool {
    let interface = |id| instance.interfaces.iter().find(|one: &&Interface| one.id == id);
    match step {
        Step::PrepareIsolationGroup(step) => instance.isolation.get(&step.vpc).is_some_and(|group| {
            step.group.as_ref().is_none_or(|wanted| *wanted == group.id) && group.is_clean != Some(false)
        }),
        Step::IsolateInterface(step) => {
            let is_sole = |one: &Interface| step.group.as_ref().is_some_and(|group| one.groups == [group.clone()]);
            interface(step.interface.clone()).is_none_or(is_sole)
        }
        Step::ProtectFromTermination(_) => instance.protected_from_termination != Some(false),
        Step::ProtectFromStop(_) => instance.protected_from_stop != Some(false),
        Step::StopOnShutdown(_) => instance.on_shutdown.as_deref() != Some("terminate"),
        Step::KeepVolume(step) => {
            !instance.volumes.iter().any(|volume| volume.id == step.volume && volume.goes_with_instance)
        }
        Step::ProtectFromScaleIn(_) => instance.auto_scaling.as_ref().is_none_or(|place| place.is_protected),
        Step::EnterStandby(_) => instance.auto_scaling.as_ref().is_none_or(|place| place.lifecycle != "InService"),
        Step::DetachFromAutoScaling(step) => {
            instance.auto_scaling.as_ref().is_none_or(|place| place.group != step.auto_scaling_group)
        }
        Step::DeregisterFromLoadBalancer(step) => !instance.classic_balancers.contains(&step.load_balancer),
        Step::DisassociateAddress(step) => !instance
            .interfaces
            .iter()
            .flat_map(|one| &one.addresses)
            .any(|address| address.allocation.as_ref() == Some(&step.allocation)),
        Step::RemovePublicAddress(step) => {
            interface(step.interface.clone()).is_none_or(|one| one.assigned_public_address().is_none())
        }
        Step::LowerConnectionTimeout(step) => {
            interface(step.interface.clone()).is_none_or(|one| one.timeouts == Timeouts::lowered())
        }
        // Until the ids are known nobody can say that there is a set: asking for it again finds the one there is.
        Step::SnapshotVolumes(step) => !step.snapshots.is_empty(),
        Step::DenySession(step) => is_denied(step, instance),
        // Registrations, locks and the untracking are not read back.
        _ => true,
    }
}

fn is_denied(step: &DenySession, instance: &ObservedInstance) -> bool {
    match instance.denies.get(&deny_name(step)) {
        Some(Some(document)) => {
            let wanted = step.document();
            *document == wanted || wanted.strip_suffix("]}").is_some_and(|open| document.starts_with(open))
        }
        Some(None) => false,
        None => true,
    }
}
