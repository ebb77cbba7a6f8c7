"""Where a stream's answer comes from: the cache, a generation that is under way, or one of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import msgspec

from services.cost.reservation import Reservation
from services.events import Event, Limits, Usage
from services.streams.answers.bill import FREE
from services.streams.answers.flight import Flight
from services.streams.answers.key import key_of, may_serve_again
from services.streams.answers.seat import Seat, gently, kept_events
from services.streams.calls import Calls
from services.streams.caps import lowered, server_limits
from services.streams.core import Core
from services.streams.known import Said
from services.streams.log import Log
from services.streams.making import Making
from services.streams.models import Model
from services.streams.pen import Pen
from services.streams.produce import Opening, Returned, Unasked
from services.streams.registry import new_id
from services.streams.sessions import Session
from services.streams.stream import Stream
from services.streams.use_case import Input, Transform, UseCase

# What a stream, or a generation, may spend is reserved for so many seconds.
Reserve: TypeAlias = Callable[[Stream, float], Reservation]

# A generation may outlast the stream for which it began: whoever joins late has a deadline of its own.
DEADLINES = 2


def answering(  # noqa: PLR0913 - what a stream is made of
    core: Core,
    use_case: UseCase,
    given: Input,
    *,
    stream: Stream,
    model: Model,
    limits: Limits,
    session: Session | None,
    reserve: Reserve,
) -> Making:
    """Choose how the stream's answer is made.

    Raises what the use case refuses, InputTooLong, and InvalidInput for a cache where none can be.
    """
    reservation = reserve(stream, limits.deadline_s)
    if not may_serve_again(use_case, given, core.settings, stream.owner):
        return Making.of(
            core, use_case, given, stream=stream, model=model, limits=limits, session=session,
            reservation=reservation,
        )  # fmt: skip
    key = stream.answer = key_of(
        use_case, given, owner=stream.owner, model=model, limits=limits, prompts=core.prompts.values(),
        settings=core.settings,
    )  # fmt: skip
    borrowed = partial(Making.borrowed, core, use_case, stream=stream, model=model, reservation=reservation)
    until = core.clock.monotonic() + limits.deadline_s
    flight = core.flights.get(key, until)
    kept = None if flight else core.flights.cache.get(key)
    events = kept_events(kept, use_case)
    if kept is not None and events is not None:
        return borrowed(
            opening=Opening(gently(events), Returned("stop"), []), transform=_nothing(),
            input_tokens=kept.input_tokens, lent=_Kept(), limits=limits,
        )  # fmt: skip
    if flight is None:
        made = _flight(
            core, use_case, given, key=key, like=stream, model=model, limits=limits, reserve=reserve
        )
        flight = core.flights.add(made, until)
    seat = Seat(core.flights, flight)
    return borrowed(
        opening=Opening([], Unasked(), []), transform=seat.transform, input_tokens=flight.input_tokens,
        lent=seat, limits=lowered(limits, flight.lowered_to),
    )  # fmt: skip


def _flight(  # noqa: PLR0913 - what a generation is made of
    core: Core,
    use_case: UseCase,
    given: Input,
    *,
    key: str,
    like: Stream,
    model: Model,
    limits: Limits,
    reserve: Reserve,
) -> Flight:
    """Prepare a generation that is found by its key, and reserve what it may cost.

    Raises what the use case refuses, InputTooLong, and what ``Making.reserve`` raises.
    """
    stream = Stream(
        id=new_id(), owner=like.owner, use_case=use_case.name, model=model.name, clock=core.clock,
        log=Log(use_case.events), own_cap=like.own_cap,
    )  # fmt: skip
    deadline_s = DEADLINES * server_limits(core.settings, core.prompts[use_case.name].caps, 0).deadline_s
    limits = msgspec.structs.replace(limits, deadline_s=deadline_s)
    reservation = reserve(stream, deadline_s)
    reservation.shared = True
    making = Making.of(
        core,
        use_case,
        given,
        stream=stream,
        model=model,
        limits=limits,
        session=None,
        reservation=reservation,
    )
    with making.held():  # it is refused as a stream of its own would be
        stream.unchecked = reservation.alone
    return Flight(
        key=key, stream=stream, input_tokens=making.input_tokens, deadline_s=deadline_s,
        maker=_Maker(making), doubts=use_case.doubts, lowered_to=reservation.lowered_to,
    )  # fmt: skip


@dataclass(frozen=True)
class _Maker:
    """Makes a flight's answer from what was planned for it."""

    making: Making

    def make(self, flight: Flight) -> None:
        """Ask the provider; what another process showed of it before it broke off is not shown again."""
        making, flights = self.making, self.making.core.flights
        pen = Pen(flight.stream, shown=flight.stream.log.after(1))
        key, stream = flight.key, flight.stream
        producer = making.producer(pen, _NoSlot(), ended=lambda: flights.ended(key, stream))
        flight.answered = producer.calls.answered
        flight.true_to_key = partial(_by_its_model, producer.calls)
        if not flight.stream.log.last_id:
            pen.write(making.start())
        producer.start(making.opening, making.limits.deadline_s)

    def serve(self, flight: Flight) -> bool:
        """Write what was kept, as if it were made."""
        making, flights = self.making, self.making.core.flights
        events = kept_events(flights.cache.get(flight.key), making.use_case)
        if events is None:
            return False
        flight.free = True
        pen = Pen(flight.stream)
        for event in (making.start(), *events):
            pen.write(event)
        pen.finish("stop", FREE)
        flights.forget(flight)
        return True

    def dismiss(self) -> None:
        """Give back what was held for it: it asked for calls, and gets none."""
        self.making.give_up()


def _by_its_model(calls: Calls) -> bool:
    return not calls.fell_back


class _NoSlot:
    """A generation runs in the slots of the streams that read it."""

    def wait(self, _write: Callable[[Event], None]) -> None:
        """Wait for nothing."""

    def leave(self) -> None:
        """Give nothing back."""


class _Kept:
    """What a stream has whose answer was kept."""

    unchecked = False

    def usage(self) -> Usage:
        """Return the price of nothing."""
        return FREE

    def at_cap(self) -> bool:
        """Tell that it is whole."""
        return False

    def answered(self) -> tuple[Said | None, ...]:
        """Return none: it made no calls."""
        return ()


def _nothing() -> Transform:
    """Ask nothing, and say no more than what was kept."""
    return None
    yield
