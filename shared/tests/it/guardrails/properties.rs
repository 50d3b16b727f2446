//! What must hold for every file: a pattern matches what it says, protections only ever protect, a lower ceiling only
//! ever lowers.

use proptest::prelude::*;
use rstest::rstest;
use tourniquet::containment::identity::{Observed, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::containment::{AtSource, Decision, Verdict};
use tourniquet::finding::{Button, Finding, RoleSession, Target, Trigger, User};
use tourniquet::guardrails::{Guardrails, Mode};
use tourniquet::id::{Arn, PrincipalName, UniqueId};

use crate::support::{finding, now, responder, role, session, user};

fn file(mode: Mode, rest: &str) -> String {
    format!("version = 1\nmode = \"{}\"\n\n[default]\nmode = \"contain\"\n\n{rest}", mode.as_str())
}

/// Whether `pattern` lets `text` through, asked of the guardrails themselves: as a trusted product.
fn matches(pattern: &str, text: &str) -> bool {
    let file = format!("version = 1\nmode = \"contain\"\ntrusted_products = ['{pattern}']\n[default]\nmode = \"propose\"\n");
    Guardrails::parse("guardrails.toml", &file).expect("guardrails").trusts(Some(text))
}

/// The slow and obvious way.
fn matches_naively(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| matches_naively(rest, &text[skipped..])),
        Some((first, rest)) => text.split_first().is_some_and(|(head, tail)| head == first && matches_naively(rest, tail)),
    }
}

#[rstest]
#[case("*", "", true)]
#[case("*", "anything", true)]
#[case("a", "a", true)]
#[case("a", "ab", false)]
#[case("a", "A", false)]
#[case("a*", "a", true)]
#[case("*a", "a", true)]
#[case("a*a", "a", false)]
#[case("a*a", "aa", true)]
#[case("*a*", "bab", true)]
#[case("a*b*c", "abc", true)]
#[case("a*b*c", "acb", false)]
#[case("a*bc*bc", "abc", false)]
#[case("a*bc*bc", "abcbc", true)]
#[case("a.b", "axb", false)]
#[case("a?", "ab", false)]
#[case("[ab]", "a", false)]
#[case("Trojan:*", "Trojan:EC2/DropPoint", true)]
#[case("Trojan:*", "x Trojan:EC2/DropPoint", false)]
#[case("\u{e9}*", "\u{e9}t\u{e9}", true)]
fn a_star_stands_for_any_run_of_characters(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
    assert_eq!(matches(pattern, text), expected);
}

#[derive(Debug, Clone)]
struct Accused {
    target: Target,
    principal: Principal,
}

impl Accused {
    fn arn(&self) -> &Arn {
        match &self.principal {
            Principal::User(user) => &user.arn,
            Principal::Role(role) => &role.arn,
            _ => unreachable!("every accused is there"),
        }
    }

    fn unique_id(&self) -> &UniqueId {
        match &self.principal {
            Principal::User(user) => &user.unique_id,
            Principal::Role(role) => &role.unique_id,
            _ => unreachable!("every accused is there"),
        }
    }
}

/// A user or a role of ours that a finding accuses rightly, with one of few names so that protections hit.
fn accused() -> impl Strategy<Value = Accused> {
    (any::<bool>(), "[ab]", any::<bool>()).prop_map(|(is_user, letter, with_session)| {
        let name = PrincipalName::parse(&letter).expect("a name");
        let id = |prefix: &str| UniqueId::parse(&format!("{prefix}{}EXAMPLEEXAMPLE", letter.to_uppercase())).expect("an id");
        let arn = |kind: &str| Arn::parse(&format!("arn:aws:iam::111122223333:{kind}/{letter}")).expect("an ARN");
        if is_user {
            let unique_id = id("AIDA");
            let observed = ObservedUser { name: name.clone(), arn: arn("user"), unique_id: unique_id.clone(), ..user() };
            return Accused {
                target: Target::User(User { name, unique_id: Some(unique_id), key: None }),
                principal: Principal::User(Box::new(observed)),
            };
        }
        let role_id = id("AROA");
        let observed = ObservedRole { name: name.clone(), arn: arn("role"), unique_id: role_id.clone(), ..role() };
        let session = with_session.then(|| session("someone"));
        Accused {
            target: Target::RoleSession(RoleSession { role: name, role_id: Some(role_id), session, instance: None, key: None }),
            principal: Principal::Role(Box::new(observed)),
        }
    })
}

