//! From a finding on: whatever it says, what is planned and told stays what it was meant to be.
//!
//! The finding is taken at its word: IAM knows the principal it names, under the id it gives, in the responder's own
//! account, and the guardrails contain everything. Nothing then stands between its fields and the plan.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tourniquet::case::CaseId;
use tourniquet::containment::identity::{
    AccessKey, Credential, MfaDevice, Observed, ObservedRole, ObservedUser, Principal, ServiceCredential, decide,
};
use tourniquet::containment::proposal::Proposal;
use tourniquet::containment::{AtSource, Decision, Responder, Verdict};
use tourniquet::finding::{Finding, Target};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{AccessKeyId, Arn, UniqueId};
use tourniquet::outcome::{Outcome, Status, StepReport};
use tourniquet::report::answer::{Answer, FindingSummary, TargetResult};
use tourniquet::report::notification::{LONGEST_NOTE, Told, note, notification, undo_lines};
use tourniquet::report::proposal::Question;
use tourniquet::step::{AttachDenyAll, DenyByBoundary, Entity, Step};
use tourniquet::timestamp::Timestamp;

use super::text::{is_printable, shell_words};

/// Guardrails under which every finding is contained.
pub const CONTAIN_EVERYTHING: &str =
    "version = 1\nmode = \"contain\"\ntrusted_products = [\"*\"]\n[default]\nmode = \"contain\"\n";

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:contain-identity";

/// More than any message needs; a finding must not be able to make one longer.
const LONGEST_MESSAGE: usize = 16_384;

/// What is left to the shell on purpose, in lines that undo: the moment of release, a password that nobody wrote down.
const FOR_THE_SHELL: [&str; 2] = [r#""$(date -u +%Y-%m-%dT%H:%M:%SZ)""#, r#""${NEW_PASSWORD:?}""#];

/// Decides about every target of `finding` as if AWS bore it out, and checks what is planned and told. Returns how many
/// steps were planned.
pub fn check(finding: &Finding) -> usize {
    static GUARDRAILS: LazyLock<Result<Guardrails, String>> =
        LazyLock::new(|| Guardrails::parse("guardrails.toml", CONTAIN_EVERYTHING).map_err(|error| error.to_string()));
    let mut planned = 0;
    for target in &finding.targets {
        for source in [AtSource::NotKept, AtSource::Confirmed(Box::new(finding.clone()))] {
            let observed = Observed { source, guardrails: GUARDRAILS.clone(), state: principal(finding, target) };
            let decision = decide(finding, target, &observed, &responder(finding), now());
            assert_eq!(decide(finding, target, &observed, &responder(finding), now()), decision, "decided twice, otherwise");
            planned += check_plan(&decision);
            check_told(finding, target, &decision);
            let stored: Decision = serde_json::from_value(serde_json::to_value(&decision).expect("JSON")).expect("a decision");
            assert_eq!(stored, decision);
        }
    }
    planned
}

/// The responder of the finding's own account.
pub fn responder(finding: &Finding) -> Responder {
    Responder {
        account: finding.account.clone(),
        partition: finding.partition(),
        own_roles: Vec::new(),
        deny_group: Some("TourniquetDenied".to_owned()),
        members: Vec::new(),
    }
}

/// The moment of every decision here.
pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T20:48:00Z").expect("a timestamp")
}

