//! One target: observe, decide, remember, act. What follows is in `conclude`.

use serde::Deserialize as _;

use super::approve::{self, Asked};
use super::budget::{unread, was_contained};
use super::conclude::Work;
use super::kind::Wave;
use super::{Delivery, Handled, Kind, in_the_detectors_words, read};
use crate::aws::Access;
use crate::case::store::{Etag, Written};
use crate::case::{CaseId, Entry, EntryKind, Journal, Lease, Memory, OpenCase, State};
use crate::containment::budget::{Bound, UsedUp, bound};
use crate::containment::{AtSource, Decision, Verdict};
use crate::error::Retry;
use crate::finding::{Finding, Target, Trigger, User};
use crate::guardrails::Guardrails;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::report::answer::TargetResult;
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// A target that was observed and decided on.
pub(crate) struct Decided<K: Kind> {
    pub(super) target: Target,
    /// What AWS said of it.
    pub(super) state: K::State,
    pub(super) memory: Memory,
    /// The key its case is filed under.
    pub(super) key: String,
    /// The clients for its account.
    pub(super) access: Access,
    source: AtSource,
    guardrails: Result<Guardrails, String>,
    /// The budget that keeps it from being contained without a person.
    pub(super) used_up: Option<UsedUp>,
}

impl<K: Kind> Decided<K> {
    /// What was decided on.
    #[cfg(feature = "instance")]
    pub(super) fn grounds(&self) -> crate::containment::Observed<K::State> {
        crate::containment::Observed {
            source: self.source.clone(),
            guardrails: self.guardrails.clone(),
            state: self.state.clone(),
        }
    }

    /// Whether its plan says what would be done: without guardrails, and where the facts decided before them, it does not.
    pub(super) fn has_its_plan(&self) -> bool {
        let verdict = &self.decision().verdict;
        self.guardrails.is_ok() && matches!(verdict, Verdict::Contain | Verdict::Propose(_) | Verdict::Observe)
    }

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

impl<K: Kind> Delivery<'_, K> {
    /// The walk for one target of one finding.
    pub(super) async fn contain(&self, finding: &Finding, target: &Target) -> Result<Handled, Retry> {
        // Counted beside everything else: what the guardrails say of it is known in the same wave.
        let (wave, counted) =
            tokio::join!(Box::pin(K::observe(self.function, finding, target)), self.function.store.counted(self.received));
        let Wave { target, key, observed, mut open_case, access, mut guardrails_passing, fleet } = wave?;
        if finding.trigger.is_a_persons() && open_case.is_none() && is_found_by_asking(&target) {
            // The wave could not look for it. What a person says is about what the case proposes, if there is one.
            open_case = read::open_case(&self.function.store, &key).await?;
        }
        if approve::is_of_another_case(finding, open_case.as_ref().map(|(case, _)| case)) {
            return Ok(Handled::Ignored(approve::refused("the case is not the one of its target any more")));
        }
        let finding = match &observed.source {
            AtSource::Confirmed(confirmed) => in_the_detectors_words(finding, confirmed),
            _ => finding.clone(),
        };
        let mut decision = K::decide(&finding, &target, &observed, &self.function.responder, Timestamp::now());
        let mut used_up = None;
        let is_bound = decision.verdict == Verdict::Contain && !finding.trigger.is_a_persons();
        if let (true, Ok(guardrails)) = (is_bound, &observed.guardrails)
            && !was_contained(&finding, &key, open_case.as_ref().map(|(case, _)| case), counted.as_ref().ok())
            && let Some(bound) =
                bound(guardrails.budget(), &counted.map_err(|fault| unread(&fault)), &finding.account, fleet.as_ref())
        {
            decision.verdict = Verdict::Propose(bound.reason());
            match bound {
                Bound::UsedUp(budget) => used_up = Some(budget),
                Bound::Unread(unread) => guardrails_passing = guardrails_passing.or(unread.passing.then_some(unread.reason)),
            }
        }
        if let Verdict::Ignore(ignored) = decision.verdict {
            return Ok(Handled::Ignored(ignored));
        }
        let decided = Decided {
            key,
            access,
            target,
            memory: Memory {
                finding,
                event_sha256: sha256(self.event),
                commands: decision.plan.commands(),
                original: serde_json::to_value(&observed.state).unwrap_or_default(),
                decision,
                proposal: None,
                approval: None,
            },
            state: observed.state,
            source: observed.source,
            guardrails: observed.guardrails,
            used_up,
        };
        let unasked = unasked(&decided.source, guardrails_passing);
        let result = match open_case {
            None => Box::pin(self.open(decided, None)).await?,
            Some((case, etag)) => Box::pin(self.take_up(decided, case, etag)).await?,
        };
        // People were told of a proposal; asking again may make more of it.
        match unasked.filter(|_| !result.repeat) {
            Some((what, cause)) => Err(Retry {
                what,
                resource: result.case.to_string(),
                cause,
                done: format!("{}: people were told", result.outcome.as_str()),
                not_done: "containment, until both answer".to_owned(),
            }),
            None => Ok(Handled::Result(Box::new(result))),
        }
    }

