"""The keys in the store: one value that holds all of their entries, so that it is read in one call.

It is made for some thousands of keys; who has more callers than that gives them client tokens. A key
that was withdrawn stays in it, over since that moment: a list that is empty would open the service.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import inf
from types import MappingProxyType

import msgspec

from services.settings import SettingsError
from services.state.store import Store
from services.web.entries import Entry, parse_entry

VALUE = "keys"
USED = "key-used:"
REVOKED = "key-revoked:"
VERSION = 1


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    v: int = VERSION
    entries: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Document).decode


class UnknownKeyError(SettingsError):
    """There is no key of this id in the store."""


def read(value: bytes | None) -> Mapping[str, Entry]:
    """Return the entries of a stored value, by their ids; raises SettingsError, msgspec.MsgspecError."""
    entries = [parse_entry(line) for line in _decode(value).entries] if value is not None else []
    return MappingProxyType({entry.id: entry for entry in entries})


def written(entries: Iterable[Entry]) -> bytes:
    """Return the value that holds these entries."""
    return _encode(_Document(entries=tuple(entry.line() for entry in entries)))


def load(store: Store) -> Mapping[str, Entry]:
    """Return the entries in the store; raises StoreDownError."""
    return read(store.get(VALUE))


def change(store: Store, changed: Callable[[Mapping[str, Entry]], Iterable[Entry]]) -> None:
    """Replace the entries by what ``changed`` makes of them, atomically; raises StoreDownError."""
    while True:
        before = store.get(VALUE)
        if store.swap(VALUE, before, written(changed(read(before))), inf):
            return


def add(store: Store, entry: Entry) -> None:
    """Let a key in; raises StoreDownError."""
    change(store, lambda entries: [*entries.values(), entry])


def end(store: Store, key_id: str, at: datetime) -> None:
    """Let a key open nothing from then on; raises UnknownKeyError, StoreDownError.

    That it was withdrawn is noted beside it, for people: to who shows a key that is all one.
    """

    def ended(entries: Mapping[str, Entry]) -> list[Entry]:
        if key_id not in entries:
            raise UnknownKeyError("There is no key of this id in the store; LIST=1 shows all ids.")
        return [until(entry, at) if entry.id == key_id else entry for entry in entries.values()]

    before = load(store).get(key_id)
    change(store, ended)
    if before is not None and not before.is_over(at):
        store.put(REVOKED + key_id, at.isoformat(timespec="minutes").encode(), inf)


def until(entry: Entry, at: datetime) -> Entry:
    """Return the entry over at this moment, or earlier where it was so already."""
    whole = at.astimezone(UTC).replace(microsecond=0)
    expires = whole if entry.expires is None else min(whole, entry.expires)
    return Entry(caller=entry.caller, digest=entry.digest, expires=expires)


def note_use(store: Store, used: Mapping[str, datetime]) -> None:
    """Store when keys were used last, by their ids; raises StoreDownError."""
    for key_id, at in used.items():
        store.put(USED + key_id, at.isoformat(timespec="minutes").encode(), inf)


def last_use(store: Store, key_id: str) -> datetime | None:
    """Return when a key was used last, to the minute; raises StoreDownError."""
    return _moment(store.get(USED + key_id))


def revoked(store: Store, key_id: str) -> datetime | None:
    """Return when a key was withdrawn before its time, to the minute; raises StoreDownError."""
    return _moment(store.get(REVOKED + key_id))


def _moment(value: bytes | None) -> datetime | None:
    return datetime.fromisoformat(value.decode()) if value else None
