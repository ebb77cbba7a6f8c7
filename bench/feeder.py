"""The upstream of every experiment: a provider that costs next to nothing and keeps a journal.

It speaks OpenAI's streaming protocol in one thread over epoll. Each chunk leaves at its time or
not at all: the *plan*, set from outside, says how many, how often, and where silence begins.
The journal says when each chunk was written and when the peer closed, by the machine's monotonic
clock, which all processes share.

    POST /plan      a Plan as JSON; holds for every later request
    GET  /journal   {"connections": n, "streams": [{tag, asked_at, written, closed_at, done}]}
    POST /forget    closes what still runs and begins a new journal
    anything else   is a request for a completion

A stream is told from others by the first ``tag-<number>`` in its body.
"""

import heapq
import json
import random
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from bench.machine import allow_many_files, pin
from bench.text import SPANISH, deltas_of

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\nX-Request-Id: req_bench\r\n\r\n"
)
READ_BYTES = 65_536
GONE = (ConnectionResetError, BrokenPipeError)
TAG = re.compile(rb"tag-(\d+)")
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every stream says from now on: ``chunks`` deltas, taken in turn from ``deltas``.

    The first leaves ``first_after_s`` after the request, the others every ``every_s`` on average;
    both may be 0. Each gap is longer or shorter by up to half, or streams would march in step and
    a relay be woken once for the chunks of many. After ``silent_after`` chunks nothing more comes
    and the connection stays open; with 0 not even the response's head. Streams whose tag is a
    multiple of ``longer_every`` say ``longer`` deltas instead.
    """

    chunks: int = 200
    every_s: float = 0.02
    first_after_s: float = 0.0
    silent_after: int | None = None
    deltas: tuple[str, ...] = deltas_of(SPANISH)
    longer: int = 0
    longer_every: int = 0

    def of(self, tag: int | None) -> "Plan":
        """Return what a stream of that tag says."""
        runs_on = bool(self.longer_every and tag is not None and tag % self.longer_every == 0)
        return replace(self, chunks=self.longer) if runs_on else self

    @property
    def text(self) -> str:
        """Return what a stream of this plan says from beginning to end."""
        return "".join(self.delta(number) for number in range(self.chunks))

    def delta(self, number: int) -> str:
        """Return the text of one chunk."""
        return self.deltas[number % len(self.deltas)]


def _event(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
    """Return one server-sent event with all the fields that OpenAI sends."""
    value = {
        "id": "chatcmpl-CkT1Qz0b8d7hX2mVw9RrLs4NfYp3A",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "gpt-4.1-mini-2025-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_4c2851f862",
        "choices": choices,
        "usage": usage,
        "obfuscation": "p3ZsX8bq",
    }
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def frames(plan: Plan) -> tuple[bytes, ...]:
    """Return the bytes of each chunk: the first brings the head, the last the end."""
    said = [_chunk(_event(_choice({"content": plan.delta(number)}))) for number in range(plan.chunks)]
    said[0] = HEAD + _chunk(_event(_choice({"role": "assistant", "content": ""}))) + said[0]
    usage = {"prompt_tokens": 200, "completion_tokens": plan.chunks, "total_tokens": 200 + plan.chunks}
    end = (_event(_choice({}, "stop")), _event([], usage), b"data: [DONE]\n\n")
    said[-1] += b"".join(_chunk(event) for event in end) + b"0\r\n\r\n"
    return tuple(said)


@dataclass(slots=True)
class Told:
    """What the journal keeps of one stream; times in seconds, None for what has not happened."""

    tag: int | None
    asked_at: float
    written: list[float] = field(default_factory=list)
    closed_at: float | None = None
    done: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the entry as ``GET /journal`` shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Connection:
    """One accepted socket: bytes not yet understood, bytes not yet taken, the stream it carries."""

    socket: socket.socket
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    told: Told | None = None
    frames: tuple[bytes, ...] = ()
    every_s: float = 0.0
    last: int = 0


class Feeder:
    """The server; ``run`` returns never."""

    def __init__(self, listener: socket.socket) -> None:
        """Take a listening socket."""
        self.plan = Plan()
        self.journal: list[Told] = []
        self.accepted = 0
        self._listener = listener
        self._open: dict[int, Connection] = {}
        self._due: list[tuple[float, int, Connection]] = []
        self._rhythm = random.Random(7)  # noqa: S311 - the same gaps in each run
        self._order = 0  # decides between chunks that are due at the same instant
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature

    def run(self) -> None:
        """Serve for ever."""
        while True:
            # epoll counts in whole milliseconds: chunks would leave in bunches, and a relay that
            # is woken once for five of them looks cheaper than it is. select() is finer.
            select.select([self._poll], [], [], self._patience())
            for descriptor, mask in self._poll.poll(0):
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._open:
                    self._serve(self._open[descriptor], mask)
            self._write_what_is_due()

    def _patience(self) -> float | None:
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else None

    def _accept(self) -> None:
        try:
            while True:
                accepted, _ = self._listener.accept()
                accepted.setblocking(False)  # noqa: FBT003 - the socket module's own signature
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open[accepted.fileno()] = Connection(accepted)
                self._poll.register(accepted, select.EPOLLIN)
                self.accepted += 1
        except BlockingIOError:
            return

    def _serve(self, connection: Connection, mask: int) -> None:
        try:
            if mask & select.EPOLLOUT:
                self._flush(connection)
            if mask & ~select.EPOLLOUT:
                self._read(connection)
        except GONE:
            self._close(connection)

    def _read(self, connection: Connection) -> None:
        data = connection.socket.recv(READ_BYTES)
        if not data:
            self._close(connection)
            return
        connection.inbox += data
        head, blank, rest = bytes(connection.inbox).partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if blank and len(rest) >= size:
            del connection.inbox[: len(head) + 4 + size]
            self._answer(connection, head.split(b" ", 2)[1], rest[:size])

    def _answer(self, connection: Connection, path: bytes, body: bytes) -> None:
        control: dict[bytes, Callable[[bytes], object]] = {
            b"/plan": self._set_plan,
            b"/journal": self._tell,
            b"/forget": self._forget,
            b"/v1/models": lambda _: {"object": "list", "data": [{"id": "gpt-4.1-mini", "object": "model"}]},
        }
        if path in control:
            self._send_json(connection, control[path](body))
        else:
            self._begin(connection, body)

    def _set_plan(self, body: bytes) -> object:
        given = json.loads(body)
        self.plan = Plan(**given | {"deltas": tuple(given["deltas"])})
        frames(self.plan)
        return {}

    def _tell(self, _: bytes) -> object:
        return {"connections": self.accepted, "streams": [told.as_json() for told in self.journal]}

    def _forget(self, _: bytes) -> object:
        for connection in [one for one in self._open.values() if one.told]:
            self._close(connection)
        self._due.clear()
        self.journal = []
        self.accepted = 0
        return {}

    def _send_json(self, connection: Connection, value: object) -> None:
        data = json.dumps(value).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
        self._send(connection, head + data)

    def _begin(self, connection: Connection, body: bytes) -> None:
        now, found = time.monotonic(), TAG.search(body)
        tag = int(found[1]) if found else None
        plan = self.plan.of(tag)
        connection.told = Told(tag, now)
        self.journal.append(connection.told)
        connection.frames, connection.every_s = frames(plan), plan.every_s
        connection.last = plan.chunks if plan.silent_after is None else plan.silent_after
        if connection.last:
            self._schedule(connection, now + plan.first_after_s)

    def _schedule(self, connection: Connection, at: float) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, connection))

    def _write_what_is_due(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, _, connection = heapq.heappop(self._due)
            if connection.told:
                self._write_chunk(connection, connection.told, at)

    def _write_chunk(self, connection: Connection, told: Told, at: float) -> None:
        number = len(told.written)
        told.written.append(time.monotonic())
        try:
            self._send(connection, connection.frames[number])
        except GONE:
            self._close(connection)
            return
        if number + 1 == len(connection.frames):
            told.done, connection.told = True, None
        elif number + 1 < connection.last:
            self._schedule(connection, at + connection.every_s * self._rhythm.uniform(0.5, 1.5))

    def _send(self, connection: Connection, data: bytes) -> None:
        """Write, and keep what the peer does not take yet."""
        if connection.outbox:
            connection.outbox += data
            return
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            connection.outbox += data[sent:]
            self._poll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, connection: Connection) -> None:
        del connection.outbox[: connection.socket.send(connection.outbox)]
        if not connection.outbox:
            self._poll.modify(connection.socket, select.EPOLLIN)

    def _close(self, connection: Connection) -> None:
        if self._open.pop(connection.socket.fileno(), None) is None:
            return
        if connection.told:
            connection.told.closed_at, connection.told = time.monotonic(), None
        connection.socket.close()


def main() -> None:
    """Serve on a free port of loopback, which is printed; the first argument names a core."""
    allow_many_files()
    if len(sys.argv) > 1:
        pin(int(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    Feeder(listener).run()


if __name__ == "__main__":
    main()
