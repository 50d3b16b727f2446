//! The second half of the walk: act on what was remembered, verify, report, settle.

use std::time::Duration;

use serde_json::json;

use super::act::{Attempt, failed_steps, last_of_each, undone_steps};
use super::revisit::active_since;
use super::verify::Verified;
use super::walk::{Decided, with};
use super::{Delivery, Kind};
use crate::aws::{Fault, FaultClass, publish};
use crate::case::store::{Etag, Remembered, Written};
use crate::case::{EntryKind, Journal, OpenCase, State};
use crate::containment::Verdict;
use crate::error::Retry;
use crate::finding::{Finding, Source};
use crate::outcome::{Outcome, Status};
use crate::plan::Cut;
use crate::report::answer::{TargetResult, release_hint};
use crate::report::notification::{Told, next, note, notification};
use crate::report::proposal::Question;
use crate::report::security_hub;
use crate::report::timing::{Timing, fired};
use crate::step::Step;
use crate::timestamp::Timestamp;

/// How often Lambda delivers an event: after the last, a partial containment is reported as what it is.
pub(super) const DELIVERIES: u32 = 3;

/// Of which activity after the cut people know, once the case is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Active {
    /// The one that the case knows of.
    Before,
    /// The finding's.
    Told,
}

/// A case in this delivery's hands.
pub(crate) struct Work<K: Kind> {
    pub(super) decided: Decided<K>,
    pub(super) case: OpenCase,
    pub(super) journal: Journal,
    /// Whether an earlier delivery may have told people already, and crashed before it could say so.
    pub(super) may_be_repeated: bool,
    pub(super) verified: Verified,
}

impl<K: Kind> Work<K> {
    pub(super) fn new(decided: Decided<K>, case: OpenCase, journal: Journal) -> Self {
        Self { decided, case, journal, may_be_repeated: false, verified: Verified::default() }
    }

    pub(super) fn failed(&self, what: &'static str, fault: &Fault, attempts: &[Attempt]) -> Retry {
        Retry::after(what, self.case.case.to_string(), fault, attempts)
    }
}

impl<K: Kind> Work<K> {
    /// What people are asked, where they are.
    fn question<'a>(&'a self, function: &'a str) -> Option<Question<'a>> {
        Some(Question { proposal: self.decided.memory.proposal.as_ref()?, function })
    }

    /// Leaves the case to the next delivery, as long as there is one, if a step failed in a way a retry can mend.
    fn leave_for_a_retry(&self, attempts: &[Attempt]) -> Result<(), Retry> {
        let to_mend = last_of_each(attempts).into_iter().find(|attempt| attempt.retryable);
        let Some(attempt) = to_mend.filter(|_| self.case.attempts < DELIVERIES) else { return Ok(()) };
        let message = format!("{} on {}: {:?}", attempt.report.step, attempt.report.on, attempt.report.status);
        let fault = Fault { code: "StepFailed".to_owned(), message, class: FaultClass::Retryable };
        Err(self.failed("a step that a retry can mend", &fault, attempts))
    }
}

