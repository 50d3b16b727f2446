//! Undoing, newest step first. What keeps the older sessions out is remembered before the first deny goes.

use std::collections::BTreeMap;

use super::Delivery;
use super::work::{Work, taken_over};
use crate::aws::{Compute, Fault, FaultClass};
use crate::case::store::{Etag, Remembered, Written};
use crate::case::{EntryKind, Lease, OpenCase, Releasing, State};
use crate::containment::identity::REVOCATION_MARGIN;
use crate::containment::release::{Does, Picture};
use crate::error::Retry;
use crate::outcome::Status;
use crate::report::released::{Held, ReleaseOutcome, ReleaseResult, shown_steps};
use crate::step::{Applied, Hold, Step, is_full};
use crate::timestamp::Timestamp;

/// Scheduler keeps time to the minute, and must not come before it.
const SCHEDULED_LATER: std::time::Duration = std::time::Duration::from_mins(1);

impl Delivery<'_> {
    /// Undoes what the picture says, reads back, and lets the case end if nothing is left.
    pub(super) async fn carry_out(&self, mut work: Work, etag: Etag, picture: &Picture) -> Result<ReleaseResult, Retry> {
        let holds = holds(&work, picture, Timestamp::now());
        let before = work.case.release.clone().unwrap_or_default();
        let release = Releasing {
            request: Some(self.by.act().to_owned()),
            asked: work.asked.clone(),
            holds: holds.clone(),
            released_at: None,
            ..before
        };
        work.case = OpenCase { state: State::Releasing, lease: self.lease(), release: Some(release), ..work.case };
        let remembered = match self.function.store.replace(&work.case, &etag).await {
            Ok(Written::Written(remembered)) => remembered,
            Ok(Written::Lost) => return Err(work.failed("beginning the release", &taken_over())),
            Err(fault) => return Err(work.failed("beginning the release", &fault)),
        };
        let done = self.undo(&work, &remembered, picture, &holds).await;
        if done.values().any(|status| *status == Status::Done) {
            tokio::time::sleep(self.function.config.verify_after).await;
        }
        let (after, passing) = self.look(&work).await?;
        let left = left_undone(picture, &done, &after);
        let outcome = if left.is_empty() {
            ReleaseOutcome::Released
        } else if passing {
            let message = "something could not be read for a passing reason".to_owned();
            let fault = Fault { code: "NotReadBack".to_owned(), message, class: FaultClass::Retryable };
            return Err(work.failed("reading back what was released", &fault));
        } else {
            ReleaseOutcome::PartlyReleased(left.join("; "))
        };
        // Without its deny undone, nothing needs to be held.
        let in_force: Vec<Hold> = holds.iter().filter(|hold| is_in_force(hold, picture, &done)).cloned().collect();
        let held = self.schedule_end(&work, &in_force).await;
        let mut result = ReleaseResult::of(&work.case.case, work.record(), outcome);
        result.steps = shown_steps(picture, &work.plan);
        for (step, undoing) in result.steps.iter_mut().zip(&picture.steps) {
            step.done = done.get(&key(&undoing.step)).cloned();
        }
        result.since.clone_from(&picture.since);
        result.holds = held;
        result.next = next(&work, &result);
        let journal = self.tell(&work, EntryKind::Released, picture, &in_force, &result).await?;
        self.end(&work, remembered.etag(), result.outcome == ReleaseOutcome::Released, in_force).await?;
        self.keep_page(&work.case.case, &journal).await;
        Ok(result)
    }

    /// The steps of a remembered release, one after the other: each may need what the one before gave back.
    async fn undo(&self, work: &Work, _: &Remembered, picture: &Picture, holds: &[Hold]) -> BTreeMap<String, Status> {
        let compute = work.target.is_instance().then(|| work.compute());
        let mut done = BTreeMap::new();
        for step in picture.undone() {
            let status = match self.hold_then_undo(work, compute.as_ref(), step, holds).await {
                Ok(applied) if applied.changed => Status::Done,
                Ok(_) => Status::Already,
                Err(fault) => Status::Failed(fault.to_string()),
            };
            done.insert(key(step), status);
        }
        done
    }

    async fn hold_then_undo(
        &self,
        work: &Work,
        compute: Option<&Compute>,
        step: &Step,
        holds: &[Hold],
    ) -> Result<Applied, Fault> {
        let iam = &work.access.iam;
        let wanted = step.hold(Timestamp::now());
        let hold = wanted
            .and_then(|wanted| holds.iter().find(|hold| hold.principal == wanted.principal && hold.policy == wanted.policy));
        let mut put = None;
        if let Some(hold) = hold {
            // Its time is over: there is nothing left to keep out.
            if hold.until <= Timestamp::now() && matches!(step, Step::RevokeOlderSessions(_)) {
                return hold.lift(iam).await;
            }
            put = Some(hold.put(iam).await.map_err(|fault| no_room(hold, fault))?);
        }
        let undone = match compute {
            Some(compute) => Box::pin(step.revert_on_instance(compute)).await?,
            None => Box::pin(step.revert_on_identity(iam)).await?,
        };
        Ok(put.filter(|_| !undone.changed).unwrap_or(undone))
    }

    /// Has what keeps the older sessions out taken away when its time is over. Who is told reads until when, and the line
    /// where nobody does it.
    async fn schedule_end(&self, work: &Work, holds: &[Hold]) -> Vec<Held> {
        let Some(until) = holds.iter().map(|hold| hold.until).max() else { return Vec::new() };
        let case = &work.case.case;
        let not_scheduled = match (&self.function.scheduler, self.own_arn()) {
            (Some(scheduler), Some(own)) => {
                let input = serde_json::json!({ "lift": { "case": case } });
                // Named by the time too: a release that goes on later ends later.
                let name = format!("lift-{case}-{}", until.unix());
                scheduler.at(&name, until.plus(SCHEDULED_LATER), &own, &input).await.err().map(|fault| fault.to_string())
            }
            _ => Some("no schedules are deployed".to_owned()),
        };
        holds.iter().map(|hold| Held::of(hold, not_scheduled.clone())).collect()
    }

    /// Lets the case end, or leaves it to the next word.
    async fn end(&self, work: &Work, etag: &Etag, is_released: bool, holds: Vec<Hold>) -> Result<(), Retry> {
        let now = Timestamp::now();
        let release = work.case.release.clone().unwrap_or_default();
        let release = Releasing { shown: None, request: None, holds, released_at: is_released.then_some(now), ..release };
        let case = OpenCase {
            state: if is_released { State::Released } else { State::Releasing },
            // Nobody is at work on it any more.
            lease: Lease { until: now, ..work.case.lease.clone() },
            release: Some(release),
            ..work.case.clone()
        };
        match self.function.store.replace(&case, etag).await {
            Ok(Written::Written(_)) => Ok(()),
            Ok(Written::Lost) => Err(work.failed("ending the release", &taken_over())),
            Err(fault) => Err(work.failed("ending the release", &fault)),
        }
    }
}

