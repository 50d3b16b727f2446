//! What every decision goes through, whatever the target: is the claim any ground, and how far may we go.

use super::{AtSource, Responder, Verdict};
use crate::event::{Ignored, IgnoredReason};
use crate::finding::{Button, Finding, Target, Trigger};
use crate::guardrails::{Guardrails, Mode, Ruling, Subject};
use crate::text::printable;

/// What the names of roles begin with through which an organization, its landing zone or its stack sets manage an account:
/// without them nobody gets in from outside to help. Never touched, whatever the guardrails say (CONTAINMENT H2).
const LANDING_ZONE_ROLES: [&str; 5] = [
    "OrganizationAccountAccessRole",
    "AWSControlTowerExecution",
    "AWSCloudFormationStackSetAdministrationRole",
    "AWSCloudFormationStackSetExecutionRole",
    "stacksets-exec-",
];

/// Why `subject` is never touched: Tourniquet's own, the way of an organization into the account, or protected by the
/// guardrails.
pub(super) fn untouchable(subject: Subject<'_>, responder: &Responder, guardrails: Option<&Guardrails>) -> Option<String> {
    if subject.arn.is_some_and(|arn| responder.is_own(arn)) {
        return Some("this is Tourniquet's own role: the responder never contains itself".to_owned());
    }
    if let Some(arn) = subject.arn
        && LANDING_ZONE_ROLES.iter().any(|role| arn.resource().rsplit('/').next().is_some_and(|name| name.starts_with(role)))
        && arn.resource().starts_with("role/")
    {
        return Some("protected: it is how the organization or its stack sets get into this account".to_owned());
    }
    let protection = guardrails?.protection(subject)?;
    Some(format!("protected: {}", printable(&protection.because, 120)))
}

/// Claims that are no ground for anything: gone at their source, or of a product nobody listed. `is_ours` says whether
/// what the detector names is the target.
pub(super) fn not_to_be_acted_on(
    finding: &Finding,
    source: &AtSource,
    guardrails: &Result<Guardrails, String>,
    is_ours: impl Fn(&Target) -> bool,
) -> Option<Verdict> {
    let ignore = |reason, detail: &str| Some(Verdict::Ignore(Ignored { reason, detail: printable(detail, 200) }));
    if *source == AtSource::Absent {
        return ignore(IgnoredReason::NotAtSource, &finding.finding_type);
    }
    if let Ok(guardrails) = guardrails
        && !guardrails.trusts(finding.product.as_deref())
    {
        return ignore(IgnoredReason::ProductNotListed, finding.product.as_deref().unwrap_or_default());
    }
    if let AtSource::Confirmed(source) = source
        && !(source.account == finding.account && source.targets.iter().any(is_ours))
    {
        return Some(Verdict::Skip(
            "the detector's own record of this finding names another target than the event does".to_owned(),
        ));
    }
    if let AtSource::Settled(reason) = source {
        // Somebody archived it between the event and now: a person hears of it, since that may be the attacker.
        return Some(Verdict::Skip(format!("since the event, at the detector: {}", printable(reason, 120))));
    }
    None
}

/// The guardrails' word, and what may lower it: no guardrails, or a finding its detector could not be asked about.
pub(super) fn go_how_far(
    finding: &Finding,
    subject: Subject<'_>,
    source: &AtSource,
    guardrails: &Result<Guardrails, String>,
) -> (Verdict, Option<Ruling>) {
    let guardrails = match guardrails {
        Ok(guardrails) => guardrails,
        Err(reason) => {
            return (Verdict::Propose(format!("the guardrails could not be read: {}", printable(reason, 200))), None);
        }
    };
    let ruling = mode(guardrails, finding, subject);
    let verdict = match (ruling.mode, source) {
        (Mode::Observe, _) => Verdict::Observe,
        (Mode::Propose, _) if finding.trigger.button() == Some(Button::Propose) => Verdict::Propose(ruling.rule.clone()),
        (Mode::Propose, _) => Verdict::Propose(format!("the guardrails say propose: {}", ruling.rule)),
        (Mode::Contain, AtSource::Unconfirmed { reason, .. }) => {
            Verdict::Propose(format!("the detector could not be asked whether the finding is real: {}", printable(reason, 200)))
        }
        (Mode::Contain, _) => Verdict::Contain,
    };
    (verdict, Some(ruling))
}

/// A rule decides for an event, a person for a click: Contain goes as far as the ceiling, Propose no further than to ask.
/// Any other button contains nothing.
#[must_use]
pub fn mode(guardrails: &Guardrails, finding: &Finding, subject: Subject<'_>) -> Ruling {
    let (asked, who, what) = match (&finding.trigger, finding.trigger.button()) {
        (Trigger::Event, _) => return guardrails.ruling(finding, subject),
        (Trigger::Approval { .. }, _) => (Mode::Contain, "a person approved the proposal", "the approval"),
        (_, Some(Button::Contain)) => (Mode::Contain, "a person pressed Contain", "the button"),
        (_, Some(Button::Propose)) => (Mode::Propose, "a person pressed Propose", "the button"),
        (_, Some(Button::Release) | None) => (Mode::Observe, "a person pressed a button that contains nothing", "the button"),
    };
    let ceiling = guardrails.ceiling();
    let rule = if asked > ceiling { format!("mode = \"{}\" caps {what}", ceiling.as_str()) } else { who.to_owned() };
    Ruling { mode: asked.min(ceiling), rule }
}
