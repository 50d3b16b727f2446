//! What isolation does not cover, whom it hits and what a person does next (CONTAINMENT B1 to B15).

use super::super::Decision;
use super::changes::is_publicly_reachable;
use super::observed::{Interface, Lifecycle, ObservedInstance};
use crate::guardrails::{AutoScaling, Isolation};
use crate::text::printable;

/// Names what remains possible, who else is hit, and what is for a person.
pub(super) fn say_what_remains(decision: &mut Decision, instance: &ObservedInstance, isolation: &Isolation) {
    if instance.state == "shutting-down" {
        decision
            .residual_risk
            .push("it is shutting down: memory and instance store are lost, its volumes perhaps too".to_owned());
        decision.next_steps.push("Find out in CloudTrail who is terminating it.".to_owned());
        return;
    }
    decision.residual_risk.extend(connections(instance, isolation));
    decision.residual_risk.extend(leaks(instance));
    decision.residual_risk.extend(evidence(instance));
    decision.blast_radius.extend(who_is_hit(instance, isolation));
    decision.next_steps.extend(next(instance));
}

/// Connections that exist already: never called cut.
fn connections(instance: &ObservedInstance, isolation: &Isolation) -> Vec<String> {
    if instance.state == "stopped" {
        return vec!["it is stopped: whoever starts it starts it isolated".to_owned()];
    }
    let mut risks = vec![
        "connections that exist already are not guaranteed to be cut: tracked ones go on until they are idle for their \
         timeout, those through NAT gateways, load balancers, PrivateLink and transit gateways always"
            .to_owned(),
    ];
    let elastic = |one: &Interface| one.addresses.iter().any(|address| address.allocation.is_some());
    if isolation.disassociate_addresses && instance.interfaces.iter().any(elastic) {
        risks.push(
            "the elastic addresses are taken off: what came through them is cut, all else is not; AWS may assign another public \
             address in their place"
                .to_owned(),
        );
    }
    let assigned: Vec<_> = instance.interfaces.iter().filter_map(Interface::assigned_public_address).collect();
    if !assigned.is_empty() && !isolation.remove_public_addresses {
        risks.push(format!(
            "its public address {} stays, since AWS would not give it back: connections through it may go on",
            assigned.join(", ")
        ));
    }
    if instance.interfaces.iter().any(|one| !one.ipv6.is_empty()) {
        risks.push("its IPv6 addresses stay: connections through them that exist already may go on".to_owned());
    }
    if isolation.untrack_connections && is_publicly_reachable(instance) {
        risks.push("the two-step untracking was left out: the instance can be reached from outside meanwhile".to_owned());
    }
    risks
}

/// What no security group filters, and what else is on the box.
fn leaks(instance: &ObservedInstance) -> Vec<String> {
    let mut risks = vec![
        "DNS through the VPC's resolver: no security group filters it, data can still be tunnelled out; a Resolver DNS \
         Firewall rule can stop that for the whole VPC"
            .to_owned(),
        "the instance metadata service still answers on the instance".to_owned(),
    ];
    match instance.profile.as_ref().map(|profile| &profile.role) {
        Some(Some(role)) => risks.push(format!(
            "roles assumed from the instance's credentials of role {}: those sessions live until they expire (look for \
             AssumeRole in CloudTrail)",
            role.name
        )),
        Some(None) => {
            risks.push("its instance profile holds no role that could be read: its credentials were not denied".to_owned());
        }
        None => {}
    }
    risks.push("other credentials on the disk or in its containers: keys, tokens of pods, environment variables".to_owned());
    for interface in &instance.interfaces {
        if interface.is_managed {
            risks.push(format!("interface {} belongs to an AWS service and was left alone", interface.id));
        } else if interface.kind == "trunk" {
            risks.push(format!("interface {} is a trunk: its branch interfaces have security groups of their own", interface.id));
        }
    }
    risks
}

/// What can still be lost.
fn evidence(instance: &ObservedInstance) -> Vec<String> {
    let mut risks = Vec::new();
    if instance.lifecycle == Lifecycle::Spot {
        risks.push(
            "it is a Spot instance: it cannot be protected, and AWS may take it away at any time; the snapshots stay".to_owned(),
        );
    }
    if !instance.has_ebs_root {
        risks.push(
            "its root volume is in the instance store: no snapshot holds it, and it is lost when the instance stops".to_owned(),
        );
    }
    if instance.volumes.is_empty() {
        risks.push("it has no EBS volume: there is nothing to take a snapshot of".to_owned());
    }
    risks.push("memory, and anything in an instance store, is not captured: it lives as long as the instance does".to_owned());
    if let Some(place) =
        instance.auto_scaling.as_ref().filter(|place| !matches!(place.lifecycle.as_str(), "InService" | "Standby"))
    {
        risks.push(format!(
            "Auto Scaling has it as {} in group {}: it cannot be held there, and may be terminated",
            printable(&place.lifecycle, 40),
            printable(&place.group, 80)
        ));
    }
    risks
}

fn who_is_hit(instance: &ObservedInstance, isolation: &Isolation) -> Vec<String> {
    let mut hit = vec![format!("everything that runs on {}, and whatever needs it", instance.id)];
    if let Some(role) = instance.profile.as_ref().and_then(|profile| profile.role.as_ref()) {
        hit.push(format!("not hit: other instances of role {}", role.name));
    }
    if let Some(cluster) = instance.cluster() {
        hit.push(format!("every pod on this node of cluster {}", printable(cluster, 80)));
    }
    if let Some(place) = &instance.auto_scaling {
        let how = match isolation.auto_scaling {
            AutoScaling::Standby => "put on standby",
            AutoScaling::Detach => "detached",
        };
        hit.push(format!(
            "Auto Scaling group {}: it is {how}, and another instance is launched from the same template",
            printable(&place.group, 80)
        ));
    }
    hit
}

fn next(instance: &ObservedInstance) -> Vec<String> {
    let mut next = vec!["Do not stop, reboot or terminate it before its memory is captured or given up.".to_owned()];
    if instance.auto_scaling.is_some() {
        next.push("Check the launch template: what replaces it may be open in the same way.".to_owned());
    }
    if instance.hibernates {
        next.push("It can hibernate: that writes its memory to the root volume, if a person decides to.".to_owned());
    }
    next
}
