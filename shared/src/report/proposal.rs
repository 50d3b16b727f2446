//! What a person is asked: what would be done, why it was not, whom it hits, what it costs, how to approve it, until
//! when.

use super::answer::TargetResult;
use crate::containment::Decision;
use crate::containment::proposal::Proposal;
use crate::finding::{Finding, Source};
use crate::guardrails::LockMode;
use crate::plan::Plan;
use crate::step::Step;
use crate::text::shell_word;

/// What the question is made of.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is proposed.
    pub proposal: &'a Proposal,
    /// The ARN of the function that carries it out.
    pub function: &'a str,
}

/// The sections of a proposal's message, each with its title.
pub(super) fn sections(
    question: Question<'_>,
    finding: &Finding,
    decision: &Decision,
    result: &TargetResult,
) -> Vec<(&'static str, Vec<String>)> {
    let nobody = || vec!["nobody else that could be told from here".to_owned()];
    vec![
        ("WHAT IS PROPOSED", proposed(&decision.plan)),
        ("WHY IT WAS NOT DONE", result.outcome.reason().map(str::to_owned).into_iter().collect()),
        ("WHOM IT WOULD HIT", if decision.blast_radius.is_empty() { nobody() } else { decision.blast_radius.clone() }),
        ("WHAT IT WOULD COST", costs(&decision.plan)),
        ("WHAT CONTAINING IT WOULD LEAVE OPEN", decision.residual_risk.clone()),
        ("HOW TO APPROVE", approve(question, finding, result)),
        (
            "UNTIL WHEN",
            vec![format!(
                "until {}. After that, and whenever the plan would no longer be this one, an approval changes nothing: you \
                 are told what changed, and asked again.",
                question.proposal.expires
            )],
        ),
    ]
}

/// The line that approves a proposal.
#[must_use]
pub fn approval_line(question: Question<'_>, result: &TargetResult) -> String {
    let payload = serde_json::json!({ "approve": { "case": result.case, "plan": question.proposal.plan } }).to_string();
    let region = question.function.split(':').nth(3).unwrap_or_default();
    format!(
        "aws lambda invoke --region {} --function-name {} --cli-binary-format raw-in-base64-out --payload {} /dev/stdout",
        shell_word(region),
        shell_word(question.function),
        shell_word(&payload)
    )
}

fn approve(question: Question<'_>, finding: &Finding, result: &TargetResult) -> Vec<String> {
    let ways = match finding.source {
        Source::Health => "Run:",
        _ => "Press Contain on this finding in Security Hub, or run:",
    };
    let what_then = "It is carried out if the detector confirms the finding and the guardrails can be read and do not forbid it, \
                     exactly as listed. Who approved is recorded as far as AWS tells the function; CloudTrail holds the rest.";
    vec![ways.to_owned(), approval_line(question, result), what_then.to_owned()]
}

fn proposed(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<_> = plan.steps().map(|step| format!("{:<31} {}", step.name(), step.on())).collect();
    if let Some(rung) = plan.fallback.first() {
        lines.push(format!("and where the deny does not fit, {} or what comes after it", rung.name()));
    }
    if lines.is_empty() {
        lines.push("nothing: everything that would be done is so already".to_owned());
    }
    lines
}

/// What stops that ought to go on, what cannot be put back as it was, and what is paid for. As far as a plan tells.
fn costs(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cost in plan.steps().filter_map(cost) {
        if !lines.contains(&cost) {
            lines.push(cost);
        }
    }
    if lines.is_empty() {
        lines.push("nothing that could be told from here".to_owned());
    }
    lines
}

fn cost(step: &Step) -> Option<String> {
    Some(match step {
        Step::DenyAll(step) => {
            format!("every program and person that uses user {} is refused until the case is undone", step.user)
        }
        Step::DenySession(step) => {
            format!("whoever works as session {} of role {} is refused, whoever that is", step.session, step.role)
        }
        Step::RevokeOlderSessions(step) => {
            format!("whoever holds a session of role {} by then is refused until it has a new one", step.role)
        }
        Step::DeactivateKey(step) => format!("what signs with {} needs a new key", step.key),
        Step::RemoveLoginProfile(step) => format!("the console password of {} is lost: it needs a new one", step.user),
        Step::DeactivateServiceCredential(step) => {
            format!("what uses {} with credential {} stops", step.service, step.credential)
        }
        Step::DeactivateSshKey(step) => format!("git over SSH with key {} stops", step.key),
        Step::DeactivateSigningCertificate(step) => format!("what signs with certificate {} stops", step.certificate),
        Step::IsolateInterface(_) => "everything the instance serves is cut off, and its way in for people too".to_owned(),
        Step::EnterStandby(step) => {
            format!("Auto Scaling group {} starts another instance in its place, which is paid for", step.auto_scaling_group)
        }
        Step::DetachFromAutoScaling(step) => {
            format!("Auto Scaling group {} starts another instance in its place, which is paid for", step.auto_scaling_group)
        }
        Step::DisassociateAddress(step) => format!("nobody reaches anything under {} meanwhile", step.public_ip),
        Step::RemovePublicAddress(step) => format!("the address {} is lost: undoing brings another one", step.public_ip),
        Step::SnapshotVolumes(step) => {
            let locked = match step.lock.mode {
                LockMode::None => String::new(),
                LockMode::Governance | LockMode::Compliance => format!(", locked for {} days", step.lock.days),
            };
            format!("a snapshot of each of its volumes ({}) is stored and paid for{locked}", step.volumes.len())
        }
        _ => return None,
    })
}
