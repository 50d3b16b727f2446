//! A target whose case was released, or is being released, accused again.

use super::walk::{Decided, wanted};
use super::{Delivery, Kind};
use crate::case::store::Etag;
use crate::case::{CaseId, Memory, OpenCase};
use crate::containment::Verdict;
use crate::error::Retry;
use crate::finding::Trigger;
use crate::outcome::Outcome;
use crate::report::answer::TargetResult;

impl<K: Kind> Delivery<'_, K> {
    /// A target that a person has released. Another finding, or a person, opens another case. The finding that was
    /// released says nothing new as long as nothing new was seen; and if something was, whoever released it decides.
    pub(super) async fn contain_again(
        &self,
        mut decided: Decided<K>,
        case: &OpenCase,
        etag: &Etag,
    ) -> Result<TargetResult, Retry> {
        let released_at = case.release.as_ref().and_then(|release| release.released_at);
        if let Some(at) = released_at.filter(|_| is_the_same_again(&decided, case)) {
            if decided.finding().last_seen <= at {
                return Ok(left_alone(&decided, &case.case, format!("released at {at}, and nothing was seen since")));
            }
            if decided.contains() {
                let reason = format!("it was released at {at}, and the same finding has seen activity since");
                decided.memory.decision.verdict = Verdict::Propose(reason);
            }
        }
        Box::pin(self.open(decided, Some((&case.case, etag)))).await
    }

    /// A case that is half released. Another finding, or a person, ends that: it is contained again, under the same
    /// case, whose original state is still the one to come back to.
    pub(super) async fn interrupt_release(
        &self,
        decided: Decided<K>,
        case: OpenCase,
        etag: Etag,
        before: &Memory,
    ) -> Result<TargetResult, Retry> {
        if is_the_same_again(&decided, &case) || !decided.contains() {
            return Ok(left_alone(&decided, &case.case, "a release of this case has begun".to_owned()));
        }
        let missing = self.missing(&decided, &wanted(&decided, &case), &decided.state);
        Box::pin(self.resume(decided, case, etag, &missing, before)).await
    }
}

/// Whether a rule brings a finding that is part of the case: no news, and no person.
fn is_the_same_again<K: Kind>(decided: &Decided<K>, case: &OpenCase) -> bool {
    decided.finding().trigger == Trigger::Event && case.findings.contains(&decided.finding().id)
}

fn left_alone<K: Kind>(decided: &Decided<K>, case: &CaseId, reason: String) -> TargetResult {
    let mut result = TargetResult::without_steps(case.clone(), decided.decision(), Outcome::Skipped(reason));
    result.repeat = true;
    result
}
