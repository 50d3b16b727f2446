//! How a person contains what the contained principal created (CONTAINMENT A22). Lines only: nothing of it is carried
//! out, since what somebody's key created may by now be used by somebody else.

use crate::event::{Created, CreatedOn};
use crate::id::{Arn, Partition};
use crate::step::{AttachDenyAll, DeactivateKey, DenyAll, Entity, Step};
use crate::text::option;

/// The `aws` line that contains it, its key redacted; where no single one does, the one that shows it.
#[must_use]
pub fn line_to_contain(created: &Created, partition: Partition) -> String {
    let step: Step = match &created.on {
        CreatedOn::User(user) => match &created.key {
            Some(key) => {
                let line = Step::from(DeactivateKey { user: user.clone(), key: key.clone() }).command();
                return line.replace(key.as_str(), &key.to_string());
            }
            None => DenyAll { user: user.clone() }.into(),
        },
        CreatedOn::Role(role) => AttachDenyAll { principal: Entity::Role(role.clone()), partition, before: false }.into(),
        CreatedOn::Policy(policy) => return versions(policy),
        CreatedOn::Other(_) => {
            let what =
                if created.call == "CreateSAMLProvider" { "list-saml-providers" } else { "list-open-id-connect-providers" };
            return format!("aws iam {what}");
        }
    };
    step.command()
}

fn versions(policy: &Arn) -> String {
    format!("aws iam list-policy-versions {}", option("--policy-arn", policy.as_str()))
}
