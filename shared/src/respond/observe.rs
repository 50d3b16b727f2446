//! Reading an identity: everything in one wave, so that the second can cut.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{StatusType, Tag};

use super::{Function, source};
use crate::aws::{Clients, Fault};
use crate::case::OpenCase;
use crate::case::store::{CaseStore, Etag};
use crate::containment::identity::{
    ATTACHED_POLICIES, AccessKey, Credential, OWN_DENY, Observed, ObservedRole, ObservedUser, Principal, ServiceCredential,
    as_named_at_source,
};
use crate::containment::{AtSource, TargetRecord};
use crate::error::Retry;
use crate::finding::{Finding, RoleSession, Target, User};
use crate::guardrails::Guardrails;
use crate::id::{AccessKeyId, Arn, PrincipalName, UniqueId};
use crate::policy;
use crate::text::printable;
use crate::timestamp::Timestamp;

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
        return foreign(store, finding, target).await;
    }
    let source = Box::pin(source::at_source(clients, finding));
    let guardrails = guardrails(store);
    match target {
        Target::AccessKey { key } => {
            let (source, guardrails, owner) = tokio::join!(source, guardrails, owner_of(&clients.iam, key));
            let owner = owner.map_err(|fault| Retry::before_any_change("finding the owner of a key", key.to_string(), &fault))?;
            let target = as_named_at_source(owner.as_ref().unwrap_or(target), &source);
            if owner.is_none() && !matches!(target, Target::User(_) | Target::RoleSession(_)) {
                let key = TargetRecord::accused(finding, &target).key(&finding.id);
                let observed = Observed { source, guardrails, principal: Principal::Absent };
                return Ok(Wave { target, observed, open_case: open_case(store, &key).await?, key });
            }
            if matches!(&target, Target::User(User { unique_id: Some(_), .. })) {
                // The detector says whose it is: the open case can be read beside the user.
                let key = TargetRecord::accused(finding, &target).key(&finding.id);
                let (principal, open_case) = tokio::join!(principal(clients, &target), open_case(store, &key));
                let observed = Observed { source, guardrails, principal: principal? };
                return Ok(Wave { target, key, observed, open_case: open_case? });
            }
            let principal = principal(clients, &target).await?;
            let key = TargetRecord::of(finding, &target, &principal).key(&finding.id);
            Ok(Wave { target, key, observed: Observed { source, guardrails, principal }, open_case: None })
        }
        // Without a unique id the case is filed under whom IAM finds.
        Target::User(User { unique_id: None, .. }) => {
            let (source, guardrails, principal) = tokio::join!(source, guardrails, principal(clients, target));
            let (target, principal) = (as_named_at_source(target, &source), principal?);
            let key = TargetRecord::of(finding, &target, &principal).key(&finding.id);
            Ok(Wave { target, key, observed: Observed { source, guardrails, principal }, open_case: None })
        }
        _ => {
            let accused = TargetRecord::accused(finding, target).key(&finding.id);
            let (source, guardrails, principal, found) =
                tokio::join!(source, guardrails, principal(clients, target), open_case(store, &accused));
            let target = as_named_at_source(target, &source);
            let key = TargetRecord::accused(finding, &target).key(&finding.id);
            // The detector may name what the event left out; then the case is filed under that.
            let (open_case, principal) = match (key == accused, principal?) {
                (true, principal) => (found?, principal),
                (false, _) => (open_case(store, &key).await?, Box::pin(self::principal(clients, &target)).await?),
            };
            Ok(Wave { target, key, observed: Observed { source, guardrails, principal }, open_case })
        }
    }
}

