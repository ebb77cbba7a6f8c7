"""What an encoding is: how an event becomes a frame, and how the end of a stream is told."""

from collections.abc import Callable
from dataclasses import dataclass

from services.events import Event


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One way to put a stream on the wire.

    ``frame(number, event)`` gives the bytes of one event, none if the encoding has no word for
    it; ``heartbeat`` keeps a silent stream alive. ``tells_end`` is true where the end stands in
    the body; elsewhere a bad end is told by cutting the connection.
    """

    name: str
    content_type: str
    frame: Callable[[int, Event], bytes]
    heartbeat: bytes = b""
    tells_end: bool = True
