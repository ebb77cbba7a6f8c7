"""Rest while much is going on."""

from collections.abc import Iterator
from itertools import count

import gevent
import pytest
from gevent.event import Event as Signal

from services.web.server.moderation import BUSY, LOOK_S, MANY, REST_S, SHORT_REST_S, Moderation

TURNS = 3  # of the loop, with nothing to be done


class Busy:
    """A thread that is as busy as ``share`` says, under moderation; ``rests`` are those that it took."""

    def __init__(self) -> None:
        self.share = 1.0
        self.streams = MANY
        self.answering: list[str] = []
        self.rests: list[float] = []
        self.rested = Signal()
        self._used = 0.0
        loop = gevent.get_hub().loop
        self.moderation = Moderation(
            loop,
            streams=lambda: self.streams,
            opening=lambda: self.answering,
            used=self.used,
            rest=self.rest,
        )

    def used(self) -> float:
        self._used += self.share * LOOK_S
        return self._used

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.rested.set()

    def waits(self) -> list[float]:
        """The rests that are taken while nothing is to be done for a moment."""
        self.rests.clear()
        turns, turned, probe = count(1), Signal(), gevent.get_hub().loop.idle()
        probe.start(lambda: next(turns) == TURNS and turned.set())
        turned.wait()  # each turn in which this idle watcher ran, any other one ran too
        probe.stop()
        return self.rests


@pytest.fixture
def busy() -> Iterator[Busy]:
    busy = Busy()
    yield busy
    busy.moderation.stop()


def test_a_busy_thread_rests(busy: Busy) -> None:
    """Before it waits for more, it lets some come."""
    busy.moderation.look()
    assert set(busy.waits()) == {REST_S}


def test_who_has_little_to_do_never_rests(busy: Busy) -> None:
    """What comes is taken at once."""
    busy.share = BUSY / 2
    busy.moderation.look()
    assert busy.waits() == []


def test_who_is_busy_with_few_streams_never_rests(busy: Busy) -> None:
    """Their beginnings are what it is busy with."""
    busy.streams = MANY - 1
    busy.moderation.look()
    assert busy.waits() == []


def test_a_thread_that_is_busy_no_more_ends_to_rest(busy: Busy) -> None:
    """Each look decides anew."""
    busy.moderation.look()
    busy.share = 0
    busy.moderation.look()
    assert busy.waits() == []


def test_who_is_answered_waits_less(busy: Busy) -> None:
    """A request that waits for one thing after the other would else wait for as many rests."""
    busy.moderation.look()
    busy.answering.append("a request")
    assert set(busy.waits()) == {SHORT_REST_S}


def test_nobody_rests_while_something_can_be_done(busy: Busy) -> None:
    """Who only lets others go first goes on without a rest."""
    busy.moderation.look()
    busy.waits()
    busy.rests.clear()
    for _ in range(20):
        gevent.sleep(0)
    assert busy.rests == []


def test_stop(busy: Busy) -> None:
    """After a stop nothing is held up."""
    busy.moderation.look()
    busy.moderation.stop()
    assert busy.waits() == []


def test_it_looks_by_itself(busy: Busy) -> None:
    """Once started, it looks every tenth of a second."""
    busy.moderation.start()
    assert busy.rested.wait(5)
