"""From a stream that is to be to the producer that makes it.

The transform runs up to its first calls, and these are planned: both can refuse, with a status.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from services.cost.tally import Tally
from services.events import Event, Limits
from services.streams.allowance import Allowance
from services.streams.attempt import Terms
from services.streams.calls import Calls
from services.streams.capacity import Slot
from services.streams.core import Core
from services.streams.hearing import Silences
from services.streams.known import Before
from services.streams.models import Model
from services.streams.pen import Pen
from services.streams.plan import Planner
from services.streams.produce import Asked, Opening, Producer, Said, advance
from services.streams.route import Planned
from services.streams.sessions import Session
from services.streams.stream import Stream
from services.streams.use_case import Context, Input, Transform, UseCase


@dataclass(frozen=True, kw_only=True)
class Making:
    """A stream whose first calls are planned; nothing has been asked yet."""

    core: Core
    stream: Stream
    use_case: UseCase
    model: Model
    limits: Limits
    session: Session | None
    transform: Transform
    planner: Planner
    opening: Opening

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
    ) -> "Making":
        """Run the use case up to its first calls; raises what it refuses, and InputTooLong."""
        planner = _planner(core, use_case, model, limits, own_cap=stream.own_cap)
        transform = use_case.transform(given, _context(model, session))
        said: list[Said] = []
        then = advance(transform, None, said.append)
        planned: list[Planned] = planner.plan(then.calls) if isinstance(then, Asked) else []
        return cls(
            core=core, stream=stream, use_case=use_case, model=model, limits=limits, session=session,
            transform=transform, planner=planner, opening=Opening(said, then, planned),
        )  # fmt: skip

    def producer(
        self, pen: Pen, slot: Slot, ended: Callable[[Producer], None], *, before: Before | None = None
    ) -> Producer:
        """Return who drives it and gives back the slot; ``ended`` is called after the end is written.

        ``before`` is what another process had of it.
        """
        calls = _calls(self, pen.tell)
        if before is not None:
            calls.before = before
            before.count(calls.terms.tally)
        self.stream.course.keeps = self.core.traces.most_spans
        self.stream.usage, self.stream.at_cap = calls.usage, lambda: calls.terms.allowance.reached
        return Producer(
            stream=self.stream, pen=pen, transform=self.transform, calls=calls, plan=self.planner.plan,
            slot=slot, ended=ended, state=self.session.state if self.session else None,
        )  # fmt: skip


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


def _calls(making: Making, emit: Callable[[Event], None]) -> Calls:
    core, settings = making.core, making.core.settings
    terms = Terms(
        models=core.models.route(making.model),
        clock=core.clock,
        silences=Silences(first_s=settings.first_text_s, between_s=settings.between_text_s),
        retry=core.retry,
        allowance=Allowance(making.limits.max_output_tokens),
        tally=Tally(making.model.price),
        emit=emit,
        recovers=making.use_case.recovers,
        course=making.stream.course,
    )
    return Calls(terms=terms, parallel=settings.parallel_calls, most=settings.max_calls)
