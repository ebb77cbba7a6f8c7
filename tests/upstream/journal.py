"""What the upstream saw: one entry per attempt, the judge of retries, bills and hang-ups."""

import hashlib
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

LONGEST_WAIT_S = 30


@dataclass
class Entry:
    """One request; times are ``time.monotonic()``, which all processes of a machine share.

    ``chunks_at`` tells when each chunk was sent, pings among them. ``ended`` says who ended
    the attempt: ``upstream`` (as its steps say) or ``peer``.
    """

    number: int
    connection: int
    model: str
    key: str
    body: str
    asked: dict[str, Any]
    begun_at: float = field(default_factory=time.monotonic)
    chunks_at: list[float] = field(default_factory=list)
    ended_at: float | None = None
    ended: str | None = None
    tokens: int = 0


class Journal:
    """The entries so far, and a way to wait for more."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._changed = threading.Condition()

    def begin(self, connection: int, key: str, body: bytes, asked: dict[str, Any]) -> Entry:
        """Note a new attempt; key and body are kept as hashes."""
        with self._changed:
            entry = Entry(
                len(self._entries) + 1,
                connection,
                str(asked.get("model")),
                _hash(key.encode()),
                _hash(body),
                asked,
            )
            self._entries.append(entry)
            self._changed.notify_all()
            return entry

    def end(self, entry: Entry, by: str) -> None:
        """Note an attempt's end, once."""
        with self._changed:
            if entry.ended is None:
                entry.ended, entry.ended_at = by, time.monotonic()
                self._changed.notify_all()

    def attempts(self, model: str) -> int:
        """Return how many attempts named this model."""
        return len(self._of(model))

    def read(self, model: str | None, *, begun: int, ended: int) -> list[dict[str, Any]]:
        """Return the entries once so many have begun and ended, or after the longest wait."""

        def enough() -> bool:
            entries = self._of(model)
            return len(entries) >= begun and sum(e.ended is not None for e in entries) >= ended

        with self._changed:
            self._changed.wait_for(enough, LONGEST_WAIT_S)
            return [asdict(entry) for entry in self._of(model)]

    def _of(self, model: str | None) -> list[Entry]:
        return [entry for entry in self._entries if model in {None, entry.model}]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
