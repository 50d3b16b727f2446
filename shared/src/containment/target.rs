//! A target, as the case files it and reports name it.

use serde::{Deserialize, Serialize};

use super::CannotContain;
use super::identity::Principal;
use crate::finding::{ElsewhereSort, Finding, Instance, RoleSession, Target, TargetKind, User};
use crate::id::{AccountId, Arn, CaseId, FindingId, InstanceId, PrincipalName, SessionName, UniqueId};
use crate::text::sha256;

/// A target, as reports name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// Its kind.
    pub kind: TargetKind,
    /// Its ARN where it has one, else how the finding names it. Printable.
    pub arn: String,
    /// Its unique id; for a session `AROA…:session`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Its account.
    pub account: AccountId,
}

impl TargetRecord {
    /// The key the open case is filed under: `<account>/<kind>/<id>` (DESIGN §5.2).
    ///
    /// A target without a unique id is nobody in particular: what one finding says of it must not answer for the next
    /// one, so it is filed under that finding.
    #[must_use]
    pub fn key(&self, finding: &FindingId) -> String {
        let nameless = || format!("finding-{}", &sha256(format!("{}{finding}", self.arn).as_bytes())[..32]);
        format!("{}/{}/{}", self.account, self.kind.as_str(), self.id.clone().unwrap_or_else(nameless))
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
            Target::Elsewhere(elsewhere) => (format!("{} {}", elsewhere.sort.reason().as_str(), elsewhere.label), None),
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

    /// The target to be read again, by the unique id it was filed under; none where it names nothing that can be contained.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        let id = self.id.as_deref()?;
        let name = || {
            let arn = Arn::parse(&self.arn).ok()?;
            PrincipalName::parse(arn.resource().rsplit('/').next()?).ok()
        };
        match self.kind {
            TargetKind::User => Some(Target::User(User { name: name()?, unique_id: Some(UniqueId::parse(id).ok()?), key: None })),
            TargetKind::RoleSession => {
                let (role_id, session) = id.split_once(':').map_or((id, None), |(id, session)| (id, Some(session)));
                Some(Target::RoleSession(RoleSession {
                    role: name()?,
                    role_id: Some(UniqueId::parse(role_id).ok()?),
                    session: session.map(SessionName::parse).transpose().ok()?,
                    instance: None,
                    key: None,
                }))
            }
            TargetKind::Instance => Some(Target::Instance(Instance { id: InstanceId::parse(id).ok()?, profile: None })),
            _ => None,
        }
    }

    /// The record before anything was observed: enough to find the open case, in the same wave as everything else.
    #[must_use]
    pub fn accused(finding: &Finding, target: &Target) -> Self {
        Self::of(finding, target, &Principal::NotLooked)
    }
}

impl ElsewhereSort {
    /// Why nobody of this sort can be contained here.
    pub(super) fn reason(self) -> CannotContain {
        match self {
            Self::FederatedUser => CannotContain::FederatedUser,
            Self::SamlUser => CannotContain::SamlUser,
            Self::WebIdentityUser => CannotContain::WebIdentityUser,
            Self::ForeignAccount => CannotContain::ForeignAccount,
            Self::Anonymous => CannotContain::Anonymous,
            Self::AwsService => CannotContain::AwsService,
            Self::DirectoryUser => CannotContain::DirectoryUser,
            Self::UnknownType => CannotContain::UnknownUserType,
            Self::SeveralActors => CannotContain::SeveralActors,
            Self::Unnamed => CannotContain::UnnamedPrincipal,
        }
    }
}

/// The other targets that `finding` accuses in the same breath and that another function contains: with their cases,
/// which are as predictable as ours. Stolen credentials of an instance are two things to contain.
#[must_use]
pub fn also_accused(finding: &Finding, target: &Target) -> Vec<String> {
    let is_anothers = |other: &&Target| {
        let contained = other.is_instance() || matches!(other, Target::User(_) | Target::RoleSession(_));
        contained && other.is_instance() != target.is_instance()
    };
    let line = |other: &Target| {
        let record = TargetRecord::accused(finding, other);
        let case = CaseId::of(finding, &record.key(&finding.id));
        format!("The same finding accuses {} {}: case {case}.", record.kind.as_str().replace('_', " "), record.arn)
    };
    finding.targets.iter().filter(is_anothers).map(line).collect()
}
