"""Plain text: the answer as it comes, and nothing else."""

from services.events import Event, Text
from services.wire.encoding import Encoding


def frame(_number: int, event: Event) -> bytes:
    """Return the text of a ``text`` event, nothing for all others."""
    return event.text.encode() if type(event) is Text else b""


TEXT = Encoding(
    name="text",
    content_type="text/plain; charset=utf-8",
    frame=frame,
    tells_end=False,
)
