"""Which end users were forgotten, and when: a token that was made for one before opens nothing.

It is one value of the store, read once a second; what is older than any token may be goes out of it.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from services.state.store import Store, StoreDownError

VALUE = "forgotten"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, float]).decode


class Forgotten:
    """Moments by owners (``<key id>/<subject>``); ``kept_s`` is how long a token may be good."""

    def __init__(self, store: Store, *, now: Callable[[], datetime], kept_s: float) -> None:
        self._store = store
        self._now = now
        self._kept_s = kept_s
        self._value: bytes | None = None
        self._known: dict[str, float] = {}
        self._read = False

    def note(self, owner: str) -> None:
        """Forget this one as of now, in all processes; raises StoreDownError."""
        now = self._now().timestamp()
        while True:
            before = self._store.get(VALUE)
            known = _decode(before) if before else {}
            recent = {one: at for one, at in known.items() if at > now - self._kept_s}
            if self._store.swap(VALUE, before, _encode({**recent, owner: now}), self._kept_s):
                break
        self.look()

    def look(self) -> list[str]:
        """Read anew; return who was forgotten since the last time. Raises StoreDownError."""
        value = self._store.get(VALUE)
        self._read = True
        if value is None or value == self._value:
            return []
        before, self._known, self._value = self._known, _decode(value), value
        return [owner for owner, at in self._known.items() if before.get(owner) != at]

    def since(self, owner: str) -> datetime | None:
        """Return when this one was forgotten, None if that is not known.

        Raises StoreDownError where the store was never read: everybody may be in it.
        """
        if not self._read:
            raise StoreDownError("who was forgotten is not known yet")
        at = self._known.get(owner)
        return None if at is None else datetime.fromtimestamp(at, UTC)
