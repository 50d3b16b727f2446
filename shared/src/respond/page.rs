//! The case's page, written last: it delays no cut, and what becomes of it changes no outcome.

use std::time::Duration;

use tracing::warn;

use super::{Delivery, Kind};
use crate::aws::Fault;
use crate::case::store::CaseStore;
use crate::case::{CaseId, Journal};
use crate::report::page::{Chain, Page, page};
use crate::timestamp::Timestamp;

/// How long the page may keep the delivery from its end.
const LONGEST: Duration = Duration::from_secs(5);

impl<K: Kind> Delivery<'_, K> {
    pub(super) async fn keep_page(&self, case: &CaseId, journal: &Journal) {
        write_page(&self.function.store, &self.function.config.case_bucket, &self.actor.function, case, journal).await;
    }
}

/// Writes `report.html`. That it could not be is logged, with the line that makes it from the ledger.
pub(crate) async fn write_page(store: &CaseStore, bucket: &str, made_by: &str, case: &CaseId, journal: &Journal) {
    let failed = match tokio::time::timeout(LONGEST, made_page(store, bucket, made_by, case, journal)).await {
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => format!("not written within {} s", LONGEST.as_secs()),
    };
    warn!(case = %case, reason = %failed, next = %format!("make report CASE={case}"), "the case report was not written");
}

async fn made_page(store: &CaseStore, bucket: &str, made_by: &str, case: &CaseId, journal: &Journal) -> Result<(), Fault> {
    let entries = journal.entries(store).await?;
    let (place, made) = (format!("s3://{bucket}"), Timestamp::now());
    match page(Page { case, entries: &entries, place: &place, chain: Chain::NotChecked, made, made_by }) {
        Some(page) => store.keep_page(case, page).await,
        None => Ok(()),
    }
}
