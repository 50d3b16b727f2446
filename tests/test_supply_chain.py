"""`make check` finds what it is there to find: advisories, crates nobody looked up, unused dependencies, bans."""

import subprocess

import pytest
import supply_chain
from supply_chain import advised, banned, read, satisfies, unseen, unused

DENY = supply_chain.ROOT / "deny.toml"


@pytest.fixture(scope="module")
def extract():
    return read(supply_chain.EXTRACT)


@pytest.mark.parametrize(
    "package, version, advisory",
    [
        ("h2", "0.3.27", "RUSTSEC-2026-0258"),
        ("rustls", "0.23.44", "RUSTSEC-2026-0285"),
        ("aws-sigv4", "0.54.1", "RUSTSEC-2023-0125"),
        ("rustls-webpki", "0.104.0-alpha.5", "RUSTSEC-2026-0099"),
        ("lru", "0.18.1", "RUSTSEC-2026-0253 (unsound)"),
    ],
)
def test_version_with_an_advisory_fails(extract, package, version, advisory):
    failures, _ = advised([(package, version)], extract["advisory"])
    assert any(line.startswith(f"{package} {version}: {advisory}, patched in ") for line in failures)


@pytest.mark.parametrize(
    "package, version",
    [
        ("h2", "0.4.16"),
        ("rustls", "0.23.45"),
        ("aws-sigv4", "0.55.1"),
        ("rustls-webpki", "0.104.0-alpha.7"),
        ("lru", "0.18.2"),
        ("rand", "0.8.6"),
        ("ring", "0.17.12"),
    ],
)
def test_version_outside_the_range_is_clean(extract, package, version):
    assert advised([(package, version)], extract["advisory"]) == ([], [])


def test_unmaintained_crate_is_a_warning(extract):
    failures, warnings = advised([("ring", "0.16.20")], extract["advisory"])
    assert [line.split(":")[1] for line in failures] == [" RUSTSEC-2025-0009, patched in >= 0.17.12"]
    assert warnings == ["ring 0.16.20: RUSTSEC-2025-0010 (unmaintained), patched in no version"]


def test_accepted_advisory_is_a_warning(extract):
    ignore = [{"id": "RUSTSEC-2026-0258", "reason": "no server here"}]
    accepted = supply_chain.accepted({"advisories": {"ignore": ignore}})
    failures, warnings = advised([("h2", "0.4.15")], extract["advisory"], accepted)
    assert failures == []
    assert warnings == ["h2 0.4.15: RUSTSEC-2026-0258, patched in >= 0.4.16"]


def test_every_locked_crate_was_looked_up(extract):
    assert list(unseen(supply_chain.locked(), extract["looked_up"])) == []


def test_crate_nobody_looked_up_fails(extract):
    (message,) = unseen([("h2", "0.4.20"), ("never-seen", "1.0.0"), ("nor-this", "2.0.0")], extract["looked_up"])
    assert message.startswith("advisories: nobody looked up never-seen nor-this\n")
    assert "`make advisories`" in message and "https://rustsec.org/packages/" in message


def test_check_names_the_crate_nobody_looked_up(monkeypatch, tmp_path, extract):
    monkeypatch.delenv("RUSTSEC_DB", raising=False)
    monkeypatch.setattr(supply_chain, "CHECKOUT", tmp_path / "none")
    monkeypatch.setattr(supply_chain, "compiled", lambda _: [])
    monkeypatch.setattr(supply_chain, "locked", lambda: [("h2", "0.4.20"), ("never-seen", "1.0.0")])
    with pytest.raises(SystemExit) as stopped:
        supply_chain.check()
    assert "nobody looked up never-seen\n" in stopped.value.code
    assert f"made on {extract['date']}" in stopped.value.code


@pytest.mark.parametrize(
    "version, requirement, holds",
    [
        ("0.22.4", "<= 0.22", True),
        ("0.23.0", "<= 0.22", False),
        ("0.22.4", "> 0.22", False),
        ("0.23.0", "> 0.22", True),
        ("0.54.3", "0.54.2", True),
        ("0.55.0", "0.54.2", False),
        ("0.3.0", "^ 0.3.1", False),
        ("1.0.0-rc.1", ">= 1.0.0", False),
        ("1.0.1", "=1.0.0", False),
        ("0.9.3", "< 0.10.0, >= 0.9.3", True),
        ("0.9.2", "< 0.10.0, >= 0.9.3", False),
    ],
)
def test_requirement(version, requirement, holds):
    assert satisfies(version, requirement) is holds


def test_bans_find_the_legacy_stack():
    packages = [("hyper", "0.14.32"), ("hyper", "1.12.0"), ("rustls", "0.21.12"), ("rustls", "0.23.46")]
    found = [line.split(" is banned")[0] for line in banned(packages, read(DENY)["bans"]["deny"])]
    assert found == ["hyper 0.14.32", "rustls 0.21.12"]


