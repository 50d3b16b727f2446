"""No known advisory, no unused dependency, nothing banned: the part of `make check` that is about other people's code.

Needs no network. The advisories are those of a checkout of the RustSec database, the one RUSTSEC_DB names or the one
`make advisories` left, and otherwise of `tests/advisories.toml`, a dated extract of it. A crate that was not looked up
fails the check: nothing known about it is not the same as nothing wrong with it. What the database calls unmaintained
is a warning, and so is what `deny.toml` accepts under [advisories] ignore. The bans are those of `deny.toml`.
cargo-deny itself is no Python package of a version that reads `deny.toml`, and building it, or cargo-machete (over a
minute on two cores), takes longer than everything here.

`supply_chain.py advisories` clones the database, which is the one thing here that needs a network, and rewrites the
extract from it.
"""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: .venv has one of the two, .tools/lint the other
    try:
        import tomli as tomllib
    except ModuleNotFoundError:
        import tomlkit as tomllib

ROOT = Path(__file__).parent.parent
LOCKS = ("Cargo.lock", "fuzz/Cargo.lock")
EXTRACT = ROOT / "tests/advisories.toml"
CHECKOUT = ROOT / ".tools/advisory-db"
DATABASE = "https://github.com/RustSec/advisory-db"
# What says nothing of a flaw: a warning. `unsound` is not among them, since safe code can then corrupt memory.
WARNED = ("unmaintained", "notice")


def parse(text):
    tables = tomllib.loads(text)
    return tables.unwrap() if hasattr(tables, "unwrap") else tables


def read(path):
    return parse(path.read_text(encoding="utf-8"))


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
    if operator == "=" and len(numbers) == 3:
        return given == wanted
    if operator in (None, "^", "~", "="):
        if operator == "=":
            kept = len(numbers)
        elif operator == "~":
            kept = min(len(numbers), 2)
        else:
            kept = next((at for at, number in enumerate(numbers) if number != "0"), len(numbers) - 1) + 1
        return given >= wanted and given[0][:kept] == wanted[0][:kept]
    # `<= 0.22` holds for the whole of 0.22, and `> 0.22` for none of it.
    within = len(numbers) < 3 and given[0][: len(numbers)] == wanted[0][: len(numbers)]
    at_most = within or given <= wanted
    return {">=": given >= wanted, "<=": at_most, ">": not at_most, "<": given < wanted}[operator]


# --- what is locked, and what is known of it ----------------------------------------------------


def locked():
    """Name and version of every package of a registry that a lock file names, for whichever platform."""
    packages = [package for lock in LOCKS for package in read(ROOT / lock)["package"]]
    return sorted({(package["name"], package["version"]) for package in packages if "source" in package})


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


def advised(packages, advisories, accepted=()):
    """What fails for an advisory, and what is a warning only: informational, or accepted in deny.toml."""
    failures, warnings = [], []
    for advisory in advisories:
        safe = [*advisory.get("patched", []), *advisory.get("unaffected", [])]
        kind = advisory.get("informational")
        for package, version in packages:
            if package == advisory["package"] and not any(satisfies(version, requirement) for requirement in safe):
                named = f"{advisory['id']} ({kind})" if kind else advisory["id"]
                patched = " or ".join(advisory.get("patched", [])) or "no version"
                found = warnings if kind in WARNED or advisory["id"] in accepted else failures
                found.append(f"{package} {version}: {named}, patched in {patched}")
    return failures, warnings


def unseen(packages, looked_up):
    """The one message about all crates nobody looked up, or nothing."""
    names = sorted({name for name, _ in packages} - set(looked_up))
    if names:
        yield (
            f"advisories: nobody looked up {' '.join(names)}\n"
            "  `make advisories` does, with a network. By hand: read https://rustsec.org/packages/NAME.html, then\n"
            "  add the name to looked_up in tests/advisories.toml, and what the page lists"
        )


def database(folder):
    """Every standing advisory of a checkout of the RustSec database, its highest id and its last day."""
    advisories, ids, days = [], [], []
    for path in sorted(folder.glob("crates/*/RUSTSEC-*.md")):
        tables = parse(re.match(r"```toml\n(.*?)\n```", path.read_text(encoding="utf-8"), re.S)[1])
        about, versions = tables["advisory"], tables.get("versions", {})
        ids.append(about["id"])
        days.append(str(about["date"]))
        if "withdrawn" not in about:
            given = {"id": about["id"], "package": about["package"], "informational": about.get("informational")}
            ranges = {key: versions.get(key) for key in ("patched", "unaffected")}
            advisories.append({key: value for key, value in {**given, **ranges}.items() if value})
    if not ids:
        sys.exit(f"advisories: no RustSec database at {folder}")
    return advisories, max(ids), max(days)


