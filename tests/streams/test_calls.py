"""Calls to the provider: one alone, and several side by side under one cap."""

from collections.abc import Iterable
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InputTooLong, ProviderError, ProviderFailure, ProviderIncomplete
from services.events import Notice, Text, Usage
from services.llm import Done, Thinking, Tokens
from services.streams.attempt import TAIL_S
from services.streams.known import Before, Said
from services.streams.use_case import Call, Context, Transform
from tests.streams.calling import WORD, calls_of, one_by_one, planned, script
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Gate, WatchedProvider, whole
from tests.streams.stage import NDJSON, STAGE, Stage, joined, say, settle, use_case
from tests.streams.stage import Said as Asks


def test_a_call_is_made_when_its_first_delta_is_asked_for() -> None:
    """An answer that nobody reads costs nothing."""
    provider = WatchedProvider(whole("a"))
    calls, _ = calls_of(provider)
    reply = calls.answer(planned())
    assert provider.asked == []
    assert list(reply) == ["a"]
    assert len(provider.asked) == 1


def test_the_reason_is_known_when_the_deltas_are_used_up() -> None:
    """Not before."""
    calls, _ = calls_of(WatchedProvider(whole("a", reason="length")))
    reply = calls.answer(planned())
    reasons = [reply.reason]
    reasons += [reply.reason for _ in reply]
    assert [*reasons, reply.reason] == [None, None, "length"]


def test_leaving_early_closes_the_provider() -> None:
    """A reply that was closed says no more, and is charged as counted here."""
    provider = WatchedProvider(whole("a", "b", "c"))
    calls, _ = calls_of(provider)
    reply = calls.answer(planned())
    got = []
    for delta in reply:
        got.append(delta)
        reply.close()
    assert (got, provider.closed_early, provider.open) == (["a"], [True], [])
    assert (calls.usage().input_tokens, calls.usage().output_tokens, calls.usage().estimated) == (11, 1, True)


def test_closing_twice_is_fine() -> None:
    """A reply is closed by who reads it, and by the stream's end."""
    calls, _ = calls_of(WatchedProvider(whole("a")))
    reply = calls.answer(planned())
    next(iter(reply))
    reply.close()
    calls.close()


def test_the_provider_is_told_the_cap_that_is_left() -> None:
    """A call gets what it wants, the next what is left; the caps are sent to the provider."""
    provider = WatchedProvider(whole(*[WORD] * 4))
    calls, _ = calls_of(provider, cap=10)
    for most in (7, 100):
        list(calls.answer(planned(most=most)))
    assert [asked.request.max_output_tokens for asked in provider.asked] == [7, 6]


def test_a_call_for_which_nothing_is_left_is_not_made() -> None:
    """It ends at once, with ``length``."""
    provider = WatchedProvider(whole(*[WORD] * 4))
    calls, _ = calls_of(provider, cap=4)
    list(calls.answer(planned()))
    reply = calls.answer(planned())
    assert (list(reply), reply.reason, len(provider.asked)) == ([], "length", 1)


def test_an_attempt_that_failed_before_its_first_word_is_free() -> None:
    """A refusal cost nothing at the provider and costs nothing here."""
    calls, notices = calls_of(WatchedProvider((ProviderError(retryable=False),)))
    with pytest.raises(ProviderError):
        list(calls.answer(planned()))
    assert (calls.usage().input_tokens, notices) == (0, [])


def test_each_attempt_is_told() -> None:
    """A retry is a notice, and the text comes once."""
    scripts = iter([(ProviderError(retryable=True),), whole("a")])
    calls, notices = calls_of(WatchedProvider(lambda _: next(scripts)))
    assert list(calls.answer(planned())) == ["a"]
    assert [type(notice) for notice in notices] == [Notice]


def test_a_stream_closes_all_that_is_open() -> None:
    """``close`` closes replies and batches, also those that were never read."""
    gates = [Gate() for _ in range(3)]
    provider = WatchedProvider(lambda _: whole("a", gates.pop()))
    calls, _ = calls_of(provider)
    next(iter(calls.answer(planned())))
    calls.answers([planned(), planned()])
    settle()
    assert len(provider.open) == 3
    calls.close()
    assert provider.open == []


# Several at once


