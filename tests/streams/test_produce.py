"""The producer: it runs a transform, and whatever happens its log gets one end."""

import logging
from collections.abc import Callable, Generator
from typing import Any

import gevent
import pytest

from services.events import Event, FinishReason, Text
from services.llm import Request, Tokens, Value
from services.streams.produce import Asked, Returned, advance
from services.streams.use_case import Call, Context, Remember, Transform
from tests.streams.scripted import Gate, WatchedProvider, whole
from tests.streams.stage import STAGE, Said, Stage, joined, say, settle, use_case
from tests.streams.test_pen import START

CALL = Call(variables={"say": "x"})
PLANTED = "planted words"


def played(*values: Any, returns: FinishReason | None = None) -> tuple[Asked | Returned, list[Any]]:
    """What a transform that yields these is waiting for, and what it said on the way."""

    def transform() -> Transform:
        yield from values
        return returns

    said: list[Any] = []
    return advance(transform(), None, said.append), said


def test_a_transform_runs_up_to_its_first_call() -> None:
    """Events and states on the way are handled in their order."""
    values = (Text(text="a"), Remember(1), Text(text="b"))
    assert played(*values, CALL, Text(text="later")) == (Asked((CALL,), together=False), list(values))


def test_a_tuple_of_calls_is_asked_together() -> None:
    """Also a tuple of one, which is answered with a tuple of one."""
    assert played((CALL,))[0] == Asked((CALL,), together=True)


@pytest.mark.parametrize("reason", ["length", None])
def test_a_transform_may_return_the_reason(reason: FinishReason | None) -> None:
    """None leaves the word to the last call."""
    assert played(Text(text="a"), returns=reason)[0] == Returned(reason)


# Through the front door


def on_stage(transform: Callable[[Said, Context], Transform], **more: Any) -> Stage:
    return Stage(use_cases=STAGE | {"echo": use_case("echo", transform)}, **more)


def ends(stage: Stage, **body: Any) -> dict[str, Any]:
    return stage.post("echo", **body).events()[-1]


def test_the_reason_that_a_use_case_returns_counts() -> None:
    """It beats the reason of the last call."""

    def transform(given: Said, _context: Context) -> Transform:
        yield from (yield Call(variables=say(given))) and ()
        return "content_filter"

    assert ends(on_stage(transform))["reason"] == "content_filter"


def test_no_answers_are_an_answer() -> None:
    """A transform that asks nothing of nobody gets nothing, and goes on."""

    def transform(_given: Said, _context: Context) -> Transform:
        answers = yield ()
        yield Text(text=f"{answers}")
        return None

    assert joined(on_stage(transform).post("echo").events()) == "()"


def raising_at_its_end(given: Said, _context: Context) -> Transform:
    try:
        answer = yield Call(variables=say(given))
        for delta in answer:
            yield Text(text=delta)
    finally:
        raise ValueError(given.text)