/// The principal as the finding describes it, with one of every credential.
pub fn principal(finding: &Finding, target: &Target) -> Principal {
    let arn = |resource: String| Arn::iam(finding.partition(), &finding.account, &resource);
    let id = |known: Option<&UniqueId>, other: &str| known.cloned().unwrap_or(UniqueId::parse(other).expect("a unique id"));
    match target {
        Target::User(user) => {
            let other = AccessKeyId::parse("AKIASVCBUILD2SECONDQ").expect("a key");
            let own = user.key.clone().filter(AccessKeyId::is_long_term);
            Principal::User(Box::new(ObservedUser {
                arn: arn(format!("user/{}", user.name)),
                name: user.name.clone(),
                unique_id: id(user.unique_id.as_ref(), "AIDASVCBUILDQ7EXAMPLE"),
                tags: BTreeMap::new(),
                created: Some(finding.first_seen),
                password_last_used: None,
                permissions_boundary: None,
                groups: Vec::new(),
                keys: own
                    .into_iter()
                    .chain([other])
                    .map(|id| AccessKey { id, active: true, created: None, last_used: None })
                    .collect(),
                login: Some((None, false)),
                service_credentials: vec![ServiceCredential {
                    id: "ACCABEDROCKQ7EXAMPLE".to_owned(),
                    service: "bedrock.amazonaws.com".to_owned(),
                    active: true,
                    created: Some(finding.first_seen),
                    expires: None,
                }],
                ssh_keys: vec![Credential { id: "APKASSHKEYQ77EXAMPLE".to_owned(), active: true, uploaded: None }],
                certificates: vec![Credential {
                    id: "CERTIFICATEQ7EXAMPLECERTIFICATEQ".to_owned(),
                    active: true,
                    uploaded: None,
                }],
                mfa_devices: vec![MfaDevice {
                    serial: arn(format!("mfa/{}", user.name)).to_string(),
                    enabled: Some(finding.first_seen),
                }],
                attached_policies: Vec::new(),
                deny: None,
                unread: Vec::new(),
            }))
        }
        Target::RoleSession(session) => Principal::Role(Box::new(ObservedRole {
            arn: arn(format!("role/{}", session.role)),
            name: session.role.clone(),
            unique_id: id(session.role_id.as_ref(), "AROADEVELOPERQEXAMPLE"),
            tags: BTreeMap::new(),
            created: Some(finding.first_seen),
            last_used: None,
            permissions_boundary: None,
            attached_policies: Vec::new(),
            trust_policy: r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
            instance_profiles: Vec::new(),
            revocation: None,
            session_deny: None,
            unread: Vec::new(),
        })),
        _ => Principal::NotLooked,
    }
}

fn check_plan(decision: &Decision) -> usize {
    for step in decision.plan.steps().chain(&decision.plan.fallback) {
        let line = step.command();
        let words = shell_words(&line).unwrap_or_else(|| unreachable!("a shell would interpret this: {line}"));
        assert_eq!(words[..2], ["aws", "iam"], "{line}");
        let named = |option: &str| value_of(&words, option);
        let (option, name) = owner(step);
        assert_eq!(named(option), Some(name), "{line}");
        if let Some(document) = named("--policy-document") {
            let document: Value = serde_json::from_str(document).expect("a policy is JSON");
            assert_eq!(document, expected_policy(step), "{line}");
        }
        assert!(is_printable(&line) && is_printable(&step.on()), "{line}");
    }
    // Undone with every rung taken, too.
    let mut plan = decision.plan.clone();
    for rung in &decision.plan.fallback {
        plan.take_rung(rung);
    }
    for line in plan.undo().iter().filter(|line| line.contains("aws iam")) {
        let line = line.trim_start_matches("# ").trim_start_matches("36 hours later: ");
        let line = FOR_THE_SHELL.iter().fold(line.to_owned(), |line, part| line.replacen(part, "", 1));
        for command in line.split(" && ") {
            assert!(shell_words(command).is_some_and(|words| words[..2] == ["aws", "iam"]), "{line}");
        }
    }
    assert!(undo_lines(&plan).iter().all(|line| is_printable(line)));
    decision.plan.steps().count()
}

/// What `aws` takes for the value of an option: the next word, unless that begins as another option does, or what
/// stands behind an equals sign.
fn value_of<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(option)? {
        "" => words.get(at + 1).map(String::as_str).filter(|value| !value.starts_with('-')),
        rest => rest.strip_prefix('='),
    })
}

/// Whom a step changes, and the option that says so.
fn owner(step: &Step) -> (&'static str, &str) {
    match step {
        Step::DenyAll(step) => ("--user-name", step.user.as_str()),
        Step::DeactivateKey(step) => ("--user-name", step.user.as_str()),
        Step::RemoveLoginProfile(step) => ("--user-name", step.user.as_str()),
        Step::DeactivateServiceCredential(step) => ("--user-name", step.user.as_str()),
        Step::DeactivateSshKey(step) => ("--user-name", step.user.as_str()),
        Step::DeactivateSigningCertificate(step) => ("--user-name", step.user.as_str()),
        Step::AttachQuarantineMarker(step) => ("--user-name", step.user.as_str()),
        Step::JoinDenyGroup(step) => ("--user-name", step.user.as_str()),
        Step::DeactivateMfaDevice(step) => ("--user-name", step.user.as_str()),
        Step::AttachDenyAll(AttachDenyAll { principal, .. }) | Step::DenyByBoundary(DenyByBoundary { principal, .. }) => {
            match principal {
                Entity::User(name) => ("--user-name", name.as_str()),
                Entity::Role(name) => ("--role-name", name.as_str()),
            }
        }
        Step::DenySession(step) => ("--role-name", step.role.as_str()),
        Step::RevokeOlderSessions(step) => ("--role-name", step.role.as_str()),
        Step::PrepareIsolationGroup(_)
        | Step::IsolateInterface(_)
        | Step::ProtectFromTermination(_)
        | Step::ProtectFromStop(_)
        | Step::StopOnShutdown(_)
        | Step::KeepVolume(_)
        | Step::ProtectFromScaleIn(_)
        | Step::EnterStandby(_)
        | Step::DetachFromAutoScaling(_)
        | Step::DeregisterTarget(_)
        | Step::DeregisterFromLoadBalancer(_)
        | Step::DisassociateAddress(_)
        | Step::RemovePublicAddress(_)
        | Step::LowerConnectionTimeout(_)
        | Step::UntrackConnections(_)
        | Step::SnapshotVolumes(_)
        | Step::LockSnapshot(_) => unreachable!("{} is no step on an identity", step.name()),
    }
}

