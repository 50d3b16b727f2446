//! The canonical hash of a snapshot: independent of block tokens, pages, time and the snapshot's id, so that whoever
//! asks again, and whoever asks a copy, gets the same (CONTAINMENT B20). `docs/evidence-hash.md` has every byte of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::block::{BlockFault, Declared, ZERO_BLOCK, data_digest};
use crate::text::hex;

/// The form, as the root and the manifest name it.
pub const FORMAT: &str = "ebs-manifest/1";

/// The bytes of a block, as EBS cuts every volume.
pub const BLOCK_SIZE: u32 = 512 * 1024;

/// The block indexes of a segment: a fixed range, whatever is written in it. 32 GiB of disk.
pub const SEGMENT_BLOCKS: u64 = 65_536;

/// What a root proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Which blocks hold data. Nothing about what is in them.
    BlockIndex,
    /// What is in every block.
    Content,
}

impl Level {
    /// The level's byte in the root.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::BlockIndex => b'I',
            Self::Content => b'C',
        }
    }

    /// The level as manifests and tags write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlockIndex => "block-index",
            Self::Content => "content",
        }
    }

    /// What a root of this level proves, for a person.
    #[must_use]
    pub fn proves(self) -> &'static str {
        match self {
            Self::BlockIndex => "which blocks hold data, not what is in them",
            Self::Content => "the content of every block",
        }
    }
}

/// Why blocks cannot be hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A block comes after one with a higher index, or twice.
    #[error("block {index} comes after block {after}")]
    Order {
        /// The block.
        index: u64,
        /// The one before it.
        after: u64,
    },
    /// A block lies behind the end of the volume.
    #[error("block {index} lies outside a volume of {volume} bytes")]
    Outside {
        /// The block.
        index: u64,
        /// The volume's size in bytes.
        volume: u64,
    },
    /// A block lies outside the range that is being hashed.
    #[error("block {index} lies outside the segments from {from} up to {until}")]
    Elsewhere {
        /// The block.
        index: u64,
        /// The first segment of the range.
        from: u64,
        /// The first one behind it.
        until: u64,
    },
    /// A block's content is not what its headers say.
    #[error("block {index}: {fault}")]
    Block {
        /// The block.
        index: u64,
        /// What is wrong with it.
        fault: BlockFault,
    },
    /// Segments of one manifest are there twice.
    #[error("segment {0} is there twice")]
    Segment(u64),
    /// A manifest contradicts itself.
    #[error("the manifest contradicts itself: {0}")]
    Manifest(&'static str),
}

/// The hash of one segment's blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its place: the blocks from `index * 65536` on.
    pub index: u64,
    /// How many blocks it has. A segment without any is left out.
    pub blocks: u64,
    /// SHA-256 over its leaves, in lower-case hexadecimal.
    #[serde(with = "hexadecimal")]
    pub sha256: [u8; 32],
}

/// The hash of a snapshot at one level, with what it takes to find out where another one differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// What it proves.
    pub level: Level,
    /// [`BLOCK_SIZE`].
    pub block_size: u32,
    /// The volume's size in bytes.
    pub volume_size_bytes: u64,
    /// How many blocks were hashed.
    pub blocks: u64,
    /// The segments that hold blocks, ascending.
    pub segments: Vec<Segment>,
    /// The root, in lower-case hexadecimal.
    #[serde(with = "hexadecimal")]
    pub root: [u8; 32],
}

impl Manifest {
    /// The root in lower-case hexadecimal.
    #[must_use]
    pub fn root_hex(&self) -> String {
        hex(&self.root)
    }

    /// Whether the manifest is one of this form, and its root follows from its segments.
    ///
    /// # Errors
    /// With what does not hold.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.format != FORMAT || self.block_size != BLOCK_SIZE {
            return Err(Invalid::Manifest("it is of another form"));
        }
        if !self.segments.is_sorted_by(|one, next| one.index < next.index) {
            return Err(Invalid::Manifest("its segments are not in order"));
        }
        let again = combine(self.level, self.volume_size_bytes, self.segments.clone())?;
        if again.blocks != self.blocks {
            return Err(Invalid::Manifest("its number of blocks is not that of its segments"));
        }
        if again.root != self.root {
            return Err(Invalid::Manifest("its root is not that of its segments"));
        }
        Ok(())
    }
}

/// The size of a volume in bytes, of its size as EC2 gives it.
#[must_use]
pub fn volume_bytes(gibibytes: u64) -> u64 {
    gibibytes.saturating_mul(1 << 30)
}

/// The manifest of segments that were hashed on their own, given in any order.
///
/// # Errors
/// When one is there twice, or lies outside the volume.
pub fn combine(level: Level, volume_size_bytes: u64, mut segments: Vec<Segment>) -> Result<Manifest, Invalid> {
    segments.retain(|segment| segment.blocks > 0);
    segments.sort_by_key(|segment| segment.index);
    let mut root = Sha256::new();
    root.update(FORMAT);
    root.update(b"\n");
    root.update([level.byte()]);
    root.update(BLOCK_SIZE.to_be_bytes());
    root.update(volume_size_bytes.to_be_bytes());
    let (mut before, mut blocks) = (None, 0_u64);
    for segment in &segments {
        if before == Some(segment.index) {
            return Err(Invalid::Segment(segment.index));
        }
        let first = segment.index.saturating_mul(SEGMENT_BLOCKS);
        within(first, volume_size_bytes)?;
        root.update(segment.index.to_be_bytes());
        root.update(segment.sha256);
        before = Some(segment.index);
        blocks = blocks.saturating_add(segment.blocks);
    }
    let (format, root) = (FORMAT.to_owned(), root.finalize().into());
    Ok(Manifest { format, level, block_size: BLOCK_SIZE, volume_size_bytes, blocks, segments, root })
}

