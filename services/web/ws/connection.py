"""One WebSocket on a socket that HTTP has done with: frames, limits, ends. It knows no streams.

One greenlet reads: the one that iterates ``messages()``. Whoever has something to say writes, one
at a time: ``send`` holds a lock from the making of frames until the kernel has them all, so frames
are whole and in order. A write waits as long as the peer takes some bytes now and then. One that
fails, or is given up in its middle, breaks the connection off, as nothing could follow half a frame.

Every orderly end is the same, whoever begins it: our close frame, our side of the socket shut, and
what still comes is read away unparsed until the peer has shut its side too, or ``CLOSE_S`` are over.
Closing sooner, with bytes unread, would send a reset, which may overtake the close frame.
"""

import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.lock import Semaphore
from wsproto.connection import Connection as Protocol
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from services.streams.clock import Clock, Timer
from services.web.body import PIECE_BYTES
from services.web.server.connection import RESET_ON_CLOSE, unacknowledged
from services.web.ws.pulse import Pulse
from services.web.ws.tolerance import Tolerance

log = logging.getLogger("gloss.web")

RECEIVE_BYTES = 64 * 1024
CLOSE_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``message_s`` is for a message to be whole, ``write_timeout_s`` for the peer to take a byte."""

    heartbeat_s: float
    write_timeout_s: float
    message_s: float


class Connection:
    """Whole messages in, whole messages out; ``most_bytes`` is how long one that comes may be."""

    def __init__(self, sock: Any, clock: Clock, limits: Limits, *, most_bytes: int) -> None:
        """Take over a socket after the 101; ``finish`` must be called, and gives it back to be closed."""
        self.most_bytes = most_bytes
        self.over = False  # nothing is sent any more
        self.given = 0
        self._sock = sock
        self._clock = clock
        self._limits = limits
        self._protocol = Protocol(ConnectionType.SERVER)
        self._lock = Semaphore()
        self._begun = bytearray()
        self._timers: dict[str, Timer] = {}
        self._tolerance = Tolerance(clock)
        self._pulse = Pulse(clock, limits.heartbeat_s, self)
        sock.settimeout(limits.write_timeout_s)  # of each call, so it is put off by every byte taken

    def messages(self) -> Iterator[bytes]:
        """Yield whole messages until either side has said that it closes, or the socket is gone."""
        while (data := self._receive()) and not self.over:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                message = self._hear(event)
                if message is not None:
                    yield message
                if self.over:
                    return

    def send(self, messages: Iterable[bytes]) -> bool:
        """Send messages, those that come together in as few writes as can be; false when it is over.

        Others get their turn between two pieces, on this socket and on all others.
        """
        for piece in pieces(messages):
            if not self._put([TextMessage(data=message.decode()) for message in piece]):
                return False
            if len(piece) > 1:
                gevent.sleep(0)
        return True

    def ping(self) -> bool:
        """Send a ping, unless something is being sent already."""
        return not self._lock.locked() and self._put([Ping()])

    def bother(self) -> None:
        """Count what brings nothing, and let others have their turn; too much of it ends the connection."""
        if self._tolerance.is_strained():
            self.close(CloseReason.POLICY_VIOLATION, "too many messages for nothing")
        gevent.sleep(0)

    def close(self, code: int, reason: str = "", *, last: bytes | None = None) -> None:
        """Say goodbye, once, after a last message; waits while others write."""
        with self._lock:
            if self.over:
                return
            words: list[Event] = [] if last is None else [TextMessage(data=last.decode())]
            data = self._framed([*words, CloseConnection(code=code, reason=reason)])
            self.over = True
            with suppress(OSError):
                self._write(data)
                self._sock.shutdown(socket.SHUT_WR)
        self._later("close", CLOSE_S, self.cut)

    def cut(self) -> None:
        """Break it off, also from the hub; the kernel forgets what was not taken."""
        self.over = True
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._sock.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Wait until the peer has closed too, if goodbye was said, and leave nothing behind."""
        try:
            if not self.over:  # the peer went without a word
                self.cut()
            while self._receive():
                pass
        finally:
            self._pulse.close()
            for timer in self._timers.values():
                timer.close()

    def taken(self) -> int:
        """Return how many of the bytes that were ``given`` have arrived at the peer's machine."""
        return self.given - unacknowledged(self._sock)

    def _receive(self) -> bytes:
        """Wait for bytes; none are the end."""
        self._pulse.listening = True
        try:
            while True:
                with suppress(TimeoutError):  # that one is for writing
                    data: bytes = self._sock.recv(RECEIVE_BYTES)
                    break
        except OSError:
            data = b""
        self._pulse.listening = False
        self._pulse.heard()
        return data

    def _hear(self, event: Event) -> bytes | None:
        """Do what the protocol asks for; return a message that is whole now."""
        match event:
            case TextMessage():
                return self._joined(event)
            case BytesMessage():
                self.close(CloseReason.UNSUPPORTED_DATA, "text messages only")
            case Ping():
                self.bother()
                self._put([event.response()])
            case Pong():
                self.bother()
            case CloseConnection():  # the peer's word, or wsproto's about what it could not read
                self.close(event.code)
        return None

    def _joined(self, part: TextMessage) -> bytes | None:
        self._begun += part.data.encode()
        if len(self._begun) > self.most_bytes:
            self.close(CloseReason.MESSAGE_TOO_BIG, f"at most {self.most_bytes} bytes")
            return None
        if part.message_finished:
            whole, self._begun = bytes(self._begun), bytearray()
            if late := self._timers.pop("message", None):
                late.close()
            return whole
        if part.frame_finished:
            self.bother()
        if "message" not in self._timers:
            self._later("message", self._limits.message_s, self._message_is_late)
        return None

    def _message_is_late(self) -> None:
        gevent.spawn(self.close, CloseReason.POLICY_VIOLATION, "the message took too long")

    def _put(self, events: list[Event]) -> bool:
        with self._lock:
            if self.over:
                return False
            try:
                self._write(self._framed(events))
            except OSError:
                return False
            return True

    def _framed(self, events: list[Event]) -> bytes:
        return b"".join([self._protocol.send(event) for event in events])

    def _write(self, data: bytes) -> None:
        """Give all of it to the kernel."""
        rest = memoryview(data)
        try:
            while rest:
                sent = self._sock.send(rest)
                rest = rest[sent:]
                self.given += sent
                self._pulse.sent()
        except BaseException as error:
            if isinstance(error, TimeoutError):
                log.info("cut a WebSocket that took nothing for %g s", self._limits.write_timeout_s)
            self.cut()
            raise

    def _later(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        self._timers[name] = self._clock.later(seconds, callback)


def pieces(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Part messages into lists of at least ``PIECE_BYTES``, but for the last one."""
    piece: list[bytes] = []
    size = 0
    for message in messages:
        piece.append(message)
        size += len(message)
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
