"""Every store that there is; what a test needs of it is a parameter."""

import math
from collections.abc import Iterator

import pytest

from services.state import patience
from tests.redis_server import RedisServer
from tests.state.houses import House, MemoryHouse, RedisHouse, sqlite_house


@pytest.fixture(autouse=True)
def nobodys_request() -> None:
    """What is asked for here is no request's; a test client leaves its last one's patience behind."""
    patience.begin(math.inf)


@pytest.fixture(params=["memory", "redis", "sqlite"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """An empty state of each kind."""
    if request.param == "sqlite":
        with sqlite_house() as opened:
            yield opened
    else:
        yield _shared(request)


@pytest.fixture(params=["memory", "redis"])
def shared_house(request: pytest.FixtureRequest) -> House:
    """An empty state of each kind that several processes can see."""
    return _shared(request)


def _shared(request: pytest.FixtureRequest) -> House:
    if request.param == "memory":
        return MemoryHouse()
    server: RedisServer = request.getfixturevalue("redis")
    return RedisHouse(server)
