"""Fixtures shared by all tests: one lab for the lab's own tests, one with the product deployed to it.

Each is for the whole run, since starting one costs seconds. They are two, so that the call record of
the product's lab is of the product alone.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab.client import Lab  # noqa: E402
from scene import Scene  # noqa: E402
from sealing import FORENSICS  # noqa: E402


@pytest.fixture(scope="session")
def lab():
    with Lab() as running:
        yield running


@pytest.fixture(scope="session")
def scene():
    with Lab() as running:
        yield Scene(running)


@pytest.fixture(scope="module")
def apart():
    """A product in a lab of its own, for tests that make thousands of calls and read every case."""
    with Lab() as running:
        yield Scene(running)


@pytest.fixture(scope="module")
def away():
    """The product with a forensics account."""
    with Lab() as running:
        yield Scene(running, FORENSICS)


@pytest.fixture(scope="module")
def there(away):
    """The lab as administrator of the forensics account."""
    return away.lab.in_account(FORENSICS)


def pytest_collection_modifyitems(items):
    """The least-privilege proofs look back over what every other test made the function do."""
    items.sort(key=lambda item: item.path.stem.startswith("test_least_privilege"))
