"""Each cold-start lever, on or off, everything else as shipped: Tourniquet only, measured in turns."""

import os
from pathlib import Path

from . import measure, subjects

MEMORY = "Memory size decides on AWS how much CPU a function has; a process of this machine cannot show it."


def variants(stage, shipped, with_builds):
    """(name, subject, how it is run)."""
    found = [
        ("as shipped", shipped, {}),
        ("root certificates in a directory, a file each", shipped, {"roots_in_a_folder": True}),
        ("one root certificate and no more", shipped, {"extra": {"SSL_CERT_FILE": str(stage.own_root)}}),
        ("plain HTTP, what TLS costs in all", shipped, {"https": False}),
    ]
    if b"WARM_UP" in Path(shipped.command[0]).read_bytes():
        found.append(("no warm-up in INIT", shipped, {"extra": {"WARM_UP": "off"}}))
    if with_builds:
        for name, variant, settings in (
            ("built with CPU-jitter entropy", "jitter", {"AWS_LC_SYS_NO_JITTER_ENTROPY": "0"}),
            ("built without CPU-jitter entropy", "no-jitter", {"AWS_LC_SYS_NO_JITTER_ENTROPY": "1"}),
            ("built with opt-level 3", "speed", {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "3"}),
        ):
            binary = subjects.build(variant, **settings)
            found.append((name, subjects.tourniquet(binary, stage, variant), {}))
    return found


def compare(stage, shipped, n):
    found = variants(stage, shipped, os.environ.get("BENCH_LEVERS") == "1")
    samples = {name: [] for name, *_ in found}
    for _ in range(n):
        for name, subject, how in found:
            samples[name].append(measure.sample(stage, subject, **how))
    return [
        {
            "lever": name,
            "packages": subject.packages,
            "median": measure.medians(samples[name]),
            "samples": samples[name],
        }
        for name, subject, _ in found
    ]
