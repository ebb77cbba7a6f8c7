"""How far a fetch is: a bar that redraws itself in a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable
from typing import TextIO

MB = 1_000_000
WIDTH = 24
REDRAW_S = 0.1
LINE_S = 10.0


class Progress:
    """Show bytes done of a total, the speed since the start and the time left."""

    def __init__(
        self,
        total: int,
        terminal: TextIO,
        *,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at ``done`` bytes; ``clock`` gives seconds."""
        self._total, self._terminal, self._clock = total, terminal, clock
        self._first, self._began = done, clock()
        self._shown_at = float("-inf")

    def at(self, done: int) -> None:
        """Show that ``done`` bytes are there, unless something was shown just now."""
        now = self._clock()
        pause = REDRAW_S if self._terminal.isatty() else LINE_S
        if now - self._shown_at >= pause or done >= self._total:
            self._shown_at = now
            self._write(self._line(done, now - self._began))

    def end(self) -> None:
        """Leave the bar's line."""
        if self._terminal.isatty():
            self._terminal.write("\n")

    def _write(self, line: str) -> None:
        self._terminal.write(f"\r\x1b[K{line}" if self._terminal.isatty() else f"{line}\n")
        self._terminal.flush()

    def _line(self, done: int, seconds: float) -> str:
        share = min(1.0, done / self._total)
        line = f"  {share:4.0%}  {done / MB:,.0f} of {self._total / MB:,.0f} MB"
        speed = (done - self._first) / seconds if seconds > 0 else 0.0
        if speed > 0:
            line += f"  {speed / MB:.1f} MB/s  {time_left((self._total - done) / speed)}"
        return f"  {'█' * round(share * WIDTH):░<{WIDTH}}{line}" if self._terminal.isatty() else line


def time_left(seconds: float) -> str:
    """Return a number of seconds as a person says it."""
    if seconds < 90:  # noqa: PLR2004 - from here on minutes are what one thinks in
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left"
