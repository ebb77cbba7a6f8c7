"""Seeing to the end of a stream whose process is no more, or let go of it.

What was shown stays. A use case that allows it goes on where it was, if its process let go in
order: the answer is made again, what was shown of it is swallowed (``replay.py``), and calls that
were answered are not made again (``known.py``). Everything else gets the end that it never got.
"""

from datetime import datetime

from services.errors import GlossError, NotFound, Overloaded, ShuttingDown
from services.events import Error, Limits, Notice, Start, Text
from services.state.store import StoreDownError
from services.streams.capacity import Slot
from services.streams.core import Core
from services.streams.ending import ended
from services.streams.known import Before
from services.streams.log import Log
from services.streams.making import Making
from services.streams.pen import Pen
from services.streams.readers import HELD_S
from services.streams.sessions import Session
from services.streams.sharing.facts import Facts
from services.streams.stream import Stream

LEFT_S = 60.0  # in the store, for an end that only has to be written


def take_over(core: Core, facts: Facts, copy: Log, epoch: int) -> None:
    """Go on with a stream that this process has seized, or end it; ``copy`` holds what is stored."""
    stream = Stream(
        id=facts.id, owner=facts.owner, use_case=facts.use_case, model=facts.model, clock=core.clock,
        log=copy, on_disconnect=facts.on_disconnect, own_cap=facts.own_cap, torn=facts.handed is None,
    )  # fmt: skip
    used = facts.handed.used if facts.handed else core.exchange.remote.estimated(copy, facts.model)
    stream.usage = lambda: used
    start = copy.after(0)[0]
    left_s = _left_s(core, start) if isinstance(start, Start) else 0
    making = _making(core, facts, stream, start, left_s) if isinstance(start, Start) else None
    core.streams.add(stream)
    core.exchange.go_on(stream, facts, epoch, max(LEFT_S, left_s))
    if making is None or facts.handed is None:
        _end(core, stream, facts)
        return
    try:
        with core.capacity.slot(stream.owner) as slot:
            _go_on(core, making, slot, facts, facts.handed, left_s)
    except Overloaded:  # whoever waits here came first
        _end(core, stream, facts)


def _left_s(core: Core, start: Start) -> float:
    """Return how much of its deadline is left, by the wall clocks of two machines."""
    since = core.clock.now() - datetime.fromisoformat(start.created)
    return start.limits.deadline_s - since.total_seconds()


def _making(core: Core, facts: Facts, stream: Stream, start: Start, left_s: float) -> Making | None:
    """Plan the answer anew; None where it may not or cannot be made again."""
    use_case = core.use_cases.get(facts.use_case)
    if facts.handed is None or use_case is None or not use_case.recovers or left_s <= 0:
        return None
    try:
        given = use_case.restore(facts.sent)
        model = core.models.choose(given.options.model)
        if model.name != facts.model or core.prompts[use_case.name].label != start.prompt:
            return None  # another release, or another deployment, would make another answer
        limits = Limits(max_output_tokens=start.limits.max_output_tokens, deadline_s=left_s)
        return Making.of(core, use_case, given, stream=stream, model=model, limits=limits, session=None)
    except GlossError:
        return None


def _go_on(  # noqa: PLR0913, PLR0917 - what it goes on with
    core: Core, making: Making, slot: Slot, facts: Facts, before: Before, left_s: float
) -> None:
    stream = making.stream
    shown = stream.log.after(1)
    granularity = facts.sent.get("options", {}).get("granularity", "token")
    pen = Pen(stream, granularity, shown=shown)
    stream.log.append(Notice(code="provider-retry", detail="Another process goes on with this answer."))
    stream.presence.enter()
    stream.presence.leave(held_s=HELD_S)  # its readers are on their way
    producer = making.producer(
        pen, slot, lambda _: ended(core, stream, None, facts.sent, None), before=before
    )
    producer.start(making.opening, left_s)


def _end(core: Core, stream: Stream, facts: Facts) -> None:
    problem = ShuttingDown("The process that made this answer ended before the answer did.")
    partial = any(isinstance(event, Text) for event in stream.log.after(0))
    stream.log.append(Error(problem=problem.problem(stream.url), usage=stream.usage(), partial=partial))
    session = _session(core, facts)
    ended(core, stream, session, facts.sent, session.state if session else None)


def _session(core: Core, facts: Facts) -> Session | None:
    if facts.session is None:
        return None
    try:
        session = core.sessions.get(facts.session, facts.owner)
    except (NotFound, StoreDownError):
        return None  # its turn is not alive any more: the next one finds it free
    return session if session.running == facts.id else None
