//! What each sample event says, on one page, and what the shipped guardrails lead to.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tourniquet::containment::identity::{AccessKey, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::containment::{AtSource, Verdict};
use tourniquet::event::{IgnoredReason, Parsed, parse};
use tourniquet::finding::{Finding, RoleSession, Source, Target, User};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::Arn;

use crate::support::{
    events_for, findings, now, observed, repository, responder, role, sample, samples, shipped_text, unique_id, user,
};

fn summary(parsed: &Parsed) -> String {
    let mut text = String::new();
    match parsed {
        Parsed::Finding(finding) => {
            let Finding { id, finding_type, severity, account, region, source, trigger, .. } = &**finding;
            writeln!(text, "  {finding_type} {severity:.1} {account} {region} {source:?} {trigger:?}").expect("a String");
            writeln!(text, "    {id}").expect("a String");
            for target in &finding.targets {
                writeln!(text, "    {target:?}").expect("a String");
            }
            for role in &finding.assumed_roles {
                writeln!(text, "    assumed {role}").expect("a String");
            }
        }
        Parsed::Ignored(ignored) => {
            writeln!(text, "  ignored: {} ({})", ignored.reason.as_str(), ignored.detail).expect("a String");
        }
    }
    text
}

#[test]
fn every_sample_event_is_read() {
    let pages = samples().iter().map(|(name, bytes)| format!("{name}\n{}", parse(bytes).iter().map(summary).collect::<String>()));
    insta::assert_snapshot!("what_each_sample_says", pages.collect::<Vec<_>>().join("\n"));
}

/// The principal a target names, as it would be found: by that name and with that id.
fn as_accused(target: &Target, name: &str) -> Principal {
    match target {
        Target::User(User { name: user_name, unique_id: Some(id), .. }) => {
            // The sample about a user that was deleted and made again.
            let id = if name == "recreated-user" { unique_id("AIDANEWSVCETLQEXAMPLE") } else { id.clone() };
            let arn = Arn::parse(&format!("arn:aws:iam::111122223333:user/{user_name}")).expect("an ARN");
            Principal::User(Box::new(ObservedUser { name: user_name.clone(), arn, unique_id: id, ..user() }))
        }
        Target::RoleSession(RoleSession { role: role_name, role_id: Some(id), .. }) => {
            let path = match role_name.as_str() {
                name if name.starts_with("AWSServiceRoleFor") => "aws-service-role/autoscaling.amazonaws.com/",
                name if name.starts_with("AWSReservedSSO_") => "aws-reserved/sso.amazonaws.com/eu-west-1/",
                _ => "",
            };
            let arn = Arn::parse(&format!("arn:aws:iam::111122223333:role/{path}{role_name}")).expect("an ARN");
            Principal::Role(Box::new(ObservedRole { name: role_name.clone(), arn, unique_id: id.clone(), ..role() }))
        }
        // Named by its key alone: `svc-build`, whose key that is.
        Target::User(User { key: Some(key), .. }) => {
            let keys = vec![AccessKey { id: key.clone(), active: true, created: None, last_used: None }];
            Principal::User(Box::new(ObservedUser { keys, ..user() }))
        }
        Target::User(_) => Principal::User(Box::new(user())),
        // Named by its ARN alone.
        Target::RoleSession(_) => Principal::Role(Box::new(role())),
        _ => Principal::NotLooked,
    }
}

/// What the reader of events/README.md is promised: parse, look the principal up, decide.
fn outcome(name: &str, finding: &Finding, target: &Target) -> String {
    let protect = "[[protect]]\narn = \"arn:aws:iam::111122223333:user/break-glass\"\nbecause = \"the way back in\"\n";
    let guardrails = Guardrails::parse("guardrails.toml", &format!("{}\n{protect}", shipped_text())).expect("guardrails");
    // A key named alone is looked up before the decision; whose it is only IAM can say.
    let target = match target {
        Target::AccessKey { key } => Target::User(User { name: user().name, unique_id: None, key: Some(key.clone()) }),
        target => target.clone(),
    };
    let mut observed = observed(as_accused(&target, name));
    observed.guardrails = Ok(guardrails);
    if matches!(finding.source, Source::AccessAnalyzer | Source::Macie) {
        // Neither can be asked.
        observed.source = AtSource::Unconfirmed { reason: "no finding this version can look up".to_owned(), retryable: false };
    }
    let decision = decide(finding, &target, &observed, &responder(), now());
    match decision.verdict {
        Verdict::Contain => "contain".to_owned(),
        // The rule's line moves with every edit of the file.
        Verdict::Propose(reason) => format!("propose: {}", reason.split(" (line").next().unwrap_or_default()),
        Verdict::Observe => "observe".to_owned(),
        Verdict::CannotContain(reason) => format!("cannot contain: {}", reason.as_str()),
        Verdict::Skip(reason) => format!("skip: {reason}"),
        Verdict::Ignore(ignored) => format!("ignored: {}", ignored.reason.as_str()),
    }
}

