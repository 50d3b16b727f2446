//! How the steps on an identity stand now, and what is new on it.

use super::{Asked, Does, Picture, Stands, Undoing, does};
use crate::containment::identity::{ATTACHED_POLICIES, GROUPS, OWN_DENY, ObservedRole, ObservedUser, Principal};
use crate::id::{Arn, PrincipalName};
use crate::plan::Plan;
use crate::policy;
use crate::step::{Step, is_aws_deny_all};
use crate::text::printable;
use crate::timestamp::Timestamp;

pub(super) fn picture<'a>(
    newest_first: impl Iterator<Item = &'a Step>,
    plan: &Plan,
    before: &Principal,
    now: &Principal,
    first_seen: Timestamp,
    asked: &Asked,
) -> Picture {
    match now {
        Principal::Unreachable { reason } => {
            return Picture::refusing(format!("its account cannot be entered: {reason}"));
        }
        Principal::NotLooked => return Picture::refusing("there is nothing in IAM to look at for this target".to_owned()),
        _ => {}
    }
    if now.unique_id().is_some() && now.unique_id() != before.unique_id() {
        return Picture::refusing(
            "the name belongs to another principal now: the contained one was deleted, and one of the same name was made. \
             Nothing of this case is on it; find out in CloudTrail who did that"
                .to_owned(),
        );
    }
    let since = since(plan, before, now, asked);
    let steps = newest_first.map(|step| {
        let mut stands = stands(step, now);
        // While a deny is off, everything that is new on the principal works.
        if stands == Stands::AsWeLeftIt && is_deny(step) && !since.is_empty() {
            stands = Stands::Differs(since.join("; "));
        }
        Undoing { does: does(step, stands, by_name(step, before, first_seen), asked), step: step.clone() }
    });
    let steps: Vec<_> = steps.collect();
    // Where no deny is left to undo, what is new is of no matter to this case.
    let matters = steps.iter().any(|undoing| is_deny(&undoing.step) && undoing.does != Does::Already);
    Picture { refused: None, steps, since: if matters { since } else { Vec::new() } }
}

fn is_deny(step: &Step) -> bool {
    matches!(
        step,
        Step::DenyAll(_)
            | Step::AttachDenyAll(_)
            | Step::DenyByBoundary(_)
            | Step::JoinDenyGroup(_)
            | Step::DenySession(_)
            | Step::RevokeOlderSessions(_)
    )
}

/// A credential that is younger than the first sighting may be the attacker's.
fn by_name(step: &Step, before: &Principal, first_seen: Timestamp) -> Option<&'static str> {
    let Principal::User(user) = before else { return None };
    let made = match step {
        Step::DeactivateServiceCredential(step) => {
            user.service_credentials.iter().find(|known| known.id == step.credential)?.created
        }
        Step::DeactivateSshKey(step) => user.ssh_keys.iter().find(|known| known.id == step.key)?.uploaded,
        Step::DeactivateSigningCertificate(step) => user.certificates.iter().find(|known| known.id == step.certificate)?.uploaded,
        _ => return None,
    };
    made.is_none_or(|made| made >= first_seen).then_some("it is younger than the first sighting, and may be the attacker's")
}

fn stands(step: &Step, now: &Principal) -> Stands {
    match now {
        Principal::User(user) => on_user(step, user),
        Principal::Role(role) => on_role(step, role),
        Principal::Absent => Stands::Gone("the principal was deleted: nothing of this case is left on it".to_owned()),
        Principal::NotLooked | Principal::Unreachable { .. } => Stands::Unread,
    }
}

