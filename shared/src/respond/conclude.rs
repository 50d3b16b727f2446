//! The second half of the walk: act on what was remembered, verify, report, settle.

use serde_json::json;

use super::Delivery;
use super::act::Attempt;
use super::journal::Journal;
use super::walk::Decided;
use crate::aws::Fault;
use crate::case::store::{Etag, Remembered, Written};
use crate::case::{EntryKind, OpenCase, State};
use crate::containment::Verdict;
use crate::containment::identity;
use crate::error::Retry;
use crate::finding::Source;
use crate::outcome::{Outcome, Status, StepReport};
use crate::plan::Plan;
use crate::report::answer::{TargetResult, release_hint};
use crate::report::notification::{Told, note, notification};
use crate::report::security_hub;

/// How often Lambda delivers an event: after the last, a partial containment is reported as what it is.
const DELIVERIES: u32 = 3;
/// How often a containment found undone right after the change is asserted again within one delivery.
const ASSERTIONS: u32 = 3;

/// A case in this delivery's hands.
pub(super) struct Work {
    pub(super) decided: Decided,
    pub(super) case: OpenCase,
    pub(super) journal: Journal,
    /// Whether an earlier delivery may have told people already, and crashed before it could say so.
    pub(super) may_be_repeated: bool,
    /// Whether it was settled as contained, and this delivery found it undone.
    pub(super) found_undone: bool,
    /// How often this delivery found it undone after its own change.
    undone: u32,
    contested: Option<String>,
    /// Why the containment could not be read back.
    unverified: Option<String>,
}

impl Work {
    pub(super) fn new(decided: Decided, case: OpenCase, journal: Journal) -> Self {
        Self { decided, case, journal, may_be_repeated: false, found_undone: false, undone: 0, contested: None, unverified: None }
    }

    fn failed(&self, what: &'static str, fault: &Fault, attempts: &[Attempt]) -> Retry {
        let held = attempts.iter().filter(|attempt| attempt.report.status.holds()).count();
        Retry {
            what,
            resource: self.case.case.to_string(),
            cause: fault.to_string(),
            done: format!("{held} of {} steps", attempts.len()),
            not_done: "the case is not settled".to_owned(),
        }
    }
}

