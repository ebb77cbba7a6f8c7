"""Calls without a stream around them: what they are answered with, told and charged."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from services.cost.accounts import Account
from services.cost.ledger import Ledger
from services.cost.reservation import Reservation
from services.cost.tally import Price, Tally
from services.events import Event
from services.llm import Message, Provider, Request
from services.state.memory import MemoryStore
from services.state.store import Store
from services.streams.allowance import Allowance
from services.streams.attempt import Terms
from services.streams.calls import Calls
from services.streams.hearing import Silences
from services.streams.models import Model
from services.streams.retry import Retry, RetryBudget
from services.streams.route import Planned
from tests.streams.fake_clock import FakeClock

WORD = " word"  # one token
PLENTY = RetryBudget(share=0, floor=1_000_000)


def model_of(
    provider: Provider, name: str = "m", *, window: int | None = None, usd: int | None = None
) -> Model:
    """A model whose tokens cost so many dollars each, None if nobody knows."""
    price: Price = lambda tokens: None if usd is None else Decimal(usd * (tokens.input + tokens.output))  # noqa: E731
    return Model(name=name, provider=provider, window=window, price=price)


def unlimited() -> Reservation:
    """The reservation of somebody who has no limit."""
    return ledger_of().opened("s", (), key="k", use_case="u", model="m", lasts_s=60)


def ledger_of(store: Store | None = None, **more: Any) -> Ledger:
    clock = FakeClock()
    parts = {"deployment": Account("deployment"), "keeps_on": False, "kept_s": 1000.0, **more}
    store = store or MemoryStore(monotonic=clock.monotonic)
    times = {"now": clock.now, "monotonic": clock.monotonic, "sleep": clock.sleep}
    return Ledger(store, **{**times, **parts})


def calls_of(  # noqa: PLR0913 - each is a term of its own
    *models: Provider | Model,
    cap: int = 1000,
    parallel: int = 4,
    most: int = 100,
    attempts: int = 3,
    recovers: bool = False,
    budget: RetryBudget = PLENTY,
    clock: FakeClock | None = None,
    reservation: Reservation | None = None,
) -> tuple[Calls, list[Event]]:
    """What the calls of one stream share, and the notices that they give."""
    notices: list[Event] = []
    route = tuple(one if isinstance(one, Model) else model_of(one) for one in models)
    terms = Terms(
        models=route,
        clock=clock or FakeClock(hasty=True),
        silences=Silences(first_s=10, between_s=5),
        retry=Retry(attempts=attempts, within_s=10, budget=budget),
        allowance=Allowance(cap),
        reservation=reservation or unlimited(),
        tally=Tally(route[0].price),
        emit=notices.append,
        recovers=recovers,
    )
    return Calls(terms=terms, parallel=parallel, most=most), notices


def planned(prompt: str = "p", most: int = 100, least: int = 1) -> Planned:
    request = Request(model="m", messages=(Message("user", prompt),), max_output_tokens=most)
    return Planned(request=request, input_tokens=11, least=least)


def script(**says: Any) -> Callable[[Request], Any]:
    """Scripts by the prompt's text."""
    return lambda request: says[request.messages[-1].content]


def one_by_one(*scripts: Sequence[Any]) -> Callable[[Request], Any]:
    """Scripts by the order of the requests."""
    left = iter(scripts)
    return lambda _: next(left)


def codes(notices: list[Event]) -> list[str]:
    return [notice.code for notice in notices]  # type: ignore[attr-defined]