fn claim() -> impl Strategy<Value = Finding> {
    let types = prop_oneof![Just("Trojan:IAMUser/A"), Just("Recon:IAMUser/B"), Just("Recon:EC2/A")];
    (types, 0.0..10.0_f64, any::<bool>()).prop_map(|(finding_type, severity, pressed)| {
        let trigger = if pressed { crate::support::pressed(Button::Contain) } else { Trigger::Event };
        Finding { finding_type: finding_type.to_owned(), severity, trigger, ..finding("leaked-access-key") }
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(Mode::ALL.to_vec())
}

/// The text of one rule; several of them may contradict each other, and such files are discarded.
fn rule() -> impl Strategy<Value = String> {
    let types = prop::option::of(prop_oneof![Just("Trojan:*"), Just("*:IAMUser/*"), Just("Recon:EC2/A"), Just("*B")]);
    let targets = prop::option::of(prop_oneof![Just("user"), Just("role_session")]);
    (types, targets, prop::option::of(0.0..10.0_f64), mode()).prop_map(|(types, targets, minimum, mode)| {
        let mut text = String::new();
        text.extend(types.map(|types| format!("types = ['{types}']\n")));
        text.extend(targets.map(|kind| format!("targets = ['{kind}']\n")));
        text.extend(minimum.map(|minimum| format!("min_severity = {minimum:.3}\n")));
        format!("{text}mode = \"{}\"\n", mode.as_str())
    })
}

fn rules() -> impl Strategy<Value = String> {
    prop::collection::vec(rule(), 0..4).prop_map(|rules| {
        let named = rules.iter().enumerate().map(|(at, rule)| format!("[[rule]]\nname = \"rule-{at}\"\n{rule}\n"));
        named.collect::<Vec<_>>().concat()
    })
}

fn protection() -> impl Strategy<Value = String> {
    let what = prop_oneof![
        "(user|role)/[abc]".prop_map(|resource| format!("arn = \"arn:aws:iam::111122223333:{resource}\"")),
        "(AIDA|AROA)[ABC]EXAMPLEEXAMPLE".prop_map(|id| format!("unique_id = \"{id}\"")),
        prop_oneof![Just("account = \"111122223333\"".to_owned()), Just("account = \"444455556666\"".to_owned())],
    ];
    what.prop_map(|what| format!("[[protect]]\n{what}\nbecause = \"it is needed\"\n\n"))
}

fn decided(text: &str, finding: &Finding, accused: &Accused) -> Option<Decision> {
    let guardrails = Guardrails::parse("guardrails.toml", text).ok()?;
    let observed = Observed { source: AtSource::NotKept, guardrails: Ok(guardrails), state: accused.principal.clone() };
    Some(decide(finding, &accused.target, &observed, &responder(), now()))
}

/// How much a verdict lets happen; nothing above `Propose` but `Contain` changes anything.
fn reach(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Contain => 3,
        Verdict::Propose(_) => 2,
        Verdict::Observe => 1,
        Verdict::CannotContain(_) | Verdict::Skip(_) | Verdict::Ignore(_) => 0,
    }
}

fn trusting(text: &str) -> String {
    text.replacen("[default]", "trusted_products = ['*']\n[default]", 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_pattern_matches_what_the_naive_matcher_matches(pattern in "\\*?([ab]{1,2}\\*?){1,4}", text in "[ab]{0,10}") {
        let naive = matches_naively(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
        prop_assert_eq!(matches(&pattern, &text), naive);
    }

    #[test]
    fn adding_a_protection_never_makes_more_containable(
        finding in claim(), accused in accused(), mode in mode(), rules in rules(),
        known in prop::collection::vec(protection(), 0..3), added in protection(),
    ) {
        let before = trusting(&file(mode, &format!("{rules}{}", known.concat())));
        let after = format!("{before}{added}");
        let (Some(before), Some(after)) = (decided(&before, &finding, &accused), decided(&after, &finding, &accused)) else {
            return Ok(());
        };
        prop_assert!(reach(&after.verdict) <= reach(&before.verdict), "{before:?} became {after:?}");
        if !matches!(after.verdict, Verdict::Skip(_)) {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn a_protection_of_the_accused_itself_always_skips(
        finding in claim(), accused in accused(), mode in mode(), rules in rules(), by in 0_u8..3,
    ) {
        let what = match by {
            0 => format!("arn = \"{}\"", accused.arn()),
            1 => format!("unique_id = \"{}\"", accused.unique_id()),
            _ => "account = \"111122223333\"".to_owned(),
        };
        let text = trusting(&file(mode, &format!("{rules}[[protect]]\n{what}\nbecause = \"it is needed\"\n")));
        let Some(decision) = decided(&text, &finding, &accused) else { return Ok(()) };
        prop_assert_eq!(decision.verdict, Verdict::Skip("protected: it is needed".to_owned()));
        prop_assert!(decision.plan.is_empty());
    }

    #[test]
    fn lowering_the_ceiling_never_raises_a_verdict(
        finding in claim(), accused in accused(), modes in (mode(), mode()), rules in rules(), protection in prop::option::of(protection()),
    ) {
        let (lower, higher) = (modes.0.min(modes.1), modes.0.max(modes.1));
        let rest = format!("{rules}{}", protection.unwrap_or_default());
        let verdict = |mode| decided(&file(mode, &rest), &finding, &accused).map(|decision| decision.verdict);
        let (Some(low), Some(high)) = (verdict(lower), verdict(higher)) else { return Ok(()) };
        prop_assert!(reach(&low) <= reach(&high), "{low:?} above {high:?}");
        prop_assert!(lower != Mode::Observe || reach(&low) <= 1, "{low:?} under observe");
        prop_assert!(lower == Mode::Contain || low != Verdict::Contain, "contained under a lower ceiling");
    }
}
