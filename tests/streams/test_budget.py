"""Budgets at work: what a stream may ask for is reserved before it asks, and settled when it ends."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from services.cost.accounts import Quota
from services.cost.reservation import LEAST_OUTPUT
from services.errors import ProviderError, ProviderIncomplete
from services.llm import Request, Tokens
from services.state.memory import MemoryStore
from services.state.store import StoreDownError
from services.state.sums import Kept
from services.web.keys import new_key
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Gate, WatchedProvider, whole
from tests.streams.stage import STAGE, Stage, joined, settle

WORDS = [f"w{number} " for number in range(400)]
DAY = "account:deployment:2026-01-02"


def spent(stage: Stage, field: str = "tokens", row: str = DAY) -> Kept:
    stage.core.ledger.flush()
    [found] = stage.core.exchange.store.sums([row])
    return found.get(field, Kept(0, 0))


def ends(stage: Stage, **body: Any) -> tuple[str, dict[str, Any]]:
    events = stage.post(**body).events()
    return events[-1].get("reason") or events[-1]["problem"]["type"], events[-1]


def cap_of(asked: Any) -> int:
    return asked.request.max_output_tokens


def caps(stage: Stage) -> list[int]:
    return [cap_of(asked) for asked in stage.provider.asked]


@pytest.mark.R24
def test_what_is_reserved_is_held_until_the_end() -> None:
    """While a stream runs its cap is held; afterwards what the provider reported is spent."""
    gate = Gate()
    stage = Stage(says=whole("Hello", gate), settings={"tokens_per_day": 10_000})
    reply = stage.post(options={"max_output_tokens": 500})
    next(reply.pieces)
    settle()
    held = spent(stage).held
    assert held > 500
    gate.set()
    reply.read()
    assert spent(stage) == Kept(10, 0)


@pytest.mark.R24
def test_what_does_not_fit_is_refused() -> None:
    """With 429, before anything is asked, and with the time at which the budget begins anew."""
    stage = Stage(settings={"tokens_per_day": 85})
    stage.post().read()
    reply, asked = stage.post(), len(stage.provider.asked)
    problem = reply.json()
    assert (reply.status, problem["type"]) == (429, "/problems/budget-exhausted")
    assert reply.headers["Retry-After"] == str(20 * 3600 + 55 * 60 + 55)
    assert "this service for this day is used up" in problem["detail"]
    assert problem["retry_after_s"] == 20 * 3600 + 55 * 60 + 55
    assert (asked, spent(stage)) == (1, Kept(10, 0))


def test_what_runs_holds_and_what_is_spent_does_not_come_back_soon() -> None:
    """Where what was spent alone leaves too little, those that run have nothing to give."""
    gate = Gate()
    answers = iter([whole("Hello"), whole(gate)])
    stage = Stage(says=lambda _: next(answers), settings={"tokens_per_day": 85})
    stage.post().read()
    running = stage.post(options={"max_output_tokens": 5})
    next(running.pieces)
    refused = stage.post()
    assert (refused.status, int(refused.headers["Retry-After"]) > 3600) == (429, True)
    gate.set()
    running.read()


@pytest.mark.parametrize("limit", [{"tokens_per_day": 50}, {"usd_per_day": Decimal("0.00001")}])
def test_a_limit_that_is_smaller_than_a_request(limit: dict[str, Any]) -> None:
    """Waiting would not help, so nobody is told to come back; something shorter may fit."""
    stage = Stage(settings={"model": "gpt-4.1-mini", **limit})
    reply = stage.post()
    problem = reply.json()
    assert (reply.status, problem["type"]) == (429, "/problems/budget-exhausted")
    assert "The limit of this service for this day is smaller than what this one request" in problem["detail"]
    assert ("Retry-After" in reply.headers, "retry_after_s" in problem) == (False, False)
    assert stage.provider.asked == []
    if "tokens_per_day" in limit:
        assert stage.post(options={"max_output_tokens": 5}).status == 200


def test_what_others_hold_comes_back_soon() -> None:
    """A stream that is refused because others run is told to try again in a moment."""
    gate = Gate()
    stage = Stage(says=whole(gate), settings={"tokens_per_day": 600})
    first = stage.post(options={"max_output_tokens": 560})
    next(first.pieces)
    second = stage.post(options={"max_output_tokens": 560})
    assert (second.status, second.headers["Retry-After"]) == (429, "5")
    assert "held by streams that run" in second.json()["detail"]
    gate.set()
    first.read()
    assert stage.post(options={"max_output_tokens": 560}).status == 200


@pytest.mark.R24
def test_a_smaller_rest_is_a_smaller_cap() -> None:
    """A stream that gets less than its cap is cut there, and its end says that it was the budget."""
    stage = Stage(says=lambda _: whole(*WORDS, tokens=None), settings={"tokens_per_day": 200})
    reason, end = ends(stage, options={"max_output_tokens": 500})
    [cap] = caps(stage)
    assert reason == "budget"
    assert 64 <= cap < 200
    assert end["usage"]["output_tokens"] == cap
    assert spent(stage).spent <= 200


@pytest.mark.parametrize(("name", "body"), [("echo", {}), ("four", {"parts": 2, "part_tokens": 250})])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.R24
def test_the_start_tells_the_cap_that_acts(name: str, body: dict[str, Any], shared: bool) -> None:
    """What the budget leaves, also where several streams may have the answer; no more is said."""
    stage = Stage(
        says=lambda _: whole(*WORDS, tokens=None), settings={"tokens_per_day": 300},
        use_cases=STAGE | {name: replace(STAGE[name], cache=shared)},
    )  # fmt: skip
    events = stage.post(name, options={"max_output_tokens": 500}, **body).events()
    told = events[0]["limits"]["max_output_tokens"]
    said = sum(caps(stage))
    assert said <= told < 300
    assert told - said < LEAST_OUTPUT  # a call that could say less is not made
    assert (events[-1]["reason"], events[-1]["usage"]["output_tokens"]) == ("budget", said)


def test_without_need_the_start_tells_the_callers_cap() -> None:
    """A budget that allows all of it lowers nothing."""
    stage = Stage(settings={"tokens_per_day": 10_000})
    start, *_ = stage.post(options={"max_output_tokens": 500}).events()
    assert start["limits"]["max_output_tokens"] == 500


def test_an_answer_within_a_smaller_cap_is_whole() -> None:
    """Less than was asked for may be enough."""
    stage = Stage(settings={"tokens_per_day": 200})
    assert ends(stage, options={"max_output_tokens": 500})[0] == "stop"


def test_a_cap_of_ones_own_stays_one() -> None:
    """What is cut at the caller's own cap is ``length``, whatever the budget."""
    stage = Stage(says=lambda _: whole(*WORDS, tokens=None), settings={"tokens_per_day": 10_000})
    assert ends(stage, options={"max_output_tokens": 20})[0] == "length"


