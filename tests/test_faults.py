"""Every fault at every call of a delivery: the outcome is the one the rules ask for, and nothing is half-done.

`FULL=1` adds lasting trouble and single lost answers to every target.
"""

import os

import fault_matrix
import pytest
from crash_targets import Approved, ApprovedByLine, Instance, Key, Member, Recreated, RoleSession, User
from fault_rules import COLUMNS, IN_THE_SDK, LASTING
from sealing import asleep

FULL = os.environ.get("FULL") == "1"
EVERYTHING = COLUMNS + LASTING + (IN_THE_SDK if FULL else [])
# The calls of these two are those of a user, but for the first of Key and the missing changes of Recreated.
SOME = [column for column in EVERYTHING if FULL or column.kind in ("crash_after", "access_denied", "internal_error")]
# An instance's delivery makes twice the calls of a user's, on the same walk.
BRIEF = [column for column in EVERYTHING if FULL or column.name in ("garbage", "access_denied", "crash_after")]
# The same walk once more, asked for in another way: by the button, and by invocation.
ASKED_FOR = [column for column in EVERYTHING if FULL or column.name in ("access_denied", "crash_after")]
CRASHES = [column for column in EVERYTHING if FULL or column.name == "crash_after"]
MATRICES = {
    User: EVERYTHING, RoleSession: EVERYTHING, Recreated: SOME, Key: SOME, Member: EVERYTHING, Instance: BRIEF,
    Approved: ASKED_FOR, ApprovedByLine: CRASHES,
}  # fmt: skip
# The other calls of Member are those of User, with the session that this one gives; those of an approval by invocation
# are those of one by the button, and the reads that find what is approved.
ROWS = {Member: "sts:AssumeRole", ApprovedByLine: "s3:"}


@pytest.fixture(scope="module")
def matrices():
    done = []
    yield done
    fault_matrix.write(done)


@pytest.mark.parametrize("kind", MATRICES, ids=lambda kind: kind.__name__)
def test_every_fault_at_every_call(apart, matrices, kind, capsys):
    # Snapshots are sealed by another function, whose faults are in `test_faults_seal.py`.
    with asleep(apart):
        matrix = fault_matrix.Matrix(apart, kind, MATRICES[kind], ROWS.get(kind, "")).run()
    matrices.append(matrix)
    with capsys.disabled():
        print("\n" + "\n".join(matrix.tally()))
    assert not matrix.wrong, "\n".join(matrix.wrong)
