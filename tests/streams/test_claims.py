"""Keys that callers choose: one key, one stream."""

import json
from typing import Any

import gevent
import pytest

from services.state.memory import MemoryStore
from services.streams.claims import BACK_S, CLAIM_S, KEPT_S, LOOK_S
from services.web.keys import new_key
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.trouble import Trouble
from tests.streams.stage import JSON, NDJSON, SSE, Reply, Stage, settle

CHOSEN = "a key that nobody guesses"
KEY, ENTRY = new_key("web")
OTHER, OTHER_ENTRY = new_key("other")


def once(stage: Stage, chosen: str = CHOSEN, accept: str = NDJSON, name: str = "echo", **body: Any) -> Reply:
    """POST with an idempotency key."""
    key = body.pop("key", None)
    return stage.call(
        "POST",
        f"/v1/{name}",
        accept=accept,
        key=key,
        headers={"Idempotency-Key": chosen},
        data=json.dumps(body or {"text": "hello"}),
    )


def state(stage: Stage, reply: Reply, key: str | None = None) -> str:
    told: str = stage.get(reply.stream, path="/status", key=key).json()["state"]
    return told


def test_a_key_asks_once() -> None:
    """The second POST gets the first one's stream, from its beginning, and asks nobody."""
    stage = Stage()
    first, second = once(stage), once(stage)
    assert (first.read(), len(stage.provider.asked)) == (second.read(), 1)


@pytest.mark.parametrize("accept", [SSE, JSON])
def test_a_key_is_joined_in_any_encoding(accept: str) -> None:
    """How it is read is not what was asked for."""
    stage = Stage()
    stream = once(stage)
    stream.read()
    assert once(stage, accept=accept).read() == stage.get(stream.stream, accept).read()


def test_a_running_stream_is_joined() -> None:
    """The second reader gets what is there, then what comes."""
    gate = Gate()
    stage = Stage(says=whole("Hello", gate))
    first, second = once(stage), once(stage)
    assert next(second.pieces) == next(first.pieces)
    gate.set()
    assert second.read().endswith(first.read())


def test_a_key_does_not_care_how_the_json_was_written() -> None:
    """The same object in another order is the same request."""
    stage = Stage()
    first = once(stage, text="a", parts=2)
    assert once(stage, parts=2, text="a").stream == first.stream


@pytest.mark.parametrize("change", [{"text": "other"}, {"text": "hello", "parts": 1}])
def test_another_body_is_refused(change: dict[str, Any]) -> None:
    """A key stands for what it was first used for."""
    stage = Stage()
    once(stage, text="hello")
    refused = once(stage, **change)
    assert (refused.status, refused.json()["type"]) == (422, "/problems/idempotency-mismatch")


def test_another_use_case_is_another_request() -> None:
    """The path is part of what a key stands for."""
    stage = Stage()
    once(stage, text="hello")
    assert once(stage, name="mute", text="hello").status == 422


@pytest.mark.S13
def test_a_key_belongs_to_its_caller() -> None:
    """Two callers may choose the same."""
    stage = Stage(settings={"keys": (ENTRY.line(), OTHER_ENTRY.line())})
    first = once(stage, chosen="1", key=KEY, text="a")
    second = once(stage, chosen="1", key=OTHER, text="b")
    assert (first.status, second.status) == (200, 200)
    assert first.stream != second.stream


@pytest.mark.parametrize("chosen", ["short", "x" * 256, "with\ta tab in it ......"])
def test_anybodys_key_must_be_hard_to_guess(chosen: str) -> None:
    """Where there are no API keys it is a capability: 16 characters at least."""
    refused = once(Stage(), chosen=chosen)
    [error] = refused.json()["errors"]
    assert (refused.status, error["field"], chosen in error["problem"]) == (422, "Idempotency-Key", False)


def test_a_refusal_frees_the_key() -> None:
    """What never began can be asked for again, with another body too."""
    stage = Stage(settings={"max_input_tokens": 3})
    assert once(stage, text="far too long for that " * 9).status == 413
    assert once(stage, text="hi").status == 200


def test_an_error_is_kept() -> None:
    """An answer that failed is the answer to its key: nothing is billed again."""
    stage = Stage(says=("Hello",))
    events = once(stage).events()
    assert once(stage).events() == events
    assert events[-1]["type"] == "error"


def test_a_key_is_good_for_a_day() -> None:
    """After it the key is new, and so is its stream."""
    stage = Stage()
    first = once(stage)
    first.read()
    stage.clock.advance(KEPT_S + 1)
    assert once(stage).stream != first.stream


def test_racing_posts_make_one_stream() -> None:
    """Who loses waits until the winner's stream has begun, and joins it."""
    stage = Stage()
    racing = [gevent.spawn(once, stage) for _ in range(20)]
    gevent.joinall(racing)
    assert {one.value.stream for one in racing} == {racing[0].value.stream}


