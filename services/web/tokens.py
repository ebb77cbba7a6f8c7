"""Read tokens: for an ``EventSource``, which can set no header and so cannot show a key.

A token opens one stream, to read and to cancel, as the key that asked for it; from one origin
if that was named. It stands in a URL, which others may log, so it is good for two minutes; once
used it stays good for as long as the stream can be read, since an ``EventSource`` comes back with
the same URL.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from flask import Request

from services.errors import ForeignOrigin, Unauthorized
from services.state.store import Store
from services.web.callers import Caller, page_origin
from services.web.signing import Signing

UNUSED_S = 120
SALT = "gloss read token"


class _Opens(msgspec.Struct, frozen=True, kw_only=True):
    """What a token opens, to whom, by which key, from where; ``once`` tells it from all others."""

    stream: str
    owner: str
    key: str
    origin: str | None
    once: str


@dataclass
class Tokens:
    """Makes and reads tokens; ``kept_s`` is how long a used one stays good.

    ``live`` tells whether the key of this id, which asked for a token, still opens anything.
    """

    store: Store
    signing: Signing
    kept_s: float
    live: Callable[[str], bool]
    unused_s: float = UNUSED_S

    def new(self, stream_id: str, caller: Caller, origin: str | None) -> tuple[str, datetime]:
        """Return a token, and until when it has to be used first; raises StoreDownError."""
        opens = _Opens(
            stream=stream_id,
            owner=caller.owner,
            key=caller.shown,
            origin=origin,
            once=secrets.token_urlsafe(9),
        )
        token = self.signing.sign(msgspec.to_builtins(opens), SALT)
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
        if opens.stream != stream_id or not self.live(opens.key):
            raise _refused()
        if opens.origin is not None and page_origin(request) != opens.origin:
            raise ForeignOrigin("This token is good for pages of another origin.")
        return opens.owner

    def _read(self, token: str) -> _Opens:
        read = self.signing.read(token, SALT)
        if read is None:
            raise _refused()
        value, signed_at = read
        try:
            opens = msgspec.convert(value, _Opens)
        except msgspec.ValidationError:
            raise _refused() from None
        used = f"token:{opens.once}"
        if datetime.now(UTC) - signed_at <= timedelta(seconds=self.unused_s):
            self.store.put(used, b"", self.kept_s)
        elif self.store.get(used) is None:
            raise _refused()
        return opens


def _refused() -> Unauthorized:
    return Unauthorized("This token is not good here: wrong, too old, or another stream's.")
