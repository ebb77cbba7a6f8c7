"""What becomes of a stream that outlives its process's grace."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import gevent
import pytest

from services.events import Text
from services.llm import Request
from services.streams.sharing.keeper import GRACE_S, RENEW_S
from services.streams.use_case import Call, Context, Transform, one_call
from tests.streams.scripted import Gate, Lines, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import (
    NDJSON,
    PROMPTS,
    STAGE,
    TEXT,
    Reply,
    Said,
    Stage,
    joined,
    say,
    settle,
    use_case,
)

GRACE = {"grace_s": 5, "between_text_s": 600, "first_text_s": 600}


def steps(given: Said, _context: Context) -> Transform:
    for part in range(given.parts):
        answer = yield Call(variables=say(given, part))
        for delta in answer:
            yield Text(text=delta)
    return None


USE_CASES = {
    **STAGE,
    "again": use_case("again", one_call(say), recovers=True),
    "steps-again": use_case("steps-again", steps, recovers=True),
}


def pair_of(says: Any, tmp_prompts: Any, **settings: Any) -> Pair:
    return Pair(says=says, settings=GRACE | settings, more={"use_cases": USE_CASES, "prompts": tmp_prompts})


@pytest.fixture
def prompts(tmp_path: Any) -> Any:
    """The stage's prompt files, and one for each use case of this file."""
    for file in PROMPTS.glob("*.md"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (PROMPTS / "echo.md").read_text()
    for name in ("again", "steps-again"):
        (tmp_path / f"{name}.md").write_text(text)
    return tmp_path


def stopped(pair: Pair, reply: Reply) -> None:
    """Let the first process come to its stop, its reader sent on, and the second one notice."""
    greenlet = gevent.spawn(lambda: list(reply.pieces))
    settle()
    pair.here.core.drain.begin()
    pair.passes(GRACE["grace_s"] + 5)
    greenlet.join(1)
    reply.close()


class Twice:
    """A provider's script that stops at a gate the first time it is asked, and is whole the second."""

    def __init__(self, *scripts: Lines) -> None:
        self.scripts = iter(scripts)

    def __call__(self, _request: Request) -> Lines:
        return next(self.scripts)


def test_another_process_goes_on_with_the_very_same_text(prompts: Any) -> None:
    """What was shown is not repeated, what follows is not lost, and the hash is of all of it."""
    pair = pair_of(Twice(whole("Hello", " wo", Gate()), whole("Hel", "lo world", "!")), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    events = pair.there.get(reply.stream).events()
    assert joined(events) == "Hello world!"
    assert [one["id"] for one in events] == list(range(1, len(events) + 1))
    assert [one.get("code") for one in events if one["type"] == "notice"] == ["provider-retry"]
    assert (events[-1]["type"], events[-1]["reason"], events[-1]["chars"]) == ("finish", "stop", 12)


@pytest.mark.parametrize("queued", [0, 1])
def test_who_goes_on_elsewhere_waits_for_a_slot_like_everybody(prompts: Any, queued: int) -> None:
    """Or ends, with what was shown, where as many work and wait there as may."""
    there = Gate()
    says = Twice(whole("Hello", Gate()), whole("Other", there), whole("Hello", " world"))
    pair = pair_of(says, prompts, max_streams=1, max_queued=queued, queue_s=600)
    reply = pair.here.post("again")
    pair.mirrored()
    other = pair.there.post(options={"on_disconnect": "finish"})
    stopped(pair, reply)
    there.set()
    pair.mirrored()
    events = pair.there.get(reply.stream).events()
    if queued:
        assert (joined(events), events[-1]["reason"]) == ("Hello world", "stop")
    else:
        assert (joined(events), events[-1]["problem"]["type"]) == ("Hello", "/problems/shutting-down")
    other.close()


@pytest.mark.R19
@pytest.mark.parametrize("days", [1, -1])
def test_two_clocks_need_not_agree(prompts: Any, days: int) -> None:
    """The second machine's date is another one; of the deadline there is left what there was."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hello", " world")), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    pair.clock.wall += timedelta(days=days)
    stopped(pair, reply)
    assert pair.there.get(reply.stream).events()[-1]["reason"] == "stop"


def test_what_is_left_of_a_deadline_holds_elsewhere_too(prompts: Any) -> None:
    """It is not begun anew: the first process has used its part of it."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hello", Gate())), prompts)
    reply = pair.here.post("again", options={"deadline_s": 20, "on_disconnect": "finish"})
    pair.mirrored()
    stopped(pair, reply)
    pair.passes(20 - GRACE["grace_s"] - 4)
    pair.mirrored()
    assert pair.there.get(reply.stream).events()[-1]["reason"] == "deadline"


