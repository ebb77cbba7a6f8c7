"""One house of each kind for all faults of a run: each leaves it as it found it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.rig.faults import PROXIED, SETTINGS
from tests.rig.house import House, housed
from tests.rig.rig import Rig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these out where processes cannot be looked at as Linux lets one."""
    if sys.platform != "linux":
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip("needs Linux: pidfd, /proc"))


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Two processes over one Redis, quick to stop."""
    with housed(**SETTINGS[""]) as opened:
        yield opened


@pytest.fixture(scope="module")
def proxied_house() -> Iterator[House]:
    """The same with the fault proxy before Redis."""
    with housed(**SETTINGS[PROXIED]) as opened:
        yield opened


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Rig:
    """The fault's house, mended, and chance that is the same each time."""
    kind = request.getfixturevalue("fault").house
    opened: House = request.getfixturevalue("proxied_house" if kind == PROXIED else "house")
    opened.mend()
    return Rig(opened, Random(20))
