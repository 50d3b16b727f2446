//! What a release returns, and tells people.

use serde::{Deserialize, Serialize};

use super::message::{Message, NEXT, Notification};
use super::notification::{LONGEST_NOTE, short_name};
use crate::case::{CaseId, Memory};
use crate::containment::TargetRecord;
use crate::containment::release::{Asked, Does, Picture, SHOWN_FOR, Turn};
use crate::event::Ignored;
use crate::outcome::Status;
use crate::plan::Plan;
use crate::step::Hold;
use crate::text::{printable, shell_word};
use crate::timestamp::Timestamp;

/// The answer to one event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReleaseAnswer {
    /// What became of each case.
    pub results: Vec<ReleaseResult>,
    /// What was not acted on, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ignored: Vec<Ignored>,
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleaseResult {
    /// The case.
    pub case: CaseId,
    /// Its target.
    pub target: TargetRecord,
    /// What became of the release.
    #[serde(flatten)]
    pub outcome: ReleaseOutcome,
    /// Its steps, newest first.
    pub steps: Vec<ReleasedStep>,
    /// What keeps the older sessions out.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub holds: Vec<Held>,
    /// What is new on the target since the containment.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub since: Vec<String>,
    /// What a person has to do next.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub next: Vec<String>,
    /// Whether this is the same request again: people are not told again.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub repeat: bool,
}

/// What became of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "release", content = "reason", rename_all = "snake_case")]
pub enum ReleaseOutcome {
    /// It was shown; nothing was changed.
    Shown,
    /// Everything is undone.
    Released,
    /// Something is not undone; what.
    PartlyReleased(String),
    /// Nothing was changed; why.
    Refused(String),
    /// There was nothing to release; why.
    Nothing(String),
    /// What kept the older sessions out is gone, its time being over.
    Lifted,
    /// What kept the older sessions out stays; why.
    NotLifted(String),
}

/// One step of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedStep {
    /// The step that is undone.
    pub step: String,
    /// What it is on; keys redacted.
    pub on: String,
    /// What is done with it.
    #[serde(flatten)]
    pub does: Does,
    /// What became of that, where it was carried out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub done: Option<Status>,
    /// The lines that do the same by hand; keys redacted.
    pub lines: Vec<String>,
}

/// What keeps older sessions out, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whom and what it is on.
    pub on: String,
    /// When it may go.
    pub until: Timestamp,
    /// Why nobody takes it away then; nothing where that is scheduled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_scheduled: Option<String>,
    /// The line that takes it away.
    pub line: String,
}

impl Held {
    /// As the release remembers it, and whether its end is scheduled.
    #[must_use]
    pub fn of(hold: &Hold, not_scheduled: Option<String>) -> Self {
        Self { on: hold.on(), until: hold.until, not_scheduled, line: hold.lift_command() }
    }
}

impl ReleaseOutcome {
    /// The outcome's word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Released => "released",
            Self::PartlyReleased(_) => "partly_released",
            Self::Refused(_) => "refused",
            Self::Nothing(_) => "nothing",
            Self::Lifted => "lifted",
            Self::NotLifted(_) => "not_lifted",
        }
    }

    /// The reason, where it has one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::PartlyReleased(reason) | Self::Refused(reason) | Self::Nothing(reason) | Self::NotLifted(reason) => {
                Some(reason)
            }
            Self::Shown | Self::Released | Self::Lifted => None,
        }
    }
}

impl ReleaseResult {
    /// A result of which nothing else is to be said.
    #[must_use]
    pub fn of(case: &CaseId, target: &TargetRecord, outcome: ReleaseOutcome) -> Self {
        Self {
            case: case.clone(),
            target: target.clone(),
            outcome,
            steps: Vec::new(),
            holds: Vec::new(),
            since: Vec::new(),
            next: Vec::new(),
            repeat: false,
        }
    }
}

/// The steps of a picture, as people are shown them. `plan` knows the keys that are redacted.
#[must_use]
pub fn shown_steps(picture: &Picture, plan: &Plan) -> Vec<ReleasedStep> {
    let step = |undoing: &crate::containment::release::Undoing| ReleasedStep {
        step: undoing.step.name().to_owned(),
        on: undoing.step.on(),
        does: undoing.does.clone(),
        done: None,
        lines: undoing.step.undo().commands.iter().map(|line| plan.redacted(line)).collect(),
    };
    picture.steps.iter().map(step).collect()
}

/// What a person can do after this showing.
#[must_use]
pub fn next_of_showing(case: &CaseId, picture: &Picture, asked: &Asked, turn: Turn) -> Vec<String> {
    let mut lines = Vec::new();
    if turn == Turn::ShowAgain {
        lines.push("It was shown before, but that is more than an hour ago, or something has changed since.".to_owned());
    }
    let mut order = format!("make release CASE={case}");
    let list = |values: &[String]| shell_word(&values.join(","));
    if !asked.force.is_empty() {
        order = format!("{order} FORCE={}", list(&asked.force));
    }
    if !asked.reactivate.is_empty() {
        let shown: Vec<String> = asked.reactivate.iter().map(|id| printable(id, 24)).collect();
        order = format!("{order} REACTIVATE={}", list(&shown));
    }
    lines.push(format!(
        "Nothing was changed. To carry it out, press Release again within {} minutes, or run once more: {order}",
        SHOWN_FOR.as_secs() / 60
    ));
    for (step, _) in picture.refusals() {
        lines.push(format!(
            "To undo it all the same: make release CASE={case} FORCE={}",
            shell_word(&format!("{} {}", step.name(), step.on()))
        ));
    }
    if picture.steps.iter().any(|undoing| matches!(&undoing.does, Does::Stay(reason) if reason.contains("by name"))) {
        lines.push(format!(
            "Keys stay inactive. One that never leaked comes back by name: make release CASE={case} REACTIVATE=<key id>"
        ));
    }
    lines
}

