"""The answer to one call, whatever its providers do."""

import weakref
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import gevent
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.errors import (
    ProviderError,
    ProviderFailure,
    ProviderIncomplete,
    ProviderRejected,
    ProviderTimeout,
)
from services.llm import Done, Thinking
from services.streams.calls import Calls
from services.streams.retry import RetryBudget
from tests.streams.calling import WORD, calls_of, codes, model_of, one_by_one, planned
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import USED, Gate, WatchedProvider, whole
from tests.streams.stage import settle

PASSING = ProviderError("busy", retryable=True)
LATER = ProviderError("later", retryable=True, retry_after_s=300)
CUT = ProviderIncomplete("cut", retryable=True)
SILENT = ProviderTimeout("silent", retryable=True)


def heard(calls: Calls, *, ahead: bool = False, **call: Any) -> tuple[list[str], ProviderFailure | None]:
    """What an answer said, and how it failed."""
    plan = planned(**call)
    answer = calls.answers([plan])[0] if ahead else calls.answer(plan)
    said: list[str] = []
    try:
        said.extend(answer)  # keeps what came before a failure
    except ProviderFailure as failure:
        return said, failure
    return said, None


# Before the first text: other providers


@pytest.mark.parametrize(
    ("failures", "asked"),
    [
        ([PASSING] * 3, 3),
        ([LATER], 1),
        ([ProviderRejected("No credit.")], 1),
        ([ProviderError("No trust.")], 1),
        ([ProviderTimeout("Silent.")], 1),
        ([PASSING, ProviderRejected("No key.")], 2),
        ([CUT, CUT, CUT], 3),
    ],
    ids=["busy", "a long wait", "refusal", "garbage", "silence", "busy, then refusal", "no text"],
)
def test_another_provider_is_asked(failures: list[ProviderFailure], asked: int) -> None:
    """When the first is spent, or cannot answer at all; the failure is told to nobody."""
    first, second = WatchedProvider(one_by_one(*[(one,) for one in failures])), WatchedProvider(whole("a"))
    calls, notices = calls_of(first, model_of(second, "other"))
    assert heard(calls) == (["a"], None)
    assert (len(first.asked), len(second.asked)) == (asked, 1)
    assert codes(notices) == ["provider-retry"] * (asked - 1) + ["provider-fallback"]
    assert notices[-1].detail == "other answers from here on."  # type: ignore[attr-defined]


def test_a_request_that_is_at_fault_is_asked_nowhere_else() -> None:
    """What one provider found wrong in it would be wrong at the next."""
    refused = ProviderRejected("Too long.", elsewhere=False)
    first, second = WatchedProvider((refused,)), WatchedProvider(whole("a"))
    calls, notices = calls_of(first, model_of(second, "other"))
    assert heard(calls) == ([], refused)
    assert (len(second.asked), notices) == (0, [])


def test_after_the_first_text_nobody_else_is_asked() -> None:
    """Another model would say something else."""
    first, second = WatchedProvider(("a", CUT)), WatchedProvider(whole("b"))
    calls, _ = calls_of(first, model_of(second, "other"), recovers=False)
    assert heard(calls) == (["a"], CUT)
    assert second.asked == []


def test_the_last_failure_is_the_answers() -> None:
    """When all have failed."""
    refusal = ProviderRejected("No key.")
    calls, _ = calls_of(
        WatchedProvider((ProviderError("x"),)), model_of(WatchedProvider((refusal,)), "other")
    )
    assert heard(calls) == ([], refusal)


@pytest.mark.parametrize(("spent", "left"), [(3, 1), (2, 1), (1, 2)])
def test_attempts_are_counted_over_all_providers(spent: int, left: int) -> None:
    """A fall-back gets what the first one left of them, and one at least."""
    failures = [(PASSING,)] * (spent - 1) + [(PASSING if spent == 3 else ProviderRejected(),)]
    first, second = WatchedProvider(one_by_one(*failures)), WatchedProvider((PASSING,))
    calls, _ = calls_of(first, model_of(second, "other"))
    assert heard(calls) == ([], PASSING)
    assert (len(first.asked), len(second.asked)) == (spent, left)