def texts(answers: Iterable[Iterable[str]]) -> list[str]:
    return ["".join(answer) for answer in answers]


def test_answers_come_in_the_order_of_the_calls() -> None:
    """However fast each is, the text stands where its call stood."""
    first, second = Gate(), Gate()
    provider = WatchedProvider(script(a=whole(first, "A"), b=whole(second, "B"), c=whole("C")))
    calls, _ = calls_of(provider)
    answers = calls.answers([planned("a"), planned("b"), planned("c")])
    settle()
    second.set()
    settle()
    first.set()
    assert texts(answers) == ["A", "B", "C"]


@pytest.mark.parametrize("parallel", [1, 2, 4])
def test_no_more_run_at_a_time_than_may(parallel: int) -> None:
    """The first few are sent now, each next one when one has ended."""
    gates = [Gate() for _ in range(6)]
    left = iter(gates)
    provider = WatchedProvider(lambda _: whole(next(left), "x"))
    calls, _ = calls_of(provider, parallel=parallel)
    answers = calls.answers([planned(str(number)) for number in range(6)])
    settle()
    assert provider.prompts == [str(number) for number in range(parallel)]
    for gate in gates:
        gate.set()
    assert texts(answers) == ["x"] * 6
    assert provider.most_at_once == parallel


def test_calls_side_by_side_wait_for_the_cap_that_others_may_give_back() -> None:
    """A call that wants what is reserved is made when it is free again, not cut to nothing."""
    gates = {name: Gate() for name in "abc"}
    provider = WatchedProvider(lambda request: whole(gates[request.messages[-1].content], WORD, tokens=None))
    calls, _ = calls_of(provider, cap=100)
    answers = calls.answers([planned(name, most=100) for name in "abc"])
    for name in "abc":
        settle()
        assert [request.messages[-1].content for request in provider.open] == [name]
        gates[name].set()
    assert texts(answers) == [WORD] * 3
    assert [asked.request.max_output_tokens for asked in provider.asked] == [100, 99, 98]


@pytest.mark.parametrize(
    ("says", "left"),
    [
        (whole(WORD, tokens=Tokens(input=1, output=9)), 11),
        (whole(WORD, tokens=Tokens(input=1, output=0)), 19),  # what was heard was said
        (whole(WORD, tokens=Tokens(input=1, output=99)), 10),  # it had no more of the cap
        (whole(WORD, reason="length", tokens=None), 10),
        (whole(WORD, tokens=None), 19),
    ],
)
def test_the_cap_is_used_up_as_the_provider_counts(says: Any, left: int) -> None:
    """So that all calls together are not billed for more than the cap; ``length`` is all that it had."""
    calls, _ = calls_of(WatchedProvider(says), cap=20)
    list(calls.answer(planned(most=10)))
    assert calls.terms.allowance.left == left


AT_ITS_CAP = Done("length", Tokens(input=17, output=4))


@pytest.mark.R14
@pytest.mark.parametrize(
    ("then", "usage"),
    [
        ((AT_ITS_CAP,), (17, 4, False)),
        ((Done("stop", AT_ITS_CAP.tokens),), (17, 4, False)),
        ((Done("length", None),), (11, 5, True)),
        ((WORD, AT_ITS_CAP), (11, 5, True)),  # it goes on, so it is stopped
        ((Thinking(), AT_ITS_CAP), (11, 5, True)),
        ((ProviderError("gone"),), (11, 5, True)),
        ((), (11, 5, True)),
    ],
)
def test_a_provider_that_has_come_to_its_cap_says_what_it_used(then: Any, usage: Any) -> None:
    """Where our count cuts its last words it is due to end: its bill is waited for, and nothing else."""
    provider = WatchedProvider((*[WORD] * 6, *then))
    calls, _ = calls_of(provider, cap=5)
    reply = calls.answer(planned())
    assert (list(reply), reply.reason) == ([WORD] * 5, "length")
    told = calls.usage()
    assert (told.input_tokens, told.output_tokens, told.estimated) == usage
    assert provider.open == []


