"""A clock that stands still until a test moves it."""

from collections.abc import Callable
from datetime import UTC, datetime

from gevent.event import Event


class _Timer:
    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback = callback
        self.open = True

    def close(self) -> None:
        self.open = False


class FakeClock:
    """``advance(s)`` lets time pass and fires what falls due, in order.

    ``sleep`` waits for that; with ``hasty`` it moves the clock itself and returns at once.
    """

    def __init__(self, *, hasty: bool = False) -> None:
        self.slept: list[float] = []
        self.wall = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
        self.asleep = Event()
        self._hasty = hasty
        self._now = 1000.0
        self._timers: list[_Timer] = []

    @property
    def armed(self) -> int:
        """How many timers will still fire."""
        return sum(timer.open for timer in self._timers)

    def monotonic(self) -> float:
        return self._now

    def now(self) -> datetime:
        return self.wall

    def later(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self._now + max(0.0, seconds), callback)
        self._timers.append(timer)
        return timer

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._hasty:
            self.advance(seconds)
            return
        woken = Event()
        timer = self.later(seconds, woken.set)
        self.asleep.set()
        try:
            woken.wait()
        finally:
            timer.close()

    def advance(self, seconds: float) -> None:
        end = self._now + seconds
        while due := [timer for timer in self._timers if timer.open and timer.due <= end]:
            first = min(due, key=lambda timer: timer.due)
            first.open = False
            self._now = max(self._now, first.due)
            first.callback()
        self._now = end
        self._timers = [timer for timer in self._timers if timer.open]
