//! Deactivate an access key. Never delete: CloudTrail needs its id, and deleting cannot be undone (CONTAINMENT A2).

use serde::{Deserialize, Serialize};

use super::{Change, Release, Undo};
use crate::id::{AccessKeyId, PrincipalName};
use crate::text::option;

/// Sets a long-term access key Inactive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateKey {
    /// The user it belongs to. Always sent: without it IAM would infer the user from the caller.
    pub user: PrincipalName,
    /// The key.
    pub key: AccessKeyId,
}

impl DeactivateKey {
    fn line(&self, status: &str) -> String {
        format!(
            "aws iam update-access-key {} --access-key-id {} --status {status}",
            option("--user-name", self.user.as_str()),
            self.key.as_str()
        )
    }
}

impl Change for DeactivateKey {
    const NAME: &'static str = "deactivate_key";

    fn on(&self) -> String {
        self.key.to_string()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:UpdateAccessKey"]
    }

    fn command(&self) -> String {
        self.line("Inactive")
    }

    fn undo(&self) -> Undo {
        Undo::by(format!("# {}", self.line("Active")))
            .noting("a key that leaked stays leaked: make a new one, and take the # away only for a key that never left")
    }

    fn release(&self) -> Release {
        Release::ByName("a key that leaked stays leaked: better a new one")
    }
}

#[cfg(feature = "iam")]
impl DeactivateKey {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_access_key()
            .user_name(self.user.as_str())
            .access_key_id(self.key.as_str())
            .status(aws_sdk_iam::types::StatusType::Inactive);
        super::Applied::unless_gone(request.send().await)
    }
}

#[cfg(feature = "release")]
impl DeactivateKey {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_access_key()
            .user_name(self.user.as_str())
            .access_key_id(self.key.as_str())
            .status(aws_sdk_iam::types::StatusType::Active);
        Ok(super::Applied::changed(&request.send().await?))
    }
}
