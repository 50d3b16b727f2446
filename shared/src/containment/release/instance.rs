//! How the steps on an instance stand now.

use super::{Asked, Picture, Stands, Undoing, does, identity};
use crate::containment::identity::OWN_DENY;
use crate::containment::instance::{Found, Interface, ObservedInstance};
use crate::id::{GroupId, InterfaceId};
use crate::policy;
use crate::step::{IsolateInterface, Step, Timeouts};

pub(super) fn picture<'a>(newest_first: impl Iterator<Item = &'a Step>, before: &Found, now: &Found, asked: &Asked) -> Picture {
    if let Found::Unreachable { reason } = now {
        return Picture::refusing(format!("its account cannot be entered: {reason}"));
    }
    let since = match (before.instance(), now.instance()) {
        (Some(before), Some(now)) => since(before, now),
        _ => Vec::new(),
    };
    let stands = |step: &Step| match now.instance() {
        Some(instance) => on_instance(step, instance),
        None => Stands::Gone("EC2 knows the instance no more".to_owned()),
    };
    let steps = newest_first.map(|step| Undoing { does: does(step, stands(step), None, asked), step: step.clone() }).collect();
    Picture { refused: None, steps, since }
}

/// The states of an instance that does not come back.
const ENDED: [&str; 2] = ["shutting-down", "terminated"];

fn on_instance(step: &Step, instance: &ObservedInstance) -> Stands {
    let unread = |what: &str| instance.unread.iter().any(|unread| unread.starts_with(what));
    // The deny is on its role, which outlives it.
    if let Step::DenySession(step) = step {
        return match instance.denies.get(&policy::deny_session_name(&step.session)) {
            Some(document) => identity::session(document.as_deref(), &step.document()),
            None if unread(OWN_DENY) => Stands::Unread,
            None => Stands::AsBefore,
        };
    }
    if ENDED.contains(&instance.state.as_str()) {
        return Stands::Gone(format!("the instance is {}: somebody terminated it since", instance.state));
    }
    let interface = |id: &InterfaceId| instance.interfaces.iter().find(|one| one.id == *id);
    let on = |value: Option<bool>| match value {
        Some(true) => Stands::AsWeLeftIt,
        Some(false) => Stands::AsBefore,
        None => Stands::Unread,
    };
    match step {
        Step::IsolateInterface(step) => interface(&step.interface).map_or_else(detached, |now| isolated(step, now)),
        Step::ProtectFromTermination(_) => on(instance.protected_from_termination),
        Step::ProtectFromStop(_) => on(instance.protected_from_stop),
        Step::StopOnShutdown(_) => on(instance.on_shutdown.as_deref().map(|behavior| behavior == "stop")),
        Step::KeepVolume(step) => match instance.volumes.iter().find(|volume| volume.id == step.volume) {
            Some(volume) => on(Some(!volume.goes_with_instance)),
            None => Stands::Gone("the volume is not on the instance any more".to_owned()),
        },
        Step::ProtectFromScaleIn(_) | Step::EnterStandby(_) | Step::DetachFromAutoScaling(_) if unread("Auto Scaling") => {
            Stands::Unread
        }
        Step::ProtectFromScaleIn(_) => match &instance.auto_scaling {
            Some(place) => on(Some(place.is_protected)),
            None => Stands::Gone("the instance is in no Auto Scaling group; back in one it is not protected".to_owned()),
        },
        Step::EnterStandby(step) => match &instance.auto_scaling {
            Some(place) if place.group != step.auto_scaling_group => {
                Stands::Differs(format!("the instance is in Auto Scaling group {} now", place.group))
            }
            Some(place) if place.lifecycle.contains("Standby") => Stands::AsWeLeftIt,
            Some(place) if place.lifecycle == "InService" || place.lifecycle.starts_with("Pending") => Stands::AsBefore,
            Some(place) => Stands::Differs(format!("the instance is {} in its Auto Scaling group", place.lifecycle)),
            None => Stands::Differs("the instance left its Auto Scaling group since".to_owned()),
        },
        Step::DetachFromAutoScaling(step) => match &instance.auto_scaling {
            None => Stands::AsWeLeftIt,
            Some(place) if place.group == step.auto_scaling_group => Stands::AsBefore,
            Some(place) => Stands::Differs(format!("the instance is in Auto Scaling group {} now", place.group)),
        },
        Step::DeregisterFromLoadBalancer(_) if unread("classic load balancers") => Stands::Unread,
        Step::DeregisterFromLoadBalancer(step) => on(Some(!instance.classic_balancers.contains(&step.load_balancer))),
        Step::DisassociateAddress(step) => {
            let has_it = |one: &Interface| one.addresses.iter().any(|known| known.allocation.as_ref() == Some(&step.allocation));
            interface(&step.interface).map_or_else(detached, |now| on(Some(!has_it(now))))
        }
        Step::RemovePublicAddress(step) => {
            interface(&step.interface).map_or_else(detached, |now| on(Some(now.assigned_public_address().is_none())))
        }
        Step::LowerConnectionTimeout(step) => {
            interface(&step.interface).map_or_else(detached, |now| timeouts(now.timeouts, step.before))
        }
        // Registrations with target groups are not read; registering what is registered changes nothing.
        _ => Stands::AsWeLeftIt,
    }
}

fn detached() -> Stands {
    Stands::Gone("the interface is not on the instance any more".to_owned())
}

fn isolated(step: &IsolateInterface, now: &Interface) -> Stands {
    let sorted = |groups: &[GroupId]| {
        let mut groups = groups.to_vec();
        groups.sort();
        groups
    };
    if step.group.as_ref().is_some_and(|group| now.groups == [group.clone()]) {
        Stands::AsWeLeftIt
    } else if sorted(&now.groups) == sorted(&step.original) {
        Stands::AsBefore
    } else {
        let groups = now.groups.iter().map(GroupId::as_str).collect::<Vec<_>>().join(", ");
        let ours = step.group.as_ref().map_or("the isolation group", GroupId::as_str);
        Stands::Differs(format!("its groups are {groups}, not {ours} alone"))
    }
}

fn timeouts(now: Timeouts, before: Timeouts) -> Stands {
    match now {
        now if now == before || now == before.or(Timeouts::DEFAULTS) => Stands::AsBefore,
        now if now == Timeouts::LOWEST => Stands::AsWeLeftIt,
        _ => Stands::Differs("its connection-tracking timeouts were set anew since".to_owned()),
    }
}

/// What is new on the instance: said, and left as it is.
fn since(before: &ObservedInstance, now: &ObservedInstance) -> Vec<String> {
    let mut new: Vec<String> = Vec::new();
    let is_new = |one: &&Interface| !before.interfaces.iter().any(|known| known.id == one.id);
    new.extend(now.interfaces.iter().filter(is_new).map(|one| format!("interface {} was attached since", one.id)));
    let role = |of: &ObservedInstance| of.profile.as_ref().map(|profile| profile.arn.clone());
    if role(before) != role(now) {
        let named = role(now).map_or_else(|| "none".to_owned(), |arn| arn.resource().to_owned());
        new.push(format!("its instance profile is another since: {named}"));
    }
    if before.state != now.state {
        new.push(format!("it was {} then, and is {} now", before.state, now.state));
    }
    new
}
