//! Reading an identity: everything in one wave, so that the second can cut.

use super::principal::principal;
use super::{Function, source};
use crate::aws::{Access, Fault};
use crate::case::OpenCase;
use crate::case::store::{CaseStore, Etag};
use crate::containment::identity::{Observed, Principal, as_named_at_source};
use crate::containment::{AtSource, TargetRecord};
use crate::error::Retry;
use crate::finding::{Finding, Target, User};
use crate::guardrails::Guardrails;
use crate::id::{AccessKeyId, PrincipalName};

/// The file the guardrails come from, for messages.
const GUARDRAILS_FILE: &str = "guardrails.toml";

/// Everything the reads give.
#[derive(Debug)]
pub(super) struct Wave {
    /// The target, with the user found where the finding named only a key.
    pub(super) target: Target,
    /// The key its case is filed under: what was looked up is what will be written.
    pub(super) key: String,
    /// What AWS says.
    pub(super) observed: Observed,
    /// The open case of the target.
    pub(super) open_case: Option<(OpenCase, Etag)>,
    /// The clients for its account.
    pub(super) access: Access,
}

/// Reads the finding at its source, the target, the guardrails and the open case, side by side.
///
/// A key named without its user costs one wave more, to ask IAM whose it is; its open case is then looked for where it
/// is claimed, by the write that only the first wins.
///
/// # Errors
/// When the principal or its open case cannot be read: nothing was changed.
pub(super) async fn observe(function: &Function, finding: &Finding, target: &Target) -> Result<Wave, Retry> {
    let (clients, store) = (&function.clients, &function.store);
    if function.responder.is_foreign(finding) {
        return unobserved(function, finding, target, Principal::NotLooked).await;
    }
    let access = match clients.access(&finding.account).await {
        Ok(access) => access,
        Err(fault) if fault.is_retryable() => {
            return Err(Retry::before_any_change("assuming the responder role of", finding.account.to_string(), &fault));
        }
        Err(fault) => return unobserved(function, finding, target, Principal::Unreachable { reason: fault.to_string() }).await,
    };
    let source = Box::pin(source::at_source(clients, &access, finding));
    let guardrails = guardrails(store);
    match target {
        Target::AccessKey { key } => {
            let (source, guardrails, owner) = tokio::join!(source, guardrails, owner_of(&access.iam, key));
            let owner = owner.map_err(|fault| Retry::before_any_change("finding the owner of a key", key.to_string(), &fault))?;
            let target = as_named_at_source(owner.as_ref().unwrap_or(target), &source);
            if owner.is_none() && !matches!(target, Target::User(_) | Target::RoleSession(_)) {
                let key = TargetRecord::accused(finding, &target).key(&finding.id);
                let observed = Observed { source, guardrails, principal: Principal::Absent };
                return Ok(Wave { target, observed, open_case: open_case(store, &key).await?, key, access });
            }
            if matches!(&target, Target::User(User { unique_id: Some(_), .. })) {
                // The detector says whose it is: the open case can be read beside the user.
                let key = TargetRecord::accused(finding, &target).key(&finding.id);
                let (principal, open_case) = tokio::join!(principal(&access.iam, &target), open_case(store, &key));
                let observed = Observed { source, guardrails, principal: principal? };
                return Ok(Wave { target, key, observed, open_case: open_case?, access });
            }
            let principal = principal(&access.iam, &target).await?;
            let key = TargetRecord::of(finding, &target, &principal).key(&finding.id);
            Ok(Wave { target, key, observed: Observed { source, guardrails, principal }, open_case: None, access })
        }
        // Without a unique id the case is filed under whom IAM finds.
        Target::User(User { unique_id: None, .. }) => {
            let (source, guardrails, principal) = tokio::join!(source, guardrails, principal(&access.iam, target));
            let (target, principal) = (as_named_at_source(target, &source), principal?);
            let key = TargetRecord::of(finding, &target, &principal).key(&finding.id);
            Ok(Wave { target, key, observed: Observed { source, guardrails, principal }, open_case: None, access })
        }
        _ => {
            let accused = TargetRecord::accused(finding, target).key(&finding.id);
            let (source, guardrails, principal, found) =
                tokio::join!(source, guardrails, principal(&access.iam, target), open_case(store, &accused));
            let target = as_named_at_source(target, &source);
            let key = TargetRecord::accused(finding, &target).key(&finding.id);
            // The detector may name what the event left out; then the case is filed under that.
            let (open_case, principal) = match (key == accused, principal?) {
                (true, principal) => (found?, principal),
                (false, _) => (open_case(store, &key).await?, Box::pin(super::principal::principal(&access.iam, &target)).await?),
            };
            Ok(Wave { target, key, observed: Observed { source, guardrails, principal }, open_case, access })
        }
    }
}

/// A finding of an account that may not be, or cannot be, entered: nothing of this account may be taken for what it
/// names, so only the guardrails and the open case are read.
async fn unobserved(function: &Function, finding: &Finding, target: &Target, principal: Principal) -> Result<Wave, Retry> {
    let key = TargetRecord::accused(finding, target).key(&finding.id);
    let (guardrails, open_case) = tokio::join!(guardrails(&function.store), open_case(&function.store, &key));
    let source = AtSource::Unconfirmed { reason: "the detector of another account".to_owned(), retryable: false };
    let observed = Observed { source, guardrails, principal };
    Ok(Wave { target: target.clone(), key, observed, open_case: open_case?, access: function.clients.home.clone() })
}

async fn guardrails(store: &CaseStore) -> Result<Guardrails, String> {
    let text = store.guardrails().await.map_err(|fault| fault.to_string())?;
    Guardrails::parse(GUARDRAILS_FILE, &text).map_err(|error| error.to_string())
}

async fn open_case(store: &CaseStore, key: &str) -> Result<Option<(OpenCase, Etag)>, Retry> {
    store.open_case(key).await.map_err(|fault| Retry::before_any_change("reading the open case", OpenCase::key(key), &fault))
}

/// The user a long-term key belongs to. Its unique id is not known yet: that the key is among the user's own is what
/// the decision will ask for.
async fn owner_of(iam: &aws_sdk_iam::Client, key: &AccessKeyId) -> Result<Option<Target>, Fault> {
    match iam.get_access_key_last_used().access_key_id(key.as_str()).send().await {
        Ok(output) => {
            let name = output.user_name().and_then(|name| PrincipalName::parse(name).ok());
            Ok(name.map(|name| Target::User(User { name, unique_id: None, key: Some(key.clone()) })))
        }
        // IAM answers with a refusal for keys of other accounts and keys it has never seen.
        Err(error)
            if matches!(
                error.as_service_error().and_then(aws_sdk_iam::error::ProvideErrorMetadata::code),
                Some("AccessDenied" | "NoSuchEntity")
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
