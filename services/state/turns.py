"""A few slots, handed out in the order in which they were asked for.

gevent's semaphores let whoever comes by take a slot before those who wait: of fifty greenlets
that asked again and again for one of eight, forty waited for ever.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event


class Turns:
    """At most so many at once."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._waiting: deque[Event] = deque()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Wait for a slot, and have it until the block ends."""
        if self._left:
            self._left -= 1
        else:
            self._wait()
        try:
            yield
        finally:
            self._pass_on()

    def _wait(self) -> None:
        turn = Event()
        self._waiting.append(turn)
        try:
            turn.wait()
        except BaseException:
            if turn.is_set():
                self._pass_on()  # it came, and whom it came to was killed
            else:
                self._waiting.remove(turn)
            raise

    def _pass_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._left += 1
