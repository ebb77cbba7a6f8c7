"""What only the store in a file promises."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.state.database import Database
from services.state.sqlite import SWEEP_S, SqliteStore
from services.state.store import FIRST_EPOCH, FencedError
from tests.streams.fake_clock import FakeClock

LONG = 1e6


class House:
    """A file, and the clocks of the machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wall = FakeClock()
        self.monotonic = FakeClock()

    def enter(self) -> SqliteStore:
        return SqliteStore(Database(self.path), wall=self.wall.monotonic, monotonic=self.monotonic.monotonic)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "data" / "gloss.db")


@pytest.fixture
def store(house: House) -> Iterator[SqliteStore]:
    entered = house.enter()
    yield entered
    entered.close()


@pytest.fixture
def reopened(house: House) -> Iterator[SqliteStore]:
    """The store of the next process, after one that wrote, held two logs and ended."""
    before = house.enter()
    before.put("a", b"1", LONG)
    before.append("a", FIRST_EPOCH, 1, [b"1", b"2"], LONG)
    before.lease(["a", "b"], LONG)
    before.close()
    entered = house.enter()
    yield entered
    entered.close()


def test_restart(reopened):
    """What was stored is there after a restart."""
    assert (reopened.get("a"), reopened.read("a", 0)) == (b"1", [b"1", b"2"])


def test_restart_lets_leases_lapse(reopened):
    """The leases of the process before have lapsed, and can be seized."""
    assert sorted(reopened.lapsed(9)) == ["a", "b"]
    assert (reopened.seize("a", LONG), reopened.lapsed(9)) == (FIRST_EPOCH + 1, ["b"])


def test_restart_keeps_epochs(reopened):
    """An epoch that was raised stays so."""
    reopened.seize("a", LONG)
    with pytest.raises(FencedError):
        reopened.append("a", FIRST_EPOCH, 3, [b"x"], LONG)


def test_restart_after_expiry(house):
    """What expired while nothing ran is not there."""
    before = house.enter()
    before.put("a", b"1", 5)
    before.close()
    house.wall.advance(6)
    after = house.enter()

    assert after.get("a") is None
    after.close()


@pytest.mark.R19
@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_wall_clock_that_jumps(house, store, jump):
    """A wall clock that jumps by a day lets no lease lapse, and none live longer."""
    store.lease(["a"], 6)
    house.wall.advance(jump)
    assert store.lapsed(9) == []

    house.monotonic.advance(7)
    assert store.lapsed(9) == ["a"]


def test_writer_after_a_jump(house, store):
    """A log that a jump of the clock took is written anew by its writer."""
    store.append("a", 1, 1, [b"1"], 600)
    house.wall.advance(86_400)

    assert store.append("a", 1, 2, [b"2"], 600) == 0
    assert store.append("a", 1, 1, [b"1", b"2"], 600) == 2


@pytest.mark.parametrize(
    "write",
    [lambda store: store.put("b", b"2", LONG), lambda store: store.append("b", 1, 1, [], LONG)],
    ids=["put", "append"],
)
def test_sweep(house, store, write):
    """Rows of what has expired are deleted when something else is written."""
    store.put("a", b"1", 1)
    store.append("a", 1, 1, [b"1"], 1)
    store.append("b", 1, 1, [b"1"], LONG)
    store.put("b", b"1", LONG)
    for clock in (house.wall, house.monotonic):
        clock.advance(SWEEP_S)
    write(store)

    rows = "SELECT key FROM kept UNION ALL SELECT log FROM records UNION ALL SELECT log FROM logs"
    other = Database(house.path)
    assert other.ask(lambda db: db.execute(rows).fetchall()) == [("b",), ("b",), ("b",)]
    other.close()
