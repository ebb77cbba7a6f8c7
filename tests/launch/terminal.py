"""A terminal to read back."""

import io


class Terminal(io.StringIO):
    """Text that was shown, by something that believes it writes to a terminal, or not."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    @property
    def shown(self) -> str:
        return self.getvalue()
