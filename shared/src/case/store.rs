//! The case bucket. Every write is conditional but that of the page, which is made of the others: nothing is ever
//! overwritten unseen (CONTAINMENT H6).

mod budget;
#[cfg(feature = "seal")]
mod kept;
mod sealed;

use std::collections::BTreeMap;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;

use serde::{Deserialize, Serialize};

use super::chain::entry_number;
use super::{CaseId, Entry, OpenCase, event_key};
use crate::aws::{Fault, FaultClass};
use crate::id::{AccountId, GroupId, Region, VpcId};
use crate::plan::Plan;

pub use budget::proposed_prefix;
pub use sealed::manifest_key;

/// The guardrails' key in the case bucket.
pub const GUARDRAILS_KEY: &str = "guardrails.toml";

/// The code of an entry whose place another writer has taken.
pub(crate) const ENTRY_TAKEN: &str = "EntryTaken";

/// The case bucket.
#[derive(Debug, Clone)]
pub struct CaseStore {
    s3: aws_sdk_s3::Client,
    bucket: String,
}

/// A version of an open case, to be replaced only as long as nobody else has replaced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    /// Written.
    Written(T),
    /// Somebody else wrote first: nothing was changed.
    Lost,
}

/// A plan that is in the case bucket. The only plan that can be carried out; only the store makes one:
///
/// ```compile_fail
/// use tourniquet::case::store::Remembered;
/// use tourniquet::plan::Plan;
///
/// fn never_written(plan: Plan, etag: tourniquet::case::store::Etag) -> Remembered {
///     Remembered { plan, etag }
/// }
/// ```
#[derive(Debug)]
pub struct Remembered {
    plan: Plan,
    etag: Etag,
}

impl Remembered {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The open case's version that holds it.
    #[must_use]
    pub fn etag(&self) -> &Etag {
        &self.etag
    }
}

impl CaseStore {
    /// The case bucket `bucket`.
    #[must_use]
    pub fn new(s3: aws_sdk_s3::Client, bucket: String) -> Self {
        Self { s3, bucket }
    }

    /// The guardrails' text.
    ///
    /// # Errors
    /// When the object is missing or cannot be read.
    pub async fn guardrails(&self) -> Result<String, Fault> {
        let bytes = self.get(GUARDRAILS_KEY).await?.map(|(bytes, _)| bytes);
        let bytes = bytes.ok_or_else(|| unreadable(&format!("s3://{}/{GUARDRAILS_KEY} is missing", self.bucket)))?;
        String::from_utf8(bytes).map_err(|_| unreadable(&format!("s3://{}/{GUARDRAILS_KEY} is not UTF-8", self.bucket)))
    }

