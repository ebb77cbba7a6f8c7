"""One JSON object at the end: the whole result, or its problem."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.events import Error, Event, Finish, Start, Text, joined_text

CONTENT_TYPE = "application/json; charset=utf-8"
PROBLEM_TYPE = "application/problem+json; charset=utf-8"


def status(end: Event) -> int:
    """Return the HTTP status of a stream's end: 200 for any finish, the problem's otherwise."""
    return int(end.problem["status"]) if isinstance(end, Error) else 200


def body(events: Sequence[Event], lines: Sequence[bytes], more: dict[str, Any]) -> bytes:
    """Return a whole stream as one object.

    ``lines`` are the log's lines of these events, ``more`` members that the use case adds.
    """
    start, end = events[0], events[-1]
    if isinstance(end, Error):
        return msgspec.json.encode(end.problem | {"usage": end.usage, "partial": end.partial})
    if not isinstance(start, Start):
        raise TypeError("a log begins with its start")
    between = [
        msgspec.Raw(line[:-1])
        for event, line in zip(events, lines, strict=True)
        if not isinstance(event, Start | Text | Finish)
    ]
    return msgspec.json.encode(
        {
            "stream": start.stream,
            "use_case": start.use_case,
            "model": start.model,
            **_turn(start),
            "text": joined_text(events),
            "events": between,
            "finish": msgspec.Raw(lines[-1][:-1]),
        }
        | more
    )


def _turn(start: Start) -> dict[str, Any]:
    """Return the session and its turn, where there is one: without it a lesson could not go on."""
    return {} if start.session is None else {"session": start.session, "turn": start.turn}
