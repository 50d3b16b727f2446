//! A plan: stages of steps, pure data. What a dry run prints, what approval approves, what release undoes.

use serde::{Deserialize, Serialize};

use crate::step::{DenyAll, DenySession, RevokeOlderSessions, Step};
use crate::timestamp::Timestamp;

/// The changes that contain a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The changes that deny the attacker. Created by us and named by us, they need no memory to be undone, so they
    /// run beside the write that remembers the plan.
    pub cut: Vec<Cut>,
    /// Everything else, carried out stage by stage once the plan is remembered. Steps of a stage run side by side.
    pub then: Vec<Stage>,
    /// The rungs below the cut, in the order to be tried where it does not fit ([`crate::step::is_full`]). Remembered
    /// with the plan, so that what they would replace is known before any of them is carried out. No part of
    /// [`Plan::steps`] until [`Plan::take_rung`] makes one (CONTAINMENT A19).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fallback: Vec<Step>,
}

/// The stage that holds the rungs that were carried out.
pub const DENY_STAGE: &str = "deny";

/// Steps that run side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What the stage is for.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step that may run before the plan is remembered. Only a deny of our own can become one; anything else has to be
/// remembered first:
///
/// ```compile_fail
/// use tourniquet::plan::Cut;
/// use tourniquet::step::RemoveLoginProfile;
///
/// fn too_early(step: RemoveLoginProfile) -> Cut {
///     step.into()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cut(Step);

impl Cut {
    /// The step.
    #[must_use]
    pub fn step(&self) -> &Step {
        &self.0
    }
}

macro_rules! cuts {
    ($($step:ident),+) => {$(
        impl From<$step> for Cut {
            fn from(step: $step) -> Self {
                Self(step.into())
            }
        }
    )+};
}
cuts!(DenyAll, DenySession, RevokeOlderSessions);

