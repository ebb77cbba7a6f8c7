"""An answer that was wrong is taken back."""

import hashlib
import json
from typing import Any

import gevent
import pytest

from services.errors import NotFound
from services.streams.sharing.publisher import BATCH_S, DISCARDED_S
from services.streams.use_case import one_call
from services.web.keys import new_key
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import NDJSON, STAGE, Reply, Stage, joined, say, settle, use_case

USE_CASES = {**STAGE, "echo": use_case("echo", one_call(say), cache=True)}


def stage_of(*says: Any) -> Stage:
    return Stage(says=whole(*says) if says else whole("Hello", " world"), use_cases=USE_CASES)


def reading(reply: Reply) -> "gevent.Greenlet[..., Any]":
    return gevent.spawn(reply.events)


def discard(stage: Stage, stream: str | None) -> int:
    return stage.call("DELETE", f"/v1/streams/{stream}?discard=1").status


def turns(stage: Stage, session: str) -> list[tuple[int, str]]:
    return [(turn.number, turn.text) for turn in stage.core.sessions.get(session, "anonymous").turns]


def turn(stage: Stage, **body: Any) -> tuple[str | None, str]:
    """Take one turn; return its stream and its session."""
    reply = stage.post("diary", **body)
    events = reply.events()
    settle()
    return reply.stream, events[0]["session"]


def test_a_kept_answer_that_is_discarded_is_asked_for_again() -> None:
    """The next one who asks the same gets another answer."""
    stage = stage_of()
    reply = stage.post()
    reply.read()
    settle()
    assert discard(stage, reply.stream) == 204
    assert stage.post().events()[-1]["usage"]["from_cache"] is False


def test_an_answer_that_came_from_the_cache_can_be_discarded() -> None:
    """Whoever was given it may find that it is wrong."""
    stage = stage_of()
    for _ in range(2):
        reply = stage.post()
        reply.read()
        settle()
    discard(stage, reply.stream)
    assert stage.post().events()[-1]["usage"]["from_cache"] is False


def test_a_running_answer_that_is_discarded_serves_nobody_new() -> None:
    """Who reads it already goes on; it is not kept, and who comes later has another."""
    stage, gate = stage_of(), Gate()
    stage.provider.says = ["Hello", gate, *whole(" world")]
    replies = [stage.post(), stage.post()]
    readers = [reading(reply) for reply in replies]
    gate.reached.wait()
    settle()
    assert discard(stage, replies[0].stream) == 202
    assert readers[0].get()[-1]["reason"] == "cancelled"
    stage.provider.says = whole("Other")
    assert joined(stage.post().events()) == "Other"
    gate.set()
    assert joined(readers[1].get()) == "Hello world"
    settle()
    assert joined(stage.post().events()) == "Other"


def test_a_plain_stop_discards_nothing() -> None:
    """What was kept stays, and so does the turn."""
    stage = stage_of()
    reply = stage.post()
    reply.read()
    settle()
    stage.delete(reply.stream)
    assert stage.post().events()[-1]["usage"]["from_cache"] is True


def test_a_discarded_turn_is_gone_and_so_is_the_state_that_it_left() -> None:
    """The session is as it was before it; the next turn bears its number."""
    stage = stage_of()
    _, session = turn(stage)
    wrong, _ = turn(stage, session=session)
    assert stage.core.sessions.get(session, "anonymous").state == 110
    discard(stage, wrong)
    assert (turns(stage, session), stage.core.sessions.get(session, "anonymous").state) == (
        [(1, "Hello world")],
        10,
    )
    turn(stage, session=session)
    assert [number for number, _ in turns(stage, session)] == [1, 2]


def test_an_earlier_turn_leaves_its_words_only() -> None:
    """What came after it has been built on its state: that stays."""
    stage = stage_of()
    first, session = turn(stage)
    turn(stage, session=session)
    discard(stage, first)
    assert [number for number, _ in turns(stage, session)] == [2]
    assert stage.core.sessions.get(session, "anonymous").state == 110


def test_a_session_whose_only_turn_is_discarded_is_forgotten() -> None:
    """There is nothing to go on from."""
    stage = stage_of()
    first, session = turn(stage)
    discard(stage, first)
    with pytest.raises(NotFound):
        stage.core.sessions.get(session, "anonymous")


