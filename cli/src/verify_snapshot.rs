//! Recomputing a snapshot's hash from the EBS direct APIs, against the manifest of a case.

use std::time::Duration;

use tourniquet::aws::{Blocks, ebs, load_config, s3};
use tourniquet::case::store::CaseStore;
use tourniquet::evidence::{Level, Manifest, ManifestFile};
use tourniquet::id::SnapshotId;

pub(crate) async fn run(arguments: &[&str]) -> Result<String, String> {
    let [snapshot, options @ ..] = arguments else { return Err(crate::USAGE.to_owned()) };
    let snapshot = SnapshotId::parse(snapshot).map_err(|error| error.to_string())?;
    let place = crate::option(options, "--manifest")?.ok_or_else(|| format!("--manifest is missing\n{}", crate::USAGE))?;
    let config = load_config(Duration::from_secs(15)).await;
    let bytes = match object(place, crate::option(options, "--bucket")?)? {
        Some((bucket, key)) => {
            CaseStore::new(s3(&config), bucket).object(&key).await.map_err(|fault| format!("{place}: {fault}"))?
        }
        None => std::fs::read(place).map_err(|error| format!("{place}: {error}"))?,
    };
    let file = ManifestFile::read(&bytes).map_err(|invalid| format!("{place}: {invalid}"))?;
    let level = if options.contains(&"--content") { Level::Content } else { Level::BlockIndex };
    let blocks = Blocks::new(ebs(&config));
    let size = file.best().map(|manifest| manifest.volume_size_bytes).unwrap_or_default();
    let found = match level {
        Level::BlockIndex => blocks.index(&snapshot, size).await.map(Some),
        Level::Content => blocks.content(&snapshot, size, None).await,
    };
    let found = found.map_err(|fault| format!("{snapshot}: {fault}"))?.ok_or_else(|| format!("{snapshot}: no blocks"))?;
    verdict(&snapshot, &file, &found, place)
}

/// What the recomputed hash says. A copy is compared with the manifest of its source in the same way.
fn verdict(snapshot: &SnapshotId, file: &ManifestFile, found: &Manifest, place: &str) -> Result<String, String> {
    let level = found.level.as_str();
    let of = if file.snapshot == *snapshot { String::new() } else { format!(", of {}", file.snapshot) };
    let Some(kept) = file.at(found.level) else {
        return Err(format!(
            "{place} has no {level} root to compare with. {snapshot} has sha256:{} over {} blocks",
            found.root_hex(),
            found.blocks
        ));
    };
    if kept.root == found.root {
        return Ok(format!(
            "{snapshot}: the {level} root is the one of {place}{of}: sha256:{} over {} blocks.\nThis proves {}.",
            found.root_hex(),
            found.blocks,
            found.level.proves()
        ));
    }
    let differing: Vec<String> = differing(kept, found).iter().map(u64::to_string).collect();
    Err(format!(
        "{snapshot}: the {level} root is sha256:{} over {} blocks; {place}{of} has sha256:{} over {}.\n\
         Segments of 32 GiB that differ: {}",
        found.root_hex(),
        found.blocks,
        kept.root_hex(),
        kept.blocks,
        if differing.is_empty() { "none, only the volume's size".to_owned() } else { differing.join(", ") }
    ))
}

fn differing(one: &Manifest, other: &Manifest) -> Vec<u64> {
    let only_in = |these: &Manifest, those: &Manifest| -> Vec<u64> {
        these.segments.iter().filter(|segment| !those.segments.contains(segment)).map(|segment| segment.index).collect()
    };
    let mut segments = only_in(one, other);
    segments.extend(only_in(other, one));
    segments.sort_unstable();
    segments.dedup();
    segments
}

/// Bucket and key of `s3://bucket/key`, or of a key of the case bucket; nothing for a file.
fn object(place: &str, bucket: Option<&str>) -> Result<Option<(String, String)>, String> {
    if let Some((bucket, key)) = place.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
        return Ok(Some((bucket.to_owned(), key.to_owned())));
    }
    if place.starts_with("cases/") && !std::path::Path::new(place).exists() {
        return Ok(Some((crate::verify_case::case_bucket(bucket)?, place.to_owned())));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tourniquet::evidence::{ContentBuilder, IndexBuilder, volume_bytes};

    use super::*;

    fn manifest(blocks: &[u64]) -> Manifest {
        let mut builder = IndexBuilder::new(volume_bytes(100));
        for block in blocks {
            builder.push(*block).expect("ascending");
        }
        builder.finish().expect("a manifest")
    }

    fn file(manifest: Manifest) -> ManifestFile {
        ManifestFile { snapshot: id("snap-0123456789abcdef0"), manifests: vec![manifest] }
    }

    fn id(text: &str) -> SnapshotId {
        SnapshotId::parse(text).expect("a snapshot id")
    }

    #[test]
    fn equal_roots_say_what_they_prove() {
        let said = verdict(&id("snap-0123456789abcdef0"), &file(manifest(&[1, 2])), &manifest(&[1, 2]), "m.json").expect("equal");
        assert!(
            said.contains("over 2 blocks") && said.ends_with("This proves which blocks hold data, not what is in them."),
            "{said}"
        );
        assert!(!said.contains(", of snap-"), "{said}");
    }

    #[test]
    fn a_copy_is_compared_with_its_source_and_that_is_said() {
        let said = verdict(&id("snap-0fedcba9876543210"), &file(manifest(&[1])), &manifest(&[1]), "m.json").expect("equal");
        assert!(said.contains("m.json, of snap-0123456789abcdef0"), "{said}");
    }

    #[test]
    fn other_roots_name_the_segments_that_differ() {
        let (kept, found) = (manifest(&[1, 70_000, 140_000]), manifest(&[1, 70_001, 140_000]));
        let said = verdict(&id("snap-0123456789abcdef0"), &file(kept), &found, "m.json").expect_err("different");
        assert!(said.ends_with("Segments of 32 GiB that differ: 1"), "{said}");
    }

    #[test]
    fn a_level_the_manifest_does_not_have_proves_nothing() {
        let content = ContentBuilder::new(volume_bytes(100)).finish().expect("a manifest");
        let said = verdict(&id("snap-0123456789abcdef0"), &file(manifest(&[1])), &content, "m.json").expect_err("no such level");
        assert!(said.starts_with("m.json has no content root to compare with."), "{said}");
    }
}
