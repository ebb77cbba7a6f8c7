"""The load of every experiment: many readers in one thread over epoll, cheap enough not to matter.

It only stores what arrives and when; bodies are understood after the clock has been stopped.
"""

import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from bench.text import MARKER

Address: TypeAlias = tuple[str, int]
READ_BYTES = 65_536
GOOD = b"HTTP/1.1 200"  # another answer need not be read to its end
LAST_CHUNK = b"\r\n0\r\n\r\n"
LOCATION = re.compile(rb"\r\nContent-Location: (\S+)")
TICK_S = 0.001
LIMIT_S = 60.0  # of one load; the slowest takes a tenth of that


class BrokenRunError(RuntimeError):
    """An experiment did not do what it measures; its figures would be worth nothing."""


@dataclass(slots=True)
class Stream:
    """One response: raw bytes and times (monotonic seconds; None for what has not happened)."""

    tag: int
    socket: socket.socket
    request: bytes
    opened_at: float
    first_byte_at: float | None = None
    first_word_at: float | None = None
    ended_at: float | None = None
    hung_up_at: float | None = None
    raw: bytearray = field(default_factory=bytearray)
    reads: list[tuple[float, int]] = field(default_factory=list)  # when, and the bytes until then

    @property
    def over(self) -> bool:
        """Tell whether nothing more will come."""
        return self.ended_at is not None or self.hung_up_at is not None

    @property
    def status(self) -> int:
        """Return the response's status; 0 without a response."""
        return int(self.raw[9:12] or 0)

    @property
    def address(self) -> str:
        """Return where the stream can be read again, as its head tells."""
        found = LOCATION.search(self.raw)
        if found is None:
            raise BrokenRunError("a stream without an address")
        return found[1].decode()

    @property
    def complete(self) -> bool:
        """Tell whether the response came to the end that HTTP/1.1 gives a chunked body."""
        return self.status == 200 and self.raw.endswith(LAST_CHUNK)

    @property
    def body_so_far(self) -> bytes:
        """Return what has come of the body, chunks' sizes included."""
        return bytes(self.raw).partition(b"\r\n\r\n")[2]

    @property
    def body(self) -> bytes:
        """Return the body without its chunks' sizes."""
        rest = self.body_so_far
        parts = []
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            parts.append(rest[:length])
            rest = rest[length + 2 :]
        return b"".join(parts)


class Client:
    """Opens streams and reads all of them until told to stop."""

    def __init__(self, address: Address) -> None:
        """Speak with one server."""
        self._address = address
        self._poll = select.epoll()
        self._open: dict[int, Stream] = {}

    def open(self, tag: int, request: bytes) -> Stream:
        """Connect and ask, without waiting for either; the clock starts here."""
        connection = socket.socket()
        connection.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(tag, connection, request, time.monotonic())
        connection.connect_ex(self._address)
        self._open[connection.fileno()] = stream
        self._poll.register(connection, select.EPOLLOUT)
        return stream

    def run(self, until: Callable[[], bool], *, limit_s: float) -> None:
        """Read until the condition holds; raises ``BrokenRunError`` when that takes too long."""
        limit = time.monotonic() + limit_s
        while not until():
            self._turn()
            if time.monotonic() > limit:
                message = f"not done after {limit_s:.0f} s, {len(self._open)} streams still open"
                raise BrokenRunError(message)

    def run_for(self, seconds: float) -> None:
        """Read for so long, at least one turn of the loop."""
        end = time.monotonic() + seconds
        self._turn()
        while time.monotonic() < end:
            self._turn()

    @property
    def running(self) -> int:
        """Return how many streams are open."""
        return len(self._open)

    def _turn(self) -> None:
        for descriptor, _ in self._poll.poll(TICK_S):
            self._serve(self._open[descriptor])

    def hang_up(self, stream: Stream) -> None:
        """Close the socket, as a browser does when its tab is closed."""
        stream.hung_up_at = time.monotonic()
        self._drop(stream)

    def close(self) -> None:
        """Hang up on everything that is still open."""
        for stream in list(self._open.values()):
            self.hang_up(stream)
        self._poll.close()

    def _serve(self, stream: Stream) -> None:
        if stream.request:
            stream.socket.send(stream.request)  # fits into any send buffer
            stream.request = b""
            self._poll.modify(stream.socket, select.EPOLLIN)
            return
        try:
            data = stream.socket.recv(READ_BYTES)
        except ConnectionResetError:
            data = b""
        now = time.monotonic()
        stream.raw += data
        stream.reads.append((now, len(stream.raw)))
        if stream.first_word_at is None:
            self._note_beginning(stream, now)
        if not data or stream.raw.endswith(LAST_CHUNK) or not stream.raw.startswith(GOOD[: len(stream.raw)]):
            stream.ended_at = now
            self._drop(stream)

    @staticmethod
    def _note_beginning(stream: Stream, now: float) -> None:
        stream.first_byte_at = stream.first_byte_at or now
        if MARKER in stream.raw:
            stream.first_word_at = now

    def _drop(self, stream: Stream) -> None:
        del self._open[stream.socket.fileno()]
        stream.socket.close()


@contextmanager
def client(address: Address) -> Iterator[Client]:
    """Give a client that leaves nothing open."""
    made = Client(address)
    try:
        yield made
    finally:
        made.close()


def load(
    address: Address,
    request: Callable[[int], bytes],
    *,
    total: int,
    at_once: int,
    apart_s: float = 0.0,
) -> list[Stream]:
    """Read ``total`` streams to their ends, at most ``at_once`` at a time, begun ``apart_s`` apart.

    Raises ``BrokenRunError`` if one of them does not come to its end.
    """
    streams: list[Stream] = []
    next_at = time.monotonic()
    with client(address) as reader:

        def done() -> bool:
            nonlocal next_at
            while len(streams) < total and reader.running < at_once and time.monotonic() >= next_at:
                streams.append(reader.open(len(streams), request(len(streams))))
                next_at += apart_s
            return len(streams) == total and not reader.running

        reader.run(done, limit_s=LIMIT_S)
    _must_be_whole(streams)
    return streams


def _must_be_whole(streams: list[Stream]) -> None:
    broken = [stream for stream in streams if not stream.complete]
    if broken:
        shown = bytes(broken[0].raw[:400])
        message = f"{len(broken)} of {len(streams)} responses broke off, the first: {shown!r}"
        raise BrokenRunError(message)
