"""One stream's output cap, shared by all its calls."""

from collections.abc import Callable


class Allowance:
    """Tokens that calls may still say: reserved before a call, settled after it.

    A call never gets more than what nobody else has reserved, so calls that run side by side
    cannot pass the cap together. ``reached`` tells that all calls together said as much as the
    cap allows, and one was cut for it: not for a smaller cap of its own.
    """

    def __init__(self, cap: int) -> None:
        self.reached = False
        self._left = cap
        self._settled: list[tuple[int, Callable[[], int]]] = []  # what was granted, what was used of it
        self._open = 0

    @property
    def left(self) -> int:
        """Return what nobody has reserved."""
        while self._settled:
            granted, used = self._settled.pop()
            self._left += granted - used()
        return self._left

    def fits(self, wanted: int | None) -> bool:
        """Tell whether a call could have all that it wants now."""
        return self.left > 0 and (wanted is None or wanted <= self.left)

    def reserve(self, wanted: int | None) -> int:
        """Take what a call wants, or what is left; 0 when nothing is."""
        granted = self.left if wanted is None else min(wanted, self.left)
        self._left -= granted
        if granted:
            self._open += 1
        elif not self._open:
            self.reached = True
        return granted

    def more(self, wanted: int) -> int:
        """Take so many more for a call that has begun, or what is left."""
        granted = min(wanted, self.left)
        self._left -= granted
        return granted

    def settle(self, granted: int, used: Callable[[], int], *, cut: bool = False) -> None:
        """Give back what was not used; ``cut`` if the call would have said more.

        ``used()`` is asked for when somebody wants what is left: to count a text costs a stream of one
        call 4 % of its CPU, and nobody wants it.
        """
        self.reached = self.reached or (cut and self._open == 1 and not self.left)
        self._open -= 1
        self._settled.append((granted, used))
