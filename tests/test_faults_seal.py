"""As `test_faults.py`, for seal-snapshot: every fault at every call of sealing, handing over and sealing the copy."""

import fault_matrix
import pytest
from crash_targets_seal import ForensicCopy, HandedOver, SealedSource
from fault_matrix_seal import FULL, SealMatrix
from fault_rules import COLUMNS, IN_THE_SDK, LASTING
from lab.client import Lab
from scene import Scene
from sealing import FORENSICS, asleep

EVERYTHING = COLUMNS + LASTING + (IN_THE_SDK if FULL else [])
SOME = [c for c in EVERYTHING if FULL or c.is_crash or c.kind in ("access_denied", "garbage") and c.scope == "invocation"]
MATRICES = {SealedSource: EVERYTHING, HandedOver: EVERYTHING, ForensicCopy: SOME}
CHANGES = ("ec2:", "ebs:", "sts:", "sns:", "s3:Put")
ROWS = {HandedOver: CHANGES, ForensicCopy: CHANGES}
"""The case is read for a copy as for its source."""
FEW = {"blocks": 3, "page": 2, "delay_ms": 20}
"""Each block is a row; two pages and an empty one between them."""


@pytest.fixture(scope="module")
def away():
    with Lab() as running:
        scene = Scene(running, FORENSICS)
        running.set_snapshots(**FEW)
        with asleep(scene):
            yield scene


@pytest.fixture(scope="module")
def matrices():
    done = []
    yield done
    fault_matrix.write(done, "fault-matrix-seal")


@pytest.mark.parametrize("kind", MATRICES, ids=lambda kind: kind.__name__)
def test_every_fault_at_every_call(away, matrices, kind, capsys):
    matrix = SealMatrix(away, kind, MATRICES[kind], ROWS.get(kind, "")).run()
    matrices.append(matrix)
    with capsys.disabled():
        print("\n" + "\n".join(matrix.tally()))
    assert not matrix.wrong, "\n".join(matrix.wrong)
