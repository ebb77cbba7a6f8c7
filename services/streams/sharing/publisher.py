"""Puts this process's logs into the store, in batches: nobody who reads or writes a log waits for it.

A log keeps all its lines until it is forgotten, so nothing is lost while the store is away:
what is missing there is sent when it is back, from where the store says that it stands.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import gevent
import msgspec
from gevent.event import Event as Signal

from services.state.store import FIRST_EPOCH, FencedError, Part, Store, StoreDownError, Value
from services.streams.clock import Clock
from services.streams.known import Before
from services.streams.sharing import facts as known
from services.streams.sharing.facts import Facts
from services.streams.stream import Stream
from services.streams.subjects import note
from services.telemetry import log_failure

log = logging.getLogger("gloss.sharing")

BATCH_S = 0.05  # what comes within it goes in one batch (reliability: stored within 50 ms)
AWAY_S = 0.5  # between two tries while the store is away
MOST_LINES = 200  # of one log in one batch
MOST_BYTES = 256 * 1024  # of values in one call
DISCARDED_S = 10.0  # for those who read a stream that is taken back to hear of its end
MOST_LOGS = 100  # in one batch: a server does nothing else meanwhile


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
    grown: Callable[[], None] = lambda: None  # the log has
    settled: Signal = field(default_factory=Signal)

    @property
    def name(self) -> str:
        """Return the log's name in the store."""
        return known.log_of(self.stream.id)

    @property
    def complete(self) -> bool:
        """Tell whether all that there is is stored."""
        return self.told and self.stored == self.stream.log.last_id

    @property
    def ends(self) -> bool:
        """Tell whether the next part holds the log's end."""
        return self.stream.log.end is not None and self.stream.log.last_id - self.stored <= MOST_LINES

    def told_first(self) -> tuple[Value, Value]:
        """Return what is stored before the log: the request's body, and what else is to be known."""
        stream, facts = self.stream, self.facts
        return (
            Value(known.sent_of(stream.id), known.encode_sent(facts), self.running_s),
            Value(known.key_of(stream.id), known.encode(facts), self.running_s),
        )

    def told_last(self) -> tuple[Value, ...]:
        """Return what is to be known after the end; of an answer that was taken back, nothing else."""
        stream, discarded = self.stream, self.stream.discarded
        facts = msgspec.structs.replace(self.facts, whole=stream.whole, discarded=discarded)
        last = Value(known.key_of(stream.id), known.encode(facts), self.ended_s)
        return (last, Value(known.sent_of(stream.id), b"", 0)) if discarded else (last,)

    def part(self, most: int = MOST_LINES) -> Part:
        """Return the lines that are to be stored next."""
        ended_s = DISCARDED_S if self.stream.discarded else self.ended_s
        ttl_s = ended_s if self.ends else self.running_s
        return Part(self.name, self.epoch, self.stored + 1, self.stream.log.lines(self.stored, most), ttl_s)


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

    @property
    def busy(self) -> bool:
        """Tell whether there are logs whose end is not stored, and which nobody else goes on with."""
        return bool(self._open)

    def has(self, stream: Stream) -> bool:
        """Tell whether this stream's log is being stored."""
        return stream.id in self._open

    @property
    def waiting(self) -> int:
        """Return how many logs are to be stored, or stored further."""
        return len(self._changed)

    def publish(self, publication: Publication) -> None:
        """Store this log from now on, until its end is stored."""
        self._open[publication.stream.id] = publication
        publication.stream.settle = lambda seconds: self._settle(publication, seconds)
        publication.grown = partial(self._note, publication)
        publication.stream.log.watch(publication.grown)
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
            publication = self._open.get(known.id_of(name))
            if publication is not None:
                self._close(publication)
                self._changed.pop(publication, None)
                publication.settled.set()
                self._lost(publication.stream)

    def check(self, *, emptied: bool) -> None:
        """Ask how every log stands in the store: lose what others took, store anew what is not there.

        Of a store that was ``emptied`` it may have been in the middle of a batch: a log can stand
        there, and nothing else that is known of its stream. Raises StoreDownError.
        """
        told = [one for one in self._open.values() if one.told]
        for at in range(0, len(told), MOST_LOGS):
            batch = told[at : at + MOST_LOGS]
            try:
                self._note_stored(batch, self._store.append_all([one.part(0) for one in batch]))
            except FencedError as fenced:
                self.lose(fenced.logs)
        for one in list(self._open.values()):
            one.told = one.told and not emptied
            self._note(one)

    def hand_over(self, stream: Stream, before: Before, seconds: float) -> bool:
        """Let another process go on with a log to which nothing is added any more.

        Tells whether that was possible: all of it must be stored first, within so long.
        """
        publication = self._open.get(stream.id)
        if publication is None or not self._settle(publication, seconds):
            return False
        self._close(publication)
        facts = msgspec.structs.replace(publication.facts, handed=before, inbox="")
        try:
            self._store.put(known.key_of(stream.id), known.encode(facts), publication.running_s)
            self._store.let_go([publication.name])
        except StoreDownError:
            return True  # the lease lapses by itself, a few seconds later
        return True

    def _close(self, publication: Publication) -> None:
        """Store it no more; stream and publication let go of each other, or both would stay."""
        stream, complete = publication.stream, publication.complete
        if self._open.pop(stream.id, None) is not None:
            stream.log.unwatch(publication.grown)
            publication.grown, stream.settle = (lambda: None), (lambda _seconds: complete)

    def _note(self, publication: Publication) -> None:
        if publication.stream.id in self._open:
            self._changed[publication] = None
            self._signal.set()

    def _settle(self, publication: Publication, seconds: float) -> bool:
        """Wait until all that stands in the log is stored, at most so long; tell whether it is."""
        until = self._clock.monotonic() + seconds
        while not publication.complete and publication.stream.id in self._open:
            left = until - self._clock.monotonic()
            publication.settled.clear()
            self._note(publication)
            if left <= 0 or not publication.settled.wait(left):
                break
        return publication.complete

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
            except Exception as error:  # noqa: BLE001 - what it left is tried again when it grows
                log_failure(log, "a batch of logs failed", error)
            self._clock.sleep(BATCH_S)

    def _store_all(self) -> None:
        """Store what has changed since, a batch after the other; what a batch leaves over comes again."""
        while self._changed:
            batch = list(self._changed)[:MOST_LOGS]
            try:
                self._store_batch(batch)
            except FencedError as fenced:
                self.lose(fenced.logs)
            for one in batch:
                self._changed.pop(one, None)
                if not one.complete or one.stream.log.end is not None:  # which may have come only now
                    self._note(one)  # at the end, behind those who waited longer

    def _store_batch(self, batch: Sequence[Publication]) -> None:
        new = [one for one in batch if not one.told]
        self._put(fact for one in new for fact in one.told_first())
        for one in new:
            note(self._store, one.stream.owner, known.key_of(one.stream.id), one.running_s)
        self._lease(new)
        ending = [one for one in batch if one.ends]
        for one in ending:
            one.stream.owed()
        self._put(fact for one in ending for fact in one.told_last())
        self._note_stored(batch, self._store.append_all([one.part() for one in batch]))
        done = [one for one in ending if one.complete]
        if done:
            self._store.release([one.name for one in done])
        for one in done:
            self._close(one)
        for one in batch:
            one.settled.set()

    def _put(self, values: Iterable[Value]) -> None:
        """Store values in as few calls as a call's time allows: a request's body may be large."""
        batch: list[Value] = []
        for value in values:
            if batch and sum(len(one.value) for one in batch) + len(value.value) > MOST_BYTES:
                self._store.put_all(batch)
                batch = []
            batch.append(value)
        if batch:
            self._store.put_all(batch)

    def _lease(self, new: Sequence[Publication]) -> None:
        for seconds in {one.lease_s for one in new}:
            held = [one for one in new if one.lease_s == seconds]
            self._store.lease([one.name for one in held], seconds)
            for one in held:
                one.told = True

    def _note_stored(self, batch: Sequence[Publication], lasts: Sequence[int | None]) -> None:
        taken = [one.name for one, last in zip(batch, lasts, strict=True) if last is None]
        for one, last in zip(batch, lasts, strict=True):
            if last is not None:
                one.told = one.told and last >= one.stored  # else the store came back empty
                one.stored = last
        if taken:
            raise FencedError(taken)
