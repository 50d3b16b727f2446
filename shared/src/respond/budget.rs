//! The circuit breaker: what is contained is counted, and past a budget people are paged once, not once a proposal.

use serde_json::json;

use super::conclude::Work;
use super::walk::Decided;
use super::{Delivery, Kind};
use crate::aws::Fault;
use crate::case::store::proposed_prefix;
use crate::case::{OpenCase, State};
use crate::containment::Verdict;
use crate::containment::budget::{Counted, Unread, UsedUp};
use crate::finding::Finding;
use crate::id::CaseId;
use crate::report::answer::TargetResult;
use crate::report::budget::{Page, page};
use crate::report::message::Notification;
use crate::report::proposal::{Question, approval_line};
use crate::timestamp::Timestamp;

/// Whether what would be contained is contained already, or was when a delivery crashed: that is no further containment.
pub(super) fn was_contained(finding: &Finding, key: &str, open_case: Option<&OpenCase>, counted: Option<&Counted>) -> bool {
    let acted = |case: &OpenCase| case.remembered().is_ok_and(|before| before.decision.verdict == Verdict::Contain);
    // What was released is contained no more: the next time is another containment.
    let is_held = |case: &OpenCase| case.state != State::Released && acted(case);
    let case = match open_case {
        None => CaseId::of(finding, key),
        Some(released) if released.state == State::Released => CaseId::after(&released.case, finding, key),
        Some(case) => case.case.clone(),
    };
    open_case.is_some_and(is_held) || counted.is_some_and(|counted| counted.contains_key(&case))
}

/// What was contained lately could not be listed.
pub(super) fn unread(fault: &Fault) -> Unread {
    Unread { passing: fault.is_retryable(), reason: fault.to_string() }
}

impl<K: Kind> Delivery<'_, K> {
    /// Counts what is contained now. A person's containment counts like any other.
    pub(super) async fn count(&self, decided: &Decided<K>, case: &OpenCase) -> Result<(), Fault> {
        if !decided.contains() {
            return Ok(());
        }
        // By the time of the memory: a delivery that takes the case up counts the same containment under the same key.
        self.function.store.count(&case.case, &decided.finding().account, case.memory.at).await
    }

    /// What people are told of a proposal that a used-up budget led to: the page, from the first one of an hour. All are
    /// kept under one prefix, for whoever looks through them.
    pub(super) async fn past_the_budget(
        &self,
        work: &Work<K>,
        used_up: &UsedUp,
        result: &TargetResult,
        question: Option<Question<'_>>,
    ) -> Result<Option<Notification>, Fault> {
        let (store, now) = (&self.function.store, Timestamp::now());
        let approve = question.map(|question| approval_line(question, result));
        let kept = json!({
            "case": result.case,
            "target": result.target,
            "finding": work.decided.finding().id,
            "type": work.decided.finding().finding_type,
            "reason": used_up.reason,
            "approve": approve,
        });
        store.keep_proposed(&result.case, now, kept.to_string().into_bytes()).await?;
        let mine = json!({ "case": result.case, "request": self.actor.request_id }).to_string().into_bytes();
        if !store.takes_the_page(&used_up.budget, now, mine).await? {
            return Ok(None);
        }
        let place = format!("s3://{}/{}", self.function.config.case_bucket, proposed_prefix(now));
        Ok(Some(page(Page {
            used_up,
            finding: work.decided.finding(),
            result,
            approve: approve.as_deref(),
            place: &place,
            may_be_repeated: work.may_be_repeated,
        })))
    }
}
