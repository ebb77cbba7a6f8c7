"""Generations that another process makes: each is claimed in the store, so that one makes it for all.

    claim ──▶ ours: make it, unless it was kept meanwhile
      └─────▶ theirs: ask them to publish its log, and copy what comes
                        ├─▶ its end: ours too
                        └─▶ broken off: make it here, from the beginning; what was shown is swallowed

Its log is published only when somebody asks for it, so what nobody else wants costs no more than
a claim. Where the store is away each process makes its own, as it would without others.
"""

import logging
from collections.abc import Iterator

import gevent
import msgspec
from gevent.event import Event as Signal

from services.errors import ShuttingDown
from services.events import Error, Event, Finish, Foreign
from services.state.store import StoreDownError
from services.streams.answers.flight import Flight
from services.streams.log import Log
from services.streams.sharing.exchange import Exchange
from services.streams.stream import Stream
from services.telemetry import log_failure

log = logging.getLogger("gloss.sharing")

# What a generation ends with that was stopped where it was made, and not because it had to.
STOPPED = frozenset({"cancelled", "disconnected"})
GONE = f"/problems/{ShuttingDown.slug}"


class _Claim(msgspec.Struct, frozen=True, array_like=True):
    inbox: str
    stream: str


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(_Claim).decode


class Elsewhere:
    """What this process knows of other processes' generations."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def begin(self, flight: Flight) -> None:
        """Make a flight here, or follow another process's; who asked does not wait for it."""
        greenlet = gevent.Greenlet(self._begin, flight)
        flight.stream.interrupt = lambda _cause: greenlet.kill(block=False)
        greenlet.link(lambda _: _given_up(flight))
        greenlet.start()

    def release(self, flight: Flight) -> None:
        """Let another generation be claimed: this one is found in the cache by now, or is of no use."""
        gevent.spawn(self._release, flight)

    def _begin(self, flight: Flight) -> None:
        try:
            source = self._source(flight)
            if source is None and flight.serve():  # it was kept while this stream waited for its slot
                return
        except StoreDownError:
            source = None  # each on its own, as without others
        except Exception as error:  # noqa: BLE001 - another release may have written what cannot be read
            log_failure(log, "a generation of another process could not be found", error)
            source = None
        if source is None or not _copied(source, flight):
            flight.make()

    def _source(self, flight: Flight) -> Stream | None:
        """Claim it; return the stream of the process that has the claim, if it answers."""
        store, name, ours = self._exchange.store, _name(flight.key), self._claim_of(flight)
        kept_s = flight.stream.deadline_at - flight.stream.clock.monotonic()
        while not store.swap(name, None, ours, kept_s):
            value = store.get(name)
            if value is None:
                continue  # it was released just now
            claim = decode(value)
            source = self._shared(claim) if claim.inbox != self._exchange.inbox else None
            if source is not None:
                return source
            if store.swap(name, value, ours, kept_s):  # its process is gone, or too busy
                return None
        return None

    def _shared(self, claim: _Claim) -> Stream | None:
        self._exchange.ask_for(claim.stream, claim.inbox)
        found = self._exchange.find(claim.stream)
        return found if found is not None and not found.log.broken else None

    def _release(self, flight: Flight) -> None:
        try:
            self._exchange.store.swap(_name(flight.key), self._claim_of(flight), None, 0.0)
        except StoreDownError:
            return  # whoever finds nobody behind it takes it

    def _claim_of(self, flight: Flight) -> bytes:
        return encode(_Claim(self._exchange.inbox, flight.stream.id))


def _name(key: str) -> str:
    return f"flight:{key}"


def _given_up(flight: Flight) -> None:
    """Let nobody wait for a flight whose last reader left before it was known who makes it."""
    if flight.maker is not None:
        flight.dismiss()
        flight.stream.log.break_off()


def _new(log: Log, after: int) -> Iterator[tuple[Event, bytes]]:
    return zip(log.after(after), log.lines(after), strict=True)


def _breaks_off(event: Event) -> bool:
    """Tell whether this is no end for others, or a word of a release that knows more."""
    if isinstance(event, Error):
        return bool(event.problem["type"] == GONE)
    return isinstance(event, Foreign) or (isinstance(event, Finish) and event.reason in STOPPED)


def _is_capped(source: Stream) -> bool:
    try:
        return source.at_cap()
    except StoreDownError:
        return False


def _copied(source: Stream, flight: Flight) -> bool:
    """Copy another process's log as it grows; tell whether that brought it to its end."""
    theirs, ours = source.log, flight.stream.log
    grown = Signal()
    flight.free = True  # it is billed where it is made
    theirs.watch(grown.set)
    source.presence.enter()
    try:
        while not theirs.broken:
            grown.clear()
            for event, line in _new(theirs, ours.last_id):
                if _breaks_off(event):
                    return False
                ours.copy([line])
            if ours.end is not None:
                flight.followed(capped=_is_capped(source))
                return True
            grown.wait()
        return False
    finally:
        source.presence.leave()
        theirs.unwatch(grown.set)
        flight.free = ours.end is not None
