//! Deny every session of a role issued before a cut-off: the cut where the finding names no session
//! (CONTAINMENT A6).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::PrincipalName;
use crate::policy;
use crate::text::{option, shell_word};
use crate::timestamp::Timestamp;

/// Puts the inline revocation of older sessions on a role. Hits everyone who holds the role; new sessions work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeOlderSessions {
    /// The role.
    pub role: PrincipalName,
    /// Sessions issued before this are denied.
    pub cutoff: Timestamp,
}

impl Change for RevokeOlderSessions {
    const NAME: &'static str = "revoke_older_sessions";

    fn on(&self) -> String {
        format!("role/{}", self.role)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:PutRolePolicy"]
    }

    fn command(&self) -> String {
        put_role_policy(&self.role, policy::REVOKE_OLDER_SESSIONS, &policy::revoke_older_sessions(self.cutoff))
    }

    fn undo(&self) -> Undo {
        Undo::by(format!(
            "aws iam delete-role-policy {} --policy-name {}",
            option("--role-name", self.role.as_str()),
            policy::REVOKE_OLDER_SESSIONS
        ))
        .noting("sessions of a role live up to 12 hours: keep the revocation that long after the cut-off")
    }
}

pub(super) fn put_role_policy(role: &PrincipalName, name: &str, document: &str) -> String {
    format!(
        "aws iam put-role-policy {} --policy-name {name} --policy-document {}",
        option("--role-name", role.as_str()),
        shell_word(document)
    )
}

#[cfg(feature = "iam")]
impl RevokeOlderSessions {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let output = iam
            .put_role_policy()
            .role_name(self.role.as_str())
            .policy_name(policy::REVOKE_OLDER_SESSIONS)
            .policy_document(policy::revoke_older_sessions(self.cutoff))
            .send()
            .await?;
        Ok(super::Applied::changed(&output))
    }
}
