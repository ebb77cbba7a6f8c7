"""Who looks after which log: after a freeze, after an outage of the store, while a process stops."""

import gevent
import pytest

from services.events import Text
from services.streams.presence import OnDisconnect
from services.streams.sharing.facts import log_of
from services.streams.sharing.keeper import CONFIRM_S, GRACE_S, GUEST_S, LEASE_S, MOST_SEIZED, RENEW_S
from services.streams.use_case import Call, Context, Transform
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import Reply, Said, say, settle, use_case

FINISH = {"on_disconnect": "finish"}
TAKEN_S = LEASE_S + 2 * RENEW_S  # until somebody else has a log whose process does nothing any more


def reading(reply: Reply, into: list[bytes]) -> gevent.Greenlet:
    """Read a reply in a greenlet of its own."""
    greenlet = gevent.spawn(lambda: into.extend(reply.pieces))
    settle()
    return greenlet


def asked(pair: Pair, call: object, *given: object, **named: object) -> Reply:
    """Ask, and let time pass until there is an answer."""
    asking = gevent.spawn(call, *given, **named)
    pair.passes(2)
    return asking.get(timeout=1)


def stored(pair: Pair, stream: str | None) -> bytes:
    return b"".join(pair.store.read(log_of(str(stream)), 0))


def test_a_thawed_process_shows_nothing_that_others_do_not() -> None:
    """What its provider says after it was taken over reaches none of its readers."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world"))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    got: list[bytes] = []
    greenlet = reading(reply, got)
    pair.here.core.exchange.stop()
    pair.passes(TAKEN_S)
    gate.set()
    pair.here.core.exchange.start()
    pair.mirrored()
    with pytest.raises(ConnectionResetError):
        greenlet.get(timeout=1)
    assert stored(pair, reply.stream).startswith(b"".join(got))


def test_a_thawed_process_whose_call_fails_shows_nothing_either() -> None:
    """The call on which it was frozen fails afterwards; it asks again before it shows anything."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world"))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    got: list[bytes] = []
    greenlet = reading(reply, got)
    leasing = pair.here.shared.hold("lease")
    pair.passes(TAKEN_S)
    pair.here.shared.away = True
    gate.set()
    leasing.set()
    settle()
    pair.here.shared.away = False
    pair.mirrored()
    pair.passes(RENEW_S)
    with pytest.raises(ConnectionResetError):
        greenlet.get(timeout=1)
    assert stored(pair, reply.stream).startswith(b"".join(got))


def test_a_stream_that_was_taken_while_it_was_being_closed_stays_taken() -> None:
    """Its end is the other process's to write; the one that is written here too late is nobody's."""
    closing = Gate()

    def lingering(given: Said, _context: Context) -> Transform:
        try:
            for delta in (yield Call(variables=say(given))):
                yield Text(text=delta)
        finally:
            closing.wait()
        return None

    pair = Pair(
        says=whole("Hello", Gate()),
        settings={"between_text_s": 600},
        more={"use_cases": {"echo": use_case("echo", lingering)}},
    )
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    leasing = pair.here.shared.hold("lease")
    pair.passes(RENEW_S)
    pair.here.delete(reply.stream)
    assert closing.reached.wait(1)
    pair.passes(TAKEN_S)
    leasing.set()
    pair.mirrored()
    closing.set()
    pair.mirrored()
    assert asked(pair, pair.here.get, reply.stream).read() == stored(pair, reply.stream)


def test_a_thawed_process_without_a_store_goes_on() -> None:
    """Where nobody can be asked whether it still is its stream, readers wait for a moment and no longer."""
    gate = Gate()
    pair = Pair(says=whole("Hello", gate, " world"))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    leasing = pair.here.shared.hold("lease")
    pair.clock.advance(RENEW_S)
    settle()
    pair.here.shared.away = True
    pair.clock.advance(TAKEN_S)
    gate.set()
    leasing.set()
    got: list[bytes] = []
    greenlet = reading(reply, got)
    pair.passes(CONFIRM_S)
    greenlet.get(timeout=CONFIRM_S + 1)
    assert b"world" in b"".join(got)


