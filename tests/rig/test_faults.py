"""Each fault of the scorecard, small: real processes, a real Redis, and the judge after each."""

import pytest

from tests.rig.faults import FAULTS, Fault, Size
from tests.rig.faults.all import LISTED
from tests.rig.rig import Rig

pytestmark = pytest.mark.live


def rows() -> list[object]:
    """Return the faults, each with the ids of what it promises as markers."""
    assert LISTED
    return [
        pytest.param(one, id=one.id, marks=[getattr(pytest.mark, promise) for promise in one.promises])
        for one in FAULTS
    ]


@pytest.mark.parametrize("fault", rows())
def test_what_is_promised_holds(rig: Rig, fault: Fault) -> None:
    """Whatever is done to a house, its promises hold, and it says how often that was tried."""
    assert fault.run(rig, Size(full=False)) > 0
