//! What has to be called in Security Hub, given what is asked and what is there.
//!
//! CloudFormation says Create, Update and Delete of a *physical id*, and may say Delete of one whose Create failed, of one
//! that another took the place of, or of one that it never heard of again. There is one action of a name in an account and
//! Region, whoever asks for it. So each action says in its description for which physical ids it is kept: Create and Update
//! add theirs, Delete takes its own away, and the action goes with the last.

use super::request::Wish;
use crate::finding::Button;
use crate::text::sha256;

/// One of our custom actions, as Security Hub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Which button it is.
    pub button: Button,
    /// What the console calls it.
    pub name: String,
    /// What the console says of it, with whom it is kept for.
    pub description: String,
}

/// One call of Security Hub's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `CreateActionTarget`
    Create {
        /// Which button.
        button: Button,
        /// Its description.
        description: String,
    },
    /// `UpdateActionTarget`: its name, too.
    Update {
        /// Which button.
        button: Button,
        /// Its description.
        description: String,
    },
    /// `DeleteActionTarget`
    Delete {
        /// Which button.
        button: Button,
    },
}

impl Change {
    /// The button it is about.
    #[must_use]
    pub fn button(&self) -> Button {
        match self {
            Self::Create { button, .. } | Self::Update { button, .. } | Self::Delete { button } => *button,
        }
    }

    /// What it is called when it is done or not done.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
        }
    }
}

/// How a description ends: whom the action is kept for.
const MARK: &str = " [tourniquet";

/// More than any stack gets to; the oldest is forgotten, whose Delete then removes nothing.
const MOST_OWNERS: usize = 8;

/// The calls that give `wish` to the resource of this physical id, in the order of [`Button::ALL`]. None where all is so.
#[must_use]
pub fn changes(wish: Wish, physical_id: &str, there: &[Action]) -> Vec<Change> {
    let own = owner(physical_id);
    let known = |button| there.iter().find(|action: &&Action| action.button == button);
    let change = |button| match (wish, known(button)) {
        (Wish::There, None) => Some(Change::Create { button, description: description(button, std::slice::from_ref(&own)) }),
        (Wish::There, Some(action)) => {
            let mut owners = owners(&action.description);
            if !owners.contains(&own) {
                owners.push(own.clone());
            }
            let description = description(button, &owners);
            let is_so = action.name == button.name() && action.description == description;
            (!is_so).then_some(Change::Update { button, description })
        }
        (Wish::Gone, None) => None,
        (Wish::Gone, Some(action)) => {
            let mut owners = owners(&action.description);
            let before = owners.len();
            owners.retain(|owner| *owner != own);
            match (owners.len() < before, owners.is_empty()) {
                // Kept for others, or made by hand: not ours to remove.
                (false, _) => None,
                (true, true) => Some(Change::Delete { button }),
                (true, false) => Some(Change::Update { button, description: description(button, &owners) }),
            }
        }
    };
    Button::ALL.into_iter().filter_map(change).collect()
}

/// What stands for a physical id in a description: 8 hex digits of its SHA-256, since an event may hold any text.
fn owner(physical_id: &str) -> String {
    sha256(physical_id.as_bytes())[..8].to_owned()
}

fn owners(description: &str) -> Vec<String> {
    let marked = description.rsplit_once(MARK).and_then(|(_, marked)| marked.strip_suffix(']'));
    let is_owner = |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    marked.unwrap_or_default().split(' ').filter(is_owner).map(str::to_owned).collect()
}

fn description(button: Button, owners: &[String]) -> String {
    let newest = &owners[owners.len().saturating_sub(MOST_OWNERS)..];
    format!("{}{MARK} {}]", what_it_does(button), newest.join(" "))
}

fn what_it_does(button: Button) -> &'static str {
    match button {
        Button::Contain => "Contains what the finding accuses, as far as the guardrails let. Tourniquet tells the responders.",
        Button::Release => "Undoes what Tourniquet changed because of the finding, except where somebody changed it since.",
        Button::Propose => "Plans what Contain would do about the finding, and asks the responders. Changes nothing.",
    }
}
