//! Deactivate an X.509 signing certificate of a user (CONTAINMENT A15).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::PrincipalName;
use crate::text::{option, shell_word};

/// Sets a signing certificate Inactive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateSigningCertificate {
    /// The user it belongs to.
    pub user: PrincipalName,
    /// Its id, as IAM listed it.
    pub certificate: String,
}

impl DeactivateSigningCertificate {
    fn line(&self, status: &str) -> String {
        format!(
            "aws iam update-signing-certificate {} --certificate-id {} --status {status}",
            option("--user-name", self.user.as_str()),
            shell_word(&self.certificate)
        )
    }
}

impl Change for DeactivateSigningCertificate {
    const NAME: &'static str = "deactivate_signing_certificate";

    fn on(&self) -> String {
        self.certificate.clone()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:UpdateSigningCertificate"]
    }

    fn command(&self) -> String {
        self.line("Inactive")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("Active"))
    }
}

#[cfg(feature = "iam")]
impl DeactivateSigningCertificate {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_signing_certificate()
            .user_name(self.user.as_str())
            .certificate_id(&self.certificate)
            .status(aws_sdk_iam::types::StatusType::Inactive);
        super::Applied::unless_gone(request.send().await)
    }
}

#[cfg(feature = "release")]
impl DeactivateSigningCertificate {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam
            .update_signing_certificate()
            .user_name(self.user.as_str())
            .certificate_id(&self.certificate)
            .status(aws_sdk_iam::types::StatusType::Active);
        Ok(super::Applied::changed(&request.send().await?))
    }
}
