"""A response's body: one reading of one log, in one encoding, as the WSGI server asks for it."""

import errno
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from services.events import Event, Finish
from services.streams.readers import Reader
from services.streams.stream import Stream
from services.web.hangup import HangUp
from services.wire.encoding import Encoding

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds


# What one write holds: a reader that falls behind keeps that much in memory, and not all it missed.
PIECE_BYTES = 64 * 1024


class StreamBody:
    """Yields frames as they come; closing it ends the reading, also if it never began.

    An object and not a generator: closing a generator that was never started runs no
    ``finally``, and the reader would count as present for ever.
    """

    def __init__(
        self,
        stream: Stream,
        encoding: Encoding,
        environ: Mapping[str, Any],
        *,
        after: int,
        heartbeat_s: float,
    ) -> None:
        self._encoding = encoding
        self._environ = environ
        self._stream = stream
        self._heartbeat_s = heartbeat_s
        with ExitStack() as opened:
            self._reader = Reader(stream, after=after)
            opened.callback(self._reader.close)
            opened.callback(HangUp(environ, self._reader.leave).close)
            self._open = opened.pop_all()

    def __iter__(self) -> Iterator[bytes]:
        """Yield what came at once as few pieces; the first item takes the head with it."""
        heartbeat = self._encoding.heartbeat
        yield b""
        for frames in self._reader.batches(self._encoding.frame, self._heartbeat_s):
            if len(frames) > 1:
                yield from pieces_of(frames)
            elif data := frames[0] if frames else heartbeat:
                yield data
        if not self._encoding.tells_end and not self._is_whole(self._stream.log.end):
            self._cut()

    def close(self) -> None:
        """Leave the stream; the server calls this at every end of the connection."""
        self._open.close()

    def _is_whole(self, end: Event | None) -> bool:
        """Tell whether a text that ends here is what the caller asked for."""
        if not isinstance(end, Finish):
            return False
        as_asked = self._stream.own_cap and self._stream.at_cap()
        return end.reason == "stop" or (end.reason == "length" and as_asked)

    def _cut(self) -> None:
        """Break the connection, so that no client takes half an answer for a whole one.

        Without the last chunk an HTTP/1.1 client knows; HTTP/1.0 has no chunks, so there the
        end is a reset. gunicorn drops the connection without a word for this error.
        """
        sock = self._environ.get("gunicorn.socket")
        if sock is not None and self._environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        raise ConnectionResetError(errno.ECONNRESET, "the stream did not end well")


def pieces_of(frames: list[bytes]) -> Iterator[bytes]:
    """Join frames to pieces of at least ``PIECE_BYTES``, as long as there are so many; none is empty."""
    begun, size = 0, 0
    for place, frame in enumerate(frames, 1):
        size += len(frame)
        if size >= PIECE_BYTES or (place == len(frames) and size):
            yield b"".join(frames[begun:place])
            begun, size = place, 0
