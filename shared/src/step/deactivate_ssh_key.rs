//! Deactivate an SSH public key of a user, which opens CodeCommit (CONTAINMENT A15).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::PrincipalName;
use crate::text::{option, shell_word};

/// Sets an SSH public key Inactive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateSshKey {
    /// The user it belongs to.
    pub user: PrincipalName,
    /// Its id (`APKA…`), as IAM listed it.
    pub key: String,
}

impl DeactivateSshKey {
    fn line(&self, status: &str) -> String {
        format!(
            "aws iam update-ssh-public-key {} --ssh-public-key-id {} --status {status}",
            option("--user-name", self.user.as_str()),
            shell_word(&self.key)
        )
    }
}

impl Change for DeactivateSshKey {
    const NAME: &'static str = "deactivate_ssh_key";

    fn on(&self) -> String {
        self.key.clone()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:UpdateSSHPublicKey"]
    }

    fn command(&self) -> String {
        self.line("Inactive")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("Active"))
    }
}

#[cfg(feature = "iam")]
impl DeactivateSshKey {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_ssh_public_key()
            .user_name(self.user.as_str())
            .ssh_public_key_id(&self.key)
            .status(aws_sdk_iam::types::StatusType::Inactive);
        super::Applied::unless_gone(request.send().await)
    }
}

#[cfg(feature = "release")]
impl DeactivateSshKey {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_ssh_public_key()
            .user_name(self.user.as_str())
            .ssh_public_key_id(&self.key)
            .status(aws_sdk_iam::types::StatusType::Active);
        Ok(super::Applied::changed(&request.send().await?))
    }
}