def test_the_time_budget_counts_over_all_providers() -> None:
    """A fall-back that is asked late is asked, and not asked again."""
    clock = FakeClock()
    gate = Gate()
    first, second = WatchedProvider((gate,)), WatchedProvider((PASSING,))
    calls, _ = calls_of(first, model_of(second, "other"), clock=clock)
    hearing = gevent.spawn(heard, calls)
    gate.reached.wait()
    clock.advance(10)  # the silence before the first text
    assert hearing.get() == ([], PASSING)
    assert (first.closed_early, len(second.asked)) == ([False], 1)


def test_a_later_call_begins_where_the_stream_is() -> None:
    """A provider that failed is not asked again in the same stream."""
    first, second = WatchedProvider((ProviderRejected(),)), WatchedProvider(whole("a"))
    calls, notices = calls_of(first, model_of(second, "other"))
    assert [heard(calls), heard(calls)] == [(["a"], None)] * 2
    assert (len(first.asked), len(second.asked), codes(notices)) == (1, 2, ["provider-fallback"])


def test_who_answered_is_paid() -> None:
    """Each attempt at the price of its model; a refusal costs nothing."""
    first, second = WatchedProvider((ProviderRejected(),)), WatchedProvider(whole("a"))
    calls, _ = calls_of(model_of(first, usd=1000), model_of(second, "other", usd=1))
    heard(calls)
    assert calls.usage().cost_usd == str(USED.input + USED.output)


def test_what_the_first_has_used_is_paid_too() -> None:
    """A silence may have cost a prompt, at its own price."""
    first, second = WatchedProvider((Thinking(), ProviderTimeout())), WatchedProvider(whole("a"))
    calls, _ = calls_of(model_of(first, usd=1000), model_of(second, "other", usd=1))
    heard(calls)
    assert (calls.usage().cost_usd, calls.usage().estimated) == ("11010", True)


@pytest.mark.parametrize(
    ("says", "input_tokens"),
    [
        ((ProviderError("no"),), 0),
        ((ProviderRejected("no"),), 0),
        ((ProviderTimeout("not reached", retryable=True),), 0),
        ((ProviderTimeout("silent"),), 11),
        ((ProviderIncomplete("broke"),), 11),
        ((Thinking(), ProviderError("no")), 11),
        (("a", ProviderError("no")), 11),
    ],
)
def test_an_attempt_costs_what_the_provider_may_have_read(says: tuple[Any, ...], input_tokens: int) -> None:
    """A refusal and a connection that was not made are free; whoever began has read the prompt."""
    calls, _ = calls_of(WatchedProvider(says), attempts=1)
    heard(calls)
    assert calls.usage().input_tokens == input_tokens


def test_a_fall_back_keeps_its_own_cap() -> None:
    """What its window leaves bounds it, though it does not heed that itself."""
    first, second = WatchedProvider((ProviderRejected(),)), WatchedProvider(whole(*[WORD] * 50))
    window = int(model_of(second, "other").counter.count_messages(planned().request.messages) * 1.1) + 10
    calls, _ = calls_of(first, model_of(second, "other", window=window))
    said, failure = heard(calls)
    assert (said, failure) == ([WORD] * 10, None)


def test_retries_end_with_the_budget_of_all() -> None:
    """When the process has retried enough this minute, a failure is final, or somebody else's."""
    budget = RetryBudget(share=0, floor=1)
    first, second = WatchedProvider((PASSING,)), WatchedProvider(whole("a"))
    calls, _ = calls_of(first, budget=budget)
    assert heard(calls) == ([], PASSING)
    assert len(first.asked) == 2
    calls, _ = calls_of(first, model_of(second, "other"), budget=budget)
    assert heard(calls) == (["a"], None)
    assert len(first.asked) == 3


