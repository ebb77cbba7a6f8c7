"""Server-sent events (WHATWG HTML, 9.2): one message per event.

The JSON stands on one line: newlines in text are escaped there, so no text can end a message.
"""

from services.events import Event, to_json, type_of
from services.wire.encoding import Encoding


def frame(number: int, event: Event) -> bytes:
    """Return ``id``, ``event`` and ``data`` lines, and the empty line that sends them."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, type_of(event).encode(), to_json(event, number))


SSE = Encoding(
    name="sse",
    content_type="text/event-stream; charset=utf-8",
    frame=frame,
    heartbeat=b": hb\n\n",
)
