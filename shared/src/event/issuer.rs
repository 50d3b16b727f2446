//! Who stands behind a `GetFederationToken` session: the IAM user, or root, that asked for it (CONTAINMENT A8, A13).
//!
//! A federated user's own name is chosen by that issuer and says nothing: an innocent IAM user may have it. So the
//! issuer is taken from a session issuer record only, in CloudTrail's words, and only if the record is whole and
//! agrees with itself; half of one is nobody.

use super::json::Json;
use crate::finding::{Target, User};
use crate::id::{AccessKeyId, AccountId, Arn, PrincipalName, UniqueId};

/// The principal a `sessionIssuer` names, in `account`; `key` is the key of the session.
pub(super) fn issuer(record: Json<'_>, key: Option<AccessKeyId>, account: &AccountId) -> Option<Target> {
    let arn = Arn::parse(&record.text("arn")?).ok()?;
    let accounts_agree = arn.account() == account.as_str()
        && record.text("accountId").is_none_or(|stated| stated == account.as_str())
        && arn.service() == "iam";
    if !accounts_agree {
        return None;
    }
    match record.text("type")?.as_str() {
        "IAMUser" => {
            let name = PrincipalName::parse(arn.resource().strip_prefix("user/")?.rsplit('/').next()?).ok()?;
            let names_agree = record.text("userName").is_none_or(|stated| stated == name.as_str());
            let unique_id = UniqueId::parse(&record.text("principalId")?).ok().filter(|id| id.as_str().starts_with("AIDA"))?;
            names_agree.then_some(Target::User(User { name, unique_id: Some(unique_id), key }))
        }
        "Root" => (arn.resource() == "root").then_some(Target::Root { key }),
        // A role cannot ask for a federation token; whatever else is named is not guessed at.
        _ => None,
    }
}
