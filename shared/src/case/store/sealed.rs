//! What sealing a snapshot reads and writes of a case.

use super::{CaseStore, Condition, Written, unreadable};
use crate::aws::Fault;
use crate::case::chain::entry_number;
use crate::case::{CaseId, Entry};
use crate::id::SnapshotId;

/// Where the manifest of a snapshot is stored.
#[must_use]
pub fn manifest_key(case: &CaseId, snapshot: &SnapshotId) -> String {
    format!("cases/{case}/snapshots/{snapshot}.json")
}

impl CaseStore {
    /// The ledger of a case, in order: its entries alone, without the evidence beside them.
    ///
    /// # Errors
    /// When one cannot be listed or read, or is none.
    pub async fn entries(&self, case: &CaseId) -> Result<Vec<Entry>, Fault> {
        let prefix = format!("cases/{case}/");
        let mut entries = Vec::new();
        for key in self.keys(&prefix).await?.into_iter().filter(|key| entry_number(&prefix, key).is_some()) {
            let Some((bytes, _)) = self.get(&key).await? else { continue };
            entries.push(serde_json::from_slice::<Entry>(&bytes).map_err(|error| unreadable(&format!("{key}: {error}")))?);
        }
        entries.sort_by_key(|entry| entry.number);
        Ok(entries)
    }

    /// Stores the manifest of a snapshot, once. Where another stands there already, nothing is changed and that one is
    /// returned.
    ///
    /// # Errors
    /// When it can be neither written nor read.
    pub async fn keep_manifest(&self, case: &CaseId, snapshot: &SnapshotId, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let key = manifest_key(case, snapshot);
        match self.put(&key, bytes.clone(), &Condition::Absent).await? {
            Written::Written(_) => Ok(bytes),
            Written::Lost => self.object(&key).await,
        }
    }

    /// One object of the bucket.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn object(&self, key: &str) -> Result<Vec<u8>, Fault> {
        let object = self.get(key).await?;
        object.map(|(bytes, _)| bytes).ok_or_else(|| unreadable(&format!("{key} is missing")))
    }
}
