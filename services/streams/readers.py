"""One reading of one log, from a number on to its end."""

import random
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias, overload

import gevent
from gevent.event import Event as Signal

from services.streams.clock import Alarm
from services.streams.stream import Stream

# A process that stops sends its readers away over so long, so that they don't arrive elsewhere at once.
SPREAD_S = 3.0
# A reader that is far behind gets so many events at a time: it may be slow, and holds what it gets.
AT_ONCE = 4096
# One that was sent away counts as present for so long: it is on its way.
HELD_S = 30.0

Frame: TypeAlias = Callable[[bytes], bytes]


class Straight(Protocol):
    """A way for frames from the hub to whoever they are for."""

    def put(self, frames: list[bytes]) -> bool:
        """Take frames without blocking; false where who iterates has to do something."""
        ...

    def wake(self) -> None:
        """Have the iteration go on, soon, in a greenlet."""
        ...


class Reader:
    """Yields what there is, as much at once as there is, and waits when there is nothing.

    A reader counts as present from its making until ``close()``; what happens when the last one
    of a running stream leaves is the stream's ``presence`` to know.
    """

    def __init__(self, stream: Stream, *, after: int = 0) -> None:
        self.stream = stream
        self.drained = False
        self._after = after
        self._signal = Signal()
        self._beat = False
        self._gone = False
        self._closed = False
        self._soon = gevent.get_hub().loop.run_callback
        self._give: Callable[[], None] | None = None  # while it waits: gives away what there is
        self._wake: Callable[[], None] | None = None  # while nobody waits for it
        self._giving = False
        stream.log.watch(self._appended)
        stream.presence.enter()

    @property
    def at_end(self) -> bool:
        """Tell whether the stream's end has been yielded."""
        log = self.stream.log
        return log.end is not None and self._after == log.last_id

    @overload
    def batches(self, frame: Frame | None, heartbeat_s: float) -> Iterator[list[bytes]]: ...
    @overload
    def batches(
        self, frame: Frame | None, heartbeat_s: float, straight: Straight | None
    ) -> Iterator[list[bytes] | None]: ...
    def batches(
        self, frame: Frame | None, heartbeat_s: float, straight: Straight | None = None
    ) -> Iterator[list[bytes] | None]:
        """Yield the frames of what there is (``Log.frames``), some thousands at once; [] is a heartbeat.

        A heartbeat is due whenever nothing was yielded for ``heartbeat_s`` seconds. Ends
        after the stream's end, or at once when the reader has left or was drained, or when the log
        broke off.

        With a ``straight`` way this never waits: it yields None where it would, and is to be asked
        again after ``wake``. What comes until then goes to ``put``, from the hub; where that returns
        false, the next thing is yielded soon, be it a heartbeat.
        """
        log = self.stream.log
        self.stream.course.readers += 1
        alarm = Alarm(self.stream.clock, heartbeat_s, self._due)

        try:
            while not self._gone and not log.broken:
                self._signal.clear()
                self.stream.confirm()
                if log.broken:
                    return  # another process has decided what follows
                frames = log.frames(frame, self._after, AT_ONCE)
                if frames or self._beat:
                    self._after += len(frames)
                    yield frames
                    if self._beat:  # the alarm has rung, and it rings only once
                        self._beat = False
                        alarm.restart(heartbeat_s)
                    alarm.touch()
                elif log.end:
                    return
                elif straight is None:
                    self._signal.wait()
                else:
                    self._give, self._wake = self._giver(frame, straight, alarm), straight.wake
                    yield None
                    self._give = None
        finally:
            self._give = None
            alarm.close()

    def _giver(self, frame: Frame | None, straight: Straight, alarm: Alarm) -> Callable[[], None]:
        """Return what gives away, from the hub, what there is."""
        stream, log = self.stream, self.stream.log

        def give() -> None:
            self._giving = False
            if self._give is None or self._gone or log.broken or stream.doubtful():
                self._rouse()  # it looks for itself
                return
            frames = log.frames(frame, self._after)
            self._after += len(frames)
            alarm.touch()
            if frames and not straight.put(frames):
                self._due()
            elif log.end:
                self._rouse()

        return give

    def is_in_log(self, late_s: float) -> bool:
        """Tell whether the event to read on from exists; a copy may be a moment behind what it copies."""
        log = self.stream.log
        late = self.stream.clock.monotonic() + late_s
        while self._after > log.last_id:
            left = late - self.stream.clock.monotonic()
            if log.end is not None or not self.stream.is_copy or left <= 0:
                return False
            self._signal.clear()
            self._signal.wait(left)
        return True

    def _appended(self) -> None:
        """Wake the reader, or have it served from the hub, once for all that is appended until then."""
        if self._give is None:
            self._rouse()
        elif not self._giving:
            self._giving = True
            self._soon(self._give)

    def _rouse(self) -> None:
        """Have whoever iterates look again."""
        wake, self._wake = self._wake, None
        if wake is None:
            self._signal.set()
        else:
            wake()

    def drain(self, within_s: float = SPREAD_S) -> None:
        """Send the reader away, within a few seconds: the stream can be read on elsewhere."""
        self.stream.clock.later(random.uniform(0, within_s), self.send_away)  # noqa: S311 - a spread

    def send_away(self) -> None:
        """Send the reader away now; called from the hub too."""
        self.drained = self._gone = True
        self._rouse()

    def stay(self) -> None:
        """Read on after all: it could not be read on elsewhere."""
        self.drained = False
        self._gone = self._closed

    def leave(self) -> None:
        """Note that nobody is there any more; called from the hub by the socket's watcher."""
        self._gone = True
        self._rouse()
        self.close()

    def close(self) -> None:
        """Stop reading; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.stream.log.unwatch(self._appended)
        self.stream.presence.leave(held_s=HELD_S if self.drained else 0)
        if not self.stream.presence:
            self.stream.log.drop_frames()

    def _due(self) -> None:
        self._beat = True
        self._rouse()
