"""Every store that there is; what a test needs of it is a parameter."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.state.houses import House, memory_house, sqlite_house

HOUSES: dict[str, Callable[[], AbstractContextManager[House]]] = {
    "memory": memory_house,
    "sqlite": sqlite_house,
}
SHARED = ["memory"]


@pytest.fixture(params=HOUSES)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """An empty state of each kind."""
    with HOUSES[request.param]() as opened:
        yield opened


@pytest.fixture(params=SHARED)
def shared_house(request: pytest.FixtureRequest) -> Iterator[House]:
    """An empty state of each kind that several processes can see."""
    with HOUSES[request.param]() as opened:
        yield opened