@pytest.mark.R24
def test_the_budget_ends_in_the_middle_of_a_stream() -> None:
    """A later call that does not fit says nothing, and the stream ends as ``budget`` with what it has."""
    stage = Stage(
        says=lambda _: whole("some", " words ", tokens=Tokens(input=10, output=90)),
        settings={"tokens_per_day": 300},
    )
    events = stage.post("steps", parts=9, part_tokens=100).events()
    assert events[-1]["reason"] == "budget"
    assert len(stage.provider.asked) == 2 or len(stage.provider.asked) == 3
    assert joined(events).startswith("some words ")
    assert spent(stage) == Kept(100 * len(stage.provider.asked), 0)


@pytest.mark.parametrize("name", ["four", "steps"])
@pytest.mark.R24
def test_all_that_is_asked_for_is_within_the_budget(name: str) -> None:
    """Calls side by side and one after another: inputs and caps together never pass it."""
    budget = 1000

    def greedy(request: Request) -> Any:
        return whole(*WORDS[: request.max_output_tokens], tokens=None)

    stage = Stage(says=greedy, settings={"tokens_per_day": budget})
    stage.post(name, parts=9, part_tokens=150).read()
    asked = sum(cap_of(one) + len(one.request.messages[-1].content.split()) for one in stage.provider.asked)
    assert asked <= budget
    assert 0 < spent(stage).spent <= budget
    assert spent(stage).held == 0


def test_dollars() -> None:
    """A budget in dollars is kept to the billionth."""
    stage = Stage(settings={"usd_per_day": Decimal("0.01"), "model": "gpt-4.1-mini"})
    reason, end = ends(stage, options={"max_output_tokens": 500})
    assert (reason, end["usage"]["cost_usd"]) == ("stop", "0.0000076")
    assert spent(stage, "usd") == Kept(7600, 0)