fn on_user(step: &Step, user: &ObservedUser) -> Stands {
    let unread = |what: &str| user.unread.iter().any(|unread| unread.starts_with(what));
    let inactive = |active: Option<bool>| match active {
        Some(false) => Stands::AsWeLeftIt,
        Some(true) => Stands::AsBefore,
        None => Stands::Gone("the credential was deleted".to_owned()),
    };
    match step {
        Step::DenyAll(_) if unread(OWN_DENY) => Stands::Unread,
        Step::DenyAll(_) => document(user.deny.as_deref(), &policy::deny_all()),
        Step::DeactivateKey(step) => inactive(user.keys.iter().find(|key| key.id == step.key).map(|key| key.active)),
        Step::DeactivateServiceCredential(step) => {
            inactive(user.service_credentials.iter().find(|known| known.id == step.credential).map(|known| known.active))
        }
        Step::DeactivateSshKey(step) => {
            inactive(user.ssh_keys.iter().find(|known| known.id == step.key).map(|known| known.active))
        }
        Step::DeactivateSigningCertificate(step) => {
            inactive(user.certificates.iter().find(|known| known.id == step.certificate).map(|known| known.active))
        }
        Step::AttachQuarantineMarker(_) | Step::AttachDenyAll(_) if unread(ATTACHED_POLICIES) => Stands::Unread,
        Step::AttachQuarantineMarker(step) => {
            let is_it = |arn: &Arn| arn.account() == "aws" && step.policy.as_deref() == arn.resource().strip_prefix("policy/");
            attached(user.attached_policies.iter().any(is_it))
        }
        Step::AttachDenyAll(_) => attached(user.attached_policies.iter().any(is_aws_deny_all)),
        Step::DenyByBoundary(step) => boundary(user.permissions_boundary.as_ref(), step.old.as_ref()),
        Step::JoinDenyGroup(_) if unread(GROUPS) => Stands::Unread,
        Step::JoinDenyGroup(step) => attached(user.groups.contains(&step.group)),
        // What else there is stays as it is, however it stands.
        _ => Stands::AsWeLeftIt,
    }
}

fn on_role(step: &Step, role: &ObservedRole) -> Stands {
    let unread = |what: &str| role.unread.iter().any(|unread| unread.starts_with(what));
    match step {
        Step::DenySession(_) | Step::RevokeOlderSessions(_) if unread(OWN_DENY) => Stands::Unread,
        Step::DenySession(step) => session(role.session_deny.as_deref(), &step.document()),
        Step::RevokeOlderSessions(step) => document(role.revocation.as_deref(), &policy::revoke_older_sessions(step.cutoff)),
        Step::AttachDenyAll(_) if unread(ATTACHED_POLICIES) => Stands::Unread,
        Step::AttachDenyAll(_) => attached(role.attached_policies.iter().any(is_aws_deny_all)),
        Step::DenyByBoundary(step) => boundary(role.permissions_boundary.as_ref(), step.old.as_ref()),
        _ => Stands::AsWeLeftIt,
    }
}

/// How an inline policy of ours stands.
fn document(now: Option<&str>, ours: &str) -> Stands {
    match now {
        Some(now) if now == ours => Stands::AsWeLeftIt,
        Some(_) => Stands::Differs("somebody edited the policy this case put there".to_owned()),
        None => Stands::AsBefore,
    }
}

/// How the deny of a session stands: what holds its older sessions is put in its place.
pub(super) fn session(now: Option<&str>, ours: &str) -> Stands {
    match now {
        Some(now) if now != ours && policy::is_deny_of_older_sessions(now, ours) => Stands::AsBefore,
        now => document(now, ours),
    }
}

fn attached(is_so: bool) -> Stands {
    if is_so { Stands::AsWeLeftIt } else { Stands::AsBefore }
}

fn boundary(now: Option<&Arn>, old: Option<&Arn>) -> Stands {
    match now {
        Some(now) if is_aws_deny_all(now) => Stands::AsWeLeftIt,
        now if now == old => Stands::AsBefore,
        Some(now) => Stands::Differs(format!("the permissions boundary is {} now", printable(now.as_str(), 160))),
        None => Stands::Differs("the permissions boundary was taken away".to_owned()),
    }
}

/// What is on the principal that was not there before the case, and is not the case's: without the deny all of it works.
fn since(plan: &Plan, before: &Principal, now: &Principal, asked: &Asked) -> Vec<String> {
    match (before, now) {
        (Principal::User(before), Principal::User(now)) => since_user(plan, before, now, asked),
        (Principal::Role(before), Principal::Role(now)) => since_role(before, now),
        _ => Vec::new(),
    }
}

