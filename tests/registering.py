"""What the tests of register-actions share: requests as CloudFormation makes them, and what Security Hub has."""

import uuid
from dataclasses import dataclass

from lab.stage import REGISTER_FUNCTION
from lab.template.custom import event_of, problem_of
from scene import ATTEMPTS

BUTTONS = ("Contain", "Release", "Propose")
LOGICAL_ID = "SecurityHubActions"


@dataclass
class Asked:
    """One delivery of a request, and what came of it."""

    event: dict
    answers: list
    """What CloudFormation read, in order; the first counts."""
    attempts: list
    calls: list

    @property
    def answer(self):
        assert self.answers, [(a["status"], a["error"] or a["response"]) for a in self.attempts]
        problem = problem_of(self.event, self.answers[0])
        assert not problem, problem
        assert all(answer == self.answers[0] for answer in self.answers), "two answers to one request"
        return self.answers[0]

    @property
    def status(self):
        return self.answer["Status"]

    @property
    def writes(self):
        return [c["action"] for c in self.calls if c["service"] == "securityhub" and c["action"] != "DescribeActionTargets"]


class Stack:
    """A stack whose buttons are asked for: nobody else's, in a lab of its own."""

    def __init__(self, scene):
        self.scene, self.lab = scene, scene.lab
        self.hub = self.lab.client("securityhub")

    def request(self, request_type, physical_id=None, logical_id=LOGICAL_ID, **changed):
        """A request; `changed` takes the place of its fields, None leaves one out."""
        properties = {"ServiceToken": f"arn:aws:lambda:{self.lab.region}:{self.lab.account}:function:{REGISTER_FUNCTION}"}
        event, place = event_of(self.lab, request_type, logical_id, properties, physical_id)
        event = {name: value for name, value in {**event, **changed}.items() if value is not None}
        return event, place

    def deliver(self, request, function=REGISTER_FUNCTION, request_id=None, armed=None):
        """Hand a request to the function as CloudFormation does, and wait until nothing more comes of it."""
        event, place = request
        marks = self.lab.marks()
        request_id = request_id or str(uuid.uuid4())
        if armed:
            armed(request_id)
        self.lab.invoke_async(function, event, request_id)

        def finished():
            tries = self.lab.invocations(marks["invocations"], request_id=request_id)
            return tries if tries and (tries[-1]["status"] == "ok" or tries[-1]["attempt"] == ATTEMPTS) else None

        attempts = self.lab.wait_for(finished, 40)
        answers = self.lab.answers(place) if place else []
        return Asked(event, answers, attempts, self.lab.calls(marks["calls"], request_id=request_id))

    def ask(self, request_type, physical_id=None, **options):
        return self.deliver(self.request(request_type, physical_id, **options))

    def actions(self):
        """The custom actions, by name: their descriptions."""
        known = self.hub.describe_action_targets()["ActionTargets"]
        assert all(a["ActionTargetArn"].endswith(f"Tourniquet{a['Name']}") for a in known), known
        return {action["Name"]: action["Description"] for action in known}

    def clear(self):
        for action in self.hub.describe_action_targets()["ActionTargets"]:
            self.hub.delete_action_target(ActionTargetArn=action["ActionTargetArn"])

    def describe_otherwise(self):
        """Somebody edits every description, marks and all."""
        for action in self.hub.describe_action_targets()["ActionTargets"]:
            self.hub.update_action_target(ActionTargetArn=action["ActionTargetArn"], Description="edited")
