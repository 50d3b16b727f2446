//! The driver of `release`: undoes a case, newest step first.
//!
//! The first word shows, the second does. A step is undone only where the target stands as the case left it; what keeps
//! the attacker's older sessions out is remembered and put in place before a deny goes (CONTAINMENT A23, H6).

mod carry_out;
mod find;
mod lift;
mod order;
mod work;

use std::time::Duration;

use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::value::RawValue;
use tracing::{error, info};

use crate::aws::{Clients, Scheduler, load_config};
use crate::case::store::CaseStore;
use crate::case::{Actor, CaseId, Journal, Lease};
use crate::config::{Config, ConfigError, schedules};
use crate::containment::proposal::Approver;
use crate::containment::release::Asked;
use crate::containment::{Responder, refused_click};
use crate::error::Retry;
use crate::event::pressed;
use crate::finding::Button;
use crate::id::{Arn, Region};
use crate::report::released::ReleaseAnswer;
use crate::respond::write_page;
use crate::timestamp::Timestamp;
use order::Order;

/// The function, with the clients and settings that live as long as its process.
#[derive(Debug)]
pub struct Function {
    clients: Clients,
    store: CaseStore,
    config: Config,
    responder: Responder,
    region: Region,
    /// What takes away later what keeps the older sessions out; without it a person does.
    scheduler: Option<Scheduler>,
}

/// One delivery of one request.
struct Delivery<'a> {
    function: &'a Function,
    actor: Actor,
    by: Approver,
    deadline: Timestamp,
}

impl Function {
    /// Reads the settings and makes the clients.
    ///
    /// # Errors
    /// When a setting is missing or invalid.
    pub async fn from_env() -> Result<Self, ConfigError> {
        let config = Config::from_env()?;
        let aws = load_config(config.call_timeout).await;
        let clients = Clients::new(&aws, config.members()?, config.external_id.clone());
        let store = CaseStore::new(clients.s3.clone(), config.case_bucket.clone());
        let scheduler = schedules()?.map(|schedules| Scheduler::new(&clients.scheduler, schedules));
        Ok(Self { responder: config.responder()?, region: config.region()?, clients, store, config, scheduler })
    }

    /// Handles one invocation, and writes its one log line.
    ///
    /// # Errors
    /// Only for what another delivery of the same event can mend.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<ReleaseAnswer, Diagnostic> {
        let bytes = event.payload.get().as_bytes();
        let delivery = Delivery::new(self, bytes, &event.context);
        self.clients.calls.begin();
        let answer = Box::pin(delivery.respond(bytes)).await;
        match &answer {
            Ok(answer) => info!(answer = %serde_json::to_string(answer).unwrap_or_default(), "request handled"),
            Err(retry) => {
                error!(error = %retry, "request not finished");
                self.clients.forget_members().await;
            }
        }
        answer.map_err(Diagnostic::from)
    }
}

impl<'a> Delivery<'a> {
    fn new(function: &'a Function, event: &[u8], context: &Context) -> Self {
        let actor = Actor {
            function: context.invoked_function_arn.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request_id: context.request_id.clone(),
        };
        let press = pressed(event);
        let by = match (press.event, press.action) {
            (Some(event), Some(action)) => Approver::Button { event, account: press.account, at: press.at, action },
            _ => Approver::Invocation { request: context.request_id.clone() },
        };
        let deadline = i64::try_from(context.deadline.div_ceil(1000)).ok().and_then(Timestamp::from_unix);
        let now = Timestamp::now();
        // A runtime that gives no deadline is a local one.
        let deadline = deadline.filter(|deadline| *deadline > now).unwrap_or_else(|| now.plus(Duration::from_mins(1)));
        Self { function, actor, by, deadline }
    }

    async fn respond(&self, event: &[u8]) -> Result<ReleaseAnswer, Retry> {
        let mut answer = ReleaseAnswer::default();
        match order::order(event) {
            Order::Nothing(ignored) => answer.ignored = ignored,
            Order::Lift { case } => self.lift(&case, &mut answer).await?,
            Order::Case { case, mode, asked } => match self.case(&case).await? {
                Ok((case, etag)) => answer.results.push(self.release(case, etag, mode, &asked).await?),
                Err(none) => answer.ignored.push(none),
            },
            Order::Pressed { findings, ignored } => {
                answer.ignored = ignored;
                for finding in &findings {
                    if let Some(refused) = refused_click(
                        &finding.trigger,
                        &[Button::Release],
                        &self.function.responder.account,
                        &self.function.region,
                    ) {
                        answer.ignored.push(refused);
                        continue;
                    }
                    let cases = self.cases_of(finding).await?;
                    if cases.is_empty() {
                        answer.ignored.push(find::no_case(&finding.id.to_string()));
                    }
                    for (case, etag) in cases {
                        answer.results.push(self.release(case, etag, None, &Asked::default()).await?);
                    }
                }
            }
        }
        Ok(answer)
    }

    fn lease(&self) -> Lease {
        Lease { holder: self.actor.request_id.clone(), until: self.deadline }
    }

    /// The function itself, for what it has invoked later.
    fn own_arn(&self) -> Option<Arn> {
        Arn::parse(&self.actor.function).ok()
    }
}

impl Delivery<'_> {
    async fn keep_page(&self, case: &CaseId, journal: &Journal) {
        write_page(&self.function.store, &self.function.config.case_bucket, &self.actor.function, case, journal).await;
    }
}