@pytest.mark.R14
def test_a_provider_that_is_silent_at_its_cap_is_waited_for_a_moment() -> None:
    """The text is there before, and the end comes without the provider's."""
    gate, clock = Gate(), FakeClock()
    provider = WatchedProvider((*[WORD] * 6, gate, AT_ITS_CAP))
    calls, _ = calls_of(provider, cap=5, clock=clock)
    got: list[str] = []
    reader = gevent.spawn(got.extend, calls.answer(planned()))
    gate.reached.wait()
    clock.advance(TAIL_S - 0.01)
    settle()
    assert not reader.dead
    clock.advance(0.01)
    reader.get()
    assert (calls.usage().output_tokens, calls.usage().estimated, provider.closed_early) == (5, True, [False])


def test_an_answer_that_may_say_less_than_was_asked_for_is_cut_at_once() -> None:
    """One that goes on where another broke off was asked for more: no end is due."""
    broken = (WORD, WORD, ProviderIncomplete("cut", retryable=True))
    provider = WatchedProvider(one_by_one(broken, (*[WORD] * 9, AT_ITS_CAP)))
    calls, _ = calls_of(provider, cap=10, recovers=True)
    assert "".join(calls.answer(planned(most=10))) == WORD * 8
    assert [asked.request.max_output_tokens for asked in provider.asked] == [10, 10]
    assert (provider.closed_early, calls.usage().output_tokens) == ([False, True], 10)


@pytest.mark.parametrize(("wanted", "curbed"), [(60, False), (61, True)])
def test_an_answer_knows_that_it_could_not_say_all(wanted: int, curbed: bool) -> None:
    """Where others have left less of the stream's cap than its call asked for."""
    calls, _ = calls_of(WatchedProvider(whole(*[WORD] * 40, tokens=None)), cap=100)
    answers = calls.answers([planned(most=40), planned(most=wanted)])
    texts(answers)
    assert [answer.curbed for answer in answers] == [False, curbed]


def test_that_an_answer_was_curbed_is_known_elsewhere() -> None:
    """Another process gives the transform the same answer: it would else show another text."""
    calls, _ = calls_of(WatchedProvider((WORD, AT_ITS_CAP)), cap=4, recovers=True)
    texts([calls.answer(planned(most=9))])
    known = calls.answered()
    assert known == (Said(WORD, "length", curbed=True),)
    later, _ = calls_of(WatchedProvider(()), cap=4)
    later.before = Before(used=Usage(), answers=known)
    again = later.answer(planned(most=9))
    assert (texts([again]), again.reason, again.curbed) == ([WORD], "length", True)


def test_a_failure_is_raised_where_its_answer_is_read() -> None:
    """What came before it, and the answers before it, are whole."""
    failure = ProviderError("no")
    provider = WatchedProvider(script(a=whole("A"), b=("B", failure)))
    calls, _ = calls_of(provider)
    first, second = calls.answers([planned("a"), planned("b")])
    got = [*first]
    with pytest.raises(ProviderFailure) as raised:
        got.extend(second)
    assert (got, raised.value) == (["A", "B"], failure)


def test_one_failure_ends_the_stream_and_closes_the_others() -> None:
    """Nobody pays for the rest of an answer that broke."""
    gate = Gate()
    stage = Stage(lambda request: (ProviderError(),) if "0:" in request.messages[-1].content else whole(gate))
    end = stage.post("four").events()[-1]
    assert end["problem"]["type"] == "/problems/provider-error"
    assert (stage.provider.open, stage.provider.closed_early) == ([], [False, True, True, True])


def test_a_closed_answer_says_no_more() -> None:
    """Closing one while it is read ends the reading; the others go on."""
    provider = WatchedProvider(lambda _: whole("x", "y", "z"))
    calls, _ = calls_of(provider)
    first, second = calls.answers([planned(), planned()])
    settle()
    got = []
    for delta in first:
        got.append(delta)
        first.close()
    assert (got, list(second)) == (["x"], ["x", "y", "z"])
    assert list(first) == []


def test_an_answer_that_was_read_has_nothing_more_to_say() -> None:
    """A second reading goes on where the first ended, and does not wait for ever."""
    calls, _ = calls_of(WatchedProvider(lambda _: whole("x", "y")))
    for answer in (calls.answer(planned()), *calls.answers([planned()])):
        assert (next(iter(answer)), list(answer), list(answer)) == ("x", ["y"], [])


