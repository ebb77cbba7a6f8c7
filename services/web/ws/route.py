"""``GET /v1/ws``: the handshake, and how a response of a WSGI server becomes a WebSocket.

The server writes the head of the 101 as it writes every head, with the first item of the body. The
body then asks for nothing more from the server: it speaks over the socket itself for as long as it
lasts, and ends as a response ends that was cut, which closes the connection without another word.
So the server counts the connection as a request that is being answered, logs it, closes the body
whatever happens, and knows nothing of WebSockets.
"""

import base64
import binascii
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Request, Response, request
from wsproto.utilities import generate_accept_token

from services.errors import UpgradeRequired
from services.streams.core import Core
from services.web.callers import page_origin
from services.web.entrance import Entrance
from services.web.keys import authenticate
from services.web.ws.connection import Connection, Limits
from services.web.ws.session import CONTROL_BYTES, Credentials, Session

VERSION = "13"
NONCE_BYTES = 16


@dataclass(frozen=True)
class WebSocketRoute:
    """Opens sockets."""

    core: Core
    entrance: Entrance

    def blueprint(self) -> Blueprint:
        """Give it its path, for requests that ask for a WebSocket and for those that do not."""
        sockets = Blueprint("ws", __name__)
        sockets.add_url_rule("/v1/ws", "open", self.open, methods=["GET"], websocket=True)
        sockets.add_url_rule("/v1/ws", "refuse", self.open, methods=["GET"])
        return sockets

    def open(self) -> Response:
        """Agree to speak WebSocket; who is calling may also be said in the first message."""
        authorization = request.headers.get("Authorization")
        self.entrance.keys.require_known()
        caller = None if authorization is None else authenticate(request, self.entrance.keys)
        accept = accept_token(request)
        self.core.drain.require_open()
        asked = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - it outlives its context
        token_owner = partial(self.entrance.tokens.owner, asked) if "token" in request.args else None
        credentials = Credentials(
            self.entrance.keys, authorization, token_owner, page_origin(request), caller
        )
        return _Switched(
            _Body(self.core, self.entrance, credentials, request.environ["gunicorn.socket"]),
            status=101,
            headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": accept},
            direct_passthrough=True,
        )


def accept_token(request: Request) -> str:
    """Return what proves that the handshake was understood (RFC 6455, 4.2); raises UpgradeRequired.

    No extension is agreed to: frames of a line or two are not worth a compressor's memory per socket,
    and text that is compressed beside a secret gives it away.
    """
    headers = request.headers
    wanted = (
        request.method == "GET"
        and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        and headers.get("Upgrade", "").lower() == "websocket"
        and "upgrade" in {word.strip() for word in headers.get("Connection", "").lower().split(",")}
        and headers.get("Sec-WebSocket-Version") == VERSION
    )
    key = headers.get("Sec-WebSocket-Key", "")
    if not wanted or not _is_nonce(key):
        raise UpgradeRequired
    return generate_accept_token(key.encode()).decode()


def _is_nonce(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == NONCE_BYTES
    except (binascii.Error, ValueError):
        return False


class _Switched(Response):
    """A 101 whose body is asked for: werkzeug leaves out that of a response that has none in HTTP."""

    default_mimetype = None

    def get_app_iter(self, _environ: dict[str, Any]) -> Any:
        return self.response


class _Body:
    """Lets the server write the head, then is the WebSocket."""

    def __init__(self, core: Core, entrance: Entrance, credentials: Credentials, sock: Any) -> None:
        self._core = core
        self._entrance = entrance
        self._credentials = credentials
        self._sock = sock

    def __iter__(self) -> Iterator[bytes]:
        """Yield once, for the head; nothing is open before, so nothing is to be closed if it ends there."""
        yield b""
        self._converse()
        raise ConnectionResetError(errno.ECONNRESET, "no HTTP follows")

    def _converse(self) -> None:
        settings = self._core.settings
        limits = Limits(
            heartbeat_s=settings.heartbeat_s,
            write_timeout_s=settings.write_timeout_s,
            message_s=settings.body_s,
        )
        connection = Connection(self._sock, self._core.clock, limits, most_bytes=CONTROL_BYTES)
        session = Session(self._core, self._entrance, self._credentials, connection)
        try:
            session.run()
        finally:
            session.close()
            connection.finish()
