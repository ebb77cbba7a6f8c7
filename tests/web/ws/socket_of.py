"""A WebSocket of a stage: the app's answer to a handshake, served over a socket pair as gunicorn does."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent

from tests.streams.stage import Reply, Stage, settle
from tests.web.ws.frames import Peer

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455, 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def handshake(  # noqa: PLR0913 - a request has that many parts
    stage: Stage,
    sock: Any = None,
    *,
    method: str = "GET",
    version: str = "1.1",
    key: str | None = None,
    query: str = "",
    **headers: str,
) -> Reply:
    """Ask for a WebSocket; underscores in names become hyphens, an empty value leaves the header out."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in {**HANDSHAKE, **given}.items() if value}
    environ = {"gunicorn.socket": sock, "SERVER_PROTOCOL": f"HTTP/{version}"}
    return stage.call(method, f"/v1/ws{query}", headers=sent, environ=environ, key=key)


@contextmanager
def socket_of(stage: Stage, **shown: str) -> Iterator[Peer]:
    """Open one; when the block ends the client leaves, and the server has done with it."""
    ours, theirs = socket.socketpair()
    peer = Peer(theirs)
    serving = gevent.spawn(_serve, handshake(stage, ours, **shown), ours)
    settle()
    try:
        yield peer
    finally:
        peer.close()
        serving.get()


def _serve(reply: Reply, sock: socket.socket) -> None:
    assert reply.status == 101
    with suppress(ConnectionResetError):
        reply.read()
        raise AssertionError("the server would go on with HTTP")
    sock.close()
