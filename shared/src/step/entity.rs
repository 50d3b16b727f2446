//! The IAM entity a deny of everything is put on.

use serde::{Deserialize, Serialize};

use super::Undo;
use crate::id::{Arn, Partition, PrincipalName};
use crate::text::option;

/// An IAM user or an IAM role. Stored as `"user": NAME` or `"role": NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// A user.
    User(PrincipalName),
    /// A role: what is put on it hits everyone who holds it.
    Role(PrincipalName),
}

impl Entity {
    /// `user/NAME` or `role/NAME`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::User(name) => format!("user/{name}"),
            Self::Role(name) => format!("role/{name}"),
        }
    }

    /// `user` or `role`, as IAM's operations are called.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Role(_) => "role",
        }
    }

    /// `--user-name NAME` or `--role-name NAME`.
    pub(super) fn option(&self) -> String {
        let (Self::User(name) | Self::Role(name)) = self;
        option(&format!("--{}-name", self.kind()), name.as_str())
    }
}

impl Entity {
    /// How a deny of everything is undone by `line`. A user's goes only if what keeps its old sessions out fits: where
    /// there is still no room for that, the first half fails and the deny stays.
    pub(super) fn released(&self, line: String) -> Undo {
        match self {
            Self::User(name) => {
                let [revoke, later] = super::deny_all::revoke_now(name);
                let note = "sessions minted from the user's keys live up to 36 hours; if the first half does not fit, keep the deny until then and run the second half alone";
                Undo { commands: vec![format!("{revoke} && {line}"), later], note: Some(note) }
            }
            Self::Role(_) => Undo::by(line)
                .noting("sessions of a role live up to 12 hours: keep this that long after the source of the session is clean"),
        }
    }
}

/// AWS's own policy that denies everything. Being AWS's, its text can be changed by nobody in the account.
pub const AWS_DENY_ALL: &str = "AWSDenyAll";

pub(super) fn aws_deny_all(partition: Partition) -> String {
    format!("arn:{partition}:iam::aws:policy/{AWS_DENY_ALL}")
}

/// Whether `arn` is AWS's own `AWSDenyAll`, of whatever partition.
#[must_use]
pub fn is_aws_deny_all(arn: &Arn) -> bool {
    arn.account() == "aws" && arn.service() == "iam" && arn.resource().strip_prefix("policy/") == Some(AWS_DENY_ALL)
}
