"""When to ask a provider again: before the first text only, a few times, within a few seconds.

Waits: what the provider asked for, else 0.25 s doubled each time with full jitter, at most 2 s
(Exponential Backoff And Jitter, AWS Architecture Blog, 2015).

A provider that fails for everybody would get three times its load, just when it can bear it
least. So retries also stay under a share of the requests of the last minute, 10 % as Google
proposes for a client of an overloaded service (Site Reliability Engineering, ch. 21, "Deciding
to Retry"), with a floor below which none is counted, as Finagle's RetryBudget and Envoy have.
"""

import random
from collections import deque
from dataclasses import dataclass

from services.errors import ProviderFailure
from services.streams.clock import Clock

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0
MINUTE_S = 60


@dataclass
class _Second:
    """What one second of the clock has seen."""

    number: int
    requests: int = 0
    retries: int = 0


class RetryBudget:
    """Keeps the retries of a process under ``share`` of its requests of the last minute.

    A request is one call, however often it is asked. ``floor`` retries a minute are always free.
    """

    def __init__(self, *, share: float, floor: int) -> None:
        self._share = share
        self._floor = floor
        self._minute: deque[_Second] = deque()
        self._requests = 0
        self._retries = 0

    def request(self, now: float) -> None:
        """Note a first attempt; ``now`` is in seconds and never falls."""
        self._second(now).requests += 1
        self._requests += 1

    def take(self, now: float) -> bool:
        """Note a retry, if there may be one more; tell whether there may."""
        second = self._second(now)
        if self._retries >= self._floor and self._retries + 1 >= self._share * self._requests:
            return False
        second.retries += 1
        self._retries += 1
        return True

    def _second(self, now: float) -> _Second:
        """Return the present second, and forget those that are a minute old."""
        number = int(now)
        while self._minute and self._minute[0].number <= number - MINUTE_S:
            old = self._minute.popleft()
            self._requests -= old.requests
            self._retries -= old.retries
        if not self._minute or self._minute[-1].number != number:
            self._minute.append(_Second(number))
        return self._minute[-1]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """``attempts`` in all; none begins later than ``within_s`` seconds after the first."""

    attempts: int
    within_s: float
    budget: RetryBudget

    def begin(self, clock: Clock) -> "Tries":
        """Start to count for one call."""
        self.budget.request(clock.monotonic())
        return Tries(self, clock)


class Tries:
    """The attempts of one call."""

    def __init__(self, retry: Retry, clock: Clock) -> None:
        self._retry = retry
        self._clock = clock
        self._began = clock.monotonic()
        self._failed = 0

    def pause_after(self, failure: ProviderFailure) -> float | None:
        """Return the seconds to wait before the same is asked again, or None to give up."""
        self._failed += 1
        if not failure.retryable or self._failed >= self._retry.attempts:
            return None
        pause = failure.retry_after_s
        if pause is None:
            pause = _jitter(self._failed)
        now = self._clock.monotonic()
        if now + pause - self._began > self._retry.within_s:
            return None
        return pause if self._retry.budget.take(now) else None

    def pause_before_recovery(self) -> float | None:
        """Return the seconds to wait before a broken answer is asked for again, or None to leave it.

        That comes at any time after the first attempt: the stream's deadline bounds it.
        """
        return _jitter(1) if self._retry.budget.take(self._clock.monotonic()) else None


def _jitter(failed: int) -> float:
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failed - 1))
    return random.uniform(0, longest)  # noqa: S311 - jitter
