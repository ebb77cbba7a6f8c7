"""One request's path, top to bottom, in the order in which it happens.

What can fail with a status fails here, before the first byte. When ``open_stream`` returns,
the ``start`` event stands in the log, the producer runs, and whoever wants reads.
"""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from services import llm
from services.cost.tally import Tally
from services.cost.tokens import Counter, OutputMeter, counter_of
from services.errors import InputTooLong
from services.events import Error, Event, Finish, Limits, Start, joined_text
from services.prompting import Prompt
from services.settings import Settings
from services.streams.allowance import Allowance
from services.streams.calls import Calls
from services.streams.caps import agreed, input_cap, server_limits
from services.streams.clock import Clock
from services.streams.drain import Drain
from services.streams.hearing import Silences
from services.streams.log import Log
from services.streams.models import Model, Models
from services.streams.pen import Pen
from services.streams.plan import Planner
from services.streams.produce import Asked, Opening, Producer, Said, advance
from services.streams.registry import Streams, new_id
from services.streams.retry import Retry
from services.streams.sessions import Session, Sessions
from services.streams.stream import Stream
from services.streams.use_case import Context, Input, Turn, UseCase
from services.telemetry import fields

log = logging.getLogger("gloss.stream")


@dataclass(frozen=True, kw_only=True)
class Core:
    """What every stream shares; the composition root makes one."""

    settings: Settings
    provider: llm.Provider
    models: Models
    prompts: dict[str, Prompt]
    clock: Clock
    streams: Streams
    sessions: Sessions
    drain: Drain


def open_stream(
    core: Core, use_case: UseCase, given: Input, *, owner: str, patience_s: float | None = None
) -> Stream:
    """Start a stream and return it; ``patience_s`` is how long the caller's encoding can wait.

    Raises what the caller is to be told with a status: ShuttingDown, Overloaded, InvalidInput,
    InputTooLong, NotFound or Busy (sessions), ProviderFailure (no model to be had), and what the use case
    itself refuses.
    """
    _require_room(core)
    model = core.models.choose(given.options.model)
    counter = counter_of(model.name)
    limits = _within(patience_s, _weigh(core, use_case, counter, given))
    stream = Stream(
        id=new_id(), owner=owner, use_case=use_case.name, model=model.name, clock=core.clock,
        log=Log(use_case.events), on_disconnect=given.options.on_disconnect,
        own_cap=given.options.max_output_tokens is not None,
    )  # fmt: skip
    with _turn(core, use_case, given, stream) as session:
        planner = _planner(core, use_case, model, counter, limits, own_cap=stream.own_cap)
        transform = use_case.transform(given, _context(model, counter, session))
        said: list[Said] = []
        then = advance(transform, None, said.append)
        planned = planner.plan(then.calls) if isinstance(then, Asked) else []
        _require_room(core)  # others came in meanwhile; from here on nothing waits
    opening = Opening(said, then, planned)

    pen = Pen(stream, given.options.granularity)
    calls = _calls(core, model, counter, limits, pen.write)
    stream.usage, stream.at_cap = calls.usage, lambda: calls.allowance.reached
    producer = Producer(
        stream=stream, pen=pen, transform=transform, calls=calls, plan=planner.plan,
        ended=lambda ended: _ended(core, given, session, ended),
        state=session.state if session else None,
    )  # fmt: skip
    pen.write(_start(core, use_case, stream, limits, opening, session))
    core.streams.add(stream)
    producer.start(opening, limits.deadline_s)
    return stream


def _require_room(core: Core) -> None:
    core.drain.require_open()
    core.streams.require_room()


def _weigh(core: Core, use_case: UseCase, counter: Counter, given: Input) -> Limits:
    caps = core.prompts[use_case.name].caps
    tokens = sum(counter.count(text) for text in given.written())
    most = input_cap(core.settings, caps)
    if tokens > most:
        raise InputTooLong(tokens=tokens, limit=most)
    return agreed(server_limits(core.settings, caps, tokens), given.options)


def _within(patience_s: float | None, limits: Limits) -> Limits:
    if patience_s is None:
        return limits
    return msgspec.structs.replace(limits, deadline_s=min(patience_s, limits.deadline_s))


@contextmanager
def _turn(core: Core, use_case: UseCase, given: Input, stream: Stream) -> Iterator[Session | None]:
    """Take the session's turn; give it back if the stream is refused after all."""
    if not use_case.sessions:
        yield None
        return
    asked: str | None = getattr(given, "session", None)
    session = core.sessions.begin_turn(asked, owner=stream.owner, use_case=use_case.name, stream=stream.id)
    try:
        yield session
    except BaseException:
        core.sessions.abandon_turn(session.id, new=asked is None)
        raise


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


def _start(  # noqa: PLR0913, PLR0917 - the event tells of all of them
    core: Core, use_case: UseCase, stream: Stream, limits: Limits, opening: Opening, session: Session | None
) -> Start:
    return Start(
        stream=stream.id,
        use_case=use_case.name,
        model=stream.model,
        prompt=core.prompts[use_case.name].label,
        input_tokens=sum(one.input_tokens for one in opening.planned),
        limits=limits,
        created=core.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        session=session.id if session else None,
        turn=session.next_turn if session else None,
    )


def _ended(core: Core, given: Input, session: Session | None, producer: Producer) -> None:
    stream = producer.stream
    core.streams.ended(stream)
    if session is not None:
        end = stream.log.end
        turn = Turn(
            number=session.next_turn,
            stream=stream.id,
            sent=given.model_dump(mode="json", exclude={"options", "session"}, exclude_none=True),
            text=joined_text(stream.log.after(0)),
            partial=not (isinstance(end, Finish) and end.reason == "stop"),
        )
        core.sessions.end_turn(session.id, turn, producer.state)
    log.info("stream ended %s", fields(_summary(stream)))


def _summary(stream: Stream) -> dict[str, object]:
    """Return what one log line says of a stream: names as OpenTelemetry's GenAI conventions have them."""
    end, usage = stream.log.end, stream.usage()
    return {
        "stream": stream.id,
        "use_case": stream.use_case,
        "gen_ai.request.model": stream.model,
        "reason": end.reason if isinstance(end, Finish) else None,
        "problem": end.problem["type"] if isinstance(end, Error) else None,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "events": stream.log.last_id,
    }
