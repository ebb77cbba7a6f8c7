"""Newline-delimited JSON: one event per line; an empty line is a heartbeat."""

from services.events import Event, to_json
from services.wire.encoding import Encoding


def frame(number: int, event: Event) -> bytes:
    """Return the event's JSON and a line end."""
    return to_json(event, number) + b"\n"


NDJSON = Encoding(
    name="ndjson",
    content_type="application/x-ndjson; charset=utf-8",
    frame=frame,
    heartbeat=b"\n",
)
