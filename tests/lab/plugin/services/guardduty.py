"""GuardDuty findings at their source.

AWS behaviour: GuardDuty API reference (ListFindings, GetFindings, ArchiveFindings). On the wire the
members are camelCase, and `service.additionalInfo` is {value, type} with the value a JSON string,
whereas the EventBridge event carries it as an object; instants are seconds since 1970 where the
event has text. moto has detectors but no findings.
"""

import copy
import json
import threading

from botocore.session import Session as CoreSession

from ..call import Json, handles
from ..conditions import parse_instant
from ..errors import AwsError

_FINDING = CoreSession().get_service_model("guardduty").shape_for("Finding")


class Detections:
    """Findings by account, Region and detector."""

    def __init__(self):
        self._findings = {}
        self._lock = threading.Lock()

    def seed(self, account, region, finding, keep=False):
        """Store a finding under its detector; with `keep`, leave one that is already there."""
        finding = _as_api(finding)
        detector = (finding.get("service") or {}).get("detectorId", "")
        with self._lock:
            store = self._findings.setdefault((account, region, detector), {})
            if not (keep and finding["id"] in store):
                store[finding["id"]] = finding

    def of(self, account, region, detector):
        with self._lock:
            return self._findings.get((account, region, detector))


def _as_api(finding):
    finding = copy.deepcopy(finding)
    service = finding.get("service")
    info = service.get("additionalInfo") if isinstance(service, dict) else None
    if isinstance(info, dict) and not ({"value", "type"} >= set(info) and isinstance(info.get("value"), str)):
        service["additionalInfo"] = {"value": json.dumps(info), "type": "default"}
    return _with_instants(finding, _FINDING)


def _with_instants(value, shape):
    """Text becomes a number wherever the API's model has a timestamp."""
    if shape.type_name == "timestamp":
        return parse_instant(value).timestamp() if isinstance(value, str) else value
    if shape.type_name == "list" and isinstance(value, list):
        return [_with_instants(element, shape.member) for element in value]
    if shape.type_name != "structure" or not isinstance(value, dict):
        return value
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    return {k: _with_instants(v, members[k]) if k in members else v for k, v in value.items()}


def _store(call):
    from moto.guardduty.models import guardduty_backends

    detector = call.params.get("DetectorId", "")
    store = call.lab.detections.of(call.account, call.region, detector)
    if store is None:
        known = guardduty_backends[call.account][call.region].detectors
        if detector not in known:
            raise AwsError(
                "BadRequestException",
                "The request is rejected because the input detectorId is not owned by the current account.",
            )
        return {}
    return store


@handles("guardduty", "GetFindings")
def get_findings(call):
    ids = call.params.get("FindingIds") or []
    if not 1 <= len(ids) <= 50:
        raise AwsError("BadRequestException", "The request is rejected because findingIds must have 1 to 50 members.")
    store = _store(call)
    return Json({"findings": [store[i] for i in ids if i in store]})


@handles("guardduty", "ListFindings")
def list_findings(call):
    store = _store(call)
    criteria = (call.params.get("FindingCriteria") or {}).get("Criterion") or {}
    ids = [i for i, finding in store.items() if all(_holds(finding, path, c) for path, c in criteria.items())]
    start, limit = int(call.params.get("NextToken") or 0), int(call.params.get("MaxResults") or 50)
    more = start + limit < len(ids)
    return Json({"findingIds": ids[start : start + limit], "nextToken": str(start + limit) if more else ""})


def _holds(finding, path, condition):
    value = finding
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    equals = condition.get("Equals") or condition.get("Eq")
    differs = condition.get("NotEquals") or condition.get("Neq")
    if equals and text not in equals or differs and text in differs:
        return False
    bounds = (("GreaterThanOrEqual", "Gte", lambda b: value >= b), ("LessThanOrEqual", "Lte", lambda b: value <= b),
              ("GreaterThan", "Gt", lambda b: value > b), ("LessThan", "Lt", lambda b: value < b))  # fmt: skip
    for long_name, short_name, test in bounds:
        bound = condition.get(long_name, condition.get(short_name))
        if bound is not None and (value is None or not test(bound)):
            return False
    return True


@handles("guardduty", "ArchiveFindings")
def archive_findings(call):
    return _set_archived(call, True)


@handles("guardduty", "UnarchiveFindings")
def unarchive_findings(call):
    return _set_archived(call, False)


def _set_archived(call, archived):
    store = _store(call)
    for finding_id in call.params.get("FindingIds") or []:
        if finding_id not in store:
            raise AwsError("BadRequestException", "The request is rejected because a finding id is invalid.")
        store[finding_id].setdefault("service", {})["archived"] = archived
    return Json({})
