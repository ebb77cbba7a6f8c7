"""Puts this process's logs into the store, in batches: nobody who reads or writes a log waits for it.

A log keeps all its lines until it is forgotten, so nothing is lost while the store is away:
what is missing there is sent when it is back, from where the store says that it stands.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import gevent
import msgspec
from gevent.event import Event as Signal

from services.state.store import FIRST_EPOCH, FencedError, Store, StoreDownError
from services.streams.clock import Clock
from services.streams.sharing import facts as known
from services.streams.sharing.facts import Facts
from services.streams.stream import Stream

log = logging.getLogger("gloss.sharing")

BATCH_S = 0.05  # what comes within it goes in one batch (reliability: stored within 50 ms)
AWAY_S = 0.5  # between two tries while the store is away
MOST_LINES = 1_000  # of one log in one batch


@dataclass(eq=False, kw_only=True)
class Publication:
    """One log on its way into the store; ``stored`` is the last number that is there.

    ``running_s`` and ``ended_s`` are how long the store keeps it, from the last batch and from
    its end.
    """

    stream: Stream
    facts: Facts
    running_s: float
    ended_s: float
    lease_s: float
    epoch: int = FIRST_EPOCH
    stored: int = 0
    told: bool = False  # the facts stand in the store
    settled: Signal = field(default_factory=Signal)

    @property
    def name(self) -> str:
        """Return the log's name in the store."""
        return known.log_of(self.stream.id)

    @property
    def complete(self) -> bool:
        """Tell whether all that there is is stored."""
        return self.stored == self.stream.log.last_id


class Publisher:
    """One greenlet that stores what has changed; ``lost`` is told of logs that another process took."""

    def __init__(self, store: Store, clock: Clock, lost: Callable[[Stream], None]) -> None:
        self._store = store
        self._clock = clock
        self._lost = lost
        self._open: dict[str, Publication] = {}
        self._changed: dict[Publication, None] = {}
        self._signal = Signal()
        self._greenlet: gevent.Greenlet[[], None] | None = None

    @property
    def running(self) -> Collection[str]:
        """Return the names of the logs that are held: published and not ended."""
        return [one.name for one in self._open.values() if one.told]

    def publish(self, publication: Publication) -> None:
        """Store this log from now on, until its end is stored."""
        self._open[publication.stream.id] = publication
        publication.stream.settle = lambda seconds: self._settle(publication, seconds)
        publication.stream.log.watch(lambda: self._note(publication))
        self._note(publication)
        self.start()

    def start(self) -> None:
        """Begin to store what changes; twice is fine."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop in the middle of whatever it does."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)

    def lose(self, logs: Collection[str]) -> None:
        """Stop publishing these: they are another process's now."""
        for name in logs:
            publication = self._open.pop(known.id_of(name), None)
            if publication is not None:
                self._changed.pop(publication, None)
                self._lost(publication.stream)

    def hand_over(self, stream: Stream, seconds: float) -> bool:
        """Store what is missing and let another process take over; tell whether that was possible."""
        publication = self._open.get(stream.id)
        if publication is None:
            return False
        publication.facts = msgspec.structs.replace(publication.facts, handed=stream.usage())
        publication.told = False
        self._settle(publication, seconds)
        if not (publication.told and publication.complete):
            return False
        del self._open[stream.id]
        try:
            self._store.let_go([publication.name])
        except StoreDownError:
            return True  # the lease lapses by itself, a few seconds later
        return True

    def _note(self, publication: Publication) -> None:
        if publication.stream.id in self._open:
            self._changed[publication] = None
            self._signal.set()

    def _settle(self, publication: Publication, seconds: float) -> None:
        """Wait until all that stands in the log now is stored, or so long."""
        if publication.stream.id in self._open and not (publication.told and publication.complete):
            publication.settled.clear()
            self._note(publication)
            publication.settled.wait(seconds)

    def _run(self) -> None:
        while True:
            self._signal.wait()
            self._signal.clear()
            try:
                self._store_all()
            except StoreDownError:
                log.warning("the store cannot be reached; %d logs wait", len(self._changed))
                self._signal.set()
                self._clock.sleep(AWAY_S)
            self._clock.sleep(BATCH_S)

    def _store_all(self) -> None:
        for publication in list(self._changed):
            del self._changed[publication]
            try:
                self._store_one(publication)
            except FencedError as fenced:
                self.lose(fenced.logs)
            except StoreDownError:
                self._changed[publication] = None
                raise

    def _store_one(self, publication: Publication) -> None:
        log = publication.stream.log
        if not publication.told:
            self._tell(publication)
            self._store.lease([publication.name], publication.lease_s)
            publication.told = True
        while lines := log.lines(publication.stored, MOST_LINES):
            self._append(publication, lines)
        if log.end is not None:
            self._close(publication)
        publication.settled.set()

    def _append(self, publication: Publication, lines: list[bytes]) -> None:
        first, before = publication.stored + 1, publication.stored
        last = self._store.append(publication.name, publication.epoch, first, lines, publication.running_s)
        publication.stored = last
        if last < before:  # the store came back empty
            self._tell(publication)
            self._store.lease([publication.name], publication.lease_s)

    def _tell(self, publication: Publication) -> None:
        value = known.encode(publication.facts)
        self._store.put(known.key_of(publication.stream.id), value, publication.running_s)

    def _close(self, publication: Publication) -> None:
        """Keep it as long as was agreed from its end on; nobody needs to look after it any more."""
        stream = publication.stream
        facts = msgspec.structs.replace(publication.facts, whole=stream.whole)
        self._store.put(known.key_of(stream.id), known.encode(facts), publication.ended_s)
        self._store.append(
            publication.name, publication.epoch, publication.stored + 1, [], publication.ended_s
        )
        self._store.release([publication.name])
        self._open.pop(stream.id, None)
