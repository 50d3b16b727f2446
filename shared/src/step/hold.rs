//! What stays when a deny is released: sessions issued before the release live on for hours, and must not come back to
//! life with the principal (CONTAINMENT A4, A23).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Entity, Step};
use crate::policy;
use crate::text::{option, shell_word};
use crate::timestamp::Timestamp;

/// How long the sessions of a user's keys live at most (CONTAINMENT A4).
const LONGEST_USER_SESSION: Duration = Duration::from_hours(36);
/// How long the sessions of a role live at most (CONTAINMENT A4).
const LONGEST_ROLE_SESSION: Duration = Duration::from_hours(12);

/// An inline deny of the sessions that were issued before a release, held until the last of them has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Whom it is on.
    #[serde(flatten)]
    pub principal: Entity,
    /// The name of the inline policy.
    pub policy: String,
    /// The policy.
    pub document: String,
    /// When it may go.
    pub until: Timestamp,
}

impl Step {
    /// What has to stay on the principal when this deny is undone, with `cutoff` as the moment from which new sessions
    /// work. Nothing for a step that denies nobody, and for one that was there before the case.
    #[must_use]
    pub fn hold(&self, cutoff: Timestamp) -> Option<Hold> {
        let older = |principal: Entity| {
            let longest = match principal {
                Entity::User(_) => LONGEST_USER_SESSION,
                Entity::Role(_) => LONGEST_ROLE_SESSION,
            };
            Hold {
                principal,
                policy: policy::REVOKE_OLDER_SESSIONS.to_owned(),
                document: policy::revoke_older_sessions(cutoff),
                until: cutoff.plus(longest),
            }
        };
        match self {
            _ if self.was_before() => None,
            Self::DenyAll(step) => Some(older(Entity::User(step.user.clone()))),
            Self::AttachDenyAll(step) => Some(older(step.principal.clone())),
            Self::DenyByBoundary(step) => Some(older(step.principal.clone())),
            Self::JoinDenyGroup(step) => Some(older(Entity::User(step.user.clone()))),
            // It takes the place of the deny, in one write.
            Self::DenySession(step) => Some(Hold {
                principal: Entity::Role(step.role.clone()),
                policy: policy::deny_session_name(&step.session),
                document: policy::deny_older_sessions(&step.role_id, &step.session, step.instance.as_ref(), cutoff),
                until: cutoff.plus(LONGEST_ROLE_SESSION),
            }),
            // It is one already, with a cut-off of its own.
            Self::RevokeOlderSessions(step) => Some(Hold {
                principal: Entity::Role(step.role.clone()),
                policy: policy::REVOKE_OLDER_SESSIONS.to_owned(),
                document: policy::revoke_older_sessions(step.cutoff),
                until: step.cutoff.plus(LONGEST_ROLE_SESSION),
            }),
            _ => None,
        }
    }
}

impl Hold {
    /// Whom and what it is on, for a person.
    #[must_use]
    pub fn on(&self) -> String {
        format!("{} {}", self.principal.label(), self.policy)
    }

    /// The `aws` line that puts it.
    #[must_use]
    pub fn command(&self) -> String {
        let (kind, who) = (self.principal.kind(), self.principal.option());
        let document = shell_word(&self.document);
        format!("aws iam put-{kind}-policy {who} {} --policy-document {document}", option("--policy-name", &self.policy))
    }

    /// The `aws` line that takes it away when its time is over.
    #[must_use]
    pub fn lift_command(&self) -> String {
        let (kind, who) = (self.principal.kind(), self.principal.option());
        format!("aws iam delete-{kind}-policy {who} {}", option("--policy-name", &self.policy))
    }
}

#[cfg(feature = "release")]
mod calls {
    use super::super::Applied;
    use super::{Entity, Hold};
    use crate::aws::{Fault, FaultClass, is_no_such_entity};
    use crate::policy;

    impl Hold {
        /// Puts it on the principal. Done twice, it leaves what doing it once leaves.
        ///
        /// # Errors
        /// With what AWS said; `LimitExceeded` where there is no room for it.
        pub async fn put(&self, iam: &aws_sdk_iam::Client) -> Result<Applied, Fault> {
            match &self.principal {
                Entity::User(name) => {
                    let request = iam.put_user_policy().user_name(name.as_str()).policy_name(&self.policy);
                    Ok(Applied::changed(&request.policy_document(&self.document).send().await?))
                }
                Entity::Role(name) => {
                    let request = iam.put_role_policy().role_name(name.as_str()).policy_name(&self.policy);
                    Ok(Applied::changed(&request.policy_document(&self.document).send().await?))
                }
            }
        }

        /// What stands in its place now.
        ///
        /// # Errors
        /// With what AWS said.
        pub async fn read(&self, iam: &aws_sdk_iam::Client) -> Result<Option<String>, Fault> {
            let read = match &self.principal {
                Entity::User(name) => {
                    let answer = iam.get_user_policy().user_name(name.as_str()).policy_name(&self.policy).send().await;
                    answer.map(|output| output.policy_document).map_err(|error| (is_no_such_entity(&error), Fault::from(error)))
                }
                Entity::Role(name) => {
                    let answer = iam.get_role_policy().role_name(name.as_str()).policy_name(&self.policy).send().await;
                    answer.map(|output| output.policy_document).map_err(|error| (is_no_such_entity(&error), Fault::from(error)))
                }
            };
            match read {
                Ok(document) => Ok(Some(policy::decode(&document))),
                Err((true, _)) => Ok(None),
                Err((false, fault)) => Err(fault),
            }
        }

        /// Takes it away, if it is still the one that was put: another document in its place is another case's, or
        /// somebody's.
        ///
        /// # Errors
        /// With what AWS said, or that another document stands in its place.
        pub async fn lift(&self, iam: &aws_sdk_iam::Client) -> Result<Applied, Fault> {
            match self.read(iam).await? {
                None => return Ok(Applied::already()),
                Some(document) if document == self.document => {}
                Some(_) => {
                    return Err(Fault {
                        code: "NotAsWeLeftIt".to_owned(),
                        message: format!("{} holds another document: it stays, another case or somebody put it there", self.on()),
                        class: FaultClass::Permanent,
                    });
                }
            }
            match &self.principal {
                Entity::User(name) => {
                    #[expect(clippy::disallowed_methods, reason = "our own policy, read and found unchanged")]
                    let answer = iam.delete_user_policy().user_name(name.as_str()).policy_name(&self.policy).send().await;
                    Applied::unless_gone(answer)
                }
                Entity::Role(name) => {
                    #[expect(clippy::disallowed_methods, reason = "our own policy, read and found unchanged")]
                    let answer = iam.delete_role_policy().role_name(name.as_str()).policy_name(&self.policy).send().await;
                    Applied::unless_gone(answer)
                }
            }
        }
    }
}
