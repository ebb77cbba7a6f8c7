"""What is shown while something is fetched or loaded."""

from collections.abc import Callable

import pytest

from services.launch.progress import MB, Progress, Ticker, time_left
from tests.launch.terminal import Terminal


def clock_of(*seconds: float) -> Callable[[], float]:
    return iter(seconds).__next__


def test_line():
    """A line tells the share, the bytes, the speed since this start and the time left."""
    terminal = Terminal()
    progress = Progress(100 * MB, terminal, done=20 * MB, clock=clock_of(0, 10))
    progress.at(40 * MB)
    assert " ".join(terminal.shown.split()) == "40% 40 of 100 MB 2.0 MB/s 30 s left"


def test_quiet_in_a_file():
    """Outside of a terminal a line comes every ten seconds, and at the end."""
    terminal = Terminal()
    progress = Progress(100, terminal, clock=clock_of(0, 1, 2, 12, 13))
    for done in (10, 20, 30, 100):
        progress.at(done)
    assert [line.split()[0] for line in terminal.shown.splitlines()] == ["10%", "30%", "100%"]


def test_bar():
    """In a terminal one line is drawn over and over, and left at the end."""
    terminal = Terminal(tty=True)
    progress = Progress(100, terminal, clock=clock_of(0, 1, 2))
    progress.at(50)
    progress.at(100)
    progress.end()
    half, full = terminal.shown.split("\r\x1b[K")[1:]
    assert (half.count("█"), half.count("░"), full.count("█"), full[-1]) == (12, 12, 24, "\n")


@pytest.mark.parametrize(("seconds", "said"), [(89, "89 s left"), (90, "2 min left"), (600, "10 min left")])
def test_time_left(seconds, said):
    """Time left is told in seconds, and from a minute and a half on in minutes."""
    assert time_left(seconds) == said


def test_ticker():
    """What goes on is said when it begins, and how long it took when it ends."""
    terminal = Terminal()
    with Ticker("Loading", terminal):
        assert terminal.shown == "Loading"
    assert terminal.shown.endswith(" s\n")
