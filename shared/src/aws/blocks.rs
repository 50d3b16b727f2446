//! Reading a snapshot block by block, through the EBS direct APIs (CONTAINMENT B20).

use std::ops::Range;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_ebs::operation::list_snapshot_blocks::{ListSnapshotBlocksError, ListSnapshotBlocksOutput};
use aws_sdk_ebs::types::ValidationExceptionReason;
use futures_util::stream::{self, StreamExt as _};

use super::pace::Pace;
use super::{Fault, FaultClass};
use crate::evidence::{
    BLOCK_SIZE, ContentBuilder, Declared, IndexBuilder, Invalid, Level, Manifest, SEGMENT_BLOCKS, Segment, combine, data_digest,
};
use crate::id::SnapshotId;

/// How many lists a second: the account's quota is 50, of which a tenth is left to others.
const LISTS_PER_SECOND: u32 = 45;

/// How many blocks a second: the quota of a snapshot, and unraised of an account, is 1,000.
const BLOCKS_PER_SECOND: u32 = 900;

/// How many blocks a page may have, at most.
const PAGE: i32 = 10_000;

/// How many ranges of a snapshot are listed side by side: what it takes to use the quota at 250 ms a page.
const RANGES: u64 = 12;

/// How many blocks are fetched side by side: 8 MiB on their way.
const FETCHES: usize = 16;

/// How often a listing may be begun anew without having come further.
const MOST_STALLS: u32 = 3;

/// The blocks of snapshots, as one account may read them.
#[derive(Debug)]
pub struct Blocks {
    ebs: aws_sdk_ebs::Client,
    lists: Pace,
    fetches: Pace,
}

/// A client of the EBS direct APIs that is not part of an invocation, for the command line.
#[must_use]
pub fn ebs(config: &aws_config::SdkConfig) -> aws_sdk_ebs::Client {
    aws_sdk_ebs::Client::from_conf(patient(aws_sdk_ebs::config::Builder::from(config)).build())
}

/// Waits longer for its turn than every other client: the quota is of the account, which other deliveries and other
/// tools share, and one page that is refused for good fails a listing of thousands.
pub(super) fn patient(config: aws_sdk_ebs::config::Builder) -> aws_sdk_ebs::config::Builder {
    let retries = RetryConfig::standard().with_max_attempts(7).with_initial_backoff(Duration::from_millis(100));
    config.retry_config(retries.with_max_backoff(Duration::from_secs(5)))
}

impl Blocks {
    /// Through this client.
    #[must_use]
    pub fn new(ebs: aws_sdk_ebs::Client) -> Self {
        Self { ebs, lists: Pace::new(LISTS_PER_SECOND), fetches: Pace::new(BLOCKS_PER_SECOND) }
    }

    /// The manifest of which blocks hold data. Ranges of segments are listed side by side; what is kept is a page of
    /// each, and one hash for each segment.
    ///
    /// # Errors
    /// When a page cannot be read, or the answers contradict one another.
    pub async fn index(&self, snapshot: &SnapshotId, volume_bytes: u64) -> Result<Manifest, Fault> {
        let segments = volume_bytes.div_ceil(SEGMENT_BLOCKS * u64::from(BLOCK_SIZE));
        let width = usize::try_from(segments.div_ceil(RANGES).max(1)).unwrap_or(usize::MAX);
        let starts = (0..segments).step_by(width);
        let ranges = starts.map(|start| start..segments.min(start + width as u64));
        let hashed = stream::iter(ranges.map(|range| self.range(snapshot, volume_bytes, range)));
        let hashed: Vec<Result<Vec<Segment>, Fault>> =
            hashed.buffer_unordered(usize::try_from(RANGES).unwrap_or(1)).collect().await;
        let mut all = Vec::new();
        for segments in hashed {
            all.extend(segments?);
        }
        combine(Level::BlockIndex, volume_bytes, all).map_err(|invalid| contradiction(&invalid))
    }

