"""A key that is not live any more takes with it what runs by it."""

from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path

import gevent
import pytest

from services.web import stored_keys
from services.web.entries import Entry
from services.web.keys import NOTE_USE_S, new_key
from services.web.watch import ROUND_S, Watch
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.sharing.test_hand_over import pair_of, prompts, stopped
from tests.streams.stage import Reply, Stage, settle
from tests.web.ws.socket_of import socket_of

__all__ = ["prompts"]

KEY, ENTRY = new_key("web")
UNREADABLE = "the store's keys cannot be read"
OTHER, OTHER_ENTRY = new_key("other")


def watch_of(stage: Stage) -> Watch:
    watch: Watch = stage.app.extensions["gloss.entrance"].watch
    return watch


def stored(*entries: Entry, **more) -> Stage:
    """A service whose keys stand in its store, and whose answers wait."""
    stage = Stage(says=whole("Hello", Gate()), **more)
    for entry in entries or (ENTRY, OTHER_ENTRY):
        stored_keys.add(stage.core.exchange.store, entry)
    watch_of(stage).round()
    return stage


def withdrawn(stage: Stage, entry: Entry = ENTRY) -> None:
    stored_keys.end(stage.core.exchange.store, entry.id, stage.clock.now())


def rounds(stage: Stage) -> None:
    """Two: the second closes sockets."""
    for _ in range(2):
        watch_of(stage).round()
        settle()


def reason(reply: Reply) -> str:
    return str(reply.events()[-1]["reason"])


@pytest.mark.R23
@pytest.mark.S4
def test_a_withdrawn_key_takes_its_streams_with_it() -> None:
    """In the next round; those of others go on."""
    stage = stored()
    mine, others = stage.post(key=KEY), stage.post(key=OTHER)
    withdrawn(stage)
    watch_of(stage).round()
    assert reason(mine) == "cancelled"
    assert stage.get(others.stream, key=OTHER, path="/status").json()["state"] == "running"


@pytest.mark.R23
def test_a_key_that_is_over_takes_its_streams_with_it() -> None:
    """Also one of GLOSS_KEYS."""
    key, entry = new_key("short", expires=datetime(2026, 1, 3, tzinfo=UTC))
    stage = Stage(says=whole("Hello", Gate()), settings={"keys": (entry.line(),)})
    reply = stage.post(key=key)
    stage.clock.wall = datetime(2026, 1, 3, tzinfo=UTC)
    watch_of(stage).round()
    assert reason(reply) == "cancelled"


@pytest.mark.R23
def test_of_two_keys_of_one_owner_each_takes_its_own() -> None:
    """A key that leaked is withdrawn, and its successor's streams run on."""
    key, entry = new_key("web", owner=ENTRY.id)
    stage = stored(ENTRY, entry)
    first, second = stage.post(key=KEY), stage.post(key=key)
    withdrawn(stage)
    watch_of(stage).round()
    assert reason(first) == "cancelled"
    assert stage.get(second.stream, key=key, path="/status").json()["state"] == "running"


@pytest.mark.R23
def test_the_first_key_ends_what_anybody_began() -> None:
    """From then on nobody is anonymous."""
    stage = Stage(says=whole("Hello", Gate()))
    reply = stage.post()
    stored_keys.add(stage.core.exchange.store, ENTRY)
    watch_of(stage).round()
    assert reason(reply) == "cancelled"


@pytest.mark.R23
@pytest.mark.S4
@pytest.mark.parametrize("by", ["header", "message"])
def test_a_withdrawn_key_closes_its_sockets(by: str) -> None:
    """Those too on which nothing runs; with the code that says why."""
    stage = stored()
    with socket_of(stage, **({"key": KEY} if by == "header" else {})) as peer:
        if by == "message":
            peer.say({"op": "auth", "token": KEY})
            settle()
        watch_of(stage).round()
        withdrawn(stage)
        rounds(stage)
        assert peer.hear()["problem"]["type"] == "/problems/unauthorized"
        assert peer.goodbye() == 4401


@pytest.mark.S4
def test_a_socket_of_a_read_token_goes_with_its_key() -> None:
    """Whoever read by it is told, and turned away."""
    stage = stored()
    stream = stage.post(key=KEY).stream
    token = stage.call("POST", f"/v1/streams/{stream}/token", key=KEY, data="{}").json()["token"]
    with socket_of(stage, query=f"?token={token}") as peer:
        peer.say({"op": "resume", "ref": "r", "stream": stream})
        peer.until("r", "text")
        withdrawn(stage)
        rounds(stage)
        assert peer.until("r", "finish")[-1]["reason"] == "cancelled"
        assert peer.hear()["type"] == "problem"
        assert peer.goodbye() == 4401