impl<K: Kind> Delivery<'_, K> {
    /// Acts on a remembered plan and sees the case through. `first` says that memory entry and event are not stored
    /// yet; they are written beside the steps.
    pub(super) async fn work(
        &self,
        mut work: Work<K>,
        mut remembered: Remembered,
        cuts: Vec<Attempt>,
        first: bool,
    ) -> Result<TargetResult, Retry> {
        let mut attempts = cuts;
        let store = &self.function.store;
        let contains = work.decided.contains();
        if contains {
            // Before everything else, the marker too: the last place among the policies belongs to the deny.
            remembered = self.climb_down(&mut work, remembered, &mut attempts).await?;
        }
        let memory = async { if first { store.append(&work.case.memory).await } else { Ok(()) } };
        let steps = async { if contains { self.carry_out(&work.decided, &remembered, None).await } else { Vec::new() } };
        let event = async { if first { store.keep_event(&work.case.case, self.event).await } else { Ok(()) } };
        let beside = async { if contains { K::beside(self, &work).await } else { None } };
        let (steps, memory, event, beside) = tokio::join!(steps, memory, event, beside);
        attempts.extend(steps);
        memory.map_err(|fault| work.failed("writing the ledger", &fault, &attempts))?;
        event.map_err(|fault| work.failed("keeping the event", &fault, &attempts))?;
        let mut etag = remembered.etag().clone();
        if contains {
            self.record(&mut work, &attempts).await?;
            if let Some(beside) = beside {
                etag = Box::pin(self.finish_up(&mut work, &mut attempts, etag, beside)).await?;
            }
            work.leave_for_a_retry(&attempts)?;
            etag = Box::pin(self.verify(&mut work, &mut attempts, etag)).await?;
            work.leave_for_a_retry(&attempts)?;
            work.case.failed = undone_steps(&attempts);
        }
        let mut result = self.result(&work, &attempts);
        // A delivery that was about to say so, and crashed, has left that to this one.
        if result.outcome == Outcome::Contained
            && let Some(active) = active_since(work.decided.finding(), &work.case, Timestamp::now())
        {
            work.case.active_at = Some(work.decided.finding().last_seen);
            result.outcome = active;
        }
        Box::pin(self.report(work, result, &etag, &attempts)).await
    }

    /// Records what became of the steps, and puts them into the plan as they were carried out: what is undone later
    /// is what was done.
    pub(super) async fn record(&self, work: &mut Work<K>, attempts: &[Attempt]) -> Result<(), Retry> {
        for (planned, done) in attempts.iter().filter_map(|attempt| Some((&attempt.step, attempt.as_done.as_ref()?))) {
            work.case.plan.put_as_done(planned, done);
        }
        let steps: Vec<_> = attempts
            .iter()
            .map(|attempt| json!({ "step": attempt.step, "command": attempt.step.command(), "result": attempt.report }))
            .collect();
        let undo = work.case.plan.clone().without(&undone_steps(attempts)).undo();
        let written = self.append(&mut work.journal, EntryKind::Acted, &json!({ "steps": steps, "undo": undo })).await;
        written.map_err(|fault| work.failed("writing the ledger", &fault, attempts))
    }

    fn result(&self, work: &Work<K>, attempts: &[Attempt]) -> TargetResult {
        let decision = work.decided.decision();
        let mut result = TargetResult::without_steps(work.case.case.clone(), decision, outcome(work, attempts));
        result.steps = last_of_each(attempts).into_iter().map(|attempt| attempt.report.clone()).collect();
        // The attacker is denied when every deny of the plan, or a rung in its place, has been accepted for the first time.
        let accepted =
            |step: &Step| attempts.iter().find(|attempt| attempt.report.status.holds() && attempt.step.is_same_change(step));
        let first = |cut: &Step| accepted(cut).or_else(|| work.case.plan.rungs().find_map(accepted));
        let cuts: Option<Vec<_>> = work.case.plan.cutting().map(first).collect();
        if let Some(last) = cuts.and_then(|cuts| cuts.into_iter().max_by_key(|cut| cut.report.started_ms + cut.report.took_ms)) {
            result.cut_off_ms = Some(last.report.started_ms + last.report.took_ms);
            let operation = last.step.permissions()[0].split_once(':').map_or("", |(_, operation)| operation);
            result.cut_off_calls = self.function.clients.calls.depth_of(operation);
        }
        result.timing = Some(Timing {
            finding_type: work.decided.finding().finding_type.clone(),
            first_seen: work.decided.finding().first_seen,
            fired: fired(self.event),
            received: self.received,
            cut: result.cut_off_ms.map(|milliseconds| self.received.plus(Duration::from_millis(milliseconds))),
            verified: work.verified.held_at,
        });
        if (work.verified.undone > 0 || work.case.reasserted > 0) && work.verified.contested.is_none() {
            let risk = "somebody undid this containment; it was asserted again, and may be undone again";
            result.residual_risk.insert(0, risk.to_owned());
        }
        result.release = if work.case.plan.is_empty() { "nothing to undo".to_owned() } else { release_hint(&work.case.case) };
        result
    }

    /// Tells people, once for each change of outcome, and settles the case.
    async fn report(
        &self,
        mut work: Work<K>,
        mut result: TargetResult,
        etag: &Etag,
        attempts: &[Attempt],
    ) -> Result<TargetResult, Retry> {
        let recheck = if attempts.is_empty() { None } else { Box::pin(self.schedule_rechecks(&work.case, &mut result)).await };
        let news = work.case.outcome.as_ref() != Some(&result.outcome) || work.verified.undone > 0;
        let undo = work.case.plan.clone().without(&work.case.failed);
        let told = Told {
            finding: work.decided.finding(),
            target: &work.decided.target,
            decision: work.decided.decision(),
            result: &result,
            plan: &undo,
            case_bucket: &self.function.config.case_bucket,
            may_be_repeated: work.may_be_repeated,
            question: work.question(&self.actor.function),
        };
        let (text, next) = (note(&result), next(told));
        let message = match work.decided.used_up.as_ref().filter(|_| news && matches!(result.outcome, Outcome::Proposed(_))) {
            None => Some(notification(told)).filter(|_| news),
            Some(used_up) => {
                let past = Box::pin(self.past_the_budget(&work, used_up, &result, told.question)).await;
                past.map_err(|fault| work.failed("telling people that a budget is used up", &fault, attempts))?
            }
        };
        let tell = async {
            let Some(message) = &message else { return Ok(None) };
            publish(&self.function.clients.sns, &self.function.config.topic, &message.subject, message.body()).await
        };
        let noted = Box::pin(self.note(work.decided.finding(), &text));
        let (published, noted) = tokio::join!(tell, noted);
        let message_id = published.map_err(|fault| work.failed("telling people", &fault, attempts))?;
        let mut what =
            json!({ "result": result, "notification": message_id, "note": { "status": noted, "text": text }, "next": next });
        if let Some(recheck) = recheck {
            what["recheck"] = json!(recheck);
        }
        let written = self.append(&mut work.journal, EntryKind::Reported, &what).await;
        written.map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
        self.settle(work.case, etag, result, &work.journal, attempts).await
    }

    /// Lets the outcome stand.
    pub(super) async fn settle(
        &self,
        case: OpenCase,
        etag: &Etag,
        result: TargetResult,
        journal: &Journal,
        attempts: &[Attempt],
    ) -> Result<TargetResult, Retry> {
        let outcome = Some(result.outcome.clone());
        let case = OpenCase { state: State::Settled, settled_at: journal.number(), outcome, ..case };
        let failed = |fault: &Fault| Retry::after("settling the case", case.case.to_string(), fault, attempts);
        match self.function.store.replace(&case, etag).await {
            Ok(Written::Written(_)) => {
                // The outcome stands by now, and no page changes it.
                self.keep_page(&case.case, journal).await;
                Ok(result)
            }
            Ok(Written::Lost) => Err(failed(&taken_over())),
            Err(fault) => Err(failed(&fault)),
        }
    }

    /// A containment that does not hold and is not asserted again: said as what it is, and left to a person.
    pub(super) async fn settle_as(
        &self,
        decided: Decided<K>,
        case: OpenCase,
        etag: Etag,
        outcome: Outcome,
        active: Active,
    ) -> Result<TargetResult, Retry> {
        let failed = |fault| Retry::before_any_change("settling a case that does not hold", decided.key.clone(), &fault);
        let case =
            OpenCase { state: State::Working, lease: self.lease(), findings: with(case.findings, &decided.finding().id), ..case };
        let etag = match self.function.store.replace(&case, &etag).await.map_err(failed)? {
            Written::Written(remembered) => remembered.etag().clone(),
            Written::Lost => return Err(failed(taken_over())),
        };
        let (journal, event) =
            tokio::join!(self.journal(&case.case, &case.memory), self.function.store.keep_event(&case.case, self.event));
        let mut journal = journal.map_err(failed)?;
        event.map_err(failed)?;
        let what = json!({ "finding": decided.finding(), "event_sha256": decided.memory.event_sha256, "outcome": outcome });
        self.append(&mut journal, EntryKind::Resumed, &what).await.map_err(failed)?;
        let mut work = Work::new(decided, case, journal);
        if active == Active::Told {
            work.case.active_at = Some(work.decided.finding().last_seen);
        }
        let mut result = self.result(&work, &[]);
        result.outcome = outcome;
        Box::pin(self.report(work, result, &etag, &[])).await
    }

    /// A case that stands as it is: nothing is done, nobody is told again. A finding that is new to it joins it, and
    /// a Security Hub copy gets the note it missed.
    pub(super) async fn repeat(&self, decided: Decided<K>, case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
        let outcome =
            case.outcome.clone().unwrap_or_else(|| Outcome::Skipped("the case is settled without an outcome".to_owned()));
        let mut result = TargetResult::without_steps(case.case.clone(), decided.decision(), outcome);
        result.repeat = true;
        let joins = !case.findings.contains(&decided.finding().id);
        if joins || decided.finding().source == Source::SecurityHub {
            let noted = Box::pin(self.note(decided.finding(), &note(&result))).await;
            if joins {
                self.join(&decided, case, &etag, &noted).await?;
            }
        }
        Ok(result)
    }

    /// Makes a finding part of a case that needs nothing done: the ledger first, so that a crash loses nothing, then the
    /// list that says it is known.
    async fn join(&self, decided: &Decided<K>, mut case: OpenCase, etag: &Etag, noted: &Status) -> Result<(), Retry> {
        let failed = |fault: &Fault| Retry::before_any_change("joining the case", decided.key.clone(), fault);
        let mut journal = self.journal(&case.case, &case.memory).await.map_err(|fault| failed(&fault))?;
        self.function.store.keep_event(&case.case, self.event).await.map_err(|fault| failed(&fault))?;
        let what = json!({ "finding": decided.finding(), "event_sha256": decided.memory.event_sha256, "note": noted });
        self.append(&mut journal, EntryKind::Joined, &what).await.map_err(|fault| failed(&fault))?;
        case.findings.push(decided.finding().id.clone());
        match self.function.store.replace(&case, etag).await {
            Ok(Written::Written(_)) => Ok(()),
            Ok(Written::Lost) => Err(failed(&taken_over())),
            Err(fault) => Err(failed(&fault)),
        }
    }

    /// Notes the finding in Security Hub, where it can have a copy.
    async fn note(&self, finding: &Finding, text: &str) -> Status {
        if finding.source == Source::Health {
            return Status::Skipped("AWS Health events have no copy in Security Hub".to_owned());
        }
        security_hub::note(&self.function.clients.securityhub, finding, text).await
    }
}

