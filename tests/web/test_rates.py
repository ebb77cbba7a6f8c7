"""Limits of a key, and of each end user of it: streams in a minute, and streams at once."""

from typing import Any

import gevent
import pytest

from services.web.keys import new_key
from services.web.rates import LATE_S, MINUTE_S, RENEW_S, SEAT_S
from tests.streams.scripted import Gate, whole
from tests.streams.sharing.pair import Pair
from tests.streams.stage import NDJSON, Reply, Stage, settle
from tests.web.ws.socket_of import socket_of

KEY, ENTRY = new_key("web", rpm=2)
FEW, FEW_ENTRY = new_key("few", streams=1)
FREE, FREE_ENTRY = new_key("free")
ENTRIES = (ENTRY.line(), FEW_ENTRY.line(), FREE_ENTRY.line())


def stage_of(says: Any = None, **settings: Any) -> Stage:
    return Stage(
        says=says or whole("Hello"),
        settings={"keys": ENTRIES, "secret": "of the tests, and long enough to be one", **settings},
    )


def statuses(stage: Stage, key: str, times: int) -> list[int]:
    return [done(stage.post(key=key)) for _ in range(times)]


def done(reply: Reply) -> int:
    reply.read()
    return reply.status


def told(reply: Reply) -> tuple[str | None, str | None]:
    return reply.headers.get("RateLimit-Policy"), reply.headers.get("RateLimit")


@pytest.mark.S9
def test_a_key_starts_so_many_streams_in_a_minute() -> None:
    """One more is refused, and says when to come back; a minute after the first it is not."""
    stage = stage_of()
    assert statuses(stage, KEY, 2) == [200, 200]
    stage.clock.advance(20)
    refused = stage.post(key=KEY)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "40")
    assert refused.json()["type"] == "/problems/rate-limited"
    stage.clock.advance(40)
    assert statuses(stage, KEY, 3) == [200, 200, 429]


def test_the_window_slides() -> None:
    """No border between two minutes lets twice as many in."""
    stage = stage_of()
    assert statuses(stage, KEY, 1) == [200]
    stage.clock.advance(MINUTE_S - 1)
    assert statuses(stage, KEY, 1) == [200]
    stage.clock.advance(1)
    assert statuses(stage, KEY, 2) == [200, 429]


def test_answers_tell_what_is_left() -> None:
    """In the fields of the draft: the policy, what remains of it, and in how many seconds there is more."""
    stage = stage_of()
    policy = '"key-minute";q=2;w=60'
    assert told(stage.post(key=KEY)) == (policy, '"key-minute";r=1;t=60')
    stage.clock.advance(10)
    assert told(stage.post(key=KEY)) == (policy, '"key-minute";r=0;t=50')
    assert told(stage.post(key=KEY)) == (policy, '"key-minute";r=0;t=50')
    assert told(stage.post(key=FREE)) == (None, None)


def test_a_refusal_before_the_body_tells_what_is_left_too() -> None:
    """Whatever else is wrong with the request."""
    stage = stage_of()
    assert told(stage.call("POST", "/v1/echo", key=KEY, data="?"))[1] == '"key-minute";r=1;t=60'


def test_a_key_has_so_many_streams_open() -> None:
    """One more is refused until one has ended."""
    gate = Gate()
    stage = stage_of(lambda _: whole("Hello", gate))
    first = stage.post(key=FEW)
    refused = stage.post(key=FEW)
    assert (refused.status, refused.headers["Retry-After"], refused.json()["limit"]) == (429, "1", 1)
    assert told(first) == ('"key-open";q=1;qu="concurrent-requests"', '"key-open";r=0')
    assert told(refused) == told(first)
    gate.set()
    first.read()
    assert statuses(stage, FEW, 2) == [200, 200]


def test_who_asks_again_with_the_same_key_needs_no_seat() -> None:
    """The stream that it joins has one."""
    gate = Gate()
    stage = stage_of(lambda _: whole("Hello", gate))
    keyed = {"key": FEW, "headers": {"Idempotency-Key": "a key of my own"}, "data": "{}"}
    first = stage.call("POST", "/v1/echo", accept=NDJSON, **keyed)
    again = stage.call("POST", "/v1/echo", accept=NDJSON, **keyed)
    assert (again.status, again.stream) == (200, first.stream)
    assert stage.post(key=FEW).status == 429
    gate.set()


