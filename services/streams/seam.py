"""Where a second answer takes over from a first that broke off."""

from collections.abc import Iterator


class Seam:
    """Swallows of a second answer what the first had said, and passes on what comes after it.

    ``closed`` tells that all of it was said again: from there on the two are one answer.
    Deltas may be cut anywhere. Each character is looked at once.
    """

    def __init__(self, said: str) -> None:
        self._said = said
        self._place = 0

    @property
    def closed(self) -> bool:
        """Tell whether the second answer has come to where the first broke off."""
        return self._place == len(self._said)

    def behind(self, deltas: Iterator[str]) -> Iterator[str]:
        """Yield what is new; end where the second answer says something else than the first."""
        for delta in deltas:
            old = self._said[self._place : self._place + len(delta)]
            if not delta.startswith(old):
                return
            self._place += len(old)
            if new := delta[len(old) :]:
                yield new
