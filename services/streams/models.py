"""Which models answer, where, and what is known of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from services import llm
from services.cost.prices import Prices, context_window
from services.cost.tally import Price
from services.cost.tokens import Counter, counter_of
from services.errors import InvalidInput, ProviderError, ProviderFailure, ProviderRejected
from services.settings import DEFAULT_MODEL, Settings
from services.streams.clock import Clock

# Models with a smaller window get short prompts: they are small, and slow to read.
COMPACT_BELOW = 8_192
# Our count of a foreign vocabulary is off by a few percent: keep that much of the window free.
FOREIGN_MARGIN = 1.1
TABLE = Prices()
# Health checks come every few seconds; the provider need not hear of each.
ASKED_EVERY_S = 10
ONE_EACH = llm.Tokens(input=1, output=1)
PATTERN = frozenset("*?[")
FIRST_LISTED = "the first model of OPENAI_BASE_URL"


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model, who is asked for it, its window in tokens (None where not known), what a use costs."""

    name: str
    provider: llm.Provider
    window: int | None
    price: Price

    @classmethod
    def at(
        cls,
        base_url: str | None,
        name: str,
        provider: llm.Provider,
        *,
        window: int | None = None,
        prices: Prices = TABLE,
    ) -> "Model":
        """Return a model as the price table knows it at this address (None: OpenAI's)."""
        return cls(
            name=name,
            provider=provider,
            window=window or context_window(name, base_url=base_url),
            price=prices.of(name, base_url=base_url),
        )

    @property
    def counter(self) -> Counter:
        """Return what counts in this model's vocabulary."""
        return counter_of(self.name)

    @property
    def has_price(self) -> bool:
        """Tell whether a use of it can be counted in dollars."""
        return self.price(ONE_EACH) is not None

    @property
    def compact(self) -> bool:
        """Tell whether prompts are to be kept short."""
        return self.window is not None and self.window < COMPACT_BELOW

    def room(self, input_tokens: int) -> int | None:
        """Return how many tokens of answer fit behind a prompt of so many; None where it is not known."""
        return None if self.window is None else self.window - int(input_tokens * self._margin)

    def at_most(self, input_tokens: int) -> int:
        """Return what a prompt may weigh there that was counted here."""
        return math.ceil(input_tokens * self._margin)

    def longest_prompt(self, output_tokens: int) -> int | None:
        """Return how many tokens of prompt leave room for so many of answer; None where it is not known."""
        return None if self.window is None else max(0, int((self.window - output_tokens) / self._margin))

    @property
    def _margin(self) -> float:
        return FOREIGN_MARGIN if self.counter.estimated else 1.0


@dataclass
class Models:
    """The deployment's choice of models; ``fall_backs`` are asked in their order when one has failed."""

    settings: Settings
    provider: llm.Provider
    clock: Clock
    fall_backs: Sequence[Model] = ()
    prices: Prices = TABLE
    _first: str | None = field(default=None, init=False)
    _reached: tuple[float, bool] | None = field(default=None, init=False)

    @property
    def default(self) -> str:
        """Return the model that answers when the caller names none.

        With a base URL and no model named, that is the first that the provider lists; it is
        asked once. Raises ``errors.ProviderFailure`` if it cannot be asked.
        """
        if self.settings.model:
            return self.settings.model
        if not self.settings.openai_base_url:
            return DEFAULT_MODEL
        if self._first is None:
            listed = self.provider.models()
            if not listed:
                raise ProviderError("The provider offers no model; name one in GLOSS_MODEL.")
            self._first = listed[0]
        return self._first

    def is_named(self, model: str) -> bool:
        """Tell whether the operator named this model, or its provider did: not only a pattern for many."""
        given = {DEFAULT_MODEL, self.settings.model, self._first, *self.settings.models}
        return model in given or any(model == other.name for other in self.fall_backs)

    def choose(self, asked: str | None) -> Model:
        """Return the model to use; raises InvalidInput for one that is not allowed here.

        Where the provider's list is wanted and cannot be had, that is the first fall-back.
        """
        if asked is None or not any(fnmatchcase(asked, pattern) for pattern in self.settings.models):
            try:
                name = self.default
            except ProviderFailure:
                if asked is not None or not self.fall_backs:
                    raise
                return self.fall_backs[0]
            if asked not in {None, name}:
                problem = "names a model that is not allowed here (GLOSS_MODELS)"
                raise InvalidInput(errors=[{"field": "options.model", "problem": problem}])
            asked = name
        return self.named(asked)

    def named(self, name: str) -> Model:
        """Return a model of the first provider, allowed or not."""
        return Model.at(
            self.settings.openai_base_url,
            name,
            self.provider,
            window=self.settings.context_window,
            prices=self.prices,
        )

    @property
    def without_price(self) -> list[str]:
        """Return those models of the first provider whose price is not known, as far as they are known.

        No provider is asked: with a base URL and no model named, it may be any that has a price there.
        """
        settings, first = self.settings, self._first
        default = settings.model or first or (None if settings.openai_base_url else DEFAULT_MODEL)
        named = [default, *(one for one in settings.models if not set(one) & PATTERN)]
        without = [name for name in dict.fromkeys(named) if name and not self.named(name).has_price]
        nothing_there = default is None and not self.prices.any_at(settings.openai_base_url)
        return [FIRST_LISTED, *without] if nothing_there else without

    def route(self, model: Model) -> tuple[Model, ...]:
        """Return who is asked, in this order, where that model was chosen."""
        return (model, *(other for other in self.fall_backs if other is not model))

    @property
    def reachable(self) -> bool:
        """Tell whether any provider answers, asked at most every few seconds."""
        now = self.clock.monotonic()
        if self._reached is None or now - self._reached[0] > ASKED_EVERY_S:
            providers = [self.provider, *(model.provider for model in self.fall_backs)]
            self._reached = (now, any(map(_answers, providers)))
        return self._reached[1]


def _answers(provider: llm.Provider) -> bool:
    try:
        provider.models()
    except ProviderRejected:
        return True  # some servers have no list of models; a refusal is an answer
    except ProviderFailure:
        return False
    return True
