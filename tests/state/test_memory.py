"""What memory alone promises."""

from services.state.memory import SWEEP_S, Contents, MemoryStore
from tests.streams.fake_clock import FakeClock


def test_what_expired_is_freed():
    """Memory of what has expired is given back when something else is written."""
    contents, clock = Contents(), FakeClock()
    store = MemoryStore(monotonic=clock.monotonic, contents=contents)
    store.put("a", b"1", 1)
    store.append("a", 1, 1, [b"1"], 1)
    store.send("in", b"1", 1)
    clock.advance(SWEEP_S)
    store.put("b", b"2", 1)

    assert (list(contents.values), contents.logs, contents.inboxes) == (["b"], {}, {})


def test_sweeping_spares_the_living():
    """What still lives stays, and so does the epoch of a log that was seized."""
    contents, clock = Contents(), FakeClock()
    store = MemoryStore(monotonic=clock.monotonic, contents=contents)
    store.lease(["seized"], 0)
    store.seize("seized", 1)
    store.put("a", b"1", 99)
    store.append("a", 1, 1, [b"1"], 99)
    store.send("in", b"1", 99)
    clock.advance(SWEEP_S)
    store.put("b", b"2", 1)

    assert (list(contents.values), list(contents.inboxes)) == (["a", "b"], ["in"])
    assert sorted(contents.logs) == ["a", "seized"]