impl Delivery<'_> {
    /// Acts on a remembered plan and sees the case through. `first` says that the memory entry is not in the ledger
    /// yet; it is written beside the steps.
    pub(super) async fn work(
        &self,
        mut work: Work,
        remembered: Remembered,
        cuts: Vec<Attempt>,
        first: bool,
    ) -> Result<TargetResult, Retry> {
        let mut etag = remembered.etag().clone();
        let mut attempts = cuts;
        let store = &self.function.store;
        let memory = async { if first { store.append(&work.case.memory).await } else { Ok(()) } };
        // A crash may have kept the event from being stored: the delivery that carries it stores it.
        let remembered_event = work.case.memory.what.get("event_sha256").and_then(serde_json::Value::as_str);
        let is_ours = remembered_event == Some(work.decided.memory.event_sha256.as_str());
        let event = async { if is_ours { store.keep_event(&work.case.case, self.event).await } else { Ok(()) } };
        let contains = work.decided.contains();
        let steps = async { if contains { self.carry_out(&remembered).await } else { Vec::new() } };
        let (steps, memory, event) = tokio::join!(steps, memory, event);
        attempts.extend(steps);
        // The ledger is the point of the case. A second finding's event does not replace the first one's.
        memory.map_err(|fault| work.failed("writing the ledger", &fault, &attempts))?;
        if let Err(fault) = event
            && fault.code != "EntryTaken"
        {
            return Err(work.failed("keeping the event", &fault, &attempts));
        }
        if contains {
            self.record(&mut work, &attempts).await?;
            if work.case.attempts < DELIVERIES
                && let Some(attempt) = attempts.iter().find(|attempt| attempt.retryable)
            {
                let fault = Fault {
                    code: attempt.report.step.clone(),
                    message: format!("{:?}", attempt.report.status),
                    class: crate::aws::FaultClass::Retryable,
                };
                return Err(work.failed("a step that a retry can mend", &fault, &attempts));
            }
            etag = Box::pin(self.verify(&mut work, &mut attempts, etag)).await?;
        }
        let result = self.result(&work, &attempts);
        Box::pin(self.report(work, result, &etag, &attempts)).await
    }

    /// Records what became of the steps, and puts them into the plan as they were carried out: what is undone later
    /// is what was done.
    async fn record(&self, work: &mut Work, attempts: &[Attempt]) -> Result<(), Retry> {
        for (planned, done) in attempts.iter().filter_map(|attempt| Some((&attempt.step, attempt.as_done.as_ref()?))) {
            work.case.plan.put_as_done(planned, done);
        }
        let steps: Vec<_> = attempts
            .iter()
            .map(|attempt| json!({ "step": attempt.step, "command": attempt.step.command(), "result": attempt.report }))
            .collect();
        let what = json!({ "steps": steps, "undo": work.case.plan.undo() });
        let mut journal = work.journal.clone();
        self.append(&mut journal, EntryKind::Acted, &what)
            .await
            .map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
        work.journal = journal;
        Ok(())
    }

    /// Reads back after the consistency window, and asserts again what somebody undid: a write response is not
    /// containment (CONTAINMENT A3).
    async fn verify(&self, work: &mut Work, attempts: &mut Vec<Attempt>, mut etag: Etag) -> Result<Etag, Retry> {
        for round in 1..=ASSERTIONS {
            tokio::time::sleep(self.function.config.verify_after).await;
            let principal = match identity::observe::principal(&self.function.clients, &work.decided.target).await {
                Ok(principal) => principal,
                Err(retry) if work.case.attempts < DELIVERIES => return Err(retry),
                Err(retry) => {
                    work.unverified = Some(retry.cause);
                    return Ok(etag);
                }
            };
            work.unverified = (!principal.unread().is_empty()).then(|| principal.unread().join(", "));
            let missing =
                without_failed(identity::drift(&work.case.plan, &principal, self.function.responder.partition), attempts);
            let what = json!({ "round": round, "holds": missing.is_empty(), "missing": missing, "unread": principal.unread() });
            let mut journal = work.journal.clone();
            self.append(&mut journal, EntryKind::Verified, &what)
                .await
                .map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
            work.journal = journal;
            if missing.is_empty() {
                return Ok(etag);
            }
            work.undone += 1;
            if round == ASSERTIONS {
                let what: Vec<_> = missing.steps().map(|step| format!("{} on {}", step.name(), step.on())).collect();
                work.contested = Some(format!("undone {} times within this delivery, last: {}", work.undone, what.join(", ")));
                return Ok(etag);
            }
            // What the attacker added since is remembered before it is changed, like everything else.
            work.case.plan = work.case.plan.clone().merged(&missing);
            let (cuts, taken) = tokio::join!(self.cut(&missing.cut), self.function.store.replace(&work.case, &etag));
            let remembered = match taken {
                Ok(Written::Written(remembered)) => remembered,
                Ok(Written::Lost) => return Err(work.failed("asserting again", &taken_over(), attempts)),
                Err(fault) => return Err(work.failed("asserting again", &fault, attempts)),
            };
            etag = remembered.etag().clone();
            attempts.extend(cuts);
            let again = self.carry_out(&remembered).await;
            attempts.extend(again.into_iter().filter(|attempt| missing.steps().any(|step| step.is_same_change(&attempt.step))));
            self.record(work, attempts).await?;
        }
        Ok(etag)
    }

    fn result(&self, work: &Work, attempts: &[Attempt]) -> TargetResult {
        let decision = work.decided.decision();
        let outcome = outcome(work, attempts);
        let mut result = TargetResult::without_steps(work.case.case.clone(), decision, outcome);
        result.steps = last_of_each(attempts);
        // The cut is what the plan says denies the attacker; all of it must have been answered.
        let cuts: Vec<_> =
            attempts.iter().filter(|attempt| work.case.plan.cut.iter().any(|cut| *cut.step() == attempt.step)).collect();
        if !cuts.is_empty() && cuts.iter().all(|attempt| attempt.report.status.holds()) {
            result.cut_off_ms = cuts.iter().map(|attempt| attempt.report.started_ms + attempt.report.took_ms).min();
            let operation = cuts[0].step.permissions()[0].trim_start_matches("iam:");
            result.cut_off_calls = self.function.clients.calls.depth_of(operation);
        }
        if (work.undone > 0 || work.found_undone) && work.contested.is_none() {
            let risk = "somebody undid this containment; it was asserted again, and may be undone again";
            result.residual_risk.insert(0, risk.to_owned());
        }
        if work.case.plan.is_empty() {
            "nothing to undo".clone_into(&mut result.release);
        } else {
            result.release = release_hint(&work.case.case);
        }
        result
    }

    /// Tells people, once for each change of outcome, and settles the case.
    async fn report(
        &self,
        mut work: Work,
        result: TargetResult,
        etag: &Etag,
        attempts: &[Attempt],
    ) -> Result<TargetResult, Retry> {
        let news = work.case.outcome.as_ref() != Some(&result.outcome) || work.undone > 0 || work.found_undone;
        let told = Told {
            finding: work.decided.finding(),
            target: &work.decided.target,
            decision: work.decided.decision(),
            result: &result,
            plan: &work.case.plan,
            case_bucket: &self.function.config.case_bucket,
            may_be_repeated: work.may_be_repeated,
        };
        let message = notification(told);
        let text = note(&result);
        let publish = async {
            if !news {
                return Ok(None);
            }
            let sns = &self.function.clients.sns;
            let sent = sns
                .publish()
                .topic_arn(self.function.config.topic.as_str())
                .subject(&message.subject)
                .message(&message.text)
                .send()
                .await;
            sent.map(|output| output.message_id).map_err(Fault::from)
        };
        let noted = Box::pin(self.note(work.decided.finding(), &text));
        let (published, noted) = tokio::join!(publish, noted);
        let message_id = published.map_err(|fault| work.failed("telling people", &fault, attempts))?;
        let what = json!({ "result": result, "notification": message_id, "note": { "status": noted, "text": text } });
        let mut journal = work.journal.clone();
        let reported = journal.next(self, EntryKind::Reported, &what);
        journal.advance(&reported);
        work.case.state = State::Settled;
        work.case.outcome = Some(result.outcome.clone());
        let (entry, settled) = tokio::join!(self.function.store.append(&reported), self.function.store.replace(&work.case, etag));
        entry.map_err(|fault| work.failed("writing the ledger", &fault, attempts))?;
        match settled {
            Ok(Written::Written(_)) => Ok(result),
            Ok(Written::Lost) => Err(work.failed("settling the case", &taken_over(), attempts)),
            Err(fault) => Err(work.failed("settling the case", &fault, attempts)),
        }
    }

    /// A containment undone more often than it is asserted again: said as what it is, and left to a person.
    pub(super) async fn give_up(
        &self,
        decided: Decided,
        case: OpenCase,
        etag: Etag,
        missing: &Plan,
    ) -> Result<TargetResult, Retry> {
        let failed = |fault| Retry::before_any_change("reading the ledger", case.case.to_string(), &fault);
        let journal = self.journal(&case.case, &case.memory).await.map_err(failed)?;
        let what: Vec<_> = missing.steps().map(|step| format!("{} on {}", step.name(), step.on())).collect();
        let reason = format!("undone again after {} assertions: {}", case.reasserted, what.join(", "));
        let mut work = Work::new(decided, case, journal);
        work.contested = Some(reason);
        let result = self.result(&work, &[]);
        Box::pin(self.report(work, result, &etag, &[])).await
    }

    /// A case that stands as it is: nothing is done, nobody is told again. A finding that is new to it joins it, and
    /// a Security Hub copy gets the note it missed.
    pub(super) async fn repeat(&self, decided: Decided, case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
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

    async fn join(&self, decided: &Decided, mut case: OpenCase, etag: &Etag, noted: &Status) -> Result<(), Retry> {
        let failed = |fault: &Fault| Retry::before_any_change("joining the case", decided.key.clone(), fault);
        let mut journal = self.journal(&case.case, &case.memory).await.map_err(|fault| failed(&fault))?;
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
    async fn note(&self, finding: &crate::finding::Finding, text: &str) -> Status {
        if finding.source == Source::Health {
            return Status::Skipped("AWS Health events have no copy in Security Hub".to_owned());
        }
        security_hub::note(&self.function.clients.securityhub, finding, text).await
    }
}

fn outcome(work: &Work, attempts: &[Attempt]) -> Outcome {
    let decision = work.decided.decision();
    match &decision.verdict {
        Verdict::Contain => {}
        // The case was begun under another decision: what was changed then is neither undone nor finished.
        verdict if !work.case.plan.is_empty() => {
            return Outcome::Partial(format!("stopped half-way: {}", describe(verdict)));
        }
        Verdict::Propose(reason) => return Outcome::Proposed(reason.clone()),
        Verdict::CannotContain(reason) => return Outcome::CannotContain(reason.as_str().to_owned()),
        Verdict::Skip(reason) => return Outcome::Skipped(reason.clone()),
        Verdict::Observe | Verdict::Ignore(_) => return Outcome::Observed,
    }
    if let Some(reason) = &work.contested {
        return Outcome::Contested(reason.clone());
    }
    if let Some(reason) = &work.unverified {
        return Outcome::Partial(format!("it could not be read back: {reason}"));
    }
    let steps = last_of_each(attempts);
    let failed = steps.iter().filter(|step| !step.status.holds()).count();
    match (failed, decision.unread.len()) {
        (0, 0) => Outcome::Contained,
        (failed, unread) => {
            Outcome::Partial(format!("{failed} of {} steps failed, {unread} things could not be read", steps.len()))
        }
    }
}

fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Contain => "contain".to_owned(),
        Verdict::Propose(reason) | Verdict::Skip(reason) => reason.clone(),
        Verdict::Observe => "the guardrails only observe this finding now".to_owned(),
        Verdict::CannotContain(reason) => reason.as_str().to_owned(),
        Verdict::Ignore(ignored) => ignored.reason.as_str().to_owned(),
    }
}

