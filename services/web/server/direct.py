"""Writes a response from the hub, at the moment at which there is something to write.

gunicorn asks its application for the next piece in a greenlet, which is woken for each and writes
through a few layers. So while nothing stands in the way, frames go into the socket straight from
the log's append. Where the socket is full, the greenlet takes over: it can wait.
"""

from collections.abc import Callable, Sequence
from typing import cast

from gunicorn.http.wsgi import Response

from services.web.server.connection import Connection


class Waiting(bytes):
    """A piece of a body that says: there is no more now, ask again when ``wake`` was called."""

    __slots__ = ()


WAITING = Waiting()


class Direct:
    """One of gunicorn's responses, in chunks; ``heartbeat`` is what no frames are sent as.

    Its head leaves with the first frames, in one packet, at the latest with the first ``flush``.
    ``wake`` has the body asked for its next piece in a greenlet, after it gave ``WAITING``.
    """

    def __init__(self, response: Response, wake: Callable[[], None], heartbeat: bytes) -> None:
        self.wake = wake
        self._response = response
        self._sock = response.sock
        self._heartbeat = heartbeat
        self._offer = cast("Connection", response.sock).offer
        self._rest = _head(response)
        response.headers_sent = True

    def put(self, frames: Sequence[bytes]) -> bool:
        """Send frames without waiting; false if some of it is left, which ``write`` will send first."""
        chunk = self._rest + self._chunk(frames)
        if not chunk:
            return True
        try:
            sent = self._offer(chunk)
        except OSError:  # full, or broken: whoever waits for it will see
            sent = 0
        self._rest = chunk[sent:]
        return not self._rest

    def write(self, frames: Sequence[bytes]) -> None:
        """Send what is left and then frames, however long that takes; raises OSError."""
        self._rest += self._chunk(frames)
        self.flush()

    def flush(self) -> None:
        """Send what is left; raises OSError."""
        rest, self._rest = self._rest, b""
        if rest:
            self._sock.sendall(rest)

    def _chunk(self, frames: Sequence[bytes]) -> bytes:
        data = frames[0] if len(frames) == 1 else b"".join(frames) if frames else self._heartbeat
        self._response.sent += len(data)  # the access log tells it
        return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _head(response: Response) -> bytes:
    lines = (
        *response.default_headers(),
        *(f"{name}: {value}\r\n" for name, value in response.headers),
        "\r\n",
    )
    return "".join(lines).encode("latin-1")


def direct(response: Response, wake: Callable[[], None], heartbeat: bytes) -> Direct | None:
    """Return what writes past gunicorn; None where it knows better: without chunks, over TLS."""
    if not response.chunked or hasattr(response.sock, "do_handshake"):
        return None
    return Direct(response, wake, heartbeat)
