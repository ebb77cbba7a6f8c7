"""Decoders written from the formats' standards and not from our encoders."""

import json
from typing import Any


def sse(body: bytes) -> list[tuple[str | None, str, Any]]:
    """Read an event stream as WHATWG HTML, 9.2.6 says: (last event id, type, data as JSON)."""
    messages, event_id, kind, data = [], None, "", []
    for line in body.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                messages.append((event_id, kind or "message", json.loads("\n".join(data))))
            kind, data = "", []
        elif name == "id":
            event_id = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
    return messages


def ndjson(body: bytes) -> list[Any]:
    """Read newline-delimited JSON: a line ends with LF, empty lines say nothing."""
    assert body.endswith(b"\n") or not body
    return [json.loads(line) for line in body.split(b"\n") if line]
