"""One generation that several streams read: its log is found by those only who ask the same.

It is made as every stream is, by a producer and a pen; but its log has no address, and whether
anybody is there is told by the streams that read it. When the last of them has gone, for whatever
reason, its provider is closed. A stream that goes harms no other.

    begin ──▶ streams come and go, each reads from the first event on ──▶ end ──▶ kept, then forgotten
                └─▶ the last has gone ─▶ stopped

What it costs is billed to the stream that came first. Where that one leaves before the end, it is
billed what was used until then, and the next pays from there on: what all of them are billed adds
up to what was used, and nothing is billed twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
import msgspec
from gevent.event import Event as Signal

from services.events import Finish, Usage, number_and_type
from services.state.store import StoreDownError
from services.streams.answers.bill import FREE, is_nothing, minus, plus
from services.streams.answers.cache import Answer, Cache
from services.streams.known import Said
from services.streams.stream import Stream

# What is told of how an answer is made is no part of it.
PASSING = frozenset({"queued", "thinking", "provider-retry", "provider-fallback", "parameter-dropped"})


class Ticket:
    """Stands for one stream that reads a flight, or will."""


@dataclass(kw_only=True, eq=False)
class Flight:
    """One generation; ``answered()`` gives its calls' whole answers so far.

    ``start()`` begins it, ``dismiss()`` gives back what was held for one that nobody begins.
    It is kept for others if it ends as complete, ``true_to_key()`` says that it is what its key
    promises, and its use case gave no notice of those codes that mean ``doubts``.
    """

    key: str
    stream: Stream
    input_tokens: int
    start: Callable[[], None]
    dismiss: Callable[[], None]
    answered: Callable[[], tuple[Said | None, ...]] = tuple
    true_to_key: Callable[[], bool] = lambda: True
    doubts: frozenset[str] = frozenset()
    begun: bool = False
    discarded: bool = False
    _there: list[Ticket] = field(default_factory=list)
    _billed: Usage | None = None

    def enter(self) -> Ticket:
        """Count one who reads, or waits until it may."""
        ticket = Ticket()
        self._there.append(ticket)
        return ticket

    def is_last(self, ticket: Ticket) -> bool:
        """Tell whether nobody else wants it."""
        return self._there == [ticket]

    def begin(self) -> None:
        """Start it, if it is not started yet."""
        if not self.begun:
            self.begun = True
            self.start()
            self._let_go()

    def bill(self, ticket: Ticket) -> Usage:
        """Return what this reader would be billed if it left now: all that is not billed yet, or nothing."""
        if self._there[0] is not ticket:
            return FREE
        used = self.stream.usage()
        left = used if self._billed is None else minus(used, self._billed)
        return FREE if self._billed is not None and is_nothing(left) else left

    def leave(self, ticket: Ticket) -> Usage:
        """Count one who goes, and return its bill; the last one waits until the provider is closed."""
        if self.is_last(ticket):
            self._stop()
        bill = self.bill(ticket)
        if not bill.from_cache:
            self._billed = bill if self._billed is None else plus(self._billed, bill)
        self._there.remove(ticket)
        return bill

    def _stop(self) -> None:
        if not self.begun:
            self.begun = True
            self.dismiss()
            self._let_go()
        elif self.stream.log.end is None:
            self.stream.stop("disconnected")
            _await_end(self.stream)

    def _let_go(self) -> None:
        """Forget who makes it, which would keep both."""
        self.start = self.dismiss = _nothing

    def answer(self) -> Answer | None:
        """Return what may be kept of it, None if nothing may."""
        log = self.stream.log
        complete = isinstance(log.end, Finish) and log.end.reason == "stop"
        lines = [line for line in log.lines(0)[1:-1] if _notice(line) not in PASSING]
        doubtful = any(_notice(line) in self.doubts for line in lines)
        if not complete or doubtful or self.discarded or not self.true_to_key():
            return None
        return Answer(input_tokens=self.input_tokens, lines=tuple(lines))


class Flights:
    """The generations of this process that several may read, by their keys."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._all: dict[str, Flight] = {}

    def get(self, key: str, until: float) -> Flight | None:
        """Return the generation of that key, if its time is not up before that (monotonic seconds)."""
        flight = self._all.get(key)
        if flight is None:
            return None
        lasts = not flight.begun or flight.stream.log.end is not None or flight.stream.deadline_at >= until
        return flight if lasts else None

    def add(self, flight: Flight, until: float) -> Flight:
        """Let others find it; return the one that is wanted where another was added meanwhile."""
        there = self.get(flight.key, until)
        if there is not None:
            flight.dismiss()
            return there
        self._all[flight.key] = flight
        return flight

    def leave(self, flight: Flight, ticket: Ticket) -> Usage:
        """Count one who goes, and return its bill; nobody finds what nobody wanted to the end."""
        if flight.is_last(ticket) and flight.stream.log.end is None:
            self._forget(flight)
        return flight.leave(ticket)

    def ended(self, key: str, stream: Stream) -> None:
        """Keep the answer, if it may be kept; until that is done it is found here."""
        flight = self._all.get(key)
        if flight is None or flight.stream is not stream:
            return  # nobody wanted it to its end
        answer = flight.answer()
        if answer is None:
            self._forget(flight)
        else:
            gevent.spawn(self._keep, flight, answer)

    def discard(self, key: str) -> None:
        """Let this answer, running or kept, serve nobody who comes later; raises StoreDownError."""
        flight = self._all.pop(key, None)
        if flight is not None:
            flight.discarded = True
        self.cache.drop(key)

    def _keep(self, flight: Flight, answer: Answer) -> None:
        self.cache.put(flight.key, flight.stream.owner, answer)
        self._forget(flight)
        if flight.discarded:  # while it was being kept
            try:
                self.cache.drop(flight.key)
            except StoreDownError:
                return  # then it was not kept either, most likely; its time is short in any case

    def _forget(self, flight: Flight) -> None:
        if self._all.get(flight.key) is flight:
            del self._all[flight.key]


def _nothing() -> None:
    """Begin nothing, and give nothing back."""


def _notice(line: bytes) -> str | None:
    """Return a notice's code; None for any other event."""
    if number_and_type(line)[1] != b"notice":
        return None
    return str(msgspec.json.decode(line)["code"])


def _await_end(stream: Stream) -> None:
    gone = Signal()
    stream.log.watch(gone.set)
    while stream.log.end is None and not stream.log.broken:
        gone.wait()
        gone.clear()
    stream.log.unwatch(gone.set)
