"""What the core knows of sharing: publish this stream, find that one, let go of all."""

import secrets
from collections.abc import Callable

import msgspec

from services.cost.paying import State
from services.state.store import FIRST_EPOCH, Shared, Store, StoreDownError, Value
from services.streams.clock import Clock
from services.streams.known import Before
from services.streams.log import Log
from services.streams.sharing import facts as known
from services.streams.sharing.facts import Facts
from services.streams.sharing.follower import MESSAGE_S, Deliver, Follower
from services.streams.sharing.keeper import LEASE_S, Keeper
from services.streams.sharing.post import Asked, Message, Post, decode, encode
from services.streams.sharing.publisher import DISCARDED_S, Publication, Publisher
from services.streams.sharing.remote import Events, Named, Others, Remote
from services.streams.stream import Stopped, Stream
from services.streams.subjects import LAST_EPOCH, note

DAY_S = 86_400.0
# Between looks for a stream that may just have begun: a batch, and more where a process has its hands full.
LATE_S = (0.1, 0.2, 0.4)
ASKED_S = 2.0  # by then whoever asked for a log has found it and says so, or has given up
SETTLED_S = 2.0  # for what an ended stream said last to be stored
SLACK_S = 60.0  # a log outlives its deadline by so much, so that whoever takes it over finds it
TakeOver = Callable[[Facts, Log, int], None]


