"""The keys in the store: one value, changed as a whole."""

from datetime import UTC, datetime

import gevent
import pytest

from services.settings import SettingsError
from services.state.memory import MemoryStore
from services.web import stored_keys
from services.web.keys import new_key

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
_, ENTRY = new_key("web", expires=EARLY)


class Slow:
    """Lets others have their turn between a reading and what follows it."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self.swap = self._store.swap

    def get(self, key):
        value = self._store.get(key)
        gevent.sleep(0)
        return value


def test_changes_at_once_are_all_made() -> None:
    """Two who make a key at the same time make two."""
    store = Slow()
    entries = [new_key(f"k{n}")[1] for n in range(5)]
    gevent.joinall([gevent.spawn(stored_keys.add, store, entry) for entry in entries])
    assert {*stored_keys.load(store)} == {entry.id for entry in entries}


def test_an_end_is_never_put_off() -> None:
    """A key that is over sooner stays so, whatever it is told later."""
    assert stored_keys.until(ENTRY, LATE).expires == EARLY
    assert stored_keys.until(stored_keys.until(ENTRY, LATE), datetime(2025, 5, 5, tzinfo=UTC)).expires < EARLY


def test_an_unknown_key_cannot_be_ended() -> None:
    """And nothing is changed."""
    store = MemoryStore()
    stored_keys.add(store, ENTRY)
    with pytest.raises(SettingsError, match="no key of this id"):
        stored_keys.end(store, "0123456789ab", EARLY)
    assert [*stored_keys.load(store).values()] == [ENTRY]
