"""As `test_faults.py`, for recheck: every fault at every call of a look that finds a deny stripped and a user left behind."""

import os
import uuid

import fault_matrix
from crash_targets_recheck import Undone
from fault_matrix import IMPATIENT, PATIENT, REPEATED, Cell, Matrix
from fault_rules import COLUMNS, LASTING, expected
from lab.case_file import CaseFile

FULL = os.environ.get("FULL") == "1"
BRIEF = ("crash_before", "crash_after", "throttle", "access_denied", "garbage", "internal_error, event")
CHOSEN = [column for column in COLUMNS + LASTING if FULL or column.name in BRIEF]
"""Every cell begins with a containment: the other kinds of trouble are the same to the function."""
WAITING_FOR_THE_OTHER = {"retry_delays_ms": [3000, 3000]}
"""Where Lambda waits a minute: what the case was handed back to is done by then."""


class RecheckMatrix(Matrix):
    def __init__(self, scene, kind, columns, rows=""):
        super().__init__(scene, kind, columns, rows)
        self.patient = scene.copy(kind.function, **{**PATIENT, **WAITING_FOR_THE_OTHER})
        self.impatient = scene.copy(kind.function, **{**IMPATIENT, **WAITING_FOR_THE_OTHER})

    def _clean_run(self):
        calls = super()._clean_run()
        alike = [call for call in calls if call.stage == "trail"]
        # One question for each call that creates: the first and the last stand for them all.
        return [call for call in calls if call not in alike or call in (alike[0], alike[-1])]

    def _deliver(self, cell, event, request_id):
        cell.request_id = self.lab.invoke_async(cell.function, event, request_id)
        cell.attempts = self.lab.wait_for(lambda: self._tries(cell), 400, interval=0.1)

    @staticmethod
    def _outcome(cell):
        last = cell.attempts[-1]
        if last["status"] != "ok":
            return "queue"
        found = last["response"].get("recheck") or {}
        named = ("handed_back", "left", "unread")
        return next((name for name in named if found.get(name)), "holds" if found.get("holds") else str(last["response"]))

    def _second_half(self, cell):
        """The same event again, which has to end well."""
        self._try(cell, self._finish_look)

    def _finish_look(self, cell):
        if cell.outcome in ("queue", "left", "unread"):
            again = Cell(cell.target, cell.call, cell.column, cell.since, self.patient)
            self._deliver(again, {"recheck": {**cell.target.event["recheck"], "round": 2}}, str(uuid.uuid4()))
            cell.later = self._outcome(again)
            assert cell.later == "handed_back", cell.later
        self._check_end(cell)

    def _check_always(self, cell):
        right = expected(cell.column, cell.call, cell.target)
        if cell.outcome not in right:
            last = cell.attempts[-1]
            cell.wrong.append(f"{cell.outcome} instead of {right} ({str(last['error'] or last['response'])[:400]})")
        assert self._fault(cell)["fired"], "the fault met nothing"
        assert self._writes(cell) == [], "recheck changed something"
        if cell.column.is_crash:
            assert cell.attempts[0]["status"] == "crashed" and cell.attempts[-1]["status"] == "ok"

    def _check_end(self, cell, lawful=()):
        """Handed back: denied again, one look of each round for what was settled, told once or said to be a repetition."""
        target = cell.target
        settled = lambda: (self._open_case(cell) or {}).get("state") == "settled"  # noqa: E731
        self.lab.wait_for(lambda: settled() and not target_gets_in(target), 60, interval=0.2)
        case = CaseFile.of_target(self.lab.client("s3"), self.scene.bucket, target.key)
        case.check_chain()
        looks = [(e["what"]["round"], e["what"]["settled"]) for e in case.entries if e["entry"] == "rechecked"]
        assert len(looks) == len(set(looks)), f"looked at twice: {looks}"
        told = [m for m in self._messages(cell, target.case) if "RECHECK" in m["subject"]]
        named = lambda m: target.spawn in m["message"]  # noqa: E731
        if cell.column and cell.call.stage == "trail" and not cell.later:
            # The next look asks again.
            named = lambda m: target.spawn in m["message"] or "what it created (CloudTrail)" in m["message"]  # noqa: E731
        told = [message for message in told if named(message)]
        assert told, "what it created was told to nobody"
        if cell.column and cell.column.carried_out and cell.call.stage == "tell":
            told = [n for i, n in enumerate(told) if i == 0 or n["message"] != told[i - 1]["message"]]
        for message in told[1:]:
            assert REPEATED in message["message"] or "IT DOES NOT HOLD" in message["message"], "told twice"

    def _only_these_cases(self):
        pass


def target_gets_in(target):
    policies = target.lab.client("iam").list_user_policies(UserName=target.user.name)["PolicyNames"]
    return "TourniquetDenyAll" not in policies


def test_every_fault_at_every_call(apart, capsys):
    matrix = RecheckMatrix(apart, Undone, CHOSEN).run()
    fault_matrix.write([matrix], "fault-matrix-recheck")
    with capsys.disabled():
        print("\n" + "\n".join(matrix.tally()))
    assert not matrix.wrong, "\n".join(matrix.wrong)
