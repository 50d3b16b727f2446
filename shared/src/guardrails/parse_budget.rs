//! Reading the budget of the guardrails file.

use serde::Deserialize;
use toml::Spanned;

use super::budget::Budget;
use super::parse::{GuardrailsError, Source};

/// More than an incident response team could look at in an hour, and a typo rather than an intention.
const MOST: i64 = 10_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetTable {
    per_account_per_hour: Option<Spanned<i64>>,
    total_per_hour: Option<Spanned<i64>>,
    fleet_share: Option<Spanned<f64>>,
}

pub(super) fn budget(source: &Source<'_>, table: &BudgetTable) -> Result<Budget, GuardrailsError> {
    let (per_account, total) =
        (count(source, table.per_account_per_hour.as_ref())?, count(source, table.total_per_hour.as_ref())?);
    if let (Some(account), Some(all), Some(value)) = (per_account, total, &table.per_account_per_hour)
        && account > all
    {
        let reason = format!("per_account_per_hour {account} is more than total_per_hour {all}: it could never be used up");
        return Err(source.error(&value.span(), reason, None));
    }
    let share = match &table.fleet_share {
        Some(value) if !(*value.get_ref() > 0.0 && *value.get_ref() <= 1.0) => {
            let suggestion = "a third is 0.34; leave the key out for no bound".to_owned();
            let reason = format!("fleet_share {} is not a share: more than 0.0, at most 1.0", value.get_ref());
            return Err(source.error(&value.span(), reason, Some(suggestion)));
        }
        share => share.as_ref().map(|value| *value.get_ref()),
    };
    Ok(Budget { per_account, total, fleet_share: share })
}

fn count(source: &Source<'_>, value: Option<&Spanned<i64>>) -> Result<Option<u32>, GuardrailsError> {
    let Some(value) = value else { return Ok(None) };
    let count = *value.get_ref();
    let suggestion = || match count {
        0 => Some("to contain nothing by itself, write mode = \"propose\" at the top of the file".to_owned()),
        _ => Some("leave the key out for no bound".to_owned()),
    };
    match u32::try_from(count) {
        Ok(kept) if (1..=MOST).contains(&count) => Ok(Some(kept)),
        _ => Err(source.error(&value.span(), format!("a budget of {count} is outside 1 to {MOST}"), suggestion())),
    }
}
