"""What `make deploy` asks of SAM: the saved parameters hold, and the architecture is the one that was built.

SAM, cargo, the SDK and the reader of TOML are stand-ins; make, its recipes and their Python are the real ones.
"""

import json
import os
import subprocess
import sys

import pytest
from lab.stage import ROOT, TEMPLATE
from lab.template import load

SAM = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done >> sam.calls
printf '\\1\\0' >> sam.calls
"""

# Only here because the tests' own Python has no reader of TOML before 3.11: the file is JSON for these tests.
TOMLKIT = "import json\ndef load(file):\n    return json.loads(file.read() or '{}')\n"

BOTO3 = """
import json
class Client:
    def describe_stacks(self, StackName):
        outputs = [{"OutputKey": "CaseBucketName", "OutputValue": "cases-of-" + StackName}]
        return {"Stacks": [{"Outputs": outputs}]}
    def put_object(self, Bucket, Key, Body, **_):
        with open("put.calls", "w") as file:
            json.dump([Bucket, Key, Body.read().decode()], file)
class Session:
    def __init__(self, **_):
        pass
    def client(self, _):
        return Client()
"""


@pytest.fixture
def folder(tmp_path):
    tools = tmp_path / ".tools" / "lint" / "bin"
    modules = tmp_path / "modules"
    for made in (tools, modules, tmp_path / "infra"):
        made.mkdir(parents=True)
    (tmp_path / "infra" / "guardrails.toml").write_text("version = 1\n")
    (tools / "sam").write_text(SAM)
    (tools / "python").write_text(f'#!/bin/sh\nPYTHONPATH={modules} exec {sys.executable} "$@"\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    (modules / "tomlkit.py").write_text(TOMLKIT)
    (modules / "boto3.py").write_text(BOTO3)
    return tmp_path


def make_deploy(folder, architecture="arm64", path=None):
    # The tools are there, so make must not install them; a make that runs the tests hands its own settings down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", "-o", "lint-tools", "deploy", "CARGO=true", f"ARCH={architecture}"],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def deployed(folder, saved=None, architecture="arm64"):
    """The words of `sam deploy`."""
    if saved is not None:
        (folder / "samconfig.toml").write_text(json.dumps({"default": saved}))
    make_deploy(folder, architecture).check_returncode()
    build, deploy = [call.rstrip("\0").split("\0") for call in (folder / "sam.calls").read_text().split("\1\0") if call]
    assert build[0] == "build" and f"Architecture={architecture}" in build
    assert deploy[0] == "deploy"
    return deploy


def parameters(words):
    (given,) = words[words.index("--parameter-overrides") + 1 :]
    return given.split()


def test_first_deployment_asks(folder):
    words = deployed(folder)
    assert "--guided" in words and words[words.index("--stack-name") + 1] == "tourniquet"
    assert parameters(words) == ["Architecture=arm64"]


@pytest.mark.parametrize(
    "overrides",
    [
        'Architecture="x86_64" CaseRetentionDays="90" MemberRoleArns="a,b"',
        ['Architecture="x86_64"', 'CaseRetentionDays="90"', 'MemberRoleArns="a,b"'],
        {"Architecture": "x86_64", "CaseRetentionDays": 90, "MemberRoleArns": "a,b"},
    ],
    ids=["text", "list", "table"],
)
def test_saved_parameters_are_given_again(folder, overrides):
    words = deployed(folder, {"deploy": {"parameters": {"stack_name": "blue", "parameter_overrides": overrides}}})
    assert "--guided" not in words
    saved = ['Architecture="x86_64"', 'CaseRetentionDays="90"', 'MemberRoleArns="a,b"']
    assert parameters(words) == [*saved, "Architecture=arm64"], "the last of two counts"
    put = json.loads((folder / "put.calls").read_text())
    assert put == ["cases-of-blue", "guardrails.toml", "version = 1\n"]


def test_file_without_parameters(folder):
    assert parameters(deployed(folder, {"global": {"parameters": {"region": "eu-west-1"}}}, "x86_64")) == [
        "Architecture=x86_64"
    ]


OBJDUMP = """#!/bin/sh
cat "$2"
"""


@pytest.fixture
def built(folder):
    """A build whose files say which C library they need."""
    tools = folder / "binutils"
    tools.mkdir()
    (tools / "objdump").write_text(OBJDUMP)
    (tools / "objdump").chmod(0o755)
    for name, resource in load(TEMPLATE)["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            (folder / ".aws-sam" / "build" / name).mkdir(parents=True)
            (folder / ".aws-sam" / "build" / name / "bootstrap").write_text("GLIBC_2.2.5\nGLIBC_2.34\n")
    return folder


def test_binaries_for_the_c_library_of_lambda_are_deployed(built):
    assert make_deploy(built, path=built / "binutils").returncode == 0


@pytest.mark.parametrize("function", ["ContainIdentity", "ContainInstance", "SealSnapshot", "RegisterActions"])
def test_binary_for_a_newer_c_library_is_not_deployed(built, function):
    (built / ".aws-sam" / "build" / function / "bootstrap").write_text("GLIBC_2.34\nGLIBC_2.39\n")
    ended = make_deploy(built, path=built / "binutils")
    assert ended.returncode != 0
    assert f"The binary of {function} needs GLIBC_2.39" in ended.stderr
    assert not (built / "put.calls").exists() and "\0deploy" not in (built / "sam.calls").read_text()


def test_every_function_of_the_template_is_looked_at():
    functions = [n for n, r in load(TEMPLATE)["Resources"].items() if r["Type"] == "AWS::Serverless::Function"]
    assert f"FUNCTIONS := {' '.join(functions)}\n" in (ROOT / "Makefile").read_text()
