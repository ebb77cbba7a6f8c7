"""A stream that another process makes, as if it were here: its log is a copy that grows.

The copy grows while somebody here reads it. Whoever reads counts as present there too: the
process is told, again and again, until the last one here has left.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakValueDictionary

from services.cost.tally import Tally
from services.events import Event, Start, Usage, joined_text, number_and_type
from services.llm import Tokens
from services.state.store import Store
from services.streams.clock import Clock
from services.streams.log import Log
from services.streams.models import Model
from services.streams.sharing import facts as known
from services.streams.sharing.facts import Facts
from services.streams.sharing.follower import Follower
from services.streams.sharing.post import Post
from services.streams.stream import Stopped, Stream

MISSED_S = 6.0  # a store that came back empty is told again of what runs within a few seconds

Events = Callable[[str], Sequence[type[Event]]]
Named = Callable[[str], Model]


@dataclass(frozen=True)
class Others:
    """How other processes are heard and spoken to."""

    follower: Follower
    post: Post

    def interrupt(self, stream_id: str, cause: BaseException) -> None:
        """Ask the process that makes a stream to stop it."""
        if isinstance(cause, Stopped):
            self.post.cancel(stream_id, cause.reason, discard=cause.discard)


class Remote:
    """Finds streams in the store; ``events`` gives a use case's own types, ``named`` a model."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        events: Events,
        named: Named,
        others: Others | None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._named = named
        self._others = others
        self._read: dict[str, Stream] = {}
        self._missed: dict[str, float] = {}
        self._copies: WeakValueDictionary[str, Stream] = WeakValueDictionary()

    @property
    def read_here(self) -> list[str]:
        """Return the ids of running streams that somebody reads here."""
        return list(self._read)

    def find(self, stream_id: str) -> Stream | None:
        """Return the stream as it stands in the store; raises StoreDownError.

        All who ask for it get the same copy: it grows for all as long as one reads it.
        """
        if stream_id in self._read:
            return self._read[stream_id]
        value = self._store.get(known.key_of(stream_id))
        if value is None:
            return None
        facts = known.decode(value)
        if facts.discarded:
            return self._gone(facts)
        copy = self._copies.get(stream_id)
        after = copy.log.last_id if copy else 0
        lines = self._store.read(known.log_of(stream_id), after)
        copy = self._copies.get(stream_id) or self._copy(facts)  # somebody else may have made one meanwhile
        copy.log.copy(lines[max(0, copy.log.last_id - after) :])
        copy.torn = facts.torn
        return copy if copy.log.last_id else None

    def _gone(self, facts: Facts) -> Stream:
        """Return what is left of an answer that was taken back: whose it was."""
        return Stream(
            id=facts.id, owner=facts.owner, use_case=facts.use_case, model=facts.model, clock=self._clock,
            is_copy=True, discarded=True, gone=True,
        )  # fmt: skip

    def _copy(self, facts: Facts) -> Stream:
        log = Log(self._events(facts.use_case))
        stream = self._copies[facts.id] = Stream(
            id=facts.id,
            owner=facts.owner,
            use_case=facts.use_case,
            model=facts.model,
            clock=self._clock,
            log=log,
            is_copy=True,
            own_cap=facts.own_cap,
            answer=facts.answer,
            session=facts.session,
            usage=lambda: self.estimated(log, facts.model),
            at_cap=lambda: self._whole(facts.id),
        )
        others = self._others
        if others is not None:
            begin, leave = partial(self._begin, stream, others), partial(self._leave, stream, others)
            stream.presence = Guests(begin, leave, self._clock)
            stream.interrupt = partial(others.interrupt, facts.id)
        return stream

    def estimated(self, log: Log, model: str) -> Usage:
        """Return what a stream has used as far as its log tells, counted here."""
        if log.end is not None:
            usage: Usage = log.end.usage  # type: ignore[attr-defined]  # an end has one
            return usage
        events = log.after(0)
        asked = events[0].input_tokens if events and isinstance(events[0], Start) else 0
        maker = self._named(model)
        tally = Tally(maker.price)
        said = maker.counter.count(joined_text(events))
        tally.add(Tokens(input=asked, output=said), maker.price, estimated=True)
        return tally.usage()

    def _whole(self, stream_id: str) -> bool:
        """Ask after the end: only the process that made the text knows why it was cut."""
        value = self._store.get(known.key_of(stream_id))
        return value is not None and known.decode(value).whole

    def looked_after(self, stream_id: str, facts: Facts | None) -> None:
        """Note what the store knows of a stream that is read here; cut readers off where no end will come.

        Its process died and the store has forgotten both; or the end stands at a number that was
        shown here already as something else, before the store lost that.
        """
        stream = self._read.get(stream_id)
        if stream is None or (facts is not None and not facts.torn):
            self._missed.pop(stream_id, None)
        elif self._clock.monotonic() - self._missed.setdefault(stream_id, self._clock.monotonic()) > MISSED_S:
            del self._missed[stream_id]
            self._copies.pop(stream_id, None)
            stream.log.break_off()

    def _begin(self, stream: Stream, others: Others) -> None:
        if stream.log.end is not None:
            return
        name = known.log_of(stream.id)
        self._read[stream.id] = stream
        others.follower.follow(name, stream.log.last_id, lambda line: self._grow(stream, line, others))
        others.post.say("wake")  # the call that waits does not know of this log
        others.post.say("present", stream.id)

    def _leave(self, stream: Stream, others: Others, held_s: float = 0) -> None:
        if self._read.pop(stream.id, None) is not None:
            others.follower.leave(known.log_of(stream.id))
            others.post.say("absent", stream.id, held_s=held_s)

    def _grow(self, stream: Stream, line: bytes, others: Others) -> None:
        if int(number_and_type(line)[0]) > stream.log.last_id:  # else it was in the copy already
            stream.log.copy([line])
        if stream.log.end is not None:
            self._leave(stream, others)


class Guests:
    """Counts readers of a copy, as ``Presence`` does at home: the first and the last are told of."""

    def __init__(self, first: Callable[[], None], last: Callable[[float], None], clock: Clock) -> None:
        """``last`` is told for how many seconds more whoever left counts as there."""
        self._first = first
        self._last = last
        self._clock = clock
        self._there = 0
        self._held_until = -math.inf

    def __len__(self) -> int:
        """Return how many are there."""
        return self._there

    def enter(self) -> None:
        """Count one who comes."""
        self._there += 1
        if self._there == 1:
            self._first()

    def leave(self, *, held_s: float = 0) -> None:
        """Count one who goes; at home, so much later: this process may be gone by then."""
        now = self._clock.monotonic()
        self._there -= 1
        self._held_until = max(self._held_until, now + held_s)
        if not self._there:
            self._last(max(0.0, self._held_until - now))
