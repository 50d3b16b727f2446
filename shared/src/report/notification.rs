//! The message a person reads at 2 a.m., and the note on the finding.

use super::answer::TargetResult;
use super::links::links;
use super::message::{Message, NEXT, Notification};
use super::proposal::{Question, sections};
use crate::containment::identity::{Sign, scp_lines};
use crate::containment::{CannotContain, Decision, TargetRecord, Verdict, isolation_lines};
use crate::finding::{Finding, Target};
use crate::id::AccessKeyId;
use crate::outcome::{Outcome, Status};
use crate::plan::Plan;
use crate::text::printable;

/// The longest note Security Hub takes, in characters (CONTAINMENT D5).
pub const LONGEST_NOTE: usize = 512;
/// Everything the message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The finding.
    pub finding: &'a Finding,
    /// The target it accuses.
    pub target: &'a Target,
    /// What was decided.
    pub decision: &'a Decision,
    /// What became of it.
    pub result: &'a TargetResult,
    /// Everything planned in the case so far: what there is to undo.
    pub plan: &'a Plan,
    /// Where the case is kept.
    pub case_bucket: &'a str,
    /// Whether an earlier try may have sent the same message already.
    pub may_be_repeated: bool,
    /// What people are asked, where they are.
    pub question: Option<Question<'a>>,
}

/// The notification of an outcome.
#[must_use]
pub fn notification(told: Told<'_>) -> Notification {
    let Told { finding, decision, result, .. } = told;
    let name = short_name(&result.target);
    let what = result.outcome.as_str().to_uppercase().replace('_', " ");
    let mut message = Message::of_finding(&what, &name, finding, &result.case);
    message.headline(headline(&result.outcome, &name), told.may_be_repeated);
    message.section("WHAT HAPPENED", happened(finding));
    message.section("WHO", who(told));
    message.section("WHAT WAS DONE", done(told));
    message.section("WHAT WAS NOT DONE", not_done(told));
    message.section("SINCE THE FIRST SIGHTING", result.persistence.iter().map(Sign::line).collect());
    // What a containment leaves open, and whom it hits, is of no matter where there is none.
    if result.acted() {
        message.section("WHAT REMAINS POSSIBLE", result.residual_risk.clone());
        message.section("WHO ELSE IS HIT", decision.blast_radius.clone());
    } else if let Some(question) = told.question.filter(|_| matches!(result.outcome, Outcome::Proposed(_))) {
        for (title, lines) in sections(question, finding, decision, result) {
            message.section(title, lines);
        }
    } else if !decision.plan.is_empty() {
        message.section("WHAT CONTAINING IT WOULD LEAVE OPEN", result.residual_risk.clone());
        message.section("WHOM IT WOULD HIT", decision.blast_radius.clone());
    }
    message.section(NEXT, next(told));
    if result.acted() {
        let mut undo: Vec<String> = undo_lines(told.plan);
        undo.insert(0, format!("newest step first; keys are written out in s3://{}/cases/{}/", told.case_bucket, result.case));
        message.section("HOW TO UNDO", undo);
    }
    let links = links(finding, told.target).into_iter().map(|(label, address)| format!("{label}: {address}"));
    let case = format!("Case: {} in s3://{}/cases/{}/", result.case, told.case_bucket, result.case);
    message.section("WHERE TO LOOK", std::iter::once(case).chain(links).collect());
    message.finish()
}

fn happened(finding: &Finding) -> Vec<String> {
    let mut lines = vec![format!("{}, severity {:.1}", finding.finding_type, finding.severity)];
    lines.extend(Some(finding.title.clone()).filter(|title| !title.is_empty()));
    lines.extend([
        format!("Account {}, Region {}", finding.account, finding.region),
        format!("First seen {}, last seen {}", finding.first_seen, finding.last_seen),
        format!("Finding {}", finding.id),
    ]);
    lines
}