# After the first text: the same again


def test_an_answer_that_broke_off_goes_on() -> None:
    """The same again is swallowed, the rest passes; both attempts are paid, and it is told once."""
    provider = WatchedProvider(one_by_one(("one", " two", CUT), whole("on", "e two th", "ree")))
    calls, notices = calls_of(provider, recovers=True)
    assert heard(calls) == (["one", " two", " th", "ree"], None)
    assert codes(notices) == ["provider-retry"]
    first, second = (asked.request for asked in provider.asked)
    assert first == second
    usage = calls.usage()
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (11 + 7, 2 + 3, True)


def test_the_reason_is_that_of_the_whole() -> None:
    """The answer ends as the second attempt did."""
    calls, _ = calls_of(WatchedProvider(one_by_one(("a", CUT), whole("ab", reason="length"))), recovers=True)
    answer = calls.answer(planned())
    assert ("".join(answer), answer.reason) == ("ab", "length")


@pytest.mark.parametrize("failure", [CUT, SILENT], ids=["cut", "stalled"])
@pytest.mark.parametrize("ahead", [False, True], ids=["alone", "ahead"])
def test_a_cut_and_a_stall_are_recovered(failure: ProviderFailure, ahead: bool) -> None:
    """Whoever reads the answer."""
    calls, _ = calls_of(WatchedProvider(one_by_one(("a", failure), whole("ab"))), recovers=True)
    assert heard(calls, ahead=ahead) == (["a", "b"], None)


@pytest.mark.parametrize("ahead", [False, True], ids=["alone", "ahead"])
def test_a_silence_is_recovered(ahead: bool) -> None:
    """The alarm that ends the first attempt closes it, and the second has its own."""
    clock = FakeClock(hasty=True)
    gate = Gate()
    provider = WatchedProvider(one_by_one(("a", gate), whole("ab")))
    calls, _ = calls_of(provider, recovers=True, clock=clock)
    hearing = gevent.spawn(heard, calls, ahead=ahead)
    gate.reached.wait()
    clock.advance(5)
    assert hearing.get() == (["a", "b"], None)
    assert (provider.open, clock.armed) == ([], 0)


NEVER = [
    ProviderError("It reported an error."),
    ProviderError("It reported an error.", retryable=True),
    ProviderRejected("No credit."),
    ProviderIncomplete("It ended for a reason that nobody knows."),
]


@pytest.mark.parametrize("failure", NEVER)
def test_what_is_no_cut_is_not_recovered(failure: ProviderFailure) -> None:
    """An error, a refusal and an end, known or not, stay what they are."""
    provider = WatchedProvider(("a", failure))
    calls, notices = calls_of(provider, recovers=True)
    assert heard(calls) == (["a"], failure)
    assert (len(provider.asked), notices) == (1, [])


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_end_is_not_recovered(reason: Any) -> None:
    """The provider said that it was done."""
    provider = WatchedProvider(whole("a", reason=reason))
    calls, _ = calls_of(provider, recovers=True)
    assert heard(calls) == (["a"], None)
    assert len(provider.asked) == 1


def test_a_use_case_that_does_not_allow_it_is_not_recovered() -> None:
    """It is off unless it is declared."""
    provider = WatchedProvider(("a", CUT))
    calls, _ = calls_of(provider)
    assert heard(calls) == (["a"], CUT)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    "second",
    [
        whole("other text"),
        whole("on"),
        whole("on", reason="length"),
        whole("on", reason="content_filter"),
        whole(""),
        ("on", SILENT),
        ("on", CUT),
        (PASSING,),
        (ProviderRejected(),),
    ],
    ids=["other", "shorter", "at its cap", "filtered", "nothing", "stalls", "breaks", "busy", "refused"],
)
def test_what_does_not_say_the_same_is_not_told(second: Any) -> None:
    """The first failure is the answer's, and the second attempt is closed and paid."""
    provider = WatchedProvider(one_by_one(("one", CUT), second))
    calls, _ = calls_of(provider, recovers=True)
    assert heard(calls) == (["one"], CUT)
    assert (len(provider.asked), provider.open) == (2, [])


