"""Fixtures shared by all tests: one lab for the whole run, since starting one costs a second."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab.client import Lab  # noqa: E402


@pytest.fixture(scope="session")
def lab():
    with Lab() as running:
        yield running