@pytest.mark.R23
def test_a_stream_ends_where_it_is_made_and_where_it_is_read() -> None:
    """The process that makes it looks; the others hear of the end as of any."""
    pair = Pair(says=whole("Hello", Gate()))
    stored_keys.add(pair.store, ENTRY)
    for stage in (pair.here, pair.there):
        watch_of(stage).round()
    made = pair.here.post(key=KEY)
    pair.mirrored()
    read = pair.there.get(made.stream, key=KEY)
    stored_keys.end(pair.store, ENTRY.id, pair.clock.now())
    watch_of(pair.here).round()
    pair.mirrored()
    assert reason(read) == "cancelled"


def handed_over(shown: str, pair: Pair) -> Reply:
    """A stream that one process has begun, and the other one goes on with."""
    for stage in (pair.here, pair.there):
        watch_of(stage).round()
    reply = pair.here.post("again", key=shown)
    pair.mirrored()
    stopped(pair, reply)
    assert [one.id for one in pair.there.core.streams.running] == [reply.stream]
    return reply


@pytest.mark.R23
def test_a_stream_that_was_taken_over_ends_with_the_key_that_opened_it(prompts: Path) -> None:
    """And not with another one that owns the same."""
    leaked, entry = new_key("web", owner=ENTRY.id)
    pair = pair_of(lambda _: whole("Hello", Gate()), prompts)
    for one in (ENTRY, entry):
        stored_keys.add(pair.store, one)
    reply = handed_over(leaked, pair)
    watch_of(pair.there).round()
    assert pair.there.core.streams.running
    stored_keys.end(pair.store, entry.id, pair.clock.now())
    watch_of(pair.there).round()
    assert reason(pair.there.get(reply.stream, key=KEY)) == "cancelled"


@pytest.mark.R23
def test_a_stream_that_was_taken_over_ends_with_its_token(prompts: Path) -> None:
    """Which is nobody's at the process that goes on, and is over all the same."""
    secret = "of the tests, and long enough to be one"  # noqa: S105 - it opens nothing
    pair = pair_of(lambda _: whole("Hello", Gate()), prompts, secret=secret)
    stored_keys.add(pair.store, ENTRY)
    watch_of(pair.here).round()
    shown, later = (
        pair.here.call(
            "POST",
            "/v1/tokens",
            key=KEY,
            data=f'{{"subject": "ann", "budget_tokens": 9999, "ttl_s": {ttl_s}}}',
        ).json()["token"]
        for ttl_s in (60, 600)
    )
    reply = handed_over(shown, pair)
    pair.clock.wall += timedelta(seconds=59)
    watch_of(pair.there).round()
    assert pair.there.core.streams.running
    pair.clock.wall += timedelta(seconds=1)
    watch_of(pair.there).round()
    assert reason(pair.there.get(reply.stream, key=later)) == "cancelled"


def test_a_store_that_is_away_withdraws_nothing() -> None:
    """Keys that were known stay known."""
    pair = Pair(says=whole("Hello", Gate()))
    stored_keys.add(pair.store, ENTRY)
    watch_of(pair.here).round()
    made = pair.here.post(key=KEY)
    pair.away = True
    watch_of(pair.here).round()
    pair.away = False
    assert pair.here.get(made.stream, key=KEY, path="/status").json()["state"] == "running"


def test_a_round_stores_when_keys_were_used() -> None:
    """Now and then."""
    stage = stored()
    stage.post(key=KEY)
    stage.clock.advance(NOTE_USE_S)
    watch_of(stage).round()
    assert stored_keys.last_use(stage.core.exchange.store, ENTRY.id) is not None


def test_it_goes_round_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is logged once, and the next round comes a second later."""
    stage = stored()
    watch, store = watch_of(stage), stage.core.exchange.store
    watch.start()
    watch.start()
    reply = stage.post(key=KEY)
    good = store.get(stored_keys.VALUE)
    store.put(stored_keys.VALUE, b"?", inf)
    settle()
    for _ in range(3):
        stage.clock.advance(ROUND_S)
        settle()
    assert [record.getMessage().partition("\n")[0] for record in caplog.records].count(UNREADABLE) == 1
    store.put(stored_keys.VALUE, good or b"", inf)
    withdrawn(stage)
    stage.clock.advance(ROUND_S)
    gevent.idle()
    assert reason(reply) == "cancelled"
