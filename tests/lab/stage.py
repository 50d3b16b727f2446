"""The product on the lab: where its parts lie, its template deployed, its sample events recast.

What the tests, the demo and the replay share.
"""

import json
import os
import re
from pathlib import Path

from .template import deploy

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"
GUARDRAILS = ROOT / "infra" / "guardrails.toml"
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
FUNCTION = "contain-identity"
EVENTS = ROOT / "events" / FUNCTION

_FINDING_ID = re.compile(r"(?<=finding/)[0-9a-f]{32}")
_USER_ID = re.compile(r"\bAIDA[A-Z0-9]{17}\b")
_ROLE_ID = re.compile(r"\bAROA[A-Z0-9]{17}\b")
_KEY_ID = re.compile(r"\bA[KS]IA[A-Z0-9]{16}\b")


def guardrails(protecting):
    """The shipped guardrails, and one principal that is never touched."""
    rule = f'\n[[protect]]\narn = "{protecting.arn}"\nbecause = "the way back in when single sign-on is down"\n'
    return GUARDRAILS.read_text(encoding="utf-8") + rule


def deploy_product(lab, protecting, verify_after_ms=200):
    """The template, as it is, with the debug binaries."""
    environment = {"VERIFY_AFTER_MS": str(verify_after_ms)}
    return deploy(TEMPLATE, lab, binaries_dir=BINARIES, environment=environment, guardrails=guardrails(protecting))


def load(name):
    """The text of a sample event."""
    return (EVENTS / f"{name}.json").read_text(encoding="utf-8")


def about_user(text, user, named="svc-build", key=None):
    """An event about an IAM user, with the user's own name, unique id and key in it."""
    words = {named: user.name}
    words |= dict.fromkeys(_USER_ID.findall(text), user.id)
    words |= dict.fromkeys(_KEY_ID.findall(text), key or user.key["AccessKeyId"])
    return replaced(text, words)


def about_role(text, role, named, words=None):
    """An event about a role; `words` says which session or instance takes the place of the event's."""
    return replaced(text, {named: role.name, **dict.fromkeys(_ROLE_ID.findall(text), role.id), **(words or {})})


def replaced(text, words):
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def with_finding_id(text, new_id):
    """The event under finding ids of `new_id`'s making, one for each it holds."""
    for old in dict.fromkeys(_FINDING_ID.findall(text)):
        text = text.replace(old, new_id())
    return json.loads(text)
