"""What one process makes, another one reads, cancels, joins and ends."""

import json
from decimal import Decimal

import gevent
import pytest

from services.streams.claims import LOST_S
from services.streams.presence import OnDisconnect
from services.streams.readers import HELD_S, SPREAD_S
from services.streams.sharing.facts import key_of
from services.streams.sharing.keeper import GUEST_S, LEASE_S, RENEW_S
from services.web.body import SETTLE_S
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import JSON, NDJSON, SSE, TEXT, Reply, Stage, joined, settle


def reading(reply: Reply, into: list[bytes]) -> gevent.Greenlet:
    """Read a reply in a greenlet of its own."""
    greenlet = gevent.spawn(lambda: into.extend(reply.pieces))
    settle()
    return greenlet


def held_pair(**more: object) -> tuple[Pair, Gate, Reply]:
    """A stream that has said one word and waits at a gate."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world"), **more)
    reply = pair.here.post(options={"on_disconnect": "finish"})
    pair.mirrored()
    return pair, gate, reply


@pytest.mark.parametrize("accept", [NDJSON, SSE, TEXT])
def test_a_stream_can_be_read_elsewhere(accept: str) -> None:
    """An ended stream reads there as here, to the byte, in every encoding."""
    pair = Pair()
    stream = pair.here.post(accept=accept)
    body = stream.read()
    pair.mirrored()
    assert pair.there.get(stream.stream, accept).read() == body


def test_the_json_result_is_the_same_elsewhere() -> None:
    """It is made from the log, and so can be made anywhere."""
    pair = Pair()
    stream = pair.here.post(accept=JSON)
    body = stream.read()
    pair.mirrored()
    assert pair.there.get(stream.stream, JSON).read() == body


def test_a_running_stream_grows_elsewhere() -> None:
    """A reader there gets what is there, then what comes, and the same end."""
    pair, gate, reply = held_pair()
    there = pair.there.get(reply.stream)
    got: list[bytes] = []
    greenlet = reading(there, got)
    assert joined(map(json.loads, b"".join(got).splitlines())) == "Hello"
    gate.set()
    pair.mirrored()
    greenlet.join()
    assert b"".join(got) == pair.here.get(reply.stream).read()


def test_many_readers_elsewhere_share_one_copy() -> None:
    """All get all, and none waits for another."""
    pair, gate, reply = held_pair()
    got: list[list[bytes]] = [[] for _ in range(5)]
    greenlets = [reading(pair.there.get(reply.stream), one) for one in got]
    gate.set()
    pair.mirrored()
    gevent.joinall(greenlets)
    assert {b"".join(one) for one in got} == {pair.here.get(reply.stream).read()}


def test_somebody_elses_stream_is_not_there_either() -> None:
    """An unknown id is not found, wherever it is asked for."""
    pair = Pair()
    asking = gevent.spawn(pair.there.get, "x" * 22)
    pair.mirrored()
    assert asking.get().status == 404


def test_a_stream_that_has_just_begun_elsewhere_is_found() -> None:
    """Whoever was told its id may be faster than the store."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate))
    pair.here.core.exchange.stop()  # nothing is stored for the moment
    reply = pair.here.post(options={"on_disconnect": "finish"})
    pair.here.core.exchange.stop()
    asking = gevent.spawn(pair.there.delete, reply.stream)
    settle()
    pair.here.core.exchange.start()
    pair.mirrored()
    assert asking.get().status == 202


def test_a_stream_of_a_busy_process_is_found_too() -> None:
    """It has many to store, or little time: half a second is nothing to whoever asks."""
    pair = Pair(says=whole("Hello", Gate()))
    storing = pair.here.shared.hold("append_all")
    reply = pair.here.post(options={"on_disconnect": "finish"})
    pair.clock.advance(0)
    asking = gevent.spawn(pair.there.get, reply.stream, path="/status")
    pair.passes(0.5)
    storing.set()
    pair.passes(0.5)
    assert asking.get(timeout=1).status == 200


def test_a_reader_ahead_of_the_store_waits_a_moment() -> None:
    """What it has seen is stored within moments; then it goes on without a gap."""
    pair, gate, reply = held_pair()
    gate.set()
    settle()  # the end stands in the log here, and not yet in the store
    replies: list[Reply] = []
    asking = gevent.spawn(lambda: replies.append(pair.there.get(f"{reply.stream}?after=3")))
    settle()
    pair.mirrored()
    asking.join()
    assert [one["id"] for one in replies[0].events()] == [4]


