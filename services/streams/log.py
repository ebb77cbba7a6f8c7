"""The log of one stream: numbered events, kept for reading from any number.

It stands in the middle. The producer appends; readers read from a number on and are woken
when there is more. Appending checks the grammar, so no producer can break it, and never
blocks, so no reader can slow the producer.
"""

from collections.abc import Callable

from services.events import ENDS, Event, follows


class Log:
    """Events numbered from 1 without gaps; the last one is the end."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._wakers: list[Callable[[], None]] = []

    @property
    def last_id(self) -> int:
        """Return the number of the last event, 0 before the first."""
        return len(self._events)

    @property
    def end(self) -> Event | None:
        """Return the event that ended the stream, or None while it runs."""
        last = self._events[-1] if self._events else None
        return last if isinstance(last, ENDS) else None

    def append(self, event: Event) -> None:
        """Number an event and wake the readers; raises RuntimeError against the grammar."""
        if not follows(event, self._events[-1] if self._events else None):
            raise RuntimeError(f"{type(event).__name__} may not come here")
        self._events.append(event)
        for wake in self._wakers:
            wake()

    def after(self, number: int) -> list[Event]:
        """Return the events that follow the one of that number (0: all)."""
        return self._events[number:]

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` at each append; it must neither block nor raise."""
        self._wakers.append(wake)

    def unwatch(self, wake: Callable[[], None]) -> None:
        """Stop calling it."""
        self._wakers.remove(wake)
