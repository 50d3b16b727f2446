//! Attach AWS's own `AWSDenyAll`: the deny where the inline one does not fit (CONTAINMENT A19).

use serde::{Deserialize, Serialize};

use super::entity::{AWS_DENY_ALL, Entity, aws_deny_all};
use super::{Change, Release, Undo};
use crate::id::Partition;

/// Attaches `AWSDenyAll` to a user or a role. On a role it hits everyone who holds it, new sessions too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachDenyAll {
    /// The user or role.
    #[serde(flatten)]
    pub principal: Entity,
    /// The partition whose policy to attach.
    pub partition: Partition,
    /// Whether it was attached before us: then it is not ours to take away.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub before: bool,
}

impl AttachDenyAll {
    fn line(&self, verb: &str) -> String {
        let arn = aws_deny_all(self.partition);
        format!("aws iam {verb}-{}-policy {} --policy-arn {arn}", self.principal.kind(), self.principal.option())
    }
}

impl Change for AttachDenyAll {
    const NAME: &'static str = "attach_deny_all";

    fn on(&self) -> String {
        format!("{} {AWS_DENY_ALL}", self.principal.label())
    }

    fn permissions(&self) -> &'static [&'static str] {
        match self.principal {
            Entity::User(_) => &["iam:AttachUserPolicy"],
            Entity::Role(_) => &["iam:AttachRolePolicy"],
        }
    }

    fn command(&self) -> String {
        self.line("attach")
    }

    fn undo(&self) -> Undo {
        if self.before { Undo::left() } else { self.principal.released(self.line("detach")) }
    }

    fn release(&self) -> Release {
        if self.before { Release::Stays("it was so before this case") } else { Release::Undo }
    }
}

#[cfg(feature = "iam")]
impl AttachDenyAll {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let arn = aws_deny_all(self.partition);
        let applied = match &self.principal {
            Entity::User(name) => {
                super::Applied::changed(&iam.attach_user_policy().user_name(name.as_str()).policy_arn(arn).send().await?)
            }
            Entity::Role(name) => {
                super::Applied::changed(&iam.attach_role_policy().role_name(name.as_str()).policy_arn(arn).send().await?)
            }
        };
        Ok(super::Applied { changed: !self.before, ..applied })
    }
}

#[cfg(feature = "release")]
impl AttachDenyAll {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let arn = aws_deny_all(self.partition);
        match &self.principal {
            Entity::User(name) => {
                #[expect(clippy::disallowed_methods, reason = "release takes off what this case attached")]
                let answer = iam.detach_user_policy().user_name(name.as_str()).policy_arn(arn).send().await;
                super::Applied::unless_gone(answer)
            }
            Entity::Role(name) => {
                #[expect(clippy::disallowed_methods, reason = "release takes off what this case attached")]
                let answer = iam.detach_role_policy().role_name(name.as_str()).policy_arn(arn).send().await;
                super::Applied::unless_gone(answer)
            }
        }
    }
}
