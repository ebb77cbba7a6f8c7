"""Who pays for a stream, and what it has used: values that other processes can go on with."""

from collections.abc import Mapping

import msgspec

from services.cost.windows import Window
from services.llm import Tokens


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Under what the history keeps a stream: the day on which it began, the model that was chosen."""

    day: str
    key: str
    use_case: str
    model: str


class Payer(msgspec.Struct, frozen=True, eq=False, omit_defaults=True):
    """Who pays, and where it is written down: the same for many streams, so it is made once for them.

    ``limited`` tells whether there is a limit at all, ``priced`` whether one account has limits of
    money alone, so that only a model with a price can be asked.
    """

    label: Label
    windows: tuple[Window, ...]
    limited: bool = False
    priced: bool = False

    @classmethod
    def of(cls, label: Label, windows: tuple[Window, ...]) -> "Payer":
        """Look at the limits."""
        in_tokens = {window.account for window in windows if window.tokens is not None}
        in_dollars = {window.account for window in windows if window.nano_usd is not None}
        return cls(label, windows, limited=bool(in_tokens | in_dollars), priced=bool(in_dollars - in_tokens))

    @property
    def in_dollars_alone(self) -> Window:
        """Return the first window that needs prices; there is one where it is ``priced``."""
        in_tokens = {window.account for window in self.windows if window.tokens is not None}
        return next(
            window
            for window in self.windows
            if window.nano_usd is not None and window.account not in in_tokens
        )


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was used of one model; ``unpriced`` are requests whose price is not known."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    nano_usd: int = 0
    unpriced: int = 0

    @classmethod
    def of(cls, tokens: Tokens, nano: int | None) -> "Spent":
        """Return what one request used."""
        return cls(
            input=tokens.input,
            output=tokens.output,
            cached_input=tokens.cached_input,
            reasoning=tokens.reasoning,
            nano_usd=nano or 0,
            unpriced=int(nano is None),
        )

    @property
    def tokens(self) -> int:
        """Return what counts in an account."""
        return self.input + self.output

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            input=self.input + other.input,
            output=self.output + other.output,
            cached_input=self.cached_input + other.cached_input,
            reasoning=self.reasoning + other.reasoning,
            nano_usd=self.nano_usd + other.nano_usd,
            unpriced=self.unpriced + other.unpriced,
        )


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reservation as another process goes on with it.

    ``held`` if the store has it; it lapses ``lasts_s`` after it was last added to.
    """

    payer: Payer
    lasts_s: float
    tokens: int = 0
    nano_usd: int = 0
    used: Mapping[str, Spent] = {}
    held: bool = False
