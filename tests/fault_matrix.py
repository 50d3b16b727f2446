"""The fault matrix: for every call of a clean run and every kind of fault, a delivery that meets it.

A cell runs in two halves. First the delivery with the fault, and the invariants that hold whatever came of it.
Then, for those that did not end well, a delivery that nothing disturbs, which has to. All first halves of a target
are run before the second ones, so that the leases of failed deliveries run out meanwhile.
"""

import hashlib
import json
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fault_rules import calls_of, changes_target, expected
from lab.case_file import CaseFile, read_all
from lab.stage import ROOT

WORKERS = int(os.environ.get("FAULT_WORKERS", "6"))
FOLDER = Path(os.environ.get("FAULT_MATRIX", ROOT / "target"))
REPEATED = "may have sent this message already"
TRIES = 3
WAITING = 10
"""How many wait for an answer that never comes at the same time: each costs next to nothing meanwhile."""


def quick(call_timeout_ms):
    """Settings of a function whose deliveries end soon."""
    environment = {"VERIFY_AFTER_MS": "5", "CALL_TIMEOUT_MS": str(call_timeout_ms)}
    return {"environment": environment, "retry_delays_ms": [5, 5], "timeout": 45}


PATIENT = quick(15_000)
"""However slow the machine is, every answer comes before the function gives it up."""
IMPATIENT = quick(3000)
"""For answers that never come."""


@dataclass
class Cell:
    """One fault, and what came of it."""

    target: object
    call: object
    column: object
    since: dict = None
    """The lab's marks before the target was accused for the first time."""
    function: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempts: list = field(default_factory=list)
    outcome: str = ""
    later: str = ""
    wrong: list = field(default_factory=list)

    @property
    def text(self):
        tries = f" x{len(self.attempts)}" if len(self.attempts) > 1 else ""
        later = f", then {self.later}" if self.later else ""
        return f"{self.outcome}{tries}{later}{' WRONG' if self.wrong else ''}"

    def __str__(self):
        return f"{self.column.name} at {self.call.name}: {self.text}: {'; '.join(self.wrong)}"


class Ended:
    """The lab's record of invocations, read once for all who wait for one."""

    def __init__(self, lab):
        self._lab, self._lock = lab, threading.Lock()
        self._since, self._due, self._by_event = lab.marks()["invocations"], 0, {}

    def of(self, request_id):
        with self._lock:
            if time.monotonic() >= self._due:
                for record in self._lab.invocations(self._since):
                    self._since = record["n"]
                    self._by_event.setdefault(record["request_id"], []).append(record)
                self._due = time.monotonic() + 0.1
            return list(self._by_event.get(request_id, []))


