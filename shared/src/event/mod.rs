//! Bytes in, findings out: every envelope Tourniquet may be handed, one file per source.
//!
//! `aws_lambda_events` does not serve here: its `EventBridgeEvent` makes every envelope field optional and it models
//! none of the findings (GuardDuty, Security Hub, OCSF, Access Analyzer, Macie, Health). Findings are also read from
//! exports and from the detectors' own APIs, where keys are spelt `resourceType` in one and `ResourceType` in the other and booleans may
//! be text; so they are read field by field, from JSON, by the fields that decisions need.
//!
//! Nothing here fails: what is not a finding to act on is *ignored*, with a reason.

mod access_analyzer;
mod approval;
mod asff;
mod cloudtrail;
mod created;
mod ebs;
mod envelope;
mod guardduty;
mod health;
mod instance;
mod issuer;
mod json;
mod macie;
mod ocsf;
mod principal;
mod sequence;

pub use approval::{Approve, Press, parse_approval, pressed};
pub use cloudtrail::{MfaEnabled, issuer_of, mfa_enabled_by};
pub use created::{CREATING, Created, CreatedOn, Suspect, created_by};
pub use ebs::{SnapshotEvent, SnapshotEventKind, SnapshotRef, parse_snapshot_event};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::finding::{Finding, Trigger};
use crate::text::printable;
use json::Json;

/// The largest event read, in bytes. Lambda's own limit for an asynchronous payload is 1 MB (CONTAINMENT D4).
pub const LARGEST_EVENT: usize = 1_048_576;

/// Who signs the notes Tourniquet writes on Security Hub findings; how it recognises its own updates (CONTAINMENT D5).
pub const UPDATED_BY: &str = "tourniquet";

/// What one finding of an event became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parsed {
    /// A finding to look into.
    Finding(Box<Finding>),
    /// Nothing to act on.
    Ignored(Ignored),
}

impl Parsed {
    fn ignored(reason: IgnoredReason, detail: impl Into<String>) -> Self {
        Self::Ignored(Ignored { reason, detail: printable(&detail.into(), 200) })
    }
}

/// Why an event, or one finding of it, is not acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    /// The reason, one word for alarms and counters.
    pub reason: IgnoredReason,
    /// What it was, for a person.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub detail: String,
}

/// The reasons for ignoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IgnoredReason {
    /// Not JSON, or nested deeper than any event.
    Malformed,
    /// Larger than [`LARGEST_EVENT`].
    TooLarge,
    /// JSON, but no envelope or finding this version knows.
    UnknownEnvelope,
    /// A known envelope without findings, such as Security Hub Insight Results.
    NoFindings,
    /// A field a finding must have is missing or has no valid form.
    IncompleteFinding,
    /// A field that an event about snapshots must have is missing or has no valid form.
    IncompleteEvent,
    /// Made by the detector's sample generator: anyone with that permission can make one (CONTAINMENT D1).
    SampleFinding,
    /// Archived at the detector, or its record is not active.
    ArchivedFinding,
    /// A person suppressed it.
    SuppressedFinding,
    /// A person or a product resolved it.
    ResolvedFinding,
    /// Already passed on to a person.
    NotifiedFinding,
    /// The echo of our own note (CONTAINMENT D5).
    OurOwnUpdate,
    /// A configuration check, which accuses nobody.
    PostureFinding,
    /// None of its targets is an identity.
    NotAnIdentity,
    /// None of its targets is an instance.
    NotAnInstance,
    /// The product that imported it is not on the guardrails' list (CONTAINMENT H1).
    ProductNotListed,
    /// Its detector has no such finding.
    NotAtSource,
    /// A custom action of Security Hub that is none of Tourniquet's, or one of another account or Region.
    NotOurButton,
    /// A button of Tourniquet's that another function answers.
    NotForThisFunction,
    /// There is no case to do this with.
    NoCase,
    /// An approval of a plan that is not the one proposed, in a case that is not open, or of another form.
    ApprovalRefused,
}

impl IgnoredReason {
    /// The reason as reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::UnknownEnvelope => "unknown_envelope",
            Self::NoFindings => "no_findings",
            Self::IncompleteFinding => "incomplete_finding",
            Self::IncompleteEvent => "incomplete_event",
            Self::SampleFinding => "sample_finding",
            Self::ArchivedFinding => "archived_finding",
            Self::SuppressedFinding => "suppressed_finding",
            Self::ResolvedFinding => "resolved_finding",
            Self::NotifiedFinding => "notified_finding",
            Self::OurOwnUpdate => "our_own_update",
            Self::PostureFinding => "posture_finding",
            Self::NotAnIdentity => "not_an_identity",
            Self::NotAnInstance => "not_an_instance",
            Self::ProductNotListed => "product_not_listed",
            Self::NotAtSource => "not_at_source",
            Self::NotOurButton => "not_our_button",
            Self::NotForThisFunction => "not_for_this_function",
            Self::NoCase => "no_case",
            Self::ApprovalRefused => "approval_refused",
        }
    }
}

/// Reads an event. Never fails and never panics: what is no finding is ignored, with the reason.
#[must_use]
pub fn parse(bytes: &[u8]) -> Vec<Parsed> {
    if bytes.len() > LARGEST_EVENT {
        return vec![Parsed::ignored(IgnoredReason::TooLarge, format!("{} bytes", bytes.len()))];
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => envelope::parse(&value),
        Err(error) => vec![Parsed::ignored(IgnoredReason::Malformed, error.to_string())],
    }
}

/// Reads one GuardDuty finding as `GetFindings` returns it, so that the finding at its source and the event's claim
/// pass through the same rules.
#[must_use]
pub fn parse_guardduty_finding(finding: &Value, trigger: &Trigger) -> Parsed {
    guardduty::parse(Json(finding), trigger)
}

/// Reads one finding as Security Hub's `GetFindings` returns it.
#[must_use]
pub fn parse_security_hub_finding(finding: &Value, trigger: &Trigger) -> Parsed {
    asff::parse(Json(finding), trigger)
}
