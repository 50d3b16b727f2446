"""Hashing the block list of a 16 TiB disk: how fast, in how much memory, and what the API's quota allows beside it.

The list is made up in the process that hashes it; asking AWS for it would take as long as the quota says.
"""

import json
import os
import subprocess

from . import subjects

BLOCKS = 16 * 2**40 // (512 * 1024)
"""33,554,432 blocks of 512 KiB."""
PAGE = 10_000
LISTS_PER_SECOND = 50
"""ListSnapshotBlocks, of an account."""


def measure(n=3):
    binary = _build()
    samples = [_sample(binary) for _ in range(n)]
    pages = -(-BLOCKS // PAGE)
    best = min(samples, key=lambda sample: sample["seconds"])
    return {
        "blocks": BLOCKS,
        "pages": pages,
        "seconds": best["seconds"],
        "blocks_per_second": round(BLOCKS / best["seconds"]),
        "peak_kib": max(sample["peak_kib"] for sample in samples),
        "seconds_at_the_quota": round(pages / LISTS_PER_SECOND, 1),
        "root": best["root"],
        "samples": samples,
    }


def _build():
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "build", "-q", "--release", "--locked", "-p", "tourniquet", "--example", "manifest"]
    subprocess.run(command, cwd=subjects.ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", subjects.ROOT / "target")
    return os.path.join(target, "release", "examples", "manifest")


def _sample(binary):
    return json.loads(subprocess.run([binary, str(BLOCKS)], stdout=subprocess.PIPE, text=True, check=True).stdout)


def table(result):
    return "\n".join(
        [
            "Hashing the block list of a full 16 TiB disk, level block-index (docs/evidence-hash.md)",
            f"  blocks                     {result['blocks']:>12,}",
            f"  seconds                    {result['seconds']:>12.2f}",
            f"  blocks a second            {result['blocks_per_second']:>12,}",
            f"  peak memory, MiB           {result['peak_kib'] / 1024:>12.1f}",
            f"  at the quota of the API    {result['seconds_at_the_quota']:>12.1f} s"
            f"  ({result['pages']:,} pages of {PAGE:,}, {LISTS_PER_SECOND} a second)",
        ]
    )


if __name__ == "__main__":
    print(table(measure()))