class Matrix:
    """All cells of one sort of target."""

    def __init__(self, scene, kind, columns, rows=""):
        self.scene, self.lab, self.kind, self.columns, self.rows = scene, scene.lab, kind, columns, rows
        self.patient = scene.copy(kind.function, **PATIENT)
        self.impatient = scene.copy(kind.function, **IMPATIENT)
        self.ended = Ended(self.lab)
        self.cells = []

    # --- running --------------------------------------------------------------------------------

    def run(self):
        self.calls = self._clean_run()
        # What leaves a lease behind goes first: it runs out while the others are at work.
        columns = sorted(self.columns, key=lambda column: column.scope != "event")
        orders = [(call, column) for column in columns for call in self.calls]
        with ThreadPoolExecutor(WAITING) as waiting, ThreadPoolExecutor(WORKERS) as pool:
            pools = {True: waiting, False: pool}
            started = [pools[order[1].kind == "timeout"].submit(self._first_half, *order) for order in orders]
            self.cells = [cell.result() for cell in started]
            self.lab.clear_faults()
            list(pool.map(self._second_half, self.cells))
        self._only_these_cases()
        return self

    def _clean_run(self):
        cell = Cell(self.kind(self.scene), None, None, self.lab.marks(), self.patient)
        self._deliver(cell, cell.target.event, cell.request_id)
        assert self._outcome(cell) == cell.target.outcome, cell.attempts
        self._check_end(cell)
        (attempt,) = cell.attempts
        return [call for call in calls_of(attempt["requests"], cell.target) if call.operation.startswith(self.rows)]

    def _first_half(self, call, column):
        function = self.impatient if column.kind == "timeout" else self.patient
        if call.stage == "enter":
            # Only a new environment asks for the session.
            settings = IMPATIENT if column.kind == "timeout" else PATIENT
            function = self.scene.copy(self.kind.function, **settings)
        cell = Cell(self.kind(self.scene), call, column, self.lab.marks(), function)
        order = {"scope": column.scope, "action": call.operation, "resource": call.pattern}
        self.lab.fault(function, at_call=call.nth, kind=column.kind, request_id=cell.request_id, **order)
        self._deliver(cell, cell.target.event, cell.request_id)
        cell.outcome = self._outcome(cell)
        self._try(cell, self._check_always)
        return cell

    def _second_half(self, cell):
        """The same event again; where a person was called, another finding about the same target."""
        if cell.outcome == cell.target.outcome:
            return
        event = cell.target.another_finding() if cell.outcome == "contested" else cell.target.event
        self._try(cell, lambda cell: self._finish(cell, event))

    def _finish(self, cell, event):
        again = Cell(cell.target, cell.call, cell.column, cell.since, self.patient)

        open_case = self._open_case(cell)
        if open_case and open_case["state"] != "settled":
            self.lab.wait_for(lambda: lease_ends(open_case) < time.time(), 120, interval=0.5)
        self._deliver(again, event, str(uuid.uuid4()))
        cell.later = self._outcome(again)
        assert cell.later == again.target.outcome, f"left alone afterwards it ends {cell.later}"
        self._check_end(again, lawful=self._writes(cell))

    def _deliver(self, cell, event, request_id):
        if event.get("source") == "aws.guardduty":
            self.lab.seed_finding(event["detail"])
        cell.request_id = self.lab.invoke_async(cell.function, event, request_id)
        cell.attempts = self.lab.wait_for(lambda: self._tries(cell), 400, interval=0.1)

    def _tries(self, cell):
        tries = self.ended.of(cell.request_id)
        return tries if tries and (tries[-1]["status"] == "ok" or len(tries) == TRIES) else None

    def _outcome(self, cell):
        if not cell.attempts:
            return "nothing"
        last = cell.attempts[-1]
        if last["status"] != "ok":
            return "queue"
        (result,) = last["response"]["results"]
        return result["outcome"]

    @staticmethod
    def _try(cell, check):
        try:
            check(cell)
        except Exception as error:
            # One cell that goes wrong, in whatever way, does not hide the others.
            cell.wrong.append(str(error).split("\n")[0] if isinstance(error, AssertionError) else repr(error))

    # --- what must hold -------------------------------------------------------------------------

    def _check_always(self, cell):
        """Whatever came of it."""
        right = expected(cell.column, cell.call, cell.target)
        if cell.outcome not in right:
            last = cell.attempts[-1]
            said = last["error"] or last["response"]["results"][0].get("reason")
            cell.wrong.append(f"{cell.outcome} instead of {' or '.join(sorted(right))} ({json.dumps(said)[:300]})")
        assert self._fault(cell)["fired"], "the fault met nothing"
        assert not self._strangers(cell), f"changed somebody else: {self._strangers(cell)}"
        if cell.column.is_crash:
            tries = [attempt["status"] for attempt in cell.attempts]
            assert tries == ["crashed", "ok"], tries
        if cell.outcome == cell.target.outcome:
            self._check_end(cell)
            return
        cell.target.check_kept(self._writes(cell))
        assert cell.outcome != "contained" or not cell.target.attacker_gets_in(), "contained, and the attacker gets in"
        if cell.outcome == "queue":
            assert self.lab.wait_for(lambda: self._kept(cell)), "failed three times, and not in the queue"
        open_case = self._open_case(cell)
        nobody = cell.outcome == "cannot_contain" and cell.target.has_to_be_found
        assert cell.outcome != "cannot_contain" or not self._writes(cell), "changed what cannot be contained"
        if open_case is None:
            assert cell.outcome == "queue" or nobody, "neither a case nor in the queue"
            return
        settled = open_case["state"] == "settled"
        assert settled or cell.outcome == "queue", "the case is not settled, and nobody comes back to it"
        assert settled or lease_ends(open_case) <= deadline_of(cell) + 1, "the lease outlives the last try"
        case = self._case(cell, open_case)
        if case.entries:
            # What is left in the queue may lack its evidence yet; the delivery that finishes it may not.
            case.check_chain(evidence=settled)
        if cell.outcome != "cannot_contain" and not case.original.get("unread"):
            cell.target.check_original(case.original)
        self._check_messages(cell, case)

    def _check_end(self, cell, lawful=()):
        """When all ended well: one case, settled, true to the end."""
        cell.target.check_end([*lawful, *self._writes(cell)])
        open_case = self._open_case(cell)
        assert open_case, "no case"
        case = self._case(cell, open_case)
        assert case.open["state"] == "settled" and case.open["outcome"]["outcome"] == cell.target.outcome, (
            "not settled as that"
        )
        if not case.original.get("unread"):
            cell.target.check_original(case.original)
        needed = [change for change in cell.target.changes if not cell.call or change not in cell.target.may_be_so]
        planned = [change for change in case.planned if not cell.call or change not in cell.target.may_be_so]
        assert planned == needed, "the case does not know what there is to undo"
        case.check_chain()
        self._check_messages(cell, case)

    def _check_messages(self, cell, case):
        """One message a change of outcome; the same again only with the words that it may be a repetition."""
        told = self._messages(cell, case.id)
        lost_answer = cell.column and cell.column.carried_out and cell.call.stage == "tell"
        if lost_answer:
            # Sent, and not known to be: the SDK sends the very same once more.
            told = [n for i, n in enumerate(told) if i == 0 or n["message"] != told[i - 1]["message"]]
        for before, after in zip(told, told[1:], strict=False):
            news = before["subject"].split(":")[0] != after["subject"].split(":")[0]
            assert news or REPEATED in after["message"], "told twice without saying that it may be a repeat"
            entries = [e for e in case.entries if e["number"] > cell.target.entries_before]
            taken_up = next((e["number"] for e in entries if e["entry"] in ("resumed", "decided")), 0)
            recorded = [e for e in entries if e["entry"] == "reported" and e["number"] < taken_up]
            assert news or not recorded, "told again although the ledger says that people were told"
        # A case that stood before is settled with what people were told then, until this event is part of it.
        if case.open["state"] == "settled" and len(case.entries) >= cell.target.entries_before:
            assert told, "settled, and nobody was told"

    def _only_these_cases(self):
        wanted = {self._expected_case(cell.target) for cell in self.cells}
        owners = {cell.target.key for cell in self.cells}
        filed = read_all(self.lab.client("s3"), self.scene.bucket, "targets/")
        mine = {key.removeprefix("targets/").removesuffix(".json"): json.loads(body) for key, body in filed.items()}
        for key in owners & set(mine):
            case = mine[key]["case"]
            assert case in wanted, f"{key} is filed under {case}"

    # --- looking --------------------------------------------------------------------------------

    def _expected_case(self, target):
        """The case id that every delivery must come to (DESIGN §5.2)."""
        digest = hashlib.sha256(f"{target.key}{target.finding_id}".encode()).hexdigest()
        return f"IR-{target.day}-{digest[:8]}"

    def _open_case(self, cell):
        return CaseFile.open_case(self.lab.client("s3"), self.scene.bucket, cell.target.key)

    def _case(self, cell, open_case):
        assert open_case["case"] == self._expected_case(cell.target), "another case id than a retry would compute"
        objects = read_all(self.lab.client("s3"), self.scene.bucket, f"cases/{open_case['case']}/")
        return CaseFile(open_case["case"], objects, open_case)

    def _messages(self, cell, case):
        return [n for n in self.lab.notifications(cell.since["notifications"]) if n["subject"] and case in n["message"]]

    def _fault(self, cell):
        (fault,) = self.lab.faults(request_id=cell.request_id)
        return fault

    def _kept(self, cell):
        return self.lab.deliveries(cell.since["deliveries"], request_id=cell.request_id, status="delivered")

    def _changes(self, cell):
        calls = self.lab.calls(cell.since["calls"], request_id=cell.request_id)
        return [call for call in calls if changes_target(f"{call['service']}:{call['action']}")]

    def _writes(self, cell):
        return [call["action"] for call in self._changes(cell)]

    def _strangers(self, cell):
        return [c["resource"] for c in self._changes(cell) if not cell.target.owns(c["resource"])]

    # --- the artefact ---------------------------------------------------------------------------

    @property
    def wrong(self):
        return [str(cell) for cell in self.cells if cell.wrong]

    def tally(self):
        """N of N for every kind of fault."""
        for column in self.columns:
            cells = [cell for cell in self.cells if cell.column == column]
            yield f"{self.kind.__name__}: {column.name}: {sum(not c.wrong for c in cells)} of {len(cells)}"

    def as_rows(self):
        by_place = {(cell.call, cell.column): cell for cell in self.cells}
        return [(call, [by_place[call, column] for column in self.columns]) for call in self.calls]


def deadline_of(cell):
    return cell.attempts[-1]["deadline_ms"] / 1000


def lease_ends(open_case):
    return datetime.fromisoformat(open_case["lease"]["until"].replace("Z", "+00:00")).timestamp()


def write(matrices, name="fault-matrix"):
    """The matrix for people and for programs."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages, record = ["# Fault matrix\n"], {}
    for matrix in matrices:
        names = [column.name for column in matrix.columns]
        pages += [f"\n## {matrix.kind.__name__}\n", f"| Call | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
        record[matrix.kind.__name__] = rows = []
        for call, cells in matrix.as_rows():
            pages.append(f"| {call.name} | {' | '.join(cell.text for cell in cells)} |")
            for cell in cells:
                right = sorted(expected(cell.column, call, cell.target))
                tries = [attempt["status"] for attempt in cell.attempts]
                found = {"outcome": cell.outcome, "expected": right, "tries": tries, "later": cell.later}
                place = {"call": call.name, "nth": call.nth, "fault": cell.column.name}
                rows.append({**place, **found, "wrong": cell.wrong})
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (FOLDER / f"{name}.md").write_text("\n".join(pages) + "\n", encoding="utf-8")
