"""A process that has other things to do, and one that has waited."""

import time

from services.state.waiting import Waiting


def keep_busy(seconds: float) -> None:
    """Do something else for so long, and let the loop not turn."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class Waited(Waiting):
    """A wait that has taken so long, whatever the loop did."""

    def __init__(self, seconds: float) -> None:
        super().__init__(1.0)
        self._took = seconds

    @property
    def seconds(self) -> float:
        """Return it."""
        return self._took
