"""Seeing to the end of a stream whose process is no more, or let go of it.

What was shown stays. A use case that allows it goes on where it was, if its process let go in
order: the answer is made again, what was shown of it is swallowed (``replay.py``), and calls that
were answered are not made again (``known.py``). Everything else gets the end that it never got.
"""

import logging
from contextlib import nullcontext

import gevent

from services.cost.reservation import Reservation
from services.errors import GlossError, NotFound, Overloaded, ShuttingDown
from services.events import Error, Limits, Notice, Start, Text
from services.llm import Tokens
from services.state.store import StoreDownError
from services.streams.capacity import Slot
from services.streams.core import Core
from services.streams.ending import end_turn, ended
from services.streams.known import Before
from services.streams.log import Log
from services.streams.making import Making
from services.streams.pen import Pen
from services.streams.readers import HELD_S
from services.streams.sessions import Session
from services.streams.sharing.facts import Facts
from services.streams.stream import Stream
from services.telemetry import log_failure

log = logging.getLogger("gloss.stream")

LEFT_S = 60.0  # in the store, for an end that only has to be written


def take_over(core: Core, facts: Facts, copy: Log, epoch: int) -> None:
    """Go on with a stream that this process has seized, or end it; ``copy`` holds what is stored."""
    stream = Stream(
        id=facts.id, owner=facts.owner, use_case=facts.use_case, model=facts.model, clock=core.clock,
        log=copy, on_disconnect=facts.on_disconnect, own_cap=facts.own_cap, torn=facts.handed is None,
        answer=facts.answer, session=facts.session, opener=facts.opener,
    )  # fmt: skip
    used = facts.handed.used if facts.handed else core.exchange.remote.estimated(copy, facts.model)
    stream.usage = lambda: used
    stream.reservation = _reservation(core, facts)
    core.streams.add(stream)
    core.exchange.go_on(stream, facts, epoch, max(LEFT_S, facts.handed.left_s if facts.handed else 0))
    if facts.handed is None:
        _end(core, stream, facts)
    else:
        gevent.spawn(_again, core, stream, facts, facts.handed)  # others' leases do not wait for it


def _again(core: Core, stream: Stream, facts: Facts, before: Before) -> None:
    """Go on with what was handed over; where that cannot be, end it."""
    causes: list[BaseException] = []
    stream.interrupt = causes.append
    goes_on = False
    try:
        making = _making(core, facts, stream, before)
        with core.capacity.slot(stream.owner) if making else nullcontext() as slot:
            if making and slot and not stream.log.broken:
                _go_on(core, making, slot, facts, before)
                goes_on = True
    except Overloaded:
        pass  # whoever waits here came first
    except Exception as error:  # noqa: BLE001 - a stream that nobody makes must get its end
        log_failure(log, "a stream could not be gone on with", error)
    if goes_on:
        for cause in causes:
            stream.throw(cause)
    elif not stream.log.broken:
        stream.interrupt = None
        _end(core, stream, facts)


def _making(core: Core, facts: Facts, stream: Stream, before: Before) -> Making | None:
    """Plan the answer anew; None where it may not or cannot be made again."""
    use_case, start = core.use_cases.get(facts.use_case), stream.log.after(0)[0]
    if use_case is None or not use_case.recovers or before.left_s <= 0 or not isinstance(start, Start):
        return None
    try:
        given = use_case.restore(facts.sent)
        model = core.models.choose(given.options.model)
        if model.name != facts.model or core.prompts[use_case.name].label != start.prompt:
            return None  # another release, or another deployment, would make another answer
        limits = Limits(max_output_tokens=start.limits.max_output_tokens, deadline_s=before.left_s)
        return Making.of(
            core, use_case, given, stream=stream, model=model, limits=limits, session=None,
            reservation=stream.reservation or _reservation(core, facts),
        )  # fmt: skip
    except GlossError:
        return None


def _go_on(core: Core, making: Making, slot: Slot, facts: Facts, before: Before) -> None:
    stream = making.stream
    shown = stream.log.after(1)
    granularity = facts.sent.get("options", {}).get("granularity", "token")
    pen = Pen(stream, granularity, shown=shown)
    stream.log.append(Notice(code="provider-retry", detail="Another process goes on with this answer."))
    stream.presence.enter()
    stream.presence.leave(held_s=HELD_S)  # its readers are on their way
    producer = making.producer(pen, slot, ended=lambda: ended(core, stream), before=before)
    producer.start(making.opening, before.left_s)


def _reservation(core: Core, facts: Facts) -> Reservation:
    """Return it as it was when the stream was let go of, or else when it began."""
    paid = (facts.handed.paid if facts.handed else None) or facts.paid
    if paid is not None:
        return core.ledger.resumed(facts.id, paid)
    return core.ledger.opened(  # another release began it
        facts.id,
        (),
        key=facts.owner.partition("/")[0],
        use_case=facts.use_case,
        model=facts.model,
        lasts_s=LEFT_S,
    )


def _charge(core: Core, stream: Stream, facts: Facts) -> None:
    """Settle what is known of it, or else take the worst for granted."""
    reservation = stream.reservation or _reservation(core, facts)
    elsewhere = facts.answer is not None and reservation.payer.limited  # held for whoever shared its answer
    if facts.handed is not None or elsewhere:
        reservation.settle(ShuttingDown.slug)
        return
    used = stream.usage()
    core.ledger.lost(
        reservation,
        Tokens(input=used.input_tokens, output=used.output_tokens),
        core.models.named(facts.model).price,
    )


def _end(core: Core, stream: Stream, facts: Facts) -> None:
    _charge(core, stream, facts)
    problem = ShuttingDown("The process that made this answer ended before the answer did.")
    session = _session(core, facts)
    end_turn(core, stream, session, facts.sent, session.state if session else None, problem.slug)
    partial = any(isinstance(event, Text) for event in stream.log.after(0))
    stream.log.append(Error(problem=problem.problem(stream.url), usage=stream.usage(), partial=partial))
    ended(core, stream)


def _session(core: Core, facts: Facts) -> Session | None:
    if facts.session is None:
        return None
    try:
        session = core.sessions.get(facts.session, facts.owner)
    except (NotFound, StoreDownError):
        return None  # its turn is not alive any more: the next one finds it free
    return session if session.running == facts.id else None
