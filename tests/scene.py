"""The product, deployed to a lab by its own template, and a finding played through it.

A scene fires an event of `events/` the way AWS does, waits until the function is done with it, and
hands back all that came of it: the attempts, the answer, the case in its bucket, the messages.
"""

import contextlib
import random
from dataclasses import dataclass, field

from lab import organization, seed, stage
from lab.case_file import CaseFile
from lab.stage import FUNCTION, INSTANCE_FUNCTION, RELEASE_FUNCTION

ATTEMPTS = 3
"""How often Lambda tries an event."""


ELSEWHERE = ("s3", "sns", "securityhub", "kms", "sqs", "logs", "scheduler")
"""Where a function keeps, tells and schedules: not what it contains."""


def messages_about(told, case):
    """Of what people were told, what is about a case, but for its snapshots."""
    return [n for n in told if n["subject"] and "SEALED" not in n["subject"] and case in n["message"]]


class Scene:
    def __init__(self, lab, forensics=""):
        """`forensics` is the account that copies of evidence go to; without one it stays where it is."""
        self.lab = lab
        self.break_glass = seed.user(lab, "break-glass")
        self.guardrails = stage.guardrails(self.break_glass)
        listed = (*organization.MEMBERS, organization.WITHOUT_ROLE)
        self.deployment = stage.deploy_product(lab, self.break_glass, members=listed)
        outputs = self.deployment.outputs
        # The role is in more accounts than the product may enter: the list decides, not what can be assumed.
        self.members = {
            account: stage.deploy_member(
                lab, outputs["ContainIdentityRoleArn"], account, instance_role_arn=outputs["ContainInstanceRoleArn"],
                evidence_role_arn=outputs["SealSnapshotRoleArn"], forensics=forensics,
                release_role_arn=outputs["ReleaseRoleArn"],
                recheck_role_arn=outputs["RecheckRoleArn"],
            )
            for account in (*organization.MEMBERS, organization.UNLISTED)
        }  # fmt: skip
        self.member_events = {a: stage.deploy_member_events(lab, a, outputs["EventBusArn"]) for a in self.members}
        self.forensics = stage.add_forensics(lab, self.deployment, forensics, listed) if forensics else None
        outputs = self.deployment.outputs
        self.bucket = outputs["CaseBucketName"]
        self.topic = outputs["AlertTopicArn"]
        self.role_arn = outputs["ContainIdentityRoleArn"]
        self.failures = outputs["OnFailureQueueUrl"]
        self.deny_group = outputs["DenyGroupName"]
        # Ids of findings come from a fixed seed, so that a failing run can be run again.
        self._random = random.Random(20261121)
        self._seen = {"invocations": 0, "notifications": 0}

    def member(self, number=0):
        """The lab as administrator of a member account."""
        return self.lab.in_account(organization.MEMBERS[number])

    # --- events ---------------------------------------------------------------------------------

    def event(self, name, words=None, finding=None):
        """A sample event with other words in it, under a finding id of its own.

        `finding` gives it the id of a finding fired before: a copy or an update of that one.
        """
        return self._fresh(stage.replaced(stage.load(name), words or {}), finding)

    def recast(self, text):
        """The event of this text, under a finding id of its own."""
        return self._fresh(text, None)

    def accuse(self, user, event="leaked-access-key", named="svc-build", key=None, finding=None):
        """An event about an IAM user, with the user's own account, name, unique id and key in it."""
        return self._received(user, self._fresh(stage.about_user(stage.load(event), user, named, key), finding))

    def accuse_role(self, role, event="role-session-named", named="developer", words=None, finding=None):
        """An event about a role; `words` says which session or instance takes the place of the event's."""
        return self._received(role, self._fresh(stage.about_role(stage.load(event), role, named, words), finding))

    def accuse_instance(self, instance, event="crypto-mining-instance", words=None, finding=None):
        """An event about an instance, with its own ids in it."""
        text = stage.about_instance(stage.load(event, INSTANCE_FUNCTION), instance, words=words)
        return self._received(instance, self._fresh(text, finding))

    def _received(self, principal, event):
        """As a delegated administrator gets it: the envelope is of its own account, the detail of the member's (D1)."""
        if stage.account_of(principal) != self.lab.account:
            event["account"] = self.lab.account
        return event

    def _fresh(self, text, finding):
        return stage.with_finding_id(text, lambda: finding or f"{self._random.getrandbits(128):032x}")

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

    def fire(self, event, whole=False, to=""):
        """Send an event through EventBridge and the template's rules, and wait for the function.

        `whole` delivers the envelope as it is, with its own account and id; `to` says whose delivery is meant, where
        the rules take an event to two functions.
        """
        delivery = self._begin()
        delivery.function = to
        delivery.event_id = (self.lab.deliver_event if whole else self.lab.put_event)(event)
        return delivery.wait()

    def brought_by(self, cause):
        """The delivery that something else brings about, such as an import into Security Hub."""
        delivery = self._begin()
        cause()
        # Snapshots of other tests are sealed whenever they are complete.
        others = ("seal-snapshot",)
        started = lambda: [i for i in self.lab.invocations(delivery.invocations_before) if i["function"] not in others]  # noqa: E731
        first = self.lab.wait_for(started, 30)[0]
        delivery.request_id = first["request_id"]
        return delivery.wait()

    def press(self, button, finding, to=""):
        """A person presses a button on one finding (ASFF) in Security Hub; wait for the function.

        `button` is the action's id. `to` is as for `fire`. The event comes from the hub of the responder's account,
        whosever finding it is.
        """
        return self.press_each(button, [finding], to)[0]

    def press_each(self, button, findings, to=""):
        """The same on several findings at once: a delivery for each, since Security Hub sends each as an event."""
        begun = [self._begin() for _ in findings]
        for delivery, event_id in zip(begun, self.lab.press(button, findings)):
            delivery.function, delivery.event_id = to, event_id
        return [delivery.wait() for delivery in begun]

    def invoke(self, event, function=FUNCTION, forged=False):
        """Hand an event to the function asynchronously, past the rules, as EventBridge would."""
        return self.start(event, function, forged).wait()

    def start(self, event, function=FUNCTION, forged=False, request_id=None):
        """The same without waiting. A forged finding is one that its detector has never heard of; so are bytes."""
        if not forged and not isinstance(event, bytes) and event.get("source") == "aws.guardduty":
            self.lab.seed_finding(event["detail"])
        delivery = self._begin()
        delivery.request_id = self.lab.invoke_async(function, event, request_id)
        return delivery

    def _begin(self):
        return Delivery(self, self._newest("invocations"), self._newest("notifications"), self.lab.mark())

    def _newest(self, record):
        """The number of the last line of a record; only what is new is fetched."""
        new = getattr(self.lab, record)(self._seen[record])
        if new:
            self._seen[record] = max(self._seen[record], new[-1]["n"])
        return self._seen[record]

    def release(self, case, **order):
        """Order the release of a case as `aws lambda invoke` does, and wait for the answer."""
        delivery = self._begin()
        delivery.request_id = self.lab.invoke_async(RELEASE_FUNCTION, {"release": {"case": case, **order}})
        return delivery.wait()

    def copy(self, function=FUNCTION, **settings):
        """Another function of the same binary and role, for faults and settings that concern no other test."""
        (deployed,) = [known for known in self.deployment.functions if known["name"] == function]
        registration = {**deployed, "name": seed.unique(function)}
        registration["environment"] = {**registration["environment"], **settings.pop("environment", {})}
        self.lab.register_function(**{**registration, **settings})
        return registration["name"]

    # --- the case bucket ------------------------------------------------------------------------

    def read_case(self, case):
        return CaseFile.read(self.lab.client("s3"), self.bucket, case)

    def read(self, key):
        """An object of the case bucket."""
        return self.lab.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()

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
    function: str = ""
    """Whose delivery is meant; empty where only one function gets the event."""
    attempts: list = field(default_factory=list)
    """The invocation record of every try."""

    def wait(self, deadline=30):
        self.attempts = self.scene.lab.wait_for(self._finished, deadline)
        self.request_id = self.attempts[0]["request_id"]
        return self

    def _finished(self):
        wanted = {"event_id": self.event_id} if self.event_id else {"request_id": self.request_id}
        if self.function:
            wanted["function"] = self.function
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
        """The call record of the function for this event, all tries. That a role is passed to Scheduler is a permission
        that is asked for, and no call."""
        calls = self.scene.lab.calls(self.calls_before, request_id=self.request_id, **matching)
        return [call for call in calls if call["action"] != "PassRole"]

    def writes(self):
        """What the function changed, or tried to change, in IAM."""
        reading = ("Get", "List")
        return [c["action"] for c in self.calls(service="iam") if not c["action"].startswith(reading)]

    def changes(self):
        """What the function changed, or tried to change, in any service but where it keeps and tells."""
        reading = ("Get", "List", "Describe", "BatchGet", "LookupEvents", "AssumeRole")
        calls = [c for c in self.calls() if c["service"] not in ELSEWHERE]
        return [c["action"] for c in calls if not c["action"].startswith(reading)]

    def messages(self, case=None):
        """What people were told about a case since this delivery began, but for its snapshots: those are sealed beside
        it, whenever they are complete (`sealing.Ledger`)."""
        case = case or self.result["case"]
        return messages_about(self.scene.lab.notifications(self.notifications_before), case)

    @property
    def message(self):
        """The one message about the case."""
        (message,) = self.messages()
        return message

    def steps(self):
        """Status of each step of the result, by step and what it changes."""
        return {(s["step"], s["on"]): s["status"] for s in self.result["steps"]}
