//! Events that are no good JSON, or are JSON at its limits: each ends as a finding or as ignored with a reason, in time.

use proptest::prelude::*;
use proptest::sample::Index;
use rstest::rstest;
use serde_json::Value;
use tourniquet::event::{IgnoredReason, LARGEST_EVENT, Parsed, parse};

use super::hostile::pointers;
use crate::checks::event::check;
use crate::support::{ONE_OF_EACH_FEED, sample, samples};

const LEVELS: usize = 10_000;

fn reasons(bytes: &[u8]) -> Vec<Option<IgnoredReason>> {
    check(bytes).iter().map(reason).collect()
}

fn reason(parsed: &Parsed) -> Option<IgnoredReason> {
    match parsed {
        Parsed::Finding(_) => None,
        Parsed::Ignored(ignored) => Some(ignored.reason),
    }
}

/// `event` as text with `json` in the place of the value at `pointer`, whether or not that is JSON.
fn spliced(event: &Value, pointer: &str, json: &str) -> Vec<u8> {
    let place = "\u{e000}";
    let text = String::from_utf8(super::hostile::with(event, pointer, place.into())).expect("text");
    text.replacen(&Value::from(place).to_string(), json, 1).into_bytes()
}

#[test]
fn a_truncated_sample_is_malformed() {
    for (name, bytes) in samples() {
        let whole = bytes.trim_ascii_end();
        // At every third byte of one sample a feed; in the others further apart.
        let stride = if ONE_OF_EACH_FEED.contains(&name.as_str()) { 3 } else { 23 };
        for length in (0..whole.len()).step_by(stride) {
            let [parsed] = &parse(&whole[..length])[..] else { unreachable!("one answer") };
            assert_eq!(reason(parsed), Some(IgnoredReason::Malformed), "{name}, {length} bytes of it");
        }
    }
}

#[rstest]
#[case::arrays("[", "]")]
#[case::objects("{\"a\":", "}")]
#[case::both("[{\"detail\":", "}]")]
#[case::never_closed("[", "")]
fn ten_thousand_levels_are_malformed_alone_and_in_every_field(#[case] open: &str, #[case] close: &str) {
    let deep = format!("{}0{}", open.repeat(LEVELS), close.repeat(LEVELS));
    assert_eq!(reasons(deep.as_bytes()), [Some(IgnoredReason::Malformed)]);
    for name in ["leaked-access-key", "two-findings-custom-action", "leaked-access-key-ocsf-copy", "exposed-key-health"] {
        let event: Value = serde_json::from_slice(&sample(name)).expect("JSON");
        for pointer in pointers(&event) {
            assert_eq!(reasons(&spliced(&event, &pointer, &deep)), [Some(IgnoredReason::Malformed)], "{name} {pointer}");
        }
    }
}

