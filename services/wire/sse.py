"""Server-sent events (WHATWG HTML, 9.2): one message per event.

The JSON stands on one line: newlines in text are escaped there, so no text can end a message.
"""

from services.events import number_and_type
from services.wire.encoding import Encoding


def frame(line: bytes) -> bytes:
    """Return ``id``, ``event`` and ``data`` lines, and the empty line that sends them."""
    return b"id: %b\nevent: %b\ndata: %b\n" % (*number_and_type(line), line)


def drain(retry_ms: int) -> bytes:
    """Return a message without a number: the last event's stays the one to go on from."""
    return b'event: drain\ndata: {"type":"drain"}\nretry: %d\n\n' % retry_ms


SSE = Encoding(
    name="sse",
    content_type="text/event-stream; charset=utf-8",
    frame=frame,
    heartbeat=b": hb\n\n",
    drain=drain,
)