def test_few_dollars() -> None:
    """Where money allows fewer tokens than the cap, the cap is what money allows."""
    stage = Stage(settings={"usd_per_day": Decimal("0.0002"), "model": "gpt-4.1-mini"})
    ends(stage, options={"max_output_tokens": 500})
    [cap] = caps(stage)
    assert 100 < cap < 125


def test_no_price_and_only_dollars() -> None:
    """A model without a price is refused where the limit is money: nobody could keep it."""
    key, entry = new_key("web", quota=Quota(usd_day=Decimal(5)))
    stage = Stage(settings={"keys": (entry.line(),)})
    reply = stage.post(key=key)
    problem = reply.json()
    assert (reply.status, problem["type"]) == (403, "/problems/forbidden")
    assert "price of this model is not known here, so the limit of this key, which is in" in problem["detail"]
    assert "GLOSS_PRICES" in problem["detail"]
    assert stage.provider.asked == []


def test_no_price_and_tokens() -> None:
    """With a limit in tokens beside it, that one holds; the price stays null."""
    stage = Stage(settings={"usd_per_day": Decimal(5), "tokens_per_day": 1000})
    reason, end = ends(stage)
    assert (reason, end["usage"]["cost_usd"]) == ("stop", None)
    assert (spent(stage), spent(stage, "usd"), spent(stage, "unpriced")) == (
        Kept(10, 0),
        Kept(0, 0),
        Kept(1, 0),
    )


def test_a_refusal_of_the_provider_costs_nothing() -> None:
    """A retry after it takes what the first attempt had: nothing was read."""
    failures = iter([(ProviderError("busy", retryable=True),), whole("Hello")])
    stage = Stage(
        says=lambda _: next(failures), clock=FakeClock(hasty=True), settings={"tokens_per_day": 600}
    )
    assert ends(stage, options={"max_output_tokens": 500})[0] == "stop"
    assert caps(stage) == [500, 500]
    assert spent(stage) == Kept(10, 0)


@pytest.mark.R24
def test_what_was_read_may_have_cost_all_of_it() -> None:
    """An attempt that may have been read is not given back before the end: the next gets the rest."""
    failures = iter([(ProviderIncomplete("cut", retryable=True),), whole("Hello")])
    stage = Stage(
        says=lambda _: next(failures), clock=FakeClock(hasty=True), settings={"tokens_per_day": 700}
    )
    assert ends(stage, options={"max_output_tokens": 500})[0] == "stop"
    first, second = caps(stage)
    assert (first, second < 200) == (500, True)


def test_no_retry_without_budget() -> None:
    """Where not even the least is left for another attempt, the first failure is the end."""
    failures = iter([(ProviderIncomplete("cut", retryable=True),), whole("Hello")])
    stage = Stage(
        says=lambda _: next(failures), clock=FakeClock(hasty=True), settings={"tokens_per_day": 550}
    )
    assert ends(stage, options={"max_output_tokens": 500})[0] == "/problems/provider-incomplete"
    assert len(stage.provider.asked) == 1


def test_a_stream_that_is_refused_after_all_holds_nothing() -> None:
    """Where there is no room for it, what was reserved is given back."""
    gate = Gate()
    stage = Stage(says=whole(gate), settings={"tokens_per_day": 10_000, "max_streams": 1, "max_queued": 0})
    first = stage.post()
    next(first.pieces)
    stage.core.capacity.require = lambda _owner: None  # type: ignore[method-assign]
    assert stage.post().status == 503
    stage.core.ledger.flush()
    held = spent(stage).held
    gate.set()
    first.read()
    assert 0 < held < 3000
    assert spent(stage) == Kept(10, 0)


def test_a_cancel_is_charged_with_what_came() -> None:
    """What was generated until then, counted here."""
    gate = Gate()
    stage = Stage(says=whole("one two three", gate), settings={"tokens_per_day": 10_000})
    reply = stage.post()
    next(reply.pieces)
    settle()
    stage.delete(reply.stream)
    end = reply.events()[-1]
    assert end["reason"] == "cancelled"
    used = end["usage"]["input_tokens"] + end["usage"]["output_tokens"]
    assert spent(stage) == Kept(used, 0)


def test_without_limits_nothing_waits_for_the_store() -> None:
    """What was used is added later, in one go for all that came meanwhile."""
    store = Counting()
    stage = Stage(store=store)
    for _ in range(5):
        stage.post().read()
    assert store.asked == 0
    assert spent(stage) == Kept(50, 0)
    assert store.asked == 2


