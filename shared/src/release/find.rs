//! Finding the case that is to be released.

use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize as _;

use super::Delivery;
use crate::aws::Fault;
use crate::case::store::Etag;
use crate::case::{Entry, EntryKind, Memory, OpenCase};
use crate::error::Retry;
use crate::event::{Ignored, IgnoredReason};
use crate::finding::Finding;
use crate::id::CaseId;
use crate::text::printable;

/// How many open cases are read side by side.
const AT_ONCE: usize = 16;

/// There is no case to release.
pub(super) fn no_case(of: &str) -> Ignored {
    Ignored { reason: IgnoredReason::NoCase, detail: printable(of, 200) }
}

impl Delivery<'_> {
    /// The open case of this id: its ledger says of which target, and the target's open case has to be this one.
    pub(super) async fn case(&self, case: &CaseId) -> Result<Result<(OpenCase, Etag), Ignored>, Retry> {
        let failed = |fault: Fault| Retry::before_any_change("reading the case", case.to_string(), &fault);
        let Some(memory) = self.memory(case).await? else { return Ok(Err(no_case(case.as_str()))) };
        let key = memory.decision.target.key(&memory.finding.id);
        let found = self.function.store.open_case(&key).await.map_err(failed)?;
        Ok(found
            .filter(|(open, _)| open.case == *case)
            .ok_or_else(|| no_case(&format!("{case} is not the last case of {key}: release that one"))))
    }

    /// What the case was opened with, from its ledger.
    pub(super) async fn memory(&self, case: &CaseId) -> Result<Option<Memory>, Retry> {
        let failed = |fault: Fault| Retry::before_any_change("reading the ledger", case.to_string(), &fault);
        let entries = self.function.store.entries(case).await.map_err(failed)?;
        let is_memory = |entry: &&Entry| matches!(entry.entry, EntryKind::Opened | EntryKind::Decided);
        Ok(entries.iter().filter(is_memory).filter_map(|entry| Memory::deserialize(&entry.what).ok()).next_back())
    }

    /// The open cases that a finding is part of. A copy of a finding may name its target less well than the case does, so
    /// every open case of its account is looked into: a release does not have to be fast.
    pub(super) async fn cases_of(&self, finding: &Finding) -> Result<Vec<(OpenCase, Etag)>, Retry> {
        let store = &self.function.store;
        let failed = |fault: Fault| Retry::before_any_change("looking for the case of", finding.id.to_string(), &fault);
        let targets = store.targets(&finding.account).await.map_err(failed)?;
        let read = stream::iter(targets).map(|target| async move { store.open_case(&target).await });
        let cases: Vec<_> = read.buffered(AT_ONCE).collect().await;
        let mut found = Vec::new();
        for case in cases {
            found.extend(case.map_err(failed)?.filter(|(case, _)| case.findings.contains(&finding.id)));
        }
        Ok(found)
    }
}