    async fn range(&self, snapshot: &SnapshotId, volume_bytes: u64, segments: Range<u64>) -> Result<Vec<Segment>, Fault> {
        let mut builder = IndexBuilder::of_segments(volume_bytes, segments.clone());
        let mut pages = Pages::new(self, snapshot, volume_bytes, segments.start * SEGMENT_BLOCKS..segments.end * SEGMENT_BLOCKS);
        while let Some(page) = pages.next().await? {
            for (index, _) in page {
                builder.push(index).map_err(|invalid| contradiction(&invalid))?;
            }
        }
        Ok(builder.segments())
    }

    /// The manifest of what is in the blocks: each is fetched, and hashed where it is what its headers say. Nothing
    /// where more than `most` are listed.
    ///
    /// # Errors
    /// When a block cannot be read or is not what its headers say, or the answers contradict one another.
    pub async fn content(&self, snapshot: &SnapshotId, volume_bytes: u64, most: Option<u64>) -> Result<Option<Manifest>, Fault> {
        let mut builder = ContentBuilder::new(volume_bytes);
        let mut pages = Pages::new(self, snapshot, volume_bytes, 0..u64::MAX);
        let mut listed = 0;
        // Block tokens may end when the snapshot is listed again: each page is read before the next is asked for.
        while let Some(page) = pages.next().await? {
            listed += page.len() as u64;
            if most.is_some_and(|most| listed > most) {
                return Ok(None);
            }
            let mut digests =
                stream::iter(page.into_iter().map(|(index, token)| self.digest(snapshot, index, token))).buffered(FETCHES);
            while let Some(digest) = digests.next().await {
                let (index, digest) = digest?;
                builder.push_digest(index, &digest).map_err(|invalid| contradiction(&invalid))?;
            }
        }
        builder.finish().map(Some).map_err(|invalid| contradiction(&invalid))
    }

    async fn digest(&self, snapshot: &SnapshotId, index: u64, token: String) -> Result<(u64, [u8; 32]), Fault> {
        let at = i32::try_from(index).map_err(|_| contradictory(format!("block {index} of {snapshot} cannot be asked for")))?;
        self.fetches.step().await;
        let request = self.ebs.get_snapshot_block().snapshot_id(snapshot.as_str()).block_index(at).block_token(token);
        let output = request.send().await.map_err(|error| {
            let is_stale = error.as_service_error().is_some_and(|error| {
                use aws_sdk_ebs::operation::get_snapshot_block::GetSnapshotBlockError::ValidationException;
                matches!(error, ValidationException(error) if error.reason() == Some(&ValidationExceptionReason::InvalidBlockToken))
            });
            let fault = Fault::from(error);
            if is_stale { Fault { class: FaultClass::Retryable, ..fault } } else { fault }
        })?;
        let algorithm = output.checksum_algorithm().map_or("", |algorithm| algorithm.as_str()).to_owned();
        let checksum = output.checksum().unwrap_or_default().to_owned();
        let length = output.data_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
        let bytes = output.block_data.collect().await.map_err(|error| Fault {
            code: "Unreadable".to_owned(),
            message: crate::text::printable(&format!("block {index} of {snapshot}: {error}"), 200),
            class: FaultClass::Retryable,
        })?;
        let declared = Declared { algorithm: &algorithm, checksum: &checksum, length };
        let digest = data_digest(&bytes.into_bytes(), &declared);
        // Whatever garbled it on its way may not do so again.
        let digest =
            digest.map_err(|fault| Fault { class: FaultClass::Retryable, ..contradiction(&Invalid::Block { index, fault }) })?;
        Ok((index, digest))
    }
}

/// The pages of a listing, from one index up to another.
struct Pages<'a> {
    blocks: &'a Blocks,
    snapshot: &'a SnapshotId,
    volume_bytes: u64,
    range: Range<u64>,
    token: Option<String>,
    /// The next index that was not seen yet: where a listing that lost its token goes on.
    from: u64,
    stalls: u32,
    ended: bool,
}