#[test]
fn every_sample_event_leads_to_its_verdict_under_the_shipped_guardrails() {
    let mut page = String::new();
    for (name, bytes) in events_for("contain-identity") {
        for parsed in parse(&bytes) {
            match parsed {
                Parsed::Finding(finding) => {
                    for target in finding.targets.iter().filter(|target| target.is_identity()) {
                        writeln!(page, "{name}: {}", outcome(&name, &finding, target)).expect("a String");
                    }
                }
                Parsed::Ignored(ignored) => writeln!(page, "{name}: ignored: {}", ignored.reason.as_str()).expect("a String"),
            }
        }
    }
    insta::assert_snapshot!("where_each_sample_leads", page);
}

#[test]
fn every_sample_event_is_listed_once_under_its_function_in_the_readme() {
    let readme = std::fs::read_to_string(repository().join("events/README.md")).expect("the readme");
    for function in ["contain-identity", "contain-instance", "register-actions", "seal-snapshot"] {
        let section = readme.split("\n## ").find(|section| section.starts_with(&format!("{function}\n"))).expect("a section");
        // The first column names the events; `a`, `b` share a row where they differ in the feed only.
        let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let mut listed: Vec<&str> = cells.flat_map(|cell| cell.split('`').step_by(2)).collect();
        listed.retain(|name| !name.trim().is_empty() && *name != " †, " && *name != " †");
        listed.sort_unstable();
        let events = events_for(function);
        let known: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(listed, known, "{function}");
    }
}

#[test]
fn findings_about_instances_share_an_id_only_with_their_copies() {
    let mut named: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, bytes) in samples() {
        for finding in findings(bytes).iter().filter(|finding| finding.targets.iter().any(Target::is_instance)) {
            named.entry(finding.id.to_string()).or_default().push(name);
        }
    }
    let mut shared: Vec<_> = named.into_values().filter(|names| names.len() > 1).collect();
    shared.sort();
    assert_eq!(
        shared,
        [
            vec![
                "contain-instance/crypto-mining-instance",
                "contain-instance/ocsf-copy-instance",
                "contain-instance/security-hub-copy"
            ],
            vec!["contain-instance/custom-action-instance", "contain-instance/unusual-port-instance"],
            vec![
                "contain-instance/instance-credentials-exfiltrated",
                "instance-credentials-exfiltrated",
                "two-findings-custom-action"
            ],
        ]
    );
}

#[test]
fn a_finding_its_detector_does_not_have_is_ignored() {
    let finding = crate::support::finding("leaked-access-key");
    let mut observed = observed(as_accused(&finding.targets[0], ""));
    observed.source = AtSource::Absent;
    let decision = decide(&finding, &finding.targets[0], &observed, &responder(), now());
    assert!(matches!(decision.verdict, Verdict::Ignore(ignored) if ignored.reason == IgnoredReason::NotAtSource));
}

#[test]
fn a_settled_finding_is_acted_on_when_a_person_presses_the_button() {
    let imported = String::from_utf8(sample("our-own-update")).expect("text");
    let pressed = imported.replace("Security Hub Findings - Imported", "Security Hub Findings - Custom Action");
    assert!(matches!(&parse(imported.as_bytes())[0], Parsed::Ignored(ignored) if ignored.reason == IgnoredReason::OurOwnUpdate));
    assert!(matches!(&parse(pressed.as_bytes())[0], Parsed::Finding(_)));
}
