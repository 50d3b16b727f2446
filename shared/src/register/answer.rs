//! What CloudFormation is told.

use serde_json::{Value, json};

use super::decide::Change;
use super::request::Request;
use crate::finding::Button;
use crate::id::{AccountId, Region};
use crate::text::printable;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything is as asked.
    Done,
    /// Security Hub is not enabled here: there are no buttons, and nothing that could press them. A stack is deployed, and
    /// removed, all the same.
    NoHub,
    /// Something is not as asked: why.
    Failed(String),
}

/// What came of a request: the calls that were made, those that were not, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What was called, and answered.
    pub done: Vec<Change>,
    /// What was to be called: the first of it failed, or nobody knows what became of it.
    pub left: Vec<Change>,
}

impl Outcome {
    /// A request that nothing was done about.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { ending: Ending::Failed(reason.into()), done: Vec::new(), left: Vec::new() }
    }

    /// What happened, in words for a person: why, what was done, what was not.
    #[must_use]
    pub fn reason(&self) -> String {
        let list = |changes: &[Change]| {
            let words: Vec<_> = changes.iter().map(|change| format!("{} {}", change.word(), change.button().name())).collect();
            if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
        };
        let text = match &self.ending {
            Ending::Done => format!("Done: {}", list(&self.done)),
            Ending::NoHub => NO_HUB.to_owned(),
            Ending::Failed(cause) => format!("{cause}. Done: {}. Not confirmed: {}", list(&self.done), list(&self.left)),
        };
        printable(&text, LONGEST_REASON)
    }
}

/// What the stack's output says of buttons that are not there.
const NO_HUB: &str = "none: Security Hub is not enabled in this account and Region";

/// The console shows one line.
const LONGEST_REASON: usize = 400;

/// The document that is put at the `ResponseURL` (CloudFormation User Guide, "Custom resource response objects").
///
/// The ARNs are in every answer: they follow from account and Region, and the rules are made of them.
#[must_use]
pub fn document(request: &Request, outcome: &Outcome, here: Option<(&AccountId, &Region)>) -> Value {
    let failed = matches!(outcome.ending, Ending::Failed(_));
    let mut data = json!({ "Buttons": if outcome.ending == Ending::NoHub { NO_HUB } else { "registered" } });
    if let Some((account, region)) = here {
        for button in Button::ALL {
            data[format!("{}Arn", button.name())] = button.action(account, region).into();
        }
    }
    json!({
        "Status": if failed { "FAILED" } else { "SUCCESS" },
        "Reason": outcome.reason(),
        "PhysicalResourceId": request.physical_id,
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
        "Data": if failed { json!({}) } else { data },
    })
}