/// What has to keep older sessions out once the picture's denies are gone: what was remembered before, and what is new.
fn holds(work: &Work, picture: &Picture, now: Timestamp) -> Vec<Hold> {
    let mut holds = work.case.release.as_ref().map(|release| release.holds.clone()).unwrap_or_default();
    let cutoff = now.plus(REVOCATION_MARGIN);
    for hold in picture.undone().filter_map(|step| step.hold(cutoff)) {
        if !holds.iter().any(|known| known.principal == hold.principal && known.policy == hold.policy) {
            holds.push(hold);
        }
    }
    holds
}

/// Whether a hold was put, now or by an earlier try.
fn is_in_force(hold: &Hold, picture: &Picture, done: &BTreeMap<String, Status>) -> bool {
    let is_its = |step: &Step| step.hold(hold.until).is_some_and(|of| of.principal == hold.principal && of.policy == hold.policy);
    picture.steps.iter().filter(|undoing| is_its(&undoing.step)).any(|undoing| {
        match (&undoing.does, done.get(&key(&undoing.step))) {
            (_, Some(status)) => status.holds() && hold.until > Timestamp::now(),
            // Undone before this try: by an earlier one of this release, which remembered the hold.
            (does, None) => *does == Does::Already,
        }
    })
}

/// What is not undone, by what was tried and what was read back.
fn left_undone(picture: &Picture, done: &BTreeMap<String, Status>, after: &Picture) -> Vec<String> {
    let mut left: Vec<String> = Vec::new();
    if let Some(reason) = &after.refused {
        left.push(reason.clone());
    }
    for (step, reason) in picture.refusals() {
        left.push(format!("{} {} was not undone: {reason}", step.name(), step.on()));
    }
    for undoing in &picture.steps {
        let (name, on) = (undoing.step.name(), undoing.step.on());
        match done.get(&key(&undoing.step)) {
            Some(Status::Failed(reason)) => left.push(format!("{name} {on} failed: {reason}")),
            Some(_) if stands_still(&undoing.step, after) => left.push(format!("{name} {on} does not read back as undone")),
            _ => {}
        }
    }
    left
}

/// Whether a step that was undone is found in force again. What is not read back cannot be.
fn stands_still(step: &Step, after: &Picture) -> bool {
    let is_read = !matches!(step, Step::DeregisterTarget(_));
    let is_revocation = matches!(step, Step::RevokeOlderSessions(_));
    let now = after.steps.iter().find(|undoing| undoing.step == *step).map(|undoing| &undoing.does);
    is_read && !is_revocation && matches!(now, Some(Does::Undo | Does::Force(_) | Does::Refuse(_)))
}

fn no_room(hold: &Hold, fault: Fault) -> Fault {
    if !is_full(&fault.code) {
        return fault;
    }
    let message = format!(
        "there is no room for what keeps the older sessions out ({}), so the deny stays; make room, or wait until {} and undo it by hand",
        hold.on(),
        hold.until
    );
    Fault { message, ..fault }
}

fn next(work: &Work, result: &ReleaseResult) -> Vec<String> {
    let mut next = Vec::new();
    if matches!(result.outcome, ReleaseOutcome::PartlyReleased(_)) {
        next.push(format!(
            "What is left is done by the next word: press Release, or run make release CASE={}. It shows first what is left.",
            work.case.case
        ));
    }
    if !result.holds.is_empty() && work.target.is_instance() {
        next.push(
            "The instance's own credentials were issued before, and stay denied until its metadata service has new ones, in up \
             to six hours. To have them now, associate its instance profile anew."
                .to_owned(),
        );
    }
    if work.plan.steps().any(|step| matches!(step, Step::RemoveLoginProfile(_))) {
        next.push("The console password cannot be restored: give the user a new one.".to_owned());
    }
    next
}

/// A step's place in what was done.
fn key(step: &Step) -> String {
    format!("{} {}", step.name(), serde_json::to_string(step).unwrap_or_default())
}
