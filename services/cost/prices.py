"""What tokens cost, and how many a model can hold: the table of genai-prices, as installed.

A price belongs to who is asked, not to a name: a model that runs on this machine may be
called ``gpt-4o`` and costs nothing that anybody here knows. So the base URL chooses the
provider (None: OpenAI), and a model is looked up among that provider's own. Nothing is fetched.
"""

from decimal import Decimal
from functools import lru_cache

from genai_prices import Usage, calc_price
from genai_prices.types import PriceCalculation

from services.llm import Tokens

OPENAI = "https://api.openai.com/v1"
MOST_MODELS = 256  # whose windows are kept in mind
NOTHING = Tokens(input=0, output=0)


def price_usd(model: str, tokens: Tokens, *, base_url: str | None = None) -> Decimal | None:
    """Return dollars, exactly; None where the price is not known."""
    found = _looked_up(model, tokens, base_url)
    if found is None or found.model_price.input_mtok is None or found.model_price.output_mtok is None:
        return None  # half a price would look like a bargain
    return found.total_price


@lru_cache(MOST_MODELS)
def context_window(model: str, *, base_url: str | None = None) -> int | None:
    """Return how many tokens of input and output together the model holds; None if not known."""
    found = _looked_up(model, NOTHING, base_url)
    return found.model.context_window if found is not None else None


def warm() -> None:
    """Load the table now (a fifth of a second), so that no request has to wait for it."""
    _looked_up("", NOTHING, None)


def _looked_up(model: str, tokens: Tokens, base_url: str | None) -> PriceCalculation | None:
    usage = Usage(
        input_tokens=tokens.input,
        cache_read_tokens=min(tokens.cached_input, tokens.input),  # more would be refused
        output_tokens=tokens.output,
    )
    try:
        return calc_price(usage, model, provider_api_url=base_url or OPENAI)
    except LookupError:
        return None