fn who(told: Told<'_>) -> Vec<String> {
    let target = &told.result.target;
    let mut lines = vec![format!("{} {}", target.kind.as_str().replace('_', " "), target.arn)];
    lines.extend(target.id.as_ref().map(|id| format!("Unique id {id}")));
    lines.extend(key(told.target).map(|key| format!("Access key {key}")));
    lines.extend(
        told.decision.ruling.as_ref().map(|ruling| format!("Guardrails: {} by rule {}", ruling.mode.as_str(), ruling.rule)),
    );
    lines
}

/// The note on the finding: at most [`LONGEST_NOTE`] characters.
#[must_use]
pub fn note(result: &TargetResult) -> String {
    let reason = result.outcome.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let held = result.steps.iter().filter(|step| step.status.holds()).count();
    let steps = if result.steps.is_empty() { String::new() } else { format!(", {held} of {} steps hold", result.steps.len()) };
    let text = format!(
        "Tourniquet: {}{reason}. Target {}. Case {}{steps}. {}",
        result.outcome.as_str(),
        short_name(&result.target),
        result.case,
        result
            .residual_risk
            .first()
            .filter(|_| result.acted())
            .map(|risk| format!("Remains possible: {risk}"))
            .unwrap_or_default(),
    );
    printable(text.trim_end(), LONGEST_NOTE)
}

/// The lines that undo a plan, with its keys redacted: messages travel further than the case.
#[must_use]
pub fn undo_lines(plan: &Plan) -> Vec<String> {
    plan.undo().into_iter().map(|line| plan.redacted(&line)).collect()
}

/// The first line: what happened, and to whom.
pub(super) fn headline(outcome: &Outcome, name: &str) -> String {
    match outcome {
        Outcome::Contained => format!("CONTAINED: {name}. Read back after the change: it holds."),
        Outcome::Partial(reason) => format!("NOT FULLY CONTAINED: {name}. {reason}"),
        Outcome::Contested(reason) => format!("CONTESTED: {name}. Somebody keeps undoing the containment. {reason}"),
        Outcome::CannotContain(reason) => {
            format!("NOT CONTAINED: {name} cannot be contained from here ({reason}). A person must act.")
        }
        Outcome::Proposed(reason) => format!("PROPOSED: {name} was not touched. {reason}"),
        Outcome::Skipped(reason) => format!("NOT TOUCHED: {name}. {reason}"),
        Outcome::Observed => format!("OBSERVED: {name} was not touched; the guardrails only observe this finding."),
    }
}

fn done(told: Told<'_>) -> Vec<String> {
    let result = told.result;
    let mut lines: Vec<String> = Vec::new();
    for step in result.steps.iter().filter(|step| step.status.holds()) {
        let word = if step.status == Status::Done { "done" } else { "already so" };
        lines.push(format!("{:<31} {} ({word} at {} ms)", step.step, step.on, step.started_ms + step.took_ms));
    }
    if let Some(milliseconds) = result.cut_off_ms {
        let calls = result.cut_off_calls.map(|calls| format!(", in {calls} dependent calls")).unwrap_or_default();
        lines.push(if told.plan.cut.is_empty() {
            format!("EC2 accepted the isolation {milliseconds} ms after this function was called{calls}.")
        } else {
            format!("IAM accepted the deny {milliseconds} ms after this function was called{calls}, and takes seconds to carry it everywhere.")
        });
    }
    if lines.is_empty() {
        lines.push("nothing was changed".to_owned());
    }
    lines
}

fn not_done(told: Told<'_>) -> Vec<String> {
    let reason = |status: &Status| match status {
        Status::Failed(reason) => Some(format!("failed: {reason}")),
        Status::Skipped(reason) => Some(format!("skipped: {reason}")),
        Status::Done | Status::Already => None,
    };
    let steps =
        told.result.steps.iter().filter_map(|step| Some(format!("{:<31} {} ({})", step.step, step.on, reason(&step.status)?)));
    let unread = told.decision.unread.iter().map(|what| format!("could not be read, so not contained: {what}"));
    steps.chain(unread).collect()
}

