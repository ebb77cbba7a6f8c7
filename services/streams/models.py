"""Which model answers, and what is known of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import partial

from services import llm
from services.cost import prices
from services.errors import InvalidInput, ProviderError, ProviderFailure, ProviderRejected
from services.settings import DEFAULT_MODEL, Settings
from services.streams.clock import Clock

# Models with a smaller window get short prompts: they are small, and slow to read.
COMPACT_BELOW = 8_192
# Health checks come every few seconds; the provider need not hear of each.
ASKED_EVERY_S = 10


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: its window in tokens (None where not known) and what a use of it costs."""

    name: str
    window: int | None
    price: Callable[[llm.Tokens], Decimal | None]

    @property
    def compact(self) -> bool:
        """Tell whether prompts are to be kept short."""
        return self.window is not None and self.window < COMPACT_BELOW


@dataclass
class Models:
    """The deployment's choice of models."""

    settings: Settings
    provider: llm.Provider
    clock: Clock
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

    def choose(self, asked: str | None) -> Model:
        """Return the model to use; raises InvalidInput for one that is not allowed here."""
        name = self.default
        if asked is not None and asked != name:
            if not any(fnmatchcase(asked, pattern) for pattern in self.settings.models):
                problem = "names a model that is not allowed here (GLOSS_MODELS)"
                raise InvalidInput(errors=[{"field": "options.model", "problem": problem}])
            name = asked
        url = self.settings.openai_base_url
        window = self.settings.context_window or prices.context_window(name, base_url=url)
        return Model(name=name, window=window, price=partial(prices.price_usd, name, base_url=url))

    @property
    def reachable(self) -> bool:
        """Tell whether the provider answers, asked at most every few seconds."""
        now = self.clock.monotonic()
        if self._reached is None or now - self._reached[0] > ASKED_EVERY_S:
            self._reached = (now, self._answers())
        return self._reached[1]

    def _answers(self) -> bool:
        try:
            self.provider.models()
        except ProviderRejected:
            return True  # some servers have no list of models; a refusal is an answer
        except ProviderFailure:
            return False
        return True