def test_a_number_that_never_comes_is_not_found() -> None:
    """A reader ahead of all that there is gets 404, never other text."""
    pair, _, reply = held_pair()
    replies: list[Reply] = []
    asking = gevent.spawn(lambda: replies.append(pair.there.get(f"{reply.stream}?after=99")))
    settle()
    pair.mirrored()
    pair.passes(1)
    asking.join(1)
    assert [one.status for one in replies] == [404]


def test_a_cancel_elsewhere_ends_it_here() -> None:
    """The provider is closed, and all readers are told."""
    pair, _, reply = held_pair()
    assert pair.there.delete(reply.stream).status == 202
    pair.mirrored()
    assert pair.here.provider.closed_early == [True]
    assert reply.events()[-1]["reason"] == "cancelled"
    pair.mirrored()
    assert pair.there.get(reply.stream).events()[-1]["reason"] == "cancelled"


@pytest.mark.parametrize("policy", ["cancel", 5])
def test_a_reader_elsewhere_counts_as_present(policy: OnDisconnect) -> None:
    """While it reads the stream goes on; when it has left too, the stream is given up."""
    pair = Pair(says=whole("Hello", Gate(), " world"), settings={"between_text_s": 600})
    reply = pair.here.post(options={"on_disconnect": policy})
    pair.mirrored()
    there = pair.there.get(reply.stream)
    reading(there, [])
    pair.mirrored()
    reply.close()
    pair.mirrored()
    pair.passes(GUEST_S + RENEW_S)
    assert pair.here.provider.closed_early == [False]
    there.close()
    pair.mirrored()
    pair.passes(6)
    assert pair.here.provider.closed_early == [True]


def test_the_status_is_told_elsewhere() -> None:
    """Running or ended, how far, and what it has used, counted there."""
    pair, gate, reply = held_pair()
    status = pair.there.get(reply.stream, path="/status").json()
    assert (status["state"], status["last_id"], status["usage"]["estimated"]) == ("running", 2, True)
    gate.set()
    pair.mirrored()
    here = pair.here.get(reply.stream, path="/status").json()
    assert pair.there.get(reply.stream, path="/status").json() == here


def test_a_dead_process_leaves_no_stream_without_an_end() -> None:
    """When its lease has lapsed another process writes the end, with what was used until then."""
    pair, _, reply = held_pair(settings={"model": "gpt-4.1"})
    gone(pair)
    pair.passes(LEASE_S + RENEW_S)
    pair.mirrored()
    events = pair.there.get(reply.stream).events()
    assert [one["type"] for one in events] == ["start", "text", "error"]
    assert events[-1]["problem"]["type"] == "/problems/shutting-down"
    assert events[-1]["usage"]["output_tokens"] > 0
    assert (events[-1]["usage"]["estimated"], events[-1]["partial"]) == (True, True)
    assert Decimal(events[-1]["usage"]["cost_usd"]) > 0


def gone(pair: Pair) -> None:
    """Kill the first process: nothing of it runs any more, nothing is told to anybody."""
    pair.here.core.exchange.stop()


def test_a_reader_elsewhere_is_told_of_a_dead_process() -> None:
    """It waits for no longer than the lease, and gets the end."""
    pair, _, reply = held_pair()
    got: list[bytes] = []
    greenlet = reading(pair.there.get(reply.stream), got)
    gone(pair)
    pair.passes(LEASE_S + RENEW_S)
    pair.mirrored()
    greenlet.join(1)
    assert b'"type":"error"' in b"".join(got)


def test_a_frozen_process_comes_too_late() -> None:
    """What it writes after it was taken over reaches nobody: its own readers are cut off."""
    pair, gate, reply = held_pair()
    got: list[bytes] = []
    greenlet = reading(reply, got)
    pair.here.core.exchange.stop()
    pair.passes(LEASE_S + RENEW_S)
    pair.mirrored()
    pair.here.core.exchange.start()
    gate.set()
    pair.mirrored()
    pair.passes(RENEW_S)
    pair.mirrored()
    with pytest.raises(ConnectionResetError):
        greenlet.get()
    kept = pair.there.get(reply.stream).read()
    assert pair.here.get(reply.stream).read() == kept


