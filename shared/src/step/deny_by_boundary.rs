//! Put `AWSDenyAll` as the permissions boundary: it has a place of its own, so it fits where no policy does
//! (CONTAINMENT A19). It denies explicitly: a boundary that merely allows nothing would leave open what the policies
//! of resources grant (CONTAINMENT A20).

use serde::{Deserialize, Serialize};

use super::entity::{AWS_DENY_ALL, Entity, aws_deny_all};
use super::{Change, Release, Undo};
use crate::id::{Arn, Partition};
use crate::text::shell_word;

/// Makes `AWSDenyAll` the permissions boundary of a user or a role. On a role it hits everyone who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyByBoundary {
    /// The user or role.
    #[serde(flatten)]
    pub principal: Entity,
    /// The partition whose policy to use.
    pub partition: Partition,
    /// The boundary it replaces: remembered before the change, for nothing else would know it afterwards.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<Arn>,
    /// Whether `AWSDenyAll` was the boundary before us: then it is not ours to take away.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub before: bool,
}

impl DenyByBoundary {
    fn put(&self, boundary: &str) -> String {
        let boundary = shell_word(boundary);
        let (kind, option) = (self.principal.kind(), self.principal.option());
        format!("aws iam put-{kind}-permissions-boundary {option} --permissions-boundary {boundary}")
    }
}

impl Change for DenyByBoundary {
    const NAME: &'static str = "deny_by_boundary";

    fn on(&self) -> String {
        format!("{} permissions boundary {AWS_DENY_ALL}", self.principal.label())
    }

    fn permissions(&self) -> &'static [&'static str] {
        match self.principal {
            Entity::User(_) => &["iam:PutUserPermissionsBoundary"],
            Entity::Role(_) => &["iam:PutRolePermissionsBoundary"],
        }
    }

    fn command(&self) -> String {
        self.put(&aws_deny_all(self.partition))
    }

    fn undo(&self) -> Undo {
        if self.before {
            return Undo::left();
        }
        let line = match &self.old {
            Some(old) => self.put(old.as_str()),
            None => format!("aws iam delete-{}-permissions-boundary {}", self.principal.kind(), self.principal.option()),
        };
        self.principal.released(line)
    }

    fn release(&self) -> Release {
        if self.before { Release::Stays("it was so before this case") } else { Release::Undo }
    }
}

#[cfg(feature = "iam")]
impl DenyByBoundary {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        let arn = aws_deny_all(self.partition);
        let applied = match &self.principal {
            Entity::User(name) => {
                let request = iam.put_user_permissions_boundary().user_name(name.as_str()).permissions_boundary(arn);
                super::Applied::changed(&request.send().await?)
            }
            Entity::Role(name) => {
                let request = iam.put_role_permissions_boundary().role_name(name.as_str()).permissions_boundary(arn);
                super::Applied::changed(&request.send().await?)
            }
        };
        Ok(super::Applied { changed: !self.before, ..applied })
    }
}

#[cfg(feature = "release")]
impl DenyByBoundary {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        match (&self.principal, &self.old) {
            (Entity::User(name), Some(old)) => {
                let request = iam.put_user_permissions_boundary().user_name(name.as_str()).permissions_boundary(old.as_str());
                Ok(super::Applied::changed(&request.send().await?))
            }
            (Entity::Role(name), Some(old)) => {
                let request = iam.put_role_permissions_boundary().role_name(name.as_str()).permissions_boundary(old.as_str());
                Ok(super::Applied::changed(&request.send().await?))
            }
            (Entity::User(name), None) => {
                #[expect(clippy::disallowed_methods, reason = "there was no boundary before ours")]
                let answer = iam.delete_user_permissions_boundary().user_name(name.as_str()).send().await;
                super::Applied::unless_gone(answer)
            }
            (Entity::Role(name), None) => {
                #[expect(clippy::disallowed_methods, reason = "there was no boundary before ours")]
                let answer = iam.delete_role_permissions_boundary().role_name(name.as_str()).send().await;
                super::Applied::unless_gone(answer)
            }
        }
    }
}
