"""What is compared: each built and packaged as it would be deployed."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
PYTHON = ROOT / ".tools" / "bench" / "bin" / "python"
BINARY = "contain-identity"
# What `cargo lambda build` compiles for.
_CPUS = {"x86_64": "haswell", "aarch64": "neoverse-n1"}
_BOTO3 = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


@dataclass
class Subject:
    key: str
    name: str
    folder: Path
    command: list
    cut: str
    """The operation that denies the attacker."""
    role_arn: str
    packages: dict = field(default_factory=dict)
    """Size in bytes of what is uploaded, by what is in it."""


def build(variant="", **settings):
    """A release build, in a target folder of its own so that it shares nothing with other builds; the binary's path."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / f"bench{variant and '-'}{variant}"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), **settings}
    environment["RUSTFLAGS"] = f"-C target-cpu={_CPUS.get(platform.machine(), 'native')}"
    print(f"Building the release binary{f' ({variant})' if variant else ''} in {target}", file=sys.stderr)
    cargo = os.environ.get("CARGO", "cargo")
    subprocess.run(
        ["nice", "-n", "10", cargo, "build", "-q", "--release", "--locked", "-p", BINARY],
        cwd=ROOT, env=environment, check=True,
    )  # fmt: skip
    return target / "release" / BINARY


def tourniquet(binary, stage, variant=""):
    """The binary under the name Lambda starts."""
    folder = stage.folder / f"tourniquet{variant and '-'}{variant}"
    folder.mkdir()
    bootstrap = folder / "bootstrap"
    shutil.copy(binary, bootstrap)
    archive = stage.folder / f"{folder.name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        package.write(bootstrap, "bootstrap")
    return Subject(
        "tourniquet", "Tourniquet", folder, [str(bootstrap)], "PutUserPolicy", stage.function["role_arn"],
        {"bootstrap": archive.stat().st_size},
    )  # fmt: skip


def boto3_function(stage):
    folder = stage.folder / "boto3"
    folder.mkdir()
    shutil.copy(HERE / "boto3_function.py", folder)
    alone, bundled = stage.folder / "boto3.zip", stage.folder / "boto3-bundled.zip"
    for archive, with_boto3 in ((alone, False), (bundled, True)):
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as package:
            package.write(folder / "boto3_function.py", "boto3_function.py")
            if with_boto3:
                _add_boto3(package)
    return Subject(
        "boto3", "boto3 function", _compiled(folder), _python("boto3_function.handler"), "PutUserPolicy",
        stage.function["role_arn"],
        {"function, boto3 of the runtime": alone.stat().st_size, "function with boto3": bundled.stat().st_size},
    )  # fmt: skip


def custodian(stage):
    folder, archive = stage.folder / "custodian", stage.folder / "custodian.zip"
    subprocess.run(
        [PYTHON, HERE / "custodian_package.py", archive, stage.custodian_role, stage.topic],
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": stage.lab.region, "HOME": str(stage.folder)},
        check=True,
    )
    with zipfile.ZipFile(archive) as package:
        package.extractall(folder)
    bundled = stage.folder / "custodian-bundled.zip"
    shutil.copy(archive, bundled)
    with zipfile.ZipFile(bundled, "a", zipfile.ZIP_DEFLATED, compresslevel=6) as package:
        _add_boto3(package)
    return Subject(
        "custodian", "Cloud Custodian", _compiled(folder), _python("custodian_policy.run"), "AttachUserPolicy",
        stage.custodian_role,
        {"its archive, boto3 of the runtime": archive.stat().st_size, "with boto3": bundled.stat().st_size},
    )  # fmt: skip


def _python(handler):
    return [str(PYTHON), str(HERE / "runtime.py"), handler]


def _compiled(folder):
    """Byte code beside the sources: a package without it compiles at every cold start. This flatters Python."""
    subprocess.run([PYTHON, "-m", "compileall", "-q", folder], check=True)
    return folder


def _add_boto3(package):
    site = _site()
    for name in _BOTO3:
        top = site / name
        for path in sorted([top] if top.is_file() else top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                package.write(path, path.relative_to(site))


def _site():
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([PYTHON, "-c", code], capture_output=True, check=True, text=True).stdout.strip())


def botocore_roots():
    """The root certificates that botocore brings along."""
    return (_site() / "botocore" / "cacert.pem").read_text(encoding="utf-8")


def versions():
    """Of everything whose speed is compared."""
    code = (
        "import boto3, c7n.version, platform as p; print(p.python_version(), boto3.__version__, c7n.version.version)"
    )
    found = subprocess.run([PYTHON, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()
    return {
        "python": found[0], "boto3": found[1], "cloud_custodian": found[2], "rustc": rustc[1] if rustc else "",
    }  # fmt: skip
