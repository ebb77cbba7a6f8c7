"""What happens when a stream has ended: it is kept to be read again, its turn is over, a line is logged."""

import logging
from collections.abc import Mapping
from typing import Any

from services.events import Error, Finish, joined_text
from services.streams.core import Core
from services.streams.sessions import Session
from services.streams.stream import Stream
from services.streams.use_case import Turn
from services.telemetry import fields

log = logging.getLogger("gloss.stream")


def ended(core: Core, stream: Stream, session: Session | None, sent: Mapping[str, Any], state: Any) -> None:
    """Keep the stream, end its turn with the state that it left, log a line.

    ``sent`` is the request's body.
    """
    core.streams.ended(stream)
    if session is not None and stream.discarded:
        core.sessions.abandon_turn(session, new=not session.turns)
    elif session is not None:
        end = stream.log.end
        turn = Turn(
            number=session.next_turn,
            stream=stream.id,
            sent={name: value for name, value in sent.items() if name not in {"options", "session"}},
            text=joined_text(stream.log.after(0)),
            partial=not (isinstance(end, Finish) and end.reason == "stop"),
        )
        core.sessions.end_turn(session.id, turn, state)
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
