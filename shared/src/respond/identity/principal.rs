//! Reading a user or a role: every credential, side by side. In the first wave, and again when *verify* reads back.

use std::collections::BTreeMap;

use aws_sdk_iam::primitives::DateTime;
use aws_sdk_iam::types::{AttachedPermissionsBoundary, AttachedPolicy, RoleLastUsed, StatusType, Tag};

use super::super::kind::Seen;
use super::super::read::{Unread, incomplete, timestamp};
use crate::aws::Fault;
use crate::containment::identity::{
    ATTACHED_POLICIES, AccessKey, Credential, GROUPS, MFA_DEVICES, MfaDevice, OWN_DENY, ObservedRole, ObservedUser, Principal,
    ServiceCredential,
};
use crate::error::Retry;
use crate::finding::{RoleSession, Target, User};
use crate::id::{AccessKeyId, Arn, UniqueId};
use crate::policy;
use crate::text::printable;
use crate::timestamp::Timestamp;

/// What a user's access keys are called where they could not be read.
pub(super) const ACCESS_KEYS: &str = "access keys";

/// What IAM says about the target now.
///
/// # Errors
/// When IAM does not answer, or not with what it documents.
pub(super) async fn principal(iam: &aws_sdk_iam::Client, target: &Target) -> Result<Principal, Retry> {
    look(iam, target).await.map(|seen| seen.state)
}

/// The same, with what it is worth.
///
/// # Errors
/// As above.
pub(crate) async fn look(iam: &aws_sdk_iam::Client, target: &Target) -> Result<Seen<Principal>, Retry> {
    let read = match target {
        // Boxed: eleven SDK operations side by side are a large future.
        Target::User(accused) => Box::pin(user(iam, accused)).await,
        Target::RoleSession(accused) => Box::pin(role(iam, accused)).await,
        _ => Ok(Seen { state: Principal::NotLooked, passing: false }),
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

async fn user(iam: &aws_sdk_iam::Client, accused: &User) -> Result<Seen<Principal>, Fault> {
    let name = accused.name.as_str();
    let (user, keys, login, service_credentials, ssh_keys, certificates, mfa_devices, attached, groups, deny, last_used) = tokio::join!(
        iam.get_user().user_name(name).send(),
        iam.list_access_keys().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.get_login_profile().user_name(name).send(),
        service_credentials(iam, name),
        iam.list_ssh_public_keys().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_signing_certificates().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_mfa_devices().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_attached_user_policies().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_groups_for_user().user_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.get_user_policy().user_name(name).policy_name(policy::DENY_ALL).send(),
        last_used(iam, accused.key.as_ref()),
    );
    let user = match user {
        Ok(output) => output.user,
        Err(error) if crate::aws::is_no_such_entity(&error) => {
            return Ok(Seen { state: Principal::Absent, passing: false });
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
    let keys = unread.list(ACCESS_KEYS, keys).into_iter().filter_map(|key| {
        Some(AccessKey {
            id: AccessKeyId::parse(key.access_key_id()?).ok()?,
            active: key.status() == Some(&StatusType::Active),
            created: timestamp(key.create_date()),
            last_used: last_used
                .filter(|_| accused.key.as_ref().is_some_and(|accused| Some(accused.as_str()) == key.access_key_id())),
        })
    });
    let keys = keys.collect();
    let credential = |id: &str, status: &StatusType, uploaded: Option<&DateTime>| Credential {
        id: id.to_owned(),
        active: *status == StatusType::Active,
        uploaded: timestamp(uploaded),
    };
    let principal = Principal::User(Box::new(ObservedUser {
        name: accused.name.clone(),
        arn: Arn::parse(user.arn()).map_err(|_| incomplete("GetUser"))?,
        unique_id: UniqueId::parse(user.user_id()).map_err(|_| incomplete("GetUser"))?,
        tags: tags(user.tags()),
        created: timestamp(Some(user.create_date())),
        password_last_used: timestamp(user.password_last_used()),
        permissions_boundary: boundary(user.permissions_boundary()),
        groups: unread.list(GROUPS, groups).into_iter().map(|group| group.group_name).collect(),
        keys,
        login,
        service_credentials: unread.list("service-specific credentials", service_credentials),
        ssh_keys: unread
            .list("SSH keys", ssh_keys)
            .iter()
            .map(|key| credential(key.ssh_public_key_id(), key.status(), Some(key.upload_date())))
            .collect(),
        certificates: unread
            .list("signing certificates", certificates)
            .iter()
            .map(|certificate| credential(certificate.certificate_id(), certificate.status(), certificate.upload_date()))
            .collect(),
        mfa_devices: unread
            .list(MFA_DEVICES, mfa_devices)
            .into_iter()
            .map(|device| MfaDevice { enabled: timestamp(Some(&device.enable_date)), serial: device.serial_number })
            .collect(),
        attached_policies: policies(unread.list(ATTACHED_POLICIES, attached)),
        deny,
        unread: unread.what,
    }));
    Ok(Seen { state: principal, passing: unread.passing })
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
            created: timestamp(Some(credential.create_date())),
            expires: timestamp(credential.expiration_date()),
        }));
        marker = page.marker;
        if !page.is_truncated || marker.is_none() {
            return Ok(credentials);
        }
    }
}

