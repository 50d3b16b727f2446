//! What to do about a target: observe, then decide. One folder a kind of target.
//!
//! *Decide* is a pure function of the finding, of what AWS says right now, of the guardrails and of the time. Every
//! choice CONTAINMENT.md leaves to us is made there.

pub mod budget;
mod click;
pub mod identity;
pub mod instance;
pub mod proposal;
pub mod release;
mod scp;
mod target;
mod verdict;

use serde::{Deserialize, Serialize};

use crate::event::Ignored;
use crate::finding::Finding;
use crate::guardrails::{Guardrails, Ruling};
use crate::id::{AccountId, Arn, Partition};
use crate::plan::Plan;
pub use click::refused_click;
use identity::Sign;
pub use scp::isolation_lines;
pub use target::{TargetRecord, also_accused};
pub use verdict::mode;

/// Who is responding: its account, and what it must never touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Responder {
    /// The account it runs in, and for which it holds permissions.
    pub account: AccountId,
    /// The partition it runs in.
    pub partition: Partition,
    /// The roles of Tourniquet itself: the responder never contains itself.
    pub own_roles: Vec<Arn>,
    /// The group of its own account that denies everything, where one was made.
    pub deny_group: Option<String>,
    /// The other accounts it may act in.
    pub members: Vec<Member>,
}

/// Another account the responder may act in, through a role there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// The role it assumes there, with its path.
    pub role: Arn,
}

/// The deny group of a member account.
pub const MEMBER_DENY_GROUP: &str = "TourniquetDenied";

impl Responder {
    /// Whether a finding is about an account or partition this responder holds no permissions in.
    #[must_use]
    pub fn is_foreign(&self, finding: &Finding) -> bool {
        finding.partition() != self.partition || !(finding.account == self.account || self.has_member(&finding.account))
    }

    /// The group that denies everything in `account`, where there is one.
    #[must_use]
    pub fn deny_group(&self, account: &AccountId) -> Option<&str> {
        if *account == self.account {
            return self.deny_group.as_deref();
        }
        self.has_member(account).then_some(MEMBER_DENY_GROUP)
    }

    /// Whether `arn` is a role of Tourniquet itself, in its own account or in a member's.
    #[must_use]
    pub fn is_own(&self, arn: &Arn) -> bool {
        // Every role of Tourniquet, another Region's too, lies under its path: what the templates' own Deny names.
        let is_under_path = arn.service() == "iam" && arn.resource().starts_with("role/tourniquet/");
        let is_ours = arn.account() == self.account.as_str() || self.members.iter().any(|m| m.account.as_str() == arn.account());
        self.own_roles.contains(arn) || self.members.iter().any(|member| member.role == *arn) || (is_under_path && is_ours)
    }

    fn has_member(&self, account: &AccountId) -> bool {
        self.members.iter().any(|member| member.account == *account)
    }
}

/// What the detector itself says about the finding now. The event is a claim; this is the check (CONTAINMENT H1).
#[derive(Debug, Clone, PartialEq)]
pub enum AtSource {
    /// It has the finding: these are its words, to be used instead of the event's.
    Confirmed(Box<Finding>),
    /// It has no such finding: the event is somebody's invention.
    Absent,
    /// It has the finding, but archived, suppressed or resolved since.
    Settled(String),
    /// It could not be asked.
    Unconfirmed {
        /// Why not.
        reason: String,
        /// Whether asking again could help.
        retryable: bool,
    },
    /// This source keeps nothing to ask for (AWS Health, without a support plan).
    NotKept,
}

/// Everything a decision needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed<S> {
    /// The finding at its detector.
    pub source: AtSource,
    /// The guardrails, or why there are none.
    pub guardrails: Result<Guardrails, String>,
    /// The target, as AWS knows it.
    pub state: S,
}