    /// A target without an open case, or with `released` as its last one: the cut goes out beside the one write that
    /// claims the target and remembers plan and original state.
    pub(super) async fn open(&self, mut decided: Decided<K>, released: Option<(&CaseId, &Etag)>) -> Result<TargetResult, Retry> {
        decided.propose();
        if decided.contains() {
            decided.memory.approval = self.person(decided.finding()).map(|person| person.approves(None));
        }
        let case = match released {
            None => CaseId::of(decided.finding(), &decided.key),
            Some((before, _)) => CaseId::after(before, decided.finding(), &decided.key),
        };
        decided.memory.decision.plan.file_under(&case);
        let mut journal = Journal::empty(case.clone());
        let memory = journal.next(&self.actor, EntryKind::Opened, &decided.memory);
        let open_case = OpenCase {
            case,
            target: decided.key.clone(),
            state: State::Working,
            lease: self.lease(),
            attempts: 1,
            reasserted: 0,
            findings: vec![decided.finding().id.clone()],
            spent: Vec::new(),
            failed: Vec::new(),
            plan: if decided.contains() { decided.decision().plan.clone() } else { Plan::default() },
            settled_at: 0,
            contained_at: None,
            active_at: None,
            outcome: None,
            release: None,
            memory,
        };
        let claim = async {
            match released {
                None => self.function.store.open(&open_case).await,
                Some((_, etag)) => self.function.store.replace(&open_case, etag).await,
            }
        };
        let (cuts, opened, counted) =
            tokio::join!(self.cut(&decided, &open_case.plan.cut), claim, self.count(&decided, &open_case));
        match opened {
            Ok(Written::Written(remembered)) => {
                counted.map_err(|fault| Retry::after("counting the containment", open_case.case.to_string(), &fault, &cuts))?;
                journal.advance(&open_case.memory);
                Box::pin(self.work(Work::new(decided, open_case, journal), remembered, cuts, true)).await
            }
            // Another delivery claimed the target between our read and our write: its case is the one to join.
            Ok(Written::Lost) => {
                let failed = |fault| Retry::after("reading the open case", OpenCase::key(&decided.key), &fault, &cuts);
                let found = self.function.store.open_case(&decided.key).await.map_err(failed)?;
                let gone =
                    || Retry::after("claiming the target", OpenCase::key(&decided.key), &super::conclude::taken_over(), &cuts);
                let (case, etag) = found.ok_or_else(gone)?;
                Box::pin(self.take_up(decided, case, etag)).await
            }
            Err(fault) => Err(Retry::after("remembering the plan", OpenCase::key(&decided.key), &fault, &cuts)),
        }
    }

