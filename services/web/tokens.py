"""Read tokens: for an ``EventSource``, which can set no header and so cannot show a key.

A token opens one stream, to read and to cancel, as the key that asked for it; from one origin
if that was named. It stands in a URL, which others may log, so it is good for two minutes; once
used it stays good for as long as the stream can be read, since an ``EventSource`` comes back with
the same URL.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from flask import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from services.errors import ForeignOrigin, Unauthorized
from services.state.store import Store

UNUSED_S = 120
SECRET_BYTES = 32
FOR_EVER_S = 10 * 365 * 86_400.0


class _Opens(msgspec.Struct, frozen=True, kw_only=True):
    """What a token opens, to whom, from where; ``once`` tells it from all others."""

    stream: str
    owner: str
    origin: str | None
    once: str


@dataclass
class Tokens:
    """Makes and reads tokens; ``kept_s`` is how long a used one stays good.

    ``live`` tells whether the key that asked for a token still opens anything. Without a
    ``secret`` in the settings one is made and kept in the store.
    """

    store: Store
    secret: str | None
    kept_s: float
    live: Callable[[str], bool]
    unused_s: float = UNUSED_S
    _made: bytes | None = field(default=None, init=False)

    def new(self, stream_id: str, owner: str, origin: str | None) -> tuple[str, datetime]:
        """Return a token, and until when it has to be used first; raises StoreDownError."""
        opens = _Opens(stream=stream_id, owner=owner, origin=origin, once=secrets.token_urlsafe(9))
        token = str(self._signed.dumps(msgspec.to_builtins(opens)))
        return token, datetime.now(UTC) + timedelta(seconds=UNUSED_S)

    def owner(self, request: Request, stream_id: str) -> str | None:
        """Return whose the stream is, as the request's token says; None without a token.

        Raises Unauthorized in the same words for one that is forged, too old, or another stream's;
        ForeignOrigin for a page of another origin; StoreDownError.
        """
        token = request.args.get("token")
        if token is None:
            return None
        opens = self._read(token)
        if opens.stream != stream_id or not self.live(opens.owner):
            raise _refused()
        if opens.origin is not None and not _comes_from(request, opens.origin):
            raise ForeignOrigin("This token is good for pages of another origin.")
        return opens.owner

    def _read(self, token: str) -> _Opens:
        try:
            value, signed_at = self._signed.loads(token, return_timestamp=True)
            opens = msgspec.convert(value, _Opens)
        except (BadSignature, msgspec.ValidationError):
            raise _refused() from None
        used = f"token:{opens.once}"
        if datetime.now(UTC) - signed_at <= timedelta(seconds=self.unused_s):
            self.store.put(used, b"", self.kept_s)
        elif self.store.get(used) is None:
            raise _refused()
        return opens

    @property
    def _signed(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret or self._kept(), salt="gloss read token")

    def _kept(self) -> str:
        """Ask each time: a store that came back empty may have got a new one, which then is everybody's."""
        while (kept := self.store.get("secret")) is None:
            self._made = self._made or secrets.token_urlsafe(SECRET_BYTES).encode()
            self.store.swap("secret", None, self._made, FOR_EVER_S)
        self._made = kept
        return kept.decode()


def _refused() -> Unauthorized:
    return Unauthorized("This token is not good here: wrong, too old, or another stream's.")


def _comes_from(request: Request, origin: str) -> bool:
    """Tell whether a page of this origin asks; to its own, a browser names none when it only reads."""
    asking: Any = request.headers.get("Origin")
    if asking is None:
        own = request.headers.get("Sec-Fetch-Site") == "same-origin"
        return own and origin == request.host_url.rstrip("/")
    return bool(asking == origin)