/// The last report of every step, in the order they were first tried.
fn last_of_each(attempts: &[Attempt]) -> Vec<StepReport> {
    let mut last: Vec<&Attempt> = Vec::new();
    for attempt in attempts {
        match last.iter_mut().find(|known| known.step == attempt.step) {
            Some(known) => *known = attempt,
            None => last.push(attempt),
        }
    }
    last.into_iter().map(|attempt| attempt.report.clone()).collect()
}

/// What is missing although the step succeeded: a step that failed is missing for another reason than tampering.
fn without_failed(mut plan: Plan, attempts: &[Attempt]) -> Plan {
    let failed: Vec<_> = last_failed(attempts);
    plan.cut.retain(|cut| !failed.contains(&cut.step()));
    for stage in &mut plan.then {
        stage.steps.retain(|step| !failed.contains(&step));
    }
    plan.then.retain(|stage| !stage.steps.is_empty());
    plan
}

fn last_failed(attempts: &[Attempt]) -> Vec<&crate::step::Step> {
    attempts
        .iter()
        .enumerate()
        .filter(|(index, attempt)| {
            !attempt.report.status.holds() && !attempts[index + 1..].iter().any(|later| later.step == attempt.step)
        })
        .map(|(_, attempt)| &attempt.step)
        .collect()
}

fn taken_over() -> Fault {
    Fault {
        code: "TakenOver".to_owned(),
        message: "another delivery took the case over".to_owned(),
        class: crate::aws::FaultClass::Retryable,
    }
}
