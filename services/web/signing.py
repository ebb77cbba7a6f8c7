"""Signed values: what the service gave away, and knows again without having kept it.

Without a secret in the settings one is made and kept in the store, so that all processes sign alike.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from services.state.store import Store

SECRET_BYTES = 32
FOR_EVER_S = 10 * 365 * 86_400.0


@dataclass
class Signing:
    """Signs and reads; a ``salt`` keeps one kind of value from passing for another."""

    store: Store
    secret: str | None
    _made: bytes | None = field(default=None, init=False)

    def sign(self, value: object, salt: str) -> str:
        """Return letters that stand in a URL as they are; raises StoreDownError."""
        return str(URLSafeTimedSerializer(self.secret or self._kept(), salt=salt).dumps(value))

    def read(self, signed: str, salt: str) -> tuple[Any, datetime] | None:
        """Return the value, and when it was signed; None for what was not. Raises StoreDownError.

        The store is asked where this process does not know the secret yet. One that came back empty is
        told it again by ``sign``, and by whoever has to ask.
        """
        secret = self.secret or (self._made or self._kept().encode()).decode()
        try:
            value, at = URLSafeTimedSerializer(secret, salt=salt).loads(signed, return_timestamp=True)
        except BadSignature:
            return None
        return value, at

    def _kept(self) -> str:
        """Ask each time: a store that came back empty may have got a new one, which then is everybody's."""
        while (kept := self.store.get("secret")) is None:
            self._made = self._made or secrets.token_urlsafe(SECRET_BYTES).encode()
            self.store.swap("secret", None, self._made, FOR_EVER_S)
        self._made = kept
        return kept.decode()
