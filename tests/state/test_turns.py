"""Who waits gets a turn."""

import gevent
import pytest
from gevent.event import Event

from services.state.turns import Turns


class Visits:
    """Greenlets that take turns, and what they noted."""

    def __init__(self, turns: Turns) -> None:
        self.seen: list[str] = []
        self.turns = turns

    def come(self, name: str) -> "tuple[gevent.Greenlet, Event]":
        """Let one come by, who stays until the event is set."""
        leave = Event()
        visitor = gevent.spawn(self._stay, name, leave)
        gevent.sleep(0)
        return visitor, leave

    def _stay(self, name: str, leave: Event) -> None:
        with self.turns():
            self.seen.append(name)
            leave.wait()


@pytest.fixture
def visits() -> Visits:
    return Visits(Turns(2))


def test_most_at_once(visits):
    """As many as there are slots come in, and the next when one of them leaves."""
    leaving = [visits.come(name)[1] for name in "abc"]
    assert visits.seen == ["a", "b"]

    leaving[1].set()
    gevent.sleep(0)
    gevent.sleep(0)
    assert visits.seen == ["a", "b", "c"]


def test_order():
    """Somebody who comes back at once does not get in before those who wait."""
    turns, seen = Turns(1), []

    def again_and_again(name):
        for _ in range(3):
            with turns():
                seen.append(name)
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(again_and_again, name) for name in "abc"], raise_error=True)

    assert seen == list("abc" * 3)


def test_killed_while_waiting(visits):
    """One that is killed in the queue leaves it."""
    leave = [visits.come(name)[1] for name in "ab"]
    waiting, _ = visits.come("c")
    visits.come("d")
    waiting.kill()
    leave[0].set()
    gevent.sleep(0)
    gevent.sleep(0)

    assert visits.seen == ["a", "b", "d"]


def test_killed_when_its_turn_came():
    """One to which a turn comes while it is being killed passes it on."""
    visits = Visits(Turns(1))
    with visits.turns():
        killed, _ = visits.come("a")
        visits.come("b")
        killed.kill(block=False)
    gevent.sleep(0)
    gevent.sleep(0)

    assert visits.seen == ["b"]


def test_slot_comes_back(visits):
    """A slot that was given back is free, also after an error inside."""
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), visits.turns():
            _ = 1 // 0
    [visits.come(name) for name in "ab"]

    assert visits.seen == ["a", "b"]