fn since_user(plan: &Plan, before: &ObservedUser, now: &ObservedUser, asked: &Asked) -> Vec<String> {
    let mut new = Vec::new();
    // Active now, and not because it was so all along: the case has deactivated what was active.
    let deactivated = |id: &str| plan.steps().any(|step| super::credential(step) == Some(id));
    let is_asked_for = |id: &str| asked.reactivate.iter().any(|asked| asked == id);
    let mut active = |kind: &str, id: &str, shown: String, known: bool| {
        if is_asked_for(id) {
            return;
        }
        if !known {
            new.push(format!("{kind} {shown} was made since, and is active"));
        } else if deactivated(id) {
            new.push(format!("{kind} {shown} was activated again"));
        }
    };
    for key in now.keys.iter().filter(|key| key.active) {
        active("access key", key.id.as_str(), key.id.to_string(), before.keys.iter().any(|known| known.id == key.id));
    }
    // The others come back with the release, but for those that somebody made since.
    for made in now.service_credentials.iter().filter(|one| one.active) {
        let known = before.service_credentials.iter().any(|known| known.id == made.id);
        if !known {
            active("service-specific credential", &made.id, made.id.clone(), known);
        }
    }
    for (kind, now, before) in
        [("SSH key", &now.ssh_keys, &before.ssh_keys), ("signing certificate", &now.certificates, &before.certificates)]
    {
        for made in now.iter().filter(|one| one.active && !before.iter().any(|known| known.id == one.id)) {
            active(kind, &made.id, made.id.clone(), false);
        }
    }
    let removed = plan.steps().any(|step| matches!(step, Step::RemoveLoginProfile(_)));
    if now.login.is_some() && (removed || before.login.is_none()) {
        new.push("a console password was set since".to_owned());
    }
    for device in now.mfa_devices.iter().filter(|device| !before.mfa_devices.iter().any(|known| known.serial == device.serial)) {
        new.push(format!("MFA device {} was enabled since", printable(&device.serial, 120)));
    }
    for group in now.groups.iter().filter(|group| !before.groups.contains(group) && !is_deny_group(plan, &now.name, group)) {
        new.push(format!("it was put into group {} since", printable(group, 128)));
    }
    new.extend(new_policies(plan, &before.attached_policies, &now.attached_policies));
    new.extend(new_boundary(before.permissions_boundary.as_ref(), now.permissions_boundary.as_ref()));
    new
}

fn since_role(before: &ObservedRole, now: &ObservedRole) -> Vec<String> {
    let mut new = Vec::new();
    if before.trust_policy != now.trust_policy {
        new.push("its trust policy was changed since: somebody else may assume it".to_owned());
    }
    for profile in now.instance_profiles.iter().filter(|profile| !before.instance_profiles.contains(profile)) {
        new.push(format!("it was put into instance profile {} since", printable(profile, 128)));
    }
    new.extend(new_policies(&Plan::default(), &before.attached_policies, &now.attached_policies));
    new.extend(new_boundary(before.permissions_boundary.as_ref(), now.permissions_boundary.as_ref()));
    new
}

fn new_policies(plan: &Plan, before: &[Arn], now: &[Arn]) -> Vec<String> {
    let is_marker = |arn: &Arn| {
        plan.steps().any(|step| match step {
            Step::AttachQuarantineMarker(step) => step.policy.as_deref() == arn.resource().strip_prefix("policy/"),
            _ => false,
        })
    };
    let is_new = |arn: &&Arn| !before.contains(arn) && !is_aws_deny_all(arn) && !is_marker(arn);
    now.iter().filter(is_new).map(|arn| format!("policy {} was attached since", printable(arn.as_str(), 160))).collect()
}

fn new_boundary(before: Option<&Arn>, now: Option<&Arn>) -> Option<String> {
    let is_ours = now.is_some_and(is_aws_deny_all);
    (before != now && !is_ours).then(|| match now {
        Some(now) => format!("its permissions boundary is {} since", printable(now.as_str(), 160)),
        None => "its permissions boundary was taken away since".to_owned(),
    })
}

fn is_deny_group(plan: &Plan, user: &PrincipalName, group: &str) -> bool {
    plan.steps().any(|step| matches!(step, Step::JoinDenyGroup(step) if step.user == *user && step.group == group))
}
