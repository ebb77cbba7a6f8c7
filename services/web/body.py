"""A response's body: one reading of one log, in one encoding, as the WSGI server asks for it."""

import errno
import random
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.streams.drain import Drain
from services.streams.readers import Reader
from services.streams.stream import Stream
from services.web.hangup import HangUp
from services.web.server.direct import WAITING, Direct
from services.wire.encoding import Encoding

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds
WAIT_ON_CLOSE = struct.pack("ii", 0, 0)

SETTLE_S = 0.5
AGAIN_S = 1.0  # so that with both a reader is sent on within five seconds, if at all
RETRY_MS = (100, 1_000)  # a browser's own reconnecting, spread

# What one write holds: a reader that falls behind keeps that much in memory, and not all it missed.
PIECE_BYTES = 64 * 1024


class StreamBody:
    """Yields frames as they come; closing it ends the reading, also if it never began.

    An object and not a generator: closing a generator that was never started runs no
    ``finally``, and the reader would count as present for ever.
    """

    def __init__(  # noqa: PLR0913 - each is known to the route only
        self,
        stream: Stream,
        encoding: Encoding,
        environ: Mapping[str, Any],
        *,
        after: int,
        heartbeat_s: float,
        drain: Drain | None,
    ) -> None:
        """``drain`` tells when readers are to go on elsewhere, where there is one."""
        self._encoding = encoding
        self._environ = environ
        self._stream = stream
        self._heartbeat_s = heartbeat_s
        self._drain = drain if encoding.drain is not None else None
        self._hang_up: HangUp | None = None
        self._reader = Reader(stream, after=after)
        try:
            self._hang_up = HangUp(environ, self._reader.leave)
            if self._drain is not None:
                self._drain.watch(self._reader.drain)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        """Yield what came at once as few pieces; the first takes the head with it."""
        self._reset_on_close(on=True)
        straight = self._straight()
        if straight is None:
            yield b""
        yield from self._read(straight)
        while self._reader.drained:
            # Who goes on elsewhere must find there what it has seen here; else it stays as long as we do.
            if self._encoding.drain is not None and self._stream.settle(SETTLE_S):
                yield self._encoding.drain(random.randrange(*RETRY_MS))  # noqa: S311 - a spread
                self._reset_on_close(on=False)
                return
            self._reader.stay()
            self._reader.drain(AGAIN_S)
            yield from self._read(straight)
        if not self._ends_well():
            # Without the last chunk no client takes half an answer for a whole one. gunicorn drops the
            # connection without a word for this error.
            raise ConnectionResetError(errno.ECONNRESET, "the stream did not end well")
        self._reset_on_close(on=False)

    def _read(self, straight: Direct | None) -> Iterator[bytes]:
        return self._through() if straight is None else self._past(straight)

    def _through(self) -> Iterator[bytes]:
        """Yield what the server is to write."""
        for frames in self._reader.batches(self._encoding.frame, self._heartbeat_s):
            for part in parts(frames):
                if data := b"".join(part) if part else self._encoding.heartbeat:
                    yield data

    def _past(self, straight: Direct) -> Iterator[bytes]:
        """Write past the server; yield only to wait."""
        for frames in self._reader.batches(self._encoding.frame, self._heartbeat_s, straight):
            if frames is None:
                straight.flush()
                yield WAITING
            else:
                for part in parts(frames):
                    straight.write(part)
        straight.flush()

    def _straight(self) -> Direct | None:
        """Return the way past the server, where the server has one."""
        way: Callable[[bytes], Direct | None] | None = self._environ.get("gloss.direct")
        return way(self._encoding.heartbeat) if way else None

    def _ends_well(self) -> bool:
        """Tell whether what was read is all that there is, and the body says so."""
        log = self._stream.log
        told = log.end is not None and (self._encoding.tells_end or self._stream.whole)
        return told and not log.broken

    def close(self) -> None:
        """Leave the stream; the server calls this at every end of the connection."""
        if self._drain is not None:
            self._drain.unwatch(self._reader.drain)
        if self._hang_up is not None:
            self._hang_up.close()
        self._reader.close()

    def _reset_on_close(self, *, on: bool) -> None:
        """In HTTP/1.0, which has no chunks, make a reset of every end that is not taken back.

        Set from the beginning, it holds also for a process that is killed: its kernel closes for it.
        """
        sock = self._environ.get("gunicorn.socket")
        if sock is not None and self._environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE if on else WAIT_ON_CLOSE)


def parts(frames: list[bytes]) -> Iterator[list[bytes]]:
    """Cut what is to be written into parts of about ``PIECE_BYTES``; no frames are one part."""
    begun, size = 0, 0
    for place, frame in enumerate(frames, 1):
        size += len(frame)
        if size >= PIECE_BYTES:
            yield frames[begun:place]
            begun, size = place, 0
    if begun < len(frames) or not frames:
        yield frames[begun:]
