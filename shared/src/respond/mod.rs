//! The driver of every `contain-*` function: the walk a finding takes, from bytes to the answer.

mod act;
mod afterwards;
mod approve;
mod budget;
mod conclude;
#[cfg(feature = "identity")]
pub(crate) mod identity;
#[cfg(feature = "instance")]
pub(crate) mod instance;
pub(crate) mod kind;
mod page;
pub(crate) mod read;
mod rechecks;
mod released;
mod revisit;
mod source;
mod verify;
mod walk;

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::{error, info};

use crate::aws::{Clients, Fault, load_config, warm_up};
use crate::case::store::CaseStore;
use crate::case::{Actor, CaseId, Entry, EntryKind, Journal};
use crate::config::{Config, ConfigError};
use crate::containment::{Responder, refused_click};
use crate::error::Retry;
use crate::event::{self, Ignored, Parsed};
use crate::finding::{Button, Finding, Target};
use crate::id::Region;
use crate::report::answer::{Answer, FindingSummary, TargetResult};
use crate::report::metrics::metric_lines;
use crate::timestamp::Timestamp;

#[cfg(feature = "identity")]
pub use identity::Identities;
#[cfg(feature = "instance")]
pub use instance::Instances;
use kind::Kind;
#[cfg(feature = "release")]
pub(crate) use page::write_page;

/// A function for one kind of target, with the clients and settings that live as long as its process.
#[derive(Debug)]
pub struct Function<K> {
    clients: Clients,
    store: CaseStore,
    config: Config,
    responder: Responder,
    region: Region,
    kind: PhantomData<K>,
}

/// One delivery of one event.
#[derive(Debug)]
pub(crate) struct Delivery<'a, K> {
    function: &'a Function<K>,
    actor: Actor,
    /// When Lambda ends this invocation: until then nobody else works on the case.
    deadline: Timestamp,
    started: Instant,
    /// The same instant on the clock.
    received: Timestamp,
    event: &'a [u8],
}

/// What became of one target.
enum Handled {
    Result(Box<TargetResult>),
    Ignored(Ignored),
}

/// The buttons that a function which contains answers.
const BUTTONS: [Button; 2] = [Button::Contain, Button::Propose];

/// How long INIT may wait for what is only there to save time later.
const LONGEST_WARM_UP: Duration = Duration::from_secs(3);

#[expect(private_bounds, reason = "only the kinds of this crate are kinds")]
impl<K: Kind> Function<K> {
    /// Reads the settings and makes the clients.
    ///
    /// # Errors
    /// When a setting is missing or invalid.
    pub async fn from_env() -> Result<Self, ConfigError> {
        let config = Config::from_env()?;
        let members = config.members()?;
        let aws = load_config(config.call_timeout).await;
        let clients = Clients::new(&aws, members, config.external_id.clone());
        let store = CaseStore::new(clients.s3.clone(), config.case_bucket.clone());
        let responder = config.responder()?;
        let region = config.region()?;
        if config.warm_up {
            // What INIT reads is only there to open the connection: each invocation reads the guardrails anew.
            // INIT has ten seconds; a network that hangs must not use them up.
            let warm = async { tokio::join!(store.guardrails(), warm_up(&aws, K::endpoints)) };
            drop(tokio::time::timeout(LONGEST_WARM_UP, warm).await);
        }
        Ok(Self { clients, store, config, responder, region, kind: PhantomData })
    }

    /// Handles one invocation: the whole walk, its one log line, and a line of metrics for each result.
    ///
    /// # Errors
    /// Only for what another delivery of the same event can mend.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Diagnostic> {
        let delivery = Delivery::new(self, event.payload.get().as_bytes(), &event.context);
        self.clients.calls.begin();
        let answer = Box::pin(delivery.respond()).await;
        match &answer {
            Ok(answer) => {
                info!(answer = %serde_json::to_string(answer).unwrap_or_default(), "event handled");
                crate::config::write_lines(&metric_lines(answer));
            }
            Err(retry) => {
                error!(error = %retry, "event not finished");
                // A member's role may have been made again, and its sessions with it: the next try assumes it anew.
                self.clients.forget_members().await;
            }
        }
        answer.map_err(Diagnostic::from)
    }
}

