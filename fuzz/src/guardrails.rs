//! Guardrails files: one is refused with a line and a reason, or it has an answer to every finding.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tourniquet::containment::identity::{Observed, Principal, decide};
use tourniquet::containment::{AtSource, Verdict};
use tourniquet::finding::{Finding, Target, TargetKind, Trigger};
use tourniquet::guardrails::{Direction, Guardrails, Mode, Peer, Subject};
use tourniquet::id::{AccountId, Arn, UniqueId};

use super::text::is_printable;
use super::walk;

const FILE: &str = "guardrails.toml";

/// Checks what `text` says about `findings`.
pub fn check(text: &str, findings: &[Finding]) {
    let parsed = Guardrails::parse(FILE, text);
    assert_eq!(Guardrails::parse(FILE, text), parsed, "read twice, it says two things");
    match &parsed {
        Ok(guardrails) => {
            let commented = Guardrails::parse(FILE, &format!("{text}\n# the end\n"));
            assert_eq!(commented.as_ref(), Ok(guardrails), "a comment changed the file");
            check_isolation(guardrails);
            for finding in findings {
                check_rulings(guardrails, finding);
            }
        }
        Err(error) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&error.line), "{error}");
            assert!(!error.reason.is_empty() && error.to_string().starts_with(&format!("{FILE}:{}: ", error.line)), "{error}");
        }
    }
    for finding in findings {
        for target in &finding.targets {
            check_decision(&parsed.clone().map_err(|error| error.to_string()), finding, target);
        }
    }
}

/// Whoever is let through is somebody, for a reason that EC2 takes, and never the world.
fn check_isolation(guardrails: &Guardrails) {
    for allow in &guardrails.isolation().allow {
        assert!(allow.port != 0 && !allow.because.trim().is_empty() && is_printable(&allow.because), "{allow:?}");
        match &allow.peer {
            Peer::Cidr(network) => {
                let (address, length) = network.split_once('/').expect("a network");
                assert!(address.parse::<IpAddr>().is_ok() && length.parse::<u8>().is_ok_and(|length| length >= 8), "{allow:?}");
            }
            Peer::Group(_) => assert!(allow.vpc.is_some(), "{allow:?}"),
            Peer::PrefixList(_) => assert_eq!(allow.direction, Direction::Out, "{allow:?}"),
        }
    }
    assert!((1..=36_500).contains(&guardrails.evidence().days), "{:?}", guardrails.evidence());
}

/// Every kind of target has a ruling under the ceiling, in words that can be shown.
fn check_rulings(guardrails: &Guardrails, finding: &Finding) {
    let tags: BTreeMap<String, String> = [("environment".to_owned(), "production".to_owned())].into();
    let arn = Arn::parse("arn:aws:iam::111122223333:user/svc-build").expect("an ARN");
    let unique_id = UniqueId::parse("AIDASVCBUILDQ7EXAMPLE").expect("a unique id");
    for account in ["111122223333", "000000000000"].map(|id| AccountId::parse(id).expect("an account")) {
        for kind in TargetKind::ALL {
            for known in [true, false] {
                let subject = Subject {
                    kind,
                    account: &account,
                    arn: known.then_some(&arn),
                    unique_id: known.then_some(&unique_id),
                    tags: &tags,
                };
                let ruling = guardrails.ruling(finding, subject);
                assert!(ruling.mode <= guardrails.ceiling(), "{ruling:?}");
                assert!(!ruling.rule.is_empty() && is_printable(&ruling.rule), "{ruling:?}");
                assert_eq!(guardrails.ruling(finding, subject), ruling);
                assert!(guardrails.protection(subject).is_none_or(|protection| !protection.because.trim().is_empty()));
            }
        }
    }
    assert!(guardrails.trusts(None));
}

fn check_decision(guardrails: &Result<Guardrails, String>, finding: &Finding, target: &Target) {
    let principal = walk::principal(finding, target);
    let observed = Observed { source: AtSource::NotKept, guardrails: guardrails.clone(), state: principal };
    let decision = decide(finding, target, &observed, &walk::responder(finding), walk::now());
    let Ok(guardrails) = guardrails else {
        assert!(!matches!(decision.verdict, Verdict::Contain | Verdict::Observe), "without guardrails: {decision:?}");
        return;
    };
    if decision.verdict == Verdict::Contain {
        assert_eq!(guardrails.ceiling(), Mode::Contain, "{decision:?}");
    }
    if matches!(observed.state, Principal::User(_) | Principal::Role(_)) && !matches!(decision.verdict, Verdict::Ignore(_)) {
        let protected = guardrails.protection(Subject {
            kind: target.kind(),
            account: &finding.account,
            arn: match &observed.state {
                Principal::User(user) => Some(&user.arn),
                Principal::Role(role) => Some(&role.arn),
                _ => None,
            },
            unique_id: observed.state.unique_id(),
            tags: &BTreeMap::new(),
        });
        assert!(protected.is_none() || decision.plan.is_empty(), "protected, and yet planned for: {decision:?}");
    }
    let text = serde_json::to_string(&decision).expect("JSON");
    assert!(is_printable(&text), "{text}");
    // A click goes as far as the ceiling, never further.
    let clicked = Finding {
        trigger: Trigger::Button {
            action: "arn:aws:securityhub:eu-west-1:111122223333:action/custom/TourniquetContain".to_owned(),
        },
        ..finding.clone()
    };
    let verdict = decide(&clicked, target, &observed, &walk::responder(finding), walk::now()).verdict;
    assert!(verdict != Verdict::Contain || guardrails.ceiling() == Mode::Contain, "{verdict:?}");
}
