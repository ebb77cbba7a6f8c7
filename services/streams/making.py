"""From a stream that is to be to the producer that makes it.

The transform runs up to its first calls, and these are planned: both can refuse, with a status.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from services.cost.reservation import Reservation
from services.cost.tally import Tally
from services.events import Event, Limits, Start, Usage
from services.streams.allowance import Allowance
from services.streams.attempt import Terms
from services.streams.calls import Calls
from services.streams.capacity import Place
from services.streams.caps import lowered
from services.streams.core import Core
from services.streams.hearing import Silences
from services.streams.known import Before
from services.streams.known import Said as Told
from services.streams.models import Model
from services.streams.pen import Pen
from services.streams.plan import Planner
from services.streams.produce import Asked, Opening, Producer, Said, advance
from services.streams.route import Planned
from services.streams.sessions import Session
from services.streams.stream import Stream
from services.streams.use_case import Context, Input, Transform, UseCase


class Lent(Protocol):
    """What a stream has of an answer that is not its own alone; ``unchecked`` as its stream's."""

    @property
    def unchecked(self) -> bool:
        """Tell whether the store was away when its budget was asked for."""

    def usage(self) -> Usage:
        """Return what the stream is billed for it."""

    def at_cap(self) -> bool:
        """Tell whether the answer is as long as its cap."""

    def answered(self) -> tuple[Told | None, ...]:
        """Return what is known of the answers to its calls, in their order."""


@dataclass(frozen=True, kw_only=True)
class Making:
    """A stream whose first calls are planned; nothing has been asked yet."""

    core: Core
    stream: Stream
    use_case: UseCase
    model: Model
    limits: Limits
    session: Session | None
    reservation: Reservation
    transform: Transform
    planner: Planner
    opening: Opening
    input_tokens: int
    lent: Lent | None = None

    @classmethod
    def of(  # noqa: PLR0913 - what a stream is made of
        cls,
        core: Core,
        use_case: UseCase,
        given: Input,
        *,
        stream: Stream,
        model: Model,
        limits: Limits,
        session: Session | None,
        reservation: Reservation,
    ) -> "Making":
        """Run the use case up to its first calls; raises what it refuses, and InputTooLong."""
        planner = _planner(core, use_case, model, limits, own_cap=stream.own_cap)
        transform = use_case.transform(given, _context(model, session))
        said: list[Said] = []
        then = advance(transform, None, said.append)
        planned: list[Planned] = planner.plan(then.calls) if isinstance(then, Asked) else []
        return cls(
            core=core, stream=stream, use_case=use_case, model=model, limits=limits, session=session,
            reservation=reservation, transform=transform, planner=planner,
            opening=Opening(said, then, planned), input_tokens=sum(one.input_tokens for one in planned),
        )  # fmt: skip

    @classmethod
    def borrowed(  # noqa: PLR0913 - what a stream is made of
        cls,
        core: Core,
        use_case: UseCase,
        *,
        stream: Stream,
        model: Model,
        limits: Limits,
        opening: Opening,
        transform: Transform,
        input_tokens: int,
        lent: Lent,
        reservation: Reservation,
    ) -> "Making":
        """Let others make it: the stream makes no calls of its own, and its reservation holds nothing."""
        planner = _planner(core, use_case, model, limits, own_cap=stream.own_cap)
        return cls(
            core=core, stream=stream, use_case=use_case, model=model, limits=limits, session=None,
            reservation=reservation, transform=transform, planner=planner, opening=opening,
            input_tokens=input_tokens, lent=lent,
        )  # fmt: skip

    def start(self) -> Start:
        """Return the stream's first event."""
        session, core = self.session, self.core
        return Start(
            stream=self.stream.id,
            use_case=self.use_case.name,
            model=self.stream.model,
            prompt=core.prompts[self.use_case.name].label,
            input_tokens=self.input_tokens,
            limits=lowered(self.limits, self.reservation.lowered_to),
            created=core.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            session=session.id if session else None,
            turn=session.next_turn if session else None,
        )

    def reserve(self) -> None:
        """Reserve what the first calls may cost.

        Raises BudgetExhausted, Forbidden (no price, where all limits are money), Overloaded (no store).
        """
        calls = [(one.input_tokens, one.request.max_output_tokens) for one in self.opening.planned]
        self.reservation.open(self.model, calls, self.limits.max_output_tokens)

    def give_up(self) -> None:
        """Give back what it holds, of a budget and of others' answers."""
        self.transform.close()
        self.core.ledger.release(self.reservation)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Reserve; give up if the stream is refused after all. Raises what ``reserve`` raises."""
        try:
            self.reserve()
            yield
        except BaseException:
            self.give_up()
            raise

    def producer(
        self,
        pen: Pen,
        slot: Place,
        *,
        ended: Callable[[], None],
        ending: Callable[[Any, str], None] = lambda _state, _end: None,
        before: Before | None = None,
    ) -> Producer:
        """Return who drives it and gives back the slot; ``ending`` and ``ended`` as it calls them.

        ``before`` is what another process had of it.
        """
        calls = self._calls(pen.tell)
        if before is not None:
            calls.before = before
            before.count(calls.terms.tally)
        self.stream.course.keeps = self.core.traces.most_spans
        self.stream.reservation = self.reservation
        self.stream.unchecked = self.reservation.alone or (self.lent is not None and self.lent.unchecked)
        self.stream.usage, self.stream.at_cap = calls.usage, lambda: calls.terms.allowance.reached
        if self.lent is not None:
            calls.lent = self.lent.answered
            self.stream.usage, self.stream.at_cap = self.lent.usage, self.lent.at_cap
        return Producer(
            stream=self.stream, pen=pen, transform=self.transform, calls=calls, plan=self.planner.plan,
            slot=slot, ending=ending, ended=ended, state=self.session.state if self.session else None,
        )  # fmt: skip

    def _calls(self, emit: Callable[[Event], None]) -> Calls:
        settings, core = self.core.settings, self.core
        terms = Terms(
            models=tuple(filter(self.reservation.accepts, core.models.route(self.model))),
            clock=core.clock,
            silences=Silences(first_s=settings.first_text_s, between_s=settings.between_text_s),
            retry=core.retry,
            allowance=Allowance(self.limits.max_output_tokens),
            reservation=self.reservation,
            tally=Tally(self.model.price),
            emit=emit,
            recovers=self.use_case.recovers,
            course=self.stream.course,
        )
        return Calls(terms=terms, parallel=settings.parallel_calls, most=settings.max_calls)


def _context(model: Model, session: Session | None) -> Context:
    return Context(
        compact=model.compact,
        count=model.counter.count,
        new_id=lambda: secrets.token_hex(4),
        state=session.state if session else None,
        turns=session.turns if session else (),
    )


def _planner(core: Core, use_case: UseCase, model: Model, limits: Limits, *, own_cap: bool) -> Planner:
    return Planner(
        prompts=core.prompts,
        default=core.prompts[use_case.name],
        model=model,
        max_output_tokens=limits.max_output_tokens,
        own_cap=own_cap,
    )