def test_a_running_turn_that_is_discarded_leaves_the_session_as_it_was() -> None:
    """It is free again, with the turns and the state that it had."""
    stage, gate = stage_of(), Gate()
    _, session = turn(stage)
    stage.provider.says = ["Wrong", gate, *whole()]
    reply = stage.post("diary", session=session)
    reader = reading(reply)
    gate.reached.wait()
    discard(stage, reply.stream)
    assert reader.get()[-1]["reason"] == "cancelled"
    found = stage.core.sessions.get(session, "anonymous")
    assert (turns(stage, session), found.state, found.running) == ([(1, "Hello world")], 10, None)


@pytest.mark.parametrize("runs", [False, True])
def test_a_discarded_stream_cannot_be_read_again(runs: bool) -> None:
    """Nor looked at; it is as if it had never been."""
    stage = Stage(says=whole("Hello", Gate()) if runs else whole("Hello"))
    reply = stage.post()
    if not runs:
        reply.read()
    settle()
    assert discard(stage, reply.stream) == (202 if runs else 204)
    answers = [
        stage.get(reply.stream).status,
        stage.get(reply.stream, path="/status").status,
        stage.call("POST", f"/v1/streams/{reply.stream}/token").status,
        stage.delete(reply.stream).status,
    ]
    assert answers == [404] * 4


@pytest.mark.parametrize("runs", [False, True])
def test_a_key_whose_answer_was_discarded_gives_it_to_nobody(runs: bool) -> None:
    """Nor does it ask for another one: a POST that is repeated late is billed to nobody."""
    stage = Stage(says=whole("Hello", Gate()) if runs else whole("Hello"))
    reply = keyed(stage)
    if not runs:
        reply.read()
    asked = gevent.spawn(discard, stage, reply.stream)
    for _ in range(3):  # what it said last is being stored
        settle()
        stage.clock.advance(BATCH_S)
    assert asked.get() == (202 if runs else 204)
    again = keyed(stage)
    assert (again.status, again.json()["type"]) == (409, "/problems/discarded")
    assert keyed(stage, text="another").json()["type"] == "/problems/idempotency-mismatch"
    assert len(stage.provider.asked) == 1


def keyed(stage: Stage, **body: Any) -> Reply:
    headers = {"Idempotency-Key": "a key that nobody guesses"}
    return stage.call("POST", "/v1/echo", accept=NDJSON, headers=headers, data=json.dumps(body))


def stored(pair: Pair, stream: str | None) -> tuple[bool, bool]:
    """Whether the store has what was asked, and what was said."""
    return bool(pair.store.get(f"sent:{stream}")), bool(pair.store.read(f"log:{stream}", 0))


@pytest.mark.parametrize("where", ["here", "there"])
def test_no_process_has_a_discarded_stream_any_more(where: str) -> None:
    """Whichever was asked, one that made it and ended it forgets it too, and the store with them."""
    pair = Pair(more={"use_cases": USE_CASES})
    reply = keyed(pair.here)
    reply.read()
    pair.mirrored()
    assert stored(pair, reply.stream) == (True, True)
    assert discard(getattr(pair, where), reply.stream) == 204
    pair.passes(DISCARDED_S + 1)
    assert stored(pair, reply.stream) == (False, False)
    assert pair.here.core.streams.here(reply.stream or "") is None
    for stage in (pair.here, pair.there):
        assert [stage.get(reply.stream).status, keyed(stage).status] == [404, 409]
        assert discard(stage, reply.stream) == 204


