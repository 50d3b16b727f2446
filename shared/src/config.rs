//! The function's settings: the one place where the environment is read.

use std::time::Duration;

use crate::containment::Responder;
use crate::id::{AccountId, Arn, InvalidId};

/// What the template tells the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The case bucket, `CASE_BUCKET`.
    pub case_bucket: String,
    /// Where people are told, `NOTIFICATION_TOPIC_ARN`.
    pub topic: Arn,
    /// Tourniquet's own roles, `PROTECTED_ARNS`, separated by commas: the responder never contains itself.
    pub own_roles: Vec<Arn>,
    /// How long after a change it is read back, `VERIFY_AFTER_MS`. IAM needs about four seconds to be consistent, and
    /// what undoes a deny does so within one (CONTAINMENT A3).
    pub verify_after: Duration,
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
        let own_roles = required("PROTECTED_ARNS")?;
        let own_roles =
            own_roles.split(',').map(str::trim).filter(|arn| !arn.is_empty()).map(Arn::parse).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            case_bucket: required("CASE_BUCKET")?,
            topic: Arn::parse(&required("NOTIFICATION_TOPIC_ARN")?).map_err(|error| invalid("NOTIFICATION_TOPIC_ARN", &error))?,
            own_roles: own_roles.map_err(|error| invalid("PROTECTED_ARNS", &error))?,
            verify_after: milliseconds("VERIFY_AFTER_MS")?,
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
        Ok(Responder {
            account,
            partition: own.partition(),
            own_roles: self.own_roles.clone(),
            deny_group: None,
            members: Vec::new(),
        })
    }
}

fn required(variable: &'static str) -> Result<String, ConfigError> {
    #[expect(clippy::disallowed_methods, reason = "the one door to the environment")]
    std::env::var(variable).ok().filter(|value| !value.is_empty()).ok_or(ConfigError::Missing(variable))
}

fn invalid(variable: &'static str, error: &InvalidId) -> ConfigError {
    ConfigError::Invalid { variable, reason: error.to_string() }
}

fn milliseconds(variable: &'static str) -> Result<Duration, ConfigError> {
    let text = required(variable)?;
    let milliseconds = text.parse::<u64>().ok().filter(|milliseconds| *milliseconds <= 15_000);
    milliseconds
        .map(Duration::from_millis)
        .ok_or_else(|| ConfigError::Invalid { variable, reason: format!("`{text}` is not a number of milliseconds up to 15000") })
}

/// Sends log lines to standard output as JSON, with their time, up to `info`.
///
/// An own subscriber, because the runtime's default drops the time and at TRACE writes the event's payload.
pub fn log_as_json() {
    tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_current_span(false).init();
}
