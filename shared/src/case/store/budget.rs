//! What was contained lately: an object for each case, written beside the cut and listed in the first wave.

use super::{CaseStore, Condition, Written};
use crate::aws::Fault;
use crate::containment::budget::{Counted, WINDOW};
use crate::id::{AccountId, CaseId};
use crate::timestamp::Timestamp;

/// Where containments are counted.
const COUNTED: &str = "budget/counted/";
const PROPOSED: &str = "budget/proposed/";
const PAGED: &str = "budget/paged/";

impl CaseStore {
    /// The cases under which something was contained within the last sixty minutes: by S3's clock, from the keys of this
    /// hour and the one before.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn counted(&self, now: Timestamp) -> Result<Counted, Fault> {
        let earliest = now.unix().saturating_sub(i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX));
        let from = Timestamp::from_unix(earliest).unwrap_or(now);
        let after = format!("{COUNTED}{}", from.to_hour());
        let pages = self.s3.list_objects_v2().bucket(&self.bucket).prefix(COUNTED).start_after(after);
        let mut pages = pages.into_paginator().send();
        let mut counted = Counted::new();
        while let Some(page) = pages.next().await {
            for object in page?.contents.unwrap_or_default() {
                // One without a date is not S3's: it counts, since fewer must not be counted than there are.
                let is_old = object.last_modified.as_ref().is_some_and(|at| at.secs() <= earliest);
                if let Some((case, account)) = object.key.as_deref().filter(|_| !is_old).and_then(named) {
                    counted.insert(case, account);
                }
            }
        }
        Ok(counted)
    }

    /// Counts a containment. Counted twice under the same hour it is counted once.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn count(&self, case: &CaseId, account: &AccountId, at: Timestamp) -> Result<(), Fault> {
        self.put_once(&format!("{COUNTED}{}/{account}/{case}.json", at.to_hour()), b"{}".to_vec()).await
    }

    /// Keeps what is proposed in silence, for whoever looks through the hour's. What stands there stays.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn keep_proposed(&self, case: &CaseId, at: Timestamp, bytes: Vec<u8>) -> Result<(), Fault> {
        self.put(&format!("{}{case}.json", proposed_prefix(at)), bytes, &Condition::Absent).await.map(drop)
    }

    /// Whether it is for this delivery to page people about a budget in this hour: the first one, and its own retries.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn takes_the_page(&self, budget: &str, at: Timestamp, bytes: Vec<u8>) -> Result<bool, Fault> {
        let written = self.put(&format!("{PAGED}{}/{budget}.json", at.to_hour()), bytes, &Condition::Absent).await?;
        Ok(matches!(written, Written::Written(_)))
    }
}

/// Where the proposals of an hour are kept that people were not told of one by one.
#[must_use]
pub fn proposed_prefix(at: Timestamp) -> String {
    format!("{PROPOSED}{}/", at.to_hour())
}

/// Case and account of a key.
fn named(key: &str) -> Option<(CaseId, AccountId)> {
    let mut parts = key.strip_prefix(COUNTED)?.split('/').skip(1);
    let account = AccountId::parse(parts.next()?).ok()?;
    let case = CaseId::parse(parts.next()?.strip_suffix(".json")?).ok()?;
    Some((case, account))
}
