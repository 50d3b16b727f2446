"""`make bench`: builds, packages, measures on one lab, prints tables, writes docs/bench.json and docs/bench.svg.

BENCH_N is how many samples, BENCH_LEVERS=1 adds the levers that need builds of their own, BENCH_BINARY is a bootstrap
to measure instead of building one.
"""

import datetime
import json
import os
import platform
import sys
from pathlib import Path

from . import calls, chart, cost, levers, manifest, measure, report, subjects
from .stage import Stage

_ROUND_TRIP_MS = 20
_DOCS = subjects.ROOT / "docs"
NOTES = (
    "Measured on one machine: the ratios mean something, the milliseconds are this machine's.",
    "Requests go over HTTPS to a local AWS in one Python process, whose own work is in every wall time, for all alike. "
    "The round trip is added to each request, not to opening a connection.",
    "CPU counts the function's process alone.",
    "All services share one address here, so Tourniquet, with one HTTP client for all, shares connections between services, "
    "which it cannot against AWS.",
    "The wait before reading back is left out of the times (VERIFY_AFTER_MS=0) and is in the cost.",
    "The boto3 function makes the same calls and the same connections in INIT; it leaves out other targets, full quotas, "
    "new MFA devices, crashes and tampering.",
    "Both Python functions run on a minimal runtime and from byte code, which their packages do not hold.",
    "Cloud Custodian attaches AWSDenyAll and notifies, in mode guard-duty. It does not ask the detector, compare the "
    "unique id, keep the state before, or read back. It leaves the access keys Active (and denied): its action "
    "remove-keys ends in a TypeError in this mode (0.9.53).",
)  # fmt: skip


def main():
    if sys.version_info < (3, 11):
        sys.exit("make bench needs Python 3.11 or later: make PYTHON=/path/to/python3 bench")
    n = int(os.environ.get("BENCH_N", "10"))
    given = os.environ.get("BENCH_BINARY")
    binary = Path(given) if given else subjects.build()
    with Stage(_ROUND_TRIP_MS) as stage:
        results = run(stage, binary, n)
    _progress("manifest")
    results["manifest"] = manifest.measure()
    print_all(results)
    _DOCS.joinpath("bench.json").write_text(json.dumps(_rounded(results), indent=1) + "\n", encoding="utf-8")
    _DOCS.joinpath("bench.svg").write_text(chart.svg(results), encoding="utf-8")
    print("\nWritten: docs/bench.json, docs/bench.svg")
    if not results["same_calls"]["identical"]:
        sys.exit("The boto3 function no longer makes the calls Tourniquet makes: mend bench/boto3_function.py.")


def run(stage, binary, n):
    load_before = os.getloadavg()
    mine = subjects.tourniquet(binary, stage)
    compared = [mine, subjects.boto3_function(stage), subjects.custodian(stage)]
    bags, waves = {}, {}
    for subject in compared:
        bags[subject.key], waves[subject.key] = measure.counted(stage, subject)
    samples = {subject.key: [] for subject in compared}
    plain = {subject.key: [] for subject in compared}
    for number in range(n):
        _progress(f"sample {number + 1} of {n}")
        # In turns, so that whatever else this machine does meets them all alike.
        for subject in compared:
            samples[subject.key].append(measure.sample(stage, subject))
            plain[subject.key].append(measure.sample(stage, subject, https=False))
    _progress("levers")
    lever_rows = levers.compare(stage, mine, n)
    _progress("cost")
    wait = cost.verify_after_ms(stage)
    costs = {
        "user": cost.containment(stage, mine, stage.accused_user, wait),
        "role session": cost.containment(stage, mine, stage.accused_session, wait),
    }
    return {
        "date": datetime.date.today().isoformat(),
        "machine": _machine(load_before),
        "versions": {**subjects.versions(), "python_of_the_lab": platform.python_version()},
        "settings": {"n": n, "round_trip_ms": _ROUND_TRIP_MS},
        "notes": [*NOTES, levers.MEMORY],
        "same_calls": _proof(bags["tourniquet"], bags["boto3"]),
        "subjects": {
            subject.key: {
                "name": subject.name,
                "packages": subject.packages,
                "package_bytes": min(subject.packages.values()),
                "package_with_sdk_bytes": max(subject.packages.values()),
                "waves": vars(waves[subject.key]),
                "calls": calls.by_service(bags[subject.key]),
                "median": measure.medians(samples[subject.key]),
                "samples": samples[subject.key],
                "median_plain_http": measure.medians(plain[subject.key]),
                "samples_plain_http": plain[subject.key],
            }
            for subject in compared
        },
        "levers": lever_rows,
        "cost": costs,
        "cost_standing": cost.standing(),
        "prices": cost.PRICES,
    }


def _proof(tourniquet, boto3):
    def listed(bag):
        return [f"{count} x {' '.join(call)}".rstrip() for call, count in sorted(bag.items())]

    return {
        "identical": tourniquet == boto3,
        "decisions": sum(tourniquet.values()),
        "by_service": calls.by_service(tourniquet),
        "only_tourniquet": listed(tourniquet - boto3),
        "only_boto3": listed(boto3 - tourniquet),
        "calls": listed(tourniquet),
    }


def _machine(before):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    return {
        "cpu": model or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": {"before": list(before), "after": list(os.getloadavg())},
    }


def print_all(results):
    machine = results["machine"]
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; {results['versions']}")
    load = machine["load_average"]
    print(f"Medians of {results['settings']['n']}, {_ROUND_TRIP_MS} ms round trip, one lab, HTTPS.")
    print(f"Load average of the last minute {load['before'][0]:.1f} before and {load['after'][0]:.1f} after.\n")
    print(report.comparison(results), end="\n\n")
    print(report.same_calls(results["same_calls"]), end="\n\n")
    print(report.levers(results["levers"]), end="\n\n")
    print(report.cost(results["cost"], results["cost_standing"]), end="\n\n")
    print(manifest.table(results["manifest"]), end="\n\n")
    print("\n".join(f"* {note}" for note in results["notes"]))


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    # Prices are small numbers; everything else has no meaning past the second digit.
    return round(value, 2) if isinstance(value, float) and abs(value) >= 1 else value


def _progress(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