/// The notification.
#[must_use]
pub fn release_notification(memory: &Memory, result: &ReleaseResult, case_bucket: &str, may_be_repeated: bool) -> Notification {
    let finding = &memory.finding;
    let name = short_name(&result.target);
    let word = match &result.outcome {
        ReleaseOutcome::Shown => "RELEASE SHOWN".to_owned(),
        ReleaseOutcome::Refused(_) => "RELEASE REFUSED".to_owned(),
        ReleaseOutcome::Nothing(_) => "NOTHING TO RELEASE".to_owned(),
        other => other.as_str().to_uppercase().replace('_', " "),
    };
    let mut message = Message::of_finding(&word, &name, finding, &result.case);
    message.headline(release_headline(&result.outcome, &name), may_be_repeated);
    let was_shown = result.outcome == ReleaseOutcome::Shown;
    let steps = |wanted: &dyn Fn(&ReleasedStep) -> bool, detail: &dyn Fn(&ReleasedStep) -> String| {
        result
            .steps
            .iter()
            .filter(|step| wanted(step))
            .map(|step| format!("{:<31} {}{}", step.step, step.on, detail(step)))
            .collect()
    };
    let undoes = |step: &ReleasedStep| matches!(step.does, Does::Undo | Does::Force(_));
    let failed = |step: &ReleasedStep| step.done.as_ref().is_some_and(|done| !done.holds());
    let reason = |step: &ReleasedStep| match (&step.does, &step.done) {
        (Does::Force(reason), None | Some(Status::Done | Status::Already)) => format!(" (forced although {reason})"),
        (_, Some(Status::Failed(reason) | Status::Skipped(reason))) | (Does::Stay(reason) | Does::Refuse(reason), _) => {
            format!(" ({reason})")
        }
        _ => String::new(),
    };
    let title = if was_shown { "WHAT WOULD BE UNDONE, IN THIS ORDER" } else { "WHAT WAS UNDONE" };
    message.section(title, steps(&|step| undoes(step) && !failed(step), &reason));
    message.section("WHAT FAILED", steps(&failed, &reason));
    message.section(
        "WHAT IS NOT UNDONE, BECAUSE SOMEBODY CHANGED IT SINCE",
        steps(&|step| matches!(step.does, Does::Refuse(_)), &reason),
    );
    message.section("WHAT IS UNDONE ALREADY", steps(&|step| step.does == Does::Already, &reason));
    message.section("WHAT STAYS", steps(&|step| matches!(step.does, Does::Stay(_)), &reason));
    message.section("NEW SINCE THE CONTAINMENT", result.since.clone());
    let held = |held: &Held| {
        let end = match &held.not_scheduled {
            None => "then it is taken away".to_owned(),
            Some(reason) => format!("nobody takes it away then ({reason}); run: {}", held.line),
        };
        format!("{} until {}: sessions issued before the release stay denied; {end}", held.on, held.until)
    };
    message.section("WHAT KEEPS OLD SESSIONS OUT", result.holds.iter().map(held).collect());
    message.section(NEXT, result.next.clone());
    message.section("WHERE TO LOOK", vec![format!("Case: {} in s3://{case_bucket}/cases/{}/", result.case, result.case)]);
    message.finish()
}

/// The first line.
#[must_use]
pub fn release_headline(outcome: &ReleaseOutcome, name: &str) -> String {
    match outcome {
        ReleaseOutcome::Shown => format!("RELEASE SHOWN: {name}. Nothing was changed."),
        ReleaseOutcome::Released => format!("RELEASED: {name}. Read back after the change."),
        ReleaseOutcome::PartlyReleased(reason) => format!("PARTLY RELEASED: {name}. {reason}"),
        ReleaseOutcome::Refused(reason) => format!("RELEASE REFUSED: {name}. Nothing was changed: {reason}."),
        ReleaseOutcome::Nothing(reason) => format!("NOTHING TO RELEASE: {name}. {reason}"),
        ReleaseOutcome::Lifted => {
            format!("LIFTED: {name}. What kept its older sessions out is gone: the last of them has expired.")
        }
        ReleaseOutcome::NotLifted(reason) => format!("NOT LIFTED: {name}. What keeps its older sessions out stays: {reason}"),
    }
}

/// The note on the finding.
#[must_use]
pub fn release_note(result: &ReleaseResult) -> String {
    let reason = result.outcome.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let word = result.outcome.as_str().replace('_', " ");
    let text = format!("Tourniquet: release {word}{reason}. Target {}. Case {}.", short_name(&result.target), result.case);
    printable(&text, LONGEST_NOTE)
}
