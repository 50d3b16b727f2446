"""Somebody with stolen credentials, calling AWS in a loop until it no longer answers.

    python -m lab.attacker --endpoint http://127.0.0.1:4566 \
        --credential key=AKIA…:secret --credential session=ASIA…:secret:token --bedrock api=ABSK…

Prints one JSON line when a credential first works and one when it is refused for good: every probe
it had use of refused three times in a row. The instant reported is that of the first of them.
"""

import argparse
import json
import sys
import threading
import time
import urllib.error
import urllib.request

from botocore.exceptions import ClientError

from .client import client_for

_STABLE = 3
_PAUSE_SECONDS = 0.01

# (service, operation): reads an intruder begins with. A credential keeps those that work for it.
PROBES = (("iam", "list_users"), ("s3", "list_buckets"), ("sns", "list_topics"))

_printing = threading.Lock()


def say(**line):
    with _printing:
        print(json.dumps(line), flush=True)


class Signed:
    """Probes made with an access key or a session."""

    def __init__(self, endpoint, region, text):
        parts = text.split(":", 2)
        self._calls = {
            f"{service}:{operation}": getattr(client_for(endpoint, service, region, parts), operation)
            for service, operation in PROBES
        }

    def probe(self):
        """Error code by probe, None where it worked."""
        return {name: _code_of(call) for name, call in self._calls.items()}


class Bedrock:
    """Model calls made with a Bedrock API key."""

    def __init__(self, endpoint, _region, key):
        self._url, self._key = f"{endpoint}/model/amazon.titan-text-express-v1/invoke", key

    def probe(self):
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url, b'{"inputText":"x"}', headers, method="POST")
        try:
            urllib.request.urlopen(request, timeout=10).read()
            return {"bedrock:invoke_model": None}
        except urllib.error.HTTPError as error:
            error.read()
            return {"bedrock:invoke_model": error.headers.get("x-amzn-ErrorType", str(error.code))}


def _code_of(call):
    try:
        call()
        return None
    except ClientError as error:
        return error.response["Error"]["Code"]


def attack(name, loot, until):
    """Use one credential until it is refused for good or time is up; True if it was refused."""
    useful, run = set(), None
    while time.monotonic() < until:
        at = _instant()
        answers = loot.probe()
        working = {probe for probe, code in answers.items() if code is None}
        if working and not useful:
            say(credential=name, event="working", calls=sorted(working), **at)
        useful |= working
        if useful and not working:
            run = run or {**at, "codes": {p: answers[p] for p in sorted(useful)}, "length": 0}
            run["length"] += 1
            if run["length"] == _STABLE:
                del run["length"]
                say(credential=name, event="refused", code=next(iter(run["codes"].values())), **run)
                return True
        else:
            run = None
        time.sleep(_PAUSE_SECONDS)
    say(credential=name, event="still_working" if useful else "never_worked", **_instant())
    return False


def _instant():
    return {"monotonic_ms": round(time.monotonic() * 1000, 1), "wall_ms": round(time.time() * 1000, 1)}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="lab.attacker", description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--seconds", type=float, default=60, help="give up after this long")
    parser.add_argument("--credential", action="append", default=[], metavar="NAME=KEY:SECRET[:TOKEN]")
    parser.add_argument("--bedrock", action="append", default=[], metavar="NAME=API_KEY")
    options = parser.parse_args(arguments)
    loot = [(text.split("=", 1), Signed) for text in options.credential]
    loot += [(text.split("=", 1), Bedrock) for text in options.bedrock]
    if not loot:
        parser.error("an attacker needs at least one credential")
    armed = [(name, kind(options.endpoint, options.region, text)) for (name, text), kind in loot]
    until, outcomes = time.monotonic() + options.seconds, []
    threads = [
        threading.Thread(target=lambda n=name, w=weapon: outcomes.append(attack(n, w, until))) for name, weapon in armed
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0 if all(outcomes) and len(outcomes) == len(loot) else 1


if __name__ == "__main__":
    sys.exit(main())
