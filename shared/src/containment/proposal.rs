//! A proposal: a plan that waits for a person, until when, and whether what an approval means is still so. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Decision;
use crate::id::AccountId;
use crate::plan::Plan;
use crate::step::Step;
use crate::text::{printable, sha256};
use crate::timestamp::Timestamp;

/// How long a proposal can be approved. What was known of the target a day ago is no ground for a change any more.
pub const PROPOSAL_HOLDS: Duration = Duration::from_hours(24);

/// How many hex digits of a plan's digest name it.
const DIGITS: usize = 32;

/// A plan that waits for a person's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The digest that names the plan ([`digest`]): what an approval by invocation has to give.
    pub plan: String,
    /// Until when it can be approved.
    pub expires: Timestamp,
}

impl Proposal {
    /// The proposal of `decision`, made at `now`.
    #[must_use]
    pub fn of(decision: &Decision, now: Timestamp) -> Self {
        Self { plan: digest(decision), expires: now.plus(PROPOSAL_HOLDS) }
    }
}

/// A person's word, as far as AWS passes it on: what the ledger holds of who approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who, as far as AWS tells.
    #[serde(flatten)]
    pub by: Approver,
    /// The digest of the plan that was approved. Absent where a person asked for containment and nothing had been
    /// proposed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<String>,
    /// What AWS does not tell.
    pub not_told: String,
}

/// Who asked, as far as AWS tells. A claim, like all else in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Approver {
    /// Somebody who pressed a button in Security Hub.
    Button {
        /// The id of EventBridge's event: the same in every delivery of one press.
        event: String,
        /// The account the button was pressed in.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        account: Option<AccountId>,
        /// When.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        at: Option<Timestamp>,
        /// The ARN of the custom action.
        action: String,
    },
    /// Somebody who may invoke the function.
    Invocation {
        /// Lambda's request id.
        request: String,
    },
}

impl Approver {
    /// What makes two deliveries one person's one act: a press is delivered at least once, and tried again.
    #[must_use]
    pub fn act(&self) -> &str {
        match self {
            Self::Button { event, .. } => event,
            Self::Invocation { request } => request,
        }
    }

    /// What AWS does not tell of them, and where to look.
    #[must_use]
    pub fn not_told(&self) -> &'static str {
        match self {
            Self::Button { .. } => {
                "Security Hub's event does not name the person who pressed the button; whoever has \
                 securityhub:SendFindingEvents in that account can"
            }
            Self::Invocation { .. } => {
                "Lambda does not name the caller to the function: CloudTrail does, under this request id, if data events of \
                 the function are logged; else it is anyone with lambda:InvokeFunction on it"
            }
        }
    }

    /// The record of an approval of `proposal`.
    #[must_use]
    pub fn approves(self, proposal: Option<&Proposal>) -> Approval {
        let not_told = self.not_told().to_owned();
        Approval { by: self, plan: proposal.map(|proposal| proposal.plan.clone()), not_told }
    }
}

/// What a proposal is worth when it is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The plan is still the one that was proposed.
    Holds,
    /// It has to be asked for again; why.
    AskAgain(String),
}

/// Whether the plan decided on now is the one that `proposal` asked about.
///
/// Two plans are the same if they make the same changes and hit the same. What only time changes (the cut-off of a
/// revocation, the case a snapshot is filed under) and what a change replaces are taken as they are now.
#[must_use]
pub fn standing(proposal: &Proposal, proposed: &Decision, decided: &Decision, now: Timestamp) -> Standing {
    let changed = changes(proposed, decided);
    if proposal.expires <= now {
        let changed = if changed.is_empty() { String::new() } else { format!(", and the world has changed: {changed}") };
        return Standing::AskAgain(format!("the proposal could be approved until {}{changed}", proposal.expires));
    }
    if changed.is_empty() {
        return Standing::Holds;
    }
    Standing::AskAgain(format!("the world has changed since it was proposed: {changed}"))
}

/// The digest that names a plan: the same for the same changes on the same target, whenever it was made and whatever
/// finding asks for it.
#[must_use]
pub fn digest(decision: &Decision) -> String {
    let mut changes = essentials(&decision.plan);
    changes.push(format!("{} {}", decision.target.arn, decision.target.id.as_deref().unwrap_or_default()));
    let mut digest = sha256(changes.join("\n").as_bytes());
    digest.truncate(DIGITS);
    digest
}

/// In words: the steps that came, those that went, and who else would be hit. Empty where nothing changed.
fn changes(proposed: &Decision, decided: &Decision) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (all(&proposed.plan).collect(), all(&decided.plan).collect());
    let lacks = |list: &[&Step], step: &Step| !list.iter().any(|known| essence(known) == essence(step));
    let came = after.iter().filter(|step| lacks(&before, step)).map(|step| words(step)).collect::<Vec<_>>();
    // What cannot be seen now has not gone.
    let blind = decided.unread.iter().any(|what| !proposed.unread.contains(what));
    let went = before.iter().filter(|step| !blind && lacks(&after, step)).map(|step| words(step)).collect::<Vec<_>>();
    let known: Vec<_> = proposed.blast_radius.iter().map(|line| timeless(line)).collect();
    let hit = decided.blast_radius.iter().filter(|line| !known.contains(&timeless(line))).cloned().collect::<Vec<_>>();
    let part = |what: &str, list: &[String]| (!list.is_empty()).then(|| format!("{what}: {}", list.join(", ")));
    let parts = [part("new in the plan", &came), part("no longer in the plan", &went), part("now hit as well", &hit)];
    printable(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "), LONGEST)
}

/// The longest account of what changed.
const LONGEST: usize = 1000;

fn words(step: &Step) -> String {
    format!("{} on {}", step.name(), step.on())
}

/// Every step a plan may carry out, the rungs too.
fn all(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.steps().chain(&plan.fallback)
}

fn essentials(plan: &Plan) -> Vec<String> {
    let mut changes: Vec<_> = all(plan).map(essence).collect();
    changes.sort();
    changes
}

/// What a step changes, without what only time changes, what it replaces, and what carrying it out finds out. Whatever
/// else a step holds counts.
fn essence(step: &Step) -> String {
    const OF_THE_MOMENT: [&str; 13] = [
        "cutoff",
        "origin",
        "original",
        "old",
        "before",
        "created",
        "reset_required",
        "policy",
        "group",
        "open_group",
        "unrecorded",
        "snapshots",
        "enabled",
    ];
    let mut value = serde_json::to_value(step).unwrap_or_default();
    // The group that denies everything is where a rung leads to; every other group is one of ours, found or made.
    let keeps_group = matches!(step, Step::JoinDenyGroup(_));
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()) || (keeps_group && name == "group"));
    }
    value.to_string()
}

/// A line without its dates.
fn timeless(line: &str) -> String {
    let is_date = |word: &&str| Timestamp::parse(word.trim_end_matches([',', ';', ')'])).is_ok();
    line.split(' ').filter(|word| !is_date(word)).collect::<Vec<_>>().join(" ")
}
