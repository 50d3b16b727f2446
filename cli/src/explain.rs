//! What would be done about an event, and why, without calling AWS.
//!
//! What AWS would say about the target is not known here, so it is taken to be what the finding claims: a principal of
//! that name with that unique id. The plan shown is the least that would be done; at run time every other credential
//! IAM lists is part of it. Of an instance only what the guardrails say is shown: its plan follows its interfaces, its
//! volumes and what it belongs to, which EC2 alone knows.

mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tourniquet::containment::identity::{AccessKey, Observed, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::containment::{AtSource, Decision, Responder, TargetRecord, mode, refused_click};
use tourniquet::event::{self, Ignored, Parsed, SnapshotEvent};
use tourniquet::finding::{Button, Finding, Source, Target, User};
use tourniquet::guardrails::{Guardrails, Ruling, Subject};
use tourniquet::id::{AccountId, Arn, PrincipalName, Region, UniqueId};
use tourniquet::timestamp::Timestamp;

use crate::template;

/// What the finding did not say, for a principal taken to exist.
const UNKNOWN_USER: &str = "AIDAUNKNOWNUNKNOWN000";
const UNKNOWN_ROLE: &str = "AROAUNKNOWNUNKNOWN000";

#[derive(Serialize)]
struct Explanation {
    rules: Vec<MatchingRule>,
    findings: Vec<ExplainedFinding>,
    ignored: Vec<Ignored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshots: Option<String>,
}

#[derive(Serialize)]
struct MatchingRule {
    name: String,
    functions: Vec<String>,
}

#[derive(Serialize)]
struct ExplainedFinding {
    finding: Finding,
    targets: Vec<ExplainedTarget>,
}

#[derive(Serialize)]
struct ExplainedTarget {
    /// The function whose target it is, and the rules that call that function for this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'static str>,
    called_by: Vec<String>,
    #[serde(flatten)]
    answer: TargetAnswer,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TargetAnswer {
    /// An identity: what would be decided.
    Decided { case_would_be: String, decision: Box<Decision> },
    /// An instance: what the guardrails say of it.
    Ruled { case_would_be: String, target: TargetRecord, profile: Option<Arn>, guardrails: GuardrailsSay },
    /// Something that no function contains.
    Nobodys { target: TargetRecord },
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum GuardrailsSay {
    /// How far they let it go.
    Ruling(Ruling),
    /// It is never touched: why.
    Protected(String),
    /// The product that imported the finding is not listed, so the finding is ignored.
    ProductNotListed(String),
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
    Ok(text::text(&explanation))
}

fn explain(
    event: &[u8],
    rules: &[template::Rule],
    guardrails: &Guardrails,
    account: Option<&AccountId>,
    now: Timestamp,
) -> Result<Explanation, String> {
    // What is no JSON reaches no rule. Account and Region of the rules are taken to be the event's unless the caller says
    // otherwise.
    let value = serde_json::from_slice::<serde_json::Value>(event).unwrap_or_default();
    let of_event = |field: &str| value.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
    let own = account.map_or_else(|| of_event("account"), AccountId::as_str);
    let matching = if value.is_null() { Vec::new() } else { template::matching(rules, event, own, of_event("region"))? };
    let here = AccountId::parse(own).ok().zip(Region::parse(of_event("region")).ok());
    let rule = |rule: &&template::Rule| MatchingRule { name: rule.name.clone(), functions: rule.functions.clone() };
    let mut explanation = Explanation {
        rules: matching.iter().map(rule).collect(),
        findings: Vec::new(),
        ignored: Vec::new(),
        snapshots: event::parse_snapshot_event(event).ok().as_ref().map(snapshots),
    };
    for parsed in event::parse(event) {
        let refused = match (&parsed, &here) {
            (Parsed::Finding(finding), Some((account, region))) => {
                refused_click(&finding.trigger, &[Button::Contain, Button::Propose], account, region)
            }
            _ => None,
        };
        match refused.map_or(parsed, Parsed::Ignored) {
            Parsed::Finding(finding) => {
                let explained = |target: &Target| {
                    let function = function_for(target);
                    let calls = |rule: &&MatchingRule| rule.functions.iter().any(|name| Some(name.as_str()) == function);
                    let called_by = explanation.rules.iter().filter(calls).map(|rule| rule.name.clone()).collect();
                    let answer = explain_target(&finding, target, guardrails, account, now);
                    ExplainedTarget { function, called_by, answer }
                };
                let targets = finding.targets.iter().map(explained).collect();
                explanation.findings.push(ExplainedFinding { finding: *finding, targets });
            }
            // An event about snapshots is no finding, and is not meant to be one.
            Parsed::Ignored(_) if explanation.snapshots.is_some() => {}
            Parsed::Ignored(ignored) => explanation.ignored.push(ignored),
        }
    }
    Ok(explanation)
}

/// The function that contains targets of this kind.
fn function_for(target: &Target) -> Option<&'static str> {
    if target.is_identity() {
        return Some("contain-identity");
    }
    target.is_instance().then_some("contain-instance")
}

fn snapshots(event: &SnapshotEvent) -> String {
    let ids: Vec<_> = event.snapshots.iter().map(|snapshot| snapshot.snapshot.to_string()).collect();
    let end = if event.succeeded { "succeeded" } else { "failed" };
    let cause = event.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{:?} {end}{cause} in account {}, {}: {}", event.kind, event.account, event.region, ids.join(", "))
}

fn explain_target(
    finding: &Finding,
    target: &Target,
    guardrails: &Guardrails,
    account: Option<&AccountId>,
    now: Timestamp,
) -> TargetAnswer {
    let case_of = |target: &TargetRecord| tourniquet::case::CaseId::of(finding, &target.key(&finding.id)).to_string();
    match target {
        Target::Instance(instance) => {
            let target = TargetRecord::accused(finding, target);
            TargetAnswer::Ruled {
                case_would_be: case_of(&target),
                guardrails: guardrails_say(finding, &target, guardrails),
                profile: instance.profile.clone(),
                target,
            }
        }
        Target::Resource { .. } => TargetAnswer::Nobodys { target: TargetRecord::accused(finding, target) },
        _ => {
            let decision = decide_identity(finding, target, guardrails, account, now);
            TargetAnswer::Decided { case_would_be: case_of(&decision.target), decision: Box::new(decision) }
        }
    }
}

/// What the guardrails say of an instance whose tags are not known here.
fn guardrails_say(finding: &Finding, target: &TargetRecord, guardrails: &Guardrails) -> GuardrailsSay {
    let arn = Arn::parse(&target.arn).ok();
    let (account, tags) = (&finding.account, &BTreeMap::new());
    let subject = Subject { kind: target.kind, account, arn: arn.as_ref(), unique_id: None, tags };
    if !guardrails.trusts(finding.product.as_deref()) {
        return GuardrailsSay::ProductNotListed(finding.product.clone().unwrap_or_default());
    }
    if let Some(protection) = guardrails.protection(subject) {
        return GuardrailsSay::Protected(protection.because.clone());
    }
    GuardrailsSay::Ruling(mode(guardrails, finding, subject))
}

fn decide_identity(
    finding: &Finding,
    accused: &Target,
    guardrails: &Guardrails,
    account: Option<&AccountId>,
    now: Timestamp,
) -> Decision {
    let target = &with_owner(accused);
    // The responder's account is not known either; it is taken to be the finding's unless the caller says otherwise.
    let responder = Responder {
        account: account.unwrap_or(&finding.account).clone(),
        partition: finding.partition(),
        own_roles: Vec::new(),
        deny_group: None,
        members: Vec::new(),
    };
    let observed = Observed { source: at_source(finding), guardrails: Ok(guardrails.clone()), state: claimed(finding, target) };
    decide(finding, target, &observed, &responder, now)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The function that a sample event is for, and the event's name.
    fn named(file: &Path) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.expect("a name").to_string_lossy().into_owned();
        (text(file.parent().and_then(Path::file_name)), text(file.file_stem()))
    }

    #[rstest::rstest]
    fn every_sample_event_is_explained_as_recorded(#[files("../events/*/*.json")] file: PathBuf) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let guardrails = crate::read_guardrails(&root.join("infra/guardrails.toml")).expect("shipped guardrails");
        let rules = template::rules(&root.join("infra/template.yaml")).expect("the template's rules");
        let account = AccountId::parse("111122223333").expect("an account");
        let now = Timestamp::parse("2026-11-21T21:00:00Z").expect("a timestamp");
        let event = std::fs::read(&file).expect("the event");
        let explanation = explain(&event, &rules, &guardrails, Some(&account), now).expect("an explanation");
        let (function, name) = named(&file);
        let folder = if function == "contain-identity" { "snapshots".to_owned() } else { format!("snapshots/{function}") };
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => folder }, {
            insta::assert_snapshot!(name, text::text(&explanation));
        });
        // The machine's form says the same.
        let json = json!(explanation);
        assert_eq!(json["rules"], json!(explanation.rules));
        assert_eq!(json["findings"].as_array().map(Vec::len), Some(explanation.findings.len()));
    }

    #[rstest::rstest]
    fn a_dagger_marks_the_events_no_rule_takes_to_their_function(#[files("../events/*/*.json")] file: PathBuf) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let rules = template::rules(&root.join("infra/template.yaml")).expect("the template's rules");
        let (function, name) = named(&file);
        let matching =
            template::matching(&rules, &std::fs::read(&file).expect("the event"), "111122223333", "eu-west-1").expect("a match");
        let taken = matching.iter().any(|rule| rule.functions.contains(&function));
        let readme = std::fs::read_to_string(root.join("events/README.md")).expect("the readme");
        let name = format!("`{name}`");
        let section = readme.split("\n## ").find(|section| section.starts_with(&format!("{function}\n"))).expect("a section");
        let row = section.lines().find(|line| line.starts_with("| `") && line.contains(&name)).expect("a row for the event");
        let marked = row.contains(&format!("{name} †"));
        assert_eq!(marked, !taken, "{row}");
    }
}
