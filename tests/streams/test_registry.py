"""Which streams there are."""

import pytest

from services.errors import NotFound, Overloaded
from services.streams import registry
from services.streams.registry import Streams, new_id
from services.streams.stream import Stream
from tests.streams.fake_clock import FakeClock


def stream(name: str = "a", owner: str = "me") -> Stream:
    return Stream(id=name, owner=owner, use_case="u", model="m", clock=FakeClock())


def streams(most: int = 2, retention_s: float = 60) -> tuple[Streams, FakeClock]:
    clock = FakeClock()
    return Streams(clock, most=most, retention_s=retention_s), clock


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
    with pytest.raises(NotFound, match=r"There is no such stream; it may have expired\."):
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


def test_there_is_room_for_so_many_and_no_more() -> None:
    """Running streams count, ended ones do not; a refusal says when to try again."""
    kept, _ = streams(most=2)
    kept.add(stream("a"))
    kept.require_room()
    kept.add(stream("b"))
    with pytest.raises(Overloaded) as refused:
        kept.require_room()
    assert (refused.value.members, len(kept.running)) == ({"retry_after_s": 1}, 2)
    kept.ended(stream("a"))
    kept.require_room()
    assert len(kept.running) == 1


def test_ended_streams_are_bounded_in_number() -> None:
    """When too many have ended, the one that ended first goes early."""
    kept, _ = streams(retention_s=1e9)
    for number in range(registry.MAX_ENDED + 1):
        kept.ended(stream(str(number)))
    with pytest.raises(NotFound):
        kept.get("0", "me")
    assert kept.get("1", "me").id == "1"


def test_ids_cannot_be_guessed() -> None:
    """An id has 128 random bits, in characters that a URL takes as they are."""
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 22 and one.replace("-", "").replace("_", "").isalnum() for one in ids)
