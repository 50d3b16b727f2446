//! What a contained principal left behind: the calls of IAM by which an attacker makes himself another way in
//! (CONTAINMENT A22), read from single CloudTrail records.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::Json;
use crate::id::{AccessKeyId, Arn, PrincipalName, UniqueId};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// The calls that are looked for. `LookupEvents` takes one name at a time, and an account may ask twice a second: those
/// that make a principal or a credential, or give one more than it had.
pub const CREATING: [&str; 16] = [
    "CreateUser",
    "CreateAccessKey",
    "CreateLoginProfile",
    "UpdateLoginProfile",
    "CreateServiceSpecificCredential",
    "UploadSSHPublicKey",
    "CreateRole",
    "UpdateAssumeRolePolicy",
    "PutUserPolicy",
    "AttachUserPolicy",
    "PutRolePolicy",
    "AttachRolePolicy",
    "AddUserToGroup",
    "CreatePolicyVersion",
    "CreateSAMLProvider",
    "CreateOpenIDConnectProvider",
];

/// One such call that went through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// CloudTrail's id of the event.
    pub event: String,
    /// The call.
    pub call: String,
    /// When.
    pub at: Timestamp,
    /// Whom or what it made or changed.
    pub on: CreatedOn,
    /// The access key it made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<AccessKeyId>,
}

/// What such a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreatedOn {
    /// A user.
    User(PrincipalName),
    /// A role.
    Role(PrincipalName),
    /// A managed policy.
    Policy(Arn),
    /// Something else, by its name: printable.
    Other(String),
}

/// Whose calls are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The unique id of the user or role.
    pub id: UniqueId,
    /// Of a role, the one session; none for all of them.
    pub session: Option<String>,
}

/// What `suspect` created by the call that this record is of, if it is of one, and it went through.
#[must_use]
pub fn created_by(cloudtrail_event: &Value, suspect: &Suspect) -> Option<Created> {
    let record = Json(cloudtrail_event);
    let call = record.text("eventName")?;
    let went_through = record.text("eventSource")? == "iam.amazonaws.com"
        && CREATING.contains(&call.as_str())
        && record.at("errorCode").is_none();
    if !went_through || !is_by(record.at("userIdentity")?, suspect) {
        return None;
    }
    let parameter = |name: &str| record.text(&format!("requestParameters.{name}"));
    let name = |name: &str| parameter(name).and_then(|name| PrincipalName::parse(&name).ok());
    // Without a name IAM takes the caller to mean itself, which only a user can.
    let own_name = || record.text("userIdentity.userName").and_then(|name| PrincipalName::parse(&name).ok());
    let on = if let Some(role) = name("roleName") {
        CreatedOn::Role(role)
    } else if let Some(user) = name("userName") {
        CreatedOn::User(user)
    } else if let Some(policy) = parameter("policyArn").and_then(|arn| Arn::parse(&arn).ok()) {
        CreatedOn::Policy(policy)
    } else if let Some(provider) = parameter("name").or_else(|| parameter("url")) {
        CreatedOn::Other(printable(&provider, 120))
    } else {
        CreatedOn::User(own_name()?)
    };
    let key = record.text("responseElements.accessKey.accessKeyId").and_then(|key| AccessKeyId::parse(&key).ok());
    Some(Created { event: printable(&record.text("eventID")?, 64), call, at: record.time("eventTime")?, on, key })
}

fn is_by(caller: Json<'_>, suspect: &Suspect) -> bool {
    let principal_id = caller.text("principalId").unwrap_or_default();
    let (id, session) = principal_id.split_once(':').map_or((principal_id.as_str(), None), |(id, name)| (id, Some(name)));
    let is_itself = id == suspect.id.as_str() && suspect.session.as_deref().is_none_or(|wanted| session == Some(wanted));
    // A federated session carries the user that asked for it.
    let issuer = caller.text("sessionContext.sessionIssuer.principalId");
    is_itself || (suspect.session.is_none() && issuer.as_deref() == Some(suspect.id.as_str()))
}

impl Created {
    /// The call and whom it is about, for a person; the key redacted.
    #[must_use]
    pub fn label(&self) -> String {
        let on = match &self.on {
            CreatedOn::User(name) => format!("user/{name}"),
            CreatedOn::Role(name) => format!("role/{name}"),
            CreatedOn::Policy(arn) => printable(arn.as_str(), 160),
            CreatedOn::Other(name) => name.clone(),
        };
        let key = self.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
        format!("{} {on}{key}", self.call)
    }
}
