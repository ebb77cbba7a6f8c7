"""Asking for many holds in few calls."""

from collections.abc import Sequence
from typing import Any

import gevent
import pytest

from services.cost.asking import MOST, Asking
from services.state import patience
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.state.sums import Hold, Sum
from tests.state.busy import Waited
from tests.streams.scripted import Gate
from tests.streams.stage import settle


class Slow(MemoryStore):
    """Answers each call when its gate opens; ``calls`` are how many holds each one asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.gate = Gate()
        self.down = False

    def reserve(self, holds: Sequence[Hold]) -> Any:
        self.calls.append(len(holds))
        self.gate.wait()
        if self.down:
            raise StoreDownError
        return super().reserve(holds)


@pytest.fixture
def store() -> Slow:
    return Slow()


def asked(asking: Asking, number: int) -> Any:
    return gevent.spawn(asking.reserve, Hold(f"h{number}", [Sum("r", "f", 60, 1, 0, MOST)], 60))


def test_who_comes_meanwhile_goes_with_the_next(store: Slow) -> None:
    """A burst is two calls, and each is told its own answer."""
    asking = Asking(store, 1)
    greenlets = [asked(asking, number) for number in range(MOST + 1)]
    settle()
    store.gate.set()
    gevent.joinall(greenlets, raise_error=True)
    assert store.calls == [1, MOST]
    assert [isinstance(one.value, int) for one in greenlets] == [True] * MOST + [False]
    assert asked(asking, MOST + 1).get() is not None
    assert store.calls == [1, MOST, 1]


def test_a_call_that_fails_fails_for_all_that_are_in_it(store: Slow) -> None:
    """And whoever comes later is asked for anew."""
    asking = Asking(store, 1)
    greenlets = [asked(asking, number) for number in range(3)]
    settle()
    store.down = True
    store.gate.set()
    gevent.joinall(greenlets)
    assert [type(one.exception) for one in greenlets] == [StoreDownError] * 3
    store.down = False
    assert asked(asking, 4).get() == 0


def test_who_is_killed_while_waiting_asks_for_nothing(store: Slow) -> None:
    """Its hold would be nobody's."""
    asking = Asking(store, 1)
    first, second = asked(asking, 1), asked(asking, 2)
    settle()
    second.kill()
    store.gate.set()
    first.get()
    assert store.calls == [1]
    assert asked(asking, 3).get() == 0


def test_who_has_waited_before_waits_for_nobody_else(store: Slow) -> None:
    """A request whose patience does not last for two calls makes one of its own."""
    asking = Asking(store, 1)

    def impatient() -> Any:
        patience.begin(1)
        with patience.spent(0, waits=lambda _: Waited(0.5)):
            pass
        return asking.reserve(Hold("h", (), 60))

    first, second = asked(asking, 1), gevent.spawn(impatient)
    settle()
    assert store.calls == [1, 1]
    store.gate.set()
    assert (first.get(), second.get()) == (0, 0)
