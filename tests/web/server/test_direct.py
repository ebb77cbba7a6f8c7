"""Frames that go into the socket past gunicorn."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gevent import socket, spawn
from gunicorn.http.wsgi import Response

from services.web.server.connection import Connection
from services.web.server.direct import Direct, direct

BIG = bytes(2**20)


class Wire:
    """A response of gunicorn's, begun, over one end of a pair of sockets."""

    def __init__(self, version: tuple[int, int] = (1, 1), sock: Any = None) -> None:
        here, self.there = socket.socketpair()
        request = SimpleNamespace(version=version, method="GET", should_close=lambda: False)
        cfg = SimpleNamespace(protocol="http")
        self.response = Response(request, sock or Connection(here), cfg)
        self.response.start_response("200 OK", [("Content-Type", "x/y")])
        self.sock = here

    def close(self) -> None:
        self.sock.close()
        self.there.close()

    def heard(self) -> bytes:
        """What has come until now."""
        self.there.settimeout(0)
        try:
            return self.there.recv(2**22)
        except BlockingIOError:
            return b""


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def body(data: bytes) -> bytes:
    """What the chunks hold."""
    held = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        held, data = held + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return held


def made(wire: Wire, heartbeat: bytes = b"\n") -> Direct:
    straight = direct(wire.response, bool, heartbeat)
    assert straight is not None
    straight.flush()
    assert wire.heard().endswith(b"\r\n\r\n")
    return straight


def undated(head: bytes) -> list[bytes]:
    return [line for line in head.splitlines() if not line.startswith(b"Date:")]


def test_head(wire):
    """The head leaves with the first frames, as gunicorn would have written it."""
    straight = direct(wire.response, bool, b"")
    assert straight is not None
    assert wire.heard() == b""
    straight.put([b"abc"])
    head, _, chunks = wire.heard().partition(b"\r\n\r\n")

    other = Wire()
    other.response.send_headers()
    assert undated(head) == undated(other.heard().removesuffix(b"\r\n\r\n"))
    assert (chunks, wire.response.headers_sent) == (b"3\r\nabc\r\n", True)
    other.close()


def test_put(wire):
    """Frames that come together leave as one chunk, and are counted for the access log."""
    assert made(wire).put([b"abc", b"defghij"]) is True
    assert wire.heard() == b"a\r\nabcdefghij\r\n"
    assert wire.response.sent == 10


def test_no_empty_chunk(wire):
    """What holds nothing is not sent: an empty chunk would be the end."""
    straight = made(wire, heartbeat=b"")
    assert straight.put([b"", b""]) is True
    straight.write([])

    assert wire.heard() == b""


def test_heartbeat(wire):
    """No frames are a heartbeat."""
    made(wire).write([])

    assert wire.heard() == b"1\r\n\n\r\n"


def test_full(wire):
    """What a full socket does not take is kept, and goes before what comes later."""
    straight = made(wire)
    frames = [BIG, b"b", b"c"]
    taken = [straight.put([frame]) for frame in frames[:2]]
    writing = spawn(straight.write, frames[2:])
    got = b""
    wire.there.settimeout(5)
    while len(body(got)) < len(BIG) + 2:
        got += wire.there.recv(2**20)
    writing.get(timeout=5)

    assert taken == [False, False]
    assert body(got) == b"".join(frames)


def test_never_waits(wire):
    """A put does not wait, however long the socket may."""
    wire.sock.settimeout(None)
    straight = made(wire)
    while straight.put([BIG]):
        pass

    assert straight.put([b"a"]) is False


def test_broken(wire):
    """A broken connection is told where somebody can be told."""
    straight = made(wire)
    wire.there.close()
    while straight.put([BIG]):
        pass
    with pytest.raises(BrokenPipeError):
        straight.flush()


@pytest.mark.parametrize("kind", ["1.0", "tls"])
def test_not_direct(kind):
    """HTTP/1.0 and TLS are left to who knows better."""
    wire = Wire(
        (1, 0) if kind == "1.0" else (1, 1), SimpleNamespace(do_handshake=None) if kind == "tls" else None
    )

    assert direct(wire.response, bool, b"") is None
    wire.close()
