//! Deactivate a service-specific credential: CodeCommit, Keyspaces, Bedrock and CloudWatch API keys
//! (CONTAINMENT A15).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::PrincipalName;
use crate::text::{option, shell_word};

/// Sets a service-specific credential Inactive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateServiceCredential {
    /// The user it belongs to.
    pub user: PrincipalName,
    /// Its id (`ACCA…`), as IAM listed it.
    pub credential: String,
    /// The service it is for, such as `bedrock.amazonaws.com`.
    pub service: String,
}

impl DeactivateServiceCredential {
    fn line(&self, status: &str) -> String {
        format!(
            "aws iam update-service-specific-credential {} --service-specific-credential-id {} --status {status}",
            option("--user-name", self.user.as_str()),
            shell_word(&self.credential)
        )
    }
}

impl Change for DeactivateServiceCredential {
    const NAME: &'static str = "deactivate_service_credential";

    fn on(&self) -> String {
        format!("{} ({})", self.credential, self.service)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:UpdateServiceSpecificCredential"]
    }

    fn command(&self) -> String {
        self.line("Inactive")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("Active"))
    }
}

#[cfg(feature = "iam")]
impl DeactivateServiceCredential {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_service_specific_credential()
            .user_name(self.user.as_str())
            .service_specific_credential_id(&self.credential)
            .status(aws_sdk_iam::types::StatusType::Inactive);
        super::Applied::unless_gone(request.send().await)
    }
}

#[cfg(feature = "release")]
impl DeactivateServiceCredential {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_service_specific_credential()
            .user_name(self.user.as_str())
            .service_specific_credential_id(&self.credential)
            .status(aws_sdk_iam::types::StatusType::Active);
        Ok(super::Applied::changed(&request.send().await?))
    }
}
