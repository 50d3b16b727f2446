//! What `recheck` answers, and what it tells people.

use serde::{Deserialize, Serialize};

use super::message::{Message, NEXT, Notification};
use super::notification::short_name;
use crate::case::{CaseId, RecheckRecord};
use crate::containment::TargetRecord;
use crate::containment::identity::line_to_contain;
use crate::finding::Finding;
use crate::text::printable;

/// The answer to one invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecheckAnswer {
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recheck: Option<RecheckResult>,
    /// Why there was nothing to look at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nothing: Option<NothingToRecheck>,
}

/// Why there was nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NothingToRecheck {
    /// In one word.
    pub reason: String,
    /// In more.
    pub detail: String,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecheckResult {
    /// The case.
    pub case: CaseId,
    /// The key of its target.
    pub target: String,
    /// Which look this was.
    pub round: u8,
    /// Whether everything was read and holds.
    pub holds: bool,
    /// What does not.
    pub missing: Vec<String>,
    /// Why there is nothing left that could hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gone: Option<String>,
    /// What the contained principal created, as far as it was not known; keys redacted.
    pub created: Vec<String>,
    /// What could not be read.
    pub unread: Vec<String>,
    /// Of which calls CloudTrail held more records than were read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more: Vec<String>,
    /// Whether the case was handed back.
    pub handed_back: bool,
    /// Why it was not, though it does not hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left: Option<String>,
    /// Whether another delivery had looked already.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub repeat: bool,
}

impl RecheckAnswer {
    /// A look.
    #[must_use]
    pub fn of(result: RecheckResult) -> Self {
        Self { recheck: Some(result), nothing: None }
    }

    /// No look.
    #[must_use]
    pub fn nothing(reason: &str, detail: &str) -> Self {
        Self { recheck: None, nothing: Some(NothingToRecheck { reason: reason.to_owned(), detail: printable(detail, 200) }) }
    }
}

/// Everything the message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Rechecked<'a> {
    /// The case.
    pub case: &'a CaseId,
    /// The finding it was contained for.
    pub finding: &'a Finding,
    /// The target.
    pub target: &'a TargetRecord,
    /// What was found.
    pub record: &'a RecheckRecord,
    /// Why the case could not be handed back.
    pub refused: Option<&'a str>,
    /// Where the case is kept.
    pub case_bucket: &'a str,
    /// Whether an earlier try may have sent the same message already.
    pub may_be_repeated: bool,
}

/// The message about a look that found something people do not know.
#[must_use]
pub fn recheck_notification(told: Rechecked<'_>) -> Notification {
    let Rechecked { case, finding, target, record, .. } = told;
    let name = short_name(target);
    let mut message = Message::of_finding("RECHECK", &name, finding, case);
    message.headline(format!("RECHECK: {name}. {}", headline(told)), told.may_be_repeated);
    message
        .section("WHAT DOES NOT HOLD", record.missing.steps().map(|step| format!("{} on {}", step.name(), step.on())).collect());
    message.section("WHAT IS GONE", record.gone.iter().cloned().collect());
    message.section(
        "WHAT IT CREATED SINCE THE FIRST SIGHTING",
        record.created.iter().map(|one| format!("{} at {}", one.label(), one.at)).collect(),
    );
    message.section("WHAT COULD NOT BE READ", record.unread.clone());
    let older = (!record.more.is_empty())
        .then(|| format!("what it created by calls of which CloudTrail holds too many records: {}", record.more.join(", ")));
    message.section("WHAT WAS NOT READ TO THE END", older.into_iter().collect());
    let mut next: Vec<String> = record.created.iter().map(|one| line_to_contain(one, finding.partition())).collect();
    if !next.is_empty() {
        next.insert(0, format!("Nothing of it was contained by itself. If it is the attacker's, in account {} (keys are written out in the case):", finding.account));
    }
    if told.refused.is_some() || record.left.is_some() {
        next.push("Contain it by hand: the lines are in the case. Then find out in CloudTrail who undoes it.".to_owned());
    }
    message.section(NEXT, next);
    message.section("WHERE TO LOOK", vec![format!("Case: {case} in s3://{}/cases/{case}/", told.case_bucket)]);
    message.finish()
}

fn headline(told: Rechecked<'_>) -> String {
    let record = told.record;
    if let Some(reason) = told.refused {
        return format!("IT DOES NOT HOLD, and could not be handed back to be contained again: {reason}");
    }
    match (&record.left, &record.gone) {
        (Some(left), _) => format!("IT DOES NOT HOLD, and was not handed back to be contained again: {left}"),
        (None, Some(_)) => "There is nothing left that the containment could hold.".to_owned(),
        _ if record.handed_back => "It does not hold and was handed back to be contained again.".to_owned(),
        _ if !record.unread.is_empty() => "Whether it holds could not be seen in full.".to_owned(),
        _ => "It holds. The contained principal left something behind.".to_owned(),
    }
}
