//! The changes an identity needs: which, for a user and for a role, and what of them is missing later.

use serde_json::Value;

use super::super::Decision;
use super::observed::{ATTACHED_POLICIES, OWN_DENY, ObservedRole, ObservedUser, Principal, REVOCATION_MARGIN};
use crate::finding::{Finding, RoleSession};
use crate::id::{Arn, Partition};
use crate::plan::{Cut, Plan, Stage};
use crate::policy;
use crate::step::{
    AttachQuarantineMarker, DeactivateKey, DeactivateServiceCredential, DeactivateSigningCertificate, DeactivateSshKey, DenyAll,
    DenySession, QUARANTINE_POLICIES, RemoveLoginProfile, RevokeOlderSessions, Step,
};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// What `plan` wants and does not hold, and what new credentials need: undone by somebody, added since, or never done.
/// Empty when the containment holds. A revocation that is gone is wanted again with a cut-off of now, never with the
/// old one: sessions made since must not escape it (CONTAINMENT A6).
#[must_use]
pub fn missing(plan: &Plan, principal: &Principal, partition: Partition, now: Timestamp) -> Plan {
    // A deny that could not be read is not known to be gone: that is for the outcome to say, not to be called tampering.
    let blind = principal.unread().iter().any(|what| what.starts_with(OWN_DENY));
    match principal {
        Principal::User(user) => {
            let wanted = user_plan(user, partition);
            let denied = blind || user.deny.as_deref() == Some(policy::deny_all().as_str());
            Plan { cut: if denied { Vec::new() } else { wanted.cut }, ..wanted }
        }
        Principal::Role(role) if !blind => {
            let cut = plan.cut.iter().filter(|cut| !holds(cut, role)).map(|cut| match cut.step() {
                Step::RevokeOlderSessions(step) => {
                    RevokeOlderSessions { role: step.role.clone(), cutoff: latest_cutoff(role, now).max(step.cutoff) }.into()
                }
                _ => cut.clone(),
            });
            Plan { cut: cut.collect(), then: Vec::new() }
        }
        Principal::Role(_) | Principal::Absent | Principal::NotLooked | Principal::Unreachable { .. } => Plan::default(),
    }
}

fn holds(cut: &Cut, role: &ObservedRole) -> bool {
    match cut.step() {
        // One that also denies the instance holds too; what follows a deny can only deny more.
        Step::DenySession(step) => role.session_deny.as_deref().is_some_and(|current| {
            let wanted = step.document();
            current == wanted || wanted.strip_suffix("]}").is_some_and(|open| current.starts_with(open))
        }),
        Step::RevokeOlderSessions(step) => role.revoked_before().is_some_and(|before| before >= step.cutoff),
        _ => false,
    }
}

/// What contains a user, and what there is to say of it.
pub(super) fn plan_for_user(decision: &mut Decision, user: &ObservedUser, partition: Partition) {
    decision.plan = user_plan(user, partition);
    decision.unread.clone_from(&user.unread);
    decision.blast_radius.push(format!("everything that signs in or signs requests as user {}", user.name));
    if let Some(attached) = user.attached_policies.iter().find(|arn| is_quarantine(arn)) {
        decision.next_steps.push(format!(
            "AWS has already attached {}: there is an AWS Support case. Answer it, and leave that policy to AWS.",
            attached.resource().trim_start_matches("policy/")
        ));
    }
    decision.residual_risk.push(
        "roles it assumed before the cut: those sessions live until they expire (look for AssumeRole by its keys in CloudTrail)"
            .to_owned(),
    );
    decision.residual_risk.push("what it created: users, keys, roles, policies, functions (look in CloudTrail)".to_owned());
    if !user.mfa_devices.is_empty() {
        decision.next_steps.push(format!(
            "check whether its MFA device was added by the attacker: {}",
            user.mfa_devices.iter().map(|serial| printable(serial, 120)).collect::<Vec<_>>().join(", ")
        ));
    }
}

fn is_quarantine(arn: &Arn) -> bool {
    // Only AWS's own account "aws" can hold a policy under this ARN.
    arn.account() == "aws" && QUARANTINE_POLICIES.iter().any(|policy| arn.resource() == format!("policy/{policy}"))
}

