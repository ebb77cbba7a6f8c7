"""One stream's output cap, shared by all its calls."""


class Allowance:
    """Tokens that calls may still say: reserved before a call, settled after it.

    A call never gets more than what nobody else has reserved, so calls that run side by side
    cannot pass the cap together.
    """

    def __init__(self, cap: int) -> None:
        self._left = cap

    def fits(self, wanted: int | None) -> bool:
        """Tell whether a call could have all that it wants now."""
        return self._left > 0 and (wanted is None or wanted <= self._left)

    def reserve(self, wanted: int | None) -> int:
        """Take what a call wants, or what is left; 0 when nothing is."""
        granted = self._left if wanted is None else min(wanted, self._left)
        self._left -= granted
        return granted

    def settle(self, granted: int, used: int) -> None:
        """Give back what was not used."""
        self._left += granted - used
