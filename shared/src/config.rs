//! The function's settings: the one place where the environment is read.

#[cfg(feature = "recheck")]
mod recheck;
mod schedules;
#[cfg(feature = "seal")]
mod seal;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::containment::{Member, Responder};
use crate::id::{AccountId, Arn, InvalidId, Region};

#[cfg(feature = "recheck")]
pub use recheck::RecheckConfig;
pub use schedules::{Rechecks, schedules};
#[cfg(feature = "seal")]
pub use seal::{Forensics, SealConfig};

/// What the template tells the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The case bucket, `CASE_BUCKET`.
    pub case_bucket: String,
    /// Where people are told, `NOTIFICATION_TOPIC_ARN`.
    pub topic: Arn,
    /// Tourniquet's own roles, `PROTECTED_ARNS`, separated by commas: the responder never contains itself.
    pub own_roles: Vec<Arn>,
    /// The responder roles of the member accounts that may be entered, `MEMBER_ROLE_ARNS`, separated by commas; may be
    /// empty. This list is the allow-list of accounts (CONTAINMENT A18).
    pub member_roles: Vec<Arn>,
    /// What the members' roles ask for besides the caller, `MEMBER_EXTERNAL_ID`.
    pub external_id: Option<String>,
    /// The group of this account whose members are denied everything, `DENY_GROUP`; without it that rung is missing.
    pub deny_group: Option<String>,
    /// How long one try of one AWS call may take, `CALL_TIMEOUT_MS`; 5000 where it is not set.
    pub call_timeout: Duration,
    /// Whether INIT connects ahead of the first finding; `WARM_UP=off` leaves it out, to measure what it is worth.
    pub warm_up: bool,
    /// How long after a change it is read back, `VERIFY_AFTER_MS`. IAM needs about four seconds to be consistent, and
    /// what undoes a deny does so within one (CONTAINMENT A3).
    pub verify_after: Duration,
    /// Who looks later whether a containment still holds; without it nobody does.
    pub rechecks: Option<Rechecks>,
}

/// A setting that is missing or has no valid form. A person must mend the deployment.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The variable is not set.
    #[error("the environment variable `{0}` is not set: deploy infra/template.yaml as a whole")]
    Missing(&'static str),
    /// It is set to something else than it must be.
    #[error("the environment variable `{variable}`: {reason}")]
    Invalid {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// When one is missing or invalid.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            case_bucket: required("CASE_BUCKET")?,
            topic: Arn::parse(&required("NOTIFICATION_TOPIC_ARN")?).map_err(|error| invalid("NOTIFICATION_TOPIC_ARN", &error))?,
            own_roles: arns("PROTECTED_ARNS", &required("PROTECTED_ARNS")?)?,
            member_roles: arns("MEMBER_ROLE_ARNS", &optional("MEMBER_ROLE_ARNS").unwrap_or_default())?,
            external_id: optional("MEMBER_EXTERNAL_ID"),
            deny_group: optional("DENY_GROUP"),
            call_timeout: call_timeout()?,
            warm_up: optional("WARM_UP").as_deref() != Some("off"),
            verify_after: milliseconds("VERIFY_AFTER_MS", &required("VERIFY_AFTER_MS")?)?,
            rechecks: Rechecks::from_env()?,
        })
    }
}

impl Config {
    /// Who is responding: the account of Tourniquet's own roles is the one it holds permissions in.
    ///
    /// # Errors
    /// When no own role is given, or it names no account.
    pub fn responder(&self) -> Result<Responder, ConfigError> {
        let own = self.own_roles.first().ok_or(ConfigError::Missing("PROTECTED_ARNS"))?;
        let account = AccountId::parse(own.account()).map_err(|error| invalid("PROTECTED_ARNS", &error))?;
        let member = |(account, role)| Member { account, role };
        let members = self.members()?.into_iter().map(member).collect();
        Ok(Responder {
            account,
            partition: own.partition(),
            own_roles: self.own_roles.clone(),
            deny_group: self.deny_group.clone(),
            members,
        })
    }
}

impl Config {
    /// The Region of the stack: that of its topic.
    ///
    /// # Errors
    /// When the topic's ARN names no Region.
    pub fn region(&self) -> Result<Region, ConfigError> {
        Region::parse(self.topic.region()).map_err(|error| invalid("NOTIFICATION_TOPIC_ARN", &error))
    }
}

/// How long one try of one AWS call may take, unless the deployment says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one try of one AWS call may take, `CALL_TIMEOUT_MS`; 5000 where it is not set.
///
/// # Errors
/// When it is no number of milliseconds.
pub fn call_timeout() -> Result<Duration, ConfigError> {
    optional("CALL_TIMEOUT_MS").map_or(Ok(CALL_TIMEOUT), |text| milliseconds("CALL_TIMEOUT_MS", &text))
}

impl Config {
    /// The member accounts that may be entered, each with its role.
    ///
    /// # Errors
    /// When a role's ARN names no account, or two name the same.
    pub fn members(&self) -> Result<BTreeMap<AccountId, Arn>, ConfigError> {
        by_account(&self.member_roles)
    }
}

fn by_account(roles: &[Arn]) -> Result<BTreeMap<AccountId, Arn>, ConfigError> {
    let mut members = BTreeMap::new();
    for role in roles {
        let account = AccountId::parse(role.account()).map_err(|error| invalid("MEMBER_ROLE_ARNS", &error))?;
        if members.insert(account, role.clone()).is_some() {
            let reason = format!("two roles in account {}", role.account());
            return Err(ConfigError::Invalid { variable: "MEMBER_ROLE_ARNS", reason });
        }
    }
    Ok(members)
}

fn required(variable: &'static str) -> Result<String, ConfigError> {
    optional(variable).ok_or(ConfigError::Missing(variable))
}

fn optional(variable: &'static str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one door to the environment")]
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

fn arns(variable: &'static str, list: &str) -> Result<Vec<Arn>, ConfigError> {
    let arns = list.split(',').map(str::trim).filter(|arn| !arn.is_empty()).map(Arn::parse).collect::<Result<_, _>>();
    arns.map_err(|error| invalid(variable, &error))
}

fn invalid(variable: &'static str, error: &InvalidId) -> ConfigError {
    ConfigError::Invalid { variable, reason: error.to_string() }
}

fn milliseconds(variable: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let milliseconds = text.parse::<u64>().ok().filter(|milliseconds| *milliseconds <= 15_000);
    milliseconds
        .map(Duration::from_millis)
        .ok_or_else(|| ConfigError::Invalid { variable, reason: format!("`{text}` is not a number of milliseconds up to 15000") })
}

/// Writes lines to standard output as they are: CloudWatch reads metrics only out of a line that is nothing else.
#[cfg(feature = "respond")]
pub(crate) fn write_lines(lines: &[String]) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    for line in lines {
        // Who cannot write to the log has nobody to tell.
        drop(writeln!(out, "{line}"));
    }
}

/// Sends log lines to standard output as JSON, with their time, up to `info`.
///
/// An own subscriber, because the runtime's default drops the time and at TRACE writes the event's payload.
pub fn log_as_json() {
    tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_current_span(false).init();
}
