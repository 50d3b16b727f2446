"""Security Hub findings: filters, merge on re-import, notes, and the events they cause.

AWS behaviour: Security Hub API reference (GetFindings, BatchImportFindings, BatchUpdateFindings);
Security Hub User Guide, "Using BatchImportFindings" (fields it never overwrites on re-import) and
"EventBridge event types": each event carries one finding, and every import and every update of a
finding emits `Security Hub Findings - Imported`.
"""

import copy
import threading
from datetime import timedelta

from ..call import Json, handles
from ..conditions import parse_instant
from ..errors import AwsError
from ..world import iso, now

# "These fields can only be updated with BatchUpdateFindings" once the finding exists.
_CUSTOMER_FIELDS = ("Note", "UserDefinedFields", "VerificationState", "Workflow")
_UPDATABLE = ("Confidence", "Criticality", "Note", "RelatedFindings", "Severity", "Types",
              "UserDefinedFields", "VerificationState", "Workflow")  # fmt: skip
_REQUIRED = ("SchemaVersion", "Id", "ProductArn", "GeneratorId", "AwsAccountId", "CreatedAt", "UpdatedAt",
             "Severity", "Title", "Description", "Resources")  # fmt: skip
_NOTE_LIMIT = 512
_STATUSES = ("NEW", "NOTIFIED", "RESOLVED", "SUPPRESSED")


class Hub:
    """The findings of every account and Region; key = ProductArn + Id."""

    def __init__(self):
        self._findings = {}
        self._lock = threading.RLock()

    def of(self, account, region):
        with self._lock:
            return self._findings.setdefault((account, region), {})


@handles("securityhub", "BatchImportFindings")
def batch_import_findings(call):
    store, failed, imported = call.lab.hub.of(call.account, call.region), [], 0
    for finding in call.params.get("Findings") or []:
        problem = _problem(finding)
        if problem:
            failed.append({"Id": finding.get("Id", ""), "ErrorCode": "InvalidInput", "ErrorMessage": problem})
            continue
        stored = _merge(store, finding)
        imported += 1
        emit_imported(call, stored)
    return {"FailedCount": len(failed), "SuccessCount": imported, "FailedFindings": failed}


def _problem(finding):
    missing = [name for name in _REQUIRED if not finding.get(name)]
    if missing:
        return f"Missing required fields: {', '.join(missing)}"
    if not finding.get("Types") and not finding.get("FindingProviderFields"):
        return "Missing required fields: Types"
    return None


def _merge(store, finding):
    key = (finding["ProductArn"], finding["Id"])
    finding = copy.deepcopy(_jsonable(finding))
    before = store.get(key)
    if before is None:
        finding.setdefault("Workflow", {"Status": "NEW"})
        finding["WorkflowState"] = "NEW"
        finding.setdefault("RecordState", "ACTIVE")
    else:
        for name in _CUSTOMER_FIELDS:
            finding.pop(name, None)
        finding.setdefault("RecordState", before.get("RecordState", "ACTIVE"))
        # A finding that returns from the archive is new again (D5).
        if before.get("RecordState") == "ARCHIVED" and finding["RecordState"] == "ACTIVE":
            finding["Workflow"] = {"Status": "NEW"}
        finding = {**before, **finding}
    store[key] = finding
    return finding


def emit_imported(call, finding):
    """One event, one finding; its resource is the finding's ARN under its product."""
    call.lab.bus.publish(
        call.account,
        call.region,
        source="aws.securityhub",
        detail_type="Security Hub Findings - Imported",
        detail={"findings": [copy.deepcopy(finding)]},
        resources=[f"{finding['ProductArn']}/{finding['Id']}"],
    )


@handles("securityhub", "BatchUpdateFindings")
def batch_update_findings(call):
    params, store = call.params, call.lab.hub.of(call.account, call.region)
    identifiers = params.get("FindingIdentifiers") or []
    _check_update(params, identifiers)
    processed, unprocessed = [], []
    for identifier in identifiers:
        finding = store.get((identifier.get("ProductArn"), identifier.get("Id")))
        if finding is None:
            unprocessed.append(
                {"FindingIdentifier": identifier, "ErrorCode": "FindingNotFound", "ErrorMessage": "Finding not found."}
            )
            continue
        _update(finding, params)
        processed.append(identifier)
        emit_imported(call, finding)
    return {"ProcessedFindings": processed, "UnprocessedFindings": unprocessed}


def _check_update(params, identifiers):
    if not 1 <= len(identifiers) <= 100:
        raise AwsError("InvalidInputException", "FindingIdentifiers must have 1 to 100 members")
    note = params.get("Note")
    if note is not None:
        if not 1 <= len(note.get("Text") or "") <= _NOTE_LIMIT:
            raise AwsError("InvalidInputException", f"Note.Text must have 1 to {_NOTE_LIMIT} characters")
        if not note.get("UpdatedBy"):
            raise AwsError("InvalidInputException", "Note.UpdatedBy is required")
    status = (params.get("Workflow") or {}).get("Status")
    if status is not None and status not in _STATUSES:
        raise AwsError("InvalidInputException", f"Workflow.Status must be one of {', '.join(_STATUSES)}")


