//! Deny a user everything: the cut (CONTAINMENT A5).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::PrincipalName;
use crate::policy;
use crate::text::{option, shell_word};

/// Puts the unconditional inline deny on a user. Covers every credential the user has, at the next request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyAll {
    /// The user.
    pub user: PrincipalName,
}

impl Change for DenyAll {
    const NAME: &'static str = "deny_all";

    fn on(&self) -> String {
        format!("user/{}", self.user)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:PutUserPolicy"]
    }

    fn command(&self) -> String {
        format!(
            "aws iam put-user-policy {} --policy-name {} --policy-document {}",
            option("--user-name", self.user.as_str()),
            policy::DENY_ALL,
            shell_word(&policy::deny_all())
        )
    }

    fn undo(&self) -> Undo {
        let [revoke, later] = revoke_now(&self.user);
        let user = option("--user-name", self.user.as_str());
        Undo {
            // One line: without the first half the second would bring old sessions back to life.
            commands: vec![format!("{revoke} && aws iam delete-user-policy {user} --policy-name {}", policy::DENY_ALL), later],
            note: Some("sessions minted from the user's keys live up to 36 hours: they stay denied while the user comes back"),
        }
    }
}

/// The line that keeps a user's sessions issued until now denied, and the one that ends that.
pub(super) fn revoke_now(user: &PrincipalName) -> [String; 2] {
    let (user, policy) = (option("--user-name", user.as_str()), policy::REVOKE_OLDER_SESSIONS);
    [
        // The quotes around the document are left for the date: the shell fills in the moment of release.
        format!(
            r#"aws iam put-user-policy {user} --policy-name {policy} --policy-document '{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{{"DateLessThan":{{"aws:TokenIssueTime":"'"$(date -u +%Y-%m-%dT%H:%M:%SZ)"'"}}}}}}]}}'"#
        ),
        format!("# 36 hours later: aws iam delete-user-policy {user} --policy-name {policy}"),
    ]
}

#[cfg(feature = "iam")]
impl DenyAll {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let output = iam
            .put_user_policy()
            .user_name(self.user.as_str())
            .policy_name(policy::DENY_ALL)
            .policy_document(policy::deny_all())
            .send()
            .await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl DenyAll {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        #[expect(
            clippy::disallowed_methods,
            reason = "our own policy, by its name; what keeps the older sessions out is in place by now"
        )]
        let answer = iam.delete_user_policy().user_name(self.user.as_str()).policy_name(policy::DENY_ALL).send().await;
        super::Applied::unless_gone(answer)
    }
}
