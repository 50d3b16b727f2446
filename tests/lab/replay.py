"""One event through the function, run by `cargo lambda watch` as a developer would run it.

    python -m lab.replay events/contain-identity/leaked-access-key.json

A lab is started for it with the template's resources, the principals the event names (under the ids it
names), an instance for each it names (whose ids go into the event) and the finding at its detector. The folder says which
function runs; it has the variables and the role of the template.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from . import policies, seed, seed_instances, stage
from .client import Lab

COMPILE_SECONDS = 900
"""The first run of `cargo lambda watch` may have to compile everything."""

# What the feeds call a principal's name, unique id and key.
_NAMES = ("userName", "PrincipalName", "UserName", "RoleName", "user_name", "name")
_IDS = ("principalId", "PrincipalId", "uid", "principal_id", "UserId", "RoleId")
_KEYS = ("accessKeyId", "AccessKeyId", "credentialUid", "access_key_id", "publicKey")
_USER, _ROLE = re.compile(r"AIDA[A-Z0-9]{17}"), re.compile(r"(AROA[A-Z0-9]{17})(:.*)?", re.DOTALL)
_LONG_TERM, _NAME = re.compile(r"AKIA[A-Z0-9]{16}"), re.compile(r"[\w+=,.@-]{1,64}")
_ARN = re.compile(r"arn:aws[\w-]*:guardduty:[^\"/]+:detector/[0-9a-f]+/finding/[0-9a-f]+")
_PATHS = {
    "AWSServiceRoleFor": "/aws-service-role/autoscaling.amazonaws.com/",
    "AWSReservedSSO_": "/aws-reserved/sso.amazonaws.com/",
}
# Here the account has a principal of the event's name that is not the event's.
_NAMESAKES = ("recreated-user", "foreign-account-principal", "federated-user-same-name")
_OWN_ROLE = "contain-identity-role"
_INSTANCE = re.compile(r"\bi-[0-9a-f]{17}\b")


class Cannot(Exception):
    """Why there is nothing to replay."""


# --- whom the event names ------------------------------------------------------------------------------


def principals(node):
    """{(kind, name): (unique id, long-term key)} of every principal an event names, whichever feed wrote it."""
    found = {}
    for part in _dicts(node):
        name, unique_id, key = (_first(part, spelling) for spelling in (_NAMES, _IDS, _KEYS))
        kind, unique_id = _kind(unique_id, key)
        if kind and _NAME.fullmatch(name):
            known_id, known_key = found.get((kind, name), ("", ""))
            found[kind, name] = (known_id or unique_id, known_key or (key if _LONG_TERM.fullmatch(key) else ""))
    # ASFF has the key in a resource's id, apart from its owner.
    keys = set(_LONG_TERM.findall(json.dumps(node)))
    for principal, (unique_id, key) in found.items():
        if principal[0] == "user" and not key and len(keys) == 1:
            found[principal] = (unique_id, *keys)
    # AWS Health may name keys and nobody: their owners are made up.
    unnamed = keys - {key for _, key in found.values()}
    if unnamed and node.get("source") == "aws.health":
        found |= {("user", f"key-owner-{n}"): ("", key) for n, key in enumerate(sorted(unnamed), 1)}
    return found


def _kind(unique_id, key):
    if _USER.fullmatch(unique_id):
        return "user", unique_id
    role = _ROLE.fullmatch(unique_id)
    if role:
        return "role", role[1]
    # A key of somebody without a unique id: AWS Health and sparse copies name users so.
    return ("user", "") if _LONG_TERM.fullmatch(key) else (None, "")


def _dicts(node):
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _dicts(child)


def _first(part, spellings):
    return next((part[s] for s in spellings if isinstance(part.get(s), str)), "")


def seed_principals(lab, stem, event):
    """Make every principal the event names; the words for what was made."""
    made = []
    for (kind, name), (unique_id, key) in principals(event).items():
        if name == _OWN_ROLE:
            continue
        if kind == "user":
            seed.user(lab, name, everything=True)
            ids = {} if stem in _NAMESAKES else {"id": unique_id, "key": key}
            if any(ids.values()):
                lab.set_ids(user=name, **ids)
        else:
            path = next((path for prefix, path in _PATHS.items() if name.startswith(prefix)), "/")
            trust = policies.trust(service="ec2.amazonaws.com", account=lab.account)
            seed.role(lab, name, path, trust=trust, profile_path="/" if path == "/" else None)
            lab.set_ids(role=name, id=unique_id)
        made.append(f"{kind}/{name}")
    if stem == "federated-user-same-name":
        made.append(f"user/{seed.user(lab, 'alice').name}")
    return made


def with_instances(lab, text):
    """The event with the ids of an instance of the lab for each it names; the words for what was made."""
    made = []
    for named in sorted(set(_INSTANCE.findall(text))):
        cluster = "replayed" if "eks:cluster-name" in text else None
        instance = seed_instances.instance(lab, with_profile=":instance-profile/" in text, eks_cluster=cluster)
        text = stage.about_instance(text, instance, named=named)
        made.append(f"instance/{instance.id}")
    return text, made


# --- where the finding comes from ------------------------------------------------------------------------


def seed_sources(lab, event, folder):
    """The finding at GuardDuty, and its copy in Security Hub where the event is one."""
    if event.get("source") == "aws.guardduty":
        lab.seed_finding(event["detail"], region=event["detail"].get("region"))
        return
    wanted = set(_ARN.findall(json.dumps(event)))
    for file in sorted(folder.glob("*.json")):
        other = json.loads(file.read_text(encoding="utf-8"))
        if other.get("source") == "aws.guardduty" and other["detail"].get("arn") in wanted:
            lab.seed_finding(other["detail"])
            wanted.discard(other["detail"]["arn"])
    findings = (event.get("detail") or {}).get("findings") or []
    asff = [finding for finding in findings if "ProductArn" in finding]
    if asff:
        lab.client("securityhub").batch_import_findings(Findings=asff)


# --- cargo lambda ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def watch(environment):
    """`cargo lambda watch`, in a process group of its own that is ended with all its children."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["cargo", "lambda", "watch", "--ignore-changes", "--quiet"]
    command += ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    log = tempfile.TemporaryFile("w+")
    process = subprocess.Popen(
        command,
        cwd=stage.ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        Lab.wait_for(lambda: listening(port) or process.poll() is not None, 30)
        if process.poll() is not None:
            log.seek(0)
            raise Cannot(f"`cargo lambda watch` ended:\n{log.read()}")
        yield port, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        log.close()


def listening(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def invoke(port, function, file):
    """The function's answer; (it, whether it is an error)."""
    command = ["cargo", "lambda", "invoke", function, "--data-file", str(file), "--output-format", "text"]
    command += ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]
    done = subprocess.run(command, cwd=stage.ROOT, capture_output=True, text=True, timeout=COMPILE_SECONDS)
    return (done.stdout, False) if done.returncode == 0 else (done.stdout + done.stderr, True)


def environment_of(lab, deployment, function):
    """What Lambda would give the function: the template's variables and a session of the template's role."""
    (registration,) = [f for f in deployment.functions if f["name"] == function]
    session = lab.mint_session(registration["role_arn"], function)
    return {
        **os.environ,
        **registration["environment"],
        "AWS_REGION": lab.region,
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def replay(path):
    """Play the event; the exit code."""
    function = path.resolve().parent.name
    if function not in (stage.FUNCTION, stage.INSTANCE_FUNCTION):
        raise Cannot(f"{path} is in no folder of a containing function. Snapshots being sealed: `make demo`.")
    event = json.loads(path.read_text(encoding="utf-8"))
    with contextlib.ExitStack() as ending:
        lab = ending.enter_context(Lab())
        made = seed_principals(lab, path.stem, event)
        break_glass = next((arn for arn in made if arn == "user/break-glass"), None)
        protected = seed.User("break-glass", f"arn:aws:iam::{lab.account}:user/break-glass", "")
        if not break_glass:
            protected = seed.user(lab, "break-glass")
        # No binary is needed but the one that cargo lambda builds.
        deployment = stage.deploy_product(lab, protected, custom_resources=False)
        event = with_own_role(lab, deployment, event)
        if function == stage.INSTANCE_FUNCTION:
            text, instances = with_instances(lab, json.dumps(event))
            event, made = json.loads(text), made + instances
        seed_sources(lab, event, stage.EVENTS / function)
        print(f"Lab: account {lab.account}, {lab.region}, with {', '.join(made) or 'nothing the event names'}.")
        print("cargo lambda watch: compiles first, if the sources have changed.", flush=True)
        folder = ending.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder, path.name)
        file.write_text(json.dumps(event), encoding="utf-8")
        port, log = ending.enter_context(watch(environment_of(lab, deployment, function)))
        answer, failed = invoke(port, function, file)
        if failed:
            log.seek(0)
            print(f"{answer}\n--- cargo lambda watch ---\n{log.read()}", file=sys.stderr)
            return 1
        print(json.dumps(json.loads(answer), indent=2, ensure_ascii=False))
        for told in lab.notifications():
            print(f"People were told: {told['subject']}")
    return 0


def with_own_role(lab, deployment, event):
    """An event about Tourniquet's own role gets the name and id that role has in this deployment."""
    text = json.dumps(event)
    if _OWN_ROLE not in text:
        return event
    name = deployment.outputs["ContainIdentityRoleArn"].rsplit("/", 1)[1]
    for _, (unique_id, _) in principals(event).items():
        lab.set_ids(role=name, id=unique_id)
    return json.loads(text.replace(_OWN_ROLE, name))


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m lab.replay events/<function>/<event>.json", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    if not path.is_file():
        print(f"There is no event {path}.", file=sys.stderr)
        return 2
    if not shutil.which("cargo-lambda"):
        print("cargo-lambda is not on the PATH: `make replay EVENT=...` puts it there.", file=sys.stderr)
        return 2
    try:
        return replay(path)
    except Cannot as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
