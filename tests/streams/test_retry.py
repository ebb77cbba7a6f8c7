"""When a provider is asked again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProviderError
from services.streams.retry import LONGEST_PAUSE_S, Retry
from tests.streams.fake_clock import FakeClock

PASSING = ProviderError("busy", retryable=True)


def waits(seconds: float) -> ProviderError:
    return ProviderError("later", retryable=True, retry_after_s=seconds)


def test_a_failure_that_will_not_pass_is_final() -> None:
    """What is not retryable is not tried again."""
    assert Retry(3, 10).begin(FakeClock()).pause_after(ProviderError("no")) is None


def test_attempts_are_counted() -> None:
    """Three attempts are two pauses."""
    tries = Retry(3, 1000).begin(FakeClock())
    assert [tries.pause_after(PASSING) is None for _ in range(3)] == [False, False, True]


def test_one_attempt_is_no_retry() -> None:
    """With one attempt there is no second."""
    assert Retry(1, 10).begin(FakeClock()).pause_after(PASSING) is None


@pytest.mark.parametrize(("asked", "pause"), [(0, 0), (7.5, 7.5), (10, 10), (10.1, None), (300, None)])
def test_the_provider_is_taken_at_its_word(asked: float, pause: float | None) -> None:
    """``Retry-After`` is waited for exactly, and not at all where it passes the time budget."""
    assert Retry(3, 10).begin(FakeClock()).pause_after(waits(asked)) == pause


def test_the_time_budget_counts_from_the_first_attempt() -> None:
    """What the attempts themselves took counts too."""
    clock = FakeClock()
    tries = Retry(9, 10).begin(clock)
    clock.advance(6)
    assert tries.pause_after(waits(3)) == 3
    clock.advance(5)
    assert tries.pause_after(waits(0)) is None


@pytest.mark.parametrize(("failures", "longest"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, 2.0), (7, 2.0)])
def test_pauses_double_up_to_a_limit(failures: int, longest: float) -> None:
    """The n-th pause lies anywhere between nothing and 0.25 s doubled n − 1 times, at most 2 s."""
    pauses = []
    for _ in range(500):
        tries = Retry(99, 1000).begin(FakeClock())
        pauses.append([tries.pause_after(PASSING) for _ in range(failures)][-1])
    assert all(pause is not None and 0 <= pause <= longest for pause in pauses)
    assert max(pauses) > longest / 2  # type: ignore[type-var]
    assert min(pauses) < longest / 2  # type: ignore[type-var]


@given(st.integers(1, 10), st.floats(0.1, 60), st.lists(st.floats(0, 5), max_size=20), st.integers())
def test_no_attempt_begins_after_the_budget(
    attempts: int, within_s: float, takes: list[float], seed: int
) -> None:
    """However long attempts take, there are at most so many, and none begins later."""
    random.seed(seed)
    clock = FakeClock()
    began, tries, made = clock.monotonic(), Retry(attempts, within_s).begin(clock), 1
    for seconds in takes:
        clock.advance(seconds)
        pause = tries.pause_after(PASSING)
        if pause is None:
            break
        assert pause <= LONGEST_PAUSE_S
        clock.advance(pause)
        made += 1
        assert clock.monotonic() - began <= within_s + 1e-6
    assert made <= attempts
