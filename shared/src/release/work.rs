//! One case: look, show, or do.

use serde_json::json;
use tracing::warn;

use super::Delivery;
use super::order::AskedMode;
use crate::aws::{Access, Compute, Fault, FaultClass, publish};
use crate::case::store::{Etag, Written};
use crate::case::{EntryKind, Journal, Memory, OpenCase, Releasing, State};
use crate::containment::TargetRecord;
use crate::containment::release::{Asked, Picture, Present, Shown, Turn, picture, turn};
use crate::error::Retry;
use crate::finding::Target;
use crate::plan::Plan;
use crate::report::released::{ReleaseOutcome, ReleaseResult, next_of_showing, release_note, release_notification, shown_steps};
use crate::report::security_hub;
use crate::respond::identity::principal;
use crate::respond::instance::observe;
use crate::respond::kind::Seen;
use crate::step::Hold;
use crate::timestamp::Timestamp;

/// A case in this delivery's hands.
pub(super) struct Work {
    pub(super) case: OpenCase,
    pub(super) memory: Memory,
    /// What was carried out: what is undone.
    pub(super) plan: Plan,
    pub(super) target: Target,
    pub(super) access: Access,
    pub(super) asked: Asked,
    /// Whether an earlier try may have told people already.
    pub(super) may_be_repeated: bool,
}

impl Work {
    pub(super) fn record(&self) -> &TargetRecord {
        &self.memory.decision.target
    }

    pub(super) fn failed(&self, what: &'static str, fault: &Fault) -> Retry {
        Retry::before_any_change(what, self.case.case.to_string(), fault)
    }

    pub(super) fn compute(&self) -> Compute {
        Compute::new(&self.access, &self.memory.finding.region)
    }
}