/// When the key the finding names was last used. Asked of a long-term key only: IAM knows no other. For the record, so
/// an answer that does not come is none.
async fn last_used(iam: &aws_sdk_iam::Client, key: Option<&AccessKeyId>) -> Option<Timestamp> {
    let key = key.filter(|key| key.is_long_term())?;
    let output = iam.get_access_key_last_used().access_key_id(key.as_str()).send().await.ok()?;
    timestamp(output.access_key_last_used()?.last_used_date())
}

async fn role(iam: &aws_sdk_iam::Client, accused: &RoleSession) -> Result<Seen<Principal>, Fault> {
    let name = accused.role.as_str();
    let session_policy = accused.session.as_ref().map(policy::deny_session_name);
    let (role, profiles, attached, revocation, session_deny) = tokio::join!(
        iam.get_role().role_name(name).send(),
        iam.list_instance_profiles_for_role().role_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        iam.list_attached_role_policies().role_name(name).into_paginator().items().send().collect::<Result<Vec<_>, _>>(),
        role_policy(iam, name, Some(policy::REVOKE_OLDER_SESSIONS)),
        role_policy(iam, name, session_policy.as_deref()),
    );
    let role = match role {
        Ok(output) => output.role.ok_or_else(|| incomplete("GetRole"))?,
        Err(error) if crate::aws::is_no_such_entity(&error) => {
            return Ok(Seen { state: Principal::Absent, passing: false });
        }
        Err(error) => return Err(error.into()),
    };
    let mut unread = Unread::default();
    let principal = Principal::Role(Box::new(ObservedRole {
        name: accused.role.clone(),
        arn: Arn::parse(role.arn()).map_err(|_| incomplete("GetRole"))?,
        unique_id: UniqueId::parse(role.role_id()).map_err(|_| incomplete("GetRole"))?,
        tags: tags(role.tags()),
        created: timestamp(Some(role.create_date())),
        last_used: timestamp(role.role_last_used().and_then(RoleLastUsed::last_used_date)),
        permissions_boundary: boundary(role.permissions_boundary()),
        attached_policies: policies(unread.list(ATTACHED_POLICIES, attached)),
        trust_policy: policy::decode(role.assume_role_policy_document().unwrap_or_default()),
        instance_profiles: unread
            .list("instance profiles", profiles)
            .into_iter()
            .map(|profile| profile.instance_profile_name)
            .collect(),
        revocation: revocation.unwrap_or_else(|fault| unread.note(OWN_DENY, &fault)),
        session_deny: session_deny.unwrap_or_else(|fault| unread.note(OWN_DENY, &fault)),
        unread: unread.what,
    }));
    Ok(Seen { state: principal, passing: unread.passing })
}

async fn role_policy(iam: &aws_sdk_iam::Client, role: &str, policy: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(policy) = policy else { return Ok(None) };
    match iam.get_role_policy().role_name(role).policy_name(policy).send().await {
        Ok(output) => Ok(Some(policy::decode(output.policy_document()))),
        Err(error) if crate::aws::is_no_such_entity(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

fn policies(attached: Vec<AttachedPolicy>) -> Vec<Arn> {
    attached.into_iter().filter_map(|attached| Arn::parse(attached.policy_arn()?).ok()).collect()
}

fn boundary(boundary: Option<&AttachedPermissionsBoundary>) -> Option<Arn> {
    Arn::parse(boundary?.permissions_boundary_arn()?).ok()
}

/// Whether the name now belongs to nobody, or to somebody else: then nothing more is written under it (CONTAINMENT A9).
pub(super) fn another_principal(before: &Principal, now: &Principal) -> Option<String> {
    match (before.unique_id(), now.unique_id()) {
        (Some(before), Some(now)) if before == now => None,
        (Some(_), Some(now)) => {
            Some(format!("the name now belongs to {now}: it was deleted and made again while being contained"))
        }
        (Some(_), None) => Some("it was deleted while being contained; look in CloudTrail for who did it".to_owned()),
        (None, _) => None,
    }
}