impl<'a, K: Kind> Delivery<'a, K> {
    fn new(function: &'a Function<K>, event: &'a [u8], context: &Context) -> Self {
        let (started, received) = (Instant::now(), Timestamp::now());
        let deadline = i64::try_from(context.deadline.div_ceil(1000)).ok().and_then(Timestamp::from_unix);
        // A runtime that gives no deadline is a local one; a minute is the template's timeout.
        let deadline = deadline
            .filter(|deadline| *deadline > Timestamp::now())
            .unwrap_or_else(|| Timestamp::now().plus(Duration::from_mins(1)));
        let actor = Actor {
            function: context.invoked_function_arn.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request_id: context.request_id.clone(),
        };
        Self { function, actor, deadline, started, received, event }
    }

    /// Every target of every finding. One that has to be tried again does not keep the others waiting.
    async fn respond(&self) -> Result<Answer, Retry> {
        if let Some(approval) = event::parse_approval(self.event) {
            return Box::pin(self.approve(approval)).await;
        }
        let mut answer = Answer { finding: None, results: Vec::new(), ignored: Vec::new() };
        let mut unfinished = None;
        for parsed in event::parse(self.event) {
            let finding = match parsed {
                Parsed::Finding(finding) => finding,
                Parsed::Ignored(ignored) => {
                    answer.ignored.push(ignored);
                    continue;
                }
            };
            answer.finding.get_or_insert_with(|| FindingSummary::from(&*finding));
            let (account, region) = (&self.function.responder.account, &self.function.region);
            if let Some(ignored) = refused_click(&finding.trigger, &BUTTONS, account, region) {
                answer.ignored.push(ignored);
                continue;
            }
            let mine: Vec<&Target> = finding.targets.iter().filter(|target| K::is_mine(target)).collect();
            if mine.is_empty() {
                answer.ignored.push(Ignored { reason: K::NOT_MINE, detail: finding.finding_type.clone() });
            }
            // Side by side: no target waits for another to be read back. Boxed: the walk's state is large.
            let handled = join_all(mine.into_iter().map(|target| Box::pin(self.contain(&finding, target)))).await;
            for handled in handled {
                match handled {
                    Ok(Handled::Result(result)) => answer.results.push(*result),
                    Ok(Handled::Ignored(ignored)) => answer.ignored.push(ignored),
                    Err(retry) => unfinished = Some(retry),
                }
            }
        }
        unfinished.map_or(Ok(answer), Err)
    }

    /// The ledger of an open case as it stands.
    async fn journal(&self, case: &CaseId, memory: &Entry) -> Result<Journal, Fault> {
        Journal::read(&self.function.store, case, Some(memory)).await
    }

    /// Appends one record.
    async fn append(&self, journal: &mut Journal, kind: EntryKind, what: &impl Serialize) -> Result<(), Fault> {
        journal.append(&self.function.store, &self.actor, kind, what).await
    }

    /// Milliseconds since the handler's first line.
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The finding in its detector's own words, where the detector was asked: dates and keys that decide what counts as new,
/// and as the attacker's, too. Where it happened stays what the event claims: that the two agree is for the decision to
/// check.
fn in_the_detectors_words(claimed: &Finding, confirmed: &Finding) -> Finding {
    Finding {
        finding_type: confirmed.finding_type.clone(),
        severity: confirmed.severity,
        title: confirmed.title.clone(),
        first_seen: confirmed.first_seen,
        last_seen: confirmed.last_seen.max(claimed.last_seen),
        targets: confirmed.targets.clone(),
        assumed_roles: confirmed.assumed_roles.clone(),
        ..claimed.clone()
    }
}
