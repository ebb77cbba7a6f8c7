"""All connections of a process, with sockets that do nothing."""

import pytest

from services.web.server.connection import Connection, Limits, Phase
from services.web.server.connections import ABOUT_TO_ASK_S, PART, Connections
from tests.streams.fake_clock import FakeClock

LIMITS = Limits(head_s=10, keepalive_s=100, write_timeout_s=20)


class Nothing:
    """A socket that does nothing."""

    def shutdown(self, how: int) -> None: ...


def house(*, most: int = 100) -> tuple[Connections, FakeClock]:
    clock = FakeClock()
    return Connections(LIMITS, most=most, now=clock.monotonic), clock


def enter(connections: Connections, clock: FakeClock, phase: Phase, times: int = 1) -> list[Connection]:
    """Take some in, one second after the other."""
    came = []
    for _ in range(times):
        clock.advance(1)
        connection = connections.take(Nothing())
        assert connection is not None
        connection.enter(phase)
        came.append(connection)
    return came


def ended(connections: list[Connection]) -> list[bool]:
    return [connection.ended for connection in connections]


def test_those_that_are_open_are_counted() -> None:
    """Until they are forgotten; forgetting twice is fine."""
    connections, clock = house(most=1)
    [one, _] = enter(connections, clock, Phase.REQUEST, 2)
    assert connections.crowded
    connections.discard(one)
    connections.discard(one)
    assert not connections.crowded


def test_a_silent_one_makes_room() -> None:
    """The one that has been silent the longest goes; those that ask stay, however old."""
    connections, clock = house(most=5)
    phases = [Phase.HEAD, Phase.REQUEST, Phase.CLOSING, Phase.IDLE, Phase.NEW]
    there = [enter(connections, clock, phase)[0] for phase in phases]
    [came] = enter(connections, clock, Phase.NEW)
    assert ended([*there, came]) == [False, False, False, True, False, False]
    assert not came.refused


def test_one_that_has_just_come_is_about_to_ask() -> None:
    """It does not make room for the next before it had a moment to speak."""
    connections, clock = house()
    [came] = enter(connections, clock, Phase.NEW)
    clock.advance(ABOUT_TO_ASK_S / 2)
    assert not connections.make_room()
    clock.advance(ABOUT_TO_ASK_S / 2)
    assert connections.make_room()
    assert came.ended


def test_room_is_made_for_some_at_once() -> None:
    """One in twenty of the silent ones goes, the oldest; nobody more while they are leaving."""
    connections, clock = house()
    there = enter(connections, clock, Phase.IDLE, 2 * PART)
    for _ in range(2):
        assert connections.make_room()
        assert ended(there) == [True] * 2 + [False] * (2 * PART - 2)
    for leaving in there[:2]:
        connections.discard(leaving)
    assert connections.make_room()
    assert ended(there)[:5] == [True] * 4 + [False]


def test_no_room_is_made_where_all_ask() -> None:
    """Nobody leaves, and nobody is waited for."""
    connections, clock = house()
    there = enter(connections, clock, Phase.REQUEST, 3)
    assert not connections.make_room()
    assert ended(there) == [False] * 3


def test_where_all_are_busy_a_newcomer_is_refused() -> None:
    """It is taken in to be told so, a few at a time; beyond that it is not."""
    connections, clock = house(most=PART)
    served = enter(connections, clock, Phase.REQUEST, PART)
    refused = enter(connections, clock, Phase.HEAD, 2)
    assert {one.refused for one in served} == {False}
    assert {one.refused for one in refused} == {True}
    assert connections.take(Nothing()) is None


def test_after_an_answer_a_connection_is_idle() -> None:
    """Unless its next request has begun."""
    connections, clock = house()
    [one, other] = enter(connections, clock, Phase.REQUEST, 2)
    connections.answered(one, more=False)
    connections.answered(other, more=True)
    assert (one.phase, other.phase) == (Phase.IDLE, Phase.HEAD)
    assert ended([one, other]) == [False, False]


def test_a_drain_sends_away_those_between_two_requests() -> None:
    """Now and later; one that has just come is about to ask, and one that has begun is heard."""
    connections, clock = house()
    phases = [Phase.NEW, Phase.HEAD, Phase.REQUEST, Phase.IDLE]
    new, head, asking, idle = (enter(connections, clock, phase)[0] for phase in phases)
    connections.drain()
    assert ended([new, head, asking, idle]) == [False, False, False, True]
    connections.answered(head, more=True)
    connections.answered(asking, more=False)
    assert ended([head, asking]) == [False, True]


@pytest.mark.parametrize(
    ("phase", "asks"),
    [
        (Phase.NEW, True),
        (Phase.HEAD, True),
        (Phase.REQUEST, True),
        (Phase.IDLE, False),
        (Phase.CLOSING, False),
    ],
    ids=str,
)
def test_who_has_begun_a_request_is_asking(phase: Phase, asks: bool) -> None:
    """And is waited for at the end."""
    connections, clock = house()
    assert not connections.asking()
    enter(connections, clock, phase)
    assert connections.asking() is asks


def test_who_has_come_and_says_nothing_is_not_asking() -> None:
    """A second after it came; until then it is about to."""
    connections, clock = house()
    enter(connections, clock, Phase.NEW)
    clock.advance(ABOUT_TO_ASK_S)
    assert not connections.asking()


def test_what_was_begun_before_is_told_from_what_came_after() -> None:
    """A process that stops waits for the one and not for the other."""
    connections, clock = house()
    [before] = enter(connections, clock, Phase.REQUEST)
    clock.advance(1)
    began = clock.monotonic()
    assert connections.answering(began)
    before.enter(Phase.IDLE)
    enter(connections, clock, Phase.REQUEST)
    assert not connections.answering(began)


def test_it_looks_every_now_and_then() -> None:
    """At most once a second, and often enough for the shortest limit."""
    connections, clock = house()
    [silent] = enter(connections, clock, Phase.NEW)
    connections.look()
    clock.advance(9.5)
    connections.look()
    clock.advance(0.5)
    connections.look()
    assert not silent.ended
    clock.advance(0.5)
    connections.look()
    assert silent.ended


def test_short_limits_are_looked_at_more_often() -> None:
    """A quarter of the shortest."""
    clock = FakeClock()
    limits = Limits(head_s=0.4, keepalive_s=100, write_timeout_s=20)
    connections = Connections(limits, most=9, now=clock.monotonic)
    [silent] = enter(connections, clock, Phase.NEW)
    connections.look()
    clock.advance(0.45)
    connections.look()
    assert silent.ended
