//! The settings of `recheck`.

use std::time::Duration;

use super::{CALL_TIMEOUT, ConfigError, arns, by_account, invalid, milliseconds, optional, required};
use crate::containment::{Member, Responder};
use crate::id::{AccountId, Arn};

/// What the template tells `recheck`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecheckConfig {
    /// The case bucket, `CASE_BUCKET`.
    pub case_bucket: String,
    /// Where people are told, `NOTIFICATION_TOPIC_ARN`.
    pub topic: Arn,
    /// Who is responding, as `PROTECTED_ARNS` and `MEMBER_ROLE_ARNS` say: the roles in the member accounts are those it
    /// reads with.
    pub responder: Responder,
    /// What the members' roles ask for besides the caller, `MEMBER_EXTERNAL_ID`.
    pub external_id: Option<String>,
    /// What contains identities, `CONTAIN_IDENTITY_ARN`.
    pub contain_identity: FunctionName,
    /// What contains instances, `CONTAIN_INSTANCE_ARN`.
    pub contain_instance: FunctionName,
    /// How long it waits between two questions to CloudTrail, `LOOKUP_EVERY_MS`; 500 where it is not set, since CloudTrail
    /// answers two a second (CONTAINMENT F1).
    pub lookup_every: Duration,
    /// How long one try of one AWS call may take, `CALL_TIMEOUT_MS`; 5000 where it is not set.
    pub call_timeout: Duration,
}

/// The name of a function of this account and Region: what is put into a request's path is nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName(String);

impl FunctionName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const LOOKUP_EVERY: Duration = Duration::from_millis(500);

impl RecheckConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// When one is missing or invalid.
    pub fn from_env() -> Result<Self, ConfigError> {
        let own_roles = arns("PROTECTED_ARNS", &required("PROTECTED_ARNS")?)?;
        let own = own_roles.first().ok_or(ConfigError::Missing("PROTECTED_ARNS"))?;
        let account = AccountId::parse(own.account()).map_err(|error| invalid("PROTECTED_ARNS", &error))?;
        let member_roles = arns("MEMBER_ROLE_ARNS", &optional("MEMBER_ROLE_ARNS").unwrap_or_default())?;
        let members = by_account(&member_roles)?.into_iter().map(|(account, role)| Member { account, role }).collect();
        let responder = Responder { account, partition: own.partition(), own_roles, deny_group: None, members };
        Ok(Self {
            case_bucket: required("CASE_BUCKET")?,
            topic: Arn::parse(&required("NOTIFICATION_TOPIC_ARN")?).map_err(|error| invalid("NOTIFICATION_TOPIC_ARN", &error))?,
            responder,
            external_id: optional("MEMBER_EXTERNAL_ID"),
            contain_identity: function("CONTAIN_IDENTITY_ARN")?,
            contain_instance: function("CONTAIN_INSTANCE_ARN")?,
            lookup_every: optional("LOOKUP_EVERY_MS").map_or(Ok(LOOKUP_EVERY), |text| milliseconds("LOOKUP_EVERY_MS", &text))?,
            call_timeout: optional("CALL_TIMEOUT_MS").map_or(Ok(CALL_TIMEOUT), |text| milliseconds("CALL_TIMEOUT_MS", &text))?,
        })
    }
}

fn function(variable: &'static str) -> Result<FunctionName, ConfigError> {
    let arn = Arn::parse(&required(variable)?).map_err(|error| invalid(variable, &error))?;
    let is_name = |name: &&str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let name = arn.resource().strip_prefix("function:").filter(is_name).map(|name| FunctionName(name.to_owned()));
    name.filter(|_| arn.service() == "lambda")
        .ok_or_else(|| ConfigError::Invalid { variable, reason: format!("`{arn}` is not a function's ARN") })
}
