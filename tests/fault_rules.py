"""What has to come of a fault, by its kind and by the call it meets: rules, not observations.

A call is named by its operation, what it is about, and which of several alike it is, since calls that are
issued side by side arrive in any order. What an answer must be follows from where in the walk the call stands.
"""

import re
from dataclasses import dataclass

_OF_THE_TARGET = re.compile(r"(A[KS]IA|ACCA|APKA)[A-Z0-9]+|[A-Z0-9]{24,}|[a-z0-9]{24,}")
"""Ids of a victim's credentials: another one's in every run."""


@dataclass(frozen=True)
class Call:
    operation: str
    pattern: str
    """What it is about, without what differs from target to target: a pattern for `Fault.resource`."""
    nth: int
    stage: str

    @property
    def name(self):
        thing = self.pattern.removeprefix("*").strip(" /")
        return f"{self.operation}{f' {thing}' if thing else ''} ({self.stage})"


@dataclass(frozen=True)
class Column:
    """A kind of fault and how long it lasts."""

    kind: str
    scope: str = "invocation"

    @property
    def name(self):
        return f"{self.kind}{'' if self.scope == 'invocation' or self.is_crash else f', {self.scope}'}"

    @property
    def is_crash(self):
        return self.kind.startswith("crash")

    @property
    def carried_out(self):
        """Whether AWS does as asked, and only the answer is lost."""
        return self.kind in ("timeout", "reset_after", "crash_after")


PASSING = ("throttle", "internal_error", "garbage_5xx", "timeout", "reset_before", "reset_after")
"""Trouble that is over with the invocation it began in: Lambda's next try must end it well."""
COLUMNS = [Column(kind) for kind in (*PASSING, "garbage", "access_denied")]
COLUMNS += [Column("crash_before", "call"), Column("crash_after", "call")]
LASTING = [Column("internal_error", "event"), Column("access_denied", "event")]
"""Trouble that outlasts every try of the event."""
IN_THE_SDK = [Column(kind, "call") for kind in (*PASSING, "garbage", "access_denied")]
"""Trouble that strikes one request: most of it the SDK's own next try mends."""


def calls_of(requests, target):
    """The calls of a clean run, from its requests (operation, subject), in the order of a row each."""
    calls, met = [], {}
    last_claim = max((n for n, request in enumerate(requests) if _is_claim(*request)), default=-1)
    changed = False
    for n, (operation, subject) in enumerate(requests):
        pattern = getattr(target, "pattern_of", pattern_of)(operation, subject)
        changed = changed or changes_target(operation)
        nth = met[operation, pattern] = met.get((operation, pattern), 0) + 1
        stage_of = getattr(target, "stage_of", _stage)
        stage = "settle" if n == last_claim and nth > 1 else stage_of(operation, pattern, changed)
        if stage == "last use" and target.has_to_be_found and nth == 1:
            stage = "owner"
        stage = target.stages.get((operation, pattern, nth), stage)
        calls.append(Call(operation, pattern, nth, stage))
    return calls


def _is_claim(operation, subject):
    return operation == "s3:PutObject" and "/targets/" in subject


TARGETS = ("iam", "ec2", "autoscaling", "elasticloadbalancing")
"""The services a target is of."""


def changes_target(operation):
    service, name = operation.split(":")
    # The role that is passed to Scheduler is no change of anything.
    return service in TARGETS and not name.startswith(("Get", "List", "Describe", "PassRole"))


def pattern_of(operation, subject):
    """What a request is about, without what differs from target to target."""
    if operation.startswith("s3:"):
        key = subject.split("/", 1)[1] if "/" in subject else ""
        key = re.sub(r"^targets/.*", "targets/*", key)
        key = re.sub(r"^cases/[^/]+/", "cases/*/", re.sub(r"(event-|snap-)[0-9a-f]+", r"\1*", key))
        key = re.sub(r"^budget/.*", "budget/*", key)
        key = re.sub(r"^isolation/.*", "isolation/*", re.sub(r"evidence/[0-9a-f]+-", "evidence/*-", key))
        return f"*/{key}" if key else "*"
    part = re.sub(r"(?<=TourniquetDenySession-)[0-9a-f]{64}", "*", subject.partition(" ")[2])
    return f"* {part}" if part and not _OF_THE_TARGET.fullmatch(part) else "*"


