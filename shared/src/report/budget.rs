//! The page that goes out once when a budget is used up.

use super::answer::TargetResult;
use super::message::{Message, NEXT, Notification};
use super::notification::short_name;
use crate::containment::budget::UsedUp;
use crate::finding::Finding;

/// How many cases are named one by one.
const MOST_NAMED: usize = 20;

/// What the page is made of.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The budget.
    pub used_up: &'a UsedUp,
    /// The finding that was the first past it.
    pub finding: &'a Finding,
    /// What became of that one.
    pub result: &'a TargetResult,
    /// The line that approves it.
    pub approve: Option<&'a str>,
    /// Where the hour's proposals are kept.
    pub place: &'a str,
    /// Whether an earlier try may have sent the same message already.
    pub may_be_repeated: bool,
}

/// The page.
#[must_use]
pub fn page(of: Page<'_>) -> Notification {
    let Page { used_up, finding, result, approve, place, may_be_repeated } = of;
    let name = short_name(&result.target);
    let mut message = Message::of_finding("BUDGET USED UP", &name, finding, &result.case);
    message.headline(format!("BUDGET USED UP: {}.", used_up.reason), may_be_repeated);
    message.section(
        "WHAT HAPPENS NOW",
        vec![
            "Nothing more that falls under it is contained by itself until there is room again: an hour after the first of those \
             counted, or as soon as instances come off standby. Everything else goes on as before."
                .to_owned(),
            "What would have been contained is planned, remembered and proposed. Of this hour's further proposals you are NOT told \
             one by one: they are in their cases, in the notes of their findings in Security Hub, in the log, and in the list below."
                .to_owned(),
            "What a person approves is contained at once. No budget binds it, though it counts.".to_owned(),
        ],
    );
    let mut contained: Vec<String> = used_up.cases.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if used_up.cases.len() > MOST_NAMED {
        contained.push(format!("and {} more", used_up.cases.len() - MOST_NAMED));
    }
    message.section(format!("CONTAINED IN THE LAST HOUR: {}", used_up.cases.len()), contained);
    let mut first = vec![
        format!("{} {}", result.target.kind.as_str().replace('_', " "), result.target.arn),
        format!("{}, severity {:.1}", finding.finding_type, finding.severity),
        format!("Account {}, Region {}", finding.account, finding.region),
        format!("Case {}", result.case),
    ];
    first.extend(approve.map(str::to_owned));
    message.section("THE FIRST THAT WAS NOT", first);
    message.section(
        "HOW TO SEE AND APPROVE THE REST",
        vec![
            "Each of this hour's proposals, with the line that approves it:".to_owned(),
            format!("aws s3 cp --recursive {place} ."),
            "Or choose the findings in Security Hub and press Contain.".to_owned(),
        ],
    );
    message.section(
        NEXT,
        vec![
            "See whether this is an attack or a detector gone wild. An attack: approve, or raise [budget] in the guardrails, which \
             holds from the next finding on. A detector: set mode = \"propose\", and undo what was contained."
                .to_owned(),
        ],
    );
    message.finish()
}
