//! What is new on a principal since a finding's first sighting: how an attacker stays, and whether he was there
//! (CONTAINMENT A15, A22). Told, never acted on by itself: everything listed is contained with the rest.

use serde::{Deserialize, Serialize};

use super::observed::{ObservedRole, ObservedUser, Principal};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// Something made, or used, since the first sighting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// What.
    pub what: SignKind,
    /// Which one, where there may be several; keys redacted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// When, as IAM says.
    pub at: Timestamp,
}

/// What was made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignKind {
    /// The user itself was made.
    UserCreated,
    /// The role itself was made.
    RoleCreated,
    /// An access key was made.
    AccessKeyCreated,
    /// A console password was set.
    LoginProfileSet,
    /// An MFA device was enabled.
    MfaDeviceEnabled,
    /// A service-specific credential was made.
    ServiceCredentialCreated,
    /// An SSH public key was uploaded.
    SshKeyUploaded,
    /// A signing certificate was uploaded.
    CertificateUploaded,
    /// The access key was used.
    AccessKeyUsed,
    /// The console password was used.
    PasswordUsed,
    /// The role was used.
    RoleUsed,
}

impl SignKind {
    /// What happened, for a person.
    #[must_use]
    pub fn as_words(self) -> &'static str {
        match self {
            Self::UserCreated => "user created",
            Self::RoleCreated => "role created",
            Self::AccessKeyCreated => "access key created",
            Self::LoginProfileSet => "console password set",
            Self::MfaDeviceEnabled => "MFA device enabled",
            Self::ServiceCredentialCreated => "service-specific credential created",
            Self::SshKeyUploaded => "SSH public key uploaded",
            Self::CertificateUploaded => "signing certificate uploaded",
            Self::AccessKeyUsed => "access key last used",
            Self::PasswordUsed => "console password last used",
            Self::RoleUsed => "role last used",
        }
    }
}

impl Sign {
    /// The line a person reads.
    #[must_use]
    pub fn line(&self) -> String {
        let id = self.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        format!("{} {}{id}", self.at, self.what.as_words())
    }
}

/// Whether `at`, a date of IAM's, is not before `first_seen`. IAM's dates are whole seconds, cut off: what happened in
/// the second of the first sighting counts.
pub(super) fn is_since(at: Timestamp, first_seen: Timestamp) -> bool {
    at.plus(std::time::Duration::from_millis(999)) >= first_seen
}

/// What is new since `first_seen`, oldest first. What has no date is not listed.
#[must_use]
pub fn signs_since(principal: &Principal, first_seen: Timestamp) -> Vec<Sign> {
    let dated = match principal {
        Principal::User(user) => of_user(user),
        Principal::Role(role) => of_role(role),
        Principal::Absent | Principal::NotLooked | Principal::Unreachable { .. } => Vec::new(),
    };
    let sign = |(what, id, at): (_, _, Option<Timestamp>)| Some(Sign { what, id, at: at? });
    let mut signs: Vec<_> = dated.into_iter().filter_map(sign).filter(|sign| is_since(sign.at, first_seen)).collect();
    signs.sort_by_key(|sign| sign.at);
    signs
}

type Dated = (SignKind, Option<String>, Option<Timestamp>);

fn of_user(user: &ObservedUser) -> Vec<Dated> {
    let shown = |id: &str| Some(printable(id, 120));
    let mut dated = vec![
        (SignKind::UserCreated, None, user.created),
        (SignKind::LoginProfileSet, None, user.login.and_then(|(created, _)| created)),
        (SignKind::PasswordUsed, None, user.password_last_used),
    ];
    for key in &user.keys {
        dated.push((SignKind::AccessKeyCreated, Some(key.id.to_string()), key.created));
        dated.push((SignKind::AccessKeyUsed, Some(key.id.to_string()), key.last_used));
    }
    dated.extend(user.mfa_devices.iter().map(|device| (SignKind::MfaDeviceEnabled, shown(&device.serial), device.enabled)));
    dated.extend(user.service_credentials.iter().map(|credential| {
        let id = shown(&format!("{} ({})", credential.id, credential.service));
        (SignKind::ServiceCredentialCreated, id, credential.created)
    }));
    dated.extend(user.ssh_keys.iter().map(|key| (SignKind::SshKeyUploaded, shown(&key.id), key.uploaded)));
    let certificates = user.certificates.iter();
    dated.extend(certificates.map(|certificate| (SignKind::CertificateUploaded, shown(&certificate.id), certificate.uploaded)));
    dated
}

fn of_role(role: &ObservedRole) -> Vec<Dated> {
    vec![(SignKind::RoleCreated, None, role.created), (SignKind::RoleUsed, None, role.last_used)]
}
