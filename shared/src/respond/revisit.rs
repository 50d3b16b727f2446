//! A contained target, accused again.

use std::time::Duration;

use super::conclude::Active;
use super::walk::{Decided, names, wanted};
use super::{Delivery, Kind};
use crate::aws::{Fault, FaultClass};
use crate::case::store::Etag;
use crate::case::{Memory, OpenCase};
use crate::containment::{CannotContain, Verdict};
use crate::error::Retry;
use crate::finding::Finding;
use crate::outcome::Outcome;
use crate::report::answer::TargetResult;
use crate::timestamp::Timestamp;

/// What GuardDuty may be late by: what it saw before the cut, and writes down after it.
const GRACE: Duration = Duration::from_mins(5);

/// How much later activity has to be for people to be told of it again. Refused calls count as activity too, and an
/// attacker goes on trying.
const TOLD_AGAIN_AFTER: Duration = Duration::from_hours(1);

/// How often a containment that was undone is asserted again before it counts as contested for good.
const MOST_REASSERTIONS: u32 = 3;

/// What there is to say of a containment that holds, and of a finding known to it whose activity GuardDuty saw after the
/// cut: perhaps it is bypassed (CONTAINMENT D1). Nothing where people know.
pub(super) fn active_since(finding: &Finding, case: &OpenCase, now: Timestamp) -> Option<Outcome> {
    let (seen, cut) = (finding.last_seen, case.cut_at());
    let is_claim = finding.at_guardduty().is_none() || seen > now.plus(GRACE);
    let is_told = case.active_at.is_some_and(|told| seen <= told.plus(TOLD_AGAIN_AFTER));
    if is_claim || is_told || seen <= cut.plus(GRACE) || matches!(case.outcome, Some(Outcome::Contested(_))) {
        return None;
    }
    Some(Outcome::Partial(format!(
        "activity was seen at {seen}, after the cut at {cut}, though what was done holds: GuardDuty also counts refused calls, so \
         look in CloudTrail whether calls succeed"
    )))
}

impl<K: Kind> Delivery<'_, K> {
    /// A contained target, accused again: the same finding, its copy, an update of it, or another one. It is
    /// contained already, unless somebody undid it, or the finding asks for more than was done.
    pub(super) async fn revisit(
        &self,
        mut decided: Decided<K>,
        case: OpenCase,
        etag: Etag,
        before: &Memory,
    ) -> Result<TargetResult, Retry> {
        if matches!(
            decided.decision().verdict,
            Verdict::CannotContain(
                CannotContain::NoSuchPrincipal
                    | CannotContain::UniqueIdMismatch
                    | CannotContain::NoSuchInstance
                    | CannotContain::Terminated
            )
        ) {
            // Deleted or re-created since: there is nothing left that this case could hold down.
            return Box::pin(self.repeat(decided, case, etag)).await;
        }
        let is_new = !case.findings.contains(&decided.finding().id);
        let mut missing = self.missing(&decided, &wanted(&decided, &case), &decided.state);
        if let Some(reason) = K::unreachable(&decided.state) {
            let reason = format!("nobody can look whether it holds: its account cannot be entered any more ({reason})");
            return Box::pin(self.settle_as(decided, case, etag, Outcome::Partial(reason), Active::Before)).await;
        }
        let contained = case.outcome == Some(Outcome::Contained);
        if !missing.is_empty() || (contained && !K::unread(&decided.state).is_empty()) {
            // Read before the case was, it may be from before the cut: look again before anything is called undone.
            let seen = K::look(&decided, &case.plan).await?;
            let blind = |message: String| {
                let fault = Fault { code: "Unreadable".to_owned(), message, class: FaultClass::Retryable };
                Retry::before_any_change("looking whether the containment holds", case.case.to_string(), &fault)
            };
            if let Some(changed) = K::became_another(&decided.state, &seen.state) {
                return Err(blind(changed));
            }
            decided.state = seen.state;
            missing = self.missing(&decided, &wanted(&decided, &case), &decided.state);
            if contained && missing.is_empty() && !K::unread(&decided.state).is_empty() {
                // Half-blind, nothing can be said to hold.
                let unread = K::unread(&decided.state).join(", ");
                if seen.passing {
                    return Err(blind(unread));
                }
                let reason = format!("nobody can look whether it holds: {unread}");
                return Box::pin(self.settle_as(decided, case, etag, Outcome::Partial(reason), Active::Before)).await;
            }
        }
        let unread = K::unread(&decided.state);
        if missing.is_empty() {
            // What failed or could not be read back at first, and holds after all, is contained: that is news.
            // That there was activity since is no doubt that more of the same would end.
            let was_doubtful = matches!(case.outcome, Some(Outcome::Partial(_))) && unread.is_empty() && case.active_at.is_none();
            if was_doubtful && decided.contains() {
                let case = OpenCase { attempts: self.attempts_at(&case), ..case };
                return Box::pin(self.resume(decided, case, etag, &missing, before)).await;
            }
            if !is_new && let Some(outcome) = active_since(decided.finding(), &case, Timestamp::now()) {
                return Box::pin(self.settle_as(decided, case, etag, outcome, Active::Told)).await;
            }
            return Box::pin(self.repeat(decided, case, etag)).await;
        }
        let undone = self.missing(&decided, &case.plan, &decided.state).without(&case.failed);
        if !decided.contains() {
            if undone.is_empty() {
                return Box::pin(self.repeat(decided, case, etag)).await;
            }
            // It no longer holds, and we may not act: that must not be called contained any longer.
            let reason = format!(
                "it no longer holds ({}), and was not asserted again: the decision on this finding is to {}",
                names(&undone),
                decided.decision().verdict.word()
            );
            return Box::pin(self.settle_as(decided, case, etag, Outcome::Partial(reason), Active::Before)).await;
        }
        decided.keep_advice_of(before);
        // Another finding is another incident: its containment is not the old one's next assertion.
        let reasserted = if is_new { 0 } else { case.reasserted };
        let attempts = self.attempts_at(&case);
        // What was done and is not so any more was undone, whatever else was not contained.
        let was_done = || undone.steps().any(|step| case.plan.steps().any(|known| known.is_same_change(step)));
        let stood = matches!(case.outcome, Some(Outcome::Contained | Outcome::Contested(_))) || was_done();
        if undone.is_empty() || !stood {
            let case = OpenCase { attempts, reasserted, ..case };
            return Box::pin(self.resume(decided, case, etag, &missing, before)).await;
        }
        if !is_new && matches!(case.outcome, Some(Outcome::Contested(_))) {
            // A person was called; updates of the same finding change nothing until somebody has been there.
            return Box::pin(self.repeat(decided, case, etag)).await;
        }
        if reasserted >= MOST_REASSERTIONS {
            let reason = format!("undone again after {reasserted} assertions: {}", names(&undone));
            return Box::pin(self.settle_as(decided, case, etag, Outcome::Contested(reason), Active::Before)).await;
        }
        let case = OpenCase { attempts, reasserted: reasserted + 1, ..case };
        Box::pin(self.resume(decided, case, etag, &missing, before)).await
    }

    /// Lambda counts its tries by the event; so does the case.
    fn attempts_at(&self, case: &OpenCase) -> u32 {
        if case.lease.holder == self.actor.request_id { case.attempts } else { 0 }
    }
}