class Exchange:
    """One process's part in a store; ``shared`` is that store where other processes see it.

    Without others only those streams are published that must survive a restart: the ones with an
    idempotency key.
    """

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        store: Store,
        clock: Clock,
        *,
        shared: Shared | None,
        retention_s: float,
        events: Events,
        named: Named,
        local: Callable[[str], Stream | None],
        lost: Callable[[Stream], None],
        dropped: Callable[[Stream], None],
    ) -> None:
        self.store = store
        self.inbox = f"inbox:{secrets.token_hex(8)}"
        self._clock = clock
        self._shared = shared
        self._retention_s = retention_s
        self._events = events
        self._local = local
        self._dropped = dropped
        self._publisher = Publisher(store, clock, lost)
        self._others = _others(shared, clock, self.inbox, self._receive, self._asked) if shared else None
        self.remote = Remote(store, clock, events=events, named=named, others=self._others)
        self._keeper: Keeper | None = None

    @property
    def is_shared(self) -> bool:
        """Tell whether other processes can go on with what this one makes."""
        return self._shared is not None

    @property
    def unsent(self) -> bool:
        """Tell whether the store does not have all yet that is to be there when this process ends."""
        return self._publisher.busy or (self._others is not None and self._others.post.busy)

    @property
    def waiting(self) -> int:
        """Return how many logs have something that is not stored yet."""
        return self._publisher.waiting

    def open(self, take_over: TakeOver) -> None:
        """Listen to others and look after what a process left behind that is no more."""
        self._keeper = Keeper(
            self.store,
            self._clock,
            publisher=self._publisher,
            remote=self.remote,
            post=self._others.post if self._others else None,
            take_over=lambda name, epoch: self._seized(name, epoch, take_over),
        )
        if self._others is None:
            self._keeper.sweep()
        else:
            self.start()

    def start(self) -> None:
        """Take part, or take part again."""
        if self._others is not None and self._keeper is not None:
            for part in (self._others.follower, self._keeper, self._publisher):
                part.start()

    def retire(self) -> None:
        """Take over nothing any more: this process is to stop, and lets go of its own streams too."""
        if self._keeper is not None:
            self._keeper.retired = True

    def stop(self) -> None:
        """Take part no more, at once and without a word, as a process that dies does."""
        others = (self._others.follower, self._others.post) if self._others else ()
        for part in (self._publisher, self._keeper, *others):
            if part is not None:
                part.stop()

    def publish(  # noqa: PLR0913 - what is known of a stream
        self,
        stream: Stream,
        *,
        sent: dict[str, object],
        session: str | None,
        deadline_s: float,
        keyed: bool,
        paid: State | None = None,
    ) -> None:
        """Store the stream's log from now on, where somebody may need it there."""
        if self._shared is None and not keyed:
            return
        kept_s = DAY_S if keyed else self._retention_s
        facts = Facts.of(stream, inbox=self.inbox, sent=sent, session=session, kept_s=kept_s, paid=paid)
        self._publish(stream, facts, FIRST_EPOCH, deadline_s, ended_s=kept_s)

    def go_on(self, stream: Stream, facts: Facts, epoch: int, deadline_s: float) -> None:
        """Publish a stream that was taken over: what its log holds now is stored already."""
        facts = msgspec.structs.replace(facts, inbox=self.inbox, handed=None, torn=stream.torn)
        stored = stream.log.last_id
        self._publish(stream, facts, epoch, deadline_s, ended_s=facts.kept_s, stored=stored)

    def find(self, stream_id: str) -> Stream | None:
        """Return a stream that is not here; raises StoreDownError.

        One that has just begun at another process is stored a moment later: it is looked for again.
        """
        found = self.remote.find(stream_id)
        for pause_s in LATE_S if self._shared else ():
            if found is None:
                self._clock.sleep(pause_s)
                found = self.remote.find(stream_id)
        return found

    def ask_for(self, stream_id: str, inbox: str) -> None:
        """Have another process publish what it has not told others of; raises StoreDownError."""
        if self._shared is not None:
            message = Message(op="share", sender=self.inbox, stream=stream_id)
            self._shared.send(inbox, encode(message), MESSAGE_S)

    def hand_over(self, stream: Stream, before: Before, seconds: float) -> bool:
        """Let another process go on with a stream whose producer has stopped; tell whether it can."""
        return self._shared is not None and self._publisher.hand_over(stream, before, seconds)

    def forget(self, stream: Stream) -> None:
        """Keep of an ended stream, for a day, only that it was there; raises StoreDownError.

        The process that made it is told to keep nothing either.
        """
        if not stream.is_copy and not stream.settle(SETTLED_S):
            raise StoreDownError  # what is on its way there would be stored over this
        name = known.key_of(stream.id)
        value = self.store.get(name)
        facts = known.decode(value) if value else Facts.of(stream, inbox="", sent={}, session=None, kept_s=0)
        if self._shared is not None and facts.inbox not in {"", self.inbox}:
            message = Message(op="cancel", sender=self.inbox, stream=stream.id, discard=True, forwarded=True)
            self._shared.send(facts.inbox, encode(message), MESSAGE_S)
        note(self.store, stream.owner, name, DAY_S)
        left = known.encode(msgspec.structs.replace(facts, discarded=True, inbox=""))
        self.store.put_all([Value(name, left, DAY_S), Value(known.sent_of(stream.id), b"", 0)])
        if value:
            self.store.append(known.log_of(stream.id), LAST_EPOCH, 1, [], DISCARDED_S)

    def interrupt(self, stream: Stream, cause: BaseException) -> None:
        """Have a stream stopped that is another process's by now, or soon will be."""
        if self._others is not None:
            self._others.interrupt(stream.id, cause)

    def _publish(  # noqa: PLR0913 - see above
        self, stream: Stream, facts: Facts, epoch: int, deadline_s: float, *, ended_s: float, stored: int = 0
    ) -> None:
        if self._others is not None and self._keeper is not None:
            stream.confirm, stream.doubtful = self._keeper.confirm, self._keeper.doubtful
        self._publisher.publish(
            Publication(
                stream=stream,
                facts=facts,
                epoch=epoch,
                stored=stored,
                running_s=deadline_s + ended_s + SLACK_S,
                ended_s=ended_s,
                lease_s=LEASE_S if self._shared else DAY_S,
            )
        )

    def _seized(self, name: str, epoch: int, take_over: TakeOver) -> None:
        stream_id = known.id_of(name)
        value = self.store.get(known.key_of(stream_id))
        facts = known.decode(value) if value else None
        log = Log(self._events(facts.use_case) if facts else ())
        log.copy(self.store.read(name, 0))
        if facts is None or not log.last_id or log.end is not None:
            self.store.release([name])  # it came to its end, or never to its beginning
        else:
            take_over(known.with_sent(facts, self.store.get(known.sent_of(stream_id))), log, epoch)

    def _receive(self, record: bytes) -> None:
        message: Message = decode(record)
        stream = self._local(message.stream)
        if self._keeper is None or self._others is None:
            return
        if stream is None:
            self._others.post.forward(message)
            return
        if message.op == "cancel":
            stream.throw(Stopped(message.reason, discard=message.discard))
            if message.discard and stream.log.end is not None:
                self._dropped(stream)
        elif message.op == "share":
            self._share(stream)
        elif message.op in {"present", "absent"}:
            self._keeper.heard(message, stream.presence)

    def _share(self, stream: Stream) -> None:
        """Publish what only this process knew of; whoever asks counts as present until it says so itself."""
        stream.presence.enter()
        stream.presence.leave(held_s=ASKED_S)
        if not self._publisher.has(stream):
            left_s = stream.deadline_at - self._clock.monotonic()
            paid = stream.reservation.state if stream.reservation else None
            self.publish(stream, sent={}, session=None, deadline_s=left_s, keyed=False, paid=paid)

    def _asked(self, stream_id: str, facts: Facts | None) -> None:
        self.remote.looked_after(stream_id, facts)


def _others(shared: Shared, clock: Clock, inbox: str, receive: Deliver, asked: Asked) -> Others:
    return Others(Follower(shared, clock, inbox, receive), Post(shared, clock, inbox, asked))
