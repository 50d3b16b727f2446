//! What a release would do, step by step: pure data, shown before it is carried out.
//!
//! A step is undone only where the target stands as this case left it. Where somebody changed the thing since, undoing
//! would undo their change, so it is refused, and what differs is named (CONTAINMENT A23, H6).

mod identity;
mod instance;
mod turn;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::identity::Principal;
use super::instance::Found;
use crate::plan::Plan;
use crate::step::{Release, Step};
use crate::text::sha256;
use crate::timestamp::Timestamp;

pub use turn::{SHOWN_FOR, Shown, Turn, turn};

/// A target as it is now.
#[derive(Debug, Clone, PartialEq)]
pub enum Present {
    /// A user or a role.
    Identity(Principal),
    /// An instance.
    Instance(Found),
}

/// What a person asks for besides the release itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Steps to undo although somebody changed the thing since: a step's name, or its name and what it is on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub force: Vec<String>,
    /// Access keys and other credentials to activate again, by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactivate: Vec<String>,
}

/// How the thing that a step changed stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stands {
    /// As this case left it.
    AsWeLeftIt,
    /// As it was before this case: undone already.
    AsBefore,
    /// Somebody changed it since; how.
    Differs(String),
    /// It is no more.
    Gone(String),
    /// It could not be read.
    Unread,
}

/// One step of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoing {
    /// The step as it was carried out.
    #[serde(flatten)]
    pub step: Step,
    /// What is done with it.
    #[serde(flatten)]
    pub does: Does,
}

/// What a release does with one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "does", content = "reason", rename_all = "snake_case")]
pub enum Does {
    /// It is undone.
    Undo,
    /// It is undone although somebody changed the thing since: a person asked for that. What differs.
    Force(String),
    /// Nothing is left to undo.
    Already,
    /// It stays as it is; why.
    Stay(String),
    /// It is not undone; what differs.
    Refuse(String),
}

/// Everything a release would do, newest step first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Why nothing at all is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The steps, newest first: the deny is undone last.
    pub steps: Vec<Undoing>,
    /// What is new on the target since the containment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub since: Vec<String>,
}

impl Picture {
    /// What tells this picture from another one: what is done, not when.
    #[must_use]
    pub fn digest(&self, asked: &Asked) -> String {
        sha256(&serde_json::to_vec(&(self, asked)).unwrap_or_default())
    }

    /// The steps that are undone.
    pub fn undone(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|undoing| matches!(undoing.does, Does::Undo | Does::Force(_))).map(|undoing| &undoing.step)
    }

    /// The steps that are refused, with what differs.
    pub fn refusals(&self) -> impl Iterator<Item = (&Step, &str)> {
        self.steps.iter().filter_map(|undoing| match &undoing.does {
            Does::Refuse(reason) => Some((&undoing.step, reason.as_str())),
            _ => None,
        })
    }

    fn refusing(reason: String) -> Self {
        Self { refused: Some(reason), steps: Vec::new(), since: Vec::new() }
    }
}

/// What the release of a case would do now. `plan` is everything that was carried out, `original` the target before the
/// first change, `first_seen` the finding's first sighting: a credential that is younger is given back only by name.
#[must_use]
pub fn picture(plan: &Plan, original: &Value, present: &Present, first_seen: Timestamp, asked: &Asked) -> Picture {
    if let Some(unknown) = asked.reactivate.iter().find(|id| !plan.steps().any(|step| credential(step) == Some(id.as_str()))) {
        return Picture::refusing(format!("{} is no credential that this case deactivated", crate::text::printable(unknown, 40)));
    }
    let steps: Vec<&Step> = plan.steps().collect();
    // What was changed again, because somebody had changed it back, is put where it was first.
    let again = |at: usize| steps.iter().take(at).any(|earlier| earlier.is_undone_with(steps[at]));
    let newest_first = (0..steps.len()).rev().filter(|at| !again(*at)).map(|at| steps[at]);
    match present {
        Present::Identity(now) => match serde_json::from_value::<Principal>(original.clone()) {
            Ok(before) => identity::picture(newest_first, plan, &before, now, first_seen, asked),
            Err(error) => unreadable(&error),
        },
        Present::Instance(now) => match serde_json::from_value::<Found>(original.clone()) {
            Ok(before) => instance::picture(newest_first, &before, now, asked),
            Err(error) => unreadable(&error),
        },
    }
}

fn unreadable(error: &serde_json::Error) -> Picture {
    Picture::refusing(format!(
        "the original state in the case cannot be read: {}",
        crate::text::printable(&error.to_string(), 120)
    ))
}

/// What to do with a step that stands like this.
fn does(step: &Step, stands: Stands, by_name: Option<&'static str>, asked: &Asked) -> Does {
    let release = match (step.release(), by_name) {
        (Release::Undo, Some(reason)) => Release::ByName(reason),
        (release, _) => release,
    };
    let is_forced = || asked.force.iter().any(|named| names(named, step));
    match (release, stands) {
        (Release::Stays(reason), _) => Does::Stay(reason.to_owned()),
        (_, Stands::AsBefore) => Does::Already,
        (_, Stands::Gone(what)) => Does::Stay(what),
        (Release::ByName(reason), _) if !credential(step).is_some_and(|id| asked.reactivate.iter().any(|asked| asked == id)) => {
            Does::Stay(format!("stays inactive unless it is asked for by name: {reason}"))
        }
        (_, Stands::AsWeLeftIt) => Does::Undo,
        (_, Stands::Differs(what)) if is_forced() => Does::Force(what),
        (_, Stands::Unread) if is_forced() => Does::Force("it could not be read".to_owned()),
        (_, Stands::Differs(what)) => Does::Refuse(what),
        (_, Stands::Unread) => {
            Does::Refuse("it could not be read, so nobody knows whether it is as this case left it".to_owned())
        }
    }
}

/// Whether a person's word names the step: `isolate_interface`, or `isolate_interface eni-0123456789abcdef0`.
fn names(named: &str, step: &Step) -> bool {
    let Some(rest) = named.trim().strip_prefix(step.name()) else { return false };
    let on = step.on();
    rest.is_empty()
        || rest
            .strip_prefix(' ')
            .is_some_and(|rest| on == rest || on.strip_prefix(rest).is_some_and(|more| more.starts_with(' ')))
}

/// The id of the credential a step deactivates.
fn credential(step: &Step) -> Option<&str> {
    match step {
        Step::DeactivateKey(step) => Some(step.key.as_str()),
        Step::DeactivateServiceCredential(step) => Some(&step.credential),
        Step::DeactivateSshKey(step) => Some(&step.key),
        Step::DeactivateSigningCertificate(step) => Some(&step.certificate),
        _ => None,
    }
}
