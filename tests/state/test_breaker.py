"""When calls are spared the wait."""

import logging

import gevent
import pytest
from gevent.event import Event

from services.state.breaker import REST_S, Breaker, RefusedError
from services.state.store import StoreDownError
from tests.streams.fake_clock import FakeClock


class Server:
    """What answers behind the breaker, or does not; it counts who asked."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.breaker = Breaker(monotonic=self.clock.monotonic)
        self.failure: BaseException | None = None
        self.asked = 0

    def ask(self, until: Event | None = None) -> None:
        with self.breaker():
            self.asked += 1
            if until is not None:
                until.wait()
            if self.failure is not None:
                raise self.failure


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def down(server: Server) -> Server:
    """One that has just failed to answer, once."""
    server.failure = StoreDownError("no answer")
    with pytest.raises(StoreDownError):
        server.ask()
    return server


def test_all_is_well(server):
    """As long as it answers, everybody asks."""
    server.ask()
    server.ask()

    assert server.asked == 2


def test_rest(down):
    """After a failure nobody asks for a while."""
    down.clock.advance(REST_S - 0.01)
    for _ in range(9):
        with pytest.raises(StoreDownError):
            down.ask()

    assert down.asked == 1


def test_back(down):
    """After the rest, who asks first finds out that it is back, and then everybody asks."""
    down.clock.advance(REST_S)
    down.failure = None
    down.ask()
    down.ask()

    assert down.asked == 3


def test_still_down(down):
    """Where it still does not answer, nobody asks for another while."""
    down.clock.advance(REST_S)
    for _ in range(9):
        with pytest.raises(StoreDownError):
            down.ask()

    assert down.asked == 2


def test_one_probe(down):
    """While one tries, all others are spared."""
    down.clock.advance(REST_S)
    down.failure = None
    answer = Event()
    probe = gevent.spawn(down.ask, answer)
    gevent.sleep(0)
    with pytest.raises(StoreDownError):
        down.ask()
    answer.set()
    probe.get()
    down.ask()

    assert down.asked == 3


def test_killed_probe(down):
    """A probe that is killed has found out nothing; the next one tries."""
    down.clock.advance(REST_S)
    down.failure = None
    probe = gevent.spawn(down.ask, Event())
    gevent.sleep(0)
    probe.kill()
    down.ask()

    assert down.asked == 3


def test_killed_call(server):
    """A call that is killed says nothing about the server."""
    call = gevent.spawn(server.ask, Event())
    gevent.sleep(0)
    call.kill()
    server.ask()

    assert server.asked == 2


def test_refusal(down):
    """A server that says no has answered."""
    down.clock.advance(REST_S)
    down.failure = RefusedError("full")
    for _ in range(2):
        with pytest.raises(RefusedError):
            down.ask()

    assert down.asked == 3


def test_log(down, caplog):
    """The log says once that it does not answer, and once that it does again."""
    caplog.set_level(logging.INFO, "gloss.state")
    down.failure = None
    down.clock.advance(REST_S)
    down.ask()
    down.ask()
    down.failure = StoreDownError("reset")
    for _ in range(2):
        down.clock.advance(REST_S)
        with pytest.raises(StoreDownError):
            down.ask()

    assert caplog.messages == ["redis answers again", "redis does not answer: reset"]


def test_trouble_is_told(down):
    """How often the server failed, and whether it is left alone for it; a refusal brings no rest."""
    assert (down.breaker.trouble.failures, down.breaker.trouble.down) == (1, True)
    with pytest.raises(StoreDownError):
        down.ask()  # spared: the server did not fail again
    assert down.breaker.trouble.failures == 1

    down.clock.advance(REST_S)
    down.failure = RefusedError("full")
    with pytest.raises(RefusedError):
        down.ask()
    assert (down.breaker.trouble.failures, down.breaker.trouble.down) == (2, False)
