"""Newline-delimited JSON: the log's lines as they are; an empty line is a heartbeat."""

from services.wire.encoding import Encoding

NDJSON = Encoding(
    name="ndjson",
    content_type="application/x-ndjson; charset=utf-8",
    frame=None,
    heartbeat=b"\n",
    drain=lambda _retry_ms: b'{"type":"drain"}\n',
)
