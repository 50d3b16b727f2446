//! Hashing a snapshot and keeping its manifest.

use super::{Delivery, Work};
use crate::aws::{Fault, FaultClass};
use crate::case::Object;
use crate::case::store::manifest_key;
use crate::evidence::{Level, ManifestFile, volume_bytes};
use crate::text::sha256;

/// A snapshot's hashes, kept in the case.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) file: ManifestFile,
    pub(super) object: Object,
    /// Why there is no hash of the content.
    pub(super) without_content: Option<String>,
}

impl Delivery<'_> {
    /// Hashes a snapshot at the level of its blocks' indexes and, where it is small enough or `with_content`, of its
    /// content, and keeps the manifest. One that stands in the case already must agree with it.
    pub(super) async fn hash(&self, work: &Work<'_>, with_content: bool) -> Result<Hashed, Fault> {
        let id = &work.snapshot.id;
        let volume = volume_bytes(work.snapshot.gibibytes);
        let index = work.place.blocks.index(id, volume).await?;
        let (listed, limit) = (index.blocks, self.function.config.content_blocks);
        let mut manifests = vec![index];
        let mut without_content = None;
        if listed <= limit || with_content {
            // One that lists more now than a moment ago has not been completed.
            let content = work.place.blocks.content(id, volume, Some(listed)).await?;
            let content = content.ok_or_else(|| contradiction(format!("{id} lists other blocks than a moment ago")))?;
            manifests.push(content);
        } else {
            without_content = Some(format!("{listed} blocks are listed, up to {limit} are hashed"));
        }
        let file = ManifestFile { snapshot: id.clone(), manifests };
        let bytes = self.function.store.keep_manifest(&work.claim.case, id, file.bytes()).await?;
        let kept = ManifestFile::read(&bytes).map_err(|invalid| contradiction(invalid.to_string()))?;
        if !kept.agrees_with(&file) {
            return Err(contradiction("another manifest of it stands in the case".to_owned()));
        }
        let object = Object { key: manifest_key(&work.claim.case, id), sha256: sha256(&bytes) };
        // An earlier delivery may have had another limit.
        let without_content = without_content.filter(|_| kept.at(Level::Content).is_none());
        let without_content = without_content
            .or_else(|| kept.at(Level::Content).is_none().then(|| "an earlier delivery kept a manifest without it".to_owned()));
        Ok(Hashed { file: kept, object, without_content })
    }
}

fn contradiction(message: String) -> Fault {
    Fault { code: "Contradiction".to_owned(), message, class: FaultClass::Permanent }
}
