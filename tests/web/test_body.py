"""A response's body, as a server asks for it that can be written past."""

from functools import partial
from typing import Any

from services.streams.stream import Stream
from services.web.body import StreamBody
from services.web.server.direct import WAITING, direct
from services.wire.negotiation import NDJSON
from tests.streams.test_readers import START, A, running
from tests.web.server.test_direct import Wire


def body_of(stream: Stream, wire: Wire, woken: list[str], *, after: int) -> Any:
    environ = {"gloss.direct": partial(direct, wire.response, partial(woken.append, "woken"))}
    return StreamBody(stream, NDJSON, environ, after=after, heartbeat_s=10, drain=None)


def test_the_head_leaves_though_there_is_nothing_to_read_yet() -> None:
    """Who has all there is learns that there will be more, before there is."""
    wire, woken = Wire(), []
    body = body_of(running(START), wire, woken, after=1)
    assert next(iter(body)) is WAITING
    assert wire.heard().endswith(b"\r\n\r\n")
    assert woken == []
    body.close()
    wire.close()


def test_what_is_there_leaves_before_it_waits() -> None:
    """Head and events in one go; then the body is asked again when it is woken, not before."""
    wire, woken = Wire(), []
    body = body_of(running(START, A), wire, woken, after=0)
    assert next(iter(body)) is WAITING
    assert wire.heard().count(b'{"id":') == 2
    body._reader.leave()  # noqa: SLF001 - as the socket's watcher does
    assert woken == ["woken"]
    body.close()
    wire.close()
