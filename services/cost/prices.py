"""What tokens cost, and how many a model can hold: the table of genai-prices, as installed.

A price belongs to who is asked, not to a name: a model that runs on this machine may be
called ``gpt-4o`` and costs nothing that anybody here knows. So the base URL chooses the
provider (None: OpenAI), and a model is looked up among that provider's own. Nothing is fetched.
What the deployment's own file says (``price_file.py``) beats the table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from types import MappingProxyType

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import PriceCalculation

from services.cost.tally import Price
from services.llm import Tokens

OPENAI = "https://api.openai.com/v1"
MOST_MODELS = 256  # that are kept in mind
MILLION = 1_000_000
PLAIN = {"input_mtok", "output_mtok", "cache_read_mtok"}  # prices of which a sum can be made


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Dollars per million tokens; ``reasoning`` is a part of the output that may have its own."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    reasoning: Decimal

    def cost(self, tokens: Tokens) -> Decimal:
        """Return dollars, exactly."""
        cached = min(tokens.cached_input, tokens.input)
        thought = min(tokens.reasoning, tokens.output)
        return (
            (tokens.input - cached) * self.input / MILLION
            + cached * self.cached_input / MILLION
            + (tokens.output - thought) * self.output / MILLION
            + thought * self.reasoning / MILLION
        )


@dataclass(frozen=True)
class Prices:
    """The table, and by model's name what beats it."""

    own: Mapping[str, Rate] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, model: str, *, base_url: str | None = None) -> Price:
        """Return what gives the price of a use of this model."""
        rate = self.own.get(model)
        return rate.cost if rate else partial(price_usd, model, base_url=base_url)

    def any_at(self, base_url: str | None) -> bool:
        """Tell whether a model there may have a price; which one it is, is not known yet."""
        return bool(self.own) or _is_listed(base_url or OPENAI)


def price_usd(model: str, tokens: Tokens, *, base_url: str | None = None) -> Decimal | None:
    """Return dollars, exactly; None where the price is not known."""
    found = _looked_up(model, base_url)
    if found is None:
        return None
    price = found.model.get_prices(datetime.now(tz=UTC))  # some have a date, or an hour
    if price.input_mtok is None or price.output_mtok is None:
        return None  # half a price would look like a bargain
    known = {name: value for name, value in vars(price).items() if value is not None}
    if known.keys() <= PLAIN and all(isinstance(value, Decimal) for value in known.values()):
        return _rate(**known).cost(tokens)
    cached = min(tokens.cached_input, tokens.input)  # more would be refused
    usage = Usage(input_tokens=tokens.input, cache_read_tokens=cached, output_tokens=tokens.output)
    return price.calc_price(usage)["total_price"]


def _rate(input_mtok: Decimal, output_mtok: Decimal, cache_read_mtok: Decimal | None = None) -> Rate:
    cached = input_mtok if cache_read_mtok is None else cache_read_mtok
    return Rate(input=input_mtok, output=output_mtok, cached_input=cached, reasoning=output_mtok)


@lru_cache(MOST_MODELS)
def context_window(model: str, *, base_url: str | None = None) -> int | None:
    """Return how many tokens of input and output together the model holds; None if not known."""
    found = _looked_up(model, base_url)
    return found.model.context_window if found is not None else None


def warm() -> None:
    """Load the table now (a fifth of a second), so that no request has to wait for it."""
    _looked_up("", None)


def _is_listed(base_url: str) -> bool:
    try:
        get_snapshot().find_provider(None, None, base_url)
    except LookupError:
        return False
    return True


@lru_cache(MOST_MODELS)
def _looked_up(model: str, base_url: str | None) -> PriceCalculation | None:
    try:
        return calc_price(Usage(input_tokens=0, output_tokens=0), model, provider_api_url=base_url or OPENAI)
    except LookupError:
        return None
