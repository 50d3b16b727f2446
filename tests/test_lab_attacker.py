"""The attacker process: it must say when it was let in and when it was locked out, and only then."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lab import policies, seed
from lab_assertions import put_policy


class Attacker:
    def __init__(self, lab, seconds=20, bedrock=None, **credentials):
        command = [sys.executable, "-m", "lab.attacker", "--endpoint", lab.endpoint, "--seconds", str(seconds)]
        for name, loot in credentials.items():
            parts = [loot["AccessKeyId"], loot["SecretAccessKey"]]
            parts += [loot["SessionToken"]] if "SessionToken" in loot else []
            command += ["--credential", f"{name}={':'.join(parts)}"]
        if bedrock:
            command += ["--bedrock", f"bedrock={bedrock}"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def said(self, credential, event):
        return next(
            (line for line in list(self.lines) if (line["credential"], line["event"]) == (credential, event)), None
        )


@pytest.fixture
def attack(lab):
    running = []

    def start(*arguments, **keywords):
        running.append(Attacker(lab, *arguments, **keywords))
        return running[-1]

    yield start
    for attacker in running:
        attacker.process.kill()
        attacker.process.wait()


def test_key_goes_first_session_and_api_key_with_the_deny(lab, attack):
    victim = seed.user(lab, everything=True)
    attacker = attack(key=victim.key, session=victim.session, bedrock=victim.bedrock_key)
    for name in ("key", "session", "bedrock"):
        lab.wait_for(lambda name=name: attacker.said(name, "working"))
    iam = lab.client("iam")
    iam.update_access_key(UserName=victim.name, AccessKeyId=victim.key["AccessKeyId"], Status="Inactive")
    refused = lab.wait_for(lambda: attacker.said("key", "refused"))
    assert refused["codes"] == {
        "iam:list_users": "InvalidClientTokenId",
        "s3:list_buckets": "InvalidAccessKeyId",
        "sns:list_topics": "InvalidClientTokenId",
    }
    assert attacker.said("session", "refused") is None
    put_policy(lab, victim, "deny", policies.DENY_ALL)
    session = lab.wait_for(lambda: attacker.said("session", "refused"))
    assert session["codes"] == {"s3:list_buckets": "AccessDenied", "sns:list_topics": "AuthorizationError"}
    assert session["monotonic_ms"] > refused["monotonic_ms"]
    assert lab.wait_for(lambda: attacker.said("bedrock", "refused"))["code"] == "AccessDeniedException"
    assert attacker.process.wait(10) == 0


def test_attacker_that_was_never_stopped_says_so(lab, attack):
    attacker = attack(seconds=2, key=seed.user(lab).key)
    assert attacker.process.wait(15) == 1
    lab.wait_for(lambda: attacker.said("key", "still_working"))
    assert attacker.said("key", "refused") is None


def test_one_refusal_is_not_the_end(lab, attack):
    """A credential that works again within the run was not locked out."""
    victim = seed.user(lab)
    attacker = attack(seconds=3, key=victim.key)
    lab.wait_for(lambda: attacker.said("key", "working"))
    document = json.dumps(policies.document(policies.deny("iam:*")))
    lab.client("iam").put_user_policy(UserName=victim.name, PolicyName="part", PolicyDocument=document)
    assert attacker.process.wait(15) == 1
    assert attacker.said("key", "refused") is None
