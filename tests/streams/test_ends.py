"""Every end that a stream can come to, seen by whoever reads it."""

import hashlib
import json
import logging
from typing import Any

import gevent
import pytest

from services.errors import ProviderError, ProviderIncomplete, ProviderRejected
from services.llm import Done, Dropped, Thinking, Tokens
from services.streams.open import open_stream
from services.streams.readers import Reader
from services.streams.use_case import one_call
from tests.streams.calling import one_by_one
from tests.streams.fake_clock import FakeClock
from tests.streams.scripted import Gate, whole
from tests.streams.stage import (
    FALL_BACK_KEY,
    JSON,
    NDJSON,
    SSE,
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
from tests.telemetry.reading import total

PASSING = ProviderError("The provider is asked too often.", retryable=True)
BROKE = ProviderIncomplete("The connection broke.", retryable=True)


def reading(reply: Reply) -> gevent.Greenlet:
    """Read in a greenlet of its own."""
    return gevent.spawn(reply.events)


def end_of(stage: Stage, name: str = "echo", **body: object) -> dict:
    return stage.post(name, **body).events()[-1]


def finish_of(stage: Stage, name: str = "echo", **body: object) -> str:
    end = end_of(stage, name, **body)
    assert end["type"] == "finish", end
    return end["reason"]


def slug_of(stage: Stage, name: str = "echo", **body: object) -> str:
    end = end_of(stage, name, **body)
    assert end["type"] == "error", end
    return end["problem"]["type"].removeprefix("/problems/")


def cut(reply: Reply) -> tuple[bytes, bool]:
    """What a body said, and whether the connection was cut instead of ended."""
    said = b""
    try:
        for piece in reply.pieces:
            said += piece
    except ConnectionResetError:
        return said, True
    finally:
        reply.close()
    return said, False


def test_a_whole_answer_stops() -> None:
    """The provider said ``stop``: so does the stream, with the provider's own count."""
    end = end_of(Stage())
    assert (end["reason"], end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == ("stop", 7, 3)
    assert end["usage"]["estimated"] is False


def test_a_use_case_that_asks_nothing_stops() -> None:
    """No call, no cost, and an end like any other."""
    stage = Stage()
    events = stage.post("mute", text="quiet").events()
    assert [event["type"] for event in events] == ["start", "text", "mark", "finish"]
    assert (events[-1]["reason"], stage.provider.asked) == ("stop", [])


@pytest.mark.parametrize("accept", [NDJSON, SSE, TEXT])
def test_a_whole_answer_ends_its_connection_in_order(accept: str) -> None:
    """Nothing is cut after ``stop``."""
    assert cut(Stage().post(accept=accept))[1] is False


def test_a_provider_that_reports_nothing_is_counted_here() -> None:
    """Without the provider's count the tokens are counted here, and marked as such."""
    usage = end_of(Stage(whole("Hello", " world", tokens=None)))["usage"]
    assert (usage["output_tokens"], usage["estimated"]) == (2, True)
    assert usage["input_tokens"] > 0


@pytest.mark.parametrize(("options", "is_cut"), [({"max_output_tokens": 50}, False), ({}, True)])
def test_a_length_that_the_caller_asked_for_is_no_accident(options: dict, *, is_cut: bool) -> None:
    """``length`` at the caller's own cap ends a text in order; at the server's it cuts it."""
    says = whole("Half an ans", reason="length")
    assert cut(Stage(says).post(accept=TEXT, options=options)) == (b"Half an ans", is_cut)
    assert finish_of(Stage(says), options=options) == "length"


@pytest.mark.parametrize(
    ("name", "body", "is_cut"),
    [
        ("steps", {"parts": 1, "part_tokens": 3}, True),  # a cap of the use case's own
        ("steps", {"parts": 1, "part_tokens": None}, False),
        ("steps", {"parts": 3, "part_tokens": 8}, False),  # 8, then the 2 that are left, then none
        ("four", {"part_tokens": None}, True),  # a share of the cap is not the cap
        ("four", {"parts": 1, "part_tokens": 50}, False),
    ],
)
def test_only_the_callers_own_cap_is_what_the_caller_asked_for(name: str, body: dict, is_cut: bool) -> None:
    """An answer that was cut before the caller's cap was reached is not whole, whoever named a cap."""
    stage = Stage(whole(*[" word"] * 20))
    reply = stage.post(name, TEXT, options={"max_output_tokens": 10}, **body)
    said, was_cut = cut(reply)
    assert was_cut is is_cut
    assert finish_of(stage, name, options={"max_output_tokens": 10}, **body) == "length"
    assert is_cut or said == b" word" * 10


def test_a_provider_that_ignores_its_cap_is_held_to_it() -> None:
    """What passes the cap is not sent, the end is ``length``, and the provider is closed."""
    stage = Stage(whole(*[" word"] * 1000))
    events = stage.post(options={"max_output_tokens": 5}).events()
    assert (joined(events), events[-1]["reason"]) == (" word" * 5, "length")
    assert stage.provider.closed_early == [True]
    assert (events[-1]["usage"]["output_tokens"], events[-1]["usage"]["estimated"]) == (5, True)


def test_a_filtered_answer_says_so() -> None:
    """``content_filter`` is a finish; a text is cut, since it is not whole."""
    assert finish_of(Stage(whole("I", reason="content_filter"))) == "content_filter"
    assert cut(Stage(whole("I", reason="content_filter")).post(accept=TEXT)) == (b"I", True)


def test_a_deadline_ends_the_stream() -> None:
    """When the time is over the stream finishes as ``deadline``, with what it cost until then."""
    gate = Gate()
    stage = Stage(whole("Hello", gate))
    reply = reading(stage.post(options={"deadline_s": 15}))
    gate.reached.wait()
    stage.clock.advance(14.9)
    settle()
    assert not reply.dead
    stage.clock.advance(0.1)
    end = reply.get()[-1]
    assert (end["reason"], end["usage"]["output_tokens"], end["usage"]["estimated"]) == ("deadline", 1, True)
    assert stage.provider.closed_early == [True]


def test_an_answer_in_one_piece_has_a_deadline_of_its_own() -> None:
    """A JSON answer is given before a router gives up waiting for it; its start tells that deadline."""
    gate = Gate()
    stage = Stage(whole("Hello", gate), settings={"json_s": 10, "first_text_s": 99, "between_text_s": 99})
    reply = gevent.spawn(stage.post, accept=JSON)
    gate.reached.wait()
    stage.clock.advance(10)
    answer = reply.get()
    assert (answer.status, answer.json()["finish"]["reason"]) == (200, "deadline")
    assert stage.get(answer.stream).events()[0]["limits"]["deadline_s"] == 10


def test_a_cancelled_stream_tells_its_readers() -> None:
    """DELETE closes the provider; every reader gets ``cancelled`` with the usage so far."""
    gate = Gate()
    stage = Stage(whole("Hello", gate))
    reply = stage.post()
    readers = [reading(reply), reading(stage.get(reply.stream))]
    gate.reached.wait()
    assert stage.delete(reply.stream).status == 202
    ends = [reader.get()[-1] for reader in readers]
    assert ends[0] == ends[1]
    assert (ends[0]["reason"], ends[0]["usage"]["output_tokens"]) == ("cancelled", 1)
    assert (stage.provider.closed_early, stage.provider.open) == ([True], [])


def test_a_stream_can_be_cancelled_before_its_producer_ran() -> None:
    """An interruption before the first switch still gives the log its one end."""
    stage = Stage()
    reply = stage.post()
    stage.delete(reply.stream)
    events = reply.events()
    assert [event["type"] for event in events] == ["start", "finish"]
    assert events[-1]["reason"] == "cancelled"
    assert stage.provider.asked == []


def test_the_first_of_two_stops_counts() -> None:
    """A deadline that falls due while a cancel is under way changes nothing; one end is written."""
    gate = Gate()
    stage = Stage(whole("Hello", gate))
    reply = stage.post(options={"deadline_s": 5})
    reader = reading(reply)
    gate.reached.wait()
    stage.delete(reply.stream)
    stage.clock.advance(5)
    assert [e["reason"] for e in reader.get() if e["type"] == "finish"] == ["cancelled"]


def test_a_stream_can_be_stopped_in_a_pause_between_attempts() -> None:
    """Waiting to ask again is no shelter from a cancel, and no further attempt is made."""
    stage = Stage((PASSING,))
    reply = stage.post()
    reader = reading(reply)
    stage.clock.asleep.wait()
    stage.delete(reply.stream)
    assert reader.get()[-1]["reason"] == "cancelled"
    stage.clock.advance(100)
    settle()
    assert len(stage.provider.asked) == 1


def test_a_provider_that_fails_before_its_first_word_is_asked_again() -> None:
    """The retry is told by a notice; the answer is whole and costs once."""
    scripts = iter([(PASSING,), (PASSING,), whole("Hello")])
    stage = Stage(lambda _: next(scripts), clock=FakeClock(hasty=True))
    events = stage.post().events()
    assert [e.get("code") or e["type"] for e in events] == [
        "start", "provider-retry", "provider-retry", "text", "finish",
    ]  # fmt: skip
    assert events[-1]["usage"]["output_tokens"] == 3


def test_a_provider_that_keeps_failing_is_an_error() -> None:
    """After the last attempt its failure is the stream's, and nothing was charged."""
    stage = Stage((PASSING,), clock=FakeClock(hasty=True))
    end = end_of(stage)
    assert (end["problem"]["type"], end["partial"]) == ("/problems/provider-error", False)
    assert (len(stage.provider.asked), end["usage"]["input_tokens"]) == (3, 0)


def test_a_provider_that_fails_after_its_first_word_is_not_asked_again() -> None:
    """Text that was sent is never repeated: the stream is an error, partial, with its usage."""
    stage = Stage(("Hello", PASSING))
    events = stage.post().events()
    assert joined(events) == "Hello"
    assert events[-1]["problem"]["type"] == "/problems/provider-error"
    assert (events[-1]["partial"], events[-1]["usage"]["output_tokens"]) == (True, 1)
    assert len(stage.provider.asked) == 1


def test_all_streams_together_retry_only_so_often() -> None:
    """What one stream has asked again the next one may not: the budget is the process's."""
    says = one_by_one((PASSING,), whole("Hello"), (PASSING,))
    settings = {"retry_share": 0.0, "retries_per_minute": 1}
    stage = Stage(says, settings=settings, clock=FakeClock(hasty=True))
    assert [end_of(stage)["type"], end_of(stage)["type"]] == ["finish", "error"]
    assert len(stage.provider.asked) == 3


def test_another_provider_answers_where_the_first_cannot() -> None:
    """The start keeps the model that was asked for; a notice names the one that answers, and nothing else."""
    stage = Stage((ProviderRejected("No credit."),), elsewhere={"other": whole("Hello", " again")})
    events = stage.post().events()
    assert [e.get("code") or e["type"] for e in events] == [
        "start", "provider-fallback", "text", "text", "finish",
    ]  # fmt: skip
    assert (events[0]["model"], joined(events)) == ("scripted", "Hello again")
    assert events[1]["detail"] == "other answers from here on."
    assert stage.fall_backs[0].asked[0].request.model == "other"


def test_fall_backs_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """With each request to a provider by its model and how it went; the line says how often it fell back."""
    stage = Stage((ProviderRejected("No credit."),), elsewhere={"other": whole("Hello")})
    with caplog.at_level(logging.INFO, "gloss.stream"):
        stage.post().read()
    said = stage.core.metrics.exposed()
    assert total(said, "gloss_provider_fallbacks_total", gen_ai_request_model="scripted") == 1
    for model, outcome in (("scripted", "provider-rejected"), ("other", "whole")):
        assert total(said, "gloss_provider_attempts_total", gen_ai_request_model=model, outcome=outcome) == 1
    assert "fall_backs=1" in caplog.text


def test_an_end_users_name_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The line names the key; what a server calls its users is their business."""
    stage = Stage()
    with caplog.at_level(logging.INFO, "gloss.stream"):
        stream = open_stream(stage.core, STAGE["echo"], Said(), owner="0a1b2c3d/mallory@example.com")
        list(Reader(stream).batches(None, 10))
    assert "key=0a1b2c3d reason=" in caplog.text
    assert "mallory" not in caplog.text


def test_a_fall_back_is_paid_at_its_own_price() -> None:
    """The price table is asked for who answered, at its address."""
    says = whole("Hello", tokens=Tokens(input=1_000_000, output=0))
    stage = Stage(
        (ProviderRejected("No credit."),), elsewhere={"gpt-4.1-mini": says}, settings={"model": "gpt-4.1"}
    )
    assert end_of(stage)["usage"]["cost_usd"] is None  # nobody knows what a stranger takes for it


@pytest.mark.parametrize("failure", [PASSING, ProviderRejected("No key.")])
def test_when_all_providers_fail_the_last_one_is_told(failure: ProviderError) -> None:
    """Its problem is the stream's, and no address or key of it is shown."""
    stage = Stage((ProviderError("Garbage."),), elsewhere={"other": (failure,)}, settings={"attempts": 1})
    events = stage.post().events()
    assert events[-1]["problem"]["type"] == f"/problems/{failure.slug}"
    assert "host.test" not in json.dumps(events)
    assert FALL_BACK_KEY not in json.dumps(events)


def recovering(says: object, **more: Any) -> Stage:
    """A stage on which the echo goes on after a break."""
    return Stage(says, use_cases={"echo": use_case("echo", one_call(say), recovers=True)}, **more)


def test_an_answer_that_broke_off_goes_on_where_it_was() -> None:
    """The notice stands at the seam; text, hash and numbers are those of one answer; both are paid."""
    scripts = iter([("Hel", BROKE), whole("Hello", " world")])
    events = recovering(lambda _: next(scripts), clock=FakeClock(hasty=True)).post().events()
    assert [e.get("code") or e.get("text") or e["type"] for e in events] == [
        "start", "Hel", "provider-retry", "lo", " world", "finish",
    ]  # fmt: skip
    end = events[-1]
    assert (end["reason"], end["sha256"]) == ("stop", hashlib.sha256(b"Hello world").hexdigest())
    assert (end["usage"]["output_tokens"], end["usage"]["estimated"]) == (1 + 3, True)


def test_a_seam_is_in_no_word() -> None:
    """Who asked for whole words gets them whole, also where the answer broke off inside of one."""
    scripts = iter([("Hello wor", BROKE), whole("Hello world, again")])
    stage = recovering(lambda _: next(scripts), clock=FakeClock(hasty=True))
    events = stage.post(options={"granularity": "word"}).events()
    assert [e.get("code") or e.get("text") or e["type"] for e in events] == [
        "start", "Hello ", "provider-retry", "world, ", "again", "finish",
    ]  # fmt: skip


def test_an_answer_that_cannot_go_on_has_broken_off() -> None:
    """Another answer is no end of this one: the error is the first, and the text stays as it was."""
    scripts = iter([("Hel", BROKE), whole("Hallo!")])
    events = recovering(lambda _: next(scripts), clock=FakeClock(hasty=True)).post().events()
    assert (joined(events), events[-1]["problem"]["type"]) == ("Hel", "/problems/provider-incomplete")
    assert events[-1]["partial"] is True


def test_a_deadline_ends_an_answer_that_goes_on() -> None:
    """The second attempt has no time of its own."""
    gate = Gate()
    scripts = iter([("Hel", BROKE), whole("Hel", gate)])
    stage = recovering(lambda _: next(scripts))
    reply = reading(stage.post(options={"deadline_s": 15}))
    stage.clock.asleep.wait()
    stage.clock.advance(1)
    gate.reached.wait()
    stage.clock.advance(14)
    assert (reply.get()[-1]["reason"], stage.provider.open) == ("deadline", [])


def test_a_refusal_is_final() -> None:
    """What will not pass is not tried again."""
    stage = Stage((ProviderRejected("No credit."),))
    assert slug_of(stage) == "provider-rejected"
    assert len(stage.provider.asked) == 1


@pytest.mark.parametrize("says", [(), ("Hello",)])
def test_an_end_without_a_reason_is_no_end(says: tuple[str, ...]) -> None:
    """A provider that ends without saying why did not finish: ``provider-incomplete``, never ``stop``."""
    assert slug_of(Stage(says, clock=FakeClock(hasty=True))) == "provider-incomplete"


def test_a_broken_connection_costs_what_was_said() -> None:
    """An answer that broke off is charged as counted here."""
    usage = end_of(Stage(("Hello", ProviderIncomplete("Broke."))))["usage"]
    assert (usage["output_tokens"], usage["estimated"]) == (1, True)


@pytest.mark.parametrize("accept", [TEXT])
@pytest.mark.parametrize("says", [("Hello",), ("Hello", PASSING), (ProviderRejected(),)])
def test_a_text_that_did_not_end_well_is_cut(accept: str, says: tuple) -> None:
    """The connection breaks, so that no client takes half an answer for a whole one."""
    assert cut(Stage(says).post(accept=accept))[1] is True


@pytest.mark.parametrize("accept", [NDJSON, SSE])
def test_an_encoding_that_tells_its_end_is_not_cut(accept: str) -> None:
    """Where the error stands in the body, the body ends in order."""
    said, is_cut = cut(Stage(("Hello",)).post(accept=accept))
    assert (b"provider-incomplete" in said, is_cut) == (True, False)


def test_an_error_has_its_status_in_one_piece() -> None:
    """A JSON answer of a failed stream is its problem, with status, usage and ``partial``."""
    reply = Stage(("Hello",)).post(accept=JSON)
    assert (reply.status, reply.headers["Content-Type"]) == (502, "application/problem+json; charset=utf-8")
    problem = reply.json()
    assert (problem["partial"], problem["usage"]["output_tokens"]) == (True, 1)
    assert problem["instance"] == f"/v1/streams/{reply.stream}"


def test_a_use_case_that_breaks_is_ours_to_fix(caplog: pytest.LogCaptureFixture) -> None:
    """The client is told ``internal``; the log has the traceback, without the exception's words."""
    stage = Stage()
    with caplog.at_level(logging.INFO):
        assert slug_of(stage, "broken", text="planted words") == "internal"
    assert "in broken" in caplog.text
    assert "ValueError" in caplog.text
    assert "planted words" not in caplog.text
    assert stage.provider.closed_early == [True]


@pytest.mark.parametrize(
    ("says", "waits_s"), [((Gate(),), 25), (("Hello", Gate()), 20)], ids=["before the first word", "after it"]
)
@pytest.mark.parametrize("name", ["echo", "four"])
def test_a_silent_provider_is_given_up(name: str, says: tuple, waits_s: float) -> None:
    """Without content for so long the stream is a ``provider-timeout`` and every provider is closed."""
    gates = [Gate() for _ in range(4)]
    waiting = iter(gates)
    stage = Stage(lambda _: [next(waiting) if isinstance(line, Gate) else line for line in says])
    reader = reading(stage.post(name))
    gates[0].reached.wait()
    settle()
    stage.clock.advance(waits_s - 0.1)
    settle()
    assert not reader.dead
    stage.clock.advance(0.1)
    end = reader.get()[-1]
    assert (end["problem"]["type"], end["problem"]["status"]) == ("/problems/provider-timeout", 504)
    assert end["partial"] is ("Hello" in says)
    assert end["usage"]["estimated"] is True
    assert stage.provider.open == []


def test_a_silence_is_not_asked_again() -> None:
    """A provider that said nothing in time is not given the same time once more."""
    gate = Gate()
    stage = Stage((gate,))
    reader = reading(stage.post())
    gate.reached.wait()
    stage.clock.advance(25)
    assert reader.get()[-1]["type"] == "error"
    assert len(stage.provider.asked) == 1


def test_content_puts_the_silence_off() -> None:
    """The wait is between two pieces of content, whatever the whole takes."""
    gates = [Gate() for _ in range(5)]
    stage = Stage(whole("a", *[line for gate in gates for line in (gate, "b")]))
    reader = reading(stage.post())
    for gate in gates:
        gate.reached.wait()
        stage.clock.advance(19)
        gate.set()
    assert reader.get()[-1]["reason"] == "stop"


def test_thinking_is_content_and_is_told_once() -> None:
    """A model that reasons is alive; one notice says so."""
    gates = [Gate(), Gate()]
    stage = Stage(whole(Thinking(), gates[0], Thinking(), gates[1], "Hello"))
    reader = reading(stage.post())
    for gate in gates:
        gate.reached.wait()
        stage.clock.advance(24)
        gate.set()
    events = reader.get()
    assert [event.get("code") for event in events].count("thinking") == 1
    assert events[-1]["reason"] == "stop"


def test_a_parameter_that_was_dropped_is_told() -> None:
    """The notice names the parameter; the answer goes on."""
    events = Stage(whole(Dropped("temperature"), "Hello")).post().events()
    assert [(e["code"], "temperature" in e["detail"]) for e in events if e["type"] == "notice"] == [
        ("parameter-dropped", True)
    ]


def test_the_end_vouches_for_the_text() -> None:
    """``sha256`` and ``chars`` are those of the text that was sent, at every finish."""
    for says in (whole("Grüße ", "🙂"), whole("cut", reason="length"), whole()):
        events = Stage(says).post().events()
        text = joined(events)
        assert events[-1]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert events[-1]["chars"] == len(text)


def test_usage_of_several_calls_is_added_up() -> None:
    """Four calls cost four times as much as one."""
    usage = end_of(Stage(whole("x", tokens=Tokens(input=10, output=2, cached_input=4, reasoning=1))), "steps")
    assert usage["usage"] == {
        "input_tokens": 40, "output_tokens": 8, "cached_input_tokens": 16, "reasoning_tokens": 4,
        "cost_usd": None, "estimated": False, "from_cache": False,
    }  # fmt: skip


def test_usage_is_known_while_a_stream_runs() -> None:
    """The status tells what a running call has cost until now, as counted here."""
    gate = Gate()
    stage = Stage(whole("Hello", gate))
    reply = stage.post()
    gate.reached.wait()
    status = stage.get(reply.stream, path="/status").json()
    assert (status["state"], status["last_id"]) == ("running", 2)
    assert (status["usage"]["output_tokens"], status["usage"]["estimated"]) == (1, True)
    reply.close()


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_the_use_case_may_name_the_end(reason: str) -> None:
    """Where a use case says nothing, the reason of its last call counts."""
    assert finish_of(Stage(whole("x", reason=reason)), "steps", parts=2) == reason


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_calls_side_by_side_are_whole_only_together(reason: str) -> None:
    """One of several calls that was cut makes the stream's end: ``stop`` would be a lie."""
    stage = Stage(
        lambda request: whole("x", reason=reason if "0:" in request.messages[-1].content else "stop")
    )
    assert finish_of(stage, "four") == reason


def test_a_provider_is_heard_to_its_very_end() -> None:
    """Text that comes after the reason is text all the same."""
    assert joined(Stage(("a", Done("stop"), "b")).post().events()) == "ab"


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (whole("Hello"), "reason=stop {used} first_text_ms=0 total_ms=0 texts=1"),
        ((ProviderRejected(),), "problem=provider-rejected {used} total_ms=0 texts=0"),
    ],
)
def test_every_end_is_one_line_of_the_log(says: tuple, told: str, caplog: pytest.LogCaptureFixture) -> None:
    """Which stream, which use case and model, how it ended, what it took: no words of anybody's."""
    stage = Stage(says)
    with caplog.at_level(logging.INFO, "gloss.stream"):
        reply = stage.post()
        usage = reply.events()[-1]["usage"]
    (line,) = (record.getMessage() for record in caplog.records)
    events = stage.get(reply.stream, path="/status").json()["last_id"]
    used = " ".join(f"gen_ai.usage.{kind}={usage[kind]}" for kind in ("input_tokens", "output_tokens"))
    assert line == (
        f"stream ended stream={reply.stream} use_case=echo gen_ai.request.model=scripted key=anonymous"
        f" {told.format(used=used)} events={events} readers=1"
    )