def test_unused_dependency_is_found(tmp_path):
    (tmp_path / "Cargo.toml").write_text(
        '[workspace]\nmembers = ["one"]\n[workspace.dependencies]\nserde-json = "1"\nhex = "0.4"\nnobody = "1"\n'
    )
    (tmp_path / "one/src").mkdir(parents=True)
    (tmp_path / "one/Cargo.toml").write_text(
        "[dependencies]\nserde-json.workspace = true\nhex.workspace = true\n"
        '[target.\'cfg(unix)\'.dev-dependencies]\nlibc = "0.2"\n'
    )
    (tmp_path / "one/src/lib.rs").write_text("// hex is only spoken of\nuse serde_json::Value;\n")
    assert sorted(unused(tmp_path)) == [
        "Cargo.toml: no package takes nobody from the workspace's dependencies",
        "one/Cargo.toml: nothing uses hex, one of its dependencies",
        "one/Cargo.toml: nothing uses libc, one of its dev-dependencies",
    ]


# --- the database -------------------------------------------------------------------------------

ADVISORY = '```toml\n[advisory]\nid = "{}"\npackage = "{}"\ndate = "2031-02-03"\n{}\n[versions]\n{}\n```\n\n# Title\n'


def write(folder, identity, package, about="", versions="patched = []"):
    path = folder / "crates" / package / f"{identity}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ADVISORY.format(identity, package, about, versions))


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A git repository in the place of the database, and an extract and a checkout that are nobody else's."""
    origin = tmp_path / "origin"
    write(origin, "RUSTSEC-2031-0002", "h2", versions='patched = [">= 0.9.0"]\nunaffected = ["< 0.2.0"]')
    write(origin, "RUSTSEC-2031-0003", "h2", about='withdrawn = "2031-02-04"')
    write(origin, "RUSTSEC-2031-0004", "lru", about='informational = "unmaintained"')
    write(origin, "RUSTSEC-2031-0005", "not-ours")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", "-C", str(origin), *words], check=True)
    monkeypatch.delenv("RUSTSEC_DB", raising=False)
    monkeypatch.setattr(supply_chain, "DATABASE", origin.as_uri())
    monkeypatch.setattr(supply_chain, "CHECKOUT", tmp_path / "tools/advisory-db")
    monkeypatch.setattr(supply_chain, "EXTRACT", tmp_path / "advisories.toml")
    monkeypatch.setattr(supply_chain, "locked", lambda: [("h2", "0.4.20"), ("lru", "0.18.5")])
    (tmp_path / "tools").mkdir()
    earlier = 'date = "2030-01-01"\nnewest_advisory = "RUSTSEC-2030-0001"\nlooked_up = []\n'
    (tmp_path / "advisories.toml").write_text(earlier)
    return origin


def test_extract_is_rewritten_from_the_database(mirror):
    supply_chain.renew()
    written = read(supply_chain.EXTRACT)
    assert (written["newest_advisory"], written["newest_date"]) == ("RUSTSEC-2031-0005", "2031-02-03")
    assert written["looked_up"] == ["h2", "lru"]
    assert written["advisory"] == [
        {"id": "RUSTSEC-2031-0002", "package": "h2", "patched": [">= 0.9.0"], "unaffected": ["< 0.2.0"]},
        {"id": "RUSTSEC-2031-0004", "package": "lru", "informational": "unmaintained"},
    ]


def test_extract_reads_back_as_it_was_written(extract):
    packages = [(name, "1.0.0") for name in extract["looked_up"]]
    reach = [extract[key] for key in ("newest_advisory", "newest_date", "date")]
    text = supply_chain.extract(packages, extract["advisory"], *reach)
    assert text == supply_chain.EXTRACT.read_text(encoding="utf-8")


def test_without_a_network_one_line_and_nothing_changed(monkeypatch, mirror):
    before = supply_chain.EXTRACT.read_text()
    monkeypatch.setattr(supply_chain, "DATABASE", (mirror.parent / "gone").as_uri())
    with pytest.raises(SystemExit) as stopped:
        supply_chain.renew()
    assert stopped.value.code.startswith("advisories: cannot clone file://") and "\n" not in stopped.value.code
    assert supply_chain.EXTRACT.read_text() == before
    assert not supply_chain.CHECKOUT.exists()


def test_checkout_is_preferred_to_the_extract(mirror):
    supply_chain.clone()
    advisories, looked_up, source = supply_chain.known([("h2", "0.4.20"), ("new", "1.0.0")])
    assert advised([("h2", "0.4.20")], advisories)[0] == ["h2 0.4.20: RUSTSEC-2031-0002, patched in >= 0.9.0"]
    assert looked_up == {"h2", "new"}
    assert source.endswith("which reaches to RUSTSEC-2031-0005 and 2031-02-03")


def test_checkout_older_than_the_extract_is_passed_over(mirror):
    supply_chain.clone()
    later = 'date = "2032-01-01"\nnewest_advisory = "RUSTSEC-2032-0001"\nnewest_date = "2031-12-01"\n'
    supply_chain.EXTRACT.write_text(later + 'looked_up = ["h2"]\n')
    advisories, looked_up, source = supply_chain.known([("h2", "0.4.20")])
    assert (advisories, looked_up) == ([], ["h2"])
    assert "made on 2032-01-01" in source and "RUSTSEC-2032-0001" in source


def test_folder_that_is_no_database_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("RUSTSEC_DB", str(tmp_path))
    with pytest.raises(SystemExit, match="no RustSec database at"):
        supply_chain.known([("h2", "0.4.20")])