def test_each_limit_that_is_told_has_its_quota_and_what_is_left() -> None:
    """Whether the stream begins or is refused: ``q`` in the policy and ``r`` in the limit are required."""
    stage = stage_of(lambda _: whole("Hello", Gate()), key_streams=2, key_rpm=9)
    for left, status in ((1, 200), (0, 200), (0, 429)):
        reply = stage.post(key=FREE)
        policies, limits = (str(field).split(", ") for field in told(reply))
        assert reply.status == status
        assert [one.partition(";q=")[0] for one in policies] == ['"key-minute"', '"key-open"']
        assert [one.partition(";r=")[0] for one in limits] == ['"key-minute"', '"key-open"']
        assert limits[1] == f'"key-open";r={left}'


@pytest.mark.parametrize("end", ["cancelled", "left"])
def test_a_seat_comes_free_however_a_stream_ends(end: str) -> None:
    """Cancelled, or left by its reader."""
    stage = stage_of(lambda _: whole("Hello", Gate()))
    first = stage.post(key=FEW)
    if end == "left":
        next(first.pieces)
        first.close()
        settle()
    else:
        stage.delete(first.stream, key=FEW)
        first.read()
    assert stage.post(key=FEW).status == 200


def test_a_request_that_is_refused_leaves_its_seat() -> None:
    """Else a few mistakes would lock the key out."""
    stage = stage_of()
    assert [stage.post(key=FEW, text=1).status for _ in range(3)] == [422] * 3
    assert statuses(stage, FEW, 1) == [200]


def test_a_stream_that_is_joined_takes_no_seat() -> None:
    """It has one."""
    gate = Gate()
    stage = stage_of(lambda _: whole("Hello", gate), key_streams=2)
    headers = {"Idempotency-Key": "again"}
    replies = [stage.call("POST", "/v1/echo", key=FREE, data="{}", headers=headers) for _ in range(3)]
    assert len({reply.stream for reply in replies}) == 1
    assert stage.post(key=FREE).status == 200
    assert stage.post(key=FREE).status == 429


@pytest.mark.S9
def test_limits_hold_on_a_socket_too() -> None:
    """A refusal there is a message, with the time to wait."""
    stage = stage_of()
    start = {"op": "start", "use_case": "echo"}
    with socket_of(stage, key=KEY) as peer:
        for ref in "ab":
            assert peer.say({**start, "ref": ref}).until(ref, "finish")
        problem = peer.say({**start, "ref": "c"}).hear()["problem"]
    assert (problem["status"], problem["retry_after_s"]) == (429, 60)


def test_a_key_without_limits_has_those_of_the_deployment() -> None:
    """Where there are any."""
    assert statuses(stage_of(key_rpm=1), FREE, 2) == [200, 429]
    assert statuses(stage_of(key_rpm=1), KEY, 3) == [200, 200, 429]


def pair_of(says: Any = None, **settings: Any) -> Pair:
    return Pair(says=says or whole("Hello"), settings={"keys": ENTRIES, **settings})


def test_processes_count_together() -> None:
    """Whichever of them is asked."""
    pair = pair_of()
    assert [done(stage.post(key=KEY)) for stage in (pair.here, pair.there, pair.here)] == [200, 200, 429]


def test_a_process_that_dies_leaves_no_seat_taken() -> None:
    """A seat that is not taken anew is free after a while; one that is stays taken."""
    pair = pair_of(lambda _: whole("Hello", Gate()))
    pair.here.post(key=FEW)
    watch = pair.here.app.extensions["gloss.entrance"].watch
    for _ in range(5):
        pair.clock.advance(RENEW_S)
        watch.round()
    assert pair.store.members(f"open:{FEW_ENTRY.id}", 0, 9)
    pair.clock.advance(SEAT_S)
    assert not pair.store.members(f"open:{FEW_ENTRY.id}", 0, 9)


def test_a_seat_that_is_just_being_given_back_is_waited_for() -> None:
    """The end of a stream is told a moment before its seat is free in the store."""
    gate = Gate()
    pair = pair_of(lambda _: whole("Hello", gate))
    first = pair.here.post(key=FEW)
    quitting = pair.here.shared.hold("quit")
    gate.set()
    first.read()
    second = gevent.spawn(pair.there.post, key=FEW)
    settle()
    quitting.set()
    settle()
    pair.clock.advance(LATE_S)
    assert second.get().status == 200


@pytest.mark.parametrize(("opens", "expected"), [(False, [503, 503, 503]), (True, [200, 200, 429])])
def test_while_the_store_is_away_limits_are_closed_or_each_process_counts_alone(
    opens: bool, expected: list[int]
) -> None:
    """As the operator chose."""
    pair = pair_of(quotas_open=opens)
    pair.away = True
    assert [done(pair.here.post(key=KEY)) for _ in range(3)] == expected
    assert done(pair.here.post(key=FREE)) == 200