impl Delivery<'_> {
    /// Releases one case, or shows what releasing it would do.
    pub(super) async fn release(
        &self,
        case: OpenCase,
        etag: Etag,
        mode: Option<AskedMode>,
        asked: &Asked,
    ) -> Result<ReleaseResult, Retry> {
        let memory = case.remembered().map_err(|error| Retry {
            what: "reading the open case",
            resource: case.case.to_string(),
            cause: format!("its memory is not one of this version: {error}"),
            done: "nothing".to_owned(),
            not_done: "the release: undo the case by the lines in its ledger".to_owned(),
        })?;
        let record = memory.decision.target.clone();
        let answer = |outcome| ReleaseResult::of(&case.case, &record, outcome);
        let plan = case.plan.clone().without(&case.failed);
        if case.state == State::Released {
            let at = case.release.as_ref().and_then(|release| release.released_at).map(|at| format!(" at {at}"));
            let reason = format!("the case was released already{}", at.unwrap_or_default());
            return Ok(ReleaseResult { repeat: true, ..answer(ReleaseOutcome::Nothing(reason)) });
        }
        if plan.is_empty() {
            return Ok(answer(ReleaseOutcome::Nothing("this case changed nothing".to_owned())));
        }
        let is_at_work = matches!(case.state, State::Working | State::Releasing);
        if is_at_work && !case.lease.admits(&self.actor.request_id, Timestamp::now()) {
            return Err(Retry {
                what: "releasing",
                resource: case.case.to_string(),
                cause: format!("request {} is at work on it until {}", case.lease.holder, case.lease.until),
                done: "nothing".to_owned(),
                not_done: "the release".to_owned(),
            });
        }
        let account = &record.account;
        let responder = &self.function.responder;
        if *account != responder.account && !responder.members.iter().any(|member| member.account == *account) {
            let reason = format!("account {account} is not one that this stack may enter to release");
            return Ok(answer(ReleaseOutcome::Refused(reason)));
        }
        let access = match self.function.clients.access(account).await {
            Ok(access) => access,
            Err(fault) if fault.is_retryable() => {
                return Err(Retry::before_any_change("assuming the releasing role of", account.to_string(), &fault));
            }
            Err(fault) => {
                return Ok(answer(ReleaseOutcome::Refused(format!("account {account} cannot be entered: {fault}"))));
            }
        };
        let Some(target) = record.target() else {
            let reason = "the case does not say whom or what to look at".to_owned();
            return Ok(answer(ReleaseOutcome::Refused(reason)));
        };
        let is_mine =
            case.release.as_ref().and_then(|release| release.request.as_ref()).map(String::as_str) == Some(self.by.act());
        let asked = match &case.release {
            // What was begun is ended as it was asked for.
            Some(release) if is_mine => release.asked.clone(),
            _ => asked.clone(),
        };
        let work = Work { case, memory, plan, target, access, asked, may_be_repeated: is_mine };
        let (picture, _) = self.look(&work).await?;
        if let Some(reason) = picture.refused.clone() {
            return self.refuse(work, reason).await;
        }
        let digest = picture.digest(&work.asked);
        let shown = work.case.release.as_ref().and_then(|release| release.shown.clone());
        let turn = match mode {
            _ if is_mine => Turn::Do,
            Some(AskedMode::Do) => Turn::Do,
            Some(AskedMode::Show) => Turn::Show,
            None => turn(shown.as_ref(), self.by.act(), &digest, Timestamp::now()),
        };
        match turn {
            Turn::Do => Box::pin(self.carry_out(work, etag, &picture)).await,
            turn => Box::pin(self.show(work, etag, &picture, digest, turn)).await,
        }
    }

    /// The target as it is now, and what its release would do.
    pub(super) async fn look(&self, work: &Work) -> Result<(Picture, bool), Retry> {
        let finding = &work.memory.finding;
        let (present, passing) = if work.target.is_instance() {
            let Seen { state, passing } = observe::look(&work.access, finding, &work.target, &work.plan).await?;
            (Present::Instance(state), passing)
        } else {
            let Seen { state, passing } = principal::look(&work.access.iam, &work.target).await?;
            (Present::Identity(state), passing)
        };
        Ok((picture(&work.plan, &work.memory.original, &present, finding.first_seen, &work.asked), passing))
    }

    /// Shows: the ledger first, then the people, then the open case that says it was shown.
    async fn show(&self, work: Work, etag: Etag, picture: &Picture, digest: String, turn: Turn) -> Result<ReleaseResult, Retry> {
        let mut result = ReleaseResult::of(&work.case.case, work.record(), ReleaseOutcome::Shown);
        result.steps = shown_steps(picture, &work.plan);
        result.since.clone_from(&picture.since);
        result.next = next_of_showing(&work.case.case, picture, &work.asked, turn);
        if turn == Turn::WasShown {
            result.repeat = true;
            return Ok(result);
        }
        let journal = self.tell(&work, EntryKind::Shown, picture, &[], &result).await?;
        let shown = Shown { digest, at: Timestamp::now(), request: self.by.act().to_owned() };
        let release = Releasing { shown: Some(shown), ..work.case.release.clone().unwrap_or_default() };
        let case = OpenCase { release: Some(release), ..work.case };
        let failed = |fault: &Fault| Retry::before_any_change("remembering what was shown", case.case.to_string(), fault);
        match self.function.store.replace(&case, &etag).await {
            Ok(Written::Written(_)) => {
                self.keep_page(&case.case, &journal).await;
                Ok(result)
            }
            Ok(Written::Lost) => Err(failed(&taken_over())),
            Err(fault) => Err(failed(&fault)),
        }
    }

    /// Nothing may be done at all: said, and left to a person.
    async fn refuse(&self, work: Work, reason: String) -> Result<ReleaseResult, Retry> {
        let mut result = ReleaseResult::of(&work.case.case, work.record(), ReleaseOutcome::Refused(reason.clone()));
        result.next.push("Nothing was changed. Look at the target and at the case before anything else is done.".to_owned());
        let picture = Picture { refused: Some(reason), steps: Vec::new(), since: Vec::new() };
        let journal = self.tell(&work, EntryKind::Shown, &picture, &[], &result).await?;
        self.keep_page(&work.case.case, &journal).await;
        Ok(result)
    }

    /// Writes the result into the ledger, and tells people and the finding's copy.
    pub(super) async fn tell(
        &self,
        work: &Work,
        kind: EntryKind,
        picture: &Picture,
        holds: &[Hold],
        result: &ReleaseResult,
    ) -> Result<Journal, Retry> {
        let (store, clients) = (&self.function.store, &self.function.clients);
        let failed = |what| move |fault: Fault| Retry::before_any_change(what, result.case.to_string(), &fault);
        let mut journal =
            Journal::read(store, &result.case, Some(&work.case.memory)).await.map_err(failed("reading the ledger"))?;
        let what = json!({ "by": self.by, "not_told": self.by.not_told(), "asked": work.asked, "picture": picture, "holds": holds, "result": result });
        journal.append(store, &self.actor, kind, &what).await.map_err(failed("writing the ledger"))?;
        let bucket = &self.function.config.case_bucket;
        let message = release_notification(&work.memory, result, bucket, work.may_be_repeated);
        let text = release_note(result);
        let (sent, noted) = tokio::join!(
            publish(&clients.sns, &self.function.config.topic, &message.subject, message.body()),
            security_hub::note(&clients.securityhub, &work.memory.finding, &text),
        );
        sent.map_err(failed("telling people"))?;
        if !noted.holds() {
            warn!(case = %result.case, note = ?noted, "the finding's copy in Security Hub was not noted");
        }
        Ok(journal)
    }
}

pub(super) fn taken_over() -> Fault {
    Fault {
        code: "TakenOver".to_owned(),
        message: "somebody else wrote the case in the meantime".to_owned(),
        class: FaultClass::Retryable,
    }
}
