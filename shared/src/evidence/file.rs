//! The file of manifests that a case keeps of a snapshot.

use serde::{Deserialize, Serialize};

use super::manifest::{Invalid, Level, Manifest};
use crate::id::SnapshotId;

/// What a case keeps of a snapshot: its manifests, one for each level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its manifests, the lower level first.
    pub manifests: Vec<Manifest>,
}

impl ManifestFile {
    /// The manifest of a level, if there is one.
    #[must_use]
    pub fn at(&self, level: Level) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.level == level)
    }

    /// The manifest that proves most.
    #[must_use]
    pub fn best(&self) -> Option<&Manifest> {
        self.manifests.iter().max_by_key(|manifest| manifest.level)
    }

    /// Whether two files are of the same snapshot and agree where they have the same level.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let agree = |one: &Manifest| other.at(one.level).is_none_or(|other| *one == *other);
        self.snapshot == other.snapshot && self.manifests.iter().all(agree)
    }

    /// The bytes stored. Field order is fixed by the types, so the same manifests always give the same bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        // A struct of strings and numbers: there is nothing in it that serde_json refuses.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a stored file, whose manifests must hold together.
    ///
    /// # Errors
    /// When it is none, or one of them contradicts itself.
    pub fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        let file: Self = serde_json::from_slice(bytes).map_err(|_| Invalid::Manifest("it is no file of manifests"))?;
        for manifest in &file.manifests {
            manifest.check()?;
        }
        if file.manifests.is_empty() || !file.manifests.is_sorted_by(|one, next| one.level < next.level) {
            return Err(Invalid::Manifest("it has no manifest, or two of one level"));
        }
        Ok(file)
    }
}
