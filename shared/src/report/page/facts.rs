//! What a ledger says, read for a person. Every entry is read on its own: one that is not of this version is listed, and
//! leaves the rest readable.

use serde::Deserialize as _;
use serde_json::Value;

use super::Page;
use crate::case::sealed::SealRecord;
use crate::case::{Entry, EntryKind, Memory, Object, RecheckRecord};
use crate::containment::proposal::Approver;
use crate::outcome::{Outcome, StepReport};
use crate::report::answer::TargetResult;
use crate::report::notification::short_name;
use crate::report::released::ReleaseResult;
use crate::report::timing::Timing;
use crate::timestamp::Timestamp;

/// A ledger, read.
pub(super) struct Facts<'a> {
    pub(super) page: Page<'a>,
    /// What the case was opened with.
    pub(super) opened: &'a Entry,
    pub(super) first: Memory,
    /// What was decided last.
    pub(super) memory: Memory,
    /// The last result people were told.
    pub(super) result: Option<TargetResult>,
    /// The first result that has times.
    pub(super) timing: Option<Timing>,
    /// What a person has to do, as people were told.
    pub(super) next: Vec<String>,
    pub(super) steps: Vec<Step<'a>>,
    pub(super) undo: Vec<String>,
    pub(super) objects: Vec<Object>,
    pub(super) seals: Vec<SealRecord>,
    /// The looks at it since, each with the time.
    pub(super) rechecks: Vec<(Timestamp, RecheckRecord)>,
    /// The last release that was shown or carried out, if it came after what people were told last.
    pub(super) release: Option<Released>,
}

/// What an entry of a release says.
pub(super) struct Released {
    pub(super) by: Option<Approver>,
    pub(super) result: ReleaseResult,
    /// Whether it was carried out, and not only shown.
    pub(super) carried_out: bool,
}

/// A step that was tried.
pub(super) struct Step<'a> {
    /// The line that does the same.
    pub(super) command: String,
    pub(super) report: StepReport,
    pub(super) entry: &'a Entry,
}

impl<'a> Facts<'a> {
    pub(super) fn of(page: Page<'a>) -> Option<Self> {
        let is_memory = |entry: &&Entry| matches!(entry.entry, EntryKind::Opened | EntryKind::Decided);
        let memories = || page.entries.iter().filter(is_memory);
        let read = |entry: &Entry| Memory::deserialize(&entry.what).ok();
        let opened = memories().next()?;
        let memory = memories().filter_map(read).next_back()?;
        let reports = || page.entries.iter().filter(|entry| entry.entry == EntryKind::Reported);
        let result = |entry: &Entry| TargetResult::deserialize(entry.what.get("result")?).ok();
        let acted = || page.entries.iter().filter(|entry| entry.entry == EntryKind::Acted);
        let event = |entry: &Entry| event_of(page, entry);
        let evidence = page.entries.iter().flat_map(|entry| objects_of(entry).into_iter().chain(event(entry)));
        let mut objects: Vec<Object> = Vec::new();
        for object in evidence {
            if !objects.contains(&object) {
                objects.push(object);
            }
        }
        Some(Self {
            page,
            opened,
            first: read(opened)?,
            memory,
            result: reports().filter_map(result).next_back(),
            timing: reports().filter_map(result).find_map(|result| result.timing),
            next: reports().next_back().map(|entry| texts(&entry.what["next"])).unwrap_or_default(),
            steps: each_once(acted().flat_map(steps_of)),
            undo: acted().next_back().map(|entry| texts(&entry.what["undo"])).unwrap_or_default(),
            objects,
            rechecks: page.entries.iter().filter_map(|entry| Some((entry.at, RecheckRecord::of(entry)?))).collect(),
            seals: page.entries.iter().filter_map(SealRecord::of).collect(),
            release: released(page.entries),
        })
    }

    /// What the target is called.
    pub(super) fn name(&self) -> String {
        short_name(&self.memory.decision.target)
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.result.as_ref().map(|result| &result.outcome)
    }

    /// The release that was carried out, in whole or in part.
    pub(super) fn undone(&self) -> Option<&Released> {
        self.release.as_ref().filter(|told| told.carried_out)
    }

    /// When the last of a kind was written.
    pub(super) fn last(&self, kind: EntryKind) -> Option<Timestamp> {
        self.page.entries.iter().rfind(|entry| entry.entry == kind).map(|entry| entry.at)
    }
}

/// The last release, unless the target was contained again since.
fn released(entries: &[Entry]) -> Option<Released> {
    let is_release = |entry: &&Entry| matches!(entry.entry, EntryKind::Shown | EntryKind::Released);
    let is_news = |entry: &&Entry| is_release(entry) || entry.entry == EntryKind::Reported;
    let last = entries.iter().rfind(is_news).filter(is_release)?;
    Some(Released {
        by: Approver::deserialize(&last.what["by"]).ok(),
        result: ReleaseResult::deserialize(&last.what["result"]).ok()?,
        carried_out: last.entry == EntryKind::Released,
    })
}

fn steps_of(entry: &Entry) -> Vec<Step<'_>> {
    let steps = entry.what["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let step = |step: &Value| {
        let report = StepReport::deserialize(&step["result"]).ok()?;
        Some(Step { command: step["command"].as_str().unwrap_or_default().to_owned(), report, entry })
    };
    steps.iter().filter_map(step).collect()
}

/// Each attempt once: an entry of a delivery that asserts again repeats what that delivery did before.
fn each_once<'a>(steps: impl Iterator<Item = Step<'a>>) -> Vec<Step<'a>> {
    let mut once: Vec<Step<'_>> = Vec::new();
    for step in steps {
        let is_it = |known: &Step<'_>| {
            known.report == step.report && known.entry.actor == step.entry.actor && known.command == step.command
        };
        if !once.iter().any(is_it) {
            once.push(step);
        }
    }
    once
}

fn objects_of(entry: &Entry) -> Vec<Object> {
    entry.what.get("objects").and_then(|objects| Vec::<Object>::deserialize(objects).ok()).unwrap_or_default()
}

fn event_of(page: Page<'_>, entry: &Entry) -> Option<Object> {
    let sha256 = entry.what.get("event_sha256")?.as_str()?;
    Some(Object { key: crate::case::event_key(page.case, sha256), sha256: sha256.to_owned() })
}

fn texts(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list.as_array().map(|list| list.iter().filter_map(text).collect()).unwrap_or_default()
}
