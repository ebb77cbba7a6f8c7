"""Who is charged for a stream that another process ends, and with how much."""

from typing import Any

import pytest

from services.state.sums import Kept
from services.streams.sharing.keeper import LEASE_S, RENEW_S
from services.web.keys import new_key
from tests.streams.scripted import USED, Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.sharing.test_hand_over import GRACE, Twice, pair_of, prompts, stopped
from tests.streams.stage import Reply

__all__ = ["prompts"]

DAY = "account:deployment:2026-01-02"
BUDGET = {"tokens_per_day": 100_000}
REPORTED = USED.input + USED.output


def charged(pair: Pair) -> Kept:
    for stage in (pair.here, pair.there):
        stage.core.ledger.flush()
    [row] = pair.store.sums([DAY])
    return row.get("tokens", Kept(0, 0))


def told(pair: Pair, reply: Reply) -> int:
    usage: dict[str, Any] = pair.there.get(reply.stream).events()[-1]["usage"]
    return int(usage["input_tokens"] + usage["output_tokens"])


@pytest.mark.parametrize("settings", [BUDGET, {}], ids=["limited", "unlimited"])
def test_what_was_used_before_and_after(prompts: Any, settings: dict[str, Any]) -> None:
    """The one that goes on settles all of it, what the other one used included; nothing stays held."""
    pair = pair_of(Twice(whole("Hello", " wo", Gate()), whole("Hello wor", "ld!")), prompts, **settings)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    first = told(pair, reply) - REPORTED
    assert first > 5
    assert charged(pair) == Kept(first + REPORTED, 0)


def test_known_answers_are_charged_once(prompts: Any) -> None:
    """What was answered before the hand-over is neither asked for nor reserved again."""
    pair = pair_of(
        Twice(whole("one "), whole("two", Gate()), whole("two"), whole("three")), prompts, **BUDGET
    )
    reply = pair.here.post("steps-again", parts=3)
    pair.mirrored()
    stopped(pair, reply)
    assert len(pair.there.provider.asked) == 2
    assert charged(pair) == Kept(told(pair, reply), 0)


@pytest.mark.parametrize("settings", [BUDGET, {}], ids=["limited", "unlimited"])
def test_what_cannot_go_on_is_charged_as_far_as_it_came(prompts: Any, settings: dict[str, Any]) -> None:
    """The process that writes its end settles what the other one had counted."""
    pair = pair_of(whole("Hello", Gate()), prompts, **settings)
    reply = pair.here.post("echo")
    pair.mirrored()
    stopped(pair, reply)
    assert pair.there.get(reply.stream).events()[-1]["problem"]["type"] == "/problems/shutting-down"
    assert charged(pair) == Kept(told(pair, reply), 0)


def test_what_an_earlier_release_began_is_filed_under_its_key() -> None:
    """It said nothing of its reservation; the end user's name is no part of the books."""
    key, entry = new_key("web")
    pair = Pair(
        says=whole("Hello", Gate()),
        settings=GRACE | {"keys": (entry.line(),), "secret": "of the tests, and long enough to be one"},
    )
    wish = '{"subject": "ann", "budget_tokens": 9999}'
    shown = pair.here.call("POST", "/v1/tokens", key=key, data=wish).json()["token"]
    reply = pair.here.post(key=shown)
    pair.mirrored()
    pair.store.put(f"sent:{reply.stream}", b"{}", 1000)
    pair.here.core.exchange.stop()
    pair.passes(LEASE_S + 3 * RENEW_S + 10)
    pair.there.core.ledger.flush()
    [row] = pair.store.sums(["history:2026-01-02"])
    assert {name.partition(",")[0] for name in row} == {f'["{entry.id}"'}


@pytest.mark.R14
@pytest.mark.parametrize("settings", [BUDGET, {}], ids=["limited", "unlimited"])
def test_a_process_that_died(settings: dict[str, Any]) -> None:
    """All that was reserved for its stream counts as used; without a limit, what came of it."""
    pair = Pair(says=whole("Hello", Gate()), settings=GRACE | settings)
    reply = pair.here.post(options={"max_output_tokens": 500})
    pair.mirrored()
    held = charged(pair).held
    pair.here.core.exchange.stop()  # and its reader hears no more
    pair.passes(LEASE_S + 3 * RENEW_S + 10)
    end = pair.there.get(reply.stream).events()[-1]
    assert end["problem"]["type"] == "/problems/shutting-down"
    pair.there.core.ledger.flush()
    [row] = pair.store.sums([DAY])
    assert row["tokens"] == Kept(held or told(pair, reply), 0)
    assert bool(held) is bool(settings)
