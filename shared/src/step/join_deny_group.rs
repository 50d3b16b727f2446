//! Put a user into the group that denies everything: the last rung inside the account (CONTAINMENT A19).

use serde::{Deserialize, Serialize};

use super::{Change, Entity, Release, Undo};
use crate::id::PrincipalName;
use crate::text::option;

/// Adds a user to the deny group, which was made for this beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinDenyGroup {
    /// The user.
    pub user: PrincipalName,
    /// The group.
    pub group: String,
    /// Whether it was a member before us: then that is not ours to take back.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub before: bool,
}

impl JoinDenyGroup {
    fn line(&self, verb: &str) -> String {
        format!("aws iam {verb} {} {}", option("--group-name", &self.group), option("--user-name", self.user.as_str()))
    }
}

impl Change for JoinDenyGroup {
    const NAME: &'static str = "join_deny_group";

    fn on(&self) -> String {
        format!("user/{} group/{}", self.user, self.group)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["iam:AddUserToGroup", "iam:GetGroupPolicy"]
    }

    fn command(&self) -> String {
        self.line("add-user-to-group")
    }

    fn undo(&self) -> Undo {
        if self.before {
            return Undo::left();
        }
        Entity::User(self.user.clone()).released(self.line("remove-user-from-group"))
    }

    fn release(&self) -> Release {
        if self.before { Release::Stays("it was so before this case") } else { Release::Undo }
    }
}

#[cfg(feature = "iam")]
use crate::policy;

#[cfg(feature = "iam")]
impl JoinDenyGroup {
    pub(super) async fn apply(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        // A member of a group that no longer denies is not denied: whoever emptied it must not be helped to hide it.
        let read = iam.get_group_policy().group_name(&self.group).policy_name(policy::DENY_GROUP_POLICY).send().await?;
        if !policy::denies_everything(&policy::decode(read.policy_document())) {
            return Err(crate::aws::Fault {
                code: "DenyGroupChanged".to_owned(),
                message: format!("group {} no longer denies everything: somebody changed its policy", self.group),
                class: crate::aws::FaultClass::Permanent,
            });
        }
        let output = iam.add_user_to_group().group_name(&self.group).user_name(self.user.as_str()).send().await?;
        Ok(super::Applied { changed: !self.before, ..super::Applied::changed(&output) })
    }
}

#[cfg(feature = "release")]
impl JoinDenyGroup {
    pub(super) async fn revert(&self, iam: &aws_sdk_iam::Client) -> Result<super::Applied, crate::aws::Fault> {
        #[expect(clippy::disallowed_methods, reason = "release takes the user out of the group this case put it in")]
        let answer = iam.remove_user_from_group().group_name(&self.group).user_name(self.user.as_str()).send().await;
        super::Applied::unless_gone(answer)
    }
}