class Counting(MemoryStore):
    """Counts how often sums are asked to change."""

    asked = 0

    def reserve(self, holds: Any) -> Any:
        self.asked += 1
        return super().reserve(holds)

    def settle(self, settlements: Any) -> Any:
        self.asked += 1
        return super().settle(settlements)


class Away(MemoryStore):
    """A store whose sums can be out of reach."""

    away = False

    def reserve(self, holds: Any) -> Any:
        if self.away:
            raise StoreDownError
        return super().reserve(holds)

    def settle(self, settlements: Any) -> Any:
        if self.away:
            raise StoreDownError
        return super().settle(settlements)


@pytest.mark.R18
def test_the_store_is_away_at_the_end() -> None:
    """The stream ends as it would; the bill waits here, and is stored when the store is back."""
    gate, store = Gate(), Away()
    stage = Stage(says=whole(gate), settings={"tokens_per_day": 10_000}, store=store)
    reply = stage.post()
    next(reply.pieces)
    settle()
    store.away = True
    gate.set()
    assert reply.events()[-1]["reason"] == "stop"
    assert stage.core.ledger.waiting == 1
    assert stage.core.unfinished
    store.away = False
    assert spent(stage) == Kept(10, 0)
    assert not stage.core.unfinished


@pytest.mark.R18
def test_alone_this_process_counts_by_itself() -> None:
    """A process that shares its store with nobody keeps its limits while the disk is full."""
    store = Away()
    store.away = True
    stage = Stage(settings={"tokens_per_day": 150}, store=store)
    replies = [stage.post(options={"max_output_tokens": 100}) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 429]
    assert replies[0].headers["Gloss-Quotas"] == "open"
    replies[0].read()
    store.away = False
    assert spent(stage) == Kept(10, 0)


@pytest.mark.R17
@pytest.mark.parametrize(("quotas_open", "status", "told"), [(False, 503, "closed"), (True, 200, "open")])
def test_the_shared_store_is_away(quotas_open: bool, status: int, told: str) -> None:
    """Limits are closed or open then, as the setting says; a header tells which, and no hold is left."""
    shared = Away()
    stage = Stage(settings={"tokens_per_day": 5000, "quotas_open": quotas_open}, shared=shared)
    shared.away = True
    reply = stage.post()
    assert (reply.status, reply.headers["Gloss-Quotas"]) == (status, told)
    reply.read()
    shared.away = False
    assert spent(stage) == Kept(10 if quotas_open else 0, 0)
    stage.core.exchange.stop()


def test_without_limits_a_store_that_is_away_hinders_nobody() -> None:
    """Neither begin nor end, and nothing is lost."""
    shared = Away()
    stage = Stage(shared=shared)
    shared.away = True
    assert stage.post().events()[-1]["reason"] == "stop"
    shared.away = False
    assert spent(stage) == Kept(10, 0)
    stage.core.exchange.stop()


def test_a_fall_back_without_a_price_is_not_asked() -> None:
    """Where the limit is money alone."""
    stage = Stage(
        says=(ProviderError("gone"),),
        elsewhere={"nobody-knows": whole("Hello")},
        settings={"usd_per_day": Decimal(1), "model": "gpt-4.1-mini"},
    )
    assert ends(stage)[0] == "/problems/provider-error"
    assert [provider.asked for provider in stage.fall_backs] == [[]]
    assert isinstance(stage.provider, WatchedProvider)


class Switching(MemoryStore):
    """Lets others run while it is asked to settle, as a store behind a socket does."""

    def settle(self, settlements: Any) -> Any:
        settle()
        return super().settle(settlements)


@pytest.mark.R2
@pytest.mark.R14
def test_a_stop_that_comes_while_the_bill_is_settled() -> None:
    """The stream has its end all the same, and its bill is settled, once."""
    gate = Gate()
    stage = Stage(says=whole("Hello", gate), settings={"tokens_per_day": 10_000}, store=Switching())
    reply = stage.post()
    next(reply.pieces)
    settle()
    gate.set()  # it wakes up, and comes to its end before the stop comes to it
    stage.delete(reply.stream)
    assert reply.events()[-1]["type"] == "finish"
    assert stage.core.streams.running == []
    assert spent(stage) == Kept(10, 0)
