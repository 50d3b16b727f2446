//! One target: observe, decide, remember, act. What follows is in `conclude`.

use super::conclude::Work;
use super::journal::Journal;
use super::{Delivery, Handled, in_the_detectors_words};
use crate::case::store::{Etag, Written};
use crate::case::{CaseId, EntryKind, Lease, Memory, OpenCase, State};
use crate::containment::identity::{self, Principal, observe::Wave};
use crate::containment::{AtSource, Decision, Verdict};
use crate::error::Retry;
use crate::finding::{Finding, Target};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::report::answer::TargetResult;
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// How often a containment that was undone is asserted again before it counts as contested for good.
const MOST_REASSERTIONS: u32 = 3;

/// A target that was observed and decided on.
pub(super) struct Decided {
    pub(super) target: Target,
    pub(super) principal: Principal,
    pub(super) memory: Memory,
    pub(super) key: String,
}

impl Decided {
    pub(super) fn decision(&self) -> &Decision {
        &self.memory.decision
    }

    pub(super) fn finding(&self) -> &Finding {
        &self.memory.finding
    }

    pub(super) fn contains(&self) -> bool {
        self.decision().verdict == Verdict::Contain
    }
}

impl Delivery<'_> {
    /// The walk for one target of one finding.
    pub(super) async fn contain(&self, finding: &Finding, target: &Target) -> Result<Handled, Retry> {
        let Wave { target, observed, open_case } =
            identity::observe::observe(&self.function.clients, &self.function.store, finding, target).await?;
        let finding = match &observed.source {
            AtSource::Confirmed(confirmed) => in_the_detectors_words(finding, confirmed),
            _ => finding.clone(),
        };
        let decision = identity::decide(&finding, &target, &observed, &self.function.responder, Timestamp::now());
        if let Verdict::Ignore(ignored) = decision.verdict {
            return Ok(Handled::Ignored(ignored));
        }
        let decided = Decided {
            key: decision.target.key(),
            target,
            memory: Memory {
                finding,
                event_sha256: sha256(self.event),
                original: serde_json::to_value(&observed.principal).unwrap_or_default(),
                decision,
            },
            principal: observed.principal,
        };
        let result = match open_case {
            None => Box::pin(self.open(decided)).await?,
            Some((case, etag)) => Box::pin(self.take_up(decided, case, etag)).await?,
        };
        Ok(Handled::Result(Box::new(result)))
    }

    /// A target without an open case: the cut goes out beside the one write that claims the target and remembers
    /// plan and original state.
    async fn open(&self, decided: Decided) -> Result<TargetResult, Retry> {
        let case = CaseId::of(decided.finding(), &decided.key);
        let mut journal = Journal::empty(case.clone());
        let memory = journal.next(self, EntryKind::Opened, &decided.memory);
        let open_case = OpenCase {
            case,
            target: decided.key.clone(),
            state: State::Working,
            lease: self.lease(),
            attempts: 1,
            reasserted: 0,
            findings: vec![decided.finding().id.clone()],
            plan: if decided.contains() { decided.decision().plan.clone() } else { Plan::default() },
            outcome: None,
            memory,
        };
        let (cuts, opened) = tokio::join!(self.cut(&open_case.plan.cut), self.function.store.open(&open_case));
        match opened {
            Ok(Written::Written(remembered)) => {
                journal.advance(&open_case.memory);
                Box::pin(self.work(Work::new(decided, open_case, journal), remembered, cuts, true)).await
            }
            Ok(Written::Lost) => self.lost(&decided).await,
            Err(fault) => Err(Retry {
                what: "remembering the plan",
                resource: OpenCase::key(&decided.key),
                cause: fault.to_string(),
                done: describe(&cuts),
                not_done: "everything that must be remembered first".to_owned(),
            }),
        }
    }

    /// A target whose case stands already.
    async fn take_up(&self, decided: Decided, case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
        if case.state == State::Working && !case.lease.admits(&self.actor.request_id, Timestamp::now()) {
            return busy(&decided, &case);
        }
        let before = case.remembered().map_err(|error| Retry {
            what: "reading the open case",
            resource: OpenCase::key(&decided.key),
            cause: format!("its memory is not one of this version: {error}"),
            done: "nothing".to_owned(),
            not_done: "everything: a person must look at the case first".to_owned(),
        })?;
        let acted = before.decision.verdict == Verdict::Contain;
        match (case.state, acted) {
            (State::Settled, true) => Box::pin(self.revisit(decided, case, etag)).await,
            (State::Settled, false) if same_verdict(&before.decision.verdict, &decided.decision().verdict) => {
                Box::pin(self.repeat(decided, case, etag)).await
            }
            (State::Working, true) => {
                let missing = identity::drift(&case.plan, &decided.principal, self.function.responder.partition);
                Box::pin(self.resume(decided, case, etag, &missing)).await
            }
            (State::Working | State::Settled, false) => Box::pin(self.decide_anew(decided, case, etag)).await,
        }
    }

    /// A contained target, accused again: the same finding, its copy, an update of it, or another one. It is
    /// contained already, unless somebody undid it.
    async fn revisit(&self, decided: Decided, case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
        let missing = identity::drift(&case.plan, &decided.principal, self.function.responder.partition);
        if missing.is_empty() || !decided.contains() || matches!(case.outcome, Some(Outcome::Contested(_))) {
            return Box::pin(self.repeat(decided, case, etag)).await;
        }
        if case.reasserted >= MOST_REASSERTIONS {
            return Box::pin(self.give_up(decided, case, etag, &missing)).await;
        }
        let case = OpenCase { reasserted: case.reasserted + 1, attempts: 0, ..case };
        Box::pin(self.resume(decided, case, etag, &missing)).await
    }

    /// Takes a case up where a delivery left it, or where somebody undid it. The original state stays the one
    /// remembered first; the plan gains what is missing now.
    async fn resume(&self, decided: Decided, case: OpenCase, etag: Etag, missing: &Plan) -> Result<TargetResult, Retry> {
        let failed = |fault| Retry::before_any_change("reading the ledger", case.case.to_string(), &fault);
        let mut journal = self.journal(&case.case, &case.memory).await.map_err(failed)?;
        let reported_before =
            case.state == State::Working && matches!(journal.last, Some(EntryKind::Verified | EntryKind::Reported));
        let found_undone = case.state == State::Settled && case.outcome == Some(Outcome::Contained);
        let mut case = OpenCase {
            state: State::Working,
            lease: self.lease(),
            attempts: case.attempts + 1,
            plan: if decided.contains() { case.plan.clone().merged(missing) } else { case.plan.clone() },
            ..case
        };
        if !case.findings.contains(&decided.finding().id) {
            case.findings.push(decided.finding().id.clone());
        }
        let cuts: &[_] = if decided.contains() { &case.plan.cut } else { &[] };
        let (cuts, taken) = tokio::join!(self.cut(cuts), self.function.store.replace(&case, &etag));
        match taken {
            Ok(Written::Written(remembered)) => {
                let what = serde_json::json!({ "attempt": case.attempts, "reasserted": case.reasserted, "finding": decided.finding().id, "missing": missing });
                let failed = |fault| Retry::before_any_change("writing the ledger", case.case.to_string(), &fault);
                self.append(&mut journal, EntryKind::Resumed, &what).await.map_err(failed)?;
                let mut work = Work::new(decided, case, journal);
                work.may_be_repeated = reported_before;
                work.found_undone = found_undone;
                Box::pin(self.work(work, remembered, cuts, false)).await
            }
            Ok(Written::Lost) => self.lost(&decided).await,
            Err(fault) => Err(Retry::before_any_change("taking the case up", case.case.to_string(), &fault)),
        }
    }

    /// A case under which nothing was changed so far, and to which something else is to be done now: a click, a
    /// changed guardrail, another finding. Plan and original state are remembered afresh.
    async fn decide_anew(&self, decided: Decided, case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
        let failed = |fault| Retry::before_any_change("reading the ledger", case.case.to_string(), &fault);
        let mut journal = self.journal(&case.case, &case.memory).await.map_err(failed)?;
        let memory = journal.next(self, EntryKind::Decided, &decided.memory);
        let mut case = OpenCase {
            state: State::Working,
            lease: self.lease(),
            attempts: 1,
            plan: if decided.contains() { decided.decision().plan.clone() } else { Plan::default() },
            memory,
            ..case
        };
        if !case.findings.contains(&decided.finding().id) {
            case.findings.push(decided.finding().id.clone());
        }
        let (cuts, taken) = tokio::join!(self.cut(&case.plan.cut), self.function.store.replace(&case, &etag));
        match taken {
            Ok(Written::Written(remembered)) => {
                journal.advance(&case.memory);
                Box::pin(self.work(Work::new(decided, case, journal), remembered, cuts, true)).await
            }
            Ok(Written::Lost) => self.lost(&decided).await,
            Err(fault) => Err(Retry::before_any_change("remembering the plan", case.case.to_string(), &fault)),
        }
    }

    /// Another delivery claimed the target between our read and our write.
    async fn lost(&self, decided: &Decided) -> Result<TargetResult, Retry> {
        let failed = |fault| Retry::before_any_change("reading the open case", OpenCase::key(&decided.key), &fault);
        match self.function.store.open_case(&decided.key).await.map_err(failed)? {
            Some((case, _)) => busy(decided, &case),
            None => Err(Retry {
                what: "claiming the target",
                resource: OpenCase::key(&decided.key),
                cause: "the write was refused, and yet no case is open".to_owned(),
                done: "at most the deny of our own".to_owned(),
                not_done: "everything else".to_owned(),
            }),
        }
    }

    pub(super) fn lease(&self) -> Lease {
        Lease { holder: self.actor.request_id.clone(), until: self.deadline }
    }
}

