"""Which streams there are."""

from weakref import ref

import pytest

from services.errors import NotFound
from services.streams import registry
from services.streams.registry import NONE, Streams, new_id
from services.streams.stream import Stream
from tests.streams.fake_clock import FakeClock


def stream(name: str = "a", owner: str = "me") -> Stream:
    return Stream(id=name, owner=owner, use_case="u", model="m", clock=FakeClock())


def streams(retention_s: float = 60) -> tuple[Streams, FakeClock]:
    clock = FakeClock()
    return Streams(clock, retention_s=retention_s), clock


def test_a_running_stream_is_found() -> None:
    """A stream that was added is there under its id."""
    kept, _ = streams()
    added = stream()
    kept.add(added)
    assert kept.get("a", "me") is added


@pytest.mark.parametrize(("name", "owner"), [("b", "me"), ("a", "somebody else")])
def test_what_is_not_there_and_what_is_not_yours_look_the_same(name: str, owner: str) -> None:
    """An unknown id and another's id are the same problem."""
    kept, _ = streams()
    kept.add(stream())
    with pytest.raises(NotFound, match=NONE):
        kept.get(name, owner)


def test_an_ended_stream_stays_for_a_while() -> None:
    """It can be read for the retention time after its end, and no longer."""
    kept, clock = streams(retention_s=60)
    ended = stream()
    kept.add(ended)
    clock.advance(1000)
    kept.ended(ended)
    clock.advance(59)
    assert kept.get("a", "me") is ended
    clock.advance(1)
    with pytest.raises(NotFound):
        kept.get("a", "me")


def test_ended_streams_are_bounded_in_number() -> None:
    """When too many have ended, the one that ended first goes early."""
    kept, _ = streams(retention_s=1e9)
    for number in range(registry.MAX_ENDED + 1):
        kept.ended(stream(str(number)))
    with pytest.raises(NotFound):
        kept.get("0", "me")
    assert kept.get("1", "me").id == "1"


def test_the_older_half_is_let_go_where_memory_is_short() -> None:
    """Of those that have ended; and nothing, not even a timer, holds them any longer."""
    kept, _ = streams()
    running = stream("running")
    kept.add(running)
    ends = [stream(name) for name in "abc"]
    for one in ends:
        kept.ended(one)
    first = ref(ends[0])
    ends.clear()
    del one
    kept.shed()
    assert first() is None
    for name in "ab":
        with pytest.raises(NotFound):
            kept.get(name, "me")
    assert (kept.get("c", "me").id, kept.get("running", "me")) == ("c", running)


def test_ids_cannot_be_guessed() -> None:
    """An id has 128 random bits, in characters that a URL takes as they are."""
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 22 and one.replace("-", "").replace("_", "").isalnum() for one in ids)
