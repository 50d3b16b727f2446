//! What became of a step, a target and an event: the words every report uses.

use serde::{Deserialize, Serialize};

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", content = "reason", rename_all = "snake_case")]
pub enum Status {
    /// Changed now.
    Done,
    /// It was so already.
    Already,
    /// Not changed: the reason names what AWS said.
    Failed(String),
    /// Not attempted.
    Skipped(String),
}

impl Status {
    /// Whether what the step wanted is now so.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self, Self::Done | Self::Already)
    }
}

/// One step's entry in a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step's name.
    pub step: String,
    /// What it changes; keys redacted.
    pub on: String,
    /// What became of it.
    #[serde(flatten)]
    pub status: Status,
    /// When it was started, in milliseconds from the handler's first line.
    pub started_ms: u64,
    /// How long AWS took to answer, in milliseconds.
    pub took_ms: u64,
    /// AWS's request ids of the writes, for CloudTrail.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub request_ids: Vec<String>,
}

/// What became of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// Everything planned holds, read back after the consistency window.
    Contained,
    /// Something planned does not hold; the steps say what.
    Partial(String),
    /// Somebody keeps undoing it.
    Contested(String),
    /// No change Tourniquet may make would contain it.
    CannotContain(String),
    /// Planned and remembered; a person decides.
    Proposed(String),
    /// Not touched on purpose.
    Skipped(String),
    /// What would happen was said, nothing was done.
    Observed,
}

impl Outcome {
    /// The outcome's word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::Partial(_) => "partial",
            Self::Contested(_) => "contested",
            Self::CannotContain(_) => "cannot_contain",
            Self::Proposed(_) => "proposed",
            Self::Skipped(_) => "skipped",
            Self::Observed => "observed",
        }
    }

    /// The reason, where the outcome has one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Partial(reason)
            | Self::Contested(reason)
            | Self::CannotContain(reason)
            | Self::Proposed(reason)
            | Self::Skipped(reason) => Some(reason),
            Self::Contained | Self::Observed => None,
        }
    }

    /// Whether the target was changed.
    #[must_use]
    pub fn acted(&self) -> bool {
        matches!(self, Self::Contained | Self::Partial(_) | Self::Contested(_))
    }
}
