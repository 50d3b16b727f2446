//! What AWS says about an identity right now.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{AccessKeyId, Arn, PrincipalName, UniqueId};
use crate::policy;
use crate::timestamp::Timestamp;

/// How far into the future a revocation reaches. IAM needs a while to be consistent, and a session renewed in that
/// gap would escape a cut-off of "now"; AWS's own button uses about 30 seconds (CONTAINMENT A6).
pub const REVOCATION_MARGIN: Duration = Duration::from_secs(30);

/// How a deny of our own is called among what could not be read.
pub const OWN_DENY: &str = "our own deny";

/// How the attached policies are called among what could not be read.
pub const ATTACHED_POLICIES: &str = "attached policies";

/// How the groups are called among what could not be read.
pub const GROUPS: &str = "groups";

/// How the MFA devices are called among what could not be read.
pub const MFA_DEVICES: &str = "MFA devices";

/// Everything the decision about an identity needs.
pub type Observed = super::super::Observed<Principal>;

/// The principal, as IAM knows it. Also the original state the case remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Principal {
    /// An IAM user.
    User(Box<ObservedUser>),
    /// An IAM role.
    Role(Box<ObservedRole>),
    /// IAM knows no such user, role or key.
    Absent,
    /// There is nothing in IAM to look at for this target.
    NotLooked,
    /// Its account could not be entered; why not.
    Unreachable {
        /// What AWS said to the attempt to assume the responder role.
        reason: String,
    },
}

impl Principal {
    /// Its unique id, where IAM gave one.
    #[must_use]
    pub fn unique_id(&self) -> Option<&UniqueId> {
        match self {
            Self::User(user) => Some(&user.unique_id),
            Self::Role(role) => Some(&role.unique_id),
            Self::Absent | Self::NotLooked | Self::Unreachable { .. } => None,
        }
    }

    /// What could not be read of it.
    #[must_use]
    pub fn unread(&self) -> &[String] {
        match self {
            Self::User(user) => &user.unread,
            Self::Role(role) => &role.unread,
            Self::Absent | Self::NotLooked | Self::Unreachable { .. } => &[],
        }
    }
}

/// An IAM user and all its credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedUser {
    /// Its name.
    pub name: PrincipalName,
    /// Its ARN.
    pub arn: Arn,
    /// Its unique id.
    pub unique_id: UniqueId,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// When its console password was last used.
    #[serde(default)]
    pub password_last_used: Option<Timestamp>,
    /// Its permissions boundary.
    #[serde(default)]
    pub permissions_boundary: Option<Arn>,
    /// The groups it is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Its access keys.
    pub keys: Vec<AccessKey>,
    /// Its console password: when it was set, and whether it must be changed. The password itself nobody can read.
    pub login: Option<(Option<Timestamp>, bool)>,
    /// Its service-specific credentials.
    pub service_credentials: Vec<ServiceCredential>,
    /// Its SSH public keys.
    pub ssh_keys: Vec<Credential>,
    /// Its signing certificates.
    pub certificates: Vec<Credential>,
    /// Its MFA devices. One is changed only where CloudTrail says the attacker added it (CONTAINMENT A16).
    pub mfa_devices: Vec<MfaDevice>,
    /// The managed policies attached to it.
    pub attached_policies: Vec<Arn>,
    /// The document under our deny's name, decoded.
    pub deny: Option<String>,
    /// What could not be read.
    pub unread: Vec<String>,
}

/// A long-term access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Its id.
    pub id: AccessKeyId,
    /// Whether it works.
    pub active: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last used. Asked only of the key the finding names; IAM is minutes to hours late with it.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
}

/// An MFA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaDevice {
    /// Its serial number.
    pub serial: String,
    /// When it was enabled for the user.
    pub enabled: Option<Timestamp>,
}

/// A service-specific credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCredential {
    /// Its id.
    pub id: String,
    /// The service it is for.
    pub service: String,
    /// Whether it works.
    pub active: bool,
    /// When it was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// When it expires; never where there is none.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// An SSH key or a signing certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its id.
    pub id: String,
    /// Whether it works.
    pub active: bool,
    /// When it was uploaded.
    #[serde(default)]
    pub uploaded: Option<Timestamp>,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedRole {
    /// Its name.
    pub name: PrincipalName,
    /// Its ARN, with its path.
    pub arn: Arn,
    /// Its unique id.
    pub unique_id: UniqueId,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    #[serde(default)]
    pub created: Option<Timestamp>,
    /// When it was last used, as far as IAM tells.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
    /// Its permissions boundary.
    #[serde(default)]
    pub permissions_boundary: Option<Arn>,
    /// The managed policies attached to it.
    #[serde(default)]
    pub attached_policies: Vec<Arn>,
    /// Who may assume it, from the trust policy, decoded.
    pub trust_policy: String,
    /// The instance profiles it is in.
    pub instance_profiles: Vec<String>,
    /// Our revocation of older sessions, decoded.
    pub revocation: Option<String>,
    /// Our deny of the accused session, decoded.
    pub session_deny: Option<String>,
    /// What could not be read.
    pub unread: Vec<String>,
}

impl ObservedRole {
    /// Whether it is a service-linked role, by its path: only AWS makes roles there (CONTAINMENT A11).
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        self.arn.resource().starts_with("role/aws-service-role/")
    }

    /// Whether it is a role of IAM Identity Center (CONTAINMENT A12).
    #[must_use]
    pub fn is_identity_center(&self) -> bool {
        self.arn.resource().starts_with("role/aws-reserved/sso.amazonaws.com/")
    }

    /// The cut-off of our revocation, if the role has one in our own body.
    #[must_use]
    pub fn revoked_before(&self) -> Option<Timestamp> {
        policy::cutoff_of(self.revocation.as_deref()?)
    }
}
