//! The driver of `seal-snapshot`: what happens to a snapshot of a case once EBS says that it is there, or failed.
//!
//! Every fact is looked up in the ledger before it is made true and written there afterwards, so that the same event
//! again ends with nothing done. Nothing here deletes.

mod case;
mod copy;
mod hash;
mod keep;
mod retain;
mod snapshot;

use std::collections::BTreeMap;
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::value::RawValue;
use tracing::{error, info};

use crate::aws::{Clients, Fault, FaultClass, Snapshot, Snapshots, load_config, publish};
use crate::case::belongs::{Claim, Claimed, provenance};
use crate::case::sealed::{Provenance, Role, SealRecord};
use crate::case::store::CaseStore;
use crate::case::{Actor, CaseId};
use crate::config::{ConfigError, Forensics, SealConfig};
use crate::error::Retry;
use crate::event::{SnapshotEvent, SnapshotRef, parse_snapshot_event};
use crate::guardrails::{EvidenceLock, Guardrails};
use crate::id::{AccountId, Region};
use crate::report::sealed::{ForensicsAccount, NotSealed, SealAnswer, SealNews, SealResult, sealed_notification};
use case::Case;

/// The function, with the clients and settings that live as long as its process.
#[derive(Debug)]
pub struct Function {
    clients: Clients,
    /// The forensics account, and the clients that may enter it: its role asks for another external id than the members'.
    forensics: Option<(Forensics, Clients)>,
    store: CaseStore,
    config: SealConfig,
}

/// One delivery of one event.
struct Delivery<'a> {
    function: &'a Function,
    actor: Actor,
}

/// A snapshot of a case, in this delivery's hands.
struct Work<'a> {
    place: &'a Snapshots,
    /// The account that owns it, and its Region.
    holder: &'a AccountId,
    region: &'a Region,
    reference: &'a SnapshotRef,
    /// Why it failed, in the words of the event.
    cause: Option<&'a str>,
    snapshot: Snapshot,
    claim: Claim,
    recorded: Provenance,
}

/// How long INIT may wait for what is only there to save time later.
const LONGEST_WARM_UP: Duration = Duration::from_secs(3);

impl Function {
    /// Reads the settings and makes the clients.
    ///
    /// # Errors
    /// When a setting is missing or invalid.
    pub async fn from_env() -> Result<Self, ConfigError> {
        let config = SealConfig::from_env()?;
        let aws = load_config(config.call_timeout).await;
        let clients = Clients::new(&aws, config.members.clone(), config.external_id.clone());
        let forensics = config.forensics.clone().map(|forensics| {
            let role = [(forensics.account.clone(), forensics.role.clone())];
            let clients = Clients::new(&aws, role, forensics.external_id.clone());
            (forensics, clients)
        });
        let store = CaseStore::new(clients.s3.clone(), config.case_bucket.clone());
        // Only there to open the connection: each invocation reads the guardrails anew.
        drop(tokio::time::timeout(LONGEST_WARM_UP, store.guardrails()).await);
        Ok(Self { clients, forensics, store, config })
    }

    /// Handles one invocation, and writes its one log line.
    ///
    /// # Errors
    /// Only for what another delivery of the same event can mend.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<SealAnswer, Diagnostic> {
        let actor = Actor {
            function: event.context.invoked_function_arn.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            request_id: event.context.request_id.clone(),
        };
        let delivery = Delivery { function: self, actor };
        let answer = Box::pin(delivery.respond(event.payload.get().as_bytes())).await;
        match &answer {
            Ok(answer) => info!(answer = %serde_json::to_string(answer).unwrap_or_default(), "event handled"),
            Err(retry) => {
                error!(error = %retry, "event not finished");
                // A role may have been made again, and its sessions with it: the next try assumes it anew.
                self.clients.forget_members().await;
                if let Some((_, clients)) = &self.forensics {
                    clients.forget_members().await;
                }
            }
        }
        answer.map_err(Diagnostic::from)
    }

    /// The snapshots of `account`, which is the function's own, a member's or the forensics account; nothing for any
    /// other one.
    async fn place(&self, account: &AccountId, region: &Region) -> Result<Option<Snapshots>, Fault> {
        let forensics = self.forensics.as_ref().filter(|(forensics, _)| forensics.account == *account);
        let access = if let Some((_, clients)) = forensics {
            clients.access(account).await?
        } else if self.config.account == *account || self.config.members.contains_key(account) {
            self.clients.access(account).await?
        } else {
            return Ok(None);
        };
        Ok(Some(Snapshots::new(&access, region)))
    }

    /// How evidence is locked. Where the guardrails cannot be read it is locked as if they said nothing of it: a lock in
    /// governance mode can be taken off again.
    async fn evidence_lock(&self) -> EvidenceLock {
        let text = self.store.guardrails().await.ok();
        let guardrails = text.and_then(|text| Guardrails::parse("guardrails.toml", &text).ok());
        guardrails.map(|guardrails| guardrails.evidence().clone()).unwrap_or_default()
    }
}