    /// A target whose case stands already.
    async fn take_up(&self, mut decided: Decided<K>, mut case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
        (decided.memory.proposal, decided.memory.approval) = (None, None);
        // What is made from here on belongs to the case that stands, whatever finding asks for it.
        decided.memory.decision.plan.file_under(&case.case);
        let before = case.remembered().map_err(|error| Retry {
            what: "reading the open case",
            resource: OpenCase::key(&decided.key),
            cause: format!("its memory is not one of this version: {error}"),
            done: "nothing".to_owned(),
            not_done: "everything: a person must look at the case first".to_owned(),
        })?;
        let acted = before.decision.verdict == Verdict::Contain;
        let known = case.findings.contains(&decided.finding().id);
        let is_at_work = matches!(case.state, State::Working | State::Releasing);
        if is_at_work && !case.lease.admits(&self.actor.request_id, Timestamp::now()) {
            return busy(&decided, &case, known && (acted || !decided.contains()));
        }
        let asked = self.weigh(&mut decided, &mut case, &before);
        match (case.state, acted) {
            (State::Settled | State::Releasing | State::Released, _)
                if acted && matches!(decided.finding().trigger, Trigger::Approval { .. }) =>
            {
                Ok(approve::carried_out(&decided, &case, &before))
            }
            (State::Released, _) => Box::pin(self.contain_again(decided, &case, &etag)).await,
            (State::Releasing, _) => Box::pin(self.interrupt_release(decided, case, etag, &before)).await,
            (State::Settled, true) => Box::pin(self.revisit(decided, case, etag, &before)).await,
            (State::Settled, false)
                if known && asked == Asked::Nothing && same_verdict(&before.decision.verdict, &decided.decision().verdict) =>
            {
                Box::pin(self.repeat(decided, case, etag)).await
            }
            (State::Working, true) => {
                let missing = self.missing(&decided, &wanted(&decided, &case), &decided.state);
                Box::pin(self.resume(decided, case, etag, &missing, &before)).await
            }
            (State::Working | State::Settled, false) => Box::pin(self.decide_anew(decided, case, etag)).await,
        }
    }

    /// Takes a case up where a delivery left it, or where somebody undid it. The original state stays the one
    /// remembered first; the plan gains what is missing now.
    pub(super) async fn resume(
        &self,
        mut decided: Decided<K>,
        case: OpenCase,
        etag: Etag,
        missing: &Plan,
        before: &Memory,
    ) -> Result<TargetResult, Retry> {
        decided.keep_advice_of(before);
        let settled = case.state == State::Settled;
        let only_to_settle = !settled && missing.is_empty() && case.findings.contains(&decided.finding().id);
        let has_more_to_do = settled && !missing.clone().without(&case.failed).is_empty();
        let mut plan = if decided.contains() { case.plan.clone().merged(missing) } else { case.plan.clone() };
        K::complete(&mut plan, &decided.state);
        if decided.contains() && settled {
            // What they would replace is known afresh; a delivery that crashed knew it before it changed anything.
            plan.renew_rungs(&decided.decision().plan);
        }
        let case = OpenCase {
            state: State::Working,
            lease: self.lease(),
            attempts: case.attempts + 1,
            plan,
            findings: with(case.findings, &decided.finding().id),
            // What was shown of a release is not what stands from now on.
            release: None,
            // From here on activity is activity after this.
            contained_at: if has_more_to_do { Some(Timestamp::now()) } else { case.contained_at },
            active_at: case.active_at.filter(|_| !has_more_to_do),
            // Of what is done now nobody has been told, even if the outcome will be the same.
            outcome: case.outcome.filter(|_| !has_more_to_do),
            ..case
        };
        let cuts: &[_] = if decided.contains() { &case.plan.cut } else { &[] };
        let (cuts, taken, counted) = tokio::join!(
            self.cut(&decided, cuts),
            self.function.store.replace(&case, &etag),
            // What stands is no further containment. The delivery that crashed may not have come to count its own.
            async { if settled { Ok(()) } else { self.count(&decided, &case).await } },
        );
        counted.map_err(|fault| Retry::after("counting the containment", case.case.to_string(), &fault, &cuts))?;
        let remembered = match taken {
            Ok(Written::Written(remembered)) => remembered,
            Ok(Written::Lost) => {
                return Err(Retry::after("taking the case up", case.case.to_string(), &super::conclude::taken_over(), &cuts));
            }
            Err(fault) => return Err(Retry::after("taking the case up", case.case.to_string(), &fault, &cuts)),
        };
        let failed = |fault| Retry::after("the ledger", case.case.to_string(), &fault, &cuts);
        let (journal, event) =
            tokio::join!(self.journal(&case.case, &case.memory), self.function.store.keep_event(&case.case, self.event));
        let mut journal = journal.map_err(failed)?;
        event.map_err(failed)?;
        if let Some(told) = told_before(&case, &journal).filter(|_| only_to_settle) {
            return self.settle(case, remembered.etag(), told, &journal, &cuts).await;
        }
        // Told after it was verified, perhaps; or by the try before the one that got no further than this.
        let may_be_repeated = !settled && matches!(journal.last_kind(), Some(EntryKind::Verified | EntryKind::Resumed));
        let what = serde_json::json!({
            "attempt": case.attempts,
            "reasserted": case.reasserted,
            "finding": decided.finding(),
            "event_sha256": decided.memory.event_sha256,
            "missing": missing,
        });
        self.append(&mut journal, EntryKind::Resumed, &what).await.map_err(failed)?;
        let mut work = Work::new(decided, case, journal);
        work.may_be_repeated = may_be_repeated;
        Box::pin(self.work(work, remembered, cuts, false)).await
    }