def test_a_process_that_stops_sends_its_readers_on() -> None:
    """They are told to go on elsewhere, and what they have seen is there."""
    pair, gate, reply = held_pair()
    got: list[bytes] = []
    greenlet = reading(reply, got)
    pair.here.core.drain.begin()
    pair.passes(SPREAD_S)
    pair.mirrored()
    greenlet.join(1)
    assert b"".join(got).endswith(b'{"type":"drain"}\n')
    there = pair.there.get(f"{reply.stream}?after=2")
    rest: list[bytes] = []
    greenlet = reading(there, rest)
    gate.set()
    pair.mirrored()
    greenlet.join(1)
    assert [json.loads(line)["id"] for line in b"".join(rest).splitlines()] == [3, 4]


def test_nobody_is_sent_to_where_nothing_is() -> None:
    """While the store is away a reader stays, and gets the rest here."""
    pair, gate, reply = held_pair()
    got: list[bytes] = []
    pair.here.shared.away = True
    pair.here.core.drain.begin()
    greenlet = reading(reply, got)
    gate.set()
    pair.passes(SPREAD_S)
    greenlet.join(2)
    assert [json.loads(line)["type"] for line in b"".join(got).splitlines()] == [
        "start", "text", "text", "finish",
    ]  # fmt: skip


def test_who_had_to_stay_is_sent_on_later() -> None:
    """As soon as the store is back there is somewhere to go."""
    word, end = Gate(), Gate()
    pair = Pair(says=whole("Hello", word, " world", end))
    reply = pair.here.post(options={"on_disconnect": "finish"})
    pair.mirrored()
    got: list[bytes] = []
    pair.here.shared.away = True
    word.set()
    pair.here.core.drain.begin()
    greenlet = reading(reply, got)
    pair.passes(SPREAD_S + 1)
    greenlet.join(2 * SETTLE_S)
    assert not greenlet.dead
    pair.here.shared.away = False
    pair.passes(2 * SPREAD_S)
    greenlet.join(2)
    assert json.loads(b"".join(got).splitlines()[-1])["type"] == "drain"
    end.set()


def test_a_json_answer_whose_process_stops_is_not_taken_for_nothing() -> None:
    """It cannot be read on elsewhere: its caller is told why it did not come, and how to go on."""
    pair = Pair(says=whole("Hello", Gate()), settings={"grace_s": 1})
    asking = gevent.spawn(pair.here.post, accept=JSON, options={"on_disconnect": "finish"})
    pair.mirrored()
    pair.here.core.drain.begin()
    pair.passes(2)
    reply = asking.get(timeout=1)
    problem = reply.json()
    assert (reply.status, problem["type"]) == (503, "/problems/shutting-down")
    assert problem["instance"] == f"/v1/streams/{reply.stream}"


def test_one_key_is_one_stream_in_all_processes() -> None:
    """A second POST with the same key, there, joins the first one's stream and asks nobody."""
    pair = Pair()
    first = again(pair.here)
    body = first.read()
    pair.mirrored()
    second = again(pair.there)
    assert second.read() == body
    assert (len(pair.here.provider.asked), len(pair.there.provider.asked)) == (1, 0)


KEY = "a key that nobody guesses"


def again(stage: Stage, text: str = "hello") -> Reply:
    return stage.call(
        "POST", "/v1/echo", accept=NDJSON, headers={"Idempotency-Key": KEY}, data=json.dumps({"text": text})
    )


def test_a_key_whose_stream_is_not_stored_yet_is_joined() -> None:
    """Where the store is slow the loser of a race waits: nothing is lost yet."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate))
    storing = pair.here.shared.hold("append_all")
    first = again(pair.here)
    pair.passes(1)
    asking = gevent.spawn(again, pair.there)
    pair.passes(1)
    assert not asking.ready()
    storing.set()
    pair.mirrored()
    assert asking.get(timeout=1).stream == first.stream


def test_a_lost_answer_is_not_made_again() -> None:
    """Where a crash took a stream with its log, its key says so instead of billing twice."""
    pair = Pair()
    first = again(pair.here)
    first.read()
    pair.mirrored()
    pair.store.put(key_of(str(first.stream)), b"", 0)
    pair.passes(1)
    asking = gevent.spawn(again, pair.there)
    pair.passes(LOST_S + 1)
    reply = asking.get(timeout=1)
    assert (reply.status, reply.json()["type"]) == (502, "/problems/provider-incomplete")


def test_a_later_stream_supersedes_an_earlier_one_elsewhere() -> None:
    """The caller's earlier stream of the same key ends as ``superseded``."""
    pair = Pair(says=whole("Hello", Gate()))
    first = pair.here.post(options={"supersedes": KEY, "on_disconnect": "finish"})
    pair.mirrored()
    pair.there.post(options={"supersedes": KEY})
    pair.mirrored()
    assert first.events()[-1]["reason"] == "superseded"