/// Hashes which blocks hold data: level `block-index`.
#[derive(Debug)]
pub struct IndexBuilder(Leaves);

impl IndexBuilder {
    /// Over a whole volume.
    #[must_use]
    pub fn new(volume_size_bytes: u64) -> Self {
        Self(Leaves::new(volume_size_bytes, 0..u64::MAX))
    }

    /// Over some segments of a volume, beside others that are hashed elsewhere.
    #[must_use]
    pub fn of_segments(volume_size_bytes: u64, segments: std::ops::Range<u64>) -> Self {
        Self(Leaves::new(volume_size_bytes, segments))
    }

    /// Takes the next block; indexes ascend.
    ///
    /// # Errors
    /// When it is not the next, or lies outside.
    pub fn push(&mut self, index: u64) -> Result<(), Invalid> {
        self.0.admit(index)?;
        self.0.leaf(index, &Sha256::digest(index.to_be_bytes()).into());
        Ok(())
    }

    /// The segments, to be combined with others.
    #[must_use]
    pub fn segments(self) -> Vec<Segment> {
        self.0.close()
    }

    /// The manifest.
    ///
    /// # Errors
    /// Never for blocks that were taken.
    pub fn finish(self) -> Result<Manifest, Invalid> {
        let volume = self.0.volume;
        combine(Level::BlockIndex, volume, self.segments())
    }
}

/// Hashes what is in the blocks: level `content`. Blocks of zeros are left out.
#[derive(Debug)]
pub struct ContentBuilder(Leaves);

impl ContentBuilder {
    /// Over a whole volume.
    #[must_use]
    pub fn new(volume_size_bytes: u64) -> Self {
        Self(Leaves::new(volume_size_bytes, 0..u64::MAX))
    }

    /// Over some segments of a volume, beside others that are hashed elsewhere.
    #[must_use]
    pub fn of_segments(volume_size_bytes: u64, segments: std::ops::Range<u64>) -> Self {
        Self(Leaves::new(volume_size_bytes, segments))
    }

    /// Takes the next block, whose bytes must be what its headers say; indexes ascend.
    ///
    /// # Errors
    /// When it is not the next, lies outside, or is not what its headers say.
    pub fn push(&mut self, index: u64, bytes: &[u8], declared: &Declared<'_>) -> Result<(), Invalid> {
        let data = data_digest(bytes, declared).map_err(|fault| Invalid::Block { index, fault })?;
        self.push_digest(index, &data)
    }

    /// Takes the next block by the SHA-256 of its bytes, as [`data_digest`] returns it.
    ///
    /// # Errors
    /// When it is not the next, or lies outside.
    pub fn push_digest(&mut self, index: u64, data: &[u8; 32]) -> Result<(), Invalid> {
        self.0.admit(index)?;
        if *data != ZERO_BLOCK {
            let leaf = Sha256::new().chain_update(index.to_be_bytes()).chain_update(data).finalize();
            self.0.leaf(index, &leaf.into());
        }
        Ok(())
    }

    /// The segments, to be combined with others.
    #[must_use]
    pub fn segments(self) -> Vec<Segment> {
        self.0.close()
    }

    /// The manifest.
    ///
    /// # Errors
    /// Never for blocks that were taken.
    pub fn finish(self) -> Result<Manifest, Invalid> {
        let volume = self.0.volume;
        combine(Level::Content, volume, self.segments())
    }
}

/// Leaves on their way into segments. One segment is open at a time; of the others there is one hash each.
#[derive(Debug)]
struct Leaves {
    volume: u64,
    range: std::ops::Range<u64>,
    last: Option<u64>,
    open: Option<(u64, u64, Sha256)>,
    closed: Vec<Segment>,
}

impl Leaves {
    fn new(volume: u64, range: std::ops::Range<u64>) -> Self {
        Self { volume, range, last: None, open: None, closed: Vec::new() }
    }

    fn admit(&mut self, index: u64) -> Result<(), Invalid> {
        if let Some(after) = self.last.filter(|last| *last >= index) {
            return Err(Invalid::Order { index, after });
        }
        within(index, self.volume)?;
        if !self.range.contains(&(index / SEGMENT_BLOCKS)) {
            return Err(Invalid::Elsewhere { index, from: self.range.start, until: self.range.end });
        }
        self.last = Some(index);
        Ok(())
    }

    fn leaf(&mut self, index: u64, leaf: &[u8; 32]) {
        let segment = index / SEGMENT_BLOCKS;
        if self.open.as_ref().is_some_and(|(open, _, _)| *open != segment) {
            self.shut();
        }
        let (_, blocks, hash) = self.open.get_or_insert_with(|| (segment, 0, Sha256::new()));
        *blocks += 1;
        hash.update(leaf);
    }

    fn shut(&mut self) {
        if let Some((index, blocks, hash)) = self.open.take() {
            self.closed.push(Segment { index, blocks, sha256: hash.finalize().into() });
        }
    }

    fn close(mut self) -> Vec<Segment> {
        self.shut();
        self.closed
    }
}

fn within(index: u64, volume: u64) -> Result<(), Invalid> {
    let starts_inside = index.checked_mul(u64::from(BLOCK_SIZE)).is_some_and(|start| start < volume);
    if starts_inside { Ok(()) } else { Err(Invalid::Outside { index, volume }) }
}

/// Hashes as text in JSON.
mod hexadecimal {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::text::hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::text::digest(&text).ok_or_else(|| D::Error::custom("not a SHA-256 in lower-case hexadecimal"))
    }
}
