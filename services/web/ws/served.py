"""One ref of a socket: its stream is opened, and what its reader gets is sent, to the end."""

from collections.abc import Callable

from services.streams.readers import Reader
from services.streams.stream import Stream
from services.web.body import SETTLE_S
from services.wire.message import beginning, message

Send = Callable[[list[bytes]], bool]


class Served:
    """From the op that named the ref until its stream has ended, or the socket has.

    What is asked of it while its stream is still being opened is done as soon as it is; that the
    socket is gone it finds out when it sends.
    """

    def __init__(
        self, ref: str, opening: Callable[[], Reader], *, framed: Callable[[bytes, bytes], bytes] = message
    ) -> None:
        """``opening()`` may take its time, and raises what the caller is to be told.

        ``framed(beginning, line)`` makes a message.
        """
        self.ref = ref
        self._framed = framed
        self._opening: Callable[[], Reader] | None = opening
        self._reader: Reader | None = None
        self._cancel: Callable[[Stream], None] | None = None
        self._sent_away = False

    def open(self) -> Reader:
        """Open the stream, once; the caller closes the reader."""
        if self._opening is None:
            raise RuntimeError("it was opened already")
        self._reader = reader = self._opening()
        self._opening = None  # it holds all that the caller sent
        if self._cancel is not None:
            self._cancel(reader.stream)
        return reader

    def tell(self, reader: Reader, send: Send, heartbeat_s: float, at_end: Callable[[], None]) -> None:
        """Send every event, until the end or until the reader or the socket has left.

        ``at_end`` is called before the end is sent: whoever has it may use the ref again. What is
        asked of the store before each event is not asked after the last one: it may take its time.
        """
        begin = beginning(self.ref)
        for lines in reader.batches(None, heartbeat_s):  # the socket's heartbeat is its own
            if reader.at_end:
                at_end()
            if not send([self._framed(begin, line) for line in lines]) or reader.at_end:
                return
            if self._sent_away:
                reader.send_away()
        if reader.drained:
            self.settle()  # what was told since

    def settle(self) -> bool:
        """Wait a moment until other processes know what was told; tell whether they do."""
        return self._reader is None or self._reader.stream.settle(SETTLE_S)

    @property
    def stream(self) -> Stream | None:
        """Return what was opened, None where nothing was."""
        return self._reader.stream if self._reader is not None else None

    def cancel(self, end: Callable[[Stream], None]) -> None:
        """End its stream, as ``end`` does."""
        self._cancel = end
        if self._reader is not None:
            end(self._reader.stream)

    def leave(self) -> None:
        """Note that the socket is gone; what that does to the stream is the stream's to know."""
        if self._reader is not None:
            self._reader.leave()

    def send_away(self) -> None:
        """Let it be read on elsewhere; one that is being opened tells first how its stream is called."""
        self._sent_away = True
        if self._reader is not None:
            self._reader.send_away()