def test_another_answer_is_closed_where_it_parts() -> None:
    """What nobody will see is not paid for."""
    provider = WatchedProvider(one_by_one(("one", CUT), whole("on", "ly", *[WORD] * 90)))
    calls, _ = calls_of(provider, recovers=True)
    heard(calls)
    assert provider.closed_early == [False, True]
    assert calls.usage().output_tokens == 2  # one; only


def test_an_answer_that_breaks_behind_the_seam_has_broken() -> None:
    """It is recovered once: what the second attempt died of is told."""
    again = ProviderIncomplete("again", retryable=True)
    provider = WatchedProvider(one_by_one(("a", CUT), ("ab", again)))
    calls, _ = calls_of(provider, recovers=True)
    assert heard(calls) == (["a", "b"], again)
    assert len(provider.asked) == 2


def test_it_happens_once_a_stream() -> None:
    """A call that begins after it is not recovered."""
    provider = WatchedProvider(one_by_one(("a", CUT), whole("ab"), ("c", CUT)))
    calls, notices = calls_of(provider, recovers=True)
    assert [heard(calls), heard(calls)] == [(["a", "b"], None), (["c"], CUT)]
    assert codes(notices) == ["provider-retry"]


def test_calls_that_break_together_are_recovered_together() -> None:
    """A connection that is lost is often lost for all that run; each is asked again, once."""
    gates = [Gate(), Gate()]
    first = iter(gates)
    said: dict[str, int] = {}

    def says(request: Any) -> Any:
        prompt = request.messages[-1].content
        said[prompt] = said.get(prompt, 0) + 1
        return ("a", next(first), CUT) if said[prompt] == 1 and prompt != "late" else ("ab", CUT)

    provider = WatchedProvider(says)
    calls, notices = calls_of(provider, recovers=True, parallel=2)
    answers = calls.answers([planned("one"), planned("two"), planned("late")])
    settle()
    for gate in gates:
        gate.set()
    texts = []
    for answer in answers:
        texts.append("")
        with suppress(ProviderIncomplete):
            for delta in answer:
                texts[-1] += delta
    assert (texts, said) == (["ab", "ab", "ab"], {"one": 2, "two": 2, "late": 1})
    assert codes(notices) == ["provider-retry"] * 2


@pytest.mark.parametrize("recovers", [False, True])
def test_what_was_said_is_kept_only_while_it_may_be_needed(recovers: bool) -> None:
    """Where an answer may have to be asked for again, and until it is whole."""
    calls, _ = calls_of(WatchedProvider(whole("a", "b")), recovers=recovers)
    answer = calls.answer(planned())
    assert next(iter(answer)) == "a"
    attempts = [weakref.ref(attempt) for attempt in calls.terms.running]
    assert [attempt().said for attempt in attempts] == [["a"] if recovers else []]  # type: ignore[union-attr]
    list(answer)
    assert [attempt() for attempt in attempts] == [None]


def test_the_one_that_answered_is_asked_again() -> None:
    """Another model does not say the same; nor does the first, after a fall-back."""
    first = WatchedProvider((ProviderRejected(),))
    second = WatchedProvider(one_by_one(("a", CUT), whole("ab")))
    calls, _ = calls_of(first, model_of(second, "other"), recovers=True)
    assert heard(calls) == (["a", "b"], None)
    assert (len(first.asked), len(second.asked)) == (1, 2)


