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
}

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
        for undo in self.steps().rev().map(Step::undo) {
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

    /// This plan without the steps that make the same change as one of `others`.
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
                None => self.then.push(Stage { name: stage.name.clone(), steps: missing }),
            }
        }
        self
    }
}
