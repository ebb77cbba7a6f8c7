"""What a stream has used, added up over its calls and attempts."""

from collections.abc import Callable, Iterable
from decimal import Decimal

from services.events import Usage
from services.llm import Tokens


class Tally:
    """Sums tokens as they become known; ``price`` gives dollars, or None where unknown."""

    def __init__(self, price: Callable[[Tokens], Decimal | None]) -> None:
        self._price = price
        self._sum = Tokens(input=0, output=0)
        self._estimated = False

    def add(self, tokens: Tokens, *, estimated: bool = False) -> None:
        """Add one attempt; ``estimated`` if it was counted here and not by the provider."""
        self._sum = _plus(self._sum, tokens)
        self._estimated = self._estimated or estimated

    def usage(self, running: Iterable[Tokens] = ()) -> Usage:
        """Return the sum, with attempts that still run as counted until now."""
        total, estimated = self._sum, self._estimated
        for tokens in running:
            total, estimated = _plus(total, tokens), True
        dollars = self._price(total)
        return Usage(
            input_tokens=total.input,
            output_tokens=total.output,
            cached_input_tokens=total.cached_input,
            reasoning_tokens=total.reasoning,
            cost_usd=None if dollars is None else f"{dollars:f}",
            estimated=estimated,
        )


def _plus(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=one.input + other.input,
        output=one.output + other.output,
        cached_input=one.cached_input + other.cached_input,
        reasoning=one.reasoning + other.reasoning,
    )
