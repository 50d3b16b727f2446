//! What the entries about sealed snapshots hold. Each is a fact: whoever finds it in the ledger need not do it again.

use serde::{Deserialize, Serialize};

use super::{Entry, EntryKind, Object};
use crate::evidence::{Level, Manifest};
use crate::id::{AccountId, InstanceId, Region, SnapshotId, VolumeId};

/// Which of the snapshots of one volume it is (CONTAINMENT B17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one taken of the volume.
    Source,
    /// Its copy in the same account under the forensics key: the only form in which it can be handed over.
    Transit,
    /// The copy in the forensics account.
    Forensic,
}

impl Role {
    /// The role as the tag `ir:stage` and messages write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Transit => "transit",
            Self::Forensic => "forensic",
        }
    }
}

/// What says that a snapshot belongs to a case. Tags alone never do: whoever may tag writes them too (CONTAINMENT E).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The case names the snapshot.
    Snapshot,
    /// The case names the volume it was taken of, and not yet the snapshot.
    Volume,
    /// The case says that a copy was to be made, and this one is under the forensics key.
    Intent,
}

/// One fact about snapshots, under `what` of an entry of kind `sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum SealRecord {
    /// A snapshot was hashed and locked.
    Sealed(Box<Sealed>),
    /// Something failed for good.
    Failed(Failed),
    /// A copy is about to be made: written first, since `CopySnapshot` has no client token.
    Copying(CopyRecord),
    /// A copy was begun.
    Copied(CopyRecord),
    /// A transit copy may be copied by the forensics account.
    Shared {
        /// The transit copy.
        snapshot: SnapshotId,
        /// The forensics account.
        with: AccountId,
    },
    /// Snapshot sets a person may delete.
    Retention {
        /// The instance.
        instance: InstanceId,
        /// After which snapshot they were looked for.
        after: SnapshotId,
        /// How many sets of the instance are ours.
        counted: usize,
        /// The sets.
        delete: Vec<Vec<SnapshotId>>,
    },
    /// The case lies in the forensics account too, as far as it was written by then.
    Kept {
        /// The bucket there.
        bucket: String,
        /// After which copy it was put there.
        after: SnapshotId,
        /// What this time added to it. `verify_chain` checks each in this bucket, and in that one.
        objects: Vec<Object>,
    },
    /// The case could not be put there.
    NotKept {
        /// The bucket there.
        bucket: String,
        /// After which copy it was to be put there.
        after: SnapshotId,
        /// Why not.
        reason: String,
    },
    /// People were told.
    Told {
        /// About which snapshots.
        about: Vec<SnapshotId>,
        /// The id SNS gave the message.
        notification: Option<String>,
    },
}

/// A snapshot that was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Which one it is.
    pub role: Role,
    /// For a copy, the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub copy_of: Option<SnapshotId>,
    /// The account that owns it.
    pub account: AccountId,
    /// Its Region.
    pub region: Region,
    /// The volume it was taken of; a copy names none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub volume: Option<VolumeId>,
    /// The instance.
    pub instance: InstanceId,
    /// What says that it belongs to the case.
    pub recorded: Provenance,
    /// The key it is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// How the hashes were computed: `ebs-manifest/1`, of `docs/evidence-hash.md`.
    pub algorithm: String,
    /// The roots, one for each level.
    pub hashes: Vec<RootHash>,
    /// Why there is no hash of the content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_content: Option<String>,
    /// The manifest.
    pub objects: Vec<Object>,
    /// How it is locked.
    pub locked: Locked,
    /// What is not as it should be, and does not undo the seal: a tag that could not be set.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<String>,
    /// How a copy compares with its source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compared: Option<Compared>,
    /// Where the copies go; absent where it is sealed in place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub copied_to: Option<AccountId>,
}

/// A root, with what it proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootHash {
    /// The level.
    pub level: Level,
    /// The root, in lower-case hexadecimal.
    pub root: String,
    /// How many blocks were hashed.
    pub blocks: u64,
    /// What it proves, in words.
    pub proves: String,
}

impl From<&Manifest> for RootHash {
    fn from(manifest: &Manifest) -> Self {
        let proves = manifest.level.proves().to_owned();
        Self { level: manifest.level, root: manifest.root_hex(), blocks: manifest.blocks, proves }
    }
}

/// Whether a snapshot is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lock", content = "detail", rename_all = "snake_case")]
pub enum Locked {
    /// It was already, or is now: for how long.
    Locked(String),
    /// The guardrails want none.
    NotWanted,
    /// It could not be.
    NotLocked(String),
}

/// How a copy compares with its source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Whether the same blocks are listed. That they are not need not mean another content: a copy may list a block of
    /// zeros.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub same_blocks: Option<bool>,
    /// Whether the content is the same; nothing where one of them has no hash of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub same_content: Option<bool>,
}

impl Compared {
    /// Whether the copy is what its source is, as far as both have hashes.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.same_content.or(self.same_blocks) == Some(true)
    }
}

/// Something that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Which one it is.
    pub role: Role,
    /// What failed.
    pub step: FailedStep,
    /// Why, in AWS's words.
    pub reason: String,
}

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedStep {
    /// The snapshot itself.
    Create,
    /// Hashing it.
    Hash,
    /// Handing it over to the forensics account.
    Share,
    /// Beginning a copy of it.
    Copy,
    /// The copy is not what its source is.
    Compare,
}

impl FailedStep {
    /// What failed, for a person.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "it was not completed",
            Self::Hash => "it could not be hashed",
            Self::Share => "it could not be handed over",
            Self::Copy => "it could not be copied",
            Self::Compare => "it is not what its source is",
        }
    }
}

/// A copy, intended or begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyRecord {
    /// The source it is a copy of in the end.
    pub of: SnapshotId,
    /// The snapshot that is copied.
    pub from: SnapshotId,
    /// Which one the copy is.
    pub role: Role,
    /// The account it is made in.
    pub account: AccountId,
    /// The key it is encrypted with.
    pub key: String,
    /// The copy; not known before it was begun.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub snapshot: Option<SnapshotId>,
    /// The copy that was begun before and came to nothing, in whose place this one is made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instead_of: Option<SnapshotId>,
}

impl SealRecord {
    /// What an entry records about snapshots, if it does.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        (entry.entry == EntryKind::Sealed).then(|| Self::deserialize(&entry.what).ok()).flatten()
    }

    /// Whether `other` states the same fact, whoever found it out and when: then it need not be written again.
    #[must_use]
    pub fn is_same_fact(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sealed(one), Self::Sealed(other)) => one.snapshot == other.snapshot,
            // For another reason than the one that people know, it has failed anew.
            (Self::Failed(one), Self::Failed(other)) => one == other,
            (Self::Copying(one), Self::Copying(other)) | (Self::Copied(one), Self::Copied(other)) => {
                one.of == other.of && one.role == other.role && one.instead_of == other.instead_of
            }
            (Self::Shared { snapshot: one, .. }, Self::Shared { snapshot: other, .. })
            | (Self::Retention { after: one, .. }, Self::Retention { after: other, .. }) => one == other,
            (Self::Kept { bucket: one, after: for_one, .. }, Self::Kept { bucket: other, after: for_other, .. })
            | (Self::NotKept { bucket: one, after: for_one, .. }, Self::NotKept { bucket: other, after: for_other, .. }) => {
                one == other && for_one == for_other
            }
            (Self::Told { about: one, .. }, Self::Told { about: other, .. }) => one == other,
            _ => false,
        }
    }
}
