"""One house for all faults of a run: each leaves it as it found it."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.rig.faults import SHORT
from tests.rig.house import House, housed
from tests.rig.rig import Rig


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Two processes over one Redis, quick to stop."""
    with housed(**SHORT) as opened:
        yield opened


@pytest.fixture
def rig(house: House) -> Rig:
    """The house mended, and chance that is the same each time."""
    house.mend()
    return Rig(house, Random(20))
