"""Alarms, on a clock that stands still and on the real one."""

from datetime import UTC

from gevent.event import Event

from services.streams.clock import Alarm, GeventClock
from tests.streams.fake_clock import FakeClock


def armed(seconds: float) -> tuple[FakeClock, Alarm, list[float]]:
    clock, rung = FakeClock(), []
    began = clock.monotonic()
    return clock, Alarm(clock, seconds, lambda: rung.append(clock.monotonic() - began)), rung


def test_an_alarm_rings_once_when_its_time_has_come() -> None:
    """Nothing before, one ring then, nothing later."""
    clock, _alarm, rung = armed(5)
    clock.advance(4.9)
    assert rung == []
    clock.advance(100)
    assert rung == [5]


def test_a_touch_puts_the_ring_off() -> None:
    """The ring comes so many seconds after the last touch."""
    clock, alarm, rung = armed(5)
    clock.advance(3)
    alarm.touch()
    clock.advance(4)
    alarm.touch()
    clock.advance(100)
    assert rung == [12]


def test_a_touch_arms_no_timer() -> None:
    """A thousand touches leave one timer."""
    clock, alarm, _ = armed(5)
    for _ in range(1000):
        alarm.touch()
    assert clock.armed == 1


def test_a_restart_changes_the_time() -> None:
    """After a restart only the new seconds count, from then on."""
    clock, alarm, rung = armed(5)
    clock.advance(4)
    alarm.restart(20)
    clock.advance(100)
    assert rung == [24]


def test_a_closed_alarm_is_silent() -> None:
    """A closed alarm never rings, leaves no timer, and may be closed twice."""
    clock, alarm, rung = armed(5)
    alarm.close()
    alarm.close()
    clock.advance(100)
    assert (rung, clock.armed) == ([], 0)


def test_the_real_clock_calls_back() -> None:
    """A timer of the hub fires; one that was closed does not."""
    clock, fired, silent = GeventClock(), Event(), []
    clock.later(0, lambda: silent.append(1)).close()
    clock.later(-1, fired.set)
    assert fired.wait(10)
    assert silent == []


def test_the_real_clock_tells_the_time_in_utc() -> None:
    """``now`` has a zone, and it is UTC."""
    assert GeventClock().now().tzinfo is UTC
