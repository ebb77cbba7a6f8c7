"""What the leaving of the last reader does."""

import pytest

from services.streams.presence import OnDisconnect, Presence
from tests.streams.fake_clock import FakeClock


class Watched:
    """A presence, its clock, and how often it was given up."""

    def __init__(self, policy: OnDisconnect) -> None:
        self.clock = FakeClock()
        self.abandoned = 0
        self.presence = Presence(self.clock, policy, self._count)

    def _count(self) -> None:
        self.abandoned += 1

    def come(self, times: int = 1) -> "Watched":
        for _ in range(times):
            self.presence.enter()
        return self


def test_a_stream_is_given_up_when_the_last_one_leaves() -> None:
    """Not while somebody is there."""
    watched = Watched("cancel").come(2)
    watched.presence.leave()
    assert (len(watched.presence), watched.abandoned) == (1, 0)
    watched.presence.leave()
    assert (len(watched.presence), watched.abandoned) == (0, 1)


def test_nobody_needs_to_be_there_for_a_stream_that_is_to_finish() -> None:
    """With ``finish`` it is never given up, however long nobody comes."""
    watched = Watched("finish").come()
    watched.presence.leave()
    watched.clock.advance(10_000)
    assert watched.abandoned == 0


def test_a_grace_is_waited_for() -> None:
    """With a number of seconds the stream is given up that long after the last one left."""
    watched = Watched(30).come()
    watched.presence.leave()
    watched.clock.advance(29.9)
    assert watched.abandoned == 0
    watched.clock.advance(0.1)
    assert watched.abandoned == 1


def test_who_comes_back_in_time_is_in_time() -> None:
    """The grace of an earlier leaving ends nothing, also if the reader has left again since."""
    watched = Watched(30).come()
    watched.presence.leave()
    watched.clock.advance(20)
    watched.come()
    watched.presence.leave()
    watched.clock.advance(20)
    assert watched.abandoned == 0
    watched.clock.advance(10)
    assert watched.abandoned == 1


@pytest.mark.parametrize("policy", ["cancel", 5])
def test_who_was_sent_away_counts_as_there(policy: OnDisconnect) -> None:
    """For as long as it is held; then it has left as any other."""
    watched = Watched(policy).come()
    watched.presence.leave(held_s=30)
    watched.clock.advance(29)
    assert (len(watched.presence), watched.abandoned) == (1, 0)
    watched.clock.advance(6)
    assert (len(watched.presence), watched.abandoned) == (0, 1)
