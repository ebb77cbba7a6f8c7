"""What one stream may ask of its providers: reserved before it is asked, settled when all is over.

Every request to a provider, a retry and a recovery too, takes its input and its output cap at
full price from what is reserved; where that is not enough, more is reserved first, and where no
more is to be had, the cap is lower. So all that providers were asked for, together, never comes
to more than was reserved. What a request did not use comes back as soon as the provider says
what it used; where it does not say, nothing comes back before the end, for nobody knows.

In an account without limits nothing is reserved: what was used is added at the end.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple, Protocol

from gevent.lock import RLock

from services.cost.paying import Spent, State
from services.cost.refusals import Short, without_price
from services.cost.tally import Price
from services.cost.windows import NANO, nano_usd
from services.errors import GlossError
from services.llm import Tokens

LEAST_OUTPUT = 64  # tokens; below this an answer is no answer: it is refused rather than begun
MANY = 1_000_000


class Priced(Protocol):
    """A model, as far as money is concerned."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    @property
    def price(self) -> Price:
        """Return what gives the price of a use."""

    @property
    def has_price(self) -> bool:
        """Tell whether it is known."""

    def at_most(self, input_tokens: int) -> int:
        """Return what a prompt that we count so may weigh there."""


class Ask(NamedTuple):
    """What a request costs at full price: its input, and each token of its output."""

    model: str
    tokens: int
    nano_usd: int
    nano_usd_each: int


class Grant(NamedTuple):
    """What one request may say, and all that was taken for it; ``lowered`` for want of budget."""

    output: int
    tokens: int
    nano_usd: int
    lowered: bool


class Wanted(NamedTuple):
    """What is asked of the store: fixed, and for each token of output; how many of these."""

    model: str
    tokens: int
    nano_usd: int
    nano_usd_each: int
    least: int
    most: int


class Holder(Protocol):
    """The ledger, as its reservations know it."""

    def hold(self, reservation: "Reservation", wanted: Wanted) -> int | Short:
        """Reserve in all accounts or in none; return how many tokens of output, or what stands against it."""

    def exhausted(self, short: Short) -> GlossError:
        """Return the problem of a budget that does not allow a request."""

    def settle(self, reservation: "Reservation", ended: str) -> None:
        """Add what was used to all accounts, and give back what was held."""