/// What a person has to do, keys redacted.
#[must_use]
pub fn next(told: Told<'_>) -> Vec<String> {
    let mut lines = told.decision.next_steps.clone();
    if matches!(told.result.outcome, Outcome::Proposed(_) | Outcome::Observed) {
        lines.push(format!(
            "To contain it by hand, run what would have been done (keys are written out under `commands` in s3://{}/cases/{}/):",
            told.case_bucket, told.result.case
        ));
        lines.extend(told.decision.plan.steps().map(|step| told.decision.plan.redacted(&step.command())));
        if !told.decision.plan.fallback.is_empty() {
            lines.push("If the deny does not fit (LimitExceeded), the first of these that does, without its #:".to_owned());
            lines.extend(told.decision.plan.fallback.iter().map(|rung| format!("# {}", rung.command())));
        }
    }
    if let Outcome::CannotContain(reason) = &told.result.outcome
        && reason == CannotContain::QuotaFull.as_str()
    {
        let next_step = CannotContain::QuotaFull.next_step();
        if !lines.iter().any(|line| line == next_step) {
            lines.push(next_step.to_owned());
        }
        lines.extend(scp_lines(&told.decision.plan, &told.result.target));
    }
    if told.decision.verdict == Verdict::CannotContain(CannotContain::Root) {
        lines.extend(scp_lines(&told.decision.plan, &told.result.target));
    }
    if matches!(told.result.outcome, Outcome::Contested(_)) && told.target.is_instance() {
        lines.push(
            "Find in CloudTrail who changes its interfaces or the isolation group (ModifyNetworkInterfaceAttribute, \
             AuthorizeSecurityGroupIngress) and contain that principal. Until then attach an SCP from the management account that \
             leaves them to one role, and isolate the instance with that role; nothing inside the account holds against another \
             administrator in the attacker's hands. Detach it before the case is released."
                .to_owned(),
        );
        lines.extend(isolation_lines(told.plan, &told.result.target));
    } else if matches!(told.result.outcome, Outcome::Contested(_)) {
        lines.push(
            "Attach an SCP that denies this principal from the management account: nothing inside the account holds against \
             another administrator in the attacker's hands. Then find that administrator in CloudTrail."
                .to_owned(),
        );
        lines.extend(scp_lines(told.plan, &told.result.target));
    }
    if told.result.steps.iter().any(|step| !step.status.holds()) {
        lines.push("Do the failed steps by hand; their `aws` lines are in the case.".to_owned());
    }
    if matches!(told.decision.verdict, Verdict::Contain) {
        lines.push(if told.target.is_instance() {
            "Find out how the instance was entered before anything is released.".to_owned()
        } else {
            "Find out how the credentials leaked before anything is released.".to_owned()
        });
    }
    lines
}

/// The key the finding names; prints redacted.
fn key(target: &Target) -> Option<&AccessKeyId> {
    match target {
        Target::User(user) => user.key.as_ref(),
        Target::RoleSession(session) => session.key.as_ref(),
        Target::AccessKey { key } => Some(key),
        Target::Root { key } => key.as_ref(),
        Target::Elsewhere(_) | Target::Instance(_) | Target::Resource { .. } => None,
    }
}

/// `user/svc-build` of an ARN, with the session where the target is one; a label as it is.
pub(super) fn short_name(target: &TargetRecord) -> String {
    let name = crate::id::Arn::parse(&target.arn).map_or_else(|_| target.arn.clone(), |arn| arn.resource().to_owned());
    let session = target.id.as_deref().and_then(|id| id.split_once(':')).map(|(_, session)| format!(" session {session}"));
    printable(&format!("{name}{}", session.unwrap_or_default()), 120)
}