/// What is to be done about a target, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The target as AWS knows it, as far as it was found.
    pub target: TargetRecord,
    /// What to do.
    pub verdict: Verdict,
    /// What the guardrails said; absent where the facts decided before them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ruling: Option<Ruling>,
    /// The changes. Empty where nothing is to be changed, or everything holds already.
    pub plan: Plan,
    /// What containment will not cover, in words for a person.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub residual_risk: Vec<String>,
    /// Who else is hit.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub blast_radius: Vec<String>,
    /// What could not be read, and so is not part of the plan: makes the outcome partial.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unread: Vec<String>,
    /// What a person must do next.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub next_steps: Vec<String>,
    /// What is new on the principal since the finding's first sighting.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub persistence: Vec<Sign>,
}

impl Decision {
    /// A decision about `target` that says nothing yet.
    #[must_use]
    pub fn of(target: TargetRecord) -> Self {
        Self {
            target,
            verdict: Verdict::Observe,
            ruling: None,
            plan: Plan::default(),
            residual_risk: Vec::new(),
            blast_radius: Vec::new(),
            unread: Vec::new(),
            next_steps: Vec::new(),
            persistence: Vec::new(),
        }
    }
}

/// What to do about a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "snake_case")]
pub enum Verdict {
    /// Carry the plan out.
    Contain,
    /// Remember the plan and ask; why nothing more was done.
    Propose(String),
    /// Say what would happen.
    Observe,
    /// No change we may make would contain it.
    CannotContain(CannotContain),
    /// Leave it alone on purpose.
    Skip(String),
    /// Nothing to act on: no case, nothing written.
    Ignore(Ignored),
}

/// Why a target cannot be contained by a change to IAM in this account (CONTAINMENT A8 to A13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CannotContain {
    /// The root user: no policy binds it (A10).
    Root,
    /// A service-linked role: only its service may change it (A11).
    ServiceLinkedRole,
    /// A role of IAM Identity Center: only the permission set may change it (A12).
    IdentityCenterRole,
    /// A `GetFederationToken` session whose issuer the finding does not name (A13).
    FederatedUser,
    /// The subject of a SAML assertion (A13).
    SamlUser,
    /// The subject of a web identity token (A13).
    WebIdentityUser,
    /// A directory or Identity Center user.
    DirectoryUser,
    /// Another account's principal (A18).
    ForeignAccount,
    /// A member account whose responder role cannot be assumed.
    NoAccess,
    /// An unsigned request.
    Anonymous,
    /// An AWS service.
    AwsService,
    /// A user type this version does not know.
    UnknownUserType,
    /// Several principals accused at once.
    SeveralActors,
    /// The finding names nobody.
    UnnamedPrincipal,
    /// IAM knows no such principal: deleted since, or never there.
    NoSuchPrincipal,
    /// A key that belongs to no IAM user of this account: root's, another account's, or deleted.
    KeyOwnerUnknown,
    /// The name is taken by another principal than the accused: re-created, or of another account (A9).
    UniqueIdMismatch,
    /// The finding gives no unique id to check the name against (A9).
    UniqueIdMissing,
    /// Its policies, its boundary and its groups leave no room for a deny (A19).
    QuotaFull,
    /// EC2 knows no such instance in this account and Region.
    NoSuchInstance,
    /// It was terminated: there is nothing left to isolate (B5).
    Terminated,
}

