"""Messages between processes: cancel this stream, somebody reads it here, nobody does any more."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import gevent
import msgspec
from gevent.queue import SimpleQueue

from services.events import FinishReason
from services.state.store import Shared, StoreDownError
from services.streams.clock import Clock
from services.streams.sharing import facts as known
from services.streams.sharing.follower import MESSAGE_S

AWAY_S = 0.5

Op: TypeAlias = Literal["cancel", "present", "absent", "wake"]


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one process tells another of a stream that the other one makes; ``sender`` is an inbox."""

    op: Op
    sender: str
    stream: str = ""
    reason: FinishReason = "cancelled"


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode


class Post:
    """Sends from a greenlet of its own: who has something to say, the hub among them, never waits."""

    def __init__(self, store: Shared, clock: Clock, inbox: str) -> None:
        self.inbox = inbox
        self._store = store
        self._clock = clock
        self._waiting: SimpleQueue[Message] = SimpleQueue()
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def say(self, op: Op, stream: str = "", reason: FinishReason = "cancelled") -> None:
        """Tell the process that makes the stream; without a stream, this one itself."""
        self._waiting.put(Message(op=op, sender=self.inbox, stream=stream, reason=reason))
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop in the middle of whatever it does."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)

    def _run(self) -> None:
        while True:
            message = self._waiting.get()
            until = self._clock.monotonic() + MESSAGE_S
            while self._clock.monotonic() < until:
                try:
                    self._send(message)
                except StoreDownError:
                    self._clock.sleep(AWAY_S)
                else:
                    break

    def _send(self, message: Message) -> None:
        inbox = self._inbox_of(message.stream) if message.stream else self.inbox
        if inbox:
            self._store.send(inbox, encode(message), MESSAGE_S)

    def _inbox_of(self, stream: str) -> str | None:
        """Ask again each time: the stream may have been taken over by another process."""
        value = self._store.get(known.key_of(stream))
        return known.decode(value).inbox if value else None


Receive: TypeAlias = Callable[[Message], None]