    /// A case under which nothing was changed so far, and to which something else is to be done now: a click, a
    /// changed guardrail, another finding. Plan and original state are remembered afresh.
    async fn decide_anew(&self, mut decided: Decided<K>, case: OpenCase, etag: Etag) -> Result<TargetResult, Retry> {
        decided.propose();
        let failed = |fault| Retry::before_any_change("reading the ledger", case.case.to_string(), &fault);
        let mut journal = self.journal(&case.case, &case.memory).await.map_err(failed)?;
        let known = case.findings.contains(&decided.finding().id);
        if case.state == State::Working
            && known
            && same_verdict_as_remembered(&case, &decided)
            && let Some(told) = told_before(&case, &journal)
        {
            return self.settle(case, &etag, told, &journal, &[]).await;
        }
        let may_be_repeated = case.state == State::Working && same_verdict_as_remembered(&case, &decided);
        let memory = journal.next(&self.actor, EntryKind::Decided, &decided.memory);
        // The finding of a delivery that crashed here has been told to nobody yet: its retry must not find it known.
        let untold = case.remembered().ok().filter(|_| case.state == State::Working).map(|before| before.finding.id);
        let known_findings = case.findings.iter().filter(|id| untold.as_ref() != Some(id)).cloned().collect();
        let attempts = if case.lease.holder == self.actor.request_id { case.attempts + 1 } else { 1 };
        let case = OpenCase {
            state: State::Working,
            lease: self.lease(),
            attempts,
            plan: if decided.contains() { decided.decision().plan.clone() } else { Plan::default() },
            findings: with(known_findings, &decided.finding().id),
            contained_at: None,
            active_at: None,
            outcome: case.outcome.filter(|_| known),
            memory,
            ..case
        };
        let (cuts, taken, counted) = tokio::join!(
            self.cut(&decided, &case.plan.cut),
            self.function.store.replace(&case, &etag),
            self.count(&decided, &case),
        );
        match taken {
            Ok(Written::Written(remembered)) => {
                counted.map_err(|fault| Retry::after("counting the containment", case.case.to_string(), &fault, &cuts))?;
                journal.advance(&case.memory);
                let mut work = Work::new(decided, case, journal);
                work.may_be_repeated = may_be_repeated;
                Box::pin(self.work(work, remembered, cuts, true)).await
            }
            Ok(Written::Lost) => {
                Err(Retry::after("remembering the plan", case.case.to_string(), &super::conclude::taken_over(), &cuts))
            }
            Err(fault) => Err(Retry::after("remembering the plan", case.case.to_string(), &fault, &cuts)),
        }
    }

