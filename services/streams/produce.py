"""The left side of the log: runs a use case's generator, and ends the stream whatever happens.

One greenlet per stream. It is interrupted by exceptions thrown into it: ``Stopped`` for an end
that was meant, a ``GlossError`` for one that was not. Whatever it dies of, the log gets its
one end: ``_run`` writes it, or ``_seal`` where ``_run`` could not.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import gevent

from services.errors import GlossError, Internal
from services.events import Event, FinishReason, Usage
from services.streams.calls import Ahead, Calls, Planned, Reply
from services.streams.clock import Alarm
from services.streams.pen import Pen
from services.streams.stream import Stopped, Stream
from services.streams.use_case import Call, Remember, Transform
from services.telemetry import bare_traceback

log = logging.getLogger("gloss.stream")

Said: TypeAlias = Event | Remember
Answered: TypeAlias = Reply | tuple[Ahead, ...] | None
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
        while isinstance(value, SAID):
            handle(value)
            value = next(transform)
    except StopIteration as end:
        return Returned(end.value)
    return Asked(value, together=True) if isinstance(value, tuple) else Asked((value,), together=False)


@dataclass(frozen=True)
class Opening:
    """What a transform said up to its first call, and that call with its place in the caps."""

    said: list[Said]
    then: Asked | Returned
    planned: list[Planned]


@dataclass(kw_only=True, eq=False)
class Producer:
    """Drives one stream from its opening to its end; ``ended`` is called after the end is written."""

    stream: Stream
    pen: Pen
    transform: Transform
    calls: Calls
    plan: Callable[[tuple[Call, ...]], list[Planned]]
    ended: Callable[["Producer"], None]
    state: Any = None
    _cause: BaseException | None = None
    _alarm: Alarm | None = None

    def start(self, opening: Opening, deadline_s: float) -> None:
        """Run in a greenlet of its own, until the end, an interruption or the deadline."""
        greenlet = gevent.Greenlet(self._run, opening)
        greenlet.link(self._seal)
        self.stream.interrupt = lambda cause: self._interrupt(greenlet, cause)
        self._alarm = Alarm(self.stream.clock, deadline_s, lambda: self.stream.stop("deadline"))
        greenlet.start()

    def _interrupt(self, greenlet: "gevent.Greenlet[..., None]", cause: BaseException) -> None:
        self._cause = cause
        greenlet.kill(cause, block=False)

    def _run(self, opening: Opening) -> None:
        try:
            reason = self._play(opening)
            self.calls.close()
            self.pen.finish(reason, self.stream.usage())
        except BaseException as error:  # noqa: BLE001 - the boundary: every way to die has its end
            self.transform.close()
            self.calls.close()
            self._end_of(error)

    def _play(self, opening: Opening) -> FinishReason:
        for value in opening.said:
            self._handle(value)
        then, planned = opening.then, opening.planned
        reason: FinishReason = "stop"
        while isinstance(then, Asked):
            answered = self.calls.answers(planned) if then.together else self.calls.answer(planned[0])
            then = advance(self.transform, answered, self._handle)
            reason = _reason(answered)
            planned = self.plan(then.calls) if isinstance(then, Asked) else []
        return then.reason or reason

    def _handle(self, value: Said) -> None:
        if isinstance(value, Remember):
            self.state = value.state
        else:
            self.pen.write(value)

    def _end_of(self, error: BaseException) -> None:
        usage: Usage = self.stream.usage()
        if isinstance(error, Stopped):
            self.pen.finish(error.reason, usage)
        elif isinstance(error, GlossError):
            self.pen.fail(error, usage)
        else:
            log.error("stream %s failed\n%s", self.stream.id, bare_traceback(error))
            self.pen.fail(Internal(), usage)

    def _seal(self, greenlet: "gevent.Greenlet[..., None]") -> None:
        """Be the last to see the stream: the greenlet may have been killed before it ran."""
        if self._alarm:
            self._alarm.close()
        if self.stream.log.end is None:
            self._end_of(self._cause or greenlet.exception or Internal())
        self.stream.interrupt = None
        self.ended(self)


def _reason(answered: Answered) -> FinishReason:
    """Return why a call ended; of several at once the first that is not whole speaks for all."""
    answers = answered if isinstance(answered, tuple) else (answered,)
    reasons = (answer.reason for answer in answers if answer and answer.reason)
    return next((reason for reason in reasons if reason != "stop"), "stop")
