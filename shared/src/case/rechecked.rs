//! What looking again at a containment found: a ledger entry, and what follows from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Entry, EntryKind, OpenCase};
use crate::event::Created;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::timestamp::Timestamp;

/// The record of an entry of kind [`EntryKind::Rechecked`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecheckRecord {
    /// Which look after the containment this was, from 1.
    pub round: u8,
    /// The `settled_at` of the case that was looked at: with the round, which look this was.
    pub settled: u32,
    /// Whether everything planned was read and holds.
    pub holds: bool,
    /// What does not hold any more, and what came since.
    pub missing: Plan,
    /// Why there is nothing left that could hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gone: Option<String>,
    /// What the contained principal created, as far as no look before had found it.
    pub created: Vec<Created>,
    /// What could not be read.
    pub unread: Vec<String>,
    /// Of which calls CloudTrail held more records than were read. Says nothing of whether it holds, and is no news: in an
    /// account where much is created it is so at every look.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub more: Vec<String>,
    /// Whether the case was handed back to the function that contained it.
    pub handed_back: bool,
    /// Why it was not, though it does not hold.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left: Option<String>,
    /// Whether people are told of this look.
    pub news: bool,
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// What does not hold.
    pub missing: Plan,
    /// Why there is nothing left that could hold.
    pub gone: Option<String>,
    /// Everything the contained principal created since the first sighting.
    pub created: Vec<Created>,
    /// What could not be read.
    pub unread: Vec<String>,
    /// Of which calls there are more records than were read.
    pub more: Vec<String>,
}

/// How often a case is handed back within [`PERIOD`]. The bound on assertions is the containing function's; this one is
/// for a loop that nobody thought of.
pub const MOST_HAND_BACKS: usize = 8;
const PERIOD: Duration = Duration::from_hours(24);

impl RecheckRecord {
    /// The record of an entry, where it is of this kind.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        (entry.entry == EntryKind::Rechecked).then(|| Self::deserialize(&entry.what).ok()).flatten()
    }

    /// Whether `entries` say that people were told of what the look in entry `number` found: by it, or by a later look, to which
    /// what an earlier one could tell nobody is news.
    #[must_use]
    pub fn was_told(number: u32, entries: &[Entry]) -> bool {
        let of = |told: &Entry| told.what["look"].as_u64().filter(|_| told.entry == EntryKind::Told);
        entries.iter().filter_map(of).any(|look| look >= u64::from(number))
    }

    /// What follows from a look at `case`, whose ledger is `entries`: what of it is news, and whether the case goes back
    /// to the function that contained it. A contested case does not: a person was called.
    #[must_use]
    pub fn judge(round: u8, case: &OpenCase, entries: &[Entry], look: Look, now: Timestamp) -> Self {
        let earlier: Vec<(Timestamp, Self)> = entries.iter().filter_map(|entry| Some((entry.at, Self::of(entry)?))).collect();
        // What people were not told is news still, though a look that could not tell it has found it.
        let told: Vec<Self> = entries.iter().filter(|entry| Self::was_told(entry.number, entries)).filter_map(Self::of).collect();
        let is_known = |one: &Created| told.iter().flat_map(|known| &known.created).any(|known| known.event == one.event);
        let Look { missing, gone, created, unread, more } = look;
        let created: Vec<Created> = created.into_iter().filter(|one| !is_known(one)).collect();
        let undone = !missing.is_empty();
        let recent = earlier.iter().filter(|(at, known)| known.handed_back && at.plus(PERIOD) > now).count();
        let left = if !undone {
            None
        } else if matches!(case.outcome, Some(Outcome::Contested(_))) {
            Some("it is contested, and a person was called".to_owned())
        } else if recent >= MOST_HAND_BACKS {
            Some(format!("it was handed back {recent} times within a day"))
        } else {
            None
        };
        let is_contested = matches!(case.outcome, Some(Outcome::Contested(_)));
        let news = !created.is_empty()
            || (left.is_some() && !is_contested)
            || gone.as_ref().is_some_and(|gone| !told.iter().any(|known| known.gone.as_ref() == Some(gone)))
            || unread.iter().any(|one| !told.iter().flat_map(|known| &known.unread).any(|known| is_same_thing(one, known)));
        Self {
            round,
            settled: case.settled_at,
            holds: !undone && gone.is_none() && unread.is_empty(),
            handed_back: undone && left.is_none(),
            missing,
            gone,
            created,
            unread,
            more,
            left,
            news,
        }
    }

    /// In one line, for a person.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = Vec::new();
        if self.holds {
            parts.push("it holds".to_owned());
        }
        if !self.missing.is_empty() {
            let names: Vec<_> = self.missing.steps().map(|step| format!("{} on {}", step.name(), step.on())).collect();
            parts.push(format!("it does not hold: {}", names.join(", ")));
        }
        parts.extend(self.gone.clone());
        if self.handed_back {
            parts.push("handed back to be contained again".to_owned());
        }
        if let Some(left) = &self.left {
            parts.push(format!("not handed back: {left}"));
        }
        if !self.created.is_empty() {
            let names: Vec<_> = self.created.iter().map(Created::label).collect();
            parts.push(format!("it created: {}", names.join(", ")));
        }
        if !self.more.is_empty() {
            parts.push(format!("older records were not read of {}", self.more.join(", ")));
        }
        if !self.unread.is_empty() {
            parts.push(format!("could not be read: {}", self.unread.join(", ")));
        }
        parts.join("; ")
    }
}

/// Whether two lines say of the same thing that it could not be read, in whatever words of AWS.
fn is_same_thing(one: &str, other: &str) -> bool {
    let thing = |line: &str| line.split_once(": ").map_or(line, |(thing, _)| thing).to_owned();
    thing(one) == thing(other)
}
