//! What would be done about an event, and why, without calling AWS.
//!
//! What AWS would say about the target is not known here, so it is taken to be what the finding claims: a principal of
//! that name with that unique id. The plan shown is the least that would be done; at run time every other credential
//! IAM lists is part of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tourniquet::containment::identity::{AccessKey, Observed, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::containment::{AtSource, Decision, Responder, Verdict};
use tourniquet::event::{self, Ignored, Parsed};
use tourniquet::finding::{Finding, Source, Target, TargetKind, User};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{AccountId, Arn, PrincipalName, UniqueId};
use tourniquet::step::Step;
use tourniquet::timestamp::Timestamp;

use crate::template;

/// What the finding did not say, for a principal taken to exist.
const UNKNOWN_USER: &str = "AIDAUNKNOWNUNKNOWN000";
const UNKNOWN_ROLE: &str = "AROAUNKNOWNUNKNOWN000";

#[derive(Serialize)]
struct Explanation {
    rules: Vec<String>,
    findings: Vec<ExplainedFinding>,
    ignored: Vec<Ignored>,
}

#[derive(Serialize)]
struct ExplainedFinding {
    finding: Finding,
    targets: Vec<ExplainedTarget>,
}

#[derive(Serialize)]
struct ExplainedTarget {
    case_would_be: String,
    decision: Decision,
}

pub(crate) fn run(arguments: &[&str]) -> Result<String, String> {
    let [file, options @ ..] = arguments else { return Err(crate::USAGE.to_owned()) };
    let path = |name, default: &str| crate::option(options, name).map(|value| PathBuf::from(value.unwrap_or(default)));
    let guardrails = crate::read_guardrails(&path("--guardrails", "infra/guardrails.toml")?)?;
    let rules = template::rules(&path("--template", "infra/template.yaml")?)?;
    let account = crate::option(options, "--account")?.map(AccountId::parse).transpose().map_err(|error| error.to_string())?;
    let event = std::fs::read(Path::new(file)).map_err(|error| format!("{file}: {error}"))?;
    let explanation = explain(&event, &rules, &guardrails, account.as_ref(), Timestamp::now())?;
    if options.contains(&"--json") {
        return serde_json::to_string_pretty(&explanation).map_err(|error| error.to_string());
    }
    Ok(text(&explanation))
}

fn explain(
    event: &[u8],
    rules: &[template::Rule],
    guardrails: &Guardrails,
    account: Option<&AccountId>,
    now: Timestamp,
) -> Result<Explanation, String> {
    // What is no JSON reaches no rule.
    let matching =
        if serde_json::from_slice::<serde_json::Value>(event).is_ok() { template::matching(rules, event)? } else { Vec::new() };
    let mut explanation = Explanation { rules: matching, findings: Vec::new(), ignored: Vec::new() };
    for parsed in event::parse(event) {
        match parsed {
            Parsed::Finding(finding) => {
                let targets =
                    finding.targets.iter().map(|target| explain_target(&finding, target, guardrails, account, now)).collect();
                explanation.findings.push(ExplainedFinding { finding: *finding, targets });
            }
            Parsed::Ignored(ignored) => explanation.ignored.push(ignored),
        }
    }
    Ok(explanation)
}

fn explain_target(
    finding: &Finding,
    accused: &Target,
    guardrails: &Guardrails,
    account: Option<&AccountId>,
    now: Timestamp,
) -> ExplainedTarget {
    let target = &with_owner(accused);
    // The responder's account is not known either; it is taken to be the finding's unless the caller says otherwise.
    let responder = Responder {
        account: account.unwrap_or(&finding.account).clone(),
        partition: finding.partition(),
        own_roles: Vec::new(),
        deny_group: None,
        members: Vec::new(),
    };
    let observed =
        Observed { source: at_source(finding), guardrails: Ok(guardrails.clone()), principal: claimed(finding, target) };
    let decision = decide(finding, target, &observed, &responder, now);
    ExplainedTarget {
        case_would_be: tourniquet::case::CaseId::of(finding, &decision.target.key(&finding.id)).to_string(),
        decision,
    }
}

