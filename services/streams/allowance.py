"""One stream's output cap, shared by all its calls."""


class Allowance:
    """Tokens that calls may still say: reserved before a call, settled after it.

    A call never gets more than what nobody else has reserved, so calls that run side by side
    cannot pass the cap together. ``reached`` tells that all calls together said as much as the
    cap allows, and one was cut for it: not for a smaller cap of its own.
    """

    def __init__(self, cap: int) -> None:
        self.reached = False
        self._left = cap
        self._open = 0

    @property
    def left(self) -> int:
        """Return what nobody has reserved."""
        return self._left

    def fits(self, wanted: int | None) -> bool:
        """Tell whether a call could have all that it wants now."""
        return self._left > 0 and (wanted is None or wanted <= self._left)

    def reserve(self, wanted: int | None) -> int:
        """Take what a call wants, or what is left; 0 when nothing is."""
        granted = self._left if wanted is None else min(wanted, self._left)
        self._left -= granted
        if granted:
            self._open += 1
        elif not self._open:
            self.reached = True
        return granted

    def more(self, wanted: int) -> int:
        """Take so many more for a call that has begun, or what is left."""
        granted = min(wanted, self._left)
        self._left -= granted
        return granted

    def settle(self, granted: int, used: int, *, cut: bool = False) -> None:
        """Give back what was not used; ``cut`` if the call would have said more."""
        self.reached = self.reached or (cut and self._open == 1 and not self._left)
        self._open -= 1
        self._left += granted - used
