"""A client's socket, and the times that hold for it.

gunicorn has one setting, ``keepalive``, for how long a head may take and how long a connection may
be idle, and none for a client that takes nothing. A timeout of the socket is no cure: it holds for
one call, counts a slow reader that takes some as one that takes none, and a heartbeat fits into
the kernel's buffer whether anybody reads or not. So nothing here waits with a limit: the worker
looks at all connections every now and then, and what it finds overdue it ends from outside.
"""

import fcntl
import logging
import socket
import struct
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic
from typing import Any

from services.errors import RequestTimeout

log = logging.getLogger("gloss.web")

# What the kernel keeps for a client that does not read; Linux doubles it for its own accounts.
# Left alone it would grow to 4 MiB, and with it what such a client costs.
SEND_BUFFER_BYTES = 128 * 1024
# After an answer that closes, a client has so long to close too; closed while it still sends, it
# might lose the answer to a reset (RFC 9112, 9.6).
LINGER_S = 2.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds
DISCARD_BYTES = 64 * 1024


class Phase(Enum):
    """What a connection is at."""

    NEW = auto()  # nothing came yet
    HEAD = auto()  # a head has begun
    REQUEST = auto()  # the application has it
    IDLE = auto()  # between two requests
    CLOSING = auto()  # the last answer was given


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a connection may be at what, in seconds."""

    head_s: float
    keepalive_s: float
    write_timeout_s: float


class Connection:
    """Stands before the socket and counts; what is not here is the socket's own."""

    def __init__(self, accepted: Any, now: Callable[[], float] = monotonic) -> None:
        """Take over a socket of gevent's, plain or TLS."""
        self.phase = Phase.NEW
        self.refused = False
        self._inner = accepted
        self._sock: socket.socket = getattr(accepted, "_sock", accepted)  # acts at once, in the hub too
        self._now = now
        self.since = now()
        self._given = 0  # bytes that the application has handed over
        self._left = 0  # of these, what the kernel has not
        self._taken = 0  # what the client had taken when it was last looked at
        self._taken_at = self.since
        self._overdue: RequestTimeout | None = None
        self.ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def is_silent(self) -> bool:
        """Tell whether the client asks for nothing at the moment."""
        return self.phase is Phase.NEW or self.phase is Phase.IDLE

    def secure(self, wrap: Callable[[Any], Any]) -> None:
        """Speak TLS from now on."""
        self._inner = wrap(self._inner)
        self._sock = getattr(self._inner, "_sock", self._inner)

    def enter(self, phase: Phase) -> None:
        """Begin something else."""
        self.phase = phase
        self.since = self._now()

    def recv(self, *args: Any) -> bytes:
        """Receive; raises RequestTimeout where a head took too long."""
        data: bytes = self._inner.recv(*args)
        if data and self.is_silent:
            self.enter(Phase.HEAD)
        if not data and self._overdue is not None:
            raise self._overdue
        return data

    def send(self, data: Any, flags: int = 0) -> int:
        """Send what fits."""
        sent: int = self._inner.send(data, flags)
        self._given += sent
        return sent

    def offer(self, data: bytes) -> int:
        """Send what fits at once; raises OSError, BlockingIOError where nothing does. In the hub too."""
        sent = self._sock.send(data)
        self._given += sent
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it, however long a slow client takes."""
        self._left = len(data)
        self._given += self._left
        self._left -= self._inner.send(data, flags)
        if self._left:
            view = memoryview(data)
            while self._left:
                self._left -= self._inner.send(view[-self._left :], flags)

    def end(self) -> None:
        """Let whoever reads the connection find its end; what it is about to say can still be said."""
        self.ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        """Break it off, and let the kernel forget what was not taken."""
        self.ended = True
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close; after an answer wait for the client, so that it can read it to its end."""
        if not self.is_silent and self.phase is not Phase.CLOSING and not self._resets():
            self.enter(Phase.CLOSING)
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
                while self._inner.recv(DISCARD_BYTES):
                    pass
        self._inner.close()

    def look(self, limits: Limits) -> None:
        """End what is overdue."""
        now = self._now()
        untaken = self._untaken(now)
        if untaken and now - self._taken_at >= limits.write_timeout_s:
            log.info("cut a client that took nothing for %g s", limits.write_timeout_s)
            self.cut()
            return
        past = now - self.since
        if self.phase is Phase.HEAD and past >= limits.head_s:
            self._overdue = RequestTimeout(limit=limits.head_s)
            self.end()
        elif (
            (self.phase is Phase.NEW and past >= limits.head_s)
            or (self.phase is Phase.IDLE and past >= limits.keepalive_s)
            or (self.phase is Phase.CLOSING and past >= LINGER_S and not untaken)
        ):
            self.end()

    def _untaken(self, now: float) -> int:
        """Return how many bytes the client has not acknowledged, and note when that last changed."""
        owed = self._given - self._taken
        untaken = self._left + unacknowledged(self._sock) if owed else 0
        if untaken != owed or not owed:
            self._taken, self._taken_at = self._given - untaken, now
        return untaken

    def _resets(self) -> bool:
        try:
            return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == RESET_ON_CLOSE
        except OSError:
            return True  # it is closed


def unacknowledged(sock: socket.socket) -> int:
    """Return what the kernel keeps for the client; 0 where it does not say (macOS), or has closed it."""
    try:
        told = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int.from_bytes(told, sys.byteorder)