def test_an_answer_closed_before_its_greenlet_ran_does_not_hold_up_the_rest() -> None:
    """Its place and its part of the cap go to those that wait."""
    provider = WatchedProvider(whole(WORD))
    calls, _ = calls_of(provider, cap=10, parallel=1)
    first, second, third = calls.answers([planned(name, most=10) for name in "abc"])
    first.close()
    second.close()
    assert list(third) == [WORD]
    assert (provider.prompts, provider.asked[0].request.max_output_tokens) == (["c"], 10)


def test_an_answer_closed_while_it_waits_is_never_asked_for() -> None:
    """An abandoned answer starts no call."""
    gate = Gate()
    provider = WatchedProvider(lambda _: whole(gate, "x"))
    calls, _ = calls_of(provider, parallel=1)
    first, second = calls.answers([planned("a"), planned("b")])
    settle()
    second.close()
    gate.set()
    assert list(first) == ["x"]
    settle()
    assert provider.prompts == ["a"]


def test_a_use_case_that_stops_early_starts_no_more_calls() -> None:
    """What waits when the transform ends is never sent; what runs is closed."""

    def hasty(given: Asks, _context: Context) -> Transform:
        first, *_ = yield tuple(Call(variables=say(given, part), max_output_tokens=9) for part in range(4))
        for delta in first:
            yield Text(text=delta)
        return None

    gate = Gate()
    stage = Stage(
        lambda request: whole("x") if "0:" in request.messages[-1].content else whole(gate),
        use_cases=STAGE | {"echo": use_case("echo", hasty)},
        settings={"parallel_calls": 2},
    )
    events = stage.post("echo").events()
    assert (joined(events), events[-1]["reason"]) == ("x", "stop")
    settle()
    assert stage.provider.open == []
    assert len(stage.provider.asked) <= 3


def test_cancelling_closes_all_calls() -> None:
    """A cancel while four answers are under way closes four connections."""
    gates = [Gate() for _ in range(4)]
    left = iter(gates)
    stage = Stage(lambda _: whole("x", next(left)))
    reply = stage.post("four")
    reader = gevent.spawn(reply.events)
    for gate in gates:
        gate.reached.wait()
    stage.delete(reply.stream)
    end = reader.get()[-1]
    assert (end["reason"], stage.provider.open) == ("cancelled", [])
    assert end["usage"]["output_tokens"] == 4


def test_calls_without_a_cap_of_their_own_run_side_by_side() -> None:
    """Those that name no cap share the stream's, so that none waits for another."""
    gates = [Gate() for _ in range(4)]
    left = iter(gates)
    stage = Stage(lambda _: whole(next(left), "x"))
    reader = gevent.spawn(stage.post("four", NDJSON, part_tokens=None).events)
    for gate in gates:
        gate.reached.wait()
    assert [asked.request.max_output_tokens for asked in stage.provider.asked] == [500] * 4
    for gate in gates:
        gate.set()
    assert joined(reader.get()) == "xxxx"


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=6),
    st.integers(1, 4),
    st.booleans(),
)
def test_the_cap_holds_for_all_calls_together(
    cap: int, wants_and_says: list[tuple[int, int]], parallel: int, together: bool
) -> None:
    """Side by side or one after the other, no set of calls passes the stream's cap."""
    says = {
        str(number): whole(*[WORD] * said, tokens=None) for number, (_, said) in enumerate(wants_and_says)
    }
    provider = WatchedProvider(lambda request: says[request.messages[-1].content])
    calls, _ = calls_of(provider, cap=cap, parallel=parallel)
    plans = [planned(str(number), most=wanted) for number, (wanted, _) in enumerate(wants_and_says)]
    answers: list[Any] = [*calls.answers(plans)] if together else [calls.answer(one) for one in plans]
    said = sum(len(list(answer)) for answer in answers)
    assert said == min(cap, sum(min(wanted, words) for wanted, words in wants_and_says))
    calls.close()
    assert calls.terms.allowance.reserve(None) == cap - said


def test_one_stream_makes_only_so_many_calls() -> None:
    """Past the limit on calls of one stream nothing more is asked, and the limit is told."""
    provider = WatchedProvider(["said"])
    calls, _ = calls_of(provider, most=3)
    calls.answers([planned(), planned()])
    calls.answer(planned())
    with pytest.raises(InputTooLong) as refused:
        calls.answer(planned())
    assert refused.value.members["limit"] == 3
