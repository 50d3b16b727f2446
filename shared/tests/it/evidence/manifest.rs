//! The canonical hash, against an independent computation and against everything that may not matter.

use std::collections::BTreeSet;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tourniquet::evidence::{
    ContentBuilder, IndexBuilder, Invalid, Level, Manifest, SEGMENT_BLOCKS, Segment, ZERO_BLOCK, combine, volume_bytes,
};

/// 128 GiB: four segments.
const GIB: u64 = 128;
const BLOCKS: u64 = GIB * 2048;

fn index_manifest(indexes: impl IntoIterator<Item = u64>) -> Manifest {
    let mut builder = IndexBuilder::new(volume_bytes(GIB));
    for index in indexes {
        builder.push(index).expect("an ascending index");
    }
    builder.finish().expect("a manifest")
}

/// What the block at `index` holds in these tests; zeros at every fifth.
fn data(index: u64) -> [u8; 32] {
    if index.is_multiple_of(5) { ZERO_BLOCK } else { Sha256::digest(format!("block {index}")).into() }
}

fn content_manifest(indexes: impl IntoIterator<Item = u64>) -> Manifest {
    let mut builder = ContentBuilder::new(volume_bytes(GIB));
    for index in indexes {
        builder.push_digest(index, &data(index)).expect("an ascending index");
    }
    builder.finish().expect("a manifest")
}

/// The root, written down a second time straight from the definition.
fn root(level: u8, leaves: &[(u64, Vec<u8>)]) -> [u8; 32] {
    let mut preimage = b"ebs-manifest/1\n".to_vec();
    preimage.push(level);
    preimage.extend([0, 8, 0, 0]);
    preimage.extend((GIB << 30).to_be_bytes());
    for k in 0..BLOCKS.div_ceil(65_536) {
        let of_segment = leaves.iter().filter(|(index, _)| (k * 65_536..(k + 1) * 65_536).contains(index));
        let leaves: Vec<u8> = of_segment.flat_map(|(_, leaf)| Sha256::digest(leaf).to_vec()).collect();
        if !leaves.is_empty() {
            preimage.extend(k.to_be_bytes());
            preimage.extend(Sha256::digest(&leaves));
        }
    }
    Sha256::digest(preimage).into()
}

fn sparse() -> impl Strategy<Value = BTreeSet<u64>> {
    prop::collection::btree_set(prop_oneof![0..BLOCKS, 65_530..65_540_u64, BLOCKS - 4..BLOCKS], 0..120)
}

