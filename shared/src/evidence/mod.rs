//! Evidence on disks: the canonical hash of a snapshot, and which snapshots a person may delete (CONTAINMENT B19, B20).
//! Pure: whoever has the blocks, or a list of them, computes the same.

mod block;
mod file;
mod manifest;
mod retention;

pub use block::{BlockFault, Declared, ZERO_BLOCK, data_digest};
pub use file::ManifestFile;
pub use manifest::{
    BLOCK_SIZE, ContentBuilder, FORMAT, IndexBuilder, Invalid, Level, Manifest, SEGMENT_BLOCKS, Segment, combine, volume_bytes,
};
pub use retention::{KEPT_SETS, Keep, Retention, SetSnapshot, SnapshotSet, propose};
