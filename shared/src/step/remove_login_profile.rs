//! Remove a user's console password: stops new sign-ins. Sessions already open are the deny's work (CONTAINMENT A14).

use serde::{Deserialize, Serialize};

use super::{Change, Release, Undo};
use crate::id::PrincipalName;
use crate::text::option;
use crate::timestamp::Timestamp;

/// Removes the login profile. IAM cannot disable one and keeps no copy: the user gets a new password at release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveLoginProfile {
    /// The user.
    pub user: PrincipalName,
    /// When the password was set.
    pub created: Option<Timestamp>,
    /// Whether the user had to change it at the next sign-in.
    pub reset_required: bool,
}

impl Change for RemoveLoginProfile {
    const NAME: &'static str = "remove_login_profile";

    fn on(&self) -> String {
        format!("user/{} console password", self.user)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:DeleteLoginProfile"]
    }

    fn command(&self) -> String {
        format!("aws iam delete-login-profile {}", option("--user-name", self.user.as_str()))
    }

    fn undo(&self) -> Undo {
        Undo::by(format!(
            "aws iam create-login-profile {} --password-reset-required --password \"${{NEW_PASSWORD:?}}\"",
            option("--user-name", self.user.as_str())
        ))
        .noting("the old password cannot be restored; set NEW_PASSWORD first")
    }

    fn release(&self) -> Release {
        Release::Stays("the old password cannot be restored: give the user a new one")
    }
}

#[cfg(feature = "iam")]
impl RemoveLoginProfile {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a login profile has no inactive state; what it held is remembered, and release makes a new one"
        )]
        let result = iam.delete_login_profile().user_name(self.user.as_str()).send().await;
        match result {
            Ok(output) => Ok(super::Applied::changed(&output)),
            Err(error) if crate::aws::is_no_such_entity(&error) => Ok(super::Applied::already()),
            Err(error) => Err(error.into()),
        }
    }
}
