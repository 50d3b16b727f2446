//! Reading an identity: everything in one wave, so that the second can cut.

use tracing::warn;

use super::super::kind::{Seen, Wave};
use super::super::read::{NoGuardrails, guardrails, open_case};
use super::super::{Function, source};
use super::principal::{ACCESS_KEYS, look, principal};
use super::{Identities, cloudtrail};
use crate::aws::{Access, Fault, FaultClass};
use crate::case::OpenCase;
use crate::case::store::Etag;
use crate::containment::identity::{Observed, Principal, as_named_at_source};
use crate::containment::{AtSource, TargetRecord};
use crate::error::Retry;
use crate::finding::{Elsewhere, ElsewhereSort, Finding, Target, User};
use crate::guardrails::Guardrails;
use crate::id::{AccessKeyId, PrincipalName};

impl Wave<Principal> {
    fn new(
        target: Target,
        key: String,
        source: AtSource,
        guardrails: Result<Guardrails, NoGuardrails>,
        principal: Principal,
        open_case: Option<(OpenCase, Etag)>,
        access: Access,
    ) -> Self {
        let passing = guardrails.as_ref().err().filter(|none| none.passing).map(|none| none.reason.clone());
        let observed = Observed { source, guardrails: guardrails.map_err(|none| none.reason), state: principal };
        Self { target, key, observed, open_case, access, guardrails_passing: passing, fleet: None }
    }
}

/// Reads the finding at its source, the target, the guardrails and the open case, side by side.
///
/// A key named without its user, or a federated session without its issuer, costs one wave more, to ask IAM or
/// CloudTrail who is behind it. Without a unique id the open case is looked for where it is claimed, by the write that
/// only the first wins.
///
/// # Errors
/// When the principal or its open case cannot be read: nothing was changed.
pub(super) async fn observe(
    function: &Function<Identities>,
    finding: &Finding,
    target: &Target,
) -> Result<Wave<Principal>, Retry> {
    let wave = Box::pin(observe_as(function, finding, target)).await?;
    // The detector names a key, or a federated session, where the event names somebody: who that is we find out
    // ourselves, whatever the event says. Anyone may claim that a real key is an innocent's.
    match unproved(&wave.observed.source, target) {
        Some(named) => Box::pin(observe_as(function, finding, &named)).await,
        None => Ok(wave),
    }
}

/// The target in the detector's words where these do not say who it is, and the event's do.
fn unproved(source: &AtSource, claimed: &Target) -> Option<Target> {
    let AtSource::Confirmed(confirmed) = source else { return None };
    let (Target::User(User { key: Some(key), unique_id: Some(_), .. }) | Target::Root { key: Some(key) }) = claimed else {
        return None;
    };
    let names_the_key = |named: &&Target| match named {
        Target::AccessKey { key: named } | Target::Elsewhere(Elsewhere { key: Some(named), .. }) => named == key,
        _ => false,
    };
    let says_who = |named: &Target| matches!(named, Target::User(user) if user.key.as_ref() == Some(key));
    confirmed.targets.iter().find(names_the_key).filter(|_| !confirmed.targets.iter().any(says_who)).cloned()
}

async fn observe_as(function: &Function<Identities>, finding: &Finding, target: &Target) -> Result<Wave<Principal>, Retry> {
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
        Target::AccessKey { .. } | Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, key: Some(_), .. }) => {
            let (source, guardrails, found) = tokio::join!(source, guardrails, who_is_behind(&access, finding, target));
            let found = found.map_err(|fault| Retry::before_any_change("finding who is behind", label(target), &fault))?;
            let target = as_named_at_source(found.as_ref().unwrap_or(target), &source);
            let key = TargetRecord::accused(finding, &target).key(&finding.id);
            match &target {
                // With the unique id the open case can be read beside the principal.
                Target::User(User { unique_id: Some(_), .. }) | Target::RoleSession(_) => {
                    let (principal, open_case) = tokio::join!(principal(&access.iam, &target), open_case(store, &key));
                    Ok(Wave::new(target, key, source, guardrails, principal?, open_case?, access))
                }
                Target::User(_) => {
                    let principal = proved(&access, &target).await?;
                    let key = TargetRecord::of(finding, &target, &principal).key(&finding.id);
                    Ok(Wave::new(target, key, source, guardrails, principal, None, access))
                }
                _ => {
                    let open_case = open_case(store, &key).await?;
                    Ok(Wave::new(target, key, source, guardrails, Principal::Absent, open_case, access))
                }
            }
        }
        // Without a unique id the case is filed under whom IAM finds.
        Target::User(User { unique_id: None, .. }) => {
            let (source, guardrails, principal) = tokio::join!(source, guardrails, proved(&access, target));
            let (target, principal) = (as_named_at_source(target, &source), principal?);
            let key = TargetRecord::of(finding, &target, &principal).key(&finding.id);
            Ok(Wave::new(target, key, source, guardrails, principal, None, access))
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
            Ok(Wave::new(target, key, source, guardrails, principal, open_case, access))
        }
    }
}

/// A finding of an account that may not be, or cannot be, entered: nothing of this account may be taken for what it
/// names, so only the guardrails and the open case are read.
async fn unobserved(
    function: &Function<Identities>,
    finding: &Finding,
    target: &Target,
    principal: Principal,
) -> Result<Wave<Principal>, Retry> {
    let key = TargetRecord::accused(finding, target).key(&finding.id);
    let (guardrails, open_case) = tokio::join!(guardrails(&function.store), open_case(&function.store, &key));
    let source = AtSource::Unconfirmed { reason: "the detector of another account".to_owned(), retryable: false };
    Ok(Wave::new(target.clone(), key, source, guardrails, principal, open_case?, function.clients.home.clone()))
}

/// A user named without its unique id: that the key is among its own is the proof, so the keys have to be read.
///
/// # Errors
/// Also when the keys could not be read and may be a moment later. Whatever else is unread keeps nobody from being
/// contained.
async fn proved(access: &Access, target: &Target) -> Result<Principal, Retry> {
    let Seen { state: principal, passing } = look(&access.iam, target).await?;
    let unproved = principal.unread().iter().find(|what| what.starts_with(ACCESS_KEYS));
    if let Some(message) = unproved.filter(|_| passing).cloned() {
        let fault = Fault { code: "Unreadable".to_owned(), message, class: FaultClass::Retryable };
        return Err(Retry::before_any_change("reading", label(target), &fault));
    }
    Ok(principal)
}

/// The principal behind a target that does not name one: the user a key belongs to, the issuer of a federated session.
async fn who_is_behind(access: &Access, finding: &Finding, target: &Target) -> Result<Option<Target>, Fault> {
    match target {
        Target::AccessKey { key } => owner_of(&access.iam, key).await,
        // CloudTrail is off limits, or its two requests a second are used up: then a person has to look there.
        Target::Elsewhere(Elsewhere { key: Some(key), .. }) => {
            let issuer = cloudtrail::issuer(access, finding, key).await;
            Ok(issuer.unwrap_or_else(|fault| {
                warn!(%fault, session = %key, "CloudTrail could not be asked who issued a session");
                None
            }))
        }
        _ => Ok(None),
    }
}

fn label(target: &Target) -> String {
    match target {
        Target::AccessKey { key } => key.to_string(),
        Target::Elsewhere(elsewhere) => elsewhere.label.clone(),
        Target::User(user) => format!("user/{}", user.name),
        _ => String::new(),
    }
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
