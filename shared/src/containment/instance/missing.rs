//! What of a plan does not hold on the instance: undone by somebody, added since, or never done.

use super::changes::deny_name;
use super::observed::{Found, Interface, ObservedInstance};
use crate::plan::{Plan, Stage};
use crate::step::{DenySession, Step};

/// What `plan` wants and does not hold, and what `fresh`, the plan for the instance as it is now, asks for besides: an
/// interface attached since, an address put back, a protection that could not be read at first. Empty when the containment
/// holds. What could not be read is not known to be gone.
#[must_use]
pub fn missing(plan: &Plan, fresh: &Plan, found: &Found) -> Plan {
    let Some(instance) = found.instance() else { return Plan::default() };
    let of = |known: &Stage, keep: &dyn Fn(&Step) -> bool| Stage {
        name: known.name.clone(),
        steps: known.steps.iter().filter(|step| keep(step)).cloned().collect(),
    };
    let undone = plan.then.iter().map(|stage| of(stage, &|step| !holds(step, instance))).collect();
    // What was left out for a risk at first is not made up for once our own changes have removed it.
    let is_wanted = |step: &Step| !matches!(step, Step::UntrackConnections(_));
    let is_new = |step: &Step| is_wanted(step) && !plan.steps().any(|known| known.is_same_change(step));
    let added = fresh.then.iter().map(|stage| of(stage, &is_new)).collect();
    let mut missing = Plan { then: undone, ..Plan::default() };
    missing.then.retain(|stage| !stage.steps.is_empty());
    missing.merged(&Plan { then: added, ..Plan::default() })
}

/// Whether what `step` wants is so. An interface, a volume or a membership that is gone needs nothing any more.
fn holds(step: &Step, instance: &ObservedInstance) -> bool {
    let interface = |id| instance.interfaces.iter().find(|one: &&Interface| one.id == id);
    match step {
        Step::PrepareIsolationGroup(step) => instance
            .isolation
            .get(&step.vpc)
            .is_some_and(|group| step.group.as_ref().is_none_or(|wanted| *wanted == group.id) && group.is_clean != Some(false)),
        Step::IsolateInterface(step) => {
            let is_sole = |one: &Interface| step.group.as_ref().is_some_and(|group| one.groups == [group.clone()]);
            interface(step.interface.clone()).is_none_or(is_sole)
        }
        Step::ProtectFromTermination(_) => instance.protected_from_termination != Some(false),
        Step::ProtectFromStop(_) => instance.protected_from_stop != Some(false),
        Step::StopOnShutdown(_) => instance.on_shutdown.as_deref() != Some("terminate"),
        Step::KeepVolume(step) => !instance.volumes.iter().any(|volume| volume.id == step.volume && volume.goes_with_instance),
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
        // Until the ids are known nobody can say that there is a set: asking for it again finds the one there is.
        Step::SnapshotVolumes(step) => !step.snapshots.is_empty(),
        Step::DenySession(step) => is_denied(step, instance),
        // Registrations and locks are not read back; timeouts and the untracking are offered, not promised.
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
