"""How far a fetch is: a bar that redraws itself in a terminal, a line now and then elsewhere."""

import threading
import time
from collections.abc import Callable
from typing import TextIO

MB = 1_000_000
WIDTH = 24
REDRAW_S = 0.1
LINE_S = 10.0
TICK_S = 1.0


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


class Ticker:
    """Show that something goes on: a dot a second in a terminal, one line elsewhere."""

    def __init__(self, text: str, terminal: TextIO) -> None:
        """Take what is going on, in words."""
        self._text, self._terminal = text, terminal
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> None:
        """Say it and begin to tick."""
        self._began = time.monotonic()
        self._write(self._text)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """Say how long it took."""
        self._over.set()
        self._thread.join()
        self._write(f" {time.monotonic() - self._began:.1f} s\n")

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            if self._terminal.isatty():
                self._write(".")

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()