fn outcome<K: Kind>(work: &Work<K>, attempts: &[Attempt]) -> Outcome {
    let decision = work.decided.decision();
    match &decision.verdict {
        Verdict::Contain => {}
        // The case was begun under another decision: what was changed then is neither undone nor finished.
        verdict if !work.case.plan.is_empty() => return Outcome::Partial(format!("stopped half-way: {}", verdict.describe())),
        Verdict::Propose(reason) => return Outcome::Proposed(reason.clone()),
        Verdict::CannotContain(reason) => return Outcome::CannotContain(reason.as_str().to_owned()),
        Verdict::Skip(reason) => return Outcome::Skipped(reason.clone()),
        Verdict::Observe | Verdict::Ignore(_) => return Outcome::Observed,
    }
    if let Some(reason) = &work.verified.contested {
        return Outcome::Contested(reason.clone());
    }
    if let Some(reason) = &work.verified.unverified {
        return Outcome::Partial(reason.clone());
    }
    let plan = &work.case.plan;
    let tried = last_of_each(attempts);
    let statuses: Vec<_> = tried.iter().map(|attempt| (attempt.step.clone(), attempt.report.status.clone())).collect();
    if let Some(reason) = K::not_contained(plan, &statuses) {
        return Outcome::CannotContain(reason.to_owned());
    }
    // A deny that did not fit has not failed where a rung below it holds, and neither have the rungs above that one.
    let holds = |step: &Step| tried.iter().any(|attempt| attempt.report.status.holds() && attempt.step.is_same_change(step));
    let replaced = plan.rungs().any(holds);
    let is_deny = |step: &Step| {
        let denies = plan.cut.iter().map(Cut::step).chain(&plan.fallback).chain(plan.rungs());
        denies.into_iter().any(|deny| deny.is_same_change(step))
    };
    let failed: Vec<_> = failed_steps(attempts).into_iter().filter(|step| !(replaced && is_deny(step))).collect();
    let uncut: Vec<_> = plan.cutting().filter(|cut| failed.iter().any(|step| step.is_same_change(cut))).collect();
    let steps = tried.len();
    match (uncut.is_empty(), failed.len(), decision.unread.len()) {
        (true, 0, 0) => Outcome::Contained,
        (true, failed, 0) => Outcome::Partial(format!("{failed} of {steps} steps failed")),
        (true, failed, unread) => {
            Outcome::Partial(format!("{failed} of {steps} steps failed, {unread} things could not be read"))
        }
        (false, failed, _) => {
            let what = if plan.cut.is_empty() {
                format!("THE ISOLATION OF {} INTERFACES FAILED", uncut.len())
            } else {
                "THE DENY ITSELF FAILED".to_owned()
            };
            Outcome::Partial(format!("{what}, so what it should have cut off still works ({failed} of {steps} steps failed)"))
        }
    }
}

/// The fault of a conditional write that another delivery won.
pub(super) fn taken_over() -> Fault {
    Fault {
        code: "TakenOver".to_owned(),
        message: "another delivery took the case over".to_owned(),
        class: FaultClass::Retryable,
    }
}

impl Verdict {
    /// The verdict in one word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Contain => "contain",
            Self::Propose(_) => "propose",
            Self::Observe => "observe",
            Self::CannotContain(_) => "leave it to a person",
            Self::Skip(_) | Self::Ignore(_) => "leave it alone",
        }
    }

    /// The verdict in words, for a case that was begun under another one.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Contain => "contain".to_owned(),
            Self::Propose(reason) | Self::Skip(reason) => reason.clone(),
            Self::Observe => "the guardrails only observe this finding now".to_owned(),
            Self::CannotContain(reason) => reason.as_str().to_owned(),
            Self::Ignore(ignored) => ignored.reason.as_str().to_owned(),
        }
    }
}
