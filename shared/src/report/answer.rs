//! What every function returns, and logs once at the edge (DESIGN §5.1).

use serde::{Deserialize, Serialize};

use super::timing::Timing;
use crate::case::CaseId;
use crate::containment::identity::Sign;
use crate::containment::{Decision, TargetRecord};
use crate::event::Ignored;
use crate::finding::{Finding, Source};
use crate::guardrails::Mode;
use crate::id::{AccountId, FindingId, Region};
use crate::outcome::{Outcome, Status, StepReport};

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The first finding of the event; most events carry one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finding: Option<FindingSummary>,
    /// What became of each target.
    pub results: Vec<TargetResult>,
    /// What was not acted on, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ignored: Vec<Ignored>,
}

/// A finding in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingSummary {
    /// Its canonical id.
    pub id: FindingId,
    /// Its type.
    #[serde(rename = "type")]
    pub finding_type: String,
    /// Its severity on GuardDuty's scale.
    pub severity: f64,
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
    /// The feed.
    pub source: Source,
}

impl From<&Finding> for FindingSummary {
    fn from(finding: &Finding) -> Self {
        Self {
            id: finding.id.clone(),
            finding_type: finding.finding_type.clone(),
            severity: finding.severity,
            account: finding.account.clone(),
            region: finding.region.clone(),
            source: finding.source,
        }
    }
}

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetResult {
    /// Its case.
    pub case: CaseId,
    /// The target.
    pub target: TargetRecord,
    /// The mode the guardrails, or a person's click, gave; absent where the facts decided before them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<Mode>,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What became of each step.
    pub steps: Vec<StepReport>,
    /// Milliseconds from the handler's first line to AWS's answer to the change that denies the attacker.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cut_off_ms: Option<u64>,
    /// Dependent AWS calls up to and including that change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cut_off_calls: Option<u32>,
    /// When it happened; absent where nothing was done in this delivery.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timing: Option<Timing>,
    /// What containment does not cover.
    pub residual_risk: Vec<String>,
    /// What is new on the principal since the finding's first sighting.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub persistence: Vec<Sign>,
    /// How to undo it.
    pub release: String,
    /// Whether the case stood already and nothing had to be done: people are not told again.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub repeat: bool,
    /// What else there is to say, to whoever asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remark: Option<String>,
}

impl TargetResult {
    /// Whether anything was changed on the target, whatever came of it: then there is something to undo.
    #[must_use]
    pub fn acted(&self) -> bool {
        self.outcome.acted() || self.steps.iter().any(|step| step.status == Status::Done)
    }

    /// A result in which no step was carried out.
    #[must_use]
    pub fn without_steps(case: CaseId, decision: &Decision, outcome: Outcome) -> Self {
        Self {
            release: if outcome.acted() { release_hint(&case) } else { "nothing to undo".to_owned() },
            case,
            target: decision.target.clone(),
            mode: decision.ruling.as_ref().map(|ruling| ruling.mode),
            outcome,
            steps: Vec::new(),
            cut_off_ms: None,
            cut_off_calls: None,
            timing: None,
            residual_risk: decision.residual_risk.clone(),
            persistence: decision.persistence.clone(),
            repeat: false,
            remark: None,
        }
    }
}

/// Where the undo lines are: the case holds them whole, since answers and messages print keys redacted.
#[must_use]
pub fn release_hint(case: &CaseId) -> String {
    format!("the `undo` lines of the case's last `acted` entry under cases/{case}/, from the first line down")
}