/// The policy a step must write, put together by a JSON library: no field can have changed its shape.
fn expected_policy(step: &Step) -> Value {
    let deny = |sid: &str, condition: Value| {
        let mut statement = json!({ "Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*" });
        if !condition.is_null() {
            statement["Condition"] = condition;
        }
        statement
    };
    let statements = match step {
        Step::DenyAll(_) => vec![deny("IRDenyAll", Value::Null)],
        Step::DenySession(step) => {
            let user_id = format!("{}:{}", step.role_id, step.session);
            let by_user_id = deny("IRDenyByUserId", json!({ "StringEquals": { "aws:userid": user_id } }));
            let by_instance = step.instance.iter().map(|instance| {
                deny("IRDenyByInstanceArn", json!({ "ArnEquals": { "ec2:SourceInstanceARN": instance.as_str() } }))
            });
            std::iter::once(by_user_id).chain(by_instance).collect()
        }
        Step::RevokeOlderSessions(step) => {
            let condition = json!({ "DateLessThan": { "aws:TokenIssueTime": step.cutoff.to_policy_date() } });
            vec![json!({ "Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": condition })]
        }
        _ => unreachable!("{} writes no policy", step.name()),
    };
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn check_told(finding: &Finding, target: &Target, decision: &Decision) {
    let case = CaseId::of(finding, &decision.target.key(&finding.id));
    let outcome = match &decision.verdict {
        Verdict::CannotContain(reason) => Outcome::CannotContain(reason.as_str().to_owned()),
        Verdict::Skip(reason) => Outcome::Skipped(reason.clone()),
        Verdict::Ignore(ignored) => unreachable!("every product is trusted: {ignored:?}"),
        Verdict::Contain | Verdict::Propose(_) | Verdict::Observe => Outcome::Contained,
    };
    // Proposed as well: then the lines that would contain it are written out.
    for outcome in [outcome, Outcome::Proposed("the guardrails say propose".to_owned())] {
        let mut result = TargetResult::without_steps(case.clone(), decision, outcome);
        result.steps = decision.plan.steps().map(report).collect();
        let told = notification(Told {
            finding,
            target,
            decision,
            result: &result,
            plan: &decision.plan,
            case_bucket: "tourniquet-cases-111122223333",
            may_be_repeated: false,
            question: Some(Question { proposal: &Proposal::of(decision, Timestamp::now()), function: FUNCTION }),
        });
        assert!(told.subject.len() < 100 && told.subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", told.subject);
        assert!(told.text.lines().all(is_printable), "{}", told.text);
        assert!(told.text.len() <= LONGEST_MESSAGE, "{} bytes: {}", told.text.len(), told.text);
        let note = note(&result);
        assert!(is_printable(&note) && note.chars().count() <= LONGEST_NOTE, "{note}");
        let answer = Answer { finding: Some(FindingSummary::from(finding)), results: vec![result.clone()], ignored: Vec::new() };
        let line = serde_json::to_string(&answer).expect("JSON");
        assert!(is_printable(&line), "{line}");
        assert_eq!(serde_json::from_str::<Answer>(&line).expect("an answer"), answer);
        // A finding id or a name may look like a key and is told as it is; the key itself is told redacted.
        for key in keys(&principal(finding, target)) {
            let is_name_too = finding.id.as_str().contains(&key) || decision.target.arn.contains(&key);
            for told in [&told.subject, &told.text, &note, &line] {
                assert!(is_name_too || !told.contains(&key), "{told}");
            }
        }
    }
}

fn keys(principal: &Principal) -> Vec<String> {
    match principal {
        Principal::User(user) => user.keys.iter().map(|key| key.id.as_str().to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn report(step: &Step) -> StepReport {
    StepReport {
        step: step.name().to_owned(),
        on: step.on(),
        status: Status::Done,
        started_ms: 1,
        took_ms: 1,
        request_ids: Vec::new(),
    }
}