/// The changes a user needs now. The deny is always among them: it may be there already because an earlier delivery
/// put it there and crashed, and then it is this plan that has to undo it.
fn user_plan(user: &ObservedUser, partition: Partition) -> Plan {
    let name = || user.name.clone();
    let cut = vec![DenyAll { user: name() }.into()];
    let mut steps: Vec<Step> = Vec::new();
    steps.extend(user.keys.iter().filter(|key| key.active).map(|key| DeactivateKey { user: name(), key: key.id.clone() }.into()));
    if let Some((created, reset_required)) = user.login {
        steps.push(RemoveLoginProfile { user: name(), created, reset_required }.into());
    }
    steps.extend(user.service_credentials.iter().filter(|credential| credential.active).map(|credential| {
        DeactivateServiceCredential { user: name(), credential: credential.id.clone(), service: credential.service.clone() }
            .into()
    }));
    steps.extend(
        user.ssh_keys.iter().filter(|key| key.active).map(|key| DeactivateSshKey { user: name(), key: key.id.clone() }.into()),
    );
    steps.extend(
        user.certificates
            .iter()
            .filter(|certificate| certificate.active)
            .map(|certificate| DeactivateSigningCertificate { user: name(), certificate: certificate.id.clone() }.into()),
    );
    // One that could not be seen may be AWS's own, and AWS's stays AWS's.
    let unseen = user.unread.iter().any(|what| what.starts_with(ATTACHED_POLICIES));
    if !unseen && !user.attached_policies.iter().any(is_quarantine) {
        steps.push(AttachQuarantineMarker { user: name(), partition, policy: None }.into());
    }
    let then = if steps.is_empty() { Vec::new() } else { vec![Stage { name: "credentials".to_owned(), steps }] };
    Plan { cut, then }
}

/// What contains a role's session, or the role where no session is named, and what there is to say of it.
pub(super) fn plan_for_role(
    decision: &mut Decision,
    role: &ObservedRole,
    accused: &RoleSession,
    finding: &Finding,
    now: Timestamp,
) {
    decision.unread.clone_from(&role.unread);
    let instance = accused.instance.as_ref().and_then(|id| {
        Arn::parse(&format!("arn:{}:ec2:{}:{}:instance/{id}", finding.partition(), finding.region, finding.account)).ok()
    });
    let others = users_of(role);
    if let Some(session) = &accused.session {
        let step = DenySession { role: role.name.clone(), role_id: role.unique_id.clone(), session: session.clone(), instance };
        decision.plan.cut.push(step.into());
        decision
            .blast_radius
            .push(format!("session {session} of role {}, now and whenever it is assumed again under that name", role.name));
        decision.blast_radius.push(format!("not hit: every other session of the role ({others})"));
        decision.residual_risk.push(
            "whoever can assume the role can choose another session name: contain the source of the session too".to_owned(),
        );
        if accused.instance.is_some() {
            decision.residual_risk.push("other credentials on the instance: isolate the instance too".to_owned());
        }
    } else {
        let cutoff = latest_cutoff(role, now);
        let step = RevokeOlderSessions { role: role.name.clone(), cutoff };
        decision.plan.cut.push(step.into());
        decision.blast_radius.push(format!(
            "every session of role {} issued before {}, the legitimate ones too ({others}); instances keep serving their cached \
             credentials until these rotate",
            role.name,
            cutoff.to_policy_date()
        ));
        decision
            .residual_risk
            .push("whoever may still assume the role gets a new session that works: close the source too".to_owned());
    }
    decision
        .residual_risk
        .push("roles assumed from this session: they live until they expire (look for AssumeRole in CloudTrail)".to_owned());
}

/// Now plus the margin, and never earlier than a cut-off already in force. One further off than any we would write
/// is somebody else's edit, and is replaced (CONTAINMENT A6).
fn latest_cutoff(role: &ObservedRole, now: Timestamp) -> Timestamp {
    let cutoff = now.plus(REVOCATION_MARGIN);
    let furthest = cutoff.plus(REVOCATION_MARGIN);
    role.revoked_before().filter(|existing| *existing <= furthest).map_or(cutoff, |existing| existing.max(cutoff))
}

/// Who uses a role, as far as IAM alone tells: its instance profiles and whom its trust policy lets in.
fn users_of(role: &ObservedRole) -> String {
    let mut users: Vec<String> =
        role.instance_profiles.iter().map(|profile| format!("instance profile {}", printable(profile, 80))).collect();
    let statements = serde_json::from_str::<Value>(&role.trust_policy).ok();
    let statements = statements.as_ref().and_then(|policy| policy.get("Statement"));
    for statement in statements.into_iter().flat_map(elements) {
        for principals in statement.get("Principal").and_then(Value::as_object).into_iter().flat_map(serde_json::Map::values) {
            users.extend(
                elements(principals).filter_map(Value::as_str).map(|principal| format!("trusts {}", printable(principal, 100))),
            );
        }
    }
    users.sort();
    users.dedup();
    if users.is_empty() { "its users could not be told from IAM".to_owned() } else { users.join(", ") }
}

/// A JSON value that may be one thing or a list of them, as IAM writes policies.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}
