"""Seeing to the end of a stream whose process is no more, or let go of it.

What was shown stays. A use case that allows it goes on where it was, if its process let go in
order; everything else gets the end that it never got.
"""

import logging

from services.errors import NotFound, ShuttingDown
from services.events import Error
from services.state.store import StoreDownError
from services.streams.core import Core
from services.streams.ending import ended
from services.streams.log import Log
from services.streams.sessions import Session
from services.streams.sharing.facts import Facts
from services.streams.stream import Stream

log = logging.getLogger("gloss.stream")

LEFT_S = 60.0  # in the store, for an end that only has to be written


def take_over(core: Core, facts: Facts, copy: Log, epoch: int) -> None:
    """Go on with a stream that this process has seized, or end it; ``copy`` holds what is stored."""
    stream = Stream(
        id=facts.id, owner=facts.owner, use_case=facts.use_case, model=facts.model, clock=core.clock,
        log=copy, on_disconnect=facts.on_disconnect, own_cap=facts.own_cap,
    )  # fmt: skip
    used = facts.handed or core.exchange.remote.estimated(copy, facts.model)
    stream.usage = lambda: used
    core.streams.add(stream)
    core.exchange.go_on(stream, facts, epoch, LEFT_S)
    _end(core, stream, facts)


def _end(core: Core, stream: Stream, facts: Facts) -> None:
    problem = ShuttingDown("The process that made this answer ended before the answer did.")
    partial = any(b'"type":"text"' in line for line in stream.log.lines(0))
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