@pytest.mark.parametrize("where", ["here", "there"])
def test_who_reads_a_stream_that_is_discarded_hears_of_its_end(where: str) -> None:
    """In whatever process; then it is gone, in all of them."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post(options={"on_disconnect": "finish"})
    pair.mirrored()
    readers = [reading(stage.get(reply.stream)) for stage in (pair.here, pair.there)]
    settle()
    asked = gevent.spawn(discard, getattr(pair, where), reply.stream)
    pair.passes(3)
    assert (asked.get(), [one.get()[-1]["reason"] for one in readers]) == (202, ["cancelled"] * 2)
    assert [stage.get(reply.stream).status for stage in (pair.here, pair.there)] == [404, 404]
    pair.passes(DISCARDED_S)
    assert stored(pair, reply.stream) == (False, False)


def test_while_the_store_is_away_nothing_is_claimed_to_be_forgotten() -> None:
    """503: ask again, and then it is."""
    pair = Pair()
    reply = keyed(pair.here)
    reply.read()
    pair.mirrored()
    pair.away = True
    assert discard(pair.here, reply.stream) == 503
    pair.away = False
    pair.clock.advance(2)
    assert [discard(pair.here, reply.stream), keyed(pair.here).status] == [204, 409]


def test_somebody_elses_stream_is_not_discarded() -> None:
    """It is not there; and neither is one that never was."""
    (mine, entry), (other, other_entry) = new_key("web"), new_key("other")
    stage = Stage(settings={"keys": (entry.line(), other_entry.line())})
    reply = stage.post(key=mine)
    reply.read()
    statuses = [
        stage.call("DELETE", f"/v1/streams/{reply.stream}?discard=1", key=key).status
        for key in (other, mine, other)
    ]
    assert statuses == [404, 204, 404]


def test_to_discard_twice_is_harmless() -> None:
    """The second time nothing is there any more."""
    stage = stage_of()
    _, session = turn(stage)
    wrong, _ = turn(stage, session=session)
    assert [discard(stage, wrong) for _ in range(2)] == [204, 204]
    assert turns(stage, session) == [(1, "Hello world")]


def test_a_stream_is_discarded_from_another_process() -> None:
    """A turn that runs here is stopped there, and leaves nothing."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate), more={"use_cases": USE_CASES})
    reply = pair.here.post("diary")
    reader = reading(reply)
    pair.mirrored()
    asked = gevent.spawn(discard, pair.there, reply.stream)
    pair.passes(3)
    events = reader.get()
    assert (asked.get(), events[-1]["reason"]) == (202, "cancelled")
    with pytest.raises(NotFound):
        pair.there.core.sessions.get(events[0]["session"], "anonymous")


def test_a_turn_that_ended_before_its_process_heard_of_it_is_gone_too() -> None:
    """Who discards sees it run still: the end is not stored yet."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate), more={"use_cases": USE_CASES})
    reply = pair.here.post("diary", options={"on_disconnect": "finish"})
    pair.mirrored()
    late = pair.here.shared.hold("append_all")
    gate.set()
    settle()
    asked = gevent.spawn(discard, pair.there, reply.stream)
    settle()
    late.set()
    pair.passes(3)
    [session] = [name for name in pair.contents.values if name.startswith("session:")] or [None]
    assert (asked.get(), session) == (202, None)


def test_a_turn_that_ended_elsewhere_is_discarded() -> None:
    """Any process can do it, from what is stored."""
    pair = Pair(more={"use_cases": USE_CASES})
    reply = pair.here.post("diary")
    session = reply.events()[0]["session"]
    pair.mirrored()
    assert discard(pair.there, reply.stream) == 204
    with pytest.raises(NotFound):
        pair.here.core.sessions.get(session, "anonymous")


def test_another_word_than_one_is_refused() -> None:
    """A mistake is no order to forget."""
    stage = stage_of()
    reply = stage.post()
    reply.read()
    assert stage.call("DELETE", f"/v1/streams/{reply.stream}?discard=yes").status == 422


def test_a_read_token_discards_nothing() -> None:
    """It reads and cancels; what is remembered is the key's business."""
    key = "gloss_keyone11_" + "a" * 43

    entry = f"one:keyone11:{hashlib.sha256(key.encode()).hexdigest()}"
    stage = Stage(use_cases=USE_CASES, settings={"keys": (entry,)})
    reply = stage.post(key=key)
    reply.read()
    settle()
    token = stage.call("POST", f"/v1/streams/{reply.stream}/token", key=key).json()["token"]
    assert stage.call("DELETE", f"/v1/streams/{reply.stream}?discard=1&token={token}").status == 401
    assert stage.call("DELETE", f"/v1/streams/{reply.stream}?token={token}").status == 204
    assert stage.post(key=key).events()[-1]["usage"]["from_cache"] is True