def test_what_both_used_is_told(prompts: Any) -> None:
    """The sum of two attempts, the first counted here."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hello", " world")), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    usage = pair.there.get(reply.stream).events()[-1]["usage"]
    assert (usage["input_tokens"] > 7, usage["output_tokens"] > 3, usage["estimated"]) == (True, True, True)


def test_a_cancel_between_two_processes_comes_to_the_second_one(prompts: Any) -> None:
    """One has let go of the stream, the other has not found it yet."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hello", Gate())), prompts)
    reader = pair.process()
    reader.core.exchange.retire()
    pair.there.core.exchange.stop()
    reply = pair.here.post("again", options={"on_disconnect": "finish"})
    pair.mirrored()
    stopped(pair, reply)
    assert reader.delete(reply.stream).status == 202
    pair.mirrored()
    pair.there.core.exchange.start()
    pair.passes(GRACE_S + RENEW_S)
    pair.mirrored()
    assert reader.get(reply.stream).events()[-1]["reason"] == "cancelled"


def test_a_cancel_in_the_middle_of_a_hand_over_comes_to_the_second_one(prompts: Any) -> None:
    """The producer has stopped already, and its log is on its way into the store."""
    gate = Gate()
    pair = pair_of(Twice(whole("Hello", gate, " world", Gate()), whole("Hello world", Gate())), prompts)
    reply = pair.here.post("again", options={"on_disconnect": "finish"})
    pair.mirrored()
    storing = pair.here.shared.hold("append_all")
    gate.set()
    pair.here.core.drain.begin()
    pair.passes(GRACE["grace_s"])
    assert pair.here.delete(reply.stream).status == 202
    storing.set()
    pair.passes(RENEW_S + 1)
    pair.mirrored()
    assert pair.there.get(reply.stream).events()[-1]["reason"] == "cancelled"


def test_a_cancel_that_comes_to_the_first_one_too_late_is_sent_on(prompts: Any) -> None:
    """Whoever sent it had asked whose stream it is a moment before."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hello", Gate())), prompts)
    reply = pair.here.post("again", options={"on_disconnect": "finish"})
    pair.mirrored()
    sending = pair.there.shared.hold("send")
    assert pair.there.delete(reply.stream).status == 202
    settle()
    assert sending.reached.is_set()
    stopped(pair, reply)
    sending.set()
    pair.mirrored()
    pair.mirrored()
    assert pair.there.get(reply.stream).events()[-1]["reason"] == "cancelled"


def test_what_cannot_be_gone_on_with_gets_its_end(prompts: Any) -> None:
    """Whatever goes wrong with it: nobody waits for an end that never comes."""
    times = iter([None, ValueError("in the plan")])

    def odd(given: Said, _context: Context) -> Transform:
        wrong = next(times)
        if wrong:
            raise wrong
        yield from one_call(say)(given, _context)
        return None

    use_cases = {**USE_CASES, "again": use_case("again", odd, recovers=True)}
    more = {"use_cases": use_cases, "prompts": prompts}
    pair = Pair(says=whole("Hello", Gate()), settings=GRACE, more=more)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    assert pair.there.get(reply.stream).events()[-1]["problem"]["type"] == "/problems/shutting-down"


def test_another_answer_is_no_continuation(prompts: Any) -> None:
    """Where the second one differs the stream ends as broken; what was shown stays."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Good morning")), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    events = pair.there.get(reply.stream).events()
    assert joined(events) == "Hello"
    assert events[-1]["problem"]["type"] == "/problems/provider-incomplete"
    assert events[-1]["partial"] is True


