//! Time to contain: when each thing happened that a containment is measured by.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::timestamp::Timestamp;

/// When what happened, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The finding's type.
    pub finding_type: String,
    /// When the detector saw the activity first.
    pub first_seen: Timestamp,
    /// When the detector's event was made, as its envelope says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fired: Option<Timestamp>,
    /// When the handler began with it.
    pub received: Timestamp,
    /// When AWS accepted the change that denies the attacker.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cut: Option<Timestamp>,
    /// When it was read back and held.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verified: Option<Timestamp>,
}

/// When an event was made: `time` of EventBridge's envelope. A claim like all else in it; measured by, never decided by.
#[must_use]
pub fn fired(event: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(default)]
        time: Value,
    }
    let envelope: Envelope = serde_json::from_slice(event).ok()?;
    Timestamp::parse(envelope.time.as_str()?).ok()
}

impl Timing {
    /// Milliseconds between what is known, each under the name of its metric.
    #[must_use]
    pub fn intervals(&self) -> Vec<(&'static str, u64)> {
        let between = |from: Option<Timestamp>, to: Option<Timestamp>| to?.milliseconds_since(from?);
        [
            ("FirstSeenToCut", between(Some(self.first_seen), self.cut)),
            ("EventToCut", between(self.fired, self.cut)),
            ("HandlerToCut", between(Some(self.received), self.cut)),
            ("HandlerToVerified", between(Some(self.received), self.verified)),
        ]
        .into_iter()
        .filter_map(|(name, milliseconds)| Some((name, milliseconds?)))
        .collect()
    }
}

/// `85 ms`, `4.2 s`, `3 min 5 s`, `5 h 12 min`, `2 d 3 h`.
#[must_use]
pub fn in_words(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..120 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_units_a_person_would_use() {
        let told = [85, 4_250, 185_000, 18_720_000, 183_600_000].map(in_words);
        assert_eq!(told, ["85 ms", "4.2 s", "3 min 5 s", "5 h 12 min", "2 d 3 h"]);
    }

    #[test]
    fn an_event_was_made_when_its_envelope_says() {
        let at = |event: &str| fired(event.as_bytes()).map(|at| at.to_string());
        assert_eq!(at(r#"{"time": "2026-11-21T20:48:01Z"}"#).as_deref(), Some("2026-11-21T20:48:01.000Z"));
        for none in ["{}", r#"{"time": 5}"#, r#"{"time": "soon"}"#, "[", "[]"] {
            assert_eq!(at(none), None, "{none}");
        }
    }
}
