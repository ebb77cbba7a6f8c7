"""Whether the hub moves."""

import pytest

from services.telemetry.metrics import Metrics
from services.telemetry.pulse import TURN_S, Pulse
from tests.telemetry.reading import total


class OverError(Exception):
    """The clock has no more turns."""


class Turns:
    """A clock whose sleeps take so much longer than they should."""

    def __init__(self, *late_s: float) -> None:
        self.now = 100.0
        self._late = iter(late_s)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        late = next(self._late, None)
        if late is None:
            raise OverError
        self.now += seconds + late


def beaten(*late_s: float) -> tuple[bytes, int]:
    """What stands in the figures after so many turns, and how often the levels were read."""
    turns, metrics, read = Turns(*late_s), Metrics(), []
    pulse = Pulse(metrics, monotonic=turns.monotonic, sleep=turns.sleep, levels=lambda: read.append(1))
    with pytest.raises(OverError):
        pulse.run()
    pulse.tell(turns.now)
    return metrics.exposed(), len(read) - 1


@pytest.mark.R26
def test_a_stall_is_noted_with_its_length() -> None:
    """Turns that come in time are no stalls."""
    said, _ = beaten(0.001, 0.3, 0.0, 0.05, 0.009)
    assert total(said, "gloss_hub_stall_seconds_count") == 2
    assert total(said, "gloss_hub_stall_seconds_bucket", le="0.1") == 1
    assert total(said, "gloss_hub_longest_stall_seconds") == pytest.approx(0.3)


def test_the_longest_is_that_of_the_last_minute() -> None:
    """An alarm about a stall ends when it is over; a lesser one since then is the longest now."""
    turns = round(40 / TURN_S)
    said, _ = beaten(0.3, *[0.0] * turns, 0.2, *[0.0] * turns)
    assert total(said, "gloss_hub_longest_stall_seconds") == pytest.approx(0.2)
    said, _ = beaten(0.3, *[0.0] * turns, *[0.0] * turns)
    assert total(said, "gloss_hub_longest_stall_seconds") == 0


def test_levels_are_read_once_a_second() -> None:
    """And at the very beginning: a scrape that comes at once finds them."""
    _, at_once = beaten()
    _, after_three = beaten(*[0.0] * round(3.5 / TURN_S))
    assert (at_once, after_three) == (1, 4)
