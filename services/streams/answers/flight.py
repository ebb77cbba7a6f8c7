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
from typing import Protocol

import gevent
import msgspec

from services.events import Finish, Usage, number_and_type
from services.state.store import StoreDownError
from services.streams.answers.bill import FREE, is_nothing, minus, plus
from services.streams.answers.cache import Answer, Cache
from services.streams.known import Said
from services.streams.stream import Stream

# What is told of how an answer is made is no part of it.
PASSING = frozenset({"queued", "thinking", "provider-retry", "provider-fallback", "parameter-dropped"})


NOTICE = b'"notice"'


class Maker(Protocol):
    """Who can make a flight's answer; of the three, one is done, once."""

    def make(self, flight: "Flight") -> None:
        """Ask the provider."""

    def serve(self, flight: "Flight") -> bool:
        """Give what was kept meanwhile; tell whether there was anything."""

    def dismiss(self) -> None:
        """Give back what was held for it."""


class Others(Protocol):
    """What is known of other processes' flights."""

    def begin(self, flight: "Flight") -> None:
        """Have it made here, or follow the one of another process."""

    def release(self, flight: "Flight") -> None:
        """Let it be made by others again."""


class Ticket:
    """Stands for one stream that reads a flight, or will."""


@dataclass(kw_only=True, eq=False)
class Flight:
    """One generation, which may take ``deadline_s``; it is ``free`` where another process is billed.

    ``answered()`` gives its calls' whole answers so far. It is kept for others if it ends as complete,
    ``true_to_key()`` says that it is what its key promises, and its use case gave no notice of those
    codes that mean ``doubts``. ``lowered_to`` is its output cap where its budget allows less than was asked.
    """

    key: str
    stream: Stream
    input_tokens: int
    deadline_s: float
    maker: Maker | None
    answered: Callable[[], tuple[Said | None, ...]] = tuple
    true_to_key: Callable[[], bool] = lambda: False
    doubts: frozenset[str] = frozenset()
    lowered_to: int | None = None
    begun: bool = False
    discarded: bool = False
    free: bool = False
    _there: list[Ticket] = field(default_factory=list)
    _billed: Usage | None = None

    def enter(self) -> Ticket:
        """Count one who reads, or waits until it may."""
        ticket = Ticket()
        self._there.append(ticket)
        self.stream.presence.enter()
        return ticket

    @property
    def has_one(self) -> bool:
        """Tell whether one stream wants it and no other, here or elsewhere."""
        return len(self.stream.presence) == 1

    @property
    def is_joinable(self) -> bool:
        """Tell whether it is not being stopped."""
        return not self.begun or self.stream.interrupt is not None or self.stream.log.end is not None

    def begin(self, others: Others | None) -> None:
        """Start it, if it is not started yet."""
        if self.begun:
            return
        self.begun = True
        self.stream.deadline_at = self.stream.clock.monotonic() + self.deadline_s
        if others is None:
            self.make()
        else:
            others.begin(self)

    def make(self) -> None:
        """Make it here."""
        maker, self.maker = self.maker, None
        if maker is not None:
            maker.make(self)

    def serve(self) -> bool:
        """Take it from the cache, if it is there."""
        served = self.maker is not None and self.maker.serve(self)
        if served:
            self.dismiss()
        return served

    def followed(self, *, capped: bool) -> None:
        """Note that another process has made it, and whether it is as long as its cap."""
        self.stream.at_cap = lambda: capped
        self.dismiss()

    def dismiss(self) -> None:
        """Give back what was held for making it here."""
        maker, self.maker = self.maker, None
        if maker is not None:
            maker.dismiss()

    def bill(self, ticket: Ticket) -> Usage:
        """Return what this reader would be billed if it left now: all that is not billed yet, or nothing."""
        if self.free or self._there[0] is not ticket:
            return FREE
        used = self.stream.usage()
        left = used if self._billed is None else minus(used, self._billed)
        return FREE if self._billed is not None and is_nothing(left) else left

    def leave(self, ticket: Ticket) -> Usage:
        """Count one who goes, and return its bill; the last one waits until the provider is closed."""
        was_last = self.has_one
        self.stream.presence.leave()
        if was_last and not self.begun:
            self.begun = True
            self.dismiss()
        elif was_last:
            self.stream.await_end()
        bill = self.bill(ticket)
        if not bill.from_cache:
            self._billed = bill if self._billed is None else plus(self._billed, bill)
        self._there.remove(ticket)
        return bill

    def answer(self, longest: int) -> Answer | None:
        """Return what may be kept of it, None if nothing may or it has more bytes than that."""
        log = self.stream.log
        whole = isinstance(log.end, Finish) and log.end.reason == "stop" and self.true_to_key()
        if not whole or self.discarded or sum(map(len, log.lines(0))) > longest:
            return None
        lines = [line for line in log.lines(0)[1:-1] if _notice(line) not in PASSING]
        if any(_notice(line) in self.doubts for line in lines):
            return None
        return Answer(input_tokens=self.input_tokens, lines=tuple(lines))


class Flights:
    """The generations of this process that several may read, by their keys."""

    def __init__(self, cache: Cache, others: Others | None) -> None:
        self.cache = cache
        self.others = others
        self._all: dict[str, Flight] = {}

    @property
    def running(self) -> list[Stream]:
        """Return the streams behind those that have begun and not ended."""
        return [one.stream for one in self._all.values() if one.begun and one.stream.log.end is None]

    def here(self, stream_id: str) -> Stream | None:
        """Return the stream behind one of them."""
        return next((one.stream for one in self._all.values() if one.stream.id == stream_id), None)

    def get(self, key: str, until: float) -> Flight | None:
        """Return the generation of that key, if its time is not up before that (monotonic seconds)."""
        flight = self._all.get(key)
        if flight is None or not flight.is_joinable:
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
        if flight.has_one and flight.stream.log.end is None:
            self.forget(flight)
        return flight.leave(ticket)

    def ended(self, key: str, stream: Stream) -> None:
        """Keep the answer, if it may be kept; until that is done it is found here."""
        flight = self._all.get(key)
        if flight is None or flight.stream is not stream:
            return  # nobody wanted it to its end
        answer = flight.answer(self.cache.longest)
        if answer is None:
            self.forget(flight)
        else:
            gevent.spawn(self._keep, flight, answer)

    def discard(self, key: str) -> None:
        """Let this answer, running or kept, serve nobody who comes later; raises StoreDownError."""
        flight = self._all.get(key)
        if flight is not None:
            flight.discarded = True
            self.forget(flight)
        self.cache.drop(key)

    def _keep(self, flight: Flight, answer: Answer) -> None:
        self.cache.put(flight.key, flight.stream.owner, answer)
        self.forget(flight)
        if flight.discarded:  # while it was being kept
            try:
                self.cache.drop(flight.key)
            except StoreDownError:
                return  # then it was not kept either, most likely; its time is short in any case

    def forget(self, flight: Flight) -> None:
        """Let nobody find it any more."""
        if self._all.get(flight.key) is flight:
            del self._all[flight.key]
        if self.others is not None and flight.begun:
            self.others.release(flight)


def _notice(line: bytes) -> str | None:
    """Return a notice's code; None for any other event."""
    if NOTICE not in line or number_and_type(line)[1] != b"notice":
        return None
    return str(msgspec.json.decode(line)["code"])
