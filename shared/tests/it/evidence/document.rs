//! The worked example of docs/evidence-hash.md, computed again from its blocks.

use tourniquet::evidence::{BLOCK_SIZE, ContentBuilder, Declared, IndexBuilder, Manifest, ZERO_BLOCK, data_digest, volume_bytes};
use tourniquet::text::{base64, digest, hex, sha256};

use crate::support::repository;

fn document() -> String {
    std::fs::read_to_string(repository().join("docs/evidence-hash.md")).expect("the document")
}

/// The cells of a row of the example.
fn row(document: &str, name: &str) -> [String; 2] {
    let row = document.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("a row");
    let mut cells = row.split('|').skip(2).map(|cell| cell.trim().trim_matches('`').to_owned());
    [cells.next().expect("block-index"), cells.next().expect("content")]
}

const EXAMPLE: [(u64, u8); 3] = [(0, 0xab), (1, 0), (65_537, 0xcd)];

fn manifests() -> [Manifest; 2] {
    let (mut index, mut content) = (IndexBuilder::new(volume_bytes(64)), ContentBuilder::new(volume_bytes(64)));
    for (block, fill) in EXAMPLE {
        let bytes = vec![fill; BLOCK_SIZE as usize];
        let checksum = base64(&digest(&sha256(&bytes)).expect("a hash"));
        let declared = Declared { algorithm: "SHA256", checksum: &checksum, length: u64::from(BLOCK_SIZE) };
        index.push(block).expect("an index");
        content.push(block, &bytes, &declared).expect("a block");
    }
    [index.finish().expect("a manifest"), content.finish().expect("a manifest")]
}

#[test]
fn the_numbers_of_the_example_are_those_the_code_computes() {
    let document = document();
    for (at, manifest) in manifests().into_iter().enumerate() {
        assert_eq!(manifest.root_hex(), row(&document, "root")[at]);
        for segment in &manifest.segments {
            assert_eq!(hex(&segment.sha256), row(&document, &format!("segment {}", segment.index))[at]);
        }
    }
    for (block, fill) in EXAMPLE {
        let data = sha256(&vec![fill; BLOCK_SIZE as usize]);
        assert_eq!(row(&document, &format!("data of {block}"))[1], data);
        let leaf = [&block.to_be_bytes()[..], &digest(&data).expect("a hash")[..]].concat();
        let leaf = if fill == 0 { "left out".to_owned() } else { sha256(&leaf) };
        assert_eq!(row(&document, &format!("leaf of {block}")), [sha256(&block.to_be_bytes()), leaf]);
    }
}

#[test]
fn the_bytes_of_the_example_hash_to_its_root() {
    let document = document();
    let after = document.split("```\n6562").nth(1).expect("the bytes");
    let written = format!("6562{}", after.split("```").next().expect("an end"));
    let digits: Vec<char> = written.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("a byte");
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
    assert_eq!((bytes.len(), sha256(&bytes)), (108, row(&document, "root")[1].clone()));
}

#[test]
fn the_hash_of_zeros_in_the_document_is_the_one_of_the_code() {
    assert!(document().contains(&hex(&ZERO_BLOCK)));
    let declared = Declared { algorithm: "SHA256", checksum: &base64(&ZERO_BLOCK), length: u64::from(BLOCK_SIZE) };
    assert!(data_digest(&vec![0; BLOCK_SIZE as usize], &declared).is_ok());
}

#[test]
fn the_manifest_in_the_document_has_the_fields_of_the_code() {
    let document = document();
    let json = document.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("JSON");
    let mut shown: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let mut written = serde_json::to_value(&manifests()[0]).expect("JSON");
    let shown = &mut shown["manifests"][0];
    for manifest in [&mut *shown, &mut written] {
        manifest["root"] = "…".into();
        for segment in manifest["segments"].as_array_mut().expect("segments") {
            segment["sha256"] = "…".into();
        }
    }
    assert_eq!(*shown, written);
}
