"""A process that has other things to do."""

import time


def keep_busy(seconds: float) -> None:
    """Do something else for so long, and let the loop not turn."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
