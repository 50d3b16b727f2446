//! The decision about an identity. Pure: tested as a table, without AWS, clock or network.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{AtSource, CannotContain, Decision, Responder, TargetRecord, Verdict};
use super::observed::{ATTACHED_POLICIES, OWN_DENY, Observed, ObservedRole, ObservedUser, Principal, REVOCATION_MARGIN};
use crate::event::{Ignored, IgnoredReason};
use crate::finding::{ElsewhereSort, Finding, RoleSession, Target, Trigger};
use crate::guardrails::{Guardrails, Mode, Ruling, Subject};
use crate::id::{Arn, Partition};
use crate::plan::{Cut, Plan, Stage};
use crate::policy;
use crate::step::{
    AttachQuarantineMarker, DeactivateKey, DeactivateServiceCredential, DeactivateSigningCertificate, DeactivateSshKey, DenyAll,
    DenySession, QUARANTINE_POLICIES, RemoveLoginProfile, RevokeOlderSessions, Step,
};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// What to do about `target`, which `finding` accuses.
#[must_use]
pub fn decide(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder, now: Timestamp) -> Decision {
    let mut decision = Decision {
        target: TargetRecord::of(finding, target, &observed.principal),
        verdict: Verdict::Observe,
        ruling: None,
        plan: Plan::default(),
        residual_risk: Vec::new(),
        blast_radius: Vec::new(),
        unread: Vec::new(),
        next_steps: Vec::new(),
    };
    if let Some(verdict) = not_to_be_acted_on(finding, target, observed) {
        decision.verdict = verdict;
        return decision;
    }
    if let Some(reason) = out_of_reach(finding, target, &observed.principal, responder) {
        decision.next_steps.push(reason.next_step().to_owned());
        decision.verdict = Verdict::CannotContain(reason);
        return decision;
    }
    if let Some(reason) = protected(finding, target, observed, responder) {
        decision.next_steps.push(
            "It is protected and was not touched. If it really is compromised, contain it by hand, and keep another way into \
             the account open while you do."
                .to_owned(),
        );
        decision.verdict = Verdict::Skip(reason);
        return decision;
    }
    match (&observed.principal, target) {
        (Principal::User(user), _) => plan_for_user(&mut decision, user, responder.partition),
        (Principal::Role(role), Target::RoleSession(session)) => plan_for_role(&mut decision, role, session, finding, now),
        _ => {}
    }
    decision.verdict = go_how_far(&mut decision.ruling, finding, target, observed);
    decision
}

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
                    RevokeOlderSessions { role: step.role.clone(), cutoff: latest_cutoff(role, now) }.into()
                }
                _ => cut.clone(),
            });
            Plan { cut: cut.collect(), then: Vec::new() }
        }
        Principal::Role(_) | Principal::Absent | Principal::NotLooked => Plan::default(),
    }
}

fn holds(cut: &Cut, role: &ObservedRole) -> bool {
    match cut.step() {
        Step::DenySession(step) => role.session_deny.as_deref() == Some(step.document().as_str()),
        Step::RevokeOlderSessions(step) => role.revoked_before().is_some_and(|before| before >= step.cutoff),
        _ => false,
    }
}

/// Claims that are no ground for anything: gone at their source, or of a product nobody listed.
fn not_to_be_acted_on(finding: &Finding, target: &Target, observed: &Observed) -> Option<Verdict> {
    let ignore = |reason, detail: &str| Some(Verdict::Ignore(Ignored { reason, detail: printable(detail, 200) }));
    if observed.source == AtSource::Absent {
        return ignore(IgnoredReason::NotAtSource, &finding.finding_type);
    }
    if let Ok(guardrails) = &observed.guardrails
        && !guardrails.trusts(finding.product.as_deref())
    {
        return ignore(IgnoredReason::ProductNotListed, finding.product.as_deref().unwrap_or_default());
    }
    if let AtSource::Confirmed(source) = &observed.source
        && !(source.account == finding.account && source.targets.iter().any(|named| is_named(named, target)))
    {
        return Some(Verdict::Skip(
            "the detector's own record of this finding names another principal than the event does".to_owned(),
        ));
    }
    if let AtSource::Settled(reason) = &observed.source {
        // Somebody archived it between the event and now: a person hears of it, since that may be the attacker.
        return Some(Verdict::Skip(format!("since the event, at the detector: {}", printable(reason, 120))));
    }
    None
}

