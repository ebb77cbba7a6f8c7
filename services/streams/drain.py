"""Whether the process was told to stop, and who is told of it.

The server begins it; everybody else asks or watches. What a stop means for a stream is not known here.
"""

from collections.abc import Callable

from services.errors import ShuttingDown


class Drain:
    """Begins once and never ends: a process that was told to stop stops."""

    def __init__(self) -> None:
        self.draining = False
        self._watchers: dict[Callable[[], None], None] = {}

    def begin(self) -> None:
        """Tell everybody, in the order in which they came; beginning twice changes nothing."""
        if self.draining:
            return
        self.draining = True
        for told in tuple(self._watchers):
            told()

    def watch(self, told: Callable[[], None]) -> None:
        """Call ``told`` when it begins, at once if it has; it must neither block nor raise."""
        self._watchers[told] = None
        if self.draining:
            told()

    def unwatch(self, told: Callable[[], None]) -> None:
        """Stop calling it; one that does not watch is fine."""
        self._watchers.pop(told, None)

    def require_open(self) -> None:
        """Raise ShuttingDown where nothing new may begin any more."""
        if self.draining:
            raise ShuttingDown
