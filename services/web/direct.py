"""Writes a response from the hub, at the moment at which there is something to write.

gunicorn asks its application for the next piece in a greenlet of its own, wakes it for each, and
writes through a few layers; for pieces of four letters that is half of what they cost. So while
nothing stands in the way, frames go into the socket straight from the log's append. Where the
socket is full, the greenlet takes over: it can wait.
"""

import socket
from collections.abc import Callable, Sequence
from ssl import SSLSocket
from typing import Any

from gunicorn.http.wsgi import Response


class Direct:
    """The chunked body of one response of gunicorn's; ``heartbeat`` is what is sent for no frames."""

    def __init__(self, response: Response, heartbeat: bytes) -> None:
        self._response = response
        self._sock = response.sock
        self._heartbeat = heartbeat
        self._inner: socket.socket = getattr(response.sock, "_sock", response.sock)  # it never waits
        self._rest = b""

    def put(self, frames: Sequence[bytes]) -> bool:
        """Send frames without waiting; false if some of it is left, which ``write`` will send first."""
        chunk = self._chunk(frames)
        if not chunk or self._rest:
            self._rest += chunk
            return not self._rest
        try:
            sent = self._inner.send(chunk)
        except OSError:  # full, or broken: whoever waits for it will see
            sent = 0
        self._rest = chunk[sent:]
        return not self._rest

    def write(self, frames: Sequence[bytes]) -> None:
        """Send what is left and frames, however long that takes; raises OSError."""
        self._rest += self._chunk(frames)
        self.flush()

    def flush(self) -> None:
        """Send what is left; raises OSError."""
        rest, self._rest = self._rest, b""
        if rest:
            self._sock.sendall(rest)

    def _chunk(self, frames: Sequence[bytes]) -> bytes:
        data = b"".join(frames) if frames else self._heartbeat
        self._response.sent += len(data)
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def direct(start_response: Callable[..., Any] | None, heartbeat: bytes) -> Direct | None:
    """Return what writes past gunicorn, None where it knows better: without chunks, over TLS, elsewhere."""
    response = getattr(start_response, "__self__", None)
    if type(response) is not Response or not response.chunked or isinstance(response.sock, SSLSocket):
        return None
    return Direct(response, heartbeat)
