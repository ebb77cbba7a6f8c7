"""Pads frames to size buckets: of a text that is encrypted, whoever watches the network sees the sizes.

From the sizes of its pieces the topic of an answer can be told (Whisper Leak, arXiv 2511.03675). What is
added is no content: blanks after the JSON, a comment in a server-sent event. Every size is a multiple of
the step, so that is what several frames in one packet add up to as well.
"""

from collections.abc import Callable
from dataclasses import replace

from services.wire import message, sse
from services.wire.encoding import Encoding
from services.wire.ndjson import NDJSON
from services.wire.sse import SSE

FINE = 8  # of so many steps a step is kept; twice as long a frame has steps twice as wide
COMMENT = b":\n"


def bucket(size: int, step: int) -> int:
    """Return the size of the bucket for so many bytes: at most a step more, or a quarter of what it holds.

    The steps grow with the size, as few sizes for what is long tell less than many (the idea of Padmé,
    Nikitin et al., PoPETs 2019).
    """
    while size > FINE * step:
        step *= 2
    return -(-size // step) * step


def padded(text: bytes, step: int) -> bytes:
    """Return JSON with blanks after it, up to its bucket; without a step as it is."""
    return text.ljust(bucket(len(text), step)) if step else text


def ndjson(step: int) -> Encoding:
    """Return NDJSON whose lines have blanks before their end."""

    def frame(line: bytes) -> bytes:
        return line[:-1].ljust(bucket(len(line), step) - 1) + b"\n"

    return replace(NDJSON, frame=frame)


def server_sent(step: int) -> Encoding:
    """Return server-sent events with a comment each, which no reader is told of (WHATWG HTML, 9.2.5)."""

    def frame(line: bytes) -> bytes:
        whole = sse.frame(line)
        size = bucket(len(whole) + len(COMMENT), step)
        return whole[:-1] + b":".ljust(size - len(whole) - 1) + b"\n\n"

    return replace(SSE, frame=frame)


def messages(step: int) -> Callable[[bytes, bytes], bytes]:
    """Return what makes a WebSocket's messages, with blanks at their ends where there is a step."""
    if not step:
        return message.message
    return lambda beginning, line: padded(message.message(beginning, line), step)
