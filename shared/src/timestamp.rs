//! Instants, written as UTC RFC 3339 with milliseconds: the form the ledger, the policies and the messages share.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset, macros::format_description};

/// An instant with millisecond precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(OffsetDateTime);

/// The text was no timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an RFC 3339 timestamp", crate::text::printable(.0, 40))]
pub struct InvalidTimestamp(pub String);

impl Timestamp {
    /// The present. The only place where the product asks for it: decisions are given `now`.
    #[must_use]
    pub fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one clock of the product")]
        Self::truncated(std::time::SystemTime::now().into())
    }

    /// Reads RFC 3339, and the form log stores turn it into (`2024-05-24 13:17:15.000000000`, meaning UTC).
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let rfc3339 = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
        let logged = || {
            let description = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");
            PrimitiveDateTime::parse(text, &description).map(PrimitiveDateTime::assume_utc)
        };
        let instant = rfc3339.or_else(|_| logged()).ok().and_then(|instant| instant.checked_to_offset(UtcOffset::UTC));
        // Outside these years the text written would not be the text read.
        let instant = instant.filter(|instant| (1..=9998).contains(&instant.year()));
        instant.map(Self::truncated).ok_or_else(|| InvalidTimestamp(text.to_owned()))
    }

    /// The instant `seconds` after the Unix epoch.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp(seconds).ok().filter(|instant| (1..=9998).contains(&instant.year())).map(Self)
    }

    fn truncated(instant: OffsetDateTime) -> Self {
        let milliseconds = instant.millisecond();
        Self(instant.replace_millisecond(milliseconds).unwrap_or(instant))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Milliseconds since `earlier`; nothing where that was later.
    #[must_use]
    pub fn milliseconds_since(self, earlier: Self) -> Option<u64> {
        u64::try_from((self.0 - earlier.0).whole_milliseconds()).ok()
    }

    /// The instant `duration` later, saturating at the end of time.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        let duration = Duration::try_from(duration).unwrap_or(Duration::MAX);
        Self(self.0.saturating_add(duration))
    }

    /// `2026-11-21T20:46:56Z`: whole seconds, as IAM date conditions are written (CONTAINMENT A5). Rounds up, so a
    /// cut-off never falls before the instant it stands for.
    #[must_use]
    pub fn to_policy_date(self) -> String {
        let whole = if self.0.millisecond() == 0 { self.0 } else { self.0.saturating_add(Duration::SECOND) };
        let description = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        whole.format(&description).unwrap_or_else(|_| self.to_string())
    }

    /// `2026-11-21T20`, the hour in UTC: keys under it sort by time.
    #[must_use]
    pub fn to_hour(self) -> String {
        self.0.format(format_description!("[year]-[month]-[day]T[hour]")).unwrap_or_else(|_| "0000-00-00T00".to_owned())
    }

    /// `20261121`, the day in UTC.
    #[must_use]
    pub fn to_day(self) -> String {
        self.0.format(format_description!("[year][month][day]")).unwrap_or_else(|_| "00000000".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        formatter.write_str(&self.0.format(&description).map_err(|_| fmt::Error)?)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;
    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        Self::parse(&text)
    }
}

impl From<Timestamp> for String {
    fn from(instant: Timestamp) -> Self {
        instant.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_in_the_field_is_read_as_utc() {
        for (text, written) in [
            ("2017-12-08T15:32:49.862Z", "2017-12-08T15:32:49.862Z"),
            ("2026-11-21T21:46:56+01:00", "2026-11-21T20:46:56.000Z"),
            ("2024-05-24 13:17:15.000000000", "2024-05-24T13:17:15.000Z"),
        ] {
            assert_eq!(Timestamp::parse(text).expect("a timestamp").to_string(), written);
        }
        for text in ["yesterday", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_date_never_falls_before_its_instant() {
        let instant = Timestamp::parse("2026-11-21T20:46:56.001Z").expect("a timestamp");
        assert_eq!(instant.to_policy_date(), "2026-11-21T20:46:57Z");
        let whole = Timestamp::parse("2026-11-21T20:46:56Z").expect("a timestamp");
        assert_eq!(whole.to_policy_date(), "2026-11-21T20:46:56Z");
    }
}
