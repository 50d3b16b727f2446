//! The decision about an instance. Pure: tested as a table, without AWS, clock or network.

use std::collections::BTreeMap;

use super::super::verdict::{go_how_far, not_to_be_acted_on, untouchable};
use super::super::{CannotContain, Decision, Responder, TargetRecord, Verdict, also_accused};
use super::changes::{Setting, plan_for_instance};
use super::observed::{Found, Observed, ObservedInstance};
use super::risks::say_what_remains;
use crate::finding::{Finding, Instance, Target, TargetKind, Trigger};
use crate::guardrails::{EvidenceLock, Guardrails, Isolation, Mode, Subject};
use crate::id::CaseId;
use crate::step::Origin;
use crate::text::printable;

/// What to do about `target`, which `finding` accuses.
#[must_use]
pub fn decide(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder) -> Decision {
    let record = TargetRecord::accused(finding, target);
    let case = CaseId::of(finding, &record.key(&finding.id));
    let mut decision = Decision::of(record);
    decision.next_steps.extend(also_accused(finding, target));
    let is_ours = |named: &Target| is_named(named, target);
    if let Some(verdict) = not_to_be_acted_on(finding, &observed.source, &observed.guardrails, is_ours) {
        decision.verdict = verdict;
        return decision;
    }
    let instance = match reachable(finding, target, &observed.state, responder) {
        Ok(instance) => instance,
        Err(reason) => {
            decision.next_steps.push(reason.next_step().to_owned());
            decision.verdict = Verdict::CannotContain(reason);
            return decision;
        }
    };
    let arn = instance.arn();
    let subject =
        Subject { kind: TargetKind::Instance, account: &finding.account, arn: Some(&arn), unique_id: None, tags: &instance.tags };
    let guardrails = observed.guardrails.as_ref().ok();
    if let Some(reason) = untouchable(subject, responder, guardrails) {
        decision.next_steps.push(
            "It is protected and was not touched. If it really is compromised, isolate it by hand, and keep another way to \
             what it serves."
                .to_owned(),
        );
        decision.verdict = Verdict::Skip(reason);
        return decision;
    }
    let isolation = guardrails.map_or_else(Isolation::default, |guardrails| guardrails.isolation().clone());
    let role = role_to_leave(instance, finding, responder, guardrails);
    let origin = Origin { case, finding: finding.id.clone() };
    let lock = guardrails.map_or_else(EvidenceLock::default, |guardrails| guardrails.evidence().clone());
    let setting = Setting { isolation: &isolation, origin: &origin, lock: &lock, leave_role: role.is_some() };
    decision.plan = plan_for_instance(instance, &setting);
    decision.unread.clone_from(&instance.unread);
    if let Some(reason) = role {
        decision.next_steps.push(format!(
            "The credentials of its role still work: the role was left alone ({reason}). Deny the instance by hand if need be."
        ));
    }
    say_what_remains(&mut decision, instance, &isolation);
    (decision.verdict, decision.ruling) = go_how_far(finding, subject, &observed.source, &observed.guardrails);
    // A person who presses the button has seen what the instance is.
    if let (Verdict::Contain, Some(cluster), Trigger::Event) = (&decision.verdict, instance.cluster(), &finding.trigger)
        && isolation.cluster_nodes < Mode::Contain
    {
        let cluster = printable(cluster, 80);
        let reason = format!("it is a node of cluster {cluster}: isolating it cuts off every pod on it (cluster_nodes)");
        decision.verdict = if isolation.cluster_nodes == Mode::Propose { Verdict::Propose(reason) } else { Verdict::Observe };
    }
    decision
}

fn is_named(at_source: &Target, target: &Target) -> bool {
    matches!((at_source, target), (Target::Instance(source), Target::Instance(claimed)) if source.id == claimed.id)
}

/// The instance, where it is one that can be isolated.
fn reachable<'a>(
    finding: &Finding,
    target: &Target,
    found: &'a Found,
    responder: &Responder,
) -> Result<&'a ObservedInstance, CannotContain> {
    if responder.is_foreign(finding) {
        return Err(CannotContain::ForeignAccount);
    }
    match (found, target) {
        (Found::Unreachable { .. }, _) => Err(CannotContain::NoAccess),
        // An id is never given twice; that AWS answers with another instance, or another account's, would be no answer.
        (Found::Instance(instance), Target::Instance(Instance { id, .. }))
            if *id == instance.id && instance.account == finding.account =>
        {
            if instance.state == "terminated" {
                Err(CannotContain::Terminated)
            } else {
                Ok(instance)
            }
        }
        _ => Err(CannotContain::NoSuchInstance),
    }
}

/// Why the role of the instance must not be written to.
fn role_to_leave(
    instance: &ObservedInstance,
    finding: &Finding,
    responder: &Responder,
    guardrails: Option<&Guardrails>,
) -> Option<String> {
    static NO_TAGS: BTreeMap<String, String> = BTreeMap::new();
    let role = instance.profile.as_ref()?.role.as_ref()?;
    if role.arn.resource().starts_with("role/aws-service-role/") {
        return Some("only its service may change a service-linked role".to_owned());
    }
    let subject = Subject {
        kind: TargetKind::RoleSession,
        account: &finding.account,
        arn: Some(&role.arn),
        unique_id: Some(&role.unique_id),
        tags: &NO_TAGS,
    };
    // An account that is protected as a whole is the instance's protection already.
    untouchable(subject, responder, guardrails)
}
