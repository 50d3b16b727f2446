//! A person's word: the approval of a proposal, by a button or by invocation. It carries out the plan that was proposed
//! and no other: what has changed since is asked again.

use serde::Deserialize as _;

use super::walk::Decided;
use super::{Delivery, Handled, Kind};
use crate::aws::Fault;
use crate::case::{Memory, OpenCase};
use crate::containment::proposal::{Approver, Proposal, Standing, standing};
use crate::containment::{TargetRecord, Verdict};
use crate::error::Retry;
use crate::event::{Approve, Ignored, IgnoredReason, pressed};
use crate::finding::{Button, Finding, Target, Trigger};
use crate::outcome::Outcome;
use crate::report::answer::{Answer, FindingSummary, TargetResult};
use crate::text::printable;
use crate::timestamp::Timestamp;

/// What there is to do about a case that a person has spoken about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// As with every event: nothing new is asked.
    Nothing,
    /// People have to be told anew, whatever they were told before.
    Anew,
}

impl<K: Kind> Delivery<'_, K> {
    /// An approval by invocation: finding and target come out of the case's memory, and go the same walk.
    pub(super) async fn approve(&self, asked: Result<Approve, Ignored>) -> Result<Answer, Retry> {
        let mut answer = Answer { finding: None, results: Vec::new(), ignored: Vec::new() };
        let proposed = match asked {
            Ok(approve) => self.proposed(&approve).await?,
            Err(ignored) => Err(ignored),
        };
        let (finding, targets) = match proposed {
            Ok(proposed) => proposed,
            Err(ignored) => {
                answer.ignored.push(ignored);
                return Ok(answer);
            }
        };
        answer.finding = Some(FindingSummary::from(&finding));
        for target in &targets {
            match Box::pin(self.contain(&finding, target)).await? {
                Handled::Result(result) => answer.results.push(*result),
                Handled::Ignored(ignored) => answer.ignored.push(ignored),
            }
        }
        if !answer.results.is_empty() {
            // Other targets of the same finding have cases of their own.
            answer.ignored.clear();
        }
        Ok(answer)
    }

    /// The finding of the case that is approved, with those of its targets that the case may be about. A refusal reads
    /// only: nothing is written, nobody is told.
    async fn proposed(&self, approve: &Approve) -> Result<Result<(Finding, Vec<Target>), Ignored>, Retry> {
        let case = &approve.case;
        let store = &self.function.store;
        let unread = |fault: Fault| Retry::before_any_change("reading the case that is approved", case.to_string(), &fault);
        let Some(first) = store.first_entry(case).await.map_err(unread)? else {
            return Ok(Err(refused("there is no such case")));
        };
        let Ok(opened) = Memory::deserialize(&first.what) else {
            return Ok(Err(refused("its first entry is not one of this version: a person must look at the case")));
        };
        let key = opened.decision.target.key(&opened.finding.id);
        let Some((open, _)) = store.open_case(&key).await.map_err(unread)? else {
            return Ok(Err(refused("the case is not open any more")));
        };
        if open.case != *case {
            return Ok(Err(refused(&format!("its target's open case is {}", open.case))));
        }
        let Ok(before) = open.remembered() else {
            return Ok(Err(refused("its memory is not one of this version: a person must look at the case")));
        };
        let known = before.proposal.as_ref().map(|proposal| &proposal.plan);
        let carried_out = before.approval.as_ref().and_then(|approval| approval.plan.as_ref());
        if known.or(carried_out) != Some(&approve.plan) {
            let why = match (&before.decision.verdict, known) {
                (_, Some(_)) => "it is not the plan proposed now: read the case's last message".to_owned(),
                (Verdict::Contain, None) => {
                    let outcome = open.outcome.as_ref().map_or("being contained", Outcome::as_str);
                    format!("the case was carried out otherwise, and is {outcome}")
                }
                (_, None) => "the case proposes nothing".to_owned(),
            };
            return Ok(Err(refused(&why)));
        }
        let trigger = Trigger::Approval { case: case.clone(), plan: approve.plan.clone() };
        let finding = Finding { trigger, ..before.finding };
        let mine: Vec<Target> = finding.targets.iter().filter(|target| K::is_mine(target)).cloned().collect();
        if mine.is_empty() {
            return Ok(Err(refused("its target is another function's")));
        }
        let is_it = |target: &&Target| TargetRecord::accused(&finding, target).key(&finding.id) == key;
        let named: Vec<_> = mine.iter().filter(is_it).cloned().collect();
        // One that is named without its unique id is found by asking whose it is.
        let targets = if named.is_empty() { mine } else { named };
        Ok(Ok((finding, targets)))
    }

    /// What a person's word is worth for a case under which nothing was done so far. Where it does not hold any more,
    /// containing becomes asking again.
    pub(super) fn weigh(&self, decided: &mut Decided<K>, case: &mut OpenCase, before: &Memory) -> Asked {
        let Some(person) = self.person(decided.finding()) else { return Asked::Nothing };
        if before.decision.verdict == Verdict::Contain {
            return Asked::Nothing;
        }
        // Whom it tries again for has been told.
        let unless_told = if case.lease.holder == self.actor.request_id { Asked::Nothing } else { Asked::Anew };
        if decided.finding().trigger.button() == Some(Button::Propose) {
            // That asks, and approves nothing.
            return unless_told;
        }
        let contains = decided.contains();
        if case.spent.iter().any(|act| act == person.act()) {
            // It was answered by asking again. Of the question that it led to, it is no answer.
            if contains {
                decided.memory.decision.verdict = before.decision.verdict.clone();
                decided.memory.proposal.clone_from(&before.proposal);
            }
            return Asked::Nothing;
        }
        let now = Timestamp::now();
        let worth = match (&before.proposal, &decided.finding().trigger) {
            (None, Trigger::Approval { .. }) => Standing::AskAgain("nothing is proposed in the case any more".to_owned()),
            (Some(proposal), Trigger::Approval { plan, .. }) if proposal.plan != *plan => {
                Standing::AskAgain("another plan was proposed in the meantime".to_owned())
            }
            (Some(proposal), _) if decided.has_its_plan() => standing(proposal, &before.decision, decided.decision(), now),
            // Nothing was proposed, or what would be done cannot be told now, and is not done either.
            _ => Standing::Holds,
        };
        match worth {
            Standing::AskAgain(reason) => {
                case.spent.push(person.act().to_owned());
                case.outcome = None;
                if contains {
                    decided.memory.decision.verdict = Verdict::Propose(reason);
                }
                decided.memory.proposal = Some(Proposal::of(decided.decision(), now));
                Asked::Anew
            }
            Standing::Holds if contains => {
                decided.memory.approval = Some(person.approves(before.proposal.as_ref()));
                Asked::Nothing
            }
            Standing::Holds => {
                // What keeps it from being carried out may be over in a moment: what was proposed stays proposed.
                decided.memory.proposal.clone_from(&before.proposal);
                unless_told
            }
        }
    }

    /// Who asked, where a person did.
    pub(super) fn person(&self, finding: &Finding) -> Option<Approver> {
        let request = || self.actor.request_id.clone();
        match &finding.trigger {
            Trigger::Event => None,
            Trigger::Button { action, .. } => {
                let press = pressed(self.event);
                let event = press.event.unwrap_or_else(request);
                Some(Approver::Button { event, account: press.account, at: press.at, action: action.clone() })
            }
            Trigger::Approval { .. } => Some(Approver::Invocation { request: request() }),
        }
    }
}