/// What the detector would say: that it has the finding, where it is one this version can ask about.
fn at_source(finding: &Finding) -> AtSource {
    match finding.source {
        Source::SecurityHubV2 | Source::AccessAnalyzer | Source::Macie if finding.at_guardduty().is_none() => {
            AtSource::Unconfirmed { reason: "no finding this version can look up".to_owned(), retryable: false }
        }
        _ => AtSource::NotKept,
    }
}

/// A key named without its user: whose it is only IAM can say, so it gets a user of no real name.
fn with_owner(target: &Target) -> Target {
    match (target, PrincipalName::parse("OWNER-OF-THE-KEY")) {
        (Target::AccessKey { key }, Ok(name)) => Target::User(User { name, unique_id: None, key: Some(key.clone()) }),
        _ => target.clone(),
    }
}

/// The principal, as the finding claims it is.
fn claimed(finding: &Finding, target: &Target) -> Principal {
    let arn = |resource: String| Arn::iam(finding.partition(), &finding.account, &resource);
    let id = |known: Option<&UniqueId>, unknown: &str| known.cloned().or_else(|| UniqueId::parse(unknown).ok());
    match target {
        Target::User(user) => id(user.unique_id.as_ref(), UNKNOWN_USER).map_or(Principal::NotLooked, |unique_id| {
            let keys = user.key.iter().filter(|key| key.is_long_term()).map(|key| AccessKey {
                id: key.clone(),
                active: true,
                created: None,
                last_used: None,
            });
            Principal::User(Box::new(ObservedUser {
                name: user.name.clone(),
                arn: arn(format!("user/{}", user.name)),
                unique_id,
                tags: BTreeMap::new(),
                created: None,
                password_last_used: None,
                permissions_boundary: None,
                groups: Vec::new(),
                keys: keys.collect(),
                login: None,
                service_credentials: Vec::new(),
                ssh_keys: Vec::new(),
                certificates: Vec::new(),
                mfa_devices: Vec::new(),
                attached_policies: Vec::new(),
                deny: None,
                unread: Vec::new(),
            }))
        }),
        Target::RoleSession(session) => id(session.role_id.as_ref(), UNKNOWN_ROLE).map_or(Principal::NotLooked, |unique_id| {
            Principal::Role(Box::new(ObservedRole {
                name: session.role.clone(),
                arn: arn(format!("role/{}{}", path_of(&session.role), session.role)),
                unique_id,
                tags: BTreeMap::new(),
                created: None,
                last_used: None,
                permissions_boundary: None,
                attached_policies: Vec::new(),
                trust_policy: String::new(),
                instance_profiles: Vec::new(),
                revocation: None,
                session_deny: None,
                unread: Vec::new(),
            }))
        }),
        _ => Principal::NotLooked,
    }
}

/// The path a role of this name has: AWS keeps both prefixes for itself.
fn path_of(role: &PrincipalName) -> &'static str {
    if role.as_str().starts_with("AWSServiceRoleFor") {
        "aws-service-role/"
    } else if role.as_str().starts_with("AWSReservedSSO_") {
        "aws-reserved/sso.amazonaws.com/"
    } else {
        ""
    }
}