/// The target in the detector's own words, where the detector names the same principal: a copy of a finding may
/// leave out the unique id, or the instance the credentials belong to.
#[must_use]
pub fn as_named_at_source(target: &Target, source: &AtSource) -> Target {
    let AtSource::Confirmed(finding) = source else { return target.clone() };
    let identities = || finding.targets.iter().filter(|named| named.is_identity());
    match target {
        // What the copy could not name, the detector may: but only if it names one.
        Target::Elsewhere(_) if identities().count() == 1 => identities().next().unwrap_or(target).clone(),
        Target::Elsewhere(_) => target.clone(),
        _ => identities().find(|named| is_named(named, target)).unwrap_or(target).clone(),
    }
}

/// Whether the principal the detector names is the one the event named. A sparse copy may leave out the unique id or
/// name a key only; the detector then says whose it is.
fn is_named(at_source: &Target, target: &Target) -> bool {
    match (at_source, target) {
        (Target::User(source), Target::User(claimed)) => {
            source.name == claimed.name
                && (source.unique_id == claimed.unique_id || (claimed.unique_id.is_none() && source.key == claimed.key))
        }
        (Target::RoleSession(source), Target::RoleSession(claimed)) => {
            let agrees = source.role_id == claimed.role_id || (claimed.role_id.is_none() && source.key == claimed.key);
            source.role == claimed.role && agrees && source.session == claimed.session
        }
        (Target::Root { .. }, Target::Root { .. }) => true,
        // A principal out of reach is out of reach whatever the copy calls it.
        (_, Target::Elsewhere(_)) => true,
        _ => at_source == target,
    }
}

fn out_of_reach(finding: &Finding, target: &Target, principal: &Principal, responder: &Responder) -> Option<CannotContain> {
    if responder.is_foreign(finding) {
        return Some(CannotContain::ForeignAccount);
    }
    match (target, principal) {
        (Target::Root { .. }, _) => Some(CannotContain::Root),
        (Target::Elsewhere(elsewhere), _) => Some(elsewhere_reason(elsewhere.sort)),
        (Target::Resource { .. }, _) => Some(CannotContain::UnnamedPrincipal),
        (Target::AccessKey { .. }, _) => Some(CannotContain::KeyOwnerUnknown),
        (Target::User(accused), Principal::User(user)) => match &accused.unique_id {
            Some(id) if *id == user.unique_id => None,
            Some(_) => Some(CannotContain::UniqueIdMismatch),
            // A key is as unique as the id, and IAM says whose it is.
            None if accused.key.as_ref().is_some_and(|key| user.keys.iter().any(|known| known.id == *key)) => None,
            None => Some(CannotContain::UniqueIdMissing),
        },
        (Target::RoleSession(accused), Principal::Role(role)) => match &accused.role_id {
            _ if role.is_service_linked() => Some(CannotContain::ServiceLinkedRole),
            _ if role.is_identity_center() => Some(CannotContain::IdentityCenterRole),
            Some(id) if *id == role.unique_id => None,
            Some(_) => Some(CannotContain::UniqueIdMismatch),
            None => Some(CannotContain::UniqueIdMissing),
        },
        _ => Some(CannotContain::NoSuchPrincipal),
    }
}

fn elsewhere_reason(sort: ElsewhereSort) -> CannotContain {
    match sort {
        ElsewhereSort::FederatedUser => CannotContain::FederatedUser,
        ElsewhereSort::SamlUser => CannotContain::SamlUser,
        ElsewhereSort::WebIdentityUser => CannotContain::WebIdentityUser,
        ElsewhereSort::ForeignAccount => CannotContain::ForeignAccount,
        ElsewhereSort::Anonymous => CannotContain::Anonymous,
        ElsewhereSort::AwsService => CannotContain::AwsService,
        ElsewhereSort::DirectoryUser => CannotContain::DirectoryUser,
        ElsewhereSort::UnknownType => CannotContain::UnknownUserType,
        ElsewhereSort::SeveralActors => CannotContain::SeveralActors,
        ElsewhereSort::Unnamed => CannotContain::UnnamedPrincipal,
    }
}

fn protected(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder) -> Option<String> {
    let subject = subject(finding, target, &observed.principal);
    if subject.arn.is_some_and(|arn| responder.own_roles.contains(arn)) {
        return Some("this is Tourniquet's own role: the responder never contains itself".to_owned());
    }
    let protection = observed.guardrails.as_ref().ok()?.protection(subject)?;
    Some(format!("protected: {}", printable(&protection.because, 120)))
}

/// The target's facts the guardrails match on: AWS's, not the finding's.
fn subject<'a>(finding: &'a Finding, target: &Target, principal: &'a Principal) -> Subject<'a> {
    static NO_TAGS: BTreeMap<String, String> = BTreeMap::new();
    let (arn, unique_id, tags) = match principal {
        Principal::User(user) => (Some(&user.arn), Some(&user.unique_id), &user.tags),
        Principal::Role(role) => (Some(&role.arn), Some(&role.unique_id), &role.tags),
        Principal::Absent | Principal::NotLooked => (None, None, &NO_TAGS),
    };
    Subject { kind: target.kind(), account: &finding.account, arn, unique_id, tags }
}

