"""When a provider is asked again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProviderError
from services.streams.retry import LONGEST_PAUSE_S, MINUTE_S, Retry, RetryBudget
from tests.streams.calling import PLENTY
from tests.streams.fake_clock import FakeClock

PASSING = ProviderError("busy", retryable=True)


def rules(attempts: int, within_s: float, budget: RetryBudget = PLENTY) -> Retry:
    return Retry(attempts=attempts, within_s=within_s, budget=budget)


def waits(seconds: float) -> ProviderError:
    return ProviderError("later", retryable=True, retry_after_s=seconds)


def test_a_failure_that_will_not_pass_is_final() -> None:
    """What is not retryable is not tried again."""
    assert rules(3, 10).begin(FakeClock()).pause_after(ProviderError("no")) is None


def test_attempts_are_counted() -> None:
    """Three attempts are two pauses."""
    tries = rules(3, 1000).begin(FakeClock())
    assert [tries.pause_after(PASSING) is None for _ in range(3)] == [False, False, True]


def test_one_attempt_is_no_retry() -> None:
    """With one attempt there is no second."""
    assert rules(1, 10).begin(FakeClock()).pause_after(PASSING) is None


@pytest.mark.parametrize(("asked", "pause"), [(0, 0), (7.5, 7.5), (10, 10), (10.1, None), (300, None)])
def test_the_provider_is_taken_at_its_word(asked: float, pause: float | None) -> None:
    """``Retry-After`` is waited for exactly, and not at all where it passes the time budget."""
    assert rules(3, 10).begin(FakeClock()).pause_after(waits(asked)) == pause


def test_the_time_budget_counts_from_the_first_attempt() -> None:
    """What the attempts themselves took counts too."""
    clock = FakeClock()
    tries = rules(9, 10).begin(clock)
    clock.advance(6)
    assert tries.pause_after(waits(3)) == 3
    clock.advance(5)
    assert tries.pause_after(waits(0)) is None


@pytest.mark.parametrize(("failures", "longest"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, 2.0), (7, 2.0)])
def test_pauses_double_up_to_a_limit(failures: int, longest: float) -> None:
    """The n-th pause lies anywhere between nothing and 0.25 s doubled n − 1 times, at most 2 s."""
    pauses = []
    for _ in range(500):
        tries = rules(99, 1000).begin(FakeClock())
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
    began, tries, made = clock.monotonic(), rules(attempts, within_s).begin(clock), 1
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


def test_a_recovery_comes_when_it_comes() -> None:
    """It waits as a first retry does, also long after the first attempt."""
    clock = FakeClock()
    tries = rules(1, 10).begin(clock)
    clock.advance(500)
    pauses = [tries.pause_before_recovery() for _ in range(100)]
    assert all(pause is not None and 0 <= pause <= 0.25 for pause in pauses)


# All calls of a process together


def test_a_quiet_service_may_retry() -> None:
    """So many retries a minute are free, however few requests there are."""
    budget = RetryBudget(share=0.1, floor=2)
    budget.request(0)
    assert [budget.take(0) for _ in range(3)] == [True, True, False]


def test_retries_stay_under_their_share() -> None:
    """Of a hundred requests nine may be repeated: that is under a tenth."""
    budget = RetryBudget(share=0.1, floor=0)
    for _ in range(100):
        budget.request(0)
    assert sum(budget.take(0) for _ in range(50)) == 9


def test_a_minute_is_forgotten() -> None:
    """Requests and retries count for a minute."""
    budget = RetryBudget(share=0.5, floor=1)
    for _ in range(10):
        budget.request(0.5)
    assert [budget.take(1.5) for _ in range(5)] == [True] * 4 + [False]
    assert budget.take(MINUTE_S + 0.9) is False
    assert [budget.take(MINUTE_S + 1) for _ in range(2)] == [True, False]


def test_who_gives_up_anyway_takes_nothing() -> None:
    """A failure that is final, or whose wait is too long, leaves the budget as it was."""
    budget = RetryBudget(share=0, floor=1)
    retry = rules(2, 10, budget)
    for failure in (ProviderError("no"), waits(11)):
        assert retry.begin(FakeClock()).pause_after(failure) is None
    assert retry.begin(FakeClock()).pause_after(waits(3)) == 3
    assert retry.begin(FakeClock()).pause_after(waits(3)) is None


def test_each_call_is_one_request() -> None:
    """What is asked again is no request of its own: retries do not earn retries."""
    budget = RetryBudget(share=0.5, floor=0)
    retry = rules(9, 100, budget)
    calls = [retry.begin(FakeClock()) for _ in range(8)]
    assert [calls[0].pause_after(waits(0)) for _ in range(5)] == [0, 0, 0, None, None]


def test_a_recovery_is_a_retry() -> None:
    """It is taken from the same budget."""
    tries = rules(3, 10, RetryBudget(share=0, floor=1)).begin(FakeClock())
    assert tries.pause_before_recovery() is not None
    assert tries.pause_before_recovery() is None


@given(
    st.floats(0, 1),
    st.integers(0, 3),
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9), st.integers(0, 9))),
)
def test_the_share_holds_in_every_minute(
    share: float, floor: int, seen: list[tuple[float, int, int]]
) -> None:
    """Whenever a retry is let through, those of the minute before it are under the share, or at the floor."""
    budget, now = RetryBudget(share=share, floor=floor), 0.0
    requests: list[int] = []
    retries: list[int] = []
    for waited, asked, failed in seen:
        now += waited
        for _ in range(asked):
            budget.request(now)
            requests.append(int(now))
        for _ in range(failed):
            if budget.take(now):
                retries.append(int(now))
                minute = [sum(at > int(now) - MINUTE_S for at in each) for each in (requests, retries)]
                assert minute[1] <= floor or minute[1] < share * minute[0]