def test_all_that_a_dead_process_left_is_seen_to_at_once() -> None:
    """However many there are: whoever reads them is told within a round."""
    pair = Pair(says=whole("Hello", Gate()))
    replies = [pair.here.post(options=FINISH) for _ in range(2 * MOST_SEIZED + 1)]
    pair.mirrored()
    pair.here.core.exchange.stop()
    pair.passes(LEASE_S + RENEW_S)
    assert all(b'"type":"error"' in stored(pair, reply.stream) for reply in replies)


def test_a_process_that_stops_takes_nothing_over() -> None:
    """What it let go of is for others: it would only have to let go of it again, or die with it."""
    pair = Pair(says=whole("Hello", Gate()), settings={"grace_s": 1})
    pair.there.core.exchange.stop()
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    pair.here.core.drain.begin()
    pair.passes(TAKEN_S)
    assert b'"type":"error"' not in stored(pair, reply.stream)
    pair.there.core.exchange.start()
    pair.passes(GRACE_S + RENEW_S)
    pair.mirrored()
    assert b'"type":"error"' in stored(pair, reply.stream)


@pytest.mark.parametrize("policy", ["cancel", 1.0])
def test_a_reader_elsewhere_is_still_there_after_an_outage(policy: OnDisconnect) -> None:
    """While the store was away nobody could say that he reads."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    reply = pair.here.post(options={"on_disconnect": policy})
    pair.mirrored()
    reading(pair.there.get(reply.stream), [])
    pair.mirrored()
    reply.close()
    pair.away = True
    pair.passes(30)
    pair.here.shared.away = False  # and hears of it before the other one
    pair.passes(RENEW_S + 1)
    pair.there.shared.away = False
    pair.passes(GRACE_S + GUEST_S)
    assert pair.here.provider.closed_early == [False]


def test_a_reader_on_a_process_that_died_is_gone() -> None:
    """Nobody says that it reads any more: soon the provider is closed."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    reply = pair.here.post()
    pair.mirrored()
    reading(pair.there.get(reply.stream), [])
    pair.mirrored()
    reply.close()
    pair.there.core.exchange.stop()
    pair.passes(GUEST_S + RENEW_S)
    assert pair.here.provider.closed_early == [True]


def test_a_store_that_came_back_empty_is_told_again_of_silent_streams() -> None:
    """Nobody noticed that it was away, and its provider says nothing: it can be cancelled all the same."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    pair.emptied()
    pair.passes(RENEW_S)
    pair.mirrored()
    assert asked(pair, pair.there.delete, reply.stream).status == 202
    pair.mirrored()
    assert pair.here.provider.closed_early == [True]


@pytest.mark.parametrize("verb", ["lease", "append_all"])
def test_a_store_that_was_emptied_between_two_calls_is_told_all_of_it_again(verb: str) -> None:
    """What was stored of a stream before is missing, though what was stored after stands there."""
    pair = Pair(says=whole("Hello", Gate()), settings={"between_text_s": 600})
    pair.passes(RENEW_S)
    gate = pair.here.shared.hold(verb)
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    pair.emptied()
    gate.set()
    pair.passes(2 * RENEW_S)
    assert asked(pair, pair.there.delete, reply.stream).status == 202


def test_a_reader_elsewhere_goes_on_when_the_store_came_back_empty() -> None:
    """What it has it does not get again, and nothing is missing."""
    gate, other = Gate(), Gate()
    pair = Pair(says=whole("Hello", gate, " world", other, "!"))
    reply = pair.here.post(options=FINISH)
    pair.mirrored()
    got: list[bytes] = []
    greenlet = reading(pair.there.get(reply.stream), got)
    gate.set()
    pair.mirrored()
    pair.emptied()
    other.set()
    pair.passes(RENEW_S)
    pair.mirrored()
    greenlet.join(1)
    assert b"".join(got) == pair.here.get(reply.stream).read() == stored(pair, reply.stream)
