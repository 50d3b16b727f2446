//! Attach AWS's quarantine policy as a marker: it tells every tool and AWS Support that this user is compromised.
//! It limits fraud and contains nothing; the deny does that (CONTAINMENT A1).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{Partition, PrincipalName};
use crate::text::{option, shell_word};

/// The quarantine policies AWS has published, newest first. An older partition may lack the newer ones.
pub const QUARANTINE_POLICIES: [&str; 4] = [
    "AWSCompromisedKeyQuarantineV4",
    "AWSCompromisedKeyQuarantineV3",
    "AWSCompromisedKeyQuarantineV2",
    "AWSCompromisedKeyQuarantine",
];

/// Attaches the newest quarantine policy that exists. Planned only where none is attached: one that AWS attached
/// stays AWS's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachQuarantineMarker {
    /// The user.
    pub user: PrincipalName,
    /// The partition whose policies to use.
    pub partition: Partition,
    /// The policy that was attached; unknown until it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
}

impl AttachQuarantineMarker {
    fn arn(&self, policy: &str) -> String {
        format!("arn:{}:iam::aws:policy/{policy}", self.partition)
    }

    fn line(&self, verb: &str) -> String {
        let policy = self.policy.as_deref().unwrap_or(QUARANTINE_POLICIES[0]);
        format!("aws iam {verb} {} --policy-arn {}", option("--user-name", self.user.as_str()), shell_word(&self.arn(policy)))
    }
}

impl Change for AttachQuarantineMarker {
    const NAME: &'static str = "attach_quarantine_marker";

    fn on(&self) -> String {
        match &self.policy {
            Some(policy) => format!("user/{} {policy}", self.user),
            None => format!("user/{}", self.user),
        }
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:AttachUserPolicy"]
    }

    fn command(&self) -> String {
        self.line("attach-user-policy")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("detach-user-policy"))
    }
}

#[cfg(feature = "iam")]
impl AttachQuarantineMarker {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let mut missing = None;
        for policy in QUARANTINE_POLICIES {
            match iam.attach_user_policy().user_name(self.user.as_str()).policy_arn(self.arn(policy)).send().await {
                Ok(output) => {
                    let done = Self { policy: Some(policy.to_owned()), ..self.clone() };
                    return Ok(super::Applied { as_done: Some(done.into()), ..super::Applied::changed(&output) });
                }
                Err(error) if crate::aws::is_no_such_entity(&error) => {
                    missing = Some(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The user itself may be what is missing; the last answer says so.
        missing.map_or_else(|| Ok(super::Applied::already()), Err)
    }
}

#[cfg(feature = "release")]
impl AttachQuarantineMarker {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        // Which one was attached is known from when it was; without that nothing is ours.
        let Some(policy) = &self.policy else { return Ok(super::Applied::already()) };
        #[expect(clippy::disallowed_methods, reason = "release takes off what this case attached")]
        let answer = iam.detach_user_policy().user_name(self.user.as_str()).policy_arn(self.arn(policy)).send().await;
        super::Applied::unless_gone(answer)
    }
}