/// A finding of another account or partition: nothing of this account may be taken for what it names, so only the
/// guardrails and the open case are read.
async fn foreign(store: &CaseStore, finding: &Finding, target: &Target) -> Result<Wave, Retry> {
    let key = TargetRecord::accused(finding, target).key(&finding.id);
    let (guardrails, open_case) = tokio::join!(guardrails(store), open_case(store, &key));
    let source = AtSource::Unconfirmed { reason: "the detector of another account".to_owned(), retryable: false };
    let observed = Observed { source, guardrails, principal: Principal::NotLooked };
    Ok(Wave { target: target.clone(), key, observed, open_case: open_case? })
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

/// What IAM says about the target now. Also what *verify* reads back.
///
/// # Errors
/// When IAM does not answer, or not with what it documents.
pub(super) async fn principal(clients: &Clients, target: &Target) -> Result<Principal, Retry> {
    let read = match target {
        // Boxed: nine SDK operations side by side are a large future.
        Target::User(accused) => Box::pin(user(&clients.iam, accused)).await,
        Target::RoleSession(accused) => Box::pin(role(&clients.iam, accused)).await,
        _ => return Ok(Principal::NotLooked),
    };
    read.map_err(|fault| {
        let name = match target {
            Target::User(accused) => format!("user/{}", accused.name),
            Target::RoleSession(accused) => format!("role/{}", accused.role),
            _ => String::new(),
        };
        Retry::before_any_change("reading", name, &fault)
    })
}

async fn user(iam: &aws_sdk_iam::Client, accused: &User) -> Result<Principal, Fault> {
    let name = accused.name.as_str();
    let (user, keys, login, service_credentials, ssh_keys, certificates, mfa_devices, attached, deny) = tokio::join!(
        iam.get_user().user_name(name).send(),
        iam.list_access_keys().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.get_login_profile().user_name(name).send(),
        service_credentials(iam, name),
        iam.list_ssh_public_keys().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_signing_certificates().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_mfa_devices().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_attached_user_policies().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.get_user_policy().user_name(name).policy_name(policy::DENY_ALL).send(),
    );
    let user = match user {
        Ok(output) => output.user,
        Err(error) if crate::aws::is_no_such_entity(&error) => {
            return Ok(Principal::Absent);
        }
        Err(error) => return Err(error.into()),
    };
    let user = user.ok_or_else(|| incomplete("GetUser"))?;
    let mut unread = Unread::default();
    let login = match login {
        Ok(output) => {
            output.login_profile.map(|profile| (timestamp(Some(&profile.create_date)), profile.password_reset_required))
        }
        Err(error) if crate::aws::is_no_such_entity(&error) => None,
        Err(error) => unread.note("console password", &error.into()),
    };
    let deny = match deny {
        Ok(output) => Some(policy::decode(output.policy_document())),
        Err(error) if crate::aws::is_no_such_entity(&error) => None,
        Err(error) => unread.note(OWN_DENY, &error.into()),
    };
    let keys = unread.list("access keys", keys).into_iter().filter_map(|key| {
        Some(AccessKey {
            id: AccessKeyId::parse(key.access_key_id()?).ok()?,
            active: key.status() == Some(&StatusType::Active),
            created: timestamp(key.create_date()),
        })
    });
    let keys = keys.collect();
    let credential = |id: &str, status: &StatusType| Credential { id: id.to_owned(), active: *status == StatusType::Active };
    Ok(Principal::User(Box::new(ObservedUser {
        name: accused.name.clone(),
        arn: Arn::parse(user.arn()).map_err(|_| incomplete("GetUser"))?,
        unique_id: UniqueId::parse(user.user_id()).map_err(|_| incomplete("GetUser"))?,
        tags: tags(user.tags()),
        keys,
        login,
        service_credentials: unread.list("service-specific credentials", service_credentials),
        ssh_keys: unread.list("SSH keys", ssh_keys).iter().map(|key| credential(key.ssh_public_key_id(), key.status())).collect(),
        certificates: unread
            .list("signing certificates", certificates)
            .iter()
            .map(|certificate| credential(certificate.certificate_id(), certificate.status()))
            .collect(),
        mfa_devices: unread.list("MFA devices", mfa_devices).into_iter().map(|device| device.serial_number).collect(),
        attached_policies: unread
            .list(ATTACHED_POLICIES, attached)
            .into_iter()
            .filter_map(|attached| Arn::parse(attached.policy_arn()?).ok())
            .collect(),
        deny,
        unread: unread.0,
    })))
}

/// All service-specific credentials of a user; the SDK has no paginator for this list.
async fn service_credentials(iam: &aws_sdk_iam::Client, user: &str) -> Result<Vec<ServiceCredential>, Fault> {
    let mut credentials = Vec::new();
    let mut marker = None;
    loop {
        let page = iam.list_service_specific_credentials().user_name(user).set_marker(marker).send().await?;
        credentials.extend(page.service_specific_credentials().iter().map(|credential| ServiceCredential {
            id: credential.service_specific_credential_id().to_owned(),
            service: printable(credential.service_name(), 80),
            active: *credential.status() == StatusType::Active,
        }));
        marker = page.marker;
        if !page.is_truncated || marker.is_none() {
            return Ok(credentials);
        }
    }
}

async fn role(iam: &aws_sdk_iam::Client, accused: &RoleSession) -> Result<Principal, Fault> {
    let name = accused.role.as_str();
    let session_policy = accused.session.as_ref().map(policy::deny_session_name);
    let (role, profiles, revocation, session_deny) = tokio::join!(
        iam.get_role().role_name(name).send(),
        iam.list_instance_profiles_for_role().role_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        role_policy(iam, name, Some(policy::REVOKE_OLDER_SESSIONS)),
        role_policy(iam, name, session_policy.as_deref()),
    );
    let role = match role {
        Ok(output) => output.role.ok_or_else(|| incomplete("GetRole"))?,
        Err(error) if crate::aws::is_no_such_entity(&error) => {
            return Ok(Principal::Absent);
        }
        Err(error) => return Err(error.into()),
    };
    let mut unread = Unread::default();
    Ok(Principal::Role(Box::new(ObservedRole {
        name: accused.role.clone(),
        arn: Arn::parse(role.arn()).map_err(|_| incomplete("GetRole"))?,
        unique_id: UniqueId::parse(role.role_id()).map_err(|_| incomplete("GetRole"))?,
        tags: tags(role.tags()),
        trust_policy: policy::decode(role.assume_role_policy_document().unwrap_or_default()),
        instance_profiles: unread
            .list("instance profiles", profiles)
            .into_iter()
            .map(|profile| profile.instance_profile_name)
            .collect(),
        revocation: revocation.unwrap_or_else(|fault| unread.note(OWN_DENY, &fault)),
        session_deny: session_deny.unwrap_or_else(|fault| unread.note(OWN_DENY, &fault)),
        unread: unread.0,
    })))
}

async fn role_policy(iam: &aws_sdk_iam::Client, role: &str, policy: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(policy) = policy else { return Ok(None) };
    match iam.get_role_policy().role_name(role).policy_name(policy).send().await {
        Ok(output) => Ok(Some(policy::decode(output.policy_document()))),
        Err(error) if crate::aws::is_no_such_entity(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What could not be read. The rest is contained all the same; the outcome says what is missing.
#[derive(Default)]
struct Unread(Vec<String>);

impl Unread {
    fn note<T>(&mut self, what: &str, fault: &Fault) -> Option<T> {
        self.0.push(format!("{what}: {fault}"));
        None
    }

    fn list<T, E: Into<Fault>>(&mut self, what: &str, read: Result<Vec<T>, E>) -> Vec<T> {
        read.unwrap_or_else(|error| self.note(what, &error.into()).unwrap_or_default())
    }
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

fn timestamp(instant: Option<&aws_sdk_iam::primitives::DateTime>) -> Option<Timestamp> {
    Timestamp::from_unix(instant?.secs())
}

fn incomplete(operation: &str) -> Fault {
    Fault {
        code: "Unreadable".to_owned(),
        message: format!("{operation} answered without the fields it documents"),
        class: crate::aws::FaultClass::Retryable,
    }
}
