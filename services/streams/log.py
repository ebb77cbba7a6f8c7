"""The log of one stream: numbered events, kept for reading from any number.

It stands in the middle. The producer appends; readers read from a number on and are woken
when there is more. Appending checks the grammar, so no producer can break it, and never
blocks, so no reader can slow the producer.

What is kept is each event's line, the bytes that NDJSON carries and that a store keeps: so
every reading, of any process at any time, gives the same bytes. Other encodings' frames are
made from the lines, once, however many readers there are.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from services.events import ENDS, Decoder, Event, Start, decoder, to_line


class Log:
    """Events numbered from 1 without gaps; the last one is the end.

    ``own`` are the types that a use case adds: those that reading as events gives back typed.
    """

    def __init__(self, own: Sequence[type[Event]] = ()) -> None:
        self.end: Event | None = None
        self.broken = False
        self._decode: Decoder = decoder(own)
        self._lines: list[bytes] = []
        self._frames: dict[Callable[[bytes], bytes], list[bytes]] = {}
        self._wakers: list[Callable[[], None]] = []

    @property
    def last_id(self) -> int:
        """Return the number of the last event, 0 before the first."""
        return len(self._lines)

    def append(self, event: Event) -> None:
        """Number an event and wake the readers; raises RuntimeError against the grammar."""
        self._add(event, to_line(event, len(self._lines) + 1))

    def copy(self, lines: Iterable[bytes]) -> None:
        """Append what another process's log holds, as it stands there."""
        for line in lines:
            self._add(self._decode(line), line)

    def _add(self, event: Event, line: bytes) -> None:
        kind = type(event)
        if self.end is not None or (kind is Start) is bool(self._lines):
            raise RuntimeError(f"{kind.__name__} may not come here")
        self._lines.append(line)
        if kind in ENDS:
            self.end = event
        for wake in self._wakers:
            wake()

    def break_off(self) -> None:
        """Let no reader wait for more: what follows is written elsewhere, or never will be."""
        self.broken = True
        for wake in self._wakers:
            wake()

    def lines(self, after: int, most: int | None = None) -> list[bytes]:
        """Return the lines that follow the event of that number (0: all), at most so many."""
        return self._lines[after : None if most is None else after + most]

    def frames(
        self, frame: Callable[[bytes], bytes] | None, after: int, most: int | None = None
    ) -> list[bytes]:
        """Return what ``frame`` makes of the ``lines`` that follow; None leaves them as they are."""
        if frame is None:
            return self._lines[after : None if most is None else after + most]
        made = self._frames.setdefault(frame, [])
        made.extend(map(frame, islice(self._lines, len(made), None)))
        return made[after : None if most is None else after + most]

    def drop_frames(self) -> None:
        """Keep the lines only: nobody reads at the moment, and frames can be made again."""
        self._frames.clear()

    def after(self, number: int, most: int | None = None) -> list[Event]:
        """Return the events that follow the one of that number (0: all), at most so many."""
        return [self._decode(line) for line in self.lines(number, most)]

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` at each append; it must neither block nor raise."""
        self._wakers.append(wake)

    def unwatch(self, wake: Callable[[], None]) -> None:
        """Stop calling it."""
        self._wakers.remove(wake)
