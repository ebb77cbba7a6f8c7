"""From a stream that is to be to the producer that makes it.

The transform runs up to its first calls, and these are planned: both can refuse, with a status.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from services.cost.tally import Tally
from services.cost.tokens import Counter, OutputMeter, counter_of
from services.events import Event, Limits
from services.streams.allowance import Allowance
from services.streams.calls import Calls, Planned
from services.streams.core import Core
from services.streams.hearing import Silences
from services.streams.models import Model
from services.streams.pen import Pen
from services.streams.plan import Planner
from services.streams.produce import Asked, Opening, Producer, Said, advance
from services.streams.retry import Retry
from services.streams.sessions import Session
from services.streams.stream import Stream
from services.streams.use_case import Context, Input, Transform, UseCase


@dataclass(frozen=True, kw_only=True)
class Making:
    """A stream whose first calls are planned; nothing has been asked yet."""

    core: Core
    stream: Stream
    model: Model
    counter: Counter
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
        counter = counter_of(model.name)
        planner = _planner(core, use_case, model, counter, limits, own_cap=stream.own_cap)
        transform = use_case.transform(given, _context(model, counter, session))
        said: list[Said] = []
        then = advance(transform, None, said.append)
        planned: list[Planned] = planner.plan(then.calls) if isinstance(then, Asked) else []
        return cls(
            core=core, stream=stream, model=model, counter=counter, limits=limits, session=session,
            transform=transform, planner=planner, opening=Opening(said, then, planned),
        )  # fmt: skip

    def producer(self, pen: Pen, ended: Callable[[Producer], None]) -> Producer:
        """Return who drives it; ``ended`` is called after the end is written."""
        calls = _calls(self.core, self.model, self.counter, self.limits, pen.write)
        self.stream.usage, self.stream.at_cap = calls.usage, lambda: calls.allowance.reached
        return Producer(
            stream=self.stream, pen=pen, transform=self.transform, calls=calls, plan=self.planner.plan,
            ended=ended, state=self.session.state if self.session else None,
        )  # fmt: skip


def _context(model: Model, counter: Counter, session: Session | None) -> Context:
    return Context(
        compact=model.compact,
        count=counter.count,
        new_id=lambda: secrets.token_hex(4),
        state=session.state if session else None,
        turns=session.turns if session else (),
    )


def _planner(  # noqa: PLR0913 - what a plan depends on
    core: Core, use_case: UseCase, model: Model, counter: Counter, limits: Limits, *, own_cap: bool
) -> Planner:
    return Planner(
        prompts=core.prompts,
        default=core.prompts[use_case.name],
        model=model.name,
        counter=counter,
        max_output_tokens=limits.max_output_tokens,
        own_cap=own_cap,
        window=model.window,
    )


def _calls(
    core: Core, model: Model, counter: Counter, limits: Limits, emit: Callable[[Event], None]
) -> Calls:
    settings = core.settings
    return Calls(
        provider=core.provider,
        clock=core.clock,
        silences=Silences(first_s=settings.first_text_s, between_s=settings.between_text_s),
        retry=Retry(settings.attempts, settings.attempts_within_s),
        allowance=Allowance(limits.max_output_tokens),
        tally=Tally(model.price),
        meter=lambda cap: OutputMeter(counter, cap),
        emit=emit,
        parallel=settings.parallel_calls,
        most=settings.max_calls,
    )
