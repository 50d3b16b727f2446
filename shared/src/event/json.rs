//! Reading findings field by field, whichever way the feed spells them.

use serde_json::Value;

use super::{IgnoredReason, Parsed};
use crate::id::InvalidId;
use crate::timestamp::Timestamp;

/// A JSON value, read by path. `resource.resourceType` also finds `Resource.ResourceType`: the EventBridge event
/// and the detector's API spell the same finding in two ways.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(pub(super) &'a Value);

impl<'a> Json<'a> {
    /// The value at `path`, unless it is missing or null.
    pub(super) fn at(self, path: &str) -> Option<Json<'a>> {
        let mut value = self.0;
        for segment in path.split('.') {
            value = value.get(segment).or_else(|| value.get(capitalised(segment)))?;
        }
        (!value.is_null()).then_some(Json(value))
    }

    /// Text at `path`; numbers too, since exports write account ids as numbers.
    pub(super) fn text(self, path: &str) -> Option<String> {
        match self.at(path)?.0 {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A number at `path`, or text that is one.
    pub(super) fn number(self, path: &str) -> Option<f64> {
        match self.at(path)?.0 {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
        .filter(|number| number.is_finite())
    }

    /// A whole number at `path`, an id or an instant, whether a feed writes `3`, `3.0` or `"3"`.
    pub(super) fn integer(self, path: &str) -> Option<i64> {
        self.text(path)?.trim_end_matches(".0").parse().ok()
    }

    /// Whether `path` holds true, or text that says so.
    pub(super) fn is_true(self, path: &str) -> bool {
        match self.at(path).map(|json| json.0) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// The elements of the array at `path`; none where there is no array.
    pub(super) fn each(self, path: &str) -> impl Iterator<Item = Json<'a>> {
        self.at(path).and_then(|json| json.0.as_array()).into_iter().flatten().map(Json)
    }

    /// A timestamp at `path`.
    pub(super) fn time(self, path: &str) -> Option<Timestamp> {
        Timestamp::parse(&self.text(path)?).ok()
    }

    /// Text at `path` that must be there and must pass `check`.
    pub(super) fn require<T>(self, path: &str, check: impl Fn(&str) -> Result<T, InvalidId>) -> Result<T, Parsed> {
        let text = self.text(path).ok_or_else(|| missing(path))?;
        check(&text).map_err(|error| Parsed::ignored(IgnoredReason::IncompleteFinding, format!("`{path}`: {error}")))
    }
}

/// The answer for a finding without the field at `path`.
pub(super) fn missing(path: &str) -> Parsed {
    Parsed::ignored(IgnoredReason::IncompleteFinding, format!("`{path}` is missing"))
}

fn capitalised(segment: &str) -> String {
    let mut characters = segment.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}
