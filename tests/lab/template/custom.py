"""Custom resources: what CloudFormation asks their function, and what it makes of the answer.

AWS behaviour: CloudFormation User Guide, "Custom resources", "Custom resource request objects" and "response objects".
An Update answered with another physical id is a replacement, and the old one is deleted afterwards; a Create that failed
is deleted with the physical id of its answer; an Update that failed is followed by one back to the old properties.
"""

import uuid

from .intrinsics import TemplateError

PREFIX = "Custom::"
_SECONDS = 30


class Unanswered(dict):
    """The attributes of a resource whose function has not been asked."""

    def __contains__(self, _):
        return True

    def __missing__(self, name):
        return f"({name} of a custom resource that was not asked for)"


class Failed(TemplateError):
    """A custom resource said FAILED; the stack would be rolled back."""


def event_of(lab, request_type, logical_id, properties, physical_id=None, old=None, stack="tourniquet", request_id=None):
    """A request, and the place where its answer will be."""
    place = lab.expect_answer()
    event = {
        "RequestType": request_type,
        "ServiceToken": properties["ServiceToken"],
        "ResponseURL": place["url"],
        "StackId": f"arn:aws:cloudformation:{lab.region}:{lab.account}:stack/{stack}/lab",
        "RequestId": request_id or str(uuid.uuid4()),
        "ResourceType": "Custom::SecurityHubActions",
        "LogicalResourceId": logical_id,
        # Everything is text when CloudFormation sends it.
        "ResourceProperties": {name: str(value) for name, value in properties.items()},
    }
    if physical_id is not None:
        event["PhysicalResourceId"] = physical_id
    if old is not None:
        event["OldResourceProperties"] = {name: str(value) for name, value in old.items()}
    return event, place["id"]


def ask(lab, request_type, logical_id, properties, physical_id=None, old=None, stack="tourniquet"):
    """Invoke the function as CloudFormation does, and wait for its answer."""
    event, place = event_of(lab, request_type, logical_id, properties, physical_id, old, stack)
    lab.invoke_async(properties["ServiceToken"].rsplit(":", 1)[-1], event)
    answer = lab.wait_for(lambda: lab.answers(place), _SECONDS)[0]
    problem = problem_of(event, answer)
    if problem:
        raise TemplateError(f"{logical_id}: CloudFormation would not take the answer: {problem}")
    return answer


def problem_of(event, answer):
    """Why CloudFormation would not take an answer for this request, and go on waiting."""
    if "Invalid" in answer:
        return answer["Invalid"]
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        if answer.get(name) != event.get(name):
            return f"{name} is not the request's"
    if answer.get("Status") not in ("SUCCESS", "FAILED"):
        return f"Status is {answer.get('Status')!r}"
    if answer["Status"] == "FAILED" and not answer.get("Reason"):
        return "FAILED needs a Reason"
    if not 1 <= len(answer.get("PhysicalResourceId") or "") <= 1024:
        return "PhysicalResourceId must have 1 to 1024 characters"
    return None


def ask_pending(deployment, lab):
    """Ask for every custom resource that a deployment made or changed. Its function has to be registered by then."""
    for logical_id, resource in deployment.resources.items():
        if resource.type.startswith(PREFIX) and isinstance(resource.attributes, Unanswered):
            answer = ask(lab, "Create", logical_id, resource.properties, stack=deployment.stack)
            if answer["Status"] == "FAILED":
                ask(lab, "Delete", logical_id, resource.properties, answer["PhysicalResourceId"], stack=deployment.stack)
                raise Failed(f"{logical_id}: {answer['Reason']}")
            _take(resource, answer)
        elif resource.type.startswith(PREFIX) and resource.changed_from is not None:
            _update(deployment, lab, logical_id, resource)
    deployment.renew_outputs()


def _update(deployment, lab, logical_id, resource):
    old, resource.changed_from = resource.changed_from, None
    physical_id, stack = resource.ref, deployment.stack
    answer = ask(lab, "Update", logical_id, resource.properties, physical_id, old, stack)
    if answer["Status"] == "FAILED":
        new, resource.properties = resource.properties, old
        ask(lab, "Update", logical_id, old, physical_id, new, stack)
        raise Failed(f"{logical_id}: {answer['Reason']}")
    _take(resource, answer)
    if answer["PhysicalResourceId"] != physical_id:
        ask(lab, "Delete", logical_id, old, physical_id, stack=stack)


def _take(resource, answer):
    resource.ref, resource.attributes = answer["PhysicalResourceId"], answer.get("Data") or {}


def delete(deployment, lab):
    """What deleting the stack asks of its custom resources, before it removes their functions."""
    for logical_id, resource in deployment.resources.items():
        if resource.type.startswith(PREFIX):
            answer = ask(lab, "Delete", logical_id, resource.properties, resource.ref, stack=deployment.stack)
            if answer["Status"] == "FAILED":
                raise Failed(f"{logical_id}: {answer['Reason']}")
