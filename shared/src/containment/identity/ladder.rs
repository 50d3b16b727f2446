//! The rungs below the cut, for where it does not fit, and what is left to a person where none does
//! (CONTAINMENT A19, A20).

use super::super::scp::attach_lines;
use super::super::{CannotContain, Decision, TargetRecord};
use super::observed::{ATTACHED_POLICIES, GROUPS, ObservedRole, ObservedUser};
use crate::finding::TargetKind;
use crate::id::{Arn, Partition};
use crate::outcome::Status;
use crate::plan::{Cut, Plan};
use crate::policy;
use crate::step::{AttachDenyAll, DenyByBoundary, Entity, JoinDenyGroup, Step, is_aws_deny_all, is_full};
use crate::text::shell_word;

/// The rungs of a user: `AWSDenyAll` attached, `AWSDenyAll` as boundary, the deny group.
pub(super) fn rungs_for_user(user: &ObservedUser, partition: Partition, deny_group: Option<&str>) -> Vec<Step> {
    let entity = Entity::User(user.name.clone());
    let attached = is_read(&user.unread, ATTACHED_POLICIES).then_some(&user.attached_policies);
    let mut rungs = rungs(&entity, partition, attached, user.permissions_boundary.as_ref());
    rungs = in_place_first(rungs);
    // Last even where the user is in it already: what the group does to its members is one policy, and can be undone
    // for all of them at once.
    if let Some(group) = deny_group.filter(|_| is_read(&user.unread, GROUPS)) {
        let before = is_member(user, group);
        rungs.push(JoinDenyGroup { user: user.name.clone(), group: group.to_owned(), before }.into());
    }
    rungs
}

/// The rungs of a role. Each is an outage for everyone who holds it: only where the guardrails allow that.
pub(super) fn rungs_for_role(role: &ObservedRole, partition: Partition) -> Vec<Step> {
    let attached = is_read(&role.unread, ATTACHED_POLICIES).then_some(&role.attached_policies);
    in_place_first(rungs(&Entity::Role(role.name.clone()), partition, attached, role.permissions_boundary.as_ref()))
}

/// Without the attached policies nobody could say whether `AWSDenyAll` is ours to detach again: then that rung is left
/// out, and the boundary is the first.
fn rungs(principal: &Entity, partition: Partition, attached: Option<&Vec<Arn>>, boundary: Option<&Arn>) -> Vec<Step> {
    let mut rungs: Vec<Step> = Vec::new();
    if let Some(attached) = attached {
        let before = attached.iter().any(is_aws_deny_all);
        rungs.push(AttachDenyAll { principal: principal.clone(), partition, before }.into());
    }
    let before = boundary.is_some_and(is_aws_deny_all);
    let old = boundary.filter(|_| !before).cloned();
    rungs.push(DenyByBoundary { principal: principal.clone(), partition, old, before }.into());
    rungs
}

/// A rung that is in place already costs nothing and changes nothing: it is tried before the others.
fn in_place_first(mut rungs: Vec<Step>) -> Vec<Step> {
    rungs.sort_by_key(|rung| !rung.was_before());
    rungs
}

fn is_read(unread: &[String], what: &str) -> bool {
    !unread.iter().any(|unread| unread.starts_with(what))
}

fn is_member(user: &ObservedUser, group: &str) -> bool {
    // IAM's names differ by more than case.
    user.groups.iter().any(|known| known.eq_ignore_ascii_case(group))
}

/// Whether a rung that was carried out on `user` is still in place. What could not be read is not known to be gone.
pub(super) fn holds_on_user(rung: &Step, user: &ObservedUser) -> bool {
    match rung {
        Step::AttachDenyAll(_) => !is_read(&user.unread, ATTACHED_POLICIES) || user.attached_policies.iter().any(is_aws_deny_all),
        Step::DenyByBoundary(_) => user.permissions_boundary.as_ref().is_some_and(is_aws_deny_all),
        Step::JoinDenyGroup(step) => !is_read(&user.unread, GROUPS) || is_member(user, &step.group),
        _ => false,
    }
}

/// Whether a rung that was carried out on `role` is still in place.
pub(super) fn holds_on_role(rung: &Step, role: &ObservedRole) -> bool {
    match rung {
        Step::AttachDenyAll(_) => !is_read(&role.unread, ATTACHED_POLICIES) || role.attached_policies.iter().any(is_aws_deny_all),
        Step::DenyByBoundary(_) => role.permissions_boundary.as_ref().is_some_and(is_aws_deny_all),
        _ => false,
    }
}

/// Says whom a rung hits that was carried out in place of a narrower deny: on a role, everyone who holds it.
pub fn widen(decision: &mut Decision, rung: &Step) {
    let (Step::AttachDenyAll(AttachDenyAll { principal, .. }) | Step::DenyByBoundary(DenyByBoundary { principal, .. })) = rung
    else {
        return;
    };
    if let Entity::Role(role) = principal {
        decision.blast_radius = vec![format!(
            "everyone who holds role {role}, now and later: AWSDenyAll is on the role, since the narrower deny did not fit"
        )];
        decision.residual_risk.retain(|risk| !risk.contains("choose another session name"));
    }
}

/// Says [`CannotContain::QuotaFull`] where a cut of `plan` did not fit and no rung holds in its place. `attempts` are
/// the steps that were tried, oldest first, with what became of each; the last word on a step counts. A rung that was
/// never tried leaves the question open.
#[must_use]
pub fn not_denied(plan: &Plan, attempts: &[(Step, Status)]) -> Option<CannotContain> {
    let last = |step: &Step| attempts.iter().rev().find(|(tried, _)| tried.is_same_change(step)).map(|(_, status)| status);
    let did_not_fit = |cut: &Cut| matches!(last(cut.step()), Some(Status::Failed(reason)) if is_full(code_of(reason)));
    let failed = |rung: &Step| matches!(last(rung), Some(Status::Failed(_)));
    let no_rung_holds = plan.rungs().chain(&plan.fallback).all(failed);
    (plan.cut.iter().any(did_not_fit) && no_rung_holds).then_some(CannotContain::QuotaFull)
}

/// AWS's error code at the head of a failed step's reason.
fn code_of(reason: &str) -> &str {
    reason.split_once(':').map_or(reason, |(code, _)| code)
}

/// The lines that deny by an SCP what the cuts of `plan` would deny, for whoever holds the management account.
#[must_use]
pub fn scp_lines(plan: &Plan, target: &TargetRecord) -> Vec<String> {
    let Ok(principal) = Arn::parse(&target.arn) else { return Vec::new() };
    let document = |cut: &Cut| match cut.step() {
        Step::DenySession(step) => policy::scp_deny_session(&step.role_id, &step.session),
        Step::RevokeOlderSessions(step) => policy::scp_revoke_older_sessions(&principal, step.cutoff),
        _ => policy::scp_deny(&principal),
    };
    // No policy of its own binds root; the account's SCP does, but in the management account.
    let of_root = (target.kind == TargetKind::Root).then(|| policy::scp_deny(&principal));
    let mut lines = Vec::new();
    for document in plan.cut.iter().map(document).chain(of_root) {
        // A name of its own for each: the whole document, so that two never collide and the same never doubles.
        let name = format!("TourniquetDeny-{}", &crate::text::sha256(document.as_bytes())[..16]);
        lines.extend(attach_lines(&name, &shell_word(&document), target));
    }
    lines
}
