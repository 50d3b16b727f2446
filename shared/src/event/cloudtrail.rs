//! Single CloudTrail records, as `LookupEvents` hands them out: evidence that a finding does not carry.
//!
//! They are read as untrusted as any event. Whoever makes a call writes its request parameters.

use serde_json::Value;

use super::issuer::issuer;
use super::json::Json;
use crate::finding::Target;
use crate::id::{AccessKeyId, AccountId, PrincipalName, UniqueId};
use crate::timestamp::Timestamp;

/// The principal that issued the federated session with `key`, if this record is of that session and of `account`.
///
/// Every call of a `GetFederationToken` session carries its issuer in `sessionContext.sessionIssuer`. A record of
/// another key, of another account or without a whole issuer says nothing.
#[must_use]
pub fn issuer_of(cloudtrail_event: &Value, key: &AccessKeyId, account: &AccountId) -> Option<Target> {
    let caller = Json(cloudtrail_event).at("userIdentity")?;
    let is_the_session = caller.text("type")? == "FederatedUser"
        && caller.text("accessKeyId")? == key.as_str()
        && caller.text("accountId")? == account.as_str();
    if !is_the_session {
        return None;
    }
    issuer(caller.at("sessionContext.sessionIssuer")?, Some(key.clone()), account)
}

/// One `EnableMFADevice` call that went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MfaEnabled {
    /// The device's serial number, as `ListMFADevices` gives it: an ARN for a virtual device.
    pub serial: String,
    /// The key the call was made with.
    pub by_key: Option<AccessKeyId>,
    /// The unique id of the user or role that called.
    pub by_principal: Option<UniqueId>,
    /// When.
    pub at: Timestamp,
    /// The user that the device was enabled for.
    pub user: PrincipalName,
}

/// Who enabled which MFA device for which user, if this record is of such a call and it went through.
#[must_use]
pub fn mfa_enabled_by(cloudtrail_event: &Value) -> Option<MfaEnabled> {
    let record = Json(cloudtrail_event);
    let went_through = record.text("eventSource")? == "iam.amazonaws.com"
        && record.text("eventName")? == "EnableMFADevice"
        && record.at("errorCode").is_none();
    if !went_through {
        return None;
    }
    let caller = record.at("userIdentity")?;
    // Without a name IAM takes the caller to mean itself, which only a user can.
    let own_name = || caller.text("userName").filter(|_| caller.text("type").is_some_and(|sort| sort == "IAMUser"));
    let user = record.text("requestParameters.userName").or_else(own_name)?;
    let principal_id = caller.text("principalId").unwrap_or_default();
    Some(MfaEnabled {
        serial: record.text("requestParameters.serialNumber").filter(|serial| is_serial_number(serial))?,
        by_key: caller.text("accessKeyId").and_then(|key| AccessKeyId::parse(&key).ok()),
        by_principal: principal_id.split(':').next().and_then(|id| UniqueId::parse(id).ok()),
        at: record.time("eventTime")?,
        user: PrincipalName::parse(&user).ok()?,
    })
}

/// IAM's form for the serial number of an MFA device.
fn is_serial_number(text: &str) -> bool {
    (9..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=/:,.@-".contains(c))
}
