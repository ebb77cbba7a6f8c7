"""How long a call has waited as the loop counts it: what this process itself is busy with is not waiting.

By a wall clock, a process that was busy for longer than a call may take finds its reply there and
the time over, and takes a server that answers at once for one that is down. A timer that repeats
rings at most once in each turn of the loop, however long the turn took: so we count its rings.
"""

from typing import Any, Self

from gevent import get_hub, getcurrent

PARTS = 25  # of the longest wait; a turn of the loop costs one of them at most


class TooLongError(OSError):
    """The wait took as long as it may. Of this kind, because libraries close what they were opening."""


class Waiting:
    """Counts while its block waits, in parts of ``most_s``; what is less than a part is nothing."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._rings = 0
        self._timer: Any = get_hub().loop.timer(most_s / PARTS, most_s / PARTS)

    @property
    def seconds(self) -> float:
        """Return how long the block has waited."""
        return self._most_s * self._rings / PARTS

    def __enter__(self) -> Self:
        self._timer.start(self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.close()

    def _ring(self) -> None:
        self._rings += 1


class Limit(Waiting):
    """Raises TooLongError in its block when it has waited for ``most_s``, and wherever it waits on then.

    ``is_over`` tells so, whatever was made of the error on the way.
    """

    @property
    def is_over(self) -> bool:
        """Tell whether the block has waited for as long as it may."""
        return self._rings >= PARTS

    def __enter__(self) -> Self:
        self._greenlet: Any = getcurrent()
        return super().__enter__()

    def _ring(self) -> None:
        super()._ring()
        if self.is_over:
            self._greenlet.throw(TooLongError)