@pytest.mark.parametrize(
    ("cap", "most", "again"),
    [
        (100, 10, 10),  # the stream has room for both
        (13, 10, 10),  # and just room
        (12, 10, 9),
        (10, 10, 7),
        (7, 7, 4),
    ],
)
def test_both_attempts_draw_on_the_allowance(cap: int, most: int, again: int) -> None:
    """Together they never say more than the stream may, whatever the request, which is the same, allows."""
    provider = WatchedProvider(one_by_one((*[WORD] * 3, CUT), whole(*[WORD] * 20)))
    calls, _ = calls_of(provider, cap=cap, recovers=True)
    answer = calls.answer(planned(most=most))
    assert (list(answer), answer.reason) == ([WORD] * again, "length")
    assert [asked.request.max_output_tokens for asked in provider.asked] == [most, most]
    assert calls.terms.allowance.reserve(None) == cap - 3 - again


def test_where_nothing_new_could_come_of_it_nobody_is_asked() -> None:
    """What is left of the allowance would at best say the same again."""
    provider = WatchedProvider((*[WORD] * 3, CUT))
    calls, _ = calls_of(provider, cap=6, recovers=True)
    assert heard(calls, most=6) == ([WORD] * 3, CUT)
    assert (len(provider.asked), calls.terms.allowance.reserve(None)) == (1, 3)


def test_retries_and_recoveries_share_a_budget() -> None:
    """A provider that breaks all answers is not asked for all of them again."""
    provider = WatchedProvider(one_by_one(("a", CUT), whole("ab"), ("a", CUT)))
    budget = RetryBudget(share=0, floor=1)
    ends = [heard(calls_of(provider, recovers=True, budget=budget)[0]) for _ in range(2)]
    assert ends == [(["a", "b"], None), (["a"], CUT)]


def test_a_cancel_in_the_pause_before_it_ends_it() -> None:
    """No further attempt is made, and the answer that broke off is paid."""
    clock = FakeClock()
    provider = WatchedProvider(("a", CUT))
    calls, _ = calls_of(provider, recovers=True, clock=clock)
    hearing = gevent.spawn(heard, calls)
    clock.asleep.wait()
    hearing.kill()
    calls.close()
    assert (len(provider.asked), calls.usage().output_tokens) == (1, 1)
    assert calls.terms.allowance.reserve(None) == 999


def test_leaving_in_the_middle_of_it_closes_the_second_attempt() -> None:
    """Also while it is being swallowed."""
    gate = Gate()
    provider = WatchedProvider(one_by_one(("one two", CUT), whole("one", gate)))
    calls, _ = calls_of(provider, recovers=True)
    hearing = gevent.spawn(heard, calls)
    gate.reached.wait()
    hearing.kill()
    assert (provider.open, provider.closed_early) == ([], [False, True])


def cut(text: str, places: list[int]) -> Iterator[str]:
    borders = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return (text[start:end] for start, end in pairwise(borders) if start != end)


PLACES = st.lists(st.integers(0, 40), max_size=8)
WORDS = st.text("ab ", max_size=8).map(lambda text: text.replace(" ", " a"))


@given(
    WORDS.filter(bool), st.integers(0, 20), st.one_of(st.none(), WORDS), PLACES, PLACES,
    st.sampled_from([None, CUT, SILENT, PASSING]), st.booleans(),
)  # fmt: skip
@example("ab", 1, None, [], [], None, False)
def test_nothing_is_said_twice(  # noqa: PLR0913, PLR0917 - both answers, both cut anywhere
    answer: str,
    breaks_at: int,
    other: str | None,
    places: list[int],
    again: list[int],
    ends: ProviderFailure | None,
    ahead: bool,
) -> None:
    """However both are cut and end: the whole answer once, or a beginning and an error."""
    first = answer[: breaks_at % (len(answer) + 1)]
    second = answer if other is None else other
    script = [*cut(second, again), ends or Done("stop", USED)]
    provider = WatchedProvider(one_by_one([*cut(first, places), CUT], script, script))
    calls, _ = calls_of(provider, recovers=True, attempts=2)
    said, failure = heard(calls, ahead=ahead)
    text = "".join(said)
    if failure is None:
        assert text == second
        assert text.startswith(first)
    else:
        assert text == first or (text.startswith(first) and second.startswith(text))
    if ends is None and second.startswith(first):
        assert failure is None
    assert provider.open == []