impl Plan {
    /// Every step, the cut first.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.cut.iter().map(Cut::step).chain(self.then.iter().flat_map(|stage| &stage.steps))
    }

    /// The steps that cut the attacker off: the cut, or where everything had to be remembered first, the isolation of
    /// each interface.
    pub fn cutting(&self) -> impl Iterator<Item = &Step> {
        let isolates = |step: &&Step| self.cut.is_empty() && matches!(step, Step::IsolateInterface(_));
        let cut = self.cut.iter().map(Cut::step);
        cut.chain(self.then.iter().flat_map(|stage| &stage.steps).filter(isolates))
    }

    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps().next().is_none()
    }

    /// The latest cut-off of its revocations.
    #[must_use]
    pub fn revoked_before(&self) -> Option<Timestamp> {
        let cutoff = |step: &Step| match step {
            Step::RevokeOlderSessions(step) => Some(step.cutoff),
            _ => None,
        };
        self.steps().filter_map(cutoff).max()
    }

    /// The lines that undo the plan, newest step first, with what they do not say.
    #[must_use]
    pub fn undo(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let steps: Vec<_> = self.steps().collect();
        // What was changed again, because somebody had changed it back, is put where it was first.
        let again = |at: usize, step: &Step| steps.iter().take(at).any(|earlier| earlier.is_undone_with(step));
        let first = steps.iter().enumerate().rev().filter(|(at, step)| !again(*at, step));
        for undo in first.map(|(_, step)| step.undo()) {
            lines.extend(undo.note.map(|note| format!("# {note}")));
            lines.extend(undo.commands);
        }
        lines
    }

    /// `text` with the plan's access keys redacted: for everything that leaves the case.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        self.steps().fold(text.to_owned(), |text, step| match step {
            Step::DeactivateKey(step) => text.replace(step.key.as_str(), &step.key.to_string()),
            _ => text,
        })
    }

    /// This plan without the steps that make the same change as one of `others`; its rungs stay.
    #[must_use]
    pub fn without(mut self, others: &[Step]) -> Self {
        let keep = |step: &Step| !others.iter().any(|other| other.is_same_change(step));
        self.cut.retain(|cut| keep(cut.step()));
        for stage in &mut self.then {
            stage.steps.retain(keep);
        }
        self.then.retain(|stage| !stage.steps.is_empty());
        self
    }

    /// The lines that carry the plan out by hand.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.steps().map(Step::command).collect()
    }

    /// The rung to try after `failed`: the first after a cut, or after a rung that was carried out and does not fit
    /// any more; else the next. None after the last, and none where `failed` is no deny of this plan.
    #[must_use]
    pub fn rung_after(&self, failed: &Step) -> Option<&Step> {
        let is_it = |step: &Step| step.is_same_change(failed);
        if let Some(at) = self.fallback.iter().position(is_it) {
            return self.fallback.get(at + 1);
        }
        let is_deny = self.cut.iter().map(Cut::step).chain(self.rungs()).any(is_it);
        if is_deny { self.fallback.first() } else { None }
    }

    /// Makes a rung that was carried out a step like every other, in a stage of its own before all others.
    pub fn take_rung(&mut self, rung: &Step) {
        let Some(at) = self.fallback.iter().position(|known| known.is_same_change(rung)) else { return };
        let rung = self.fallback.remove(at);
        match self.then.iter_mut().find(|stage| stage.name == DENY_STAGE) {
            Some(stage) => stage.steps.push(rung),
            None => self.then.insert(0, Stage { name: DENY_STAGE.to_owned(), steps: vec![rung] }),
        }
    }

    /// Takes the rungs of `fresh` in place of those not carried out so far: what they would replace may have changed
    /// since.
    pub fn renew_rungs(&mut self, fresh: &Self) {
        let is_known = |rung: &&Step| self.steps().any(|known| known.is_same_change(rung));
        self.fallback = fresh.fallback.iter().filter(|rung| !is_known(rung)).cloned().collect();
    }

    /// The rungs that were carried out.
    pub fn rungs(&self) -> impl Iterator<Item = &Step> {
        self.then.iter().filter(|stage| stage.name == DENY_STAGE).flat_map(|stage| &stage.steps)
    }

    /// Puts the step as it was carried out in the place of the step as it was planned.
    pub fn put_as_done(&mut self, planned: &Step, done: &Step) {
        for step in self.then.iter_mut().flat_map(|stage| &mut stage.steps).filter(|step| *step == planned) {
            step.clone_from(done);
        }
    }

    /// This plan with the steps of `fresh` it lacks: what a case taken up again still has to do. A deny that reaches
    /// further replaces the one of the same name that reaches less far.
    #[must_use]
    pub fn merged(mut self, fresh: &Self) -> Self {
        for cut in &fresh.cut {
            match self.cut.iter_mut().find(|known| known.step().is_same_change(cut.step())) {
                Some(known) if cut.step().reaches_further(known.step()) => known.clone_from(cut),
                Some(_) => {}
                None => self.cut.push(cut.clone()),
            }
        }
        for stage in &fresh.then {
            let missing: Vec<_> =
                stage.steps.iter().filter(|step| !self.steps().any(|known| known.is_same_change(step))).cloned().collect();
            match self.then.iter_mut().find(|known| known.name == stage.name) {
                Some(known) => known.steps.extend(missing),
                None if missing.is_empty() => {}
                None if stage.name == DENY_STAGE => {
                    self.then.insert(0, Stage { name: stage.name.clone(), steps: missing });
                }
                None => self.then.push(Stage { name: stage.name.clone(), steps: missing }),
            }
        }
        for rung in &fresh.fallback {
            if self.steps().any(|known| known.is_same_change(rung)) {
                continue;
            }
            match self.fallback.iter_mut().find(|known| known.is_same_change(rung)) {
                // Found in place, it may be a delivery's that crashed: what was remembered first knows what it replaced.
                Some(_) if rung.was_before() => {}
                Some(known) => known.clone_from(rung),
                None => self.fallback.push(rung.clone()),
            }
        }
        self
    }
}
