"""Whether the hub moves: a greenlet that asks to be woken often, and notes how late it was.

Everything that serves runs on one hub, so what does not let go of it stalls every stream
(reliability R26: never longer than 100 ms). A stall that begins between two wakings is seen but for
the part before the second was due: at most 20 ms are missed. What it costs: 50 wakings a second,
0.1 % of a processor.
"""

from collections import deque
from collections.abc import Callable

from services.telemetry import names
from services.telemetry.metrics import Metrics

TURN_S = 0.02
NOTED_S = 0.01  # less is a turn like any other
LEVELS_EVERY_S = 1.0
MINUTE_S = 60.0


class Pulse:
    """Beats until its greenlet ends; ``levels()`` is called once a second, to say how things stand."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        levels: Callable[[], None],
    ) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._sleep = sleep
        self._levels = levels
        self._stalls: deque[tuple[float, float]] = deque()  # when, how long; falling, the longest first

    def run(self) -> None:
        """Beat for ever."""
        told = self._monotonic()
        self.tell(told)
        while True:
            due = self._monotonic() + TURN_S
            self._sleep(TURN_S)
            now = self._monotonic()
            self.woken(now - due, now)
            if now - told >= LEVELS_EVERY_S:
                told = now
                self.tell(now)

    def woken(self, late_s: float, now: float) -> None:
        """Note that it came so late."""
        if late_s < NOTED_S:
            return
        self._metrics.observe(names.STALLS, late_s)
        while self._stalls and self._stalls[-1][1] <= late_s:
            self._stalls.pop()
        self._stalls.append((now, late_s))

    def tell(self, now: float) -> None:
        """Say how things stand."""
        while self._stalls and now - self._stalls[0][0] >= MINUTE_S:
            self._stalls.popleft()
        self._metrics.set(names.LONGEST_STALL, self._stalls[0][1] if self._stalls else 0)
        self._levels()
