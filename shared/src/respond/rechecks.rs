//! Having somebody look later whether a containment still holds (CONTAINMENT A3). Scheduled once everything else is done
//! and before people are told: it delays no cut, and what becomes of it changes no outcome.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tracing::warn;

use super::{Delivery, Kind};
use crate::aws::{Fault, Scheduler};
use crate::case::OpenCase;
use crate::config::Rechecks;
use crate::report::answer::TargetResult;
use crate::text::printable;
use crate::timestamp::Timestamp;

/// When it is looked, after the outcome.
const AFTER: [Duration; 3] = [Duration::from_mins(1), Duration::from_mins(15), Duration::from_hours(1)];

/// How long scheduling may keep people from being told.
const LONGEST: Duration = Duration::from_secs(3);

impl<K: Kind> Delivery<'_, K> {
    /// Schedules the looks at a containment that was carried out; says what became of it, for the ledger. Where it failed
    /// the result says so.
    ///
    /// A try that crashed after this schedules under the same names again, so that it is done once: until the case is
    /// settled, what it was settled with before stays the same.
    pub(super) async fn schedule_rechecks(&self, case: &OpenCase, result: &mut TargetResult) -> Option<String> {
        let rechecks = self.function.config.rechecks.as_ref()?;
        if !result.outcome.acted() || case.plan.is_empty() {
            return None;
        }
        let scheduled = tokio::time::timeout(LONGEST, self.schedule(rechecks, case)).await;
        let reason = match scheduled {
            Ok(Ok(times)) => return Some(times.join(", ")),
            Ok(Err(fault)) => printable(&fault.to_string(), 200),
            Err(_) => format!("Scheduler did not answer within {} s", LONGEST.as_secs()),
        };
        warn!(case = %case.case, reason = %reason, "the rechecks were not scheduled");
        result
            .residual_risk
            .push(format!("nobody looks later whether it still holds: the rechecks were not scheduled ({reason})"));
        Some(format!("not scheduled: {reason}"))
    }

    async fn schedule(&self, rechecks: &Rechecks, case: &OpenCase) -> Result<Vec<String>, Fault> {
        let scheduler = Scheduler::new(&self.function.clients.scheduler, rechecks.schedules.clone());
        let now = Timestamp::now();
        let all = AFTER.iter().zip(1_u8..).map(async |(after, round)| {
            let (name, when) = (format!("{}-{}-{round}", case.case, case.settled_at), now.plus(*after));
            let input = json!({ "recheck": { "case": case.case, "target": case.target, "round": round } });
            scheduler.at(&name, when, &rechecks.function, &input).await.map(|()| when.to_policy_date())
        });
        join_all(all).await.into_iter().collect()
    }
}