impl<K: Kind> Decided<K> {
    /// Says what is asked, where the decision is to ask.
    pub(super) fn propose(&mut self) {
        match self.decision().verdict {
            Verdict::Propose(_) => {
                self.memory.proposal.get_or_insert_with(|| Proposal::of(&self.memory.decision, Timestamp::now()));
            }
            // What a person approved while the machine is stopped stays proposed.
            Verdict::Observe => {}
            _ => self.memory.proposal = None,
        }
    }
}

/// An approval of a plan that was carried out: nothing is done.
pub(super) fn carried_out<K: Kind>(decided: &Decided<K>, case: &OpenCase, before: &Memory) -> TargetResult {
    let outcome = case.outcome.clone().unwrap_or_else(|| Outcome::Skipped("another delivery is at work on it".to_owned()));
    let mut result = TargetResult::without_steps(case.case.clone(), &before.decision, outcome);
    result.target = decided.decision().target.clone();
    result.repeat = true;
    result.remark = Some("the plan was carried out already: nothing was done".to_owned());
    result
}

/// The answer to an approval that is none.
pub(super) fn refused(why: &str) -> Ignored {
    Ignored { reason: IgnoredReason::ApprovalRefused, detail: printable(&format!("nothing was done: {why}"), 200) }
}

/// An approval of a case that is not this target's.
pub(super) fn is_of_another_case(finding: &Finding, open: Option<&OpenCase>) -> bool {
    matches!(&finding.trigger, Trigger::Approval { case, .. } if open.is_none_or(|open| open.case != *case))
}
