"""From calls to requests that fit."""

from pathlib import Path
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from services import prompting
from services.cost.tokens import counter_of
from services.errors import InputTooLong
from services.llm import Message, Request
from services.streams.plan import LEAST_ROOM, ON_THE_HUB, Planner
from services.streams.use_case import Call
from tests.providers.scripted import ScriptedProvider
from tests.streams.calling import model_of
from tests.streams.stage import PROMPTS

KNOWN, FOREIGN = "gpt-4.1", "somebody-elses"  # the vocabulary of one is here, of the other not
EXACT = counter_of(KNOWN)
LOADED = prompting.load(PROMPTS)


def planner(*, name: str = KNOWN, window: int | None = None, **given_: Any) -> Planner:
    plain = {
        "prompts": LOADED, "default": LOADED["echo"], "max_output_tokens": 1000, "own_cap": False,
        "model": model_of(ScriptedProvider(), name, window=window),
    }  # fmt: skip
    return Planner(**(plain | given_))


def call(text: str = "hi", **more: Any) -> Call:
    return Call(variables={"say": text}, **more)


def test_a_call_becomes_a_request() -> None:
    """Rendered, with the history between system and user, the caps and the stop words."""
    history = (Message("user", "before"), Message("assistant", "then"))
    (planned,) = planner().plan([call(history=history, stop=("END",), max_output_tokens=9)])
    assert planned.request == Request(
        model=KNOWN,
        messages=(Message("system", "You answer."), *history, Message("user", "hi")),
        max_output_tokens=9,
        stop=("END",),
    )
    assert planned.input_tokens == EXACT.count_messages(planned.request.messages)


def test_a_call_may_name_another_prompt_file(tmp_path: Path) -> None:
    """Its words and its sampling count then."""
    (tmp_path / "judge.md").write_text(
        "+++\nversion = 1\ntemperature = 0.3\n+++\n"
        "{% block system %}{% endblock %}{% block user %}Judge.{% endblock %}"
    )
    prompts = LOADED | prompting.load(tmp_path)
    (planned,) = planner(prompts=prompts).plan([Call(variables={}, prompt="judge")])
    assert (planned.request.messages, planned.request.temperature) == ((Message("user", "Judge."),), 0.3)


@pytest.mark.parametrize(("wanted", "cap"), [(None, 1000), (10, 10), (1000, 1000), (5000, 1000)])
def test_a_call_never_gets_more_than_the_streams_cap(wanted: int | None, cap: int) -> None:
    """It may want less."""
    (planned,) = planner().plan([call(max_output_tokens=wanted)])
    assert planned.request.max_output_tokens == cap


@pytest.mark.parametrize(("calls", "each"), [(1, 1000), (3, 333), (16, 62)])
def test_calls_that_name_no_cap_share_the_streams(calls: int, each: int) -> None:
    """Equally, so that they can run side by side."""
    assert {one.request.max_output_tokens for one in planner().plan([call()] * calls)} == {each}


def tokens_of(text: str) -> int:
    return EXACT.count_messages(LOADED["echo"].messages({"say": text}))


def test_an_output_cap_shrinks_to_what_the_window_leaves() -> None:
    """The server's own cap is a wish; the window is a fact."""
    window = tokens_of("hi") + 100
    (planned,) = planner(window=window).plan([call()])
    assert planned.request.max_output_tokens == 100


def test_a_call_that_leaves_no_room_for_an_answer_is_never_made() -> None:
    """Refused with the tokens that it has and the most that it may have."""
    tokens = tokens_of("hi")
    planner(window=tokens + LEAST_ROOM).plan([call()])
    with pytest.raises(InputTooLong) as refused:
        planner(window=tokens + LEAST_ROOM - 1).plan([call()])
    assert refused.value.members == {"tokens": tokens, "limit": tokens - 1}


def test_a_cap_that_the_caller_named_is_not_shrunk() -> None:
    """Who asked for 1,000 tokens and cannot have them is told so."""
    tokens = tokens_of("hi")
    (planned,) = planner(own_cap=True, window=tokens + 1000).plan([call()])
    assert planned.request.max_output_tokens == 1000
    with pytest.raises(InputTooLong) as refused:
        planner(own_cap=True, window=tokens + 999).plan([call()])
    assert refused.value.members == {"tokens": tokens, "limit": tokens - 1}


def test_a_foreign_vocabulary_keeps_a_margin() -> None:
    """Where the count is a guess, a tenth of it stays free."""
    window = tokens_of("word " * 1000) + LEAST_ROOM
    planner(window=window).plan([call("word " * 1000)])
    with pytest.raises(InputTooLong):
        planner(name=FOREIGN, window=window).plan([call("word " * 1000)])


@given(
    st.integers(256, 3000),
    st.integers(0, 3000),
    st.integers(1, 2000),
    st.booleans(),
    st.sampled_from([KNOWN, FOREIGN]),
)
def test_what_is_refused_is_above_the_limit_and_what_fits_is_not(
    window: int, words: int, cap: int, own_cap: bool, name: str
) -> None:
    """A refusal's numbers make sense: more tokens than the limit; a call that fits, fits with its answer."""
    one = planner(window=window, max_output_tokens=cap, own_cap=own_cap, name=name)
    try:
        (planned,) = one.plan([call("a " * words)])
    except InputTooLong as error:
        refused = error.members
        assert refused["tokens"] > refused["limit"] >= 0  # type: ignore[operator]
    else:
        assert planned.input_tokens + planned.request.max_output_tokens <= window
        assert planned.request.max_output_tokens >= min(cap, LEAST_ROOM)
        assert not own_cap or planned.request.max_output_tokens == cap


def test_many_calls_are_planned_off_the_hub() -> None:
    """Others run meanwhile; the plan is the same."""
    calls = [call(str(number)) for number in range(ON_THE_HUB + 1)]
    ran: list[str] = []
    gevent.spawn(ran.append, "others")
    many = planner().plan(calls)
    assert ran == ["others"]
    assert [one.request.messages[-1].content for one in many] == [
        str(number) for number in range(ON_THE_HUB + 1)
    ]


@pytest.mark.parametrize("calls", [1, ON_THE_HUB + 1])
def test_what_cannot_be_planned_is_raised(calls: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Wherever it was planned, the refusal reaches the caller, and nothing is printed."""
    with pytest.raises(InputTooLong):
        planner(window=256, max_output_tokens=256 * (calls + 1)).plan([call("word " * 300)] * calls)
    with pytest.raises(UndefinedError):
        planner().plan([Call(variables={})] * calls)
    assert capfd.readouterr() == ("", "")


def test_long_texts_are_counted_wherever_the_plan_is_made() -> None:
    """Off the hub, a text that would leave the hub by itself is counted all the same."""
    calls = [call("word " * 3000)] * (ON_THE_HUB + 1)
    tokens = {one.input_tokens for one in planner(max_output_tokens=10**6).plan(calls)}
    assert tokens == {planner().plan(calls[:1])[0].input_tokens}


@pytest.mark.parametrize(("wanted", "curbed"), [(None, False), (1000, False), (1001, True)])
def test_a_call_that_wants_more_than_the_stream_may_say(wanted: int | None, *, curbed: bool) -> None:
    """Is curbed: what cuts its answer is not its own cap. It stays so for whoever is asked."""
    (planned,) = planner().plan([call(max_output_tokens=wanted)])
    there = planned.limited_to(5).at(model_of(ScriptedProvider(), FOREIGN))
    assert (planned.curbed, there and there.curbed) == (curbed, curbed)
