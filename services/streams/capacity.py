"""Whether one more stream fits, and how one waits until it may work.

A process that is full says so within milliseconds, so that nobody waits for nothing, and before
memory, descriptors or slots run out, so that the streams that run feel nothing.
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from gevent.event import Event as Signal

from services.errors import Overloaded
from services.events import Event, Notice
from services.streams.clock import Clock, Timer
from services.streams.resources import Resources
from services.streams.slots import Slots
from services.telemetry import fields

log = logging.getLogger("gloss.stream")

TELL_EVERY_S = 1.0
NOTE_EVERY_S = 10.0
# Streams end and give memory back; there is no telling when.
SCARCE_RETRY_S = 5


class Place(Protocol):
    """What a producer knows of its slot."""

    def wait(self, write: Callable[[Event], None]) -> None:
        """Return once it may work."""

    def leave(self) -> None:
        """Give back what it holds."""


class Slot:
    """One stream's slot, or its place in the queue until it has one."""

    def __init__(self, slots: Slots, clock: Clock, owner: str, patience_s: float) -> None:
        """Enter; raises Overloaded where the queue is full."""
        self._slots = slots
        self._clock = clock
        self._patience_s = patience_s
        self._woken = Signal()
        self._hush: Timer | None = None
        self._ticket = slots.enter(owner, self._woken.set)

    def wait(self, write: Callable[[Event], None]) -> None:
        """Return once the stream may work; tell its place when it has changed, once a second at most.

        Who was told a place is told of the slot too, as place 0.

        Raises Overloaded if that takes too long, or if the place went to another caller.
        """
        with closing(self._clock.later(self._patience_s, self._give_up)):
            told = self._wait(write)
        if self._ticket.place is None:
            raise Overloaded("No slot came free in time.", retry_after_s=self._slots.retry_after_s)
        if told:
            write(_notice(0, "A slot is free: the model is asked now."))

    def leave(self) -> None:
        """Give back what the stream holds; leaving twice is fine."""
        self._slots.leave(self._ticket)
        self._speak_again()

    def _wait(self, write: Callable[[Event], None]) -> int:
        """Return the place that was told last, 0 if none was."""
        told = 0
        while place := self._ticket.place:
            self._woken.clear()
            if place != told and self._hush is None:
                told = place
                write(_notice(place, f"Place {place} in the queue."))
                self._hush = self._clock.later(TELL_EVERY_S, self._speak_again)
            self._woken.wait()
        return told

    def _speak_again(self) -> None:
        if self._hush is not None:
            self._hush.close()
            self._hush = None
        self._woken.set()

    def _give_up(self) -> None:
        if self._ticket.place:  # else its turn came at the same moment
            self.leave()


def _notice(place: int, detail: str) -> Notice:
    return Notice(code="queued", detail=detail, place=place)


def _short_of(what: str) -> Overloaded:
    return Overloaded(f"The process is short of {what}.", retry_after_s=SCARCE_RETRY_S)


@dataclass
class Capacity:
    """What the process can carry; ``queue_s`` is the longest wait for a slot."""

    slots: Slots
    resources: Resources
    clock: Clock
    queue_s: float
    _bodies: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)
    _noted: float = field(default=-math.inf, init=False)

    def require(self, owner: str) -> None:
        """Raise Overloaded if a stream of this owner would not fit: cheap enough to ask before the rest.

        One may always come: a process that is short while nothing runs would be so for ever.
        """
        try:
            if self.slots.working and (scarce := self.resources.scarce):
                raise _short_of(scarce)
            self.slots.require(owner)
        except Overloaded as refusal:
            self._note(refusal)
            raise

    @contextmanager
    def body(self) -> Iterator[Callable[[], None]]:
        """Count a body that is being read; what is yielded refuses a further piece of it.

        That raises Overloaded where memory is short, unless no other body is being read.
        """
        self._bodies += 1
        try:
            yield self._spare
        finally:
            self._bodies -= 1

    def _note(self, refusal: Overloaded) -> None:
        """Log that some were refused, and how many, now and then: a flood is no reason for another."""
        self._refused += 1
        now = self.clock.monotonic()
        if now - self._noted >= NOTE_EVERY_S:
            slots = {"refused": self._refused, "working": self.slots.working, "waiting": self.slots.waiting}
            log.warning("full: %s %s", refusal.detail, fields(slots))
            self._noted, self._refused = now, 0

    def _spare(self) -> None:
        if self._bodies > 1 and self.resources.taken:
            raise _short_of("memory")

    @contextmanager
    def slot(self, owner: str) -> Iterator[Slot]:
        """Enter; the slot is the stream's from then on, unless the block fails: then it is given back.

        Raises Overloaded.
        """
        self.require(owner)
        slot = Slot(self.slots, self.clock, owner, self.queue_s)
        try:
            yield slot
        except BaseException:
            slot.leave()
            raise
