"""The fault matrix of seal-snapshot: an event of EBS accuses nobody, and its case stands already.

What differs from `fault_matrix.Matrix` is how an answer is read and what has to hold; the faults, the halves and the
artefact are the same.
"""

import json
import os
import time
import uuid
from datetime import datetime

from fault_matrix import REPEATED, Cell, Matrix
from fault_rules import expected
from lab.case_file import read_all

FULL = os.environ.get("FULL") == "1"
LONGEST_COPY = 120
"""Seconds for which an intent to copy keeps other deliveries from it."""


class SealMatrix(Matrix):
    @staticmethod
    def _outcome(cell):
        if not cell.attempts:
            return "nothing"
        last = cell.attempts[-1]
        if last["status"] != "ok":
            return "queue"
        results = last["response"]["snapshots"]
        return results[0]["outcome"] if results else f"ignored: {last['response']['ignored'][0]['reason']}"

    def _clean_run(self):
        calls = super()._clean_run()
        alike = [call for call in calls if call.stage == "keep"]
        # As many as the case has objects: the first and the last stand for them all.
        return [call for call in calls if call not in alike or FULL or call in (alike[0], alike[-1])]

    def _finish(self, cell, event):
        again = Cell(cell.target, cell.call, cell.column, cell.since, self.patient)
        self.lab.wait_for(lambda: intents_end(cell.target.ledger) < time.time(), LONGEST_COPY + 30, interval=1)
        self._deliver(again, event, str(uuid.uuid4()))
        again.outcome = cell.later = self._outcome(again)
        cell.target.ledger.keep()
        assert cell.later == again.target.outcome, f"left alone afterwards it ends {cell.later}"
        self._check_end(again)

    def _check_always(self, cell):
        cell.target.ledger.keep()
        right = expected(cell.column, cell.call, cell.target)
        if cell.outcome not in right:
            last = cell.attempts[-1]
            cell.wrong.append(f"{cell.outcome} instead of {right} ({json.dumps(last['error'] or last['response'])[:500]})")
        assert self._fault(cell)["fired"], "the fault met nothing"
        cell.target.check_kept(self._writes(cell))
        assert not self._strangers(cell), f"changed somebody else's: {self._strangers(cell)}"
        if cell.column.is_crash:
            tries = [attempt["status"] for attempt in cell.attempts]
            assert tries == ["crashed", "ok"], tries
        if cell.outcome == "queue":
            assert self.lab.wait_for(lambda: self._kept(cell)), "failed three times, and not in the queue"
        if cell.outcome == "failed":
            failed = cell.target.ledger.facts("failed", snapshot=cell.target.snapshot)
            assert failed and cell.target.ledger.told(cell.target.snapshot), "failed, and nobody was told"
        self._check_messages(cell, None)
        if cell.outcome == cell.target.outcome:
            self._check_end(cell, ())

    def _check_end(self, cell, lawful=None):
        if lawful is None:
            cell.target.check_kept(self._writes(cell))
        cell.target.check_end({cell.call.stage} if cell.call and _may_spoil(cell) else set())

    def _check_messages(self, cell, case):
        """Told again only with the words that it may be a repetition, or because there is news."""
        ledger = cell.target.ledger
        told = [m for m in self._messages(cell, ledger.id) if cell.target.snapshot in m["message"]]
        if cell.column and cell.column.carried_out and cell.call.stage == "tell":
            told = [n for i, n in enumerate(told) if i == 0 or n["message"] != told[i - 1]["message"]]
        for before, after in zip(told, told[1:], strict=False):
            news = before["subject"].split(":")[0] != after["subject"].split(":")[0]
            assert news or REPEATED in after["message"], "told twice without saying that it may be a repeat"
        if ledger.told(cell.target.snapshot):
            assert told, "recorded as told, and nobody was"

    def _only_these_cases(self):
        """No case but those that were there."""
        made = read_all(self.lab.client("s3"), self.scene.bucket, "targets/")
        wanted = {f"targets/{cell.target.key}.json" for cell in self.cells}
        for key in wanted:
            assert json.loads(made[key])["case"] in {cell.target.case for cell in self.cells}


def _may_spoil(cell):
    """A lock or tags that are refused are told as missing. CreateTags answers nothing that could be told from garbage:
    the tags only repeat what the ledger says."""
    return cell.column.kind == "access_denied" or (cell.column.kind, cell.call.stage) == ("garbage", "tag")


def intents_end(ledger):
    """When the last intent to copy keeps nobody from it any more; 0 where none does."""
    entries = [entry for entry in ledger.file().entries if entry["entry"] == "sealed"]
    done = {(e["what"]["of"], e["what"]["role"]) for e in entries if e["what"]["record"] == "copied"}
    ends = [
        datetime.fromisoformat(entry["at"].replace("Z", "+00:00")).timestamp() + LONGEST_COPY
        for entry in entries
        if entry["what"]["record"] == "copying" and (entry["what"]["of"], entry["what"]["role"]) not in done
    ]
    return max(ends, default=0)
