"""Looks at a containment, played: what was scheduled for a case is delivered, and what came of it handed back."""

from dataclasses import dataclass

from lab.stage import FUNCTION, INSTANCE_FUNCTION, RECHECK_FUNCTION
from scene import messages_about


@dataclass
class Look:
    """One look, and what it brought about."""

    delivery: object
    case: str
    again: list
    """The invocations of the containing function that it caused."""

    @property
    def found(self):
        return self.delivery.answer["recheck"]

    @property
    def nothing(self):
        return self.delivery.answer["nothing"]["reason"]

    def told(self):
        """What people were told of it by `recheck` itself."""
        told = messages_about(self.delivery.scene.lab.notifications(self.delivery.notifications_before), self.case)
        return [message for message in told if message["subject"].startswith("[Tourniquet] RECHECK")]

    def told_by_anyone(self):
        return messages_about(self.delivery.scene.lab.notifications(self.delivery.notifications_before), self.case)


def scheduled(lab, case, number=None):
    """The names of what is scheduled for a case; `number` is the round."""
    names = [one["name"] for one in lab.schedules(prefix=f"{case}-")]
    return [name for name in names if number is None or name.endswith(f"-{number}")]


def look(scene, case, number=1):
    """Scheduler delivers the latest of a case's looks of that round, and everything that follows is waited for."""
    (*_, name) = sorted(scheduled(scene.lab, case, number), key=lambda name: int(name.split("-")[3]))
    delivery = scene._begin()
    (fired,) = scene.lab.fire_schedules(prefix=name)
    assert fired["status"] == "delivered", fired
    delivery.request_id = fired["request_id"]
    return followed(scene, delivery.wait(), case)


def ask(scene, event, function=RECHECK_FUNCTION):
    """The function with any event at all."""
    delivery = scene.start(event, function, forged=True)
    named = event.get("recheck") if isinstance(event, dict) else None
    return followed(scene, delivery.wait(), (named or {}).get("case", ""))


def asking(open_case, number=1, **changes):
    """The event that Scheduler hands over for an open case."""
    return {"recheck": {"case": open_case["case"], "target": open_case["target"], "round": number, **changes}}


def followed(scene, delivery, case):
    answer = delivery.attempts[-1]["response"] if delivery.attempts[-1]["status"] == "ok" else {}
    handed = ((answer or {}).get("recheck") or {}).get("handed_back")
    found = Look(delivery, case, [])
    if handed or ((answer or {}).get("nothing") or {}).get("reason") == "not_finished":
        found.again = scene.lab.wait_for(lambda: _again(scene, delivery), 60)
    return found


def _again(scene, delivery):
    """The last try of what the case was handed back to."""
    made = scene.lab.invocations(delivery.invocations_before)
    mine = [i for i in made if i["function"].startswith((FUNCTION, INSTANCE_FUNCTION))]
    return mine if mine and (mine[-1]["status"] == "ok" or mine[-1]["attempt"] == 3) else None


def outcome(look):
    """What came of the containing function."""
    (result,) = look.again[-1]["response"]["results"]
    return result
