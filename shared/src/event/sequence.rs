//! GuardDuty's attack sequences: actors instead of `accessKeyDetails` (CONTAINMENT D1).
//!
//! One principal is a target. Several are targets, each contained on its own, if they form one chain: all but the
//! first hold a session that another of them issued. Otherwise they need not belong together, and whom to contain is
//! for a person to say.

use super::json::Json;
use super::principal::{Claim, add_principal, same_principal};
use crate::finding::{Elsewhere, ElsewhereSort, Target};
use crate::id::{AccountId, Arn};

/// No chain is longer: with more actors than these a person looks first.
const LONGEST_CHAIN: usize = 8;

/// The accused of an attack sequence in `account`.
pub(super) fn attack_sequence(finding: Json<'_>, account: &AccountId) -> Vec<Target> {
    let elsewhere = |sort, label| vec![Target::Elsewhere(Elsewhere { sort, label, key: None })];
    let mut targets: Vec<Target> = Vec::new();
    let mut sessions: Vec<(Target, Arn)> = Vec::new();
    for actor in finding.each("service.detection.sequence.actors").filter(|actor| actor.at("user").is_some()) {
        let target = target(actor);
        let issuer = actor.text("session.issuer").and_then(|arn| Arn::parse(&arn).ok());
        sessions.extend(issuer.map(|issuer| (target.clone(), issuer)));
        // One principal may act with several credentials.
        add_principal(&mut targets, target);
    }
    match targets.len() {
        0 => elsewhere(ElsewhereSort::Unnamed, "attack sequence without an actor".to_owned()),
        1 => targets,
        count if count > LONGEST_CHAIN || !is_one_chain(&targets, &sessions, account) => {
            elsewhere(ElsewhereSort::SeveralActors, format!("{count} actors"))
        }
        // A federated session is contained with the user that issued it, who is of the chain.
        _ => targets.into_iter().filter(|target| !is_federated(target)).collect(),
    }
}

fn target(actor: Json<'_>) -> Target {
    Claim {
        user_type: actor.text("user.type"),
        user_name: actor.text("user.name"),
        principal_id: actor.text("user.uid"),
        key: actor.text("user.credentialUid"),
        instance: None,
        // `user.account` is where the activity happened, not whose the user is; the unique id tells.
        remote_account: None,
        // An ARN without the unique id: enough to see who belongs together, not enough to act on.
        issuer: None,
    }
    .target()
}

/// Whether every principal but one descends from that one. A role's session names its own role as issuer, which
/// links it to nobody.
fn is_one_chain(targets: &[Target], sessions: &[(Target, Arn)], account: &AccountId) -> bool {
    let is_issued_by = |child: &Target, parent: &Target| {
        child != parent
            && sessions.iter().any(|(mention, issuer)| same_principal(child, mention) && is_arn_of(issuer, parent, account))
    };
    let parents_of =
        |child: usize| (0..targets.len()).filter(|parent| is_issued_by(&targets[child], &targets[*parent])).collect::<Vec<_>>();
    let parents: Vec<Vec<usize>> = (0..targets.len()).map(parents_of).collect();
    let mut reached: Vec<bool> = parents.iter().map(Vec::is_empty).collect();
    if reached.iter().filter(|is_first| **is_first).count() != 1 {
        return false;
    }
    // As many rounds as there are links in the longest chain.
    for _ in targets {
        reached =
            (0..targets.len()).map(|child| reached[child] || parents[child].iter().any(|&parent| reached[parent])).collect();
    }
    reached.into_iter().all(|is_reached| is_reached)
}

fn is_arn_of(arn: &Arn, target: &Target, account: &AccountId) -> bool {
    let (prefix, name) = match target {
        Target::User(user) => ("user/", &user.name),
        Target::RoleSession(session) => ("role/", &session.role),
        _ => return false,
    };
    let last = arn.resource().strip_prefix(prefix).and_then(|path| path.rsplit('/').next());
    arn.service() == "iam" && arn.account() == account.as_str() && last == Some(name.as_str())
}

fn is_federated(target: &Target) -> bool {
    matches!(target, Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, .. }))
}