impl CannotContain {
    /// The reason, as reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::ServiceLinkedRole => "service_linked_role",
            Self::IdentityCenterRole => "identity_center_role",
            Self::FederatedUser => "federated_user",
            Self::SamlUser => "saml_user",
            Self::WebIdentityUser => "web_identity_user",
            Self::DirectoryUser => "directory_user",
            Self::ForeignAccount => "foreign_account",
            Self::NoAccess => "no_access",
            Self::Anonymous => "anonymous",
            Self::AwsService => "aws_service",
            Self::UnknownUserType => "unknown_user_type",
            Self::SeveralActors => "several_actors",
            Self::UnnamedPrincipal => "unnamed_principal",
            Self::NoSuchPrincipal => "no_such_principal",
            Self::KeyOwnerUnknown => "key_owner_unknown",
            Self::UniqueIdMismatch => "unique_id_mismatch",
            Self::UniqueIdMissing => "unique_id_missing",
            Self::QuotaFull => "quota_full",
            Self::NoSuchInstance => "no_such_instance",
            Self::Terminated => "terminated",
        }
    }

    /// What a person must do instead.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Root => {
                "No policy binds root. Member account: from the management account, attach an SCP that denies \
                 aws:PrincipalArn of this account's root, then remove its keys with sts:AssumeRoot. Management account: \
                 sign in as root now, change the password, delete its access keys, check its MFA, call AWS Support."
            }
            Self::ServiceLinkedRole => {
                "Only its service may change a service-linked role, and SCPs do not bind it. Contain what makes the service \
                 act: the instance, the function, the configuration it was given."
            }
            Self::IdentityCenterRole => {
                "Only IAM Identity Center may change this role. In the Identity Center account put an inline deny on the \
                 permission set with identitystore:userId of the person named in the session, provision it to all accounts, \
                 and end the person's access in the identity provider. Sessions already open live up to 12 hours: an SCP ends them."
            }
            Self::FederatedUser => {
                "The name is the one given to GetFederationToken, not an IAM user's. Find the issuer in CloudTrail \
                 (userIdentity.sessionContext.sessionIssuer) and contain that user."
            }
            Self::SamlUser => {
                "Revoke the sessions of the role it assumed, disable the person at the identity provider, and check the SAML provider for changes."
            }
            Self::WebIdentityUser => {
                "Revoke the sessions of the role it assumed, stop the source at the identity provider, and check the OIDC \
                 provider and the role's trust policy for changes."
            }
            Self::DirectoryUser => {
                "Disable the person in the directory and end the permission set's sessions in IAM Identity Center."
            }
            Self::ForeignAccount => {
                "Deny the principal in the resource policies and trust policies of this account that let it in, and tell the \
                 owner of its account. Nothing in this account can take its credentials away."
            }
            Self::NoAccess => {
                "The responder role of its account could not be assumed. Contain it by hand now. Then deploy infra/member.yaml \
                 there again, or find out who changed the role: an attacker may have."
            }
            Self::Anonymous => "The requests were unsigned: close the public access of the resource itself.",
            Self::AwsService => {
                "Find who configured the service to act (CloudTrail, userIdentity.invokedBy) and contain that principal."
            }
            Self::UnknownUserType => {
                "This user type is not known to this version. Find the principal in CloudTrail and contain it by hand."
            }
            Self::SeveralActors => {
                "Several principals are accused. Read the finding and contain the compromised ones one by one."
            }
            Self::UnnamedPrincipal => {
                "The finding names no principal. Find it in CloudTrail by the access key, time and address in the finding."
            }
            Self::NoSuchPrincipal => {
                "It was deleted, perhaps by the attacker. Sessions of a deleted user or role are dead; look in CloudTrail for what \
                 it created."
            }
            Self::KeyOwnerUnknown => {
                "No IAM user of this account has this key: it is root's, another account's, or deleted. Check the root user's \
                 access keys first (root's security credentials page, or the credential report) and delete one that is exposed."
            }
            Self::UniqueIdMismatch => {
                "The name now belongs to another principal than the accused. Find out who re-created it, and whether the new one \
                 is the attacker's; contain it by hand if so."
            }
            Self::UniqueIdMissing => {
                "The finding gives no unique id, so the name proves nothing. Check the principal in CloudTrail and contain it by hand."
            }
            Self::NoSuchInstance => {
                "EC2 knows no such instance here: terminated for more than an hour, or never there. Look in CloudTrail for \
                 RunInstances and TerminateInstances of it, and for volumes and snapshots that are left."
            }
            Self::Terminated => {
                "It is terminated: memory and instance store are gone. Volumes that were kept are detached now: find them in \
                 CloudTrail (DetachVolume, TerminateInstances) and take snapshots. Find out who terminated it: that may have \
                 been the attacker."
            }
            Self::QuotaFull => {
                "No deny fits on it: its quotas are full. Deny it with an SCP from the management account (the lines are below), \
                 which binds every account but that one. Delete none of its policies to make room: they are evidence, and the \
                 way back."
            }
        }
    }
}
