"""Readers that write down every line they hear, are cut as somebody says, and go on where they were.

A reader is what a careful client is: it starts a stream once, reads, and when the connection
breaks or it is told to drain it comes back with its number, to whatever process lets it in.
It never repeats a POST without an idempotency key. What it heard is judged later
(``invariants.py``).
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import gevent
from gevent.event import Event

from tests.rig.wire import CutError, Wire, ask

NDJSON, SSE, TEXT, JSON = "application/x-ndjson", "text/event-stream", "text/plain", "application/json"
NOBODY = 1  # a port where nobody listens: all processes are gone for the moment
PAUSE_S = 0.05  # before it comes back; a browser waits longer
PATIENCE_S = 60.0  # of one reader, over all its connections
ENDS = (b"finish", b"error")


@dataclass
class Reading:
    """One connection: from which number on, what was answered, and how it ended.

    ``ended``: ``end`` (an end event, in order), ``drain`` (told to go on elsewhere), ``clean`` (in
    order, and neither), ``cut``, ``refused`` (no connection, or a status that is not 200).
    """

    port: int
    after: int
    status: int | None = None
    ended: str = "refused"
    problem: str | None = None
    over_at: float = 0.0


@dataclass
class Reader:
    """Follows one stream; ``ports()`` are the doors that it knows, ``lines`` what it heard, each once.

    ``fate`` afterwards: ``ended``, ``gone`` (404: what it has is not, or no longer, there),
    ``nothing`` (204), ``refused`` (the stream never began), ``left`` (it went away), ``lost`` (it
    could not be repeated), ``tired``.
    """

    ports: Callable[[], list[int]]
    random: Random
    model: str
    use_case: str = "relay"
    encoding: str = NDJSON
    options: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    prompt: str = "Say something."
    stream: str | None = None
    first: int | None = None  # the port that is asked first
    lines: list[bytes] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    fate: str | None = None

    def __post_init__(self) -> None:
        self._wire: Wire | None = None
        self.was_cut = False  # by the test
        self._changed = Event()
        self.over_at = 0.0  # when it knew its fate
        self.greenlet: gevent.Greenlet | None = None

    def start(self) -> "Reader":
        """Follow it in a greenlet of its own."""
        self.greenlet = gevent.spawn(self.run)
        return self

    def join(self, seconds: float = PATIENCE_S) -> None:
        """Wait until it knows its fate."""
        self.greenlet.join(seconds)
        if self.fate is None:
            self.fate = "tired"
            self.leave()

    def run(self) -> None:
        """Read until the fate is known."""
        until = time.monotonic() + PATIENCE_S
        while self.fate is None and time.monotonic() < until:
            self._read_once()
            if self.fate is None:
                gevent.sleep(PAUSE_S)
        self.fate = self.fate or "tired"
        self.over_at = time.monotonic()
        self._changed.set()

    @property
    def last(self) -> int:
        """Return the number up to which it has heard."""
        return len(self.lines)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return what it heard."""
        return [json.loads(line) for line in self.lines]

    @property
    def end(self) -> dict[str, Any] | None:
        """Return the end, if it heard it."""
        last = self.events[-1:] or [{}]
        return last[0] if last[0].get("type") in {"finish", "error"} else None

    def hears(self, number: int, within_s: float = PATIENCE_S) -> bool:
        """Wait until it has heard that event, or cannot any more; tell whether it has."""
        until = time.monotonic() + within_s
        while self.last < number and self.fate is None and time.monotonic() < until:
            self._changed.clear()
            self._changed.wait(until - time.monotonic())
        return self.last >= number

    def cut(self, *, reset: bool = False) -> None:
        """Break its connection; it will come back."""
        wire, self.was_cut = self._wire, True
        if wire is not None:
            wire.reset() if reset else wire.cut()

    def leave(self) -> None:
        """Let it go away and not come back."""
        self.fate = self.fate or "left"
        self.cut()

    def cancel(self) -> int:
        """Ask any process to end the stream; return the status."""
        return ask(self.random.choice(self.ports()), "DELETE", f"/v1/streams/{self.stream}")[0]

    def _port(self) -> int:
        """Take the one that was named, or any but the one that has just sent it away."""
        first, self.first = self.first, None
        sent_away = {one.port for one in self.readings[-1:] if one.ended == "drain"}
        ports = self.ports() or [NOBODY]
        return first or self.random.choice([one for one in ports if one not in sent_away] or ports)

    def _read_once(self) -> None:
        port = self._port()
        reading = Reading(port, self.last)
        self.readings.append(reading)
        sent = False
        try:
            with Wire(port) as self._wire:
                sent = True
                self._send(self._wire)
                self._follow(self._wire, reading)
        except (CutError, OSError):
            reading.ended = "cut" if reading.status == 200 else "refused"
        self._wire = None
        reading.over_at = time.monotonic()
        if sent and self.stream is None and self.key is None and reading.status in {None, 200}:
            self.fate = self.fate or "lost"  # it may have begun, and must not be begun again

    def _send(self, wire: Wire) -> None:
        named = {"Accept": self.encoding}
        if self.stream is None:
            keyed = {"Idempotency_Key": self.key} if self.key else {}
            body = {"prompt": self.prompt, "options": {"model": self.model, **self.options}}
            wire.send("POST", f"/v1/{self.use_case}", body, **named, **keyed)
        else:
            wire.send("GET", f"/v1/streams/{self.stream}", **named, Last_Event_ID=str(self.last))

    def _follow(self, wire: Wire, reading: Reading) -> None:
        reading.status, headers = wire.head()
        if reading.status != 200:
            body = b"".join(wire.body())
            reading.problem = json.loads(body)["type"] if body else None
            self._refused(reading)
            return
        self.stream = headers["gloss-stream"]
        self._changed.set()
        reading.ended = "cut"
        told = self._hear(wire)
        reading.ended = told
        if told == "end":
            self.fate = "ended"

    def _refused(self, reading: Reading) -> None:
        if reading.status == 503:
            return  # come back, elsewhere
        fates = {404: "gone", 204: "nothing"}
        self.fate = self.fate or fates.get(reading.status or 0, "refused")

    def _hear(self, wire: Wire) -> str:
        """Write down each line once it is whole; return how the body ended."""
        told = "clean"
        for line in whole_lines(wire.body(), self.encoding):
            if b'"type":"drain"' in line:
                told = "drain"
                continue
            self.lines.append(line)
            self.heard_at.append(time.monotonic())
            self._changed.set()
            if kind(line) in ENDS:
                told = "end"
        return told


def whole_lines(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield events as NDJSON has them, from either encoding; heartbeats are left out."""
    left = b""
    for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            if encoding == SSE:
                if line.startswith(b"data: "):
                    yield line.removeprefix(b"data: ") + b"\n"
            elif line:
                yield line + b"\n"


def kind(line: bytes) -> bytes:
    """Return an event's type."""
    return str(json.loads(line).get("type")).encode()