    /// The open case of the target filed under `target`, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub async fn open_case(&self, target: &str) -> Result<Option<(OpenCase, Etag)>, Fault> {
        let Some((bytes, etag)) = self.get(&OpenCase::key(target)).await? else { return Ok(None) };
        let case = serde_json::from_slice(&bytes).map_err(|error| unreadable(&format!("{}: {error}", OpenCase::key(target))))?;
        Ok(Some((case, etag)))
    }

    /// Opens a case: claims the target and remembers plan and original state, in one write that only the first wins.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn open(&self, case: &OpenCase) -> Result<Written<Remembered>, Fault> {
        let put = self.put(&OpenCase::key(&case.target), bytes_of(case)?, &Condition::Absent).await?;
        Ok(remembered(put, case))
    }

    /// Replaces an open case that is still the one read under `etag`.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn replace(&self, case: &OpenCase, etag: &Etag) -> Result<Written<Remembered>, Fault> {
        let put = self.put(&OpenCase::key(&case.target), bytes_of(case)?, &Condition::Unchanged(etag.clone())).await?;
        Ok(remembered(put, case))
    }

    /// Appends an entry to the ledger. Writing the same entry twice is writing it once.
    ///
    /// # Errors
    /// When the write fails, or another entry stands in its place.
    pub async fn append(&self, entry: &Entry) -> Result<(), Fault> {
        let bytes = entry.bytes();
        self.put_once(&entry.key(), bytes).await
    }

    /// Stores the event as delivered. Writing the same event twice is writing it once.
    ///
    /// # Errors
    /// When the write fails, or another event stands in its place.
    pub async fn keep_event(&self, case: &CaseId, event: &[u8]) -> Result<(), Fault> {
        self.put_once(&event_key(case, &crate::text::sha256(event)), event.to_vec()).await
    }

    /// Stores the case's page, over the one before: the bucket keeps every version. It is made of the ledger and can be
    /// made again, so nothing depends on it.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn keep_page(&self, case: &CaseId, page: String) -> Result<(), Fault> {
        let request = self.s3.put_object().bucket(&self.bucket).key(page_key(case));
        let request = request.content_type("text/html; charset=utf-8").checksum_algorithm(ChecksumAlgorithm::Sha256);
        request.body(ByteStream::from(page.into_bytes())).send().await?;
        Ok(())
    }

    /// Stores a piece of evidence, and says where. The key holds the hash: the same piece twice is stored once, and
    /// another one of the same name stands beside it.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn keep_evidence(&self, case: &CaseId, name: &str, bytes: Vec<u8>) -> Result<Evidence, Fault> {
        let digest = crate::text::sha256(&bytes);
        let key = format!("cases/{case}/evidence/{}-{name}", &digest[..16]);
        let length = bytes.len();
        self.put_once(&key, bytes).await?;
        Ok(Evidence { name: name.to_owned(), key, sha256: digest, bytes: length })
    }

    /// The isolation groups that are recorded as ours, by VPC: a group's name or tag alone proves nothing (CONTAINMENT B4).
    ///
    /// # Errors
    /// When the record cannot be read, or holds something else.
    pub async fn isolation_groups(&self, account: &AccountId, region: &Region) -> Result<BTreeMap<VpcId, GroupId>, Fault> {
        Ok(self.recorded_groups(&isolation_key(account, region)).await?.0.groups)
    }

    /// Records an isolation group as ours. Of two that were made at once for one VPC the first recorded stays, and is
    /// the one returned; `gone` is one that was recorded and is no longer there, which gives way.
    ///
    /// # Errors
    /// When the record cannot be read or written.
    pub async fn record_isolation_group(
        &self,
        account: &AccountId,
        region: &Region,
        vpc: &VpcId,
        group: &GroupId,
        gone: Option<&GroupId>,
    ) -> Result<GroupId, Fault> {
        let key = isolation_key(account, region);
        for _ in 0..MOST_RACES {
            let (mut recorded, etag) = self.recorded_groups(&key).await?;
            if let Some(first) = recorded.groups.get(vpc).filter(|first| Some(*first) != gone) {
                return Ok(first.clone());
            }
            recorded.groups.insert(vpc.clone(), group.clone());
            let bytes = serde_json::to_vec(&recorded).map_err(|error| unreadable(&error.to_string()))?;
            let condition = etag.map_or(Condition::Absent, Condition::Unchanged);
            if let Written::Written(_) = self.put(&key, bytes, &condition).await? {
                return Ok(group.clone());
            }
        }
        Err(Fault { class: FaultClass::Retryable, ..unreadable(&format!("{key} keeps changing")) })
    }

    async fn recorded_groups(&self, key: &str) -> Result<(RecordedGroups, Option<Etag>), Fault> {
        let Some((bytes, etag)) = self.get(key).await? else { return Ok((RecordedGroups::default(), None)) };
        let recorded = serde_json::from_slice(&bytes).map_err(|error| unreadable(&format!("{key}: {error}")))?;
        Ok((recorded, Some(etag)))
    }

    /// The targets of an account that have an open case, or had one: what [`Self::open_case`] takes.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn targets(&self, account: &AccountId) -> Result<Vec<String>, Fault> {
        let keys = self.keys(&OpenCase::key_prefix(account)).await?;
        Ok(keys.iter().filter_map(|key| OpenCase::target_of(key)).map(str::to_owned).collect())
    }

    /// The last entry of a case's ledger, as stored.
    ///
    /// # Errors
    /// When the ledger cannot be listed or the entry cannot be read.
    pub async fn last_entry(&self, case: &CaseId) -> Result<Option<Vec<u8>>, Fault> {
        let prefix = format!("cases/{case}/");
        let last = self.keys(&prefix).await?.into_iter().filter(|key| entry_number(&prefix, key).is_some()).max();
        let Some(last) = last else { return Ok(None) };
        Ok(self.get(&last).await?.map(|(bytes, _)| bytes))
    }

    /// The first entry of a case's ledger, if there is such a case.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub async fn first_entry(&self, case: &CaseId) -> Result<Option<Entry>, Fault> {
        let key = format!("cases/{case}/{:04}.json", 1);
        let Some((bytes, _)) = self.get(&key).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(&format!("{key}: {error}")))
    }

    /// Every object of a case: key and bytes, in key order.
    ///
    /// # Errors
    /// When one cannot be listed or read.
    pub async fn objects(&self, case: &CaseId) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let mut objects = Vec::new();
        for key in self.keys(&format!("cases/{case}/")).await? {
            if let Some((bytes, _)) = self.get(&key).await? {
                objects.push((key, bytes));
            }
        }
        Ok(objects)
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        Ok(self.listed(prefix).await?.into_iter().map(|(key, _)| key).collect())
    }

    /// Keys under a prefix, in their order, with their sizes.
    async fn listed(&self, prefix: &str) -> Result<Vec<(String, u64)>, Fault> {
        let mut pages = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let objects = page?.contents.unwrap_or_default().into_iter();
            listed.extend(objects.filter_map(|object| Some((object.key?, u64::try_from(object.size.unwrap_or_default()).ok()?))));
        }
        Ok(listed)
    }

    async fn put_once(&self, key: &str, bytes: Vec<u8>) -> Result<(), Fault> {
        match self.put(key, bytes.clone(), &Condition::Absent).await? {
            Written::Written(_) => Ok(()),
            Written::Lost => match self.get(key).await? {
                Some((stored, _)) if stored == bytes => Ok(()),
                _ => Err(Fault {
                    code: ENTRY_TAKEN.to_owned(),
                    message: format!("another delivery wrote {key}"),
                    class: FaultClass::Retryable,
                }),
            },
        }
    }

    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Etag)>, Fault> {
        let output = match self.s3.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(output) => output,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let etag = Etag(output.e_tag.unwrap_or_default());
        let body = output.body.collect().await.map_err(|error| Fault {
            code: "Unreadable".to_owned(),
            message: crate::text::printable(&error.to_string(), 200),
            class: FaultClass::Retryable,
        })?;
        Ok(Some((body.to_vec(), etag)))
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, condition: &Condition) -> Result<Written<Etag>, Fault> {
        let request = self.putting(key, bytes.clone());
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(&etag.0),
        };
        match request.send().await {
            Ok(output) => Ok(Written::Written(etag(output.e_tag, key)?)),
            // A retry inside the SDK may find what its own first attempt wrote: then the write is ours after all.
            Err(error) if is_lost(error.code()) => match self.get(key).await? {
                Some((stored, etag)) if stored == bytes => Ok(Written::Written(etag)),
                _ => Ok(Written::Lost),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn putting(&self, key: &str, bytes: Vec<u8>) -> PutObjectFluentBuilder {
        let request = self.s3.put_object().bucket(&self.bucket).key(key).content_type("application/json");
        request.checksum_algorithm(ChecksumAlgorithm::Sha256).body(ByteStream::from(bytes))
    }
}

/// S3 names the version it wrote or read; an answer that does not is not S3's, and proves nothing.
fn etag(named: Option<String>, key: &str) -> Result<Etag, Fault> {
    let unnamed = || Fault { class: FaultClass::Retryable, ..unreadable(&format!("no ETag for {key}")) };
    named.filter(|etag| !etag.is_empty()).map(Etag).ok_or_else(unnamed)
}

/// A piece of evidence in the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it is.
    pub name: String,
    /// Where it is.
    pub key: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its length.
    pub bytes: usize,
}

fn page_key(case: &CaseId) -> String {
    format!("cases/{case}/report.html")
}

/// The object under `isolation/`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RecordedGroups {
    groups: BTreeMap<VpcId, GroupId>,
}

/// How often a record is written anew because somebody else wrote it in the meantime.
const MOST_RACES: u32 = 10;

fn isolation_key(account: &AccountId, region: &Region) -> String {
    format!("isolation/{account}/{region}.json")
}

/// What must hold for a write.
enum Condition {
    Absent,
    Unchanged(Etag),
}

/// The codes of a lost conditional write; `NoSuchKey` is what `If-Match` meets on an object that is gone.
fn is_lost(code: Option<&str>) -> bool {
    matches!(code, Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey"))
}

fn remembered(put: Written<Etag>, case: &OpenCase) -> Written<Remembered> {
    match put {
        Written::Written(etag) => Written::Written(Remembered { plan: case.plan.clone(), etag }),
        Written::Lost => Written::Lost,
    }
}

fn bytes_of(case: &OpenCase) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(case).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(message: &str) -> Fault {
    Fault { code: "Unreadable".to_owned(), message: crate::text::printable(message, 200), class: FaultClass::Permanent }
}
