"""A few short runs of the machine that does what it likes; ``make chaos`` has longer ones."""

import time

import pytest

from tests.rig.house import House
from tests.rig.machine import PROMISES, run

pytestmark = [pytest.mark.live, *(getattr(pytest.mark, promise) for promise in PROMISES)]
BOX_S = 25.0  # after which no further run begins


@pytest.fixture(scope="module")
def box() -> float:
    """The moment after which no further run begins."""
    return time.monotonic() + BOX_S


@pytest.mark.parametrize("number", range(4))
def test_the_judge_is_content_whatever_happens(house: House, box: float, number: int) -> None:
    """Starts, cuts, cancels, repeats, deaths and stops in any order leave no promise broken."""
    if time.monotonic() < box:
        run(house, number, steps=20)
