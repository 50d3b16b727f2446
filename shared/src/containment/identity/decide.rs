//! The decision about an identity. Pure: tested as a table, without AWS, clock or network.

use std::collections::BTreeMap;

use super::super::verdict::{go_how_far, not_to_be_acted_on, untouchable};
use super::super::{AtSource, CannotContain, Decision, Responder, TargetRecord, Verdict, also_accused};
use super::changes::{plan_for_role, plan_for_user};
use super::observed::{Observed, Principal};
use super::persistence::signs_since;
use crate::finding::{Elsewhere, ElsewhereSort, Finding, Target, User};
use crate::guardrails::{Guardrails, Subject};
use crate::timestamp::Timestamp;

/// What to do about `target`, which `finding` accuses.
#[must_use]
pub fn decide(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder, now: Timestamp) -> Decision {
    let mut decision = Decision::of(TargetRecord::of(finding, target, &observed.state));
    decision.next_steps.extend(also_accused(finding, target));
    let is_ours = |named: &Target| is_named(named, target);
    if let Some(verdict) = not_to_be_acted_on(finding, &observed.source, &observed.guardrails, is_ours) {
        decision.verdict = verdict;
        return decision;
    }
    if let Some(reason) = out_of_reach(finding, target, &observed.state, responder) {
        decision.next_steps.push(reason.next_step().to_owned());
        decision.verdict = Verdict::CannotContain(reason);
        return decision;
    }
    decision.persistence = signs_since(&observed.state, finding.first_seen);
    let subject = subject(finding, target, &observed.state);
    if let Some(reason) = untouchable(subject, responder, observed.guardrails.as_ref().ok()) {
        decision.next_steps.push(
            "It is protected and was not touched. If it really is compromised, contain it by hand, and keep another way into \
             the account open while you do."
                .to_owned(),
        );
        decision.verdict = Verdict::Skip(reason);
        return decision;
    }
    match (&observed.state, target) {
        (Principal::User(user), _) => plan_for_user(&mut decision, user, finding, responder, now),
        (Principal::Role(role), Target::RoleSession(session)) => {
            let whole = observed.guardrails.as_ref().is_ok_and(Guardrails::may_deny_whole_role);
            plan_for_role(&mut decision, role, session, finding, whole, now);
        }
        _ => {}
    }
    (decision.verdict, decision.ruling) = go_how_far(finding, subject, &observed.source, &observed.guardrails);
    decision
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
        (Target::Elsewhere(elsewhere), _) => Some(elsewhere.sort.reason()),
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
