"""What happens at a stream's end: its turn is over, it is kept to be read again, a line is logged."""

import logging
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from services.events import Error, Finish, joined_text
from services.streams.core import Core
from services.streams.sessions import Session
from services.streams.stream import Stream
from services.streams.use_case import Turn
from services.telemetry import fields
from services.telemetry.ends import Ended
from services.telemetry.traces import Moment

log = logging.getLogger("gloss.stream")


def end_turn(  # noqa: PLR0913, PLR0917 - what a turn is made of
    core: Core, stream: Stream, session: Session | None, sent: Mapping[str, Any], state: Any, end: str
) -> None:
    """Give its session the turn that the stream was, and the state that it left.

    ``sent`` is its request, ``end`` what the ledger calls its end.

    This comes before the stream's end is written: whoever has read that may ask on at once, here or
    at another process.
    """
    if session is None:
        return
    if stream.discarded:
        core.sessions.abandon_turn(session, new=not session.turns)
        return
    turn = Turn(
        number=session.next_turn,
        stream=stream.id,
        sent={name: value for name, value in sent.items() if name not in {"options", "session"}},
        text=joined_text(stream.log.after(0)),
        partial=end != "stop",
    )
    stream.owed = partial(core.sessions.store_waiting, session.id)
    core.sessions.end_turn(session.id, turn, state)


def ended(core: Core, stream: Stream) -> None:
    """Keep the stream for those who read it again, count it, log a line."""
    if stream.discarded:
        core.streams.dropped(stream)
    else:
        core.streams.ended(stream)
    went = _went(core, stream)
    went.count(core.metrics)
    core.traces.ended(went, Moment(wall=core.clock.now(), monotonic=core.clock.monotonic()))
    log.info("stream ended %s", fields(went.fields()))


def _went(core: Core, stream: Stream) -> Ended:
    end, usage = stream.log.end, stream.usage()
    return Ended(
        stream=stream.id,
        use_case=stream.use_case,
        model=stream.model,
        key=stream.owner.partition("/")[0],  # what follows is the caller's own name for somebody
        reason=end.reason if isinstance(end, Finish) else None,
        problem=end.problem["type"].rpartition("/")[2] if isinstance(end, Error) else None,
        whole=stream.whole,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_usd=None if usage.cost_usd is None else Decimal(usage.cost_usd),
        estimated=usage.estimated,
        from_cache=usage.from_cache,
        total_s=core.clock.monotonic() - stream.course.began,
        events=stream.log.last_id,
        course=stream.course,
    )
