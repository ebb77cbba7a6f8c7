"""One reading of one log, from a number on to its end."""

import random
from collections.abc import Callable, Iterator

from gevent.event import Event as Signal

from services.streams.clock import Alarm
from services.streams.stream import Stream

# A process that stops sends its readers away over so long, so that they don't arrive elsewhere at once.
SPREAD_S = 3.0
# One that was sent away counts as present for so long: it is on its way.
HELD_S = 30.0


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
        stream.log.watch(self._signal.set)
        stream.presence.enter()

    def batches(self, frame: Callable[[bytes], bytes] | None, heartbeat_s: float) -> Iterator[list[bytes]]:
        """Yield the frames of what there is (``Log.frames``); an empty list is a heartbeat.

        A heartbeat is due whenever nothing was yielded for ``heartbeat_s`` seconds. Ends
        after the stream's end, or at once when the reader has left or was drained, or when the log
        broke off.
        """
        log = self.stream.log
        alarm = Alarm(self.stream.clock, heartbeat_s, self._due)
        try:
            while not self._gone and not log.broken:
                self._signal.clear()
                self.stream.confirm()
                if log.broken:
                    return  # another process has decided what follows
                frames = log.frames(frame, self._after)
                if frames or self._beat:
                    self._after += len(frames)
                    yield frames
                    if self._beat:  # the alarm has rung, and it rings only once
                        self._beat = False
                        alarm.restart(heartbeat_s)
                    alarm.touch()
                elif log.end:
                    return
                else:
                    self._signal.wait()
        finally:
            alarm.close()

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

    def drain(self) -> None:
        """Send the reader away, within a few seconds: the stream can be read on elsewhere."""
        self.stream.clock.later(random.uniform(0, SPREAD_S), self._drain)  # noqa: S311 - a spread

    def _drain(self) -> None:
        self.drained = self._gone = True
        self._signal.set()

    def stay(self) -> None:
        """Read on after all: it could not be read on elsewhere."""
        self.drained = False
        self._gone = self._closed

    def leave(self) -> None:
        """Note that nobody is there any more; called from the hub by the socket's watcher."""
        self._gone = True
        self._signal.set()
        self.close()

    def close(self) -> None:
        """Stop reading; closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.stream.log.unwatch(self._signal.set)
        self.stream.presence.leave(held_s=HELD_S if self.drained else 0)
        if not self.stream.presence:
            self.stream.log.drop_frames()

    def _due(self) -> None:
        self._beat = True
        self._signal.set()