def _update(finding, params):
    # UpdatedAt belongs to the provider and does not change (D5).
    for name in _UPDATABLE:
        value = params.get(name)
        if value is None:
            continue
        value = _jsonable(value)
        if name == "Note":
            value = {**value, "UpdatedAt": iso(now())}
        if name == "Severity":
            value = {**finding.get("Severity", {}), **value}
        finding[name] = value
    if params.get("Workflow"):
        finding["WorkflowState"] = finding["Workflow"]["Status"]


@handles("securityhub", "GetFindings")
def get_findings(call):
    params = call.params
    limit = int(params.get("MaxResults") or 100)
    if not 1 <= limit <= 100:
        raise AwsError("InvalidInputException", "MaxResults must be from 1 to 100")
    filters = params.get("Filters") or {}
    found = [f for f in call.lab.hub.of(call.account, call.region).values() if _selected(f, filters)]
    for criterion in reversed(params.get("SortCriteria") or []):
        found.sort(key=lambda f: str(_field(f, criterion["Field"])), reverse=criterion.get("SortOrder") == "desc")
    start = int(params.get("NextToken") or 0)
    answer = {"Findings": copy.deepcopy(found[start : start + limit])}
    if start + limit < len(found):
        answer["NextToken"] = str(start + limit)
    return Json(answer)


# Filter names that are not the path of the field they look at.
_FILTER_PATHS = {
    "WorkflowStatus": "Workflow.Status", "SeverityLabel": "Severity.Label", "SeverityNormalized": "Severity.Normalized",
    "SeverityProduct": "Severity.Product", "Type": "Types", "ResourceType": "Resources.Type",
    "ResourceId": "Resources.Id", "ResourcePartition": "Resources.Partition", "ResourceRegion": "Resources.Region",
    "ComplianceStatus": "Compliance.Status", "NoteText": "Note.Text", "NoteUpdatedBy": "Note.UpdatedBy",
    "NoteUpdatedAt": "Note.UpdatedAt", "ComplianceSecurityControlId": "Compliance.SecurityControlId",
}  # fmt: skip
_DATES = {"CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt", "NoteUpdatedAt"}
_NEGATED = {"NOT_EQUALS": "EQUALS", "PREFIX_NOT_EQUALS": "PREFIX", "NOT_CONTAINS": "CONTAINS"}


def _selected(finding, filters):
    return all(_filter_holds(finding, name, conditions) for name, conditions in filters.items() if conditions)


def _filter_holds(finding, name, conditions):
    if name == "Sample":
        return any(bool(finding.get("Sample", False)) == bool(c["Value"]) for c in conditions)
    if name in ("ProductFields", "UserDefinedFields"):
        fields = finding.get(name) or {}
        return _strings_hold(conditions, lambda condition: [str(fields.get(condition["Key"], ""))])
    if name in _DATES:
        return any(_date_holds(_field(finding, _FILTER_PATHS.get(name, name)), c) for c in conditions)
    values = _field(finding, _FILTER_PATHS.get(name, name))
    values = [v for v in (values if isinstance(values, list) else [values]) if v is not None]
    if conditions and not any("Comparison" in c for c in conditions):
        return any(_number_holds(v, c) for c in conditions for v in values)
    return _strings_hold(conditions, lambda _: [str(v) for v in values])


def _strings_hold(conditions, values_for):
    """Positive comparisons of one field are alternatives; negative ones must all hold."""
    positive = [c for c in conditions if c["Comparison"] not in _NEGATED]
    negative = [c for c in conditions if c["Comparison"] in _NEGATED]
    hit = not positive or any(_text_holds(v, c["Value"], c["Comparison"]) for c in positive for v in values_for(c))
    return hit and not any(
        _text_holds(v, c["Value"], _NEGATED[c["Comparison"]]) for c in negative for v in values_for(c)
    )


def _text_holds(value, wanted, comparison):
    return {
        "EQUALS": value == wanted,
        "PREFIX": value.startswith(wanted),
        "CONTAINS": wanted in value,
    }[comparison]


def _number_holds(value, condition):
    bounds = {"Gte": lambda b: value >= b, "Lte": lambda b: value <= b, "Eq": lambda b: value == b,
              "Gt": lambda b: value > b, "Lt": lambda b: value < b}  # fmt: skip
    return all(bounds[name](bound) for name, bound in condition.items())


def _date_holds(value, condition):
    if value is None:
        return False
    instant = parse_instant(str(value))
    if condition.get("DateRange"):
        return instant >= now() - timedelta(days=int(condition["DateRange"]["Value"]))
    start, end = condition.get("Start"), condition.get("End")
    return (not start or instant >= parse_instant(str(start))) and (not end or instant <= parse_instant(str(end)))


def _field(node, path):
    for name in path.split("."):
        if isinstance(node, list):
            node = [element.get(name) for element in node if isinstance(element, dict)]
        else:
            node = node.get(name) if isinstance(node, dict) else None
    return node


def _jsonable(value):
    """Parsed requests hold dates; findings hold text."""
    if isinstance(value, dict):
        return {key: _jsonable(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
