"""When to ask a provider again: before the first text only, a few times, within a few seconds.

Waits: what the provider asked for, else 0.25 s doubled each time with full jitter, at most 2 s
(Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
"""

import random
from dataclasses import dataclass

from services.errors import ProviderFailure
from services.streams.clock import Clock

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True)
class Retry:
    """``attempts`` in all; none begins later than ``within_s`` seconds after the first."""

    attempts: int
    within_s: float

    def begin(self, clock: Clock) -> "Tries":
        """Start to count for one call."""
        return Tries(self, clock)


class Tries:
    """The attempts of one call."""

    def __init__(self, retry: Retry, clock: Clock) -> None:
        self._retry = retry
        self._clock = clock
        self._began = clock.monotonic()
        self._failed = 0

    def pause_after(self, failure: ProviderFailure) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up."""
        self._failed += 1
        if not failure.retryable or self._failed >= self._retry.attempts:
            return None
        pause = failure.retry_after_s
        if pause is None:
            pause = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (self._failed - 1)))  # noqa: S311 - jitter
        late = self._clock.monotonic() + pause - self._began > self._retry.within_s
        return None if late else pause
