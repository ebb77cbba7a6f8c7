"""Time as a parameter: what the core knows of clocks, and the one alarm that it uses.

Durations are monotonic: a wall clock that jumps ends no stream.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import gevent


class Timer(Protocol):
    """Something that will happen unless it is closed."""

    def close(self) -> None:
        """Make it not happen."""


class Clock(Protocol):
    """Where time comes from; tests bring one that stands still."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        ...

    def now(self) -> datetime:
        """Return the date and time of day in UTC, for people."""
        ...

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after so many seconds; the callback must not block."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let others run for so many seconds."""
        ...


class GeventClock:
    """The real one: timers are the hub's."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(gevent.sleep)

    def now(self) -> datetime:
        """Return the system's time."""
        return datetime.now(UTC)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Arm a timer of the hub of this thread."""
        timer = gevent.get_hub().loop.timer(max(0.0, seconds))
        timer.start(callback)
        return timer


class Alarm:
    """Rings when nothing has touched it for so long.

    A touch costs one reading of the clock: the timer is not moved, it looks when it fires
    whether somebody has touched the alarm since, and sleeps on for the rest. So a stream of
    a thousand pieces arms a handful of timers.
    """

    def __init__(self, clock: Clock, seconds: float, ring: Callable[[], None]) -> None:
        """Start to wait; ``ring`` is called once, from the hub, and must not block."""
        self._clock = clock
        self._monotonic = clock.monotonic
        self._ring = ring
        self._timer: Timer | None = None
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Wait anew, from now on for so many seconds."""
        self._stop()
        self._seconds = seconds
        self._touched = self._clock.monotonic()
        self._timer = self._clock.later(seconds, self._look)

    def touch(self) -> None:
        """Put the ring off: nothing is owed until ``seconds`` from now."""
        self._touched = self._monotonic()

    def close(self) -> None:
        """Never ring again, and hold nothing: who rings often holds the alarm. Closing twice is fine."""
        self._stop()
        self._ring = _nobody

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _look(self) -> None:
        self._stop()
        left = self._touched + self._seconds - self._clock.monotonic()
        if left > 0:
            self._timer = self._clock.later(left, self._look)
        else:
            self._ring()


def _nobody() -> None:
    """Stand for whom a closed alarm has rung."""
