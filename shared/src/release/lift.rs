//! The end of a release: what kept the older sessions out goes when the last of them has expired.

use serde::Deserialize as _;
use serde_json::json;

use super::Delivery;
use super::find::no_case;
use crate::aws::{Fault, publish};
use crate::case::{Entry, EntryKind, Journal};
use crate::error::Retry;
use crate::id::CaseId;
use crate::report::released::{Held, ReleaseAnswer, ReleaseOutcome, ReleaseResult, release_notification};
use crate::step::Hold;
use crate::timestamp::Timestamp;

impl Delivery<'_> {
    /// Takes away what the release of a case left. By the ledger, since the target may have another case by now; and only
    /// what stands as it was put there.
    pub(super) async fn lift(&self, case: &CaseId, answer: &mut ReleaseAnswer) -> Result<(), Retry> {
        let failed = |what| move |fault: Fault| Retry::before_any_change(what, case.to_string(), &fault);
        let store = &self.function.store;
        let Some(memory) = self.memory(case).await? else {
            answer.ignored.push(no_case(case.as_str()));
            return Ok(());
        };
        let entries = store.entries(case).await.map_err(failed("reading the ledger"))?;
        let (now, target) = (Timestamp::now(), memory.decision.target.clone());
        let result = |outcome| ReleaseResult::of(case, &target, outcome);
        let holds = held_by(&entries);
        if let Some(hold) = holds.iter().find(|hold| hold.until > now) {
            let reason = format!("{} is to stay until {}", hold.on(), hold.until);
            answer.results.push(result(ReleaseOutcome::Refused(reason)));
            return Ok(());
        }
        if holds.is_empty() {
            answer.results.push(result(ReleaseOutcome::Nothing("nothing of this case keeps sessions out".to_owned())));
            return Ok(());
        }
        let account = &target.account;
        let responder = &self.function.responder;
        if *account != responder.account && !responder.members.iter().any(|member| member.account == *account) {
            let reason = format!("account {account} is not one that this stack may enter to release");
            answer.results.push(result(ReleaseOutcome::Refused(reason)));
            return Ok(());
        }
        let access = self.function.clients.access(account).await.map_err(failed("assuming the releasing role for"))?;
        let mut left = Vec::new();
        for hold in &holds {
            match hold.lift(&access.iam).await {
                Ok(_) => {}
                Err(fault) if fault.is_retryable() => {
                    return Err(Retry::before_any_change("taking away what kept older sessions out", hold.on(), &fault));
                }
                Err(fault) => left.push(format!("{fault}; to take it away: {}", hold.lift_command())),
            }
        }
        let outcome = if left.is_empty() { ReleaseOutcome::Lifted } else { ReleaseOutcome::NotLifted(left.join("; ")) };
        let mut lifted = result(outcome);
        lifted.holds = holds.iter().map(|hold| Held::of(hold, None)).filter(|_| !left.is_empty()).collect();
        let mut journal = Journal::read(store, case, None).await.map_err(failed("reading the ledger"))?;
        let what = json!({ "by": self.by, "not_told": self.by.not_told(), "holds": holds, "result": lifted });
        journal.append(store, &self.actor, EntryKind::Lifted, &what).await.map_err(failed("writing the ledger"))?;
        if !left.is_empty() {
            // The end of what was announced is no news; that it does not end is.
            let message = release_notification(&memory, &lifted, &self.function.config.case_bucket, false);
            let (sns, topic) = (&self.function.clients.sns, &self.function.config.topic);
            publish(sns, topic, &message.subject, message.body()).await.map_err(failed("telling people"))?;
        }
        self.keep_page(case, &journal).await;
        answer.results.push(lifted);
        Ok(())
    }
}

/// What the last release of a case left in force, unless it was taken away since.
fn held_by(entries: &[Entry]) -> Vec<Hold> {
    let last = entries.iter().rfind(|entry| matches!(entry.entry, EntryKind::Released | EntryKind::Lifted));
    let Some(last) = last.filter(|entry| entry.entry == EntryKind::Released) else { return Vec::new() };
    Vec::<Hold>::deserialize(&last.what["holds"]).unwrap_or_default()
}
