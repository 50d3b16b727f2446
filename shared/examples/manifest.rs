//! Hashes a block list at level `block-index`, page by page as the API would hand it out, and says how long it took
//! and how much memory it took at most. `make bench` runs it.

use std::time::Instant;

use tourniquet::evidence::{BLOCK_SIZE, IndexBuilder, Manifest};

/// The blocks of a page of `ListSnapshotBlocks`, at most.
const PAGE: u64 = 10_000;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to the benchmark")]
fn main() -> std::process::ExitCode {
    let Some(blocks) = std::env::args().nth(1).and_then(|text| text.parse().ok()) else {
        eprintln!("usage: manifest BLOCKS");
        return std::process::ExitCode::FAILURE;
    };
    let started = Instant::now();
    let manifest = match hash(blocks) {
        Ok(manifest) => manifest,
        Err(invalid) => {
            eprintln!("{invalid}");
            return std::process::ExitCode::FAILURE;
        }
    };
    println!(
        r#"{{"blocks":{},"pages":{},"segments":{},"seconds":{:.3},"root":"{}","peak_kib":{}}}"#,
        manifest.blocks,
        blocks.div_ceil(PAGE),
        manifest.segments.len(),
        started.elapsed().as_secs_f64(),
        manifest.root_hex(),
        peak_kib().map_or_else(|| "null".to_owned(), |peak| peak.to_string())
    );
    std::process::ExitCode::SUCCESS
}

/// Every block of a volume that is written from end to end.
fn hash(blocks: u64) -> Result<Manifest, tourniquet::evidence::Invalid> {
    let mut builder = IndexBuilder::new(blocks * u64::from(BLOCK_SIZE));
    for page in 0..blocks.div_ceil(PAGE) {
        // A page is there as a whole before it is hashed, as it is when it comes from the API.
        let indexes: Vec<u64> = (page * PAGE..blocks.min((page + 1) * PAGE)).collect();
        for index in indexes {
            builder.push(index)?;
        }
    }
    builder.finish()
}

/// The most memory this process had resident, as the kernel counts it. What a parent reads of its children holds what
/// the parent itself had when it made them.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}
