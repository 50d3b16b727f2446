"""The product, deployed to a lab by its own template, and a finding played through it.

A scene fires an event of `events/` the way AWS does, waits until the function is done with it, and
hands back all that came of it: the attempts, the answer, the case in its bucket, the messages.
"""

import contextlib
import json
import os
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from case_file import CaseFile
from lab import seed
from lab.template import deploy

ROOT = Path(__file__).resolve().parent.parent
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
FUNCTION = "contain-identity"
VERIFY_AFTER_MS = 200
ATTEMPTS = 3
"""How often Lambda tries an event."""

_PROTECT = """
[[protect]]
arn = "{arn}"
because = "the way back in when single sign-on is down"
"""
_FINDING_ID = re.compile(r"(?<=finding/)[0-9a-f]{32}")


def environment():
    """What the lab changes of the function's variables; one open switch keeps the runs comparable."""
    return {"VERIFY_AFTER_MS": str(VERIFY_AFTER_MS)}


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.break_glass = seed.user(lab, "break-glass")
        shipped = (ROOT / "infra" / "guardrails.toml").read_text(encoding="utf-8")
        self.guardrails = shipped + _PROTECT.format(arn=self.break_glass.arn)
        self.deployment = deploy(
            ROOT / "infra" / "template.yaml",
            lab,
            binaries_dir=BINARIES,
            environment=environment(),
            guardrails=self.guardrails,
        )
        outputs = self.deployment.outputs
        self.bucket = outputs["CaseBucketName"]
        self.topic = outputs["AlertTopicArn"]
        self.role_arn = outputs["ContainIdentityRoleArn"]
        self.failures = outputs["OnFailureQueueUrl"]
        # Ids of findings come from a fixed seed, so that a failing run can be run again.
        self._random = random.Random(20261121)

    # --- events ---------------------------------------------------------------------------------

    def event(self, name, replacing=None, finding=None):
        """An event of `events/contain-identity` with other words in it, under a finding id of its own.

        `finding` gives it the id of a finding fired before: a copy or an update of that one.
        """
        text = (ROOT / "events" / FUNCTION / f"{name}.json").read_text(encoding="utf-8")
        for old, new in (replacing or {}).items():
            text = text.replace(old, new)
        for old in dict.fromkeys(_FINDING_ID.findall(text)):
            text = text.replace(old, finding or f"{self._random.getrandbits(128):032x}")
        return json.loads(text)

    def accuse(self, user, event="leaked-access-key", named="svc-build", key=None, finding=None):
        """An event about an IAM user, with the user's own name, unique id and key in it."""
        text = json.dumps(self.event(event))
        words = {named: user.name}
        words |= {old: user.id for old in re.findall(r"\bAIDA[A-Z0-9]{17}\b", text)}
        words |= {old: key or user.key["AccessKeyId"] for old in re.findall(r"\bA[KS]IA[A-Z0-9]{16}\b", text)}
        return self.event(event, words, finding)

    def accuse_role(self, role, event="role-session-named", named="developer", replacing=None, finding=None):
        """An event about a role; `replacing` says which session or instance takes the place of the event's."""
        text = json.dumps(self.event(event))
        ids = {old: role.id for old in re.findall(r"\bAROA[A-Z0-9]{17}\b", text)}
        return self.event(event, {named: role.name, **ids, **(replacing or {})}, finding)

    def import_copy(self, event):
        """The finding of a Security Hub event, imported there as the product that made it would."""
        (finding,) = event["detail"]["findings"]
        answer = self.lab.client("securityhub").batch_import_findings(Findings=[finding])
        assert answer["SuccessCount"] == 1, answer["FailedFindings"]
        return finding["Id"]

    def in_security_hub(self, finding_id):
        filters = {"Id": [{"Value": finding_id, "Comparison": "EQUALS"}]}
        (finding,) = self.lab.client("securityhub").get_findings(Filters=filters)["Findings"]
        return finding

    # --- deliveries -----------------------------------------------------------------------------

    def fire(self, event, whole=False):
        """Send an event through EventBridge and the template's rules, and wait for the function.

        `whole` delivers the envelope as it is, with its own account and id.
        """
        delivery = self._begin()
        delivery.event_id = (self.lab.deliver_event if whole else self.lab.put_event)(event)
        return delivery.wait()

    def invoke(self, event, function=FUNCTION):
        """Hand an event to the function asynchronously, past the rules, as EventBridge would."""
        return self.start(event, function).wait()

    def start(self, event, function=FUNCTION):
        """The same without waiting."""
        delivery = self._begin()
        delivery.request_id = self.lab.invoke_async(function, event)
        return delivery

    def _begin(self):
        lab = self.lab
        return Delivery(self, len(lab.invocations()), len(lab.notifications()), lab.mark())

    def copy(self, **settings):
        """Another function of the same binary and role, for faults and settings that concern no other test."""
        registration = {**self.deployment.functions[0], "name": seed.unique(FUNCTION)}
        registration["environment"] = {**registration["environment"], **settings.pop("environment", {})}
        self.lab.register_function(**{**registration, **settings})
        return registration["name"]

    # --- the case bucket ------------------------------------------------------------------------

    def read_case(self, case):
        return CaseFile.read(self.lab.client("s3"), self.bucket, case)

    def open_case(self, key):
        """The object under `targets/`, or None."""
        return CaseFile.open_case(self.lab.client("s3"), self.bucket, key)

    @contextlib.contextmanager
    def guardrails_being(self, text):
        """Other guardrails for a while; None removes the file."""
        s3 = self.lab.client("s3")
        try:
            if text is None:
                s3.delete_object(Bucket=self.bucket, Key="guardrails.toml")
            else:
                self._put_guardrails(text)
            yield
        finally:
            self._put_guardrails(self.guardrails)

    def _put_guardrails(self, text):
        body = text.encode()
        self.lab.client("s3").put_object(
            Bucket=self.bucket, Key="guardrails.toml", Body=body, ChecksumAlgorithm="SHA256"
        )


