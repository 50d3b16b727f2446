//! Deny one session of a role: the cut where the finding names the session (CONTAINMENT A6, B13).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{Arn, PrincipalName, SessionName, UniqueId};
use crate::policy;
use crate::text::option;

/// Puts the inline deny for one session on its role. Other sessions of the role keep working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenySession {
    /// The role.
    pub role: PrincipalName,
    /// Its unique id, part of `aws:userid`.
    pub role_id: UniqueId,
    /// The session.
    pub session: SessionName,
    /// The instance whose credentials these are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<Arn>,
}

impl DenySession {
    /// The policy it writes.
    #[must_use]
    pub fn document(&self) -> String {
        policy::deny_session(&self.role_id, &self.session, self.instance.as_ref())
    }
}

impl Change for DenySession {
    const NAME: &'static str = "deny_session";

    fn on(&self) -> String {
        format!("role/{} session {}", self.role, self.session)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:PutRolePolicy"]
    }

    fn command(&self) -> String {
        super::revoke_older_sessions::put_role_policy(&self.role, &policy::deny_session_name(&self.session), &self.document())
    }

    fn undo(&self) -> Undo {
        Undo::by(format!(
            "aws iam delete-role-policy {} --policy-name {}",
            option("--role-name", self.role.as_str()),
            policy::deny_session_name(&self.session)
        ))
        .noting("sessions of a role live up to 12 hours: keep the deny that long after the source of the session is clean")
    }
}

#[cfg(feature = "iam")]
impl DenySession {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let output = iam
            .put_role_policy()
            .role_name(self.role.as_str())
            .policy_name(policy::deny_session_name(&self.session))
            .policy_document(self.document())
            .send()
            .await?;
        Ok(super::Applied::changed(&output))
    }
}
