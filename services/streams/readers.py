"""One reading of one log, from a number on to its end."""

from collections.abc import Iterator

from gevent.event import Event as Signal

from services.events import Event
from services.streams.clock import Alarm
from services.streams.stream import Stream


class Reader:
    """Yields what there is, as much at once as there is, and waits when there is nothing.

    A reader counts as present from its making until ``close()``; when the last one of a
    running stream leaves, the stream ends as ``disconnected`` and the provider is closed.
    """

    def __init__(self, stream: Stream, *, after: int = 0) -> None:
        self.stream = stream
        self._after = after
        self._signal = Signal()
        self._beat = False
        self._gone = False
        self._closed = False
        stream.log.watch(self._signal.set)
        stream.readers += 1

    def batches(self, heartbeat_s: float) -> Iterator[tuple[int, list[Event]]]:
        """Yield (number of the first, events); an empty list is a heartbeat.

        A heartbeat is due whenever nothing was yielded for ``heartbeat_s`` seconds. Ends
        after the stream's end, or at once when the reader has left.
        """
        alarm = Alarm(self.stream.clock, heartbeat_s, self._due)
        try:
            while not self._gone:
                self._signal.clear()
                events = self.stream.log.after(self._after)
                if events or self._beat:
                    yield self._after + 1, events
                    self._after += len(events)
                    if self._beat:  # the alarm has rung, and it rings only once
                        self._beat = False
                        alarm.restart(heartbeat_s)
                    alarm.touch()
                elif self.stream.log.end:
                    return
                else:
                    self._signal.wait()
        finally:
            alarm.close()

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
        self.stream.readers -= 1
        if not self.stream.readers:
            self.stream.stop("disconnected")

    def _due(self) -> None:
        self._beat = True
        self._signal.set()