proptest! {
    #[test]
    fn the_root_is_the_one_of_the_definition(indexes in sparse()) {
        let leaves: Vec<_> = indexes.iter().map(|index| (*index, index.to_be_bytes().to_vec())).collect();
        prop_assert_eq!(index_manifest(indexes.iter().copied()).root, root(b'I', &leaves));
        let written = indexes.iter().filter(|index| *index % 5 != 0);
        let leaves: Vec<_> = written.map(|index| (*index, [&index.to_be_bytes()[..], &data(*index)[..]].concat())).collect();
        prop_assert_eq!(content_manifest(indexes.iter().copied()).root, root(b'C', &leaves));
    }

    #[test]
    fn segments_hashed_on_their_own_give_the_same_root(indexes in sparse(), cuts in prop::collection::btree_set(1_u64..4, 0..3)) {
        let mut bounds = vec![0];
        bounds.extend(cuts);
        bounds.push(4);
        let (mut of_index, mut of_content) = (Vec::new(), Vec::new());
        // The last range first: segments may come home in any order.
        for range in bounds.windows(2).rev() {
            let mut index = IndexBuilder::of_segments(volume_bytes(GIB), range[0]..range[1]);
            let mut content = ContentBuilder::of_segments(volume_bytes(GIB), range[0]..range[1]);
            for block in indexes.range(range[0] * SEGMENT_BLOCKS..range[1] * SEGMENT_BLOCKS) {
                index.push(*block).expect("an index of the range");
                content.push_digest(*block, &data(*block)).expect("an index of the range");
            }
            of_index.extend(index.segments());
            of_content.extend(content.segments());
        }
        let whole = index_manifest(indexes.iter().copied());
        prop_assert_eq!(combine(Level::BlockIndex, volume_bytes(GIB), of_index), Ok(whole));
        let whole = content_manifest(indexes.iter().copied());
        prop_assert_eq!(combine(Level::Content, volume_bytes(GIB), of_content), Ok(whole));
    }

    #[test]
    fn a_block_of_zeros_is_one_that_was_never_written(indexes in sparse()) {
        let written = content_manifest(indexes.iter().copied().filter(|index| !index.is_multiple_of(5)));
        prop_assert_eq!(content_manifest(indexes), written);
    }

    #[test]
    fn another_set_of_blocks_has_another_root(one in sparse(), other in sparse()) {
        prop_assume!(one != other);
        prop_assert_ne!(index_manifest(one).root, index_manifest(other).root);
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written(indexes in sparse()) {
        let manifest = content_manifest(indexes);
        let text = serde_json::to_string(&manifest).expect("JSON");
        let read: Manifest = serde_json::from_str(&text).expect("a manifest");
        prop_assert_eq!(read.check(), Ok(()));
        prop_assert_eq!(read, manifest);
    }

    #[test]
    fn only_ascending_indexes_within_the_volume_are_taken(indexes in prop::collection::vec(0..BLOCKS + 20, 1..30)) {
        let mut builder = IndexBuilder::new(volume_bytes(GIB));
        let mut last = None;
        for index in indexes {
            let sound = index < BLOCKS && last.is_none_or(|last| last < index);
            prop_assert_eq!(builder.push(index).is_ok(), sound);
            if sound {
                last = Some(index);
            }
        }
    }
}

#[test]
fn the_levels_do_not_share_a_root() {
    assert_ne!(index_manifest([]).root, content_manifest([]).root);
}

#[test]
fn the_size_of_the_volume_is_part_of_the_root() {
    let of = |gib| IndexBuilder::new(volume_bytes(gib)).finish().expect("a manifest").root;
    assert_ne!(of(8), of(9));
}

#[test]
fn a_refused_block_leaves_no_trace() {
    let mut builder = IndexBuilder::new(volume_bytes(GIB));
    builder.push(7).expect("the first");
    assert_eq!(builder.push(7), Err(Invalid::Order { index: 7, after: 7 }));
    assert_eq!(builder.push(3), Err(Invalid::Order { index: 3, after: 7 }));
    assert_eq!(builder.push(BLOCKS), Err(Invalid::Outside { index: BLOCKS, volume: volume_bytes(GIB) }));
    assert!(builder.push(u64::MAX).is_err());
    builder.push(8).expect("the next");
    assert_eq!(builder.finish(), Ok(index_manifest([7, 8])));
}

#[test]
fn a_block_of_another_range_is_refused() {
    let mut builder = IndexBuilder::of_segments(volume_bytes(GIB), 1..2);
    assert_eq!(builder.push(65_535), Err(Invalid::Elsewhere { index: 65_535, from: 1, until: 2 }));
    assert!(builder.push(65_536).is_ok());
    assert!(builder.push(131_072).is_err());
}

#[test]
fn a_segment_is_taken_once() {
    let segment = Segment { index: 1, blocks: 1, sha256: [1; 32] };
    let twice = vec![segment.clone(), segment];
    assert_eq!(combine(Level::BlockIndex, volume_bytes(GIB), twice), Err(Invalid::Segment(1)));
}

#[test]
fn a_changed_manifest_does_not_check() {
    let manifest = content_manifest([1, 70_001, 200_001]);
    assert_eq!(manifest.check(), Ok(()));
    let changes: [fn(&mut Manifest); 9] = [
        |manifest| manifest.root[0] ^= 1,
        |manifest| manifest.segments[1].sha256[31] ^= 1,
        |manifest| manifest.segments[1].index += 1,
        |manifest| manifest.segments.swap(0, 1),
        |manifest| manifest.segments.truncate(2),
        |manifest| manifest.blocks += 1,
        |manifest| manifest.level = Level::BlockIndex,
        |manifest| manifest.volume_size_bytes += 1,
        |manifest| "ebs-manifest/2".clone_into(&mut manifest.format),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut altered = manifest.clone();
        change(&mut altered);
        assert!(altered.check().is_err(), "change {number}");
    }
}
