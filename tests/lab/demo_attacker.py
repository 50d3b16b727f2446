"""The attacker of the demo: another process that uses what it stole."""

import json
import os
import subprocess
import sys
import threading
import time

from . import stage

SECONDS = 10
"""How long the attacker may take to be refused before the demo has failed."""


class Attacker:
    """Another process that uses what it stole again and again, and says when it stops working."""

    def __init__(self, lab, loot):
        arguments = [sys.executable, "-m", "lab.attacker", "--endpoint", lab.endpoint, "--region", lab.region]
        for name, credentials in loot.items():
            arguments += [
                "--bedrock" if isinstance(credentials, str) else "--credential",
                f"{name}={_text(credentials)}",
            ]
        self.names = list(loot)
        self._said = []
        environment = {**os.environ, "PYTHONPATH": str(stage.ROOT / "tests")}
        self._process = subprocess.Popen(
            [*arguments, "--seconds", "30"], env=environment, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._process.stdout:
            self._said.append(json.loads(line))

    def await_all(self, event):
        """The line of every credential about an event, or None for one that never said it."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            lines = {line["credential"]: line for line in list(self._said) if line["event"] == event}
            if len(lines) == len(self.names):
                break
            time.sleep(0.01)
        return {name: lines.get(name) for name in self.names}

    def stop(self):
        self._process.terminate()
        self._process.wait()


def _text(credentials):
    if isinstance(credentials, str):
        return credentials
    parts = (credentials.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    return ":".join(part for part in parts if part)
