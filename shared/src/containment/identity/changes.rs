//! The changes an identity needs: which, for a user and for a role, and what of them is missing later.

use super::super::{Decision, Responder};
use super::ladder::{holds_on_role, holds_on_user, rungs_for_role, rungs_for_user};
use super::observed::{
    ATTACHED_POLICIES, MFA_DEVICES, MfaDevice, OWN_DENY, ObservedRole, ObservedUser, Principal, REVOCATION_MARGIN,
};
use super::sources::sources;
use crate::finding::{Finding, RoleSession};
use crate::id::{Arn, Partition, PrincipalName};
use crate::plan::{Cut, DENY_STAGE, Plan, Stage};
use crate::policy;
use crate::step::{
    AttachQuarantineMarker, DeactivateKey, DeactivateServiceCredential, DeactivateSigningCertificate, DeactivateSshKey, DenyAll,
    DenySession, QUARANTINE_POLICIES, RemoveLoginProfile, RevokeOlderSessions, Step,
};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// What `plan` wants and does not hold, and what new credentials need: undone by somebody, added since, or never done.
/// Empty when the containment holds. A revocation that is gone is wanted again with a cut-off of now, never with the
/// old one: sessions made since must not escape it (CONTAINMENT A6). A cut that did not fit is not missing while a rung
/// holds in its place (CONTAINMENT A19).
#[must_use]
pub fn missing(plan: &Plan, principal: &Principal, partition: Partition, now: Timestamp) -> Plan {
    // A deny that could not be read is not known to be gone: that is for the outcome to say, not to be called tampering.
    let blind = principal.unread().iter().any(|what| what.starts_with(OWN_DENY));
    match principal {
        Principal::User(user) => {
            let mut wanted = user_plan(user, partition);
            let denied = blind
                || user.deny.as_deref() == Some(policy::deny_all().as_str())
                || plan.rungs().any(|rung| holds_on_user(rung, user));
            if denied {
                wanted.cut.clear();
            }
            wanted.then.splice(0..0, gone_rungs(plan, |rung| holds_on_user(rung, user)));
            wanted.then.extend(enabled_again(plan, user));
            wanted
        }
        Principal::Role(role) if !blind => {
            let denied = plan.rungs().any(|rung| holds_on_role(rung, role));
            let cut = plan.cut.iter().filter(|cut| !denied && !holds(cut, role)).map(|cut| match cut.step() {
                Step::RevokeOlderSessions(step) => {
                    RevokeOlderSessions { role: step.role.clone(), cutoff: latest_cutoff(role, now).max(step.cutoff) }.into()
                }
                _ => cut.clone(),
            });
            Plan { cut: cut.collect(), then: gone_rungs(plan, |rung| holds_on_role(rung, role)), fallback: Vec::new() }
        }
        Principal::Role(_) | Principal::Absent | Principal::NotLooked | Principal::Unreachable { .. } => Plan::default(),
    }
}

/// The rungs that were carried out and are in place no more.
fn gone_rungs(plan: &Plan, holds: impl Fn(&Step) -> bool) -> Vec<Stage> {
    stage(DENY_STAGE, plan.rungs().filter(|rung| !holds(rung)).cloned().collect())
}

/// The MFA devices the plan took off the user and that are on it again, stage by stage.
fn enabled_again(plan: &Plan, user: &ObservedUser) -> Vec<Stage> {
    let is_on_again = |step: &&Step| match step {
        Step::DeactivateMfaDevice(step) => {
            // A device of the same name enabled anew is another one: whose, only evidence can tell.
            user.mfa_devices.iter().any(|device| device.serial == step.serial && device.enabled == step.enabled)
        }
        _ => false,
    };
    if user.unread.iter().any(|what| what.starts_with(MFA_DEVICES)) {
        return Vec::new();
    }
    plan.then.iter().flat_map(|known| stage(&known.name, known.steps.iter().filter(is_on_again).cloned().collect())).collect()
}

