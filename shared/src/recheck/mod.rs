//! The driver of `recheck`: does a containment still hold? Reads the target again, asks CloudTrail what the contained
//! principal left behind, writes both into the ledger. Where it does not hold, the case goes back to the function that
//! contained it, with the event that it was contained for: guardrails, the detector's word, the bound on assertions and
//! `contested` are that function's.

mod asked;
mod look;
mod target;

use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::json;
use serde_json::value::RawValue;
use tracing::{error, info, warn};

use crate::aws::{Call, Clients, Fault, FaultClass, load_config, publish};
use crate::case::store::CaseStore;
use crate::case::{Actor, Entry, EntryKind, Journal, Memory, OpenCase, RecheckRecord, State, event_key};
use crate::config::{ConfigError, RecheckConfig};
use crate::containment::Verdict;
use crate::error::Retry;
use crate::finding::Target;
use crate::report::page::{Chain, Page, page};
use crate::report::rechecked::{RecheckAnswer, RecheckResult, Rechecked, recheck_notification};
use crate::text::{printable, sha256};
use crate::timestamp::Timestamp;

pub use asked::Asked;

/// The function, with the clients and settings that live as long as its process.
#[derive(Debug)]
pub struct Function {
    clients: Clients,
    store: CaseStore,
    config: RecheckConfig,
}

/// A case that is looked at.
struct Work<'a> {
    function: &'a Function,
    actor: Actor,
    round: u8,
    case: OpenCase,
    memory: Memory,
    target: Target,
}

impl Function {
    /// Reads the settings and makes the clients.
    ///
    /// # Errors
    /// When a setting is missing or invalid.
    pub async fn from_env() -> Result<Self, ConfigError> {
        let config = RecheckConfig::from_env()?;
        let aws = load_config(config.call_timeout).await;
        let members = config.responder.members.iter().map(|member| (member.account.clone(), member.role.clone()));
        let clients = Clients::new(&aws, members, config.external_id.clone());
        let store = CaseStore::new(clients.s3.clone(), config.case_bucket.clone());
        Ok(Self { clients, store, config })
    }

    /// Handles one invocation, and writes its one log line.
    ///
    /// # Errors
    /// Only for what another delivery of the same event can mend.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<RecheckAnswer, Diagnostic> {
        let actor = Actor {
            function: event.context.invoked_function_arn.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request_id: event.context.request_id.clone(),
        };
        let answer = Box::pin(self.respond(event.payload.get().as_bytes(), actor)).await;
        match &answer {
            Ok(answer) => info!(answer = %serde_json::to_string(answer).unwrap_or_default(), "recheck done"),
            Err(retry) => {
                error!(error = %retry, "recheck not finished");
                self.clients.forget_members().await;
            }
        }
        answer.map_err(Diagnostic::from)
    }

    async fn respond(&self, event: &[u8], actor: Actor) -> Result<RecheckAnswer, Retry> {
        let asked = match Asked::parse(event) {
            Ok(asked) => asked,
            Err(reason) => return Ok(RecheckAnswer::nothing("not_a_recheck", &reason)),
        };
        let key = OpenCase::key(&asked.target);
        let failed = |fault: &Fault| Retry::before_any_change("reading the open case", key.clone(), fault);
        let open = self.store.open_case(&asked.target).await.map_err(|fault| failed(&fault))?;
        let Some((case, _)) = open else { return Ok(RecheckAnswer::nothing("no_case", &asked.target)) };
        if case.case != asked.case || case.target != asked.target {
            return Ok(RecheckAnswer::nothing("superseded", &format!("the case of {} is {}", asked.target, case.case)));
        }
        if matches!(case.state, State::Releasing | State::Released) {
            return Ok(RecheckAnswer::nothing("released", &format!("{} is being released, or was", case.case)));
        }
        let memory = case.remembered().map_err(|error| {
            let message = format!("its memory is not one of this version: {error}");
            failed(&Fault { code: "Unreadable".to_owned(), message, class: FaultClass::Permanent })
        })?;
        if memory.decision.verdict != Verdict::Contain || case.plan.is_empty() {
            return Ok(RecheckAnswer::nothing("not_contained", case.case.as_str()));
        }
        let Some(target) = memory.decision.target.target() else {
            return Ok(RecheckAnswer::nothing("not_contained", case.case.as_str()));
        };
        let work = Work { function: self, actor, round: asked.round, case, memory, target };
        Box::pin(work.recheck()).await
    }
}