/// The guardrails' word, and what may lower it: no guardrails, or a finding its detector could not be asked about.
fn go_how_far(ruling: &mut Option<Ruling>, finding: &Finding, target: &Target, observed: &Observed) -> Verdict {
    let guardrails = match &observed.guardrails {
        Ok(guardrails) => guardrails,
        Err(reason) => return Verdict::Propose(format!("the guardrails could not be read: {}", printable(reason, 200))),
    };
    let decided = mode(guardrails, finding, subject(finding, target, &observed.principal));
    let mode = decided.mode;
    let rule = decided.rule.clone();
    *ruling = Some(decided);
    match (mode, &observed.source) {
        (Mode::Observe, _) => Verdict::Observe,
        (Mode::Propose, _) => Verdict::Propose(format!("the guardrails say propose: {rule}")),
        (Mode::Contain, AtSource::Unconfirmed { reason, .. }) => {
            Verdict::Propose(format!("the detector could not be asked whether the finding is real: {}", printable(reason, 200)))
        }
        (Mode::Contain, _) => Verdict::Contain,
    }
}

/// A rule decides for an event. A person's click means contain, under the ceiling.
fn mode(guardrails: &Guardrails, finding: &Finding, subject: Subject<'_>) -> Ruling {
    match &finding.trigger {
        Trigger::Event => guardrails.ruling(finding, subject),
        Trigger::Button { .. } if guardrails.ceiling() == Mode::Contain => {
            Ruling { mode: Mode::Contain, rule: "a person pressed the button".to_owned() }
        }
        Trigger::Button { .. } => {
            let mode = guardrails.ceiling();
            Ruling { mode, rule: format!("mode = \"{}\" caps the button", mode.as_str()) }
        }
    }
}

fn plan_for_user(decision: &mut Decision, user: &ObservedUser, partition: Partition) {
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

fn plan_for_role(decision: &mut Decision, role: &ObservedRole, accused: &RoleSession, finding: &Finding, now: Timestamp) {
    decision.unread.clone_from(&role.unread);
    let instance = accused.instance.as_ref().and_then(|id| {
        Arn::parse(&format!("arn:{}:ec2:{}:{}:instance/{id}", finding.partition(), finding.region, finding.account)).ok()
    });
    let others = users_of(role);
    if let Some(session) = &accused.session {
        let step = DenySession { role: role.name.clone(), role_id: role.unique_id.clone(), session: session.clone(), instance };
        decision.plan.cut.push(step.into());
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

impl TargetRecord {
    /// The target as the case files it: by what the finding accuses, with the ARN AWS gives where it was found.
    #[must_use]
    pub fn of(finding: &Finding, target: &Target, principal: &Principal) -> Self {
        let iam = |resource: String| Arn::iam(finding.partition(), &finding.account, &resource).to_string();
        let (arn, id) = match target {
            Target::User(user) => (iam(format!("user/{}", user.name)), user.unique_id.as_ref().map(ToString::to_string)),
            Target::RoleSession(RoleSession { role, role_id, session, .. }) => {
                let id = role_id
                    .as_ref()
                    .map(|id| session.as_ref().map_or_else(|| id.to_string(), |session| format!("{id}:{session}")));
                (iam(format!("role/{role}")), id)
            }
            Target::AccessKey { key } => (format!("access key {key}"), None),
            Target::Root { .. } => (iam("root".to_owned()), Some("root".to_owned())),
            Target::Elsewhere(elsewhere) => (format!("{} {}", elsewhere_reason(elsewhere.sort).as_str(), elsewhere.label), None),
            Target::Resource { resource_type } => (resource_type.clone(), None),
        };
        let (arn, id) = match principal {
            Principal::User(user) if id.is_none() => (user.arn.to_string(), Some(user.unique_id.to_string())),
            Principal::User(user) if id.as_deref() == Some(user.unique_id.as_str()) => (user.arn.to_string(), id),
            Principal::Role(role) if id.as_deref().is_some_and(|id| id.starts_with(role.unique_id.as_str())) => {
                (role.arn.to_string(), id)
            }
            _ => (arn, id),
        };
        Self { kind: target.kind(), arn, id, account: finding.account.clone() }
    }

    /// The record before anything was observed: enough to find the open case, in the same wave as everything else.
    #[must_use]
    pub fn accused(finding: &Finding, target: &Target) -> Self {
        Self::of(finding, target, &Principal::NotLooked)
    }
}