def test_a_turn_that_runs_elsewhere_can_be_superseded() -> None:
    """Its end is heard of at once, and the session is free for the turn that takes its place."""
    pair = Pair(says=whole("Hello", Gate()))
    first = pair.here.post("diary", options={"supersedes": KEY, "on_disconnect": "finish"})
    session = json.loads(next(first.pieces).splitlines()[0])["session"]
    pair.mirrored()
    asking = gevent.spawn(pair.there.post, "diary", session=session, options={"supersedes": KEY})
    pair.mirrored()
    second = asking.get(timeout=1)
    assert (second.status, first.events()[-1]["reason"]) == (200, "superseded")


def test_a_session_goes_on_elsewhere() -> None:
    """Its next turn may come to any process."""
    pair = Pair()
    session = pair.here.post("diary").events()[0]["session"]
    pair.mirrored()
    events = pair.there.post("diary", session=session).events()
    assert (events[0]["turn"], events[-1]["reason"]) == (2, "stop")


def test_a_turn_that_runs_elsewhere_is_busy_here() -> None:
    """One turn at a time, whichever process has it."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post("diary", options={"on_disconnect": "finish"})
    pair.mirrored()
    session = json.loads(next(reply.pieces).splitlines()[0])["session"]
    assert pair.there.post("diary", session=session).status == 409


def test_who_has_read_the_end_of_a_turn_goes_on_at_once_anywhere() -> None:
    """The turn stands in its session before the end is told of, however long the store takes."""
    pair = Pair()
    swapping = pair.here.shared.hold("swap")
    reply, got = pair.here.post("diary"), list[bytes]()
    reading(reply, got)
    assert (swapping.reached.is_set(), b'"finish"' in b"".join(got)) == (True, False)
    swapping.set()
    settle()
    first = [json.loads(line) for line in b"".join(got).splitlines()]
    assert first[-1]["type"] == "finish"
    asking = gevent.spawn(pair.there.post, "diary", session=first[0]["session"])
    settle()
    assert asking.get(timeout=1).events()[0]["turn"] == 2


def test_a_turn_has_what_was_held_back_of_its_text() -> None:
    """The last sentence has no end of its own, and is shown with the answer's."""
    pair = Pair()
    events = pair.here.post("diary", options={"granularity": "sentence"}).events()
    [turn] = pair.here.call("GET", f"/v1/sessions/{events[0]['session']}").json()["turns"]
    assert turn["text"] == joined(events) == "Hello world"


def test_the_end_of_a_turn_is_told_elsewhere_after_it_is_stored() -> None:
    """A turn that ended while the store was away keeps its session until it is in it."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate))
    reply = pair.here.post("diary", options={"on_disconnect": "finish"})
    session = json.loads(next(reply.pieces).splitlines()[0])["session"]
    pair.mirrored()
    pair.away = True
    gate.set()
    settle()
    assert reply.events()[-1]["type"] == "finish"
    pair.away = False
    swapping = pair.here.shared.hold("swap")
    pair.passes(0.75)  # the log would be stored by now
    assert (swapping.reached.is_set(), pair.there.post("diary", session=session).status) == (True, 409)
    swapping.set()
    pair.mirrored()
    assert pair.there.post("diary", session=session).events()[0]["turn"] == 2


def test_who_was_sent_on_and_does_not_come_ends_the_stream() -> None:
    """A drained reader counts as present for a while, and no longer."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post()
    greenlet = reading(reply, [])
    pair.here.core.drain.begin()
    pair.passes(SPREAD_S)
    pair.mirrored()
    greenlet.join(1)
    reply.close()
    pair.passes(HELD_S)
    assert pair.here.provider.closed_early == [True]
