"""Who is there: how many read a stream, and what happens when nobody does any more.

What the last reader's leaving does is the caller's choice (``options.on_disconnect``):
``"cancel"`` ends the stream at once, ``"finish"`` lets it run, a number of seconds waits that
long for somebody to come back.
"""

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from services.streams.clock import Clock

OnDisconnect: TypeAlias = Literal["cancel", "finish"] | float


class Attendance(Protocol):
    """What a reader knows of it: here, or at the process that makes the stream."""

    def __len__(self) -> int: ...
    def enter(self) -> None:
        """Count one who comes."""

    def leave(self, *, held_s: float = 0) -> None:
        """Count one who goes, so much later."""


class Presence:
    """Counts those who are there; calls ``abandoned`` when nobody was for as long as was agreed."""

    def __init__(self, clock: Clock, policy: OnDisconnect, abandoned: Callable[[], None]) -> None:
        self._clock = clock
        self._patience_s = 0.0 if policy == "cancel" else policy
        self._abandoned = abandoned
        self._there = 0
        self._comings = 0

    def __len__(self) -> int:
        """Return how many are there."""
        return self._there

    def enter(self) -> None:
        """Count one who comes."""
        self._there += 1
        self._comings += 1

    def leave(self, *, held_s: float = 0) -> None:
        """Count one who goes; one who will come back elsewhere counts as there for ``held_s`` more."""
        if held_s:
            self._clock.later(held_s, self.leave)
            return
        self._there -= 1
        if self._there or self._patience_s == "finish":
            return
        if not self._patience_s:
            self._abandoned()
            return
        comings = self._comings
        self._clock.later(self._patience_s, lambda: self._look(comings))

    def _look(self, comings: int) -> None:
        """Give up, unless somebody came since: whoever left last waits anew."""
        if comings == self._comings:
            self._abandoned()
