"""What a stream has used, added up over its calls and attempts."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeAlias

from services.events import Usage
from services.llm import Tokens

Price: TypeAlias = Callable[[Tokens], Decimal | None]

NOTHING = Tokens(input=0, output=0)


class Tally:
    """Sums tokens and dollars as attempts come to their ends.

    Each attempt is priced by who answered it, and alone: some prices rise with a prompt's
    length. One whose price is not known leaves the sum unknown. ``price`` is the price of what
    was asked first, for a stream that has used nothing.
    """

    def __init__(self, price: Price) -> None:
        self._sum = NOTHING
        self._dollars: Decimal | None = Decimal(0)
        self._unused = price
        self._estimated = False

    def add(self, tokens: Tokens, price: Price, *, estimated: bool = False) -> Decimal | None:
        """Add one attempt, return its price; ``estimated`` if it was counted here, not by the provider."""
        dollars = price(tokens)
        self._dollars = _plus(self._dollars, dollars)
        self._sum = _both(self._sum, tokens)
        self._estimated = self._estimated or estimated
        return dollars

    def usage(self, running: Iterable[tuple[Tokens, Price]] = ()) -> Usage:
        """Return the sum, with attempts that still run as counted until now."""
        total, dollars, estimated = self._sum, self._dollars, self._estimated
        for tokens, price in running:
            total, dollars, estimated = _both(total, tokens), _plus(dollars, price(tokens)), True
        if total == NOTHING:
            dollars = self._unused(NOTHING)
        return Usage(
            input_tokens=total.input,
            output_tokens=total.output,
            cached_input_tokens=total.cached_input,
            reasoning_tokens=total.reasoning,
            cost_usd=None if dollars is None else f"{dollars:f}",
            estimated=estimated,
        )


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _both(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=one.input + other.input,
        output=one.output + other.output,
        cached_input=one.cached_input + other.cached_input,
        reasoning=one.reasoning + other.reasoning,
    )