/// A stage of these steps, where there are any.
fn stage(name: &str, steps: Vec<Step>) -> Vec<Stage> {
    if steps.is_empty() { Vec::new() } else { vec![Stage { name: name.to_owned(), steps }] }
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
pub(super) fn plan_for_user(
    decision: &mut Decision,
    user: &ObservedUser,
    finding: &Finding,
    responder: &Responder,
    now: Timestamp,
) {
    let partition = responder.partition;
    decision.plan = user_plan(user, partition);
    decision.plan.fallback = rungs_for_user(user, partition, responder.deny_group(&finding.account));
    decision.unread.clone_from(&user.unread);
    decision.blast_radius.push(format!("everything that signs in or signs requests as user {}", user.name));
    if let Some(attached) = user.attached_policies.iter().find(|arn| is_quarantine(arn)) {
        decision.next_steps.push(format!(
            "AWS has already attached {}: there is an AWS Support case. Answer it, and leave that policy to AWS.",
            attached.resource().trim_start_matches("policy/")
        ));
    }
    name_assumed_roles(decision, finding, now);
    decision.residual_risk.push(
        "roles it assumed before the cut: those sessions live until they expire (look for AssumeRole by its keys in CloudTrail)"
            .to_owned(),
    );
    decision.residual_risk.push("what it created: users, keys, roles, policies, functions (look in CloudTrail)".to_owned());
    if user.name.as_str().starts_with(BEDROCK_USER_PREFIX) {
        decision.next_steps.push(
            "Its name begins like the users made for Bedrock API keys. Its long-term Bedrock API keys are service-specific \
             credentials and are set Inactive with the others; short-term ones are sessions, and die with the deny. Check who \
             made the key, and what was invoked with it."
                .to_owned(),
        );
    }
    if !user.mfa_devices.is_empty() {
        let device = |device: &MfaDevice| {
            let enabled = device.enabled.map(|at| format!(" (enabled {at})")).unwrap_or_default();
            format!("{}{enabled}", printable(&device.serial, 120))
        };
        decision.next_steps.push(format!(
            "check whether its MFA device was added by the attacker: {}",
            user.mfa_devices.iter().map(device).collect::<Vec<_>>().join(", ")
        ));
    }
}

/// How the names of the users begin that the console makes for long-term Bedrock API keys.
const BEDROCK_USER_PREFIX: &str = "BedrockAPIKey-";

/// The roles the detector says the accused assumed: their sessions outlive the cut, and each is a case of its own for
/// a person, who gets the line (CONTAINMENT A7).
fn name_assumed_roles(decision: &mut Decision, finding: &Finding, now: Timestamp) {
    for role in &finding.assumed_roles {
        let shown = printable(role.as_str(), 160);
        decision.residual_risk.push(format!("sessions of {shown}, which it assumed: they live until they expire"));
        let path = role.resource();
        let name = path.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).map(PrincipalName::parse);
        let Some(Ok(name)) = name else {
            decision.next_steps.push(format!("revoke the older sessions of {shown}"));
            continue;
        };
        if path.starts_with("role/aws-service-role/") || path.starts_with("role/aws-reserved/") {
            decision.next_steps.push(format!("{shown} can only be changed by AWS: see who uses it, and contain that"));
            continue;
        }
        let step = RevokeOlderSessions { role: name, cutoff: now.plus(REVOCATION_MARGIN) };
        decision.next_steps.push(format!(
            "{shown} was assumed by it. If nobody else depends on its older sessions, revoke them, in account {}: {}",
            role.account(),
            Step::from(step).command()
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
    Plan { cut, then: stage("credentials", steps), fallback: Vec::new() }
}

/// What contains a role's session, or the role where no session is named, and what there is to say of it.
pub(super) fn plan_for_role(
    decision: &mut Decision,
    role: &ObservedRole,
    accused: &RoleSession,
    finding: &Finding,
    may_deny_whole_role: bool,
    now: Timestamp,
) {
    decision.unread.clone_from(&role.unread);
    if may_deny_whole_role {
        decision.plan.fallback = rungs_for_role(role, finding.partition());
    }
    let instance = accused.instance.as_ref().and_then(|id| {
        Arn::parse(&format!("arn:{}:ec2:{}:{}:instance/{id}", finding.partition(), finding.region, finding.account)).ok()
    });
    let sources = sources(role);
    let others = sources.users;
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
    if let Some(sessions) = sources.sessions {
        decision.blast_radius.push(format!("where its sessions come from, by its trust policy: {sessions}"));
    }
    decision.next_steps.extend(sources.next_steps);
    name_assumed_roles(decision, finding, now);
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
