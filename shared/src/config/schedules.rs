//! What is scheduled for later: in which group, with whose rights, for whom.

use super::{ConfigError, invalid, optional};
use crate::aws::Schedules;
use crate::id::Arn;

/// Who looks whether a containment still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rechecks {
    /// Where its invocations are scheduled.
    pub schedules: Schedules,
    /// The function, `RECHECK_FUNCTION_ARN`.
    pub function: Arn,
}

impl Rechecks {
    /// Reads the settings; nothing where no function is named.
    ///
    /// # Errors
    /// When a function is named and there is no group to schedule it in, or a setting is invalid.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        let Some(function) = arn("RECHECK_FUNCTION_ARN")? else { return Ok(None) };
        let schedules = schedules()?.ok_or(ConfigError::Missing("SCHEDULE_GROUP"))?;
        Ok(Some(Self { schedules, function }))
    }
}

/// Reads where schedules are made; nothing where neither group nor role is given.
///
/// # Errors
/// When one is given without the other, or is no ARN.
pub fn schedules() -> Result<Option<Schedules>, ConfigError> {
    let dead_letters = arn("SCHEDULE_DEAD_LETTER_ARN")?;
    match (optional("SCHEDULE_GROUP"), arn("SCHEDULE_ROLE_ARN")?) {
        (None, None) => Ok(None),
        (Some(group), Some(role)) => Ok(Some(Schedules { group, role, dead_letters })),
        (None, Some(_)) => Err(ConfigError::Missing("SCHEDULE_GROUP")),
        (Some(_), None) => Err(ConfigError::Missing("SCHEDULE_ROLE_ARN")),
    }
}

fn arn(variable: &'static str) -> Result<Option<Arn>, ConfigError> {
    optional(variable).map(|text| Arn::parse(&text).map_err(|error| invalid(variable, &error))).transpose()
}
