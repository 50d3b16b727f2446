//! Deactivate an MFA device that the attacker added (CONTAINMENT A16).

use serde::{Deserialize, Serialize};

use super::{Change, Release, Undo};
use crate::id::PrincipalName;
use crate::text::option;
use crate::timestamp::Timestamp;

/// Takes an MFA device off its user. Never among the first changes: where a policy asks for MFA, a device less can
/// open what the device closed, or lock out whoever has to recover the user. The deny has to hold first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateMfaDevice {
    /// The user.
    pub user: PrincipalName,
    /// The device's serial number.
    pub serial: String,
    /// When it was enabled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enabled: Option<Timestamp>,
}

impl DeactivateMfaDevice {
    fn line(&self, verb: &str) -> String {
        let (user, serial) = (option("--user-name", self.user.as_str()), option("--serial-number", &self.serial));
        format!("aws iam {verb}-mfa-device {user} {serial}")
    }
}

impl Change for DeactivateMfaDevice {
    const NAME: &'static str = "deactivate_mfa_device";

    fn on(&self) -> String {
        crate::text::printable(&format!("user/{} {}", self.user, self.serial), 200)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:DeactivateMFADevice"]
    }

    fn command(&self) -> String {
        self.line("deactivate")
    }

    fn undo(&self) -> Undo {
        let codes = r#"--authentication-code1 "${FIRST_CODE:?}" --authentication-code2 "${SECOND_CODE:?}""#;
        Undo::by(format!("{} {codes}", self.line("enable")))
            .noting("only for a device that is the user's own: whoever holds it gives two codes in a row; set FIRST_CODE and SECOND_CODE first")
    }

    fn release(&self) -> Release {
        Release::Stays("a device that the attacker enabled stays off; only whoever holds a device can enable it")
    }
}

#[cfg(feature = "iam")]
impl DeactivateMfaDevice {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let request = iam.deactivate_mfa_device().user_name(self.user.as_str()).serial_number(&self.serial);
        super::Applied::unless_gone(request.send().await)
    }
}