def test_a_transform_that_breaks_while_it_is_closed_leaks_nothing(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The provider is closed, the end stays what it was, and no log repeats the exception's words."""
    gate = Gate()
    stage = on_stage(raising_at_its_end, says=whole("Hello", gate))
    reply = stage.post("echo", text=PLANTED)
    reader = gevent.spawn(reply.events)
    gate.reached.wait()
    with caplog.at_level(logging.INFO):
        stage.delete(reply.stream)
        assert reader.get()[-1]["reason"] == "cancelled"
    assert stage.provider.open == []
    assert "ValueError" in caplog.text
    assert PLANTED not in caplog.text + "".join(capfd.readouterr())


def test_a_use_case_cannot_swallow_an_interruption() -> None:
    """The end is the one that was asked for, whatever the transform makes of it."""

    def deaf(given: Said, _context: Context) -> Transform:
        answer = yield Call(variables=say(given))
        try:
            list(answer)
        except BaseException:  # noqa: BLE001 - the point
            yield Text(text="never mind")
        return None

    gate = Gate()
    stage = on_stage(deaf, says=whole("Hello", gate))
    reply = stage.post("echo")
    reader = gevent.spawn(reply.events)
    gate.reached.wait()
    stage.delete(reply.stream)
    assert reader.get()[-1]["reason"] == "cancelled"
    assert stage.provider.open == []


@pytest.mark.parametrize("event", [START, "nonsense"])
def test_a_use_case_that_breaks_the_grammar_is_an_error_of_ours(event: Any) -> None:
    """A second start, or what is no value at all, ends the stream as ``internal``."""

    def transform(given: Said, _context: Context) -> Transform:
        yield Text(text=given.text)
        yield Call(variables=say(given))
        yield event
        return None

    assert ends(on_stage(transform))["problem"]["type"] == "/problems/internal"


def test_a_provider_that_breaks_in_a_foreign_way_is_an_error_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What no adapter has mapped is ``internal``, and its words are nobody's to read."""
    stage = Stage(("Hello", KeyError(PLANTED)))
    end = ends(stage)
    assert (end["problem"]["type"], end["partial"]) == ("/problems/internal", True)
    assert PLANTED not in caplog.text


def test_an_interruption_before_the_first_switch_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed for a stream that ended before its greenlet ran."""
    stage = Stage()
    reply = stage.post()
    reply.close()
    settle()
    assert stage.get(reply.stream).events()[-1]["reason"] == "disconnected"
    assert capfd.readouterr() == ("", "")


def test_a_price_that_cannot_be_told_does_not_keep_the_end_back(caplog: pytest.LogCaptureFixture) -> None:
    """A provider's impossible count is logged, and no reason to leave the readers waiting for ever."""
    stage = Stage(whole("Hello", tokens=Tokens(input=-5, output=1)), settings={"model": "gpt-4.1-mini"})
    assert ends(stage)["problem"]["type"] == "/problems/internal"
    assert "ValueError" in caplog.text


class SlowToClose(WatchedProvider):
    """A provider whose connection takes its time, or breaks, while it is closed."""

    def __init__(self, closing: Callable[[], object]) -> None:
        super().__init__(lambda _: whole("Hello", Gate()))
        self.closing = closing

    def stream(self, request: Request) -> Generator[Value, None, None]:
        try:
            yield from super().stream(request)
        finally:
            self.closing()


def test_a_stop_that_comes_while_the_provider_is_being_closed_is_too_late() -> None:
    """The first reason stands, and the closing goes on to its end."""
    gate = Gate()
    stage = Stage()
    stage.provider.stream = SlowToClose(gate.wait).stream  # type: ignore[method-assign]
    reply = stage.post(options={"deadline_s": 5})
    reader = gevent.spawn(reply.events)
    settle()
    assert stage.delete(reply.stream).status == 202  # at once: the caller does not wait for the closing
    gate.reached.wait()
    stage.clock.advance(5)
    stage.delete(reply.stream)
    settle()
    assert not reader.dead
    gate.set()
    assert reader.get()[-1]["reason"] == "cancelled"


def test_a_stop_that_comes_after_the_last_word_is_too_late() -> None:
    """While what nobody read is being closed the end is decided: it is ``stop``, and all is closed."""

    def hasty(_given: Said, _context: Context) -> Transform:
        first, _ = yield (CALL, CALL)
        yield Text(text=next(iter(first)))
        return "stop"

    gate = Gate()
    provider = SlowToClose(gate.wait)
    stage = on_stage(hasty)
    stage.provider.stream = provider.stream  # type: ignore[method-assign]
    reply = stage.post("echo")
    reader = gevent.spawn(reply.events)
    gate.reached.wait()
    stage.delete(reply.stream)
    settle()
    gate.set()
    assert reader.get()[-1]["reason"] == "stop"
    assert provider.open == []


def test_an_ended_stream_leaves_only_the_timer_that_forgets_it() -> None:
    """No deadline, no silence, no heartbeat is waited for any more."""
    stage = Stage()
    stage.post("four").read()
    assert stage.clock.armed == 1


def test_one_connection_that_cannot_be_closed_leaves_no_other_open() -> None:
    """Each is closed, whatever the others do."""
    fails = iter([OSError("broke"), None, None, None])

    def close() -> None:
        if failure := next(fails):
            raise failure

    stage = Stage()
    provider = SlowToClose(close)
    stage.provider.stream = provider.stream  # type: ignore[method-assign]
    reply = stage.post("four")
    reader = gevent.spawn(reply.events)
    settle()
    assert len(provider.open) == 4
    stage.delete(reply.stream)
    assert reader.get()[-1]["reason"] == "cancelled"
    assert provider.open == []


def test_a_connection_that_breaks_while_it_is_closed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """And changes no end."""

    def close() -> None:
        raise OSError(PLANTED)

    stage = Stage()
    stage.provider.stream = SlowToClose(close).stream  # type: ignore[method-assign]
    reply = stage.post()
    reader = gevent.spawn(reply.events)
    settle()
    stage.delete(reply.stream)
    assert reader.get()[-1]["reason"] == "cancelled"
    assert "OSError" in caplog.text
    assert PLANTED not in caplog.text


def test_every_event_of_an_opening_is_told_before_the_call() -> None:
    """What a transform says before its first call stands in the log, after the start."""
    events: list[dict[str, Any]] = Stage().post("steps", parts=1).events()
    assert [event["type"] for event in events] == ["start", "mark", "text", "text", "finish"]
    assert issubclass(STAGE["steps"].events[0], Event)
