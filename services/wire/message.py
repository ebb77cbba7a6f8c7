"""A WebSocket's messages: the log's line with the ``ref`` that it answers put before it.

The event is not encoded anew, so what a socket carries is, but for the ref, what NDJSON does.
"""

from typing import Any

import msgspec

DRAIN = b'{"type":"drain"}'

encode = msgspec.json.Encoder().encode


def beginning(ref: str) -> bytes:
    """Return what every message about this ref begins with."""
    return b'{"ref":%b,' % encode(ref)


def message(beginning: bytes, line: bytes) -> bytes:
    """Return the message that carries an event."""
    return beginning + line[1:-1]


def refusal(ref: str | None, problem: dict[str, Any]) -> bytes:
    """Return the message that says why an op was refused; without a ref where it had none."""
    return encode({"ref": ref, "type": "problem", "problem": problem})