class Reservation:
    """One stream's.

    ``lowered_to`` is how much output its first calls may have together, where that is less than they want;
    ``short`` tells that a request could say less than it would have, for want of budget; ``alone``
    that the store was away when it was asked, ``unsure`` that it may have heard nevertheless.
    """

    def __init__(self, ledger: Holder, name: str, state: State) -> None:
        """Reserve nothing yet."""
        self.name = name
        self.payer = state.payer
        self.used = dict(state.used)
        self.lasts_s = state.lasts_s
        self.held = state.held
        self.alone = False
        self.unsure = False
        self.short = False
        self.lowered_to: int | None = None
        self.shared = False  # several streams have it: it is none of those that are counted
        self._refused = False
        self._ledger = ledger
        self._tokens = state.tokens
        self._nano_usd = state.nano_usd
        self._lock: AbstractContextManager[object] = (
            RLock() if state.payer.limited else nullcontext()
        )  # many have no use for it

    @property
    def state(self) -> State:
        """Return what another process has to know to go on."""
        return State(
            payer=self.payer, lasts_s=self.lasts_s, tokens=self._tokens, nano_usd=self._nano_usd,
            used=self.used, held=self.held or self.unsure,
        )  # fmt: skip

    def accepts(self, model: Priced) -> bool:
        """Tell whether this model may be asked: not without a price where a limit is money alone."""
        return not self.payer.priced or model.has_price

    def ask(self, model: Priced, input_tokens: int) -> Ask:
        """Return what a request to this model would cost at most; no money where no price is known."""
        if not self.payer.limited:
            return Ask(model.name, input_tokens, 0, 0)
        tokens = model.at_most(input_tokens)
        alone, more = (model.price(Tokens(input=tokens, output=output)) for output in (0, MANY))
        if alone is None or more is None:
            return Ask(model.name, tokens, 0, 0)
        each = ((more - alone) * NANO / MANY).to_integral_value(ROUND_CEILING)
        return Ask(model.name, tokens, nano_usd(alone), int(each))

    def open(self, model: Priced, calls: Sequence[tuple[int, int]], most: int) -> None:
        """Reserve for a stream's first calls, each given as its input and its output cap.

        ``most`` is the output of all of them together. Raises BudgetExhausted, Forbidden (a model
        without a price), and what the ledger raises where the store is away.
        """
        if not self.payer.limited or not calls:
            return
        if not self.accepts(model):
            raise without_price(self.payer.in_dollars_alone)
        wanted = self._sum(model, calls, most)
        answer = self._cover(wanted)
        if isinstance(answer, Short):
            raise self._ledger.exhausted(answer)
        if answer < wanted.most:
            self.lowered_to = answer

    def cover(self, model: Priced, calls: Sequence[tuple[int, int]], most: int) -> None:
        """Reserve for more calls at once, as far as there is budget; each looks for itself again."""
        if self.payer.limited and calls:
            with self._lock:
                self._cover(self._sum(model, calls, most))

    def take(self, ask: Ask, cap: int) -> Grant | None:
        """Take a request's part, reserving more where needed; None where even the least is not to be had."""
        if not self.payer.limited:
            return Grant(cap, 0, 0, lowered=False)
        least = min(cap, LEAST_OUTPUT)
        with self._lock:
            fits = self._fits(ask, cap)
            if (
                fits < cap and not self._refused
            ):  # asked once more for each of 500 calls it would say the same
                self._refused = isinstance(self._cover(Wanted(*ask, least, cap)), Short)
                fits = self._fits(ask, cap)
            if fits < least:
                self.short = True
                return None
            grant = Grant(
                fits, ask.tokens + fits, ask.nano_usd + fits * ask.nano_usd_each, lowered=fits < cap
            )
            self._give(-grant.tokens, -grant.nano_usd)
            return grant

    def give_back(self, grant: Grant) -> None:
        """Take nothing after all: the provider has not read the request."""
        self._give(grant.tokens, grant.nano_usd)

    def spend(
        self, grant: Grant, model: str, tokens: Tokens, dollars: Decimal | None, *, reported: bool
    ) -> None:
        """Note what a request has used; what it was granted beyond that comes back if it was ``reported``."""
        nano = None if dollars is None else nano_usd(dollars)
        spent = Spent.of(tokens, nano)
        self.used[model] = self.used[model] + spent if model in self.used else spent
        if reported:
            self._give(grant.tokens - tokens.input - tokens.output, grant.nano_usd - (nano or 0))

    def settle(self, ended: str) -> None:
        """Settle it; ``ended`` is the finish reason, or the slug of the problem."""
        self._ledger.settle(self, "" if self.shared else ended)

    def _sum(self, model: Priced, calls: Sequence[tuple[int, int]], most: int) -> Wanted:
        asks = [self.ask(model, input_tokens) for input_tokens, _ in calls]
        output = min(most, sum(cap for _, cap in calls))
        least = min(output, sum(min(cap, LEAST_OUTPUT) for _, cap in calls))
        return Wanted(
            model.name,
            sum(ask.tokens for ask in asks),
            sum(ask.nano_usd for ask in asks),
            max(ask.nano_usd_each for ask in asks),
            least,
            output,
        )

    def _cover(self, wanted: Wanted) -> int | Short:
        """Have what is wanted, of which some may be there already."""
        missing = wanted._replace(
            tokens=wanted.tokens - self._tokens, nano_usd=wanted.nano_usd - self._nano_usd
        )
        if (
            missing.tokens + missing.most <= 0
            and missing.nano_usd + missing.most * missing.nano_usd_each <= 0
        ):
            return missing.most
        answer = self._ledger.hold(self, missing)
        if isinstance(answer, int):
            self._give(
                max(0, missing.tokens + answer),
                max(0, missing.nano_usd + answer * missing.nano_usd_each),
            )
        return answer

    def _fits(self, ask: Ask, cap: int) -> int:
        fits = min(cap, self._tokens - ask.tokens)
        if ask.nano_usd_each:
            fits = min(fits, (self._nano_usd - ask.nano_usd) // ask.nano_usd_each)
        return fits if self._nano_usd >= ask.nano_usd else 0

    def _give(self, tokens: int, nano: int) -> None:
        self._tokens += tokens
        self._nano_usd += nano