fn text(explanation: &Explanation) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |content: String| writeln!(out, "{content}").unwrap_or_default();
    let rules = if explanation.rules.is_empty() {
        "none: the function would not be called".to_owned()
    } else {
        explanation.rules.join(", ")
    };
    line(format!("Rules of the template that match   {rules}"));
    for ignored in &explanation.ignored {
        line(format!("Ignored                            {} {}", ignored.reason.as_str(), ignored.detail));
    }
    for ExplainedFinding { finding, targets } in &explanation.findings {
        line(String::new());
        line(format!("Finding    {}, severity {:.1}", finding.finding_type, finding.severity));
        line(format!("           {}", finding.title));
        line(format!("           {}", finding.id));
        line(format!("           account {}, Region {}, first seen {}", finding.account, finding.region, finding.first_seen));
        if targets.is_empty() {
            line("Target     no identity: not this function's to contain".to_owned());
        }
        for ExplainedTarget { case_would_be, decision } in targets {
            line(String::new());
            let id = decision.target.id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
            line(format!("Target     {} {}{id}", decision.target.kind.as_str(), decision.target.arn));
            line(format!("Case       {case_would_be}"));
            if let Some(ruling) = &decision.ruling {
                line(format!("Guardrail  {} by rule {}", ruling.mode.as_str(), ruling.rule));
            }
            line(format!("Decision   {}", verdict(&decision.verdict)));
            for (index, step) in decision.plan.steps().enumerate() {
                let label = if index == 0 { "Plan       " } else { "           " };
                line(format!("{label}{}", decision.plan.redacted(&step.command())));
            }
            if decision.target.kind == TargetKind::User && !decision.plan.is_empty() {
                line("           and the same for every other credential IAM lists for it at run time".to_owned());
            }
            let rungs: Vec<_> = decision.plan.fallback.iter().map(Step::command).collect();
            section(&mut line, "If full    ", &rungs);
            section(&mut line, "Also hit   ", &decision.blast_radius);
            section(&mut line, "Remains    ", &decision.residual_risk);
            section(&mut line, "Next       ", &decision.next_steps);
        }
    }
    out
}

fn section(line: &mut impl FnMut(String), label: &str, items: &[String]) {
    for (index, item) in items.iter().enumerate() {
        line(format!("{}{item}", if index == 0 { label } else { "           " }));
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Contain => "contain".to_owned(),
        Verdict::Propose(reason) => format!("propose: {reason}"),
        Verdict::Observe => "observe: say what would happen".to_owned(),
        Verdict::CannotContain(reason) => format!("cannot contain: {}", reason.as_str()),
        Verdict::Skip(reason) => format!("skip: {reason}"),
        Verdict::Ignore(ignored) => format!("ignore: {} {}", ignored.reason.as_str(), ignored.detail),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rstest::rstest]
    fn every_sample_event_is_explained_as_recorded(#[files("../events/contain-identity/*.json")] file: PathBuf) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let guardrails = crate::read_guardrails(&root.join("infra/guardrails.toml")).expect("shipped guardrails");
        let rules = template::rules(&root.join("infra/template.yaml")).expect("the template's rules");
        let account = AccountId::parse("111122223333").expect("an account");
        let now = Timestamp::parse("2026-11-21T21:00:00Z").expect("a timestamp");
        let event = std::fs::read(&file).expect("the event");
        let explanation = explain(&event, &rules, &guardrails, Some(&account), now).expect("an explanation");
        let name = file.file_stem().expect("a file name").to_string_lossy().into_owned();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, text(&explanation));
        });
        // The machine's form says the same.
        let json = json!(explanation);
        assert_eq!(json["rules"], json!(explanation.rules));
        assert_eq!(json["findings"].as_array().map(Vec::len), Some(explanation.findings.len()));
    }

    #[rstest::rstest]
    fn a_dagger_marks_the_events_no_rule_takes(#[files("../events/contain-identity/*.json")] file: PathBuf) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let rules = template::rules(&root.join("infra/template.yaml")).expect("the template's rules");
        let taken = !template::matching(&rules, &std::fs::read(&file).expect("the event")).expect("a match").is_empty();
        let readme = std::fs::read_to_string(root.join("events/README.md")).expect("the readme");
        let name = format!("`{}`", file.file_stem().expect("a file name").to_string_lossy());
        let row = readme.lines().find(|line| line.starts_with("| `") && line.contains(&name)).expect("a row for the event");
        let marked = row.contains(&format!("{name} †"));
        assert_eq!(marked, !taken, "{row}");
    }
}
