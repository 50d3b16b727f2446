//! A block is hashed only if it is what the service says it is.

use rstest::rstest;
use tourniquet::evidence::{BLOCK_SIZE, BlockFault, ContentBuilder, Declared, Invalid, ZERO_BLOCK, data_digest, volume_bytes};
use tourniquet::text::base64;

fn block(fill: u8) -> Vec<u8> {
    vec![fill; BLOCK_SIZE as usize]
}

/// The checksum of a block of 0xAB, from `openssl dgst -sha256 -binary | base64`.
const OF_AB: &str = "uthdne/3a6/hwzUxh+9U2QG/D++8j9dxB3n4SJrMpLw=";

#[test]
fn the_hash_of_a_block_of_zeros_is_the_known_one() {
    let declared = Declared { algorithm: "SHA256", checksum: &base64(&ZERO_BLOCK), length: u64::from(BLOCK_SIZE) };
    assert_eq!(data_digest(&block(0), &declared), Ok(ZERO_BLOCK));
}

#[test]
fn a_block_that_is_what_its_headers_say_is_hashed() {
    let declared = Declared { algorithm: "SHA256", checksum: OF_AB, length: u64::from(BLOCK_SIZE) };
    let digest = data_digest(&block(0xab), &declared).expect("a sound block");
    assert_eq!(base64(&digest), OF_AB);
}

#[rstest]
#[case::another_algorithm(Declared { algorithm: "SHA1", checksum: OF_AB, length: 524_288 }, 524_288)]
#[case::lower_case(Declared { algorithm: "sha256", checksum: OF_AB, length: 524_288 }, 524_288)]
#[case::declared_short(Declared { algorithm: "SHA256", checksum: OF_AB, length: 524_287 }, 524_288)]
#[case::cut_short(Declared { algorithm: "SHA256", checksum: OF_AB, length: 524_288 }, 524_287)]
#[case::both_short(Declared { algorithm: "SHA256", checksum: OF_AB, length: 512 }, 512)]
#[case::empty(Declared { algorithm: "SHA256", checksum: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", length: 0 }, 0)]
#[case::no_checksum(Declared { algorithm: "SHA256", checksum: "", length: 524_288 }, 524_288)]
#[case::without_padding(Declared { algorithm: "SHA256", checksum: OF_AB.trim_end_matches('='), length: 524_288 }, 524_288)]
fn a_block_that_is_not_what_its_headers_say_is_refused(#[case] declared: Declared<'_>, #[case] bytes: usize) {
    let bytes = vec![0xab; bytes];
    assert!(data_digest(&bytes, &declared).is_err());
    let mut builder = ContentBuilder::new(volume_bytes(1));
    assert!(matches!(builder.push(3, &bytes, &declared), Err(Invalid::Block { index: 3, .. })));
}

#[test]
fn one_changed_bit_is_refused() {
    let declared = Declared { algorithm: "SHA256", checksum: OF_AB, length: u64::from(BLOCK_SIZE) };
    let mut bytes = block(0xab);
    bytes[400_000] ^= 1;
    assert!(matches!(data_digest(&bytes, &declared), Err(BlockFault::Checksum { .. })));
}