@dataclass
class Delivery:
    """One event on its way, and what came of it."""

    scene: Scene
    invocations_before: int
    notifications_before: int
    calls_before: int
    event_id: str = ""
    request_id: str = ""
    attempts: list = field(default_factory=list)
    """The invocation record of every try."""

    def wait(self, deadline=30):
        self.attempts = self.scene.lab.wait_for(self._finished, deadline)
        self.request_id = self.attempts[0]["request_id"]
        return self

    def _finished(self):
        wanted = {"event_id": self.event_id} if self.event_id else {"request_id": self.request_id}
        tries = self.scene.lab.invocations(self.invocations_before, **wanted)
        return tries if tries and (tries[-1]["status"] == "ok" or tries[-1]["attempt"] == ATTEMPTS) else None

    @property
    def answer(self):
        last = self.attempts[-1]
        assert last["status"] == "ok", (last["status"], last["error"])
        return last["response"]

    @property
    def result(self):
        """The answer about the only target."""
        (result,) = self.answer["results"]
        return result

    @property
    def ignored(self):
        """Why nothing was done: the one reason of an answer without results."""
        assert self.answer["results"] == [], self.answer
        (ignored,) = self.answer["ignored"]
        return ignored["reason"]

    @property
    def case(self):
        return self.scene.read_case(self.result["case"])

    def calls(self, **matching):
        """The call record of the function for this event, all tries."""
        return self.scene.lab.calls(self.calls_before, request_id=self.request_id, **matching)

    def writes(self):
        """What the function changed, or tried to change, in IAM."""
        reading = ("Get", "List")
        return [c["action"] for c in self.calls(service="iam") if not c["action"].startswith(reading)]

    def messages(self, case=None):
        """What people were told about a case since this delivery began."""
        case = case or self.result["case"]
        told = self.scene.lab.notifications(self.notifications_before)
        return [n for n in told if n["subject"] and case in n["message"]]

    @property
    def message(self):
        """The one message about the case."""
        (message,) = self.messages()
        return message

    def steps(self):
        """Status of each step of the result, by step and what it changes."""
        return {(s["step"], s["on"]): s["status"] for s in self.result["steps"]}
