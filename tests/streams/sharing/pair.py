"""Two processes over one store, on one clock: the store is memory, all else is the real thing.

Each process sees the store through a ``Trouble`` of its own: ``pair.here.shared``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.llm import Request
from services.state.memory import Contents, MemoryStore
from services.streams.sharing.follower import AWAY_S
from services.streams.sharing.publisher import BATCH_S
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Lines, whole
from tests.streams.sharing.trouble import Trouble
from tests.streams.stage import Stage, settle

STEP_S = 0.25


@dataclass
class Pair:
    """``here`` makes streams, ``there`` is somebody else; ``settings`` are those of both."""

    says: Lines | Callable[[Request], Lines] = field(default_factory=lambda: whole("Hello", " world"))
    settings: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.contents = Contents()
        self.store = MemoryStore(monotonic=self.clock.monotonic, contents=self.contents)
        self.here = self.process()
        self.there = self.process()

    def process(self) -> Stage:
        """Start another process."""
        shared = Trouble(self.store.beside())
        return Stage(says=self.says, clock=self.clock, settings=self.settings, shared=shared, **self.more)

    @property
    def away(self) -> bool:
        """Tell whether the store is away for both."""
        return self.here.shared.away and self.there.shared.away

    @away.setter
    def away(self, away: bool) -> None:
        self.here.shared.away = self.there.shared.away = away

    def emptied(self) -> None:
        """Let the store have lost everything, as one that was started anew."""
        for kept in (self.contents.values, self.contents.logs, self.contents.leases, self.contents.inboxes):
            kept.clear()

    def mirrored(self) -> None:
        """Let what was written be stored, and what was stored be read."""
        self.passes(3 * max(BATCH_S, AWAY_S))

    def passes(self, seconds: float) -> None:
        """Let time pass in small steps, so that all that is due in between is done."""
        for _ in range(round(seconds / STEP_S)):
            settle()
            self.clock.advance(STEP_S)
        settle()