impl Work<'_> {
    async fn recheck(&self) -> Result<RecheckAnswer, Retry> {
        let read = self.function.store.entries(&self.case.case).await;
        let entries = read.map_err(|fault| self.failed("reading the ledger", &fault))?;
        let is_mine = |entry: &Entry| entry.actor.request_id == self.actor.request_id;
        let is_this = |entry: &Entry, record: &RecheckRecord| {
            record.round == self.round && (record.settled == self.case.settled_at || is_mine(entry))
        };
        let record = |entry| RecheckRecord::of(entry).filter(|record| is_this(entry, record)).map(|record| (entry, record));
        let is_owed = |entry: &Entry, record: &RecheckRecord| record.news && !RecheckRecord::was_told(entry.number, &entries);
        match (entries.iter().rev().find_map(record), self.case.state) {
            // An earlier try of this event was cut short after it had looked, or all of another delivery's were.
            (Some((entry, record)), state) if is_mine(entry) || is_owed(entry, &record) => {
                // Once it is handed back it is at work, or settled anew.
                let is_to_hand_back = state == State::Settled && record.settled == self.case.settled_at;
                self.finish((entry.number, &record), &entries, is_to_hand_back, true).await
            }
            // Scheduler delivers at least once, and so does Lambda: what another delivery has looked at is done.
            (Some((_, record)), _) => Ok(self.answer(&record, true, None)),
            (None, State::Settled) => self.look_and_record(entries).await,
            (None, State::Working) => self.take_from_nobody().await,
            (None, State::Releasing | State::Released) => Ok(RecheckAnswer::nothing("released", self.case.case.as_str())),
        }
    }

    async fn look_and_record(&self, mut entries: Vec<Entry>) -> Result<RecheckAnswer, Retry> {
        let store = &self.function.store;
        let look = Box::pin(self.look()).await?;
        let record = RecheckRecord::judge(self.round, &self.case, &entries, look, Timestamp::now());
        let failed = |fault: &Fault| self.failed("writing the ledger", fault);
        let read = Journal::read(store, &self.case.case, Some(&self.case.memory)).await;
        let mut journal = read.map_err(|fault| failed(&fault))?;
        let written = journal.append(store, &self.actor, EntryKind::Rechecked, &record).await;
        written.map_err(|fault| failed(&fault))?;
        // Told, it may be, by a look that could not write that down any more.
        let is_owed = |entry: &Entry| {
            RecheckRecord::of(entry).is_some_and(|record| record.news) && !RecheckRecord::was_told(entry.number, &entries)
        };
        let may_be_repeated = entries.iter().any(is_owed);
        entries.extend(journal.last().cloned());
        self.finish((journal.number(), &record), &entries, true, may_be_repeated).await
    }

    /// What follows from a look that is in the ledger. People first: once the case is handed back, a try after this one
    /// finds another containment, and would say nothing of this look.
    async fn finish(
        &self,
        (look, record): (u32, &RecheckRecord),
        entries: &[Entry],
        may_hand_back: bool,
        may_be_repeated: bool,
    ) -> Result<RecheckAnswer, Retry> {
        if record.news && !RecheckRecord::was_told(look, entries) {
            self.tell(record, None, may_be_repeated).await?;
            self.note_as_told(look).await?;
        }
        let refused = if record.handed_back && may_hand_back { self.hand_back().await? } else { None };
        if refused.is_some() {
            self.tell(record, refused.as_deref(), may_be_repeated).await?;
        }
        self.keep_page(entries).await;
        Ok(self.answer(record, false, refused))
    }

    /// Writes down that people know what a look found: an event that never got so far may be sent again.
    async fn note_as_told(&self, look: u32) -> Result<(), Retry> {
        let store = &self.function.store;
        let failed = |fault: &Fault| self.failed("writing the ledger", fault);
        let read = Journal::read(store, &self.case.case, Some(&self.case.memory)).await;
        let mut journal = read.map_err(|fault| failed(&fault))?;
        let written = journal.append(store, &self.actor, EntryKind::Told, &json!({ "look": look })).await;
        written.map(drop).map_err(|fault| failed(&fault))
    }

    /// A case that a delivery is at work on, or was when it died for good.
    async fn take_from_nobody(&self) -> Result<RecheckAnswer, Retry> {
        if !self.case.lease.admits(&self.actor.request_id, Timestamp::now()) {
            let message = format!("request {} is at work on it until {}", self.case.lease.holder, self.case.lease.until);
            return Err(self.failed("looking at", &Fault { code: "AtWork".to_owned(), message, class: FaultClass::Retryable }));
        }
        // Whatever holds: nobody was told of an outcome. Only what contains it can finish it.
        let refused = self.hand_back().await?;
        let reason = refused.unwrap_or_else(|| "handed back to be finished".to_owned());
        Ok(RecheckAnswer::nothing("not_finished", &format!("{}: {reason}", self.case.case)))
    }

    /// Hands the case back to the function that contained it; why that is refused, if it is.
    async fn hand_back(&self) -> Result<Option<String>, Retry> {
        let config = &self.function.config;
        let name = if self.target.is_instance() { &config.contain_instance } else { &config.contain_identity };
        let key = event_key(&self.case.case, &self.memory.event_sha256);
        let event = match self.function.store.object(&key).await {
            Ok(event) if sha256(&event) == self.memory.event_sha256 => event,
            Ok(_) => return Ok(Some(format!("{key} is not the event that the case remembers"))),
            Err(fault) if fault.is_retryable() => return Err(self.failed("reading the event", &fault)),
            Err(fault) => return Ok(Some(format!("{key}: {fault}"))),
        };
        let call = Call {
            operation: "Invoke",
            method: "POST",
            path: format!("/2015-03-31/functions/{}/invocations", name.as_str()),
            target: None,
            body: serde_json::Value::Null,
        };
        match self.function.clients.lambda.hand_over(call, ("x-amz-invocation-type", "Event"), event).await {
            Ok(()) => Ok(None),
            Err(fault) if fault.is_retryable() => Err(self.failed("handing the case back", &fault)),
            Err(fault) => Ok(Some(format!("{} could not be invoked: {fault}", name.as_str()))),
        }
    }

    async fn tell(&self, record: &RecheckRecord, refused: Option<&str>, may_be_repeated: bool) -> Result<(), Retry> {
        let message = recheck_notification(Rechecked {
            case: &self.case.case,
            finding: &self.memory.finding,
            target: &self.memory.decision.target,
            record,
            refused,
            case_bucket: &self.function.config.case_bucket,
            may_be_repeated,
        });
        let (sns, topic) = (&self.function.clients.sns, &self.function.config.topic);
        let sent = publish(sns, topic, &message.subject, message.body()).await;
        sent.map(drop).map_err(|fault| self.failed("telling people", &fault))
    }

    /// The page is made of the ledger and can be made again: what becomes of it changes nothing.
    async fn keep_page(&self, entries: &[Entry]) {
        let place = format!("s3://{}", self.function.config.case_bucket);
        let (case, made) = (&self.case.case, Timestamp::now());
        let of = Page { case, entries, place: &place, chain: Chain::NotChecked, made, made_by: &self.actor.function };
        let Some(page) = page(of) else { return };
        if let Err(fault) = self.function.store.keep_page(case, page).await {
            let next = format!("make report CASE={case}");
            warn!(case = %case, reason = %fault, next = %next, "the case report was not written");
        }
    }

    fn answer(&self, record: &RecheckRecord, repeat: bool, refused: Option<String>) -> RecheckAnswer {
        let missing = record.missing.steps().map(|step| format!("{} on {}", step.name(), step.on())).collect();
        RecheckAnswer::of(RecheckResult {
            case: self.case.case.clone(),
            target: self.case.target.clone(),
            round: self.round,
            holds: record.holds,
            missing,
            gone: record.gone.clone(),
            created: record.created.iter().map(crate::event::Created::label).collect(),
            unread: record.unread.clone(),
            more: record.more.clone(),
            handed_back: record.handed_back && refused.is_none(),
            left: record.left.clone().or(refused),
            repeat,
        })
    }

    fn failed(&self, what: &'static str, fault: &Fault) -> Retry {
        Retry {
            what,
            resource: printable(self.case.case.as_str(), 80),
            cause: fault.to_string(),
            done: "nothing was changed on the target".to_owned(),
            not_done: "the rest of the recheck".to_owned(),
        }
    }
}
