//! One block as `GetSnapshotBlock` returns it: is it what the service says it is?

use sha2::{Digest as _, Sha256};

use super::manifest::BLOCK_SIZE;

/// The SHA-256 of 512 KiB of zeros. A block that was never written and one that was written with zeros are the same
/// disk, and a copy may turn one into the other.
pub const ZERO_BLOCK: [u8; 32] = [
    0x07, 0x85, 0x4d, 0x2f, 0xef, 0x29, 0x7a, 0x06, 0xba, 0x81, 0x68, 0x5e, 0x66, 0x0c, 0x33, 0x2d, 0xe3, 0x6d, 0x5d, 0x18, 0xd5,
    0x46, 0x92, 0x7d, 0x30, 0xda, 0xad, 0x6d, 0x7f, 0xda, 0x15, 0x41,
];

/// What the headers of an answer say of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared<'a> {
    /// `x-amz-Checksum-Algorithm`.
    pub algorithm: &'a str,
    /// `x-amz-Checksum`: the checksum in Base64.
    pub checksum: &'a str,
    /// `x-amz-Data-Length`.
    pub length: u64,
}

/// Why a block is not hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// The checksum is of another kind.
    #[error("its checksum is of the kind `{}`, not SHA256", crate::text::printable(.0, 32))]
    Algorithm(String),
    /// The block is not a whole one, or not as long as the header says.
    #[error("{bytes} bytes came, {declared} were declared, {BLOCK_SIZE} make a block")]
    Length {
        /// How many came.
        bytes: u64,
        /// How many the header says.
        declared: u64,
    },
    /// The bytes are not those the service hashed.
    #[error("its bytes hash to {found}, its header says {}", crate::text::printable(.declared, 64))]
    Checksum {
        /// What they hash to, in Base64.
        found: String,
        /// What the header says.
        declared: String,
    },
}

/// The SHA-256 of a block's bytes, if everything its headers declare is true.
///
/// # Errors
/// With what is not.
pub fn data_digest(bytes: &[u8], declared: &Declared<'_>) -> Result<[u8; 32], BlockFault> {
    if declared.algorithm != "SHA256" {
        return Err(BlockFault::Algorithm(declared.algorithm.to_owned()));
    }
    let length = bytes.len() as u64;
    if length != u64::from(BLOCK_SIZE) || declared.length != length {
        return Err(BlockFault::Length { bytes: length, declared: declared.length });
    }
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let found = crate::text::base64(&digest);
    if found != declared.checksum {
        return Err(BlockFault::Checksum { found, declared: declared.checksum.to_owned() });
    }
    Ok(digest)
}
