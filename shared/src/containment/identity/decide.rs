//! The decision about an identity. Pure: tested as a table, without AWS, clock or network.

use std::collections::BTreeMap;

use super::super::{AtSource, CannotContain, Decision, Responder, TargetRecord, Verdict};
use super::changes::{plan_for_role, plan_for_user};
use super::observed::{Observed, Principal};
use super::persistence::signs_since;
use crate::event::{Ignored, IgnoredReason};
use crate::finding::{Elsewhere, ElsewhereSort, Finding, RoleSession, Target, Trigger, User};
use crate::guardrails::{Guardrails, Mode, Ruling, Subject};
use crate::id::Arn;
use crate::plan::Plan;
use crate::text::{printable, sha256};
use crate::timestamp::Timestamp;

/// What the names of roles begin with through which an organization, its landing zone or its stack sets manage an account:
/// without them nobody gets in from outside to help. Never touched, whatever the guardrails say (CONTAINMENT H2).
const LANDING_ZONE_ROLES: [&str; 5] = [
    "OrganizationAccountAccessRole",
    "AWSControlTowerExecution",
    "AWSCloudFormationStackSetAdministrationRole",
    "AWSCloudFormationStackSetExecutionRole",
    "stacksets-exec-",
];

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
        persistence: Vec::new(),
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
    decision.persistence = signs_since(&observed.principal, finding.first_seen);
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
        (Principal::User(user), _) => plan_for_user(&mut decision, user, finding, responder, now),
        (Principal::Role(role), Target::RoleSession(session)) => {
            let whole = observed.guardrails.as_ref().is_ok_and(Guardrails::may_deny_whole_role);
            plan_for_role(&mut decision, role, session, finding, whole, now);
        }
        _ => {}
    }
    decision.verdict = go_how_far(&mut decision.ruling, finding, target, observed);
    decision
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
        // A detector that names the key alone, or the federated name, says less than what was found out about it.
        _ => {
            let says_who = |named: &&Target| !matches!(named, Target::AccessKey { .. } | Target::Elsewhere(_));
            identities().filter(says_who).find(|named| is_named(named, target)).unwrap_or(target).clone()
        }
    }
}

/// Whether the principal the detector names is the one the event named. A sparse copy may leave out the unique id or
/// name a key only; the detector then says whose it is.
fn is_named(at_source: &Target, target: &Target) -> bool {
    match (at_source, target) {
        (Target::User(source), Target::User(claimed)) => {
            let silent = claimed.unique_id.is_none() && (claimed.key.is_none() || claimed.key == source.key);
            source.name == claimed.name && (source.unique_id == claimed.unique_id || silent)
        }
        (Target::RoleSession(source), Target::RoleSession(claimed)) => {
            let silent = claimed.role_id.is_none() && (claimed.key.is_none() || claimed.key == source.key);
            let same_session = source.session == claimed.session || (silent && claimed.session.is_none());
            source.role == claimed.role && (source.role_id == claimed.role_id || silent) && same_session
        }
        // The detector names a key, and IAM whose it is; or a federated session, and CloudTrail who issued it; or it names
        // the principal, and the copy the key alone.
        (Target::AccessKey { key }, Target::User(User { key: Some(claimed), .. }))
        | (
            Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, key: Some(key), .. }),
            Target::User(User { key: Some(claimed), .. }) | Target::Root { key: Some(claimed) },
        )
        | (Target::User(User { key: Some(key), .. }) | Target::Root { key: Some(key) }, Target::AccessKey { key: claimed }) => {
            key == claimed
        }
        // Root is root whichever key it used, and who is out of reach is so whatever the copy calls it.
        (Target::Root { .. }, Target::Root { .. }) | (_, Target::Elsewhere(_)) => true,
        _ => at_source == target,
    }
}

fn out_of_reach(finding: &Finding, target: &Target, principal: &Principal, responder: &Responder) -> Option<CannotContain> {
    if responder.is_foreign(finding) {
        return Some(CannotContain::ForeignAccount);
    }
    if matches!(principal, Principal::Unreachable { .. }) {
        return Some(CannotContain::NoAccess);
    }
    match (target, principal) {
        (Target::Root { .. }, _) => Some(CannotContain::Root),
        (Target::Elsewhere(elsewhere), _) => Some(elsewhere_reason(elsewhere.sort)),
        (Target::Instance(_) | Target::Resource { .. }, _) => Some(CannotContain::UnnamedPrincipal),
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
    if subject.arn.is_some_and(|arn| responder.is_own(arn)) {
        return Some("this is Tourniquet's own role: the responder never contains itself".to_owned());
    }
    if let Some(arn) = subject.arn
        && LANDING_ZONE_ROLES.iter().any(|role| arn.resource().rsplit('/').next().is_some_and(|name| name.starts_with(role)))
        && arn.resource().starts_with("role/")
    {
        return Some("protected: it is how the organization or its stack sets get into this account".to_owned());
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
        Principal::Absent | Principal::NotLooked | Principal::Unreachable { .. } => (None, None, &NO_TAGS),
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
            // Redacted, two keys may read alike: a few digits of the digest tell them apart.
            Target::AccessKey { key } => (format!("access key {key} #{}", &sha256(key.as_str().as_bytes())[..8]), None),
            Target::Root { .. } => (iam("root".to_owned()), Some("root".to_owned())),
            Target::Elsewhere(elsewhere) => (format!("{} {}", elsewhere_reason(elsewhere.sort).as_str(), elsewhere.label), None),
            Target::Instance(instance) => {
                let arn = Arn::instance(finding.partition(), &finding.region, &finding.account, &instance.id);
                (arn.to_string(), Some(instance.id.to_string()))
            }
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
