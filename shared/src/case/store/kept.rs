//! A whole case: read from one bucket, added to the bucket of another account.

use aws_sdk_s3::error::ProvideErrorMetadata;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{CaseStore, etag, page_key, unreadable};
use crate::aws::Fault;
use crate::case::CaseId;
use crate::id::AccountId;

/// How many objects are on their way at once.
const AT_ONCE: usize = 8;

/// The largest case that is read as a whole: it has to be checked before any of it is written where nothing can be
/// overwritten. Entries, events and evidence have some KB each, a screenshot some hundred.
const MOST_BYTES: u64 = 128 * 1024 * 1024;

impl CaseStore {
    /// Every object of a case but its page, key and bytes, in key order. The page is written anew each time, which a
    /// bucket that takes each key once does not do, and can be made of the others.
    ///
    /// # Errors
    /// When one cannot be listed or read, or all together are too large to be held.
    pub async fn whole(&self, case: &CaseId) -> Result<Vec<(String, Vec<u8>)>, Fault> {
        let page = page_key(case);
        let mut listed = self.listed(&format!("cases/{case}/")).await?;
        listed.retain(|(key, _)| *key != page);
        let bytes: u64 = listed.iter().map(|(_, size)| size).sum();
        if bytes > MOST_BYTES {
            return Err(unreadable(&format!("the case has {bytes} bytes, up to {MOST_BYTES} are kept")));
        }
        let read = async |key: String| {
            let (bytes, named) = self.get(&key).await?.ok_or_else(|| unreadable(&format!("{key} is missing")))?;
            etag(Some(named.0), &key)?;
            Ok::<_, Fault>((key, bytes))
        };
        stream::iter(listed).map(|(key, _)| read(key)).buffered(AT_ONCE).try_collect().await
    }

    /// Adds objects to this bucket, which is `owner`'s, and which may be written to and not read. Where something stands
    /// it stays: nobody but us writes there, so an earlier try has put it there.
    ///
    /// # Errors
    /// When one is refused. Others may have been written.
    pub async fn add(&self, owner: &AccountId, objects: Vec<(String, Vec<u8>)>) -> Result<(), Fault> {
        let add = async |(key, bytes): (String, Vec<u8>)| {
            // A bucket of somebody else under this name is no place for evidence.
            let request = self.putting(&key, bytes).if_none_match("*").expected_bucket_owner(owner.as_str());
            match request.send().await {
                Ok(output) => etag(output.e_tag, &key).map(drop),
                Err(error) if error.code() == Some("PreconditionFailed") => Ok(()),
                Err(error) => Err(Fault::from(error)),
            }
        };
        stream::iter(objects).map(add).buffer_unordered(AT_ONCE).try_collect().await
    }
}