/// Another delivery is at work on the target. The same finding is in its hands; a different one comes back when
/// it is done.
fn busy(decided: &Decided, case: &OpenCase) -> Result<TargetResult, Retry> {
    if case.findings.contains(&decided.finding().id) {
        let outcome = case
            .outcome
            .clone()
            .unwrap_or_else(|| Outcome::Skipped("another delivery of this finding is at work on it".to_owned()));
        let mut result = TargetResult::without_steps(case.case.clone(), decided.decision(), outcome);
        result.repeat = true;
        return Ok(result);
    }
    Err(Retry {
        what: "joining the case",
        resource: case.case.to_string(),
        cause: format!("request {} is at work on it until {}", case.lease.holder, case.lease.until),
        done: "at most the deny of our own".to_owned(),
        not_done: "this finding is not part of the case yet".to_owned(),
    })
}

/// Whether two decisions not to act say the same: then people know already. Another reason is news.
fn same_verdict(before: &Verdict, now: &Verdict) -> bool {
    match (before, now) {
        (Verdict::Propose(_), Verdict::Propose(_)) | (Verdict::Skip(_), Verdict::Skip(_)) => true,
        _ => before == now,
    }
}

fn describe(attempts: &[super::act::Attempt]) -> String {
    let done: Vec<_> = attempts
        .iter()
        .filter(|attempt| attempt.report.status.holds())
        .map(|attempt| format!("{} on {}", attempt.report.step, attempt.report.on))
        .collect();
    if done.is_empty() { "nothing".to_owned() } else { done.join(", ") }
}