def known(packages):
    """The advisories to go by, the crates they are complete for, and in words where they come from."""
    committed = read(EXTRACT)
    given = os.environ.get("RUSTSEC_DB")
    folder = Path(given) if given else CHECKOUT
    if given or folder.is_dir():
        advisories, newest, day = database(folder)
        # A checkout somebody left behind must not hide what the extract knows by now.
        if given or newest >= committed["newest_advisory"]:
            source = f"the RustSec database at {folder}, which reaches to {newest} and {day}"
            return advisories, {name for name, _ in packages}, source
    reach = f"{committed['newest_advisory']} and {committed['newest_date']}"
    source = f"tests/advisories.toml, made on {committed['date']} from a RustSec database that reaches to {reach}"
    return committed.get("advisory", []), committed["looked_up"], source


# --- the extract --------------------------------------------------------------------------------

HEADER = """\
# Facts out of the RustSec advisory database (https://github.com/RustSec/advisory-db, public domain): for every crate
# of `looked_up`, all its standing advisories with the versions that are safe. A crate of a lock file that is not in
# that list fails `make check`. `make advisories` rewrites this file.
"""


def array(key, items):
    lines = [f"{key} = ["]
    for item in items:
        word = json.dumps(item, ensure_ascii=False)
        if len(lines[-1]) + len(word) > 116:
            lines = [*(line.rstrip() for line in lines), "  "]
        lines[-1] += f"{word}, "
    return "\n".join([*lines[:-1], lines[-1].removesuffix(", ") + "]"])


def extract(packages, advisories, newest, day, today):
    """The text of tests/advisories.toml."""
    names = sorted({name for name, _ in packages})
    # Ids are given out in order, dates are those of the disclosure: the highest id need not have the latest date.
    reach = [f'newest_advisory = "{newest}"', f'newest_date = "{day}"']
    facts = [f'date = "{today}"', *reach, array("looked_up", names)]
    text = HEADER + "\n".join(facts) + "\n"
    for advisory in sorted(advisories, key=lambda advisory: (advisory["package"], advisory["id"])):
        if advisory["package"] in names:
            words = [f'{key} = "{advisory[key]}"' for key in ("id", "package", "informational") if key in advisory]
            words += [array(key, advisory[key]) for key in ("patched", "unaffected") if key in advisory]
            text += "\n[[advisory]]\n" + "\n".join(words) + "\n"
    return text


def clone():
    """A fresh checkout in the place of an old one, which stays where there is no network."""
    fresh = CHECKOUT.with_name("advisory-db.new")
    shutil.rmtree(fresh, ignore_errors=True)
    command = ["git", "clone", "--quiet", "--depth", "1", DATABASE, str(fresh)]
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["git gave no reason"])[-1]
        sys.exit(f"advisories: cannot clone {DATABASE}: {why}")
    shutil.rmtree(CHECKOUT, ignore_errors=True)
    fresh.rename(CHECKOUT)


def renew():
    folder = os.environ.get("RUSTSEC_DB")
    if not folder:
        clone()
    advisories, newest, day = database(Path(folder) if folder else CHECKOUT)
    packages = locked()
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    EXTRACT.write_text(extract(packages, advisories, newest, day, today), encoding="utf-8")
    print(f"tests/advisories.toml: {len({name for name, _ in packages})} crates, up to {newest} and {day}")


# --- dependencies nobody uses -------------------------------------------------------------------


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


def accepted(deny):
    """Ids of [advisories] ignore, each of which has a reason beside it there."""
    ignored = deny.get("advisories", {}).get("ignore", [])
    return {entry if isinstance(entry, str) else entry.get("id") for entry in ignored}


def check():
    deny = read(ROOT / "deny.toml")
    packages = locked()
    advisories, looked_up, source = known(packages)
    failures, warnings = advised(packages, advisories, accepted(deny))
    wrong = list(banned(compiled(os.environ.get("CARGO", "cargo").split()), deny["bans"]["deny"]))
    wrong += [*sorted(unused(ROOT)), *failures, *unseen(packages, looked_up)]
    for warning in warnings:
        print(f"warning: {warning}")
    if wrong:
        sys.exit("\n".join([*wrong, f"advisories are those of {source}"]))
    names = {name for name, _ in packages}
    print("dependencies: none unused, none banned (legacy TLS stack, ring)")
    print(f"advisories: none against the {len(names)} crates of Cargo.lock and fuzz/Cargo.lock,")
    print(f"  by {source};")
    print("  a newer advisory is not in it; `make advisories` fetches them")


if __name__ == "__main__":
    if sys.argv[1:] == ["advisories"]:
        renew()
    else:
        check()
