"""The stores under test, each in a house: one state, any number of processes that see it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from services.state.database import Database
from services.state.memory import MemoryStore
from services.state.redis import RedisStore
from services.state.sqlite import SqliteStore
from services.state.store import Store
from tests.redis_server import RedisServer
from tests.streams.fake_clock import FakeClock

CALL_S = 20.0  # what a store promises does not depend on how busy the machine is


class House(Protocol):
    """One state, empty at first."""

    shared: bool  # other processes see it while it is used: the stores are ``Shared``

    def enter(self) -> Store:
        """Return the store of one more process."""
        ...

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass where the state lives."""
        ...


class MemoryHouse:
    shared = True

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._first = MemoryStore(monotonic=self.clock.monotonic)

    def enter(self) -> MemoryStore:
        return self._first.beside()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class SqliteHouse:
    shared = False

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self._file = folder / "gloss.db"

    def enter(self) -> SqliteStore:
        return SqliteStore(Database(self._file), wall=self.clock.monotonic, monotonic=self.clock.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


@contextmanager
def sqlite_house() -> Iterator[SqliteHouse]:
    with TemporaryDirectory() as folder:
        yield SqliteHouse(Path(folder))


class RedisHouse:
    shared = True

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        server.ask("FLUSHALL")

    def enter(self) -> RedisStore:
        return RedisStore(self._server.url, call_s=CALL_S)

    def pass_time(self, seconds: float) -> None:
        """Wait on the server's own clock: nobody pushes to this list."""
        self._server.ask("BLPOP", "never", str(seconds))