#[test]
fn levels_that_json_may_have_bury_a_field_and_nothing_else() {
    let event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    let deep = format!("{}0{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(reasons(&spliced(&event, "/detail/title", &deep)), [None]);
    assert_eq!(reasons(&spliced(&event, "/detail/arn", &deep)), [Some(IgnoredReason::IncompleteFinding)]);
    // The text of an additional value is JSON of its own, with levels of its own.
    let deep = Value::from(format!("{}0{}", "[".repeat(LEVELS), "]".repeat(LEVELS))).to_string();
    let with_value = spliced(&event, "/detail/service/additionalInfo", &format!("{{\"value\":{deep}}}"));
    assert_eq!(reasons(&with_value), [None]);
}

#[test]
fn a_megabyte_of_anything_is_read_or_refused() {
    let many = |part: &str| part.repeat((LARGEST_EVENT - 1_000) / part.len());
    let in_envelope = |findings: &str| {
        format!(
            r#"{{"source":"aws.securityhub","detail-type":"Security Hub Findings - Imported","detail":{{"findings":[{findings}0]}}}}"#
        )
    };
    assert_eq!(reasons(many(" ").as_bytes()), [Some(IgnoredReason::Malformed)]);
    assert_eq!(reasons(many("[").as_bytes()), [Some(IgnoredReason::Malformed)]);
    assert_eq!(reasons(format!("{}0]", many("0,").replacen('0', "[0", 1)).as_bytes()), [Some(IgnoredReason::UnknownEnvelope)]);
    assert_eq!(reasons(format!("\"{}\"", many("a")).as_bytes()), [Some(IgnoredReason::UnknownEnvelope)]);
    // Each finding is answered for, however many an event holds.
    let found = reasons(in_envelope(&many("{},")).as_bytes());
    assert!(found.len() > 300_000 && found.iter().all(|reason| *reason == Some(IgnoredReason::IncompleteFinding)));
    let event: Value = serde_json::from_slice(&sample("leaked-access-key-security-hub-copy")).expect("JSON");
    let whole = format!("{},", event["detail"]["findings"][0]);
    let found = reasons(in_envelope(&many(&whole)).as_bytes());
    assert!(found.len() > 100 && found.iter().filter(|reason| reason.is_none()).count() == found.len() - 1, "{}", found.len());
}

#[test]
fn text_that_is_not_utf_8_in_any_field_is_malformed() {
    // A lone continuation, an overlong slash, a surrogate, a byte that UTF-8 never has: taking turns.
    let mut invalid = [&b"\x80"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xff"].into_iter().cycle();
    for (name, bytes) in samples() {
        let event: Value = serde_json::from_slice(bytes).expect("JSON");
        for pointer in pointers(&event).iter().filter(|at| event.pointer(at).is_some_and(Value::is_string)) {
            let text = spliced(&event, pointer, "\"\u{e001}\"");
            let at = text.windows(3).position(|window| window == "\u{e001}".as_bytes()).expect("the place");
            for bad in invalid.by_ref().take(1) {
                let bytes = [&text[..at], bad, &text[at + 3..]].concat();
                assert_eq!(reasons(&bytes), [Some(IgnoredReason::Malformed)], "{name} {pointer} {bad:?}");
            }
        }
    }
    // Half a surrogate pair is well-formed bytes and no text.
    let event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    for half in [r#""\ud800""#, r#""\udc00x""#, r#""\ud800\u0041""#] {
        assert_eq!(reasons(&spliced(&event, "/detail/title", half)), [Some(IgnoredReason::Malformed)], "{half}");
    }
}

#[test]
fn a_key_given_twice_means_one_of_the_two_and_never_a_mixture() {
    let event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    let other = r#"{"accessKeyDetails":{"userType":"IAMUser","userName":"other"},"resourceType":"AccessKey"}"#;
    let own = event["detail"]["resource"].to_string();
    for (first, second) in [(other, own.as_str()), (own.as_str(), other)] {
        let bytes = spliced(&event, "/detail/resource", &format!("{first},\"resource\":{second}"));
        let finding = crate::support::findings(&bytes).remove(0);
        let alone = crate::support::findings(&spliced(&event, "/detail/resource", second)).remove(0);
        assert_eq!(reasons(&bytes), [None]);
        assert_eq!(finding.targets, alone.targets, "the last one counts");
    }
    // The same key in both spellings of the feeds: the event's own counts.
    let bytes = spliced(&event, "/detail/resource", &format!("{own},\"Resource\":{other}"));
    assert_eq!(crate::support::findings(&bytes).remove(0), crate::support::finding("leaked-access-key"));
}

#[test]
fn a_number_of_any_size_in_any_field_leads_to_a_clear_outcome() {
    let digits = "9".repeat(5_000);
    let numbers = ["1e400", "-1e400", "1e-400", "1.7976931348623157e308", "18446744073709551616", "-0", "0.1e1", &digits];
    let mut turns = numbers.into_iter().cycle();
    for (name, bytes) in samples() {
        let (event, known): (Value, _) = (serde_json::from_slice(bytes).expect("JSON"), parse(bytes));
        for pointer in pointers(&event) {
            for number in turns.by_ref().take(3) {
                let bytes = spliced(&event, &pointer, number);
                if parse(&bytes) == known {
                    assert!(!is_infinite(number), "{name} {pointer} {number:.20}");
                    continue;
                }
                let found = reasons(&bytes);
                // A number that no double can hold is no JSON here; anything else is a value like others.
                assert_eq!(found == [Some(IgnoredReason::Malformed)], is_infinite(number), "{name} {pointer} {number:.20}");
            }
        }
    }
}

fn is_infinite(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(f64::is_infinite)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_sample_with_bytes_changed_inserted_and_removed_is_read_without_panic(
        of in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), 0_usize..4, prop::collection::vec(any::<u8>(), 0..8)), 1..8),
    ) {
        let mut bytes = of.get(samples()).1.clone();
        for (at, removed, inserted) in edits {
            let at = at.index(bytes.len());
            let end = (at + removed).min(bytes.len() - 1).max(at);
            bytes.splice(at..end, inserted);
        }
        check(&bytes);
    }

    #[test]
    fn two_samples_cut_together_are_read_without_panic(of in any::<(Index, Index)>(), cuts in any::<(Index, Index)>()) {
        let (head, tail) = (&of.0.get(samples()).1, &of.1.get(samples()).1);
        check(&[&head[..cuts.0.index(head.len())], &tail[cuts.1.index(tail.len())..]].concat());
    }
}
