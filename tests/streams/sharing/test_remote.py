"""A stream of another process, where it is read: one copy for all, and never one that waits for nobody."""

import gevent
import pytest

from services.streams.readers import HELD_S, SPREAD_S
from services.streams.sharing.facts import key_of, log_of
from services.streams.sharing.keeper import GUEST_S, LEASE_S, RENEW_S
from services.streams.sharing.remote import MISSED_S
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import JSON, Reply, settle

FINISH = {"on_disconnect": "finish"}


def reading(reply: Reply, into: list[bytes]) -> gevent.Greenlet:
    """Read a reply in a greenlet of its own."""
    greenlet = gevent.spawn(lambda: into.extend(reply.pieces))
    settle()
    return greenlet


def test_readers_that_come_at_once_all_get_all() -> None:
    """A store takes its time, and others ask meanwhile: there is one copy, and it grows for all."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world"))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    slow = pair.there.shared.hold("read")
    asking = [gevent.spawn(pair.there.get, reply.stream) for _ in range(2)]
    settle()
    got: list[list[bytes]] = [[], []]
    greenlets = [reading(asking[1].get(timeout=1), got[1])]
    slow.set()
    greenlets.append(reading(asking[0].get(timeout=1), got[0]))
    gate.set()
    pair.mirrored()
    gevent.joinall(greenlets, timeout=1)
    assert {b"".join(one) for one in got} == {pair.here.get(reply.stream).read()}


def test_a_stream_that_nobody_knows_any_more_is_not_waited_for() -> None:
    """Its process died and the store lost it: no end will come, so its readers are cut off."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    greenlet = reading(pair.there.get(reply.stream), [])
    pair.here.core.exchange.stop()
    pair.emptied()
    pair.passes(MISSED_S + 2 * RENEW_S)
    with pytest.raises(ConnectionResetError):
        greenlet.get(timeout=1)


def test_an_end_below_what_was_shown_is_not_waited_for() -> None:
    """The store lost what had come from it, and then the process died that could have stored it anew."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world", Gate()))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    gate.set()
    pair.mirrored()
    greenlet = reading(pair.there.get(reply.stream), [])
    del pair.contents.logs[log_of(str(reply.stream))].records[1:]
    pair.here.core.exchange.stop()
    pair.passes(LEASE_S + MISSED_S + 3 * RENEW_S)
    with pytest.raises(ConnectionResetError):
        greenlet.get(timeout=1)


def test_a_reader_elsewhere_that_was_sent_on_counts_as_present() -> None:
    """Its process stops, and is gone before it can come back somewhere."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    reply = pair.here.post()
    pair.mirrored()
    there = pair.there.get(reply.stream)
    greenlet = reading(there, [])
    pair.mirrored()
    reply.close()
    pair.there.core.drain.begin()
    pair.passes(SPREAD_S)
    greenlet.join(1)
    there.close()
    pair.mirrored()
    pair.there.core.exchange.stop()
    pair.passes(HELD_S - 10)
    assert pair.here.provider.closed_early == [False]
    pair.passes(10)
    assert pair.here.provider.closed_early == [True]


def test_a_cancel_can_be_sent_again() -> None:
    """The first one may have come to a process that died with it."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    reading(pair.there.get(reply.stream), [])
    pair.here.core.exchange.stop()
    assert pair.there.delete(reply.stream).status == 202
    settle()
    pair.contents.inboxes.clear()
    pair.here.core.exchange.start()
    assert pair.there.delete(reply.stream).status == 202
    pair.mirrored()
    assert pair.here.provider.closed_early == [True]


def test_facts_that_cannot_be_read_silence_nobody() -> None:
    """Another release wrote them; messages about other streams go on."""
    pair = Pair(says=whole("Hello", Gate()))
    odd, reply = pair.here.post(options=FINISH), pair.here.post(options=FINISH)
    pair.mirrored()
    reading(pair.there.get(odd.stream), [])
    pair.store.put(key_of(str(odd.stream)), b'{"v":99}', 600)
    pair.passes(2 * RENEW_S)
    pair.there.delete(reply.stream)
    pair.mirrored()
    assert pair.here.provider.closed_early == [False, True]


@pytest.mark.parametrize(("after", "status"), [(1, 200), (2, 404), (3, 404)])
def test_a_torn_log_is_never_taken_for_all_that_there_was(after: int, status: int) -> None:
    """What its process showed last is not stored: its number is the end's now, and its reader is told so."""
    gate = Gate()
    pair = Pair(says=whole(gate, "Hello", Gate()))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    pair.here.core.exchange.stop()
    gate.set()
    settle()  # event 2 is shown here, and stored nowhere
    pair.passes(LEASE_S + 2 * RENEW_S)
    asking = gevent.spawn(pair.there.get, f"{reply.stream}?after={after}")
    pair.passes(2)
    assert asking.get(timeout=1).status == status


def test_json_is_told_of_a_torn_log() -> None:
    """In one piece it is the end's problem with what was used, as anywhere."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    pair.here.core.exchange.stop()
    pair.passes(LEASE_S + 2 * RENEW_S + GUEST_S)
    problem = pair.there.get(reply.stream, JSON).json()
    assert (problem["type"], problem["partial"]) == ("/problems/shutting-down", True)


def test_a_cancel_goes_before_what_is_less_urgent() -> None:
    """Who reads what is told every two seconds, of many streams; a person waits for a stop."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    replies = [pair.here.post(options=FINISH) for _ in range(4)]
    pair.mirrored()
    for reply in replies:
        reading(pair.there.get(reply.stream), [])
    pair.mirrored()
    asking = pair.there.shared.hold("get")
    pair.passes(RENEW_S)  # all are to be told of, and the store takes its time
    assert asking.reached.is_set()
    before = len(pair.contents.inboxes[pair.here.core.exchange.inbox])
    pair.there.delete(replies[-1].stream)
    asking.set()
    settle()
    told = pair.contents.inboxes[pair.here.core.exchange.inbox][before:]
    assert [b'"op":"cancel"' in one.content for one in told].index(True) <= 1


def test_a_cancel_waits_for_a_store_that_is_told_anew() -> None:
    """It came back empty, and for a moment nobody knows whose stream it is."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    reading(pair.there.get(reply.stream), [])
    pair.emptied()
    assert pair.there.delete(reply.stream).status == 202
    settle()
    pair.passes(2 * RENEW_S)
    assert pair.here.provider.closed_early == [True]


def test_what_is_asked_for_again_and_again_is_small() -> None:
    """A request's body may be large; only whoever takes its stream over wants it."""
    pair = Pair(says=whole("Hello", Gate()))
    reply = pair.here.post(text="word " * 1_000, options=FINISH)
    pair.mirrored()
    value = pair.store.get(key_of(str(reply.stream)))
    assert value is not None
    assert len(value) < 500
