"""The left side of the log: runs a use case's generator, and ends the stream whatever happens.

One greenlet per stream. It is interrupted by exceptions thrown into it: ``Stopped`` for an end
that was meant, a ``GlossError`` for one that was not. Whatever it dies of, what is open is
closed, and then the log gets its one end.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import gevent

from services.errors import GlossError, Internal, ShuttingDown
from services.events import Event, FinishReason, Text, Usage
from services.streams.ahead import Ahead
from services.streams.calls import Answering, Calls
from services.streams.capacity import Place
from services.streams.clock import Alarm
from services.streams.pen import Pen
from services.streams.route import Planned
from services.streams.stream import Gone, Stopped, Stream
from services.streams.use_case import Call, Remember, Transform
from services.telemetry import bare_traceback

log = logging.getLogger("gloss.stream")

Said: TypeAlias = Event | Remember
Answered: TypeAlias = Answering | tuple[Ahead, ...] | None
SAID = (Event, Remember)


@dataclass(frozen=True)
class Asked:
    """The calls that a transform waits for; ``together`` if it wants a tuple of answers."""

    calls: tuple[Call, ...]
    together: bool


@dataclass(frozen=True)
class Returned:
    """A transform came to its end; None leaves the reason to the last call."""

    reason: FinishReason | None


def advance(transform: Transform, answered: Answered, handle: Callable[[Said], None]) -> Asked | Returned:
    """Run a transform up to its next call or its end; what it says on the way is handled."""
    try:
        value = transform.send(answered)
        while type(value) is Text or isinstance(value, SAID):  # the first is nearly all, and told faster
            handle(value)
            value = next(transform)
    except StopIteration as end:
        return Returned(end.value)
    return Asked(value, together=True) if isinstance(value, tuple) else Asked((value,), together=False)


class Unasked:
    """A transform that waits for others has not begun: it is run by the producer alone."""


@dataclass(frozen=True)
class Opening:
    """What a transform said up to its first call, and that call with its place in the caps."""

    said: Iterable[Said]
    then: Asked | Returned | Unasked
    planned: list[Planned]


@dataclass(kw_only=True, eq=False)
class Producer:
    """Drives one stream from its opening to its end.

    ``ending`` is called before the end is written, with the state that the transform left and what the
    ledger calls the end, and may wait for the store; ``ended`` is called after it.
    """

    stream: Stream
    pen: Pen
    transform: Transform
    calls: Calls
    slot: Place
    plan: Callable[[tuple[Call, ...]], list[Planned]]
    ending: Callable[[Any, str], None]
    ended: Callable[[], None]
    state: Any = None
    _alarm: Alarm | None = None
    _runs: bool = False
    _cause: BaseException | None = None

    def start(self, opening: Opening, deadline_s: float) -> None:
        """Run in a greenlet of its own, until the end, an interruption or the deadline."""
        greenlet = gevent.Greenlet(self._run, opening)
        self.stream.interrupt = lambda cause: self._interrupt(greenlet, cause)
        self.stream.deadline_at = self.stream.clock.monotonic() + deadline_s
        self._alarm = Alarm(self.stream.clock, deadline_s, lambda: self.stream.stop("deadline"))
        greenlet.start()

    def _interrupt(self, greenlet: "gevent.Greenlet[..., None]", cause: BaseException) -> None:
        self._cause = cause
        if self._runs:  # else it finds the cause when it does; a kill before that would run nothing
            greenlet.kill(cause, block=False)

    def _run(self, opening: Opening) -> None:
        self._runs = True
        end: FinishReason | BaseException
        try:
            if self._cause is not None:
                raise self._cause  # noqa: TRY301 - as if it had been thrown in
            end = self._play(opening)
        except BaseException as error:  # noqa: BLE001 - the boundary: every way to die has its end
            self._log(error)
            end = error.with_traceback(None)  # it holds this frame, which holds it
        self._close()
        self._leave(self._cause or end)  # whatever a transform made of an interruption

    def _play(self, opening: Opening) -> FinishReason:
        for value in opening.said:
            self._handle(value)
        then, planned = opening.then, opening.planned
        reason: FinishReason = "stop"
        if not isinstance(then, Returned):  # what asks nothing need not wait
            self.slot.wait(self.pen.tell)
        if isinstance(then, Unasked):
            then = advance(self.transform, None, self._handle)
            planned = self.plan(then.calls) if isinstance(then, Asked) else []
        while isinstance(then, Asked):
            answered = self.calls.answers(planned) if then.together else self.calls.answer(planned[0])
            then = advance(self.transform, answered, self._handle)
            reason = _reason(answered)
            planned = self.plan(then.calls) if isinstance(then, Asked) else []
        reason = then.reason or reason
        return "budget" if reason == "length" and self.calls.short else reason

    def _handle(self, value: Said) -> None:
        if isinstance(value, Remember):
            self.state = value.state
        else:
            self.pen.write(value)

    def _close(self) -> None:
        """Close what is open; what goes wrong here, or comes too late, changes no end."""
        self.stream.interrupt = None
        for close in (self.transform.close, self.calls.close, self.slot.leave):
            try:
                close()
            except BaseException as error:  # noqa: BLE001 - the others are still to be closed
                self._log(error)

    def _leave(self, end: FinishReason | BaseException) -> None:
        """Settle what it cost and end its turn, then write the end and tell of it without a switch.

        So whoever reads the end finds the bill in the ledger, and the turn in the session.
        """
        if self._alarm:
            self._alarm.close()
        if isinstance(end, Gone):
            self._let_go()
            if end.handed_over(self.calls.answered()):
                return
            end = ShuttingDown()
        self._settle(end)
        if self.stream.log.broken:
            return  # another process took it while it was being closed, and decides how it ends
        try:
            self._write(end)
        except Exception as error:  # noqa: BLE001 - a log without an end is waited for by its readers
            self._log(error)
            self.pen.fail(Internal(), Usage())
        self._let_go()
        self.stream.reservation = None
        self.ended()

    def _settle(self, end: FinishReason | BaseException) -> None:
        name = _named(end)
        for settle in (
            self.pen.release,
            partial(self.calls.terms.reservation.settle, name),
            partial(self.ending, self.state, name),
        ):
            if self.stream.log.broken:
                return
            try:
                settle()
            except BaseException as error:  # noqa: BLE001 - a stop that comes too late too: readers wait for the end
                self._log(error)

    def _let_go(self) -> None:
        """Leave the stream its figures: it is kept for a while, what it took to make it need not be."""
        usage, at_cap = self.stream.usage(), self.stream.at_cap()
        self.stream.usage, self.stream.at_cap = lambda: usage, lambda: at_cap

    def _write(self, end: FinishReason | BaseException) -> None:
        usage = self.stream.usage()
        if isinstance(end, Stopped):
            self.pen.finish(end.reason, usage)
        elif isinstance(end, GlossError):
            self.pen.fail(end, usage)
        elif isinstance(end, BaseException):
            self.pen.fail(Internal(), usage)
        else:
            self.pen.finish(end, usage)

    def _log(self, error: BaseException) -> None:
        if not isinstance(error, Stopped | Gone | GlossError):
            log.error("stream %s failed\n%s", self.stream.id, bare_traceback(error))


def _named(end: FinishReason | BaseException) -> str:
    """Return what the ledger calls an end: its finish reason, or its problem's slug."""
    if isinstance(end, Stopped):
        return end.reason
    if isinstance(end, BaseException):
        return end.slug if isinstance(end, GlossError) else Internal.slug
    return end


def _reason(answered: Answering | tuple[Ahead, ...]) -> FinishReason:
    """Return why a call ended; of several at once the first that is not whole speaks for all."""
    answers = answered if isinstance(answered, tuple) else (answered,)
    reasons = (answer.reason for answer in answers if answer.reason)
    return next((reason for reason in reasons if reason != "stop"), "stop")
