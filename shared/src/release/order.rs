//! What a release is asked for with: a click in Security Hub, a person's order by case, or the schedule that ends it.

use serde::Deserialize;

use crate::containment::release::Asked;
use crate::event::{self, Ignored, IgnoredReason, LARGEST_EVENT, Parsed};
use crate::finding::{Button, Finding};
use crate::id::CaseId;
use crate::text::printable;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// Release the cases of these findings: a person pressed *Release*.
    Pressed {
        /// The findings.
        findings: Vec<Finding>,
        /// What of the event is none.
        ignored: Vec<Ignored>,
    },
    /// Release one case.
    Case {
        /// The case.
        case: CaseId,
        /// Only show, or do without having shown; by turns where neither is asked for.
        mode: Option<AskedMode>,
        /// What is asked for besides.
        asked: Asked,
    },
    /// Take away what keeps the older sessions out, its time being over.
    Lift {
        /// The case.
        case: CaseId,
    },
    /// Nothing that is known.
    Nothing(Vec<Ignored>),
}

/// How far a release goes, where a person says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AskedMode {
    /// Show what would be done.
    Show,
    /// Do it.
    Do,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    release: Option<CasePayload>,
    lift: Option<LiftPayload>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasePayload {
    case: CaseId,
    mode: Option<AskedMode>,
    #[serde(default)]
    force: Vec<String>,
    #[serde(default)]
    reactivate: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiftPayload {
    case: CaseId,
}

/// Reads an event. Never fails: what is no order is ignored, with the reason.
pub(super) fn order(bytes: &[u8]) -> Order {
    let nothing = |reason, detail: &str| Order::Nothing(vec![Ignored { reason, detail: printable(detail, 200) }]);
    if bytes.len() > LARGEST_EVENT {
        return nothing(IgnoredReason::TooLarge, &format!("{} bytes", bytes.len()));
    }
    let is_order = |value: &serde_json::Value| value.get("release").is_some() || value.get("lift").is_some();
    if !serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| is_order(&value)) {
        return pressed(bytes);
    }
    match serde_json::from_slice::<Payload>(bytes) {
        Ok(Payload { release: Some(CasePayload { case, mode, force, reactivate }), lift: None }) => {
            Order::Case { case, mode, asked: Asked { force, reactivate } }
        }
        Ok(Payload { release: None, lift: Some(LiftPayload { case }) }) => Order::Lift { case },
        Ok(_) => nothing(IgnoredReason::IncompleteEvent, "an order is either `release` or `lift`"),
        Err(error) => nothing(IgnoredReason::IncompleteEvent, &error.to_string()),
    }
}

/// A click: only on *Release*, whatever else the event says.
fn pressed(bytes: &[u8]) -> Order {
    let (mut findings, mut ignored) = (Vec::new(), Vec::new());
    for parsed in event::parse(bytes) {
        match parsed {
            Parsed::Finding(finding) if finding.trigger.button() == Some(Button::Release) => findings.push(*finding),
            Parsed::Finding(finding) => {
                ignored.push(Ignored { reason: IgnoredReason::NotForThisFunction, detail: finding.finding_type.clone() });
            }
            Parsed::Ignored(one) => ignored.push(one),
        }
    }
    if findings.is_empty() { Order::Nothing(ignored) } else { Order::Pressed { findings, ignored } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_a_case_and_what_is_asked_for() {
        let read = order(
            br#"{"release":{"case":"IR-20261121-0123abcd","mode":"show","force":["deny_all"],"reactivate":["AKIAEXAMPLE"]}}"#,
        );
        let Order::Case { case, mode, asked } = read else { unreachable!("{read:?}") };
        assert_eq!((case.as_str(), mode), ("IR-20261121-0123abcd", Some(AskedMode::Show)));
        assert_eq!((asked.force, asked.reactivate), (vec!["deny_all".to_owned()], vec!["AKIAEXAMPLE".to_owned()]));
        let read = order(br#"{"lift":{"case":"IR-20261121-0123abcd"}}"#);
        assert!(matches!(read, Order::Lift { .. }), "{read:?}");
    }

    #[test]
    fn what_is_no_order_is_ignored_with_a_reason() {
        for (bytes, reason) in [
            (&b"{"[..], IgnoredReason::Malformed),
            (br#"{"release":{"case":"../../etc"}}"#, IgnoredReason::IncompleteEvent),
            (br#"{"release":{"case":"IR-20261121-0123abcd","mode":"force"}}"#, IgnoredReason::IncompleteEvent),
            (br#"{"release":{"case":"IR-20261121-0123abcd","forse":[]}}"#, IgnoredReason::IncompleteEvent),
            (
                br#"{"release":{"case":"IR-20261121-0123abcd"},"lift":{"case":"IR-20261121-0123abcd"}}"#,
                IgnoredReason::IncompleteEvent,
            ),
            (br#"{"hello":1}"#, IgnoredReason::UnknownEnvelope),
        ] {
            let read = order(bytes);
            let Order::Nothing(ignored) = &read else { unreachable!("{read:?}") };
            assert_eq!(ignored[0].reason, reason, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
