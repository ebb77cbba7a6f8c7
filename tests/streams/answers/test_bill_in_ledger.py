"""What is shared is reserved and charged once, and each stream is counted."""

import json
from typing import Any

import pytest

from services.cost.history import History
from services.state.sums import Kept
from tests.streams.answers.test_answering import stage_of
from tests.streams.scripted import Gate
from tests.streams.stage import Reply, Stage, settle

DAY = "account:deployment:2026-01-02"


def kept(stage: Stage) -> Kept:
    stage.core.ledger.flush()
    [found] = stage.core.exchange.store.sums([DAY])
    return found.get("tokens", Kept(0, 0))


def limited(*says: Any, tokens: int) -> Stage:
    return stage_of(*says, settings={"tokens_per_day": tokens})


def ended(replies: list[Reply]) -> list[dict[str, Any]]:
    return [json.loads(reply.read().splitlines()[-1]) for reply in replies]


@pytest.mark.R24
def test_it_is_reserved_once() -> None:
    """While ten read one answer the cap of one is held; afterwards what one used is spent."""
    gate = Gate()
    stage = limited("Hello", gate, tokens=10_000)
    alone = stage.post(options={"max_output_tokens": 500})
    settle()
    held = kept(stage).held
    others = [stage.post(options={"max_output_tokens": 500}) for _ in range(9)]
    settle()
    assert held > 500
    assert kept(stage).held == held
    gate.set()
    assert [end["reason"] for end in ended([alone, *others])] == ["stop"] * 10
    assert (kept(stage), len(stage.provider.asked)) == (Kept(10, 0), 1)


@pytest.mark.R24
def test_what_does_not_fit_is_refused() -> None:
    """As any stream is, and nothing stays reserved or is found by the next who asks."""
    stage = limited(tokens=50)
    replies = [stage.post(), stage.post()]
    assert [reply.status for reply in replies] == [429, 429]
    assert (kept(stage), stage.provider.asked) == (Kept(0, 0), [])


def test_who_finds_it_needs_no_budget() -> None:
    """What is there already, or under way, costs nothing, and is given to whoever has nothing left."""
    gate = Gate()
    stage = limited("Hello", gate, tokens=600)
    first = stage.post(options={"max_output_tokens": 560})
    settle()
    second = stage.post(options={"max_output_tokens": 560})
    assert second.status == 200
    gate.set()
    assert [end["reason"] for end in ended([first, second])] == ["stop", "stop"]


def test_nothing_stays_reserved_for_what_nobody_waited_for() -> None:
    """Whoever wanted it was refused a slot, or left before it began: its part comes back."""
    stage = limited("Hello", tokens=10_000)
    stage.core.drain.begin()
    assert stage.post().status == 503
    assert kept(stage) == Kept(0, 0)


def test_each_stream_is_counted_and_the_answer_is_not() -> None:
    """Three streams of one answer are three in the history, with the tokens of one."""
    gate = Gate()
    stage = stage_of("Hello", gate)
    replies = [stage.post() for _ in range(3)]
    settle()
    gate.set()
    ended(replies)
    today = stage.clock.now().date()
    lines = History(stage.core.exchange.store, stage.core.ledger.flush).lines(today, today)
    assert [(line.streams, line.ends, line.input + line.output) for line in lines] == [(3, {"stop": 3}, 10)]
