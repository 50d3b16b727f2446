//! A finding is attacker-influenced text. Whatever stands in it: nothing panics, identifiers that survive are valid,
//! and what is shown to a person is printable.

use serde_json::{Value, json};
use tourniquet::event::{IgnoredReason, LARGEST_EVENT, Parsed, parse};
use tourniquet::finding::Target;
use tourniquet::id::PrincipalName;
use tourniquet::text::printable;

use crate::checks::event::check;
use crate::checks::text::is_printable;
use crate::support::{HOSTILE, ONE_OF_EACH_FEED, sample, samples};

/// The JSON pointers of every value in `value`, itself left out.
pub(super) fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
            }
            Value::Array(elements) => elements.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
            _ => Vec::new(),
        };
        for (key, child) in children {
            let at = format!("{at}/{key}");
            found.push(at.clone());
            walk(child, &at, found);
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

pub(super) fn with(event: &Value, pointer: &str, value: Value) -> Vec<u8> {
    let mut event = event.clone();
    *event.pointer_mut(pointer).expect("a pointer into the event") = value;
    serde_json::to_vec(&event).expect("JSON")
}

/// Checks what `bytes` say, unless that is no more than `known`: most fields decide nothing.
fn check_unless(known: &[Parsed], bytes: &[u8]) {
    if parse(bytes) != known {
        check(bytes);
    }
}

#[test]
fn hostile_text_in_any_field_of_any_feed_stays_data() {
    let long = "\u{1f980}".repeat(3_000);
    let texts: Vec<&str> = HOSTILE.iter().copied().chain([long.as_str()]).collect();
    for name in ONE_OF_EACH_FEED {
        let event: Value = serde_json::from_slice(&sample(name)).expect("JSON");
        let strings: Vec<_> = pointers(&event).into_iter().filter(|at| event.pointer(at).is_some_and(Value::is_string)).collect();
        assert!(strings.len() > 10, "{name}");
        let known = parse(&sample(name));
        for pointer in &strings {
            for &hostile in &texts {
                check_unless(&known, &with(&event, pointer, hostile.into()));
            }
        }
    }
}

#[test]
fn every_field_of_every_sample_may_be_missing_or_of_another_type() {
    let mut values = [Value::Null, json!({}), json!([]), json!(-1.5e300), json!(true)].into_iter().cycle();
    for (name, bytes) in samples() {
        let event: Value = serde_json::from_slice(bytes).expect("JSON");
        let known = parse(bytes);
        // All of them where the feed is first met, two of them, taking turns, in its other samples.
        let tries = if ONE_OF_EACH_FEED.contains(&name.as_str()) { 5 } else { 2 };
        for pointer in pointers(&event) {
            for value in values.by_ref().take(tries) {
                check_unless(&known, &with(&event, &pointer, value));
            }
        }
    }
}

#[test]
fn a_name_that_iam_would_not_take_names_nobody() {
    let event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    for hostile in HOSTILE.iter().filter(|hostile| PrincipalName::parse(hostile).is_err()) {
        let parsed = check(&with(&event, "/detail/resource/accessKeyDetails/userName", (*hostile).into()));
        let Parsed::Finding(finding) = &parsed[0] else { unreachable!("a finding with a hostile name is still a finding") };
        assert!(matches!(&finding.targets[..], [Target::Elsewhere(_)]), "{hostile:?}: {:?}", finding.targets);
    }
}

#[test]
fn a_session_that_cannot_be_named_does_not_widen_into_the_whole_role() {
    let event: Value = serde_json::from_slice(&sample("role-session-named")).expect("JSON");
    for session in ["a b", "x", "a:b", "a\"b", "a*", "\u{1f980}\u{1f980}", &"s".repeat(65)] {
        let id = format!("AROADEVELOPERQEXAMPLE:{session}");
        let parsed = check(&with(&event, "/detail/resource/accessKeyDetails/principalId", id.into()));
        let Parsed::Finding(finding) = &parsed[0] else { unreachable!("still a finding") };
        assert!(matches!(&finding.targets[..], [Target::Elsewhere(_)]), "{session:?}: {:?}", finding.targets);
    }
}

#[test]
fn an_event_beyond_the_largest_is_not_read() {
    let reason = |bytes: &[u8]| match &check(bytes)[..] {
        [Parsed::Ignored(ignored)] => Some(ignored.reason),
        _ => None,
    };
    let event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    let too_long = with(&event, "/detail/title", "a".repeat(LARGEST_EVENT).into());
    assert_eq!(reason(&too_long), Some(IgnoredReason::TooLarge));
    let mut padded = sample("leaked-access-key");
    padded.resize(LARGEST_EVENT, b' ');
    assert_eq!(reason(&padded), None, "an event of the largest size is read");
    padded.push(b' ');
    assert_eq!(reason(&padded), Some(IgnoredReason::TooLarge));
}

#[test]
fn what_is_no_event_is_ignored_with_a_reason() {
    for (bytes, expected) in [
        (b"".to_vec(), IgnoredReason::Malformed),
        (b"\xff\xfe{}".to_vec(), IgnoredReason::Malformed),
        (b"{".to_vec(), IgnoredReason::Malformed),
        (b"{\"source\":\"\xc3\x28\"}".to_vec(), IgnoredReason::Malformed),
        ([b"[".repeat(200), b"]".repeat(200)].concat(), IgnoredReason::Malformed),
        (b"null".to_vec(), IgnoredReason::UnknownEnvelope),
        (b"[]".to_vec(), IgnoredReason::UnknownEnvelope),
        (b"{}".to_vec(), IgnoredReason::UnknownEnvelope),
        (br#"{"source":"aws.guardduty","detail-type":"GuardDuty Finding"}"#.to_vec(), IgnoredReason::UnknownEnvelope),
        (
            br#"{"source":"aws.guardduty","detail-type":"GuardDuty Finding","detail":{}}"#.to_vec(),
            IgnoredReason::IncompleteFinding,
        ),
        (
            br#"{"source":"aws.securityhub","detail-type":"Security Hub Findings - Imported","detail":{"findings":[]}}"#.to_vec(),
            IgnoredReason::NoFindings,
        ),
        (
            br#"{"source":"aws.securityhub","detail-type":"Security Hub Findings - Custom Action","detail":{"findings":[{}]}}"#
                .to_vec(),
            IgnoredReason::UnknownEnvelope,
        ),
    ] {
        let parsed = check(&bytes);
        let found = matches!(&parsed[..], [Parsed::Ignored(ignored)] if ignored.reason == expected);
        assert!(found, "{:?}: {parsed:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn printable_text_keeps_its_letters_and_loses_its_tricks() {
    for hostile in HOSTILE {
        let clean = printable(hostile, 200);
        assert!(is_printable(&clean), "{clean:?}");
        assert_eq!(clean.chars().count(), hostile.chars().count().min(200));
    }
}
