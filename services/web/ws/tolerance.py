"""How much a peer may send that brings nothing: pings, fragments, what is refused."""

from services.streams.clock import Clock

# A page pings every now and then and cancels at a person's pace. A whole body in fragments of
# 4 KiB stays within it too.
MOST = 1_000
WINDOW_S = 10.0


class Tolerance:
    """Counts, and begins to count anew every ``WINDOW_S``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._count = 0

    def is_strained(self) -> bool:
        """Count one more; tell whether that is one too many."""
        now = self._clock.monotonic()
        if now - self._began >= WINDOW_S:
            self._began, self._count = now, 0
        self._count += 1
        return self._count > MOST