def _stage(operation, pattern, changed):
    service, name = operation.split(":")
    if service == "s3":
        if "/evidence/" in pattern:
            return "evidence"
        if "isolation/" in pattern:
            return "step" if changed else "detail"
        if name == "PutObject":
            if pattern.endswith("/report.html"):
                return "page"
            return "claim" if "targets/" in pattern else "ledger"  # A count, too: the delivery fails without it.
        if "budget/" in pattern:
            return "count"
        return "guardrails" if "guardrails" in pattern else "open case"
    if service == "iam":
        if changes_target(operation):
            return "cut" if name in ("PutUserPolicy", "PutRolePolicy") else "step"
        if name == "GetAccessKeyLastUsed":
            return "last use"
        sort = "principal" if name in ("GetUser", "GetRole") else "detail"
        return f"{sort} again" if changed else sort
    if service in ("ec2", "autoscaling", "elasticloadbalancing"):
        return _stage_of_compute(service, name, changed)
    by_service = {"guardduty": "source", "sns": "tell", "securityhub": "note", "sts": "enter", "cloudtrail": "evidence",
                  "scheduler": "schedule"}
    return by_service[service]


EVIDENCE = ("GetConsoleOutput", "GetConsoleScreenshot", "DescribeTargetGroups", "DescribeTargetHealth")
"""Read beside the steps; what they do not give is named for a person."""
OF_A_STEP = ("DescribeSnapshots", "DescribeLockedSnapshots")
"""Reads that a change begins with."""


def _stage_of_compute(service, name, changed):
    if changes_target(f"{service}:{name}"):
        return "cut" if name == "ModifyNetworkInterfaceAttribute" else "step"
    if name in EVIDENCE:
        return "evidence"
    if name in OF_A_STEP:
        return "step"
    sort = "principal" if name == "DescribeInstances" else "detail"
    return f"{sort} again" if changed else sort


def expected(column, call, target):
    """The outcomes that are right for a fault in this place; `queue` is an event left in the on-failure queue."""
    if hasattr(target, "expected"):
        return target.expected(column, call)
    good = target.outcome
    at_risk = {"enter", "principal", "owner", "open case", "claim", "ledger", "tell", "settle"}
    """Where the walk cannot go on without an answer: the function fails, so that Lambda tries again."""
    if column.is_crash or column.kind in PASSING and column.scope != "event":
        return {good}
    if column.kind == "access_denied" and column.scope != "call" and call.operation in target.read_again:
        return {"partial"}
    if call.stage in ("note", "last use", "evidence", "offered", "page", "schedule"):
        # Nothing depends on it: at most a person is told to look there, or makes the page from the ledger.
        return {good}
    if "isolation/" in call.pattern:
        # The record is of earlier cases, and for later ones: a group made for this one isolates, and a person is told.
        return {good}
    if column.scope == "call" and column.kind == "garbage" and call.stage in ("cut", "step"):
        return {good}
    if column.kind == "garbage":
        # The text of a file cannot be told from an invalid file. A change that AWS only seems to have accepted is
        # found missing when it is read back, and after the third time for somebody's doing.
        by_stage = {"guardrails": {"proposed"}, "cut": {good, "contested"}, "step": {good, "contested"}}
        return _without_plan(by_stage.get(call.stage, {good}), target)
    refused = column.kind == "access_denied"
    if refused and call.stage in ("owner", "enter"):
        # IAM refuses to speak of a key that is another account's or nobody's in the same words. An account that
        # does not let the responder in is for a person.
        return {"cannot_contain"}
    if target.has_to_be_found and call.operation == "iam:ListAccessKeys" and (call.stage == "detail" or not refused):
        # That the key is among the user's own is the proof of whom it belongs to; the next try begins with it too.
        return {"cannot_contain"} if refused else {"queue"}
    if call.stage in at_risk or call.stage == "principal again":
        # In the next try it is the first read of all that is refused.
        return {"queue"} if column.scope == "event" else {good}
    if call.stage == "count" and getattr(target, "is_approved", False):
        # What a person approves no budget binds.
        return {good}
    if call.stage in ("guardrails", "source", "count"):
        # What was contained lately is as good as a rule: unread, nothing is contained.
        # People are told of a proposal; what a retry could mend may end in the queue all the same.
        return _without_plan({"proposed"} if refused else {"proposed", "queue"}, target)
    return _without_plan({"partial"}, target)


def _without_plan(outcomes, target):
    """A target that nothing is planned for has no half-done plan: what it cannot be stays what it is."""
    return outcomes if target.changes else {target.outcome}