impl<'a> Pages<'a> {
    fn new(blocks: &'a Blocks, snapshot: &'a SnapshotId, volume_bytes: u64, range: Range<u64>) -> Self {
        Self { blocks, snapshot, volume_bytes, from: range.start, range, token: None, stalls: 0, ended: false }
    }

    /// The next page that has a block, each with its token. An empty page ends nothing; a missing token does.
    async fn next(&mut self) -> Result<Option<Vec<(u64, String)>>, Fault> {
        while !self.ended {
            let Some(output) = self.ask().await? else { continue };
            self.check(&output)?;
            self.token = output.next_token.filter(|token| !token.is_empty());
            self.ended = self.token.is_none();
            let mut page = Vec::new();
            for block in output.blocks.unwrap_or_default() {
                let index = block.block_index.and_then(|index| u64::try_from(index).ok());
                let (Some(index), Some(token)) = (index, block.block_token) else {
                    return Err(contradictory(format!("a block of {} without index or token", self.snapshot)));
                };
                if index >= self.range.end {
                    self.ended = true;
                    break;
                }
                if index < self.from {
                    return Err(contradictory(format!("block {index} of {} was listed out of order", self.snapshot)));
                }
                self.from = index + 1;
                page.push((index, token));
            }
            if !page.is_empty() {
                self.stalls = 0;
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    /// One request; nothing where its token had ended, and the listing begins anew behind the last block.
    async fn ask(&mut self) -> Result<Option<ListSnapshotBlocksOutput>, Fault> {
        self.blocks.lists.step().await;
        let request = self.blocks.ebs.list_snapshot_blocks().snapshot_id(self.snapshot.as_str()).max_results(PAGE);
        let request = match (&self.token, self.from) {
            (Some(token), _) => request.next_token(token),
            (None, 0) => request,
            (None, from) => {
                // Indexes are numbers of 31 bits in the API: behind the last one there is no block.
                let Ok(from) = i32::try_from(from) else {
                    self.ended = true;
                    return Ok(None);
                };
                request.starting_block_index(from)
            }
        };
        match request.send().await {
            Ok(output) => Ok(Some(output)),
            Err(error) if self.token.is_some() && self.stalls < MOST_STALLS && is_token_gone(error.as_service_error()) => {
                self.token = None;
                self.stalls += 1;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the page is of the disk that EC2 described. The API's guide has the volume's size in GiB, and an example in
    /// bytes.
    fn check(&self, output: &ListSnapshotBlocksOutput) -> Result<(), Fault> {
        if let Some(size) = output.block_size.filter(|size| u32::try_from(*size) != Ok(BLOCK_SIZE)) {
            return Err(contradictory(format!("{} has blocks of {size} bytes", self.snapshot)));
        }
        let size = output.volume_size.and_then(|size| u64::try_from(size).ok());
        let agrees = |size: u64| size == self.volume_bytes || crate::evidence::volume_bytes(size) == self.volume_bytes;
        match size.filter(|size| !agrees(*size)) {
            Some(size) => Err(contradictory(format!(
                "{} is of a volume of {} bytes to EC2, of {size} to EBS",
                self.snapshot, self.volume_bytes
            ))),
            None => Ok(()),
        }
    }
}

fn is_token_gone(error: Option<&ListSnapshotBlocksError>) -> bool {
    match error {
        Some(ListSnapshotBlocksError::ValidationException(error)) => {
            error.reason() == Some(&ValidationExceptionReason::InvalidPageToken)
                || error.message().is_some_and(|message| message.contains("INVALID_PAGE_TOKEN"))
        }
        _ => false,
    }
}

fn contradiction(invalid: &Invalid) -> Fault {
    contradictory(invalid.to_string())
}

fn contradictory(message: String) -> Fault {
    Fault { code: "Contradiction".to_owned(), message, class: FaultClass::Permanent }
}
