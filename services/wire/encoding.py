"""What an encoding is: how an event becomes a frame, and how the end of a stream is told."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One way to put a stream on the wire.

    ``frame(line)`` makes the bytes of one event of the log's line, none if the encoding has no
    word for it (no ``frame``: the lines as they are); ``heartbeat`` keeps a silent stream alive.
    ``tells_end`` is true where the end stands in the body; elsewhere a bad end is told by cutting
    the connection. ``drain(retry_ms)`` tells a reader to go on elsewhere; without it a reading
    cannot be taken up again, and stays.
    """

    name: str
    content_type: str
    frame: Callable[[bytes], bytes] | None
    heartbeat: bytes = b""
    tells_end: bool = True
    drain: Callable[[int], bytes] | None = None
