"""Messages between processes: cancel this stream, somebody reads it here, nobody does any more."""

import logging
from collections.abc import Callable
from itertools import count
from typing import Literal, TypeAlias

import gevent
import msgspec
from gevent.queue import PriorityQueue

from services.events import FinishReason
from services.state.store import Shared, StoreDownError
from services.streams.clock import Clock
from services.streams.sharing import facts as known
from services.streams.sharing.facts import Facts
from services.streams.sharing.follower import MESSAGE_S
from services.telemetry import log_failure

log = logging.getLogger("gloss.sharing")

AWAY_S = 0.5

Op: TypeAlias = Literal["cancel", "present", "absent", "share", "wake"]


Asked: TypeAlias = Callable[[str, Facts | None], None]


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one process tells another of a stream that the other one makes; ``sender`` is an inbox.

    ``held_s``: whoever is absent counts as present for so long. ``discard``: what is cancelled is
    remembered nowhere.
    """

    op: Op
    sender: str
    stream: str = ""
    reason: FinishReason = "cancelled"
    held_s: float = 0.0
    discard: bool = False
    forwarded: bool = False


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode


class Post:
    """Sends from a greenlet of its own: who has something to say, the hub among them, never waits.

    ``asked`` is told what the store knows of a stream whenever it was asked.
    """

    def __init__(self, store: Shared, clock: Clock, inbox: str, asked: Asked) -> None:
        self.inbox = inbox
        self._store = store
        self._clock = clock
        self._asked = asked
        self._waiting: PriorityQueue[tuple[int, int, float, Message]] = PriorityQueue()
        self._numbers = count()
        self._sending = False
        self._greenlet: gevent.Greenlet[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Tell whether messages wait, or one is on its way."""
        return self._sending or not self._waiting.empty()

    def say(self, op: Op, stream: str = "", *, held_s: float = 0.0) -> None:
        """Tell the process that makes the stream; without a stream, this one itself."""
        self._put(Message(op=op, sender=self.inbox, stream=stream, held_s=held_s))

    def cancel(self, stream: str, reason: FinishReason, *, discard: bool) -> None:
        """Ask the process that makes the stream to stop it."""
        message = Message(op="cancel", sender=self.inbox, stream=stream, reason=reason, discard=discard)
        self._put(message)

    def forward(self, message: Message) -> None:
        """Send a cancel on, once, that came for a stream that is no longer made here."""
        if message.op == "cancel" and not message.forwarded:
            self._put(msgspec.structs.replace(message, forwarded=True))

    def _put(self, message: Message) -> None:
        self._wait(message, self._clock.monotonic() + MESSAGE_S)
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def _wait(self, message: Message, until: float) -> None:
        """Let a cancel go before all others, which come in their order."""
        self._waiting.put((message.op != "cancel", next(self._numbers), until, message))

    def stop(self) -> None:
        """Stop in the middle of whatever it does."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)

    def _run(self) -> None:
        while True:
            *_, until, message = self._waiting.get()
            self._sending = True
            try:
                self._deliver(message, until)
            except Exception as error:  # noqa: BLE001 - another release may have written what cannot be read
                log_failure(log, "a message could not be sent", error)
            self._sending = False

    def _deliver(self, message: Message, until: float) -> None:
        while self._clock.monotonic() < until:
            try:
                if not self._send(message):
                    self._clock.later(AWAY_S, lambda: self._wait(message, until))
            except StoreDownError:
                self._clock.sleep(AWAY_S)
            else:
                return

    def _send(self, message: Message) -> bool:
        """Tell whether that was possible: for a moment a stream may be nobody's, or new to the store."""
        if not message.stream:
            self._store.send(self.inbox, encode(message), MESSAGE_S)
            return True
        facts = self._facts_of(message.stream)
        self._asked(message.stream, facts)
        inbox = facts.inbox if facts else ""
        if inbox:
            self._store.send(inbox, encode(message), MESSAGE_S)
        return inbox != "" or message.op != "cancel"

    def _facts_of(self, stream: str) -> Facts | None:
        """Ask again each time: the stream may have been taken over by another process."""
        value = self._store.get(known.key_of(stream))
        return known.decode(value) if value else None


Receive: TypeAlias = Callable[[Message], None]
