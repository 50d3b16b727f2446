//! GuardDuty's attack sequences: actors instead of `accessKeyDetails` (CONTAINMENT D1), and the instances of a sequence
//! that is about instances.
//!
//! One principal is a target. Several are targets, each contained on its own, if they form one chain: all but the
//! first hold a session that another of them issued. Otherwise they need not belong together, and whom to contain is
//! for a person to say. Instances of `AttackSequence:EC2/…` are accused beside them; in other sequences they are only
//! where something happened.

use super::instance::Whereabouts;
use super::json::Json;
use super::principal::{Claim, add_target, same_principal};
use crate::finding::{Elsewhere, ElsewhereSort, Target};
use crate::id::{AccountId, Arn};

/// No chain is longer: with more actors than these a person looks first.
const LONGEST_CHAIN: usize = 8;
/// A group is not larger: so many instances at once are an outage, and a person looks first.
const LARGEST_GROUP: usize = 8;

/// The accused of an attack sequence.
pub(super) fn attack_sequence(finding: Json<'_>, whereabouts: &Whereabouts<'_>) -> Vec<Target> {
    let is_about_instances = finding.text("type").is_some_and(|kind| kind.starts_with("AttackSequence:EC2/"));
    let mut targets = actors(finding, whereabouts.account);
    targets.extend(Some(instances(finding, whereabouts)).filter(|_| is_about_instances).into_iter().flatten());
    if !targets.is_empty() {
        return targets;
    }
    let label = if is_about_instances {
        "attack sequence without an actor or an instance of its account and Region"
    } else {
        "attack sequence without an actor"
    };
    vec![elsewhere(ElsewhereSort::Unnamed, label.to_owned())]
}

fn elsewhere(sort: ElsewhereSort, label: String) -> Target {
    Target::Elsewhere(Elsewhere { sort, label, key: None })
}

/// The instances of the finding's account and Region, each once.
fn instances(finding: Json<'_>, whereabouts: &Whereabouts<'_>) -> Vec<Target> {
    let mut targets = Vec::new();
    for resource in finding.each("service.detection.sequence.resources") {
        let is_instance = resource.text("resourceType").is_some_and(|kind| kind == "EC2_INSTANCE");
        if is_instance && whereabouts.has(resource, "accountId", "region", "cloudPartition") {
            let profile = resource.text("data.ec2Instance.iamInstanceProfile.arn");
            if let Some(target) = whereabouts.instance(resource.text("uid"), profile) {
                add_target(&mut targets, target);
            }
        }
    }
    if targets.len() > LARGEST_GROUP {
        return vec![elsewhere(ElsewhereSort::SeveralActors, format!("{} instances", targets.len()))];
    }
    targets
}

fn actors(finding: Json<'_>, account: &AccountId) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut sessions: Vec<(Target, Arn)> = Vec::new();
    for actor in finding.each("service.detection.sequence.actors").filter(|actor| actor.at("user").is_some()) {
        let target = target(actor);
        let issuer = actor.text("session.issuer").and_then(|arn| Arn::parse(&arn).ok());
        sessions.extend(issuer.map(|issuer| (target.clone(), issuer)));
        // One principal may act with several credentials.
        add_target(&mut targets, target);
    }
    match targets.len() {
        0 | 1 => targets,
        count if count > LONGEST_CHAIN || !is_one_chain(&targets, &sessions, account) => {
            vec![elsewhere(ElsewhereSort::SeveralActors, format!("{count} actors"))]
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