def test_a_claim_that_was_heard_too_late_is_taken_back() -> None:
    """The store answered too late, or not: whoever comes next with this key need not wait for long."""
    stage = Stage()
    store = Trouble(MemoryStore(monotonic=stage.clock.monotonic))
    stage = Stage(clock=stage.clock, store=store)
    store.deaf.add("swap")
    assert once(stage).status == 503
    store.deaf.clear()
    stage.clock.advance(BACK_S)
    settle()
    assert once(stage).status == 200


def test_an_opening_that_took_too_long_makes_no_second_stream() -> None:
    """Its claim has expired, and another request has the key: one of the two is refused, and asks nobody."""
    stage = Stage()
    store = Trouble(MemoryStore(monotonic=stage.clock.monotonic))
    stage = Stage(clock=stage.clock, store=store)
    opening = store.hold("put")  # of its session, which comes after the claim
    slow = gevent.spawn(once, stage, name="diary")
    settle()
    stage.clock.advance(CLAIM_S + 1)
    first = once(stage, name="diary")
    opening.set()
    first.read()
    assert (slow.get().status, len(stage.provider.asked)) == (503, 1)


def test_an_opening_that_took_too_long_goes_on_alone() -> None:
    """Where nobody else came with its key it is still its own."""
    stage = Stage()
    store = Trouble(MemoryStore(monotonic=stage.clock.monotonic))
    stage = Stage(clock=stage.clock, store=store)
    opening = store.hold("put")
    slow = gevent.spawn(once, stage, name="diary")
    settle()
    stage.clock.advance(CLAIM_S + 1)
    opening.set()
    assert slow.get().stream == once(stage, name="diary").stream


class Crashed(MemoryStore):
    """A store in which a claim was left by a process that died before its stream began."""

    def claimed(self) -> None:
        [key] = [name for name in self._all.values if name.startswith("once:")]
        claim = json.loads(self.get(key) or b"{}") | {"stream": "never begun", "started": False}
        self.put(key, json.dumps(claim).encode(), CLAIM_S)


def test_a_claim_without_a_stream_expires() -> None:
    """A process that died between the two keeps nobody waiting for longer."""
    stage = Stage()
    store = Crashed(monotonic=stage.clock.monotonic)
    stage = Stage(clock=stage.clock, store=store)
    first = once(stage)
    store.claimed()
    waiting = gevent.spawn(once, stage)
    settle()
    assert not waiting.ready()
    for _ in range(round(CLAIM_S / LOOK_S) + 2):
        stage.clock.advance(LOOK_S)
        settle()
    assert waiting.get().status == 200
    assert waiting.value.stream != first.stream


def test_a_later_stream_takes_an_earlier_ones_place() -> None:
    """Whoever types ahead wants the last answer only."""
    stage = Stage(says=whole("Hello", Gate()))
    first = stage.post(options={"supersedes": CHOSEN})
    second = stage.post(options={"supersedes": CHOSEN})
    third = stage.post(options={"supersedes": CHOSEN + " of another editor"})
    assert first.events()[-1]["reason"] == "superseded"
    settle()
    assert [state(stage, one) for one in (second, third)] == ["running", "running"]


def test_a_later_stream_takes_the_place_of_one_that_is_being_opened() -> None:
    """It cannot be found yet; it finds out by itself that it came too late."""
    stage = Stage()
    store = Trouble(MemoryStore(monotonic=stage.clock.monotonic))
    stage = Stage(says=whole("Hello", Gate()), clock=stage.clock, store=store)
    opening = store.hold("put")
    slow = gevent.spawn(stage.post, "diary", options={"supersedes": CHOSEN})
    settle()
    later = stage.post(options={"supersedes": CHOSEN})
    opening.set()
    assert slow.get().events()[-1]["reason"] == "superseded"
    assert state(stage, later) == "running"


def test_a_refused_stream_supersedes_nothing() -> None:
    """What is too long does not end what runs."""
    stage = Stage(says=whole("Hello", Gate()), settings={"max_input_tokens": 3})
    first = stage.post(text="hi", options={"supersedes": CHOSEN})
    assert stage.post(text="too long " * 9, options={"supersedes": CHOSEN}).status == 413
    assert state(stage, first) == "running"


def test_a_turn_can_be_superseded() -> None:
    """The session is free again for the turn that takes its place."""
    stage = Stage(says=whole("Hello", Gate()))
    first = stage.post("diary", options={"supersedes": CHOSEN})
    session = json.loads(next(first.pieces).splitlines()[0])["session"]
    assert stage.post("diary", session=session).status == 409
    second = stage.post("diary", session=session, options={"supersedes": CHOSEN})
    assert (second.status, first.events()[-1]["reason"]) == (200, "superseded")


@pytest.mark.S13
def test_somebody_elses_stream_is_not_superseded() -> None:
    """The same word of two callers is two keys."""
    stage = Stage(says=whole("Hello", Gate()), settings={"keys": (ENTRY.line(), OTHER_ENTRY.line())})
    first = stage.post(key=KEY, options={"supersedes": "1"})
    stage.post(key=OTHER, options={"supersedes": "1"})
    settle()
    assert state(stage, first, KEY) == "running"