def test_an_answer_that_ends_sooner_is_none_either(prompts: Any) -> None:
    """Less than what was shown is another answer."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hel")), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    assert pair.there.get(reply.stream).events()[-1]["type"] == "error"


def test_calls_that_were_answered_are_not_made_again(prompts: Any) -> None:
    """Only the open one is; its provider is asked once here and once there."""
    asked: Iterator[Lines] = iter(
        [whole("one "), whole("two "), whole("thr", Gate()), whole("three "), whole("four")]
    )
    pair = pair_of(lambda _request: next(asked), prompts)
    reply = pair.here.post("steps-again", parts=4)
    pair.mirrored()
    stopped(pair, reply)
    events = pair.there.get(reply.stream).events()
    assert joined(events) == "one two three four"
    assert (len(pair.here.provider.asked), len(pair.there.provider.asked)) == (3, 2)
    assert events[-1]["reason"] == "stop"


def test_a_use_case_that_does_not_allow_it_ends(prompts: Any) -> None:
    """As ``shutting-down``, written by the process that took over."""
    pair = pair_of(whole("Hello", Gate()), prompts)
    reply = pair.here.post("echo")
    pair.mirrored()
    stopped(pair, reply)
    events = pair.there.get(reply.stream).events()
    assert events[-1]["problem"]["type"] == "/problems/shutting-down"
    assert len(pair.there.provider.asked) == 0


def test_what_ends_in_time_is_not_handed_over(prompts: Any) -> None:
    """A stream has its grace to come to its end where it is."""
    gate = Gate()
    pair = pair_of(whole("Hello", gate, " world"), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    pair.here.core.drain.begin()
    pair.passes(2)
    gate.set()
    pair.passes(10)
    events = pair.there.get(reply.stream).events()
    assert (joined(events), events[-1]["reason"]) == ("Hello world", "stop")
    assert pair.there.provider.asked == []


def test_a_text_reader_stays_until_its_process_goes(prompts: Any) -> None:
    """It cannot be sent on, and is cut off without a clean end."""
    pair = pair_of(whole("Hello", Gate()), prompts)
    reply = pair.here.post("again", accept=TEXT)
    got: list[bytes] = []
    greenlet = gevent.spawn(lambda: got.extend(reply.pieces))
    pair.mirrored()
    pair.here.core.drain.begin()
    pair.passes(GRACE["grace_s"] + 1)
    with pytest.raises(ConnectionResetError):
        greenlet.get(timeout=1)
    assert b"".join(got) == b"Hello"


def test_without_others_a_stream_ends_when_its_process_does() -> None:
    """There is nobody to go on with it: it ends as ``shutting-down``, and its reader stays until then."""
    stage = Stage(says=whole("Hello", Gate()), settings=GRACE)
    reply = stage.post()
    got: list[bytes] = []
    greenlet = gevent.spawn(lambda: got.extend(reply.pieces))
    settle()
    stage.core.drain.begin()
    stage.clock.advance(GRACE["grace_s"])
    settle()
    greenlet.join(1)
    assert b'"type":"drain"' not in b"".join(got)
    assert stage.get(reply.stream, NDJSON).events()[-1]["problem"]["type"] == "/problems/shutting-down"


def test_who_does_not_come_to_what_was_taken_over_ends_it(prompts: Any) -> None:
    """Its readers count as present for a while, and no longer."""
    pair = pair_of(Twice(whole("Hello", Gate()), whole("Hello", Gate(), " world")), prompts)
    reply = pair.here.post("again")
    pair.mirrored()
    stopped(pair, reply)
    pair.passes(31)
    assert pair.there.get(reply.stream).events()[-1]["reason"] == "disconnected"