impl Delivery<'_> {
    async fn respond(&self, bytes: &[u8]) -> Result<SealAnswer, Retry> {
        let mut answer = SealAnswer::default();
        let event = match parse_snapshot_event(bytes) {
            Ok(event) => event,
            Err(ignored) => {
                answer.ignored.push(passed(ignored.reason.as_str(), ignored.detail));
                return Ok(answer);
            }
        };
        let failed = |fault: &Fault| Retry::before_any_change("reading the snapshots", event.account.to_string(), fault);
        let place = self.function.place(&event.account, &event.region).await.map_err(|fault| failed(&fault))?;
        let Some(place) = place else {
            answer.ignored.push(passed("account_not_listed", event.account.to_string()));
            return Ok(answer);
        };
        let ids: Vec<_> = event.snapshots.iter().map(|reference| reference.snapshot.clone()).collect();
        let described = place.named(&ids).await.map_err(|fault| failed(&fault))?;
        let lock = self.function.evidence_lock().await;
        let mut cases = BTreeMap::new();
        let mut unfinished = None;
        // One after the other: they share the quota, and each writes to the ledger. One that has to be tried again does
        // not keep the others waiting.
        for reference in &event.snapshots {
            match Box::pin(self.one(&place, &event, reference, &described, &lock, &mut cases)).await {
                Ok(Ok(result)) => answer.snapshots.push(result),
                Ok(Err(not_ours)) => answer.ignored.push(not_ours),
                Err(retry) => unfinished = Some(retry),
            }
        }
        for case in cases.values_mut() {
            let told = self.tell(case, &answer.snapshots).await;
            unfinished = told.err().or(unfinished);
        }
        unfinished.map_or(Ok(answer), Err)
    }

    /// One snapshot of the event: what became of it, or why it is none of ours.
    async fn one(
        &self,
        place: &Snapshots,
        event: &SnapshotEvent,
        reference: &SnapshotRef,
        described: &[Snapshot],
        lock: &EvidenceLock,
        cases: &mut BTreeMap<CaseId, Case>,
    ) -> Result<Result<SealResult, NotSealed>, Retry> {
        let id = &reference.snapshot;
        let Some(snapshot) = described.iter().find(|snapshot| snapshot.id == *id).cloned() else {
            return Ok(Err(passed("no_such_snapshot", format!("account {} owns no {id}", event.account))));
        };
        let is_forensics = self.function.forensics.as_ref().is_some_and(|(forensics, _)| forensics.account == event.account);
        let claim = match Claim::of(id, &snapshot.tags, &event.account, is_forensics) {
            Ok(claim) => claim,
            Err(reason) => return Ok(Err(passed("not_evidence", format!("{id}: {reason}")))),
        };
        // The account in the tags of a forensic copy must be one of those whose instances are contained.
        if claim.account != self.function.config.account && !self.function.config.members.contains_key(&claim.account) {
            return Ok(Err(passed("account_not_listed", format!("{id} claims to be of {}", claim.account))));
        }
        let failed = |fault: &Fault| Retry::before_any_change("reading the case", claim.case.to_string(), fault);
        if !cases.contains_key(&claim.case) {
            match Case::read(&self.function.store, &claim).await.map_err(|fault| failed(&fault))? {
                Ok(case) => drop(cases.insert(claim.case.clone(), case)),
                Err(reason) => return Ok(Err(passed("not_of_a_case", format!("{id}: {reason}")))),
            }
        }
        let Some(case) = cases.get_mut(&claim.case) else {
            return Err(failed(&Fault { code: "Lost".to_owned(), message: String::new(), class: FaultClass::Retryable }));
        };
        let claimed = Claimed {
            claim: &claim,
            snapshot: id,
            volume: snapshot.volume.as_ref(),
            key: snapshot.key.as_deref(),
            holder: &event.account,
        };
        let Some(recorded) = provenance(claimed, &case.open, &case.entries) else {
            return Ok(Err(passed("not_recorded", format!("{id}: nothing in {} says that it is evidence", claim.case))));
        };
        let work = Work {
            place,
            holder: &event.account,
            region: &event.region,
            reference,
            cause: event.cause.as_deref(),
            snapshot,
            claim,
            recorded,
        };
        let before = case.written;
        let result = match work.claim.role {
            Role::Source => self.source(&work, case, lock).await,
            Role::Transit => self.transit(&work, case).await,
            Role::Forensic => self.forensic(&work, case, lock).await,
        };
        result.map(|result| Ok(SealResult { repeat: case.written == before, ..result }))
    }

    /// Tells people what the ledger knows of a case's snapshots and they do not.
    async fn tell(&self, case: &mut Case, results: &[SealResult]) -> Result<(), Retry> {
        let news: Vec<SealResult> =
            results.iter().filter(|result| result.case == case.id && case.is_news(&result.snapshot)).cloned().collect();
        let message = sealed_notification(SealNews {
            results: &news,
            case_bucket: &self.function.config.case_bucket,
            forensics: self.function.forensics.as_ref().map(|(forensics, _)| ForensicsAccount {
                account: &forensics.account,
                case_bucket: forensics.case_bucket.as_deref(),
            }),
            may_be_repeated: news.iter().any(|result| result.repeat),
        });
        let Some(message) = message else { return Ok(()) };
        let (sns, topic) = (&self.function.clients.sns, &self.function.config.topic);
        let sent = publish(sns, topic, &message.subject, message.body()).await;
        let notification = sent.map_err(|fault| case.failed("telling people", &fault))?;
        let about = news.into_iter().map(|result| result.snapshot).collect();
        let told = SealRecord::Told { about, notification };
        self.record(case, told).await.map(drop)
    }
}

fn passed(reason: &str, detail: impl Into<String>) -> NotSealed {
    NotSealed { reason: reason.to_owned(), detail: crate::text::printable(&detail.into(), 200) }
}