    /// What `plan` wants and does not hold now.
    pub(super) fn missing(&self, decided: &Decided<K>, plan: &Plan, state: &K::State) -> Plan {
        K::missing(decided, plan, state, &self.function.responder, Timestamp::now())
    }

    pub(super) fn lease(&self) -> Lease {
        Lease { holder: self.actor.request_id.clone(), until: self.deadline }
    }
}

impl<K: Kind> Decided<K> {
    /// Keeps the advice given when the case was decided: by now our own changes are part of what is observed.
    pub(super) fn keep_advice_of(&mut self, before: &Memory) {
        self.memory.decision.next_steps.clone_from(&before.decision.next_steps);
    }
}

/// Whether whom the target is had to be asked first, so that no case could be looked for beside it.
fn is_found_by_asking(target: &Target) -> bool {
    matches!(target, Target::User(User { unique_id: None, .. }))
}

/// What could not be asked and may answer a moment later, and why it did not.
fn unasked(source: &AtSource, guardrails_passing: Option<String>) -> Option<(&'static str, String)> {
    match (source, guardrails_passing) {
        (AtSource::Unconfirmed { reason, retryable: true }, _) => Some(("asking the detector", reason.clone())),
        (_, Some(reason)) => Some(("reading the guardrails", reason)),
        _ => None,
    }
}

/// What the case wants for this finding. A revocation holds back only what was issued before it: another finding, or
/// activity after it, is reason for a later one. So is a finding that names more of what a session is.
pub(super) fn wanted<K: Kind>(decided: &Decided<K>, case: &OpenCase) -> Plan {
    let is_new = !case.findings.contains(&decided.finding().id);
    let later = case.plan.revoked_before().is_none_or(|cutoff| decided.finding().last_seen > cutoff);
    if decided.contains() && (is_new || later) { case.plan.clone().merged(&decided.decision().plan) } else { case.plan.clone() }
}

/// What people were told by a delivery that crashed before it could settle the case: then only that is left to do.
fn told_before(case: &OpenCase, journal: &Journal) -> Option<TargetResult> {
    let is_news = |entry: &&Entry| entry.entry == EntryKind::Reported && entry.number > case.settled_at;
    let reported = journal.last().filter(is_news)?;
    TargetResult::deserialize(reported.what.get("result")?).ok()
}

/// Another delivery is at work on the target. A finding in its hands needs nothing more; any other comes back when it
/// is done.
fn busy<K: Kind>(decided: &Decided<K>, case: &OpenCase, in_its_hands: bool) -> Result<TargetResult, Retry> {
    if in_its_hands {
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

/// Whether two decisions not to act say the same of one finding: then people know already.
fn same_verdict(before: &Verdict, now: &Verdict) -> bool {
    match (before, now) {
        // The reasons hold AWS's words of the moment, such as a request that timed out.
        (Verdict::Propose(_), Verdict::Propose(_)) => true,
        _ => before == now,
    }
}

fn same_verdict_as_remembered<K: Kind>(case: &OpenCase, decided: &Decided<K>) -> bool {
    case.remembered().is_ok_and(|before| same_verdict(&before.decision.verdict, &decided.decision().verdict))
}

/// The list with `one` in it.
pub(super) fn with<T: PartialEq + Clone>(mut list: Vec<T>, one: &T) -> Vec<T> {
    if !list.contains(one) {
        list.push(one.clone());
    }
    list
}

/// The steps of a plan in one line.
pub(super) fn names(plan: &Plan) -> String {
    plan.steps().map(|step| format!("{} on {}", step.name(), step.on())).collect::<Vec<_>>().join(", ")
}
