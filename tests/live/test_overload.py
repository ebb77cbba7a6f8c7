"""A process that is full: who waits, who is refused, and that those who run feel nothing."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.full import NDJSON, House, running
from tests.live.http import Connection, events
from tests.live.service import Service
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

ENCODINGS = ["text/plain", NDJSON, "text/event-stream", "application/json"]


@pytest.fixture(scope="module")
def service(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("full")
    with running(upstream, folder, GLOSS_MAX_STREAMS="2", GLOSS_MAX_QUEUED="2") as service:
        yield service


@pytest.fixture
def house(service: Service, upstream: Upstream, request: pytest.FixtureRequest) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(service, upstream, re.sub(r"\W", "-", request.node.name), stack)


@pytest.mark.parametrize("accept", ENCODINGS)
def test_who_finds_no_place_is_refused_at_once(house: House, accept: str) -> None:
    """503 with ``Retry-After``, in every encoding; nobody else notices."""
    guests = house.fill()
    head, body = house.enter("e", accept).answer()
    assert (head.status, json.loads(body)["type"]) == (503, "/problems/overloaded")
    assert 1 <= int(head.headers["retry-after"]) <= 30
    house.serve(*"abcd")
    for guest in "ab":
        assert events(guests[guest].answer()[1])[-1]["reason"] == "stop"
    for guest in "cd":
        assert b'"reason":"stop"' in guests[guest].chunks()
    assert not house.was_asked_for("e")


def test_a_refusal_does_not_wait_for_the_body(house: House) -> None:
    """It comes when the head has come."""
    house.fill()
    with house.service.connect() as client:
        client.send("POST", "/v1/relay", Accept=NDJSON, Content_Length="1000")
        assert client.answer()[0].status == 503
    house.serve(*"abcd")


def test_a_slot_that_comes_free_goes_to_who_waited_longest(house: House) -> None:
    """The provider is asked for it then, and not before; who stood behind moves up."""
    guests = house.fill()
    assert not house.was_asked_for("c")
    house.serve("a")
    house.works("c")
    guests["d"].until(b'"place":1')
    assert not house.was_asked_for("d")
    house.serve(*"bcd")


def test_who_waits_hears_heartbeats(house: House) -> None:
    """A place that does not move is no reason to be silent."""
    waiting = house.fill()["d"]
    assert [waiting.chunk() for _ in range(3)] == [b"\n"] * 3
    house.serve(*"abcd")


@pytest.mark.parametrize("way", [Connection.close, Connection.reset])
def test_who_hangs_up_while_waiting_frees_the_place_and_costs_nothing(house: House, way) -> None:
    """The next one moves up, and the provider never hears of who left."""
    guests = house.fill()
    way(guests["c"])
    guests["d"].until(b'"place":1')
    house.serve("a")
    house.works("d")
    assert not house.was_asked_for("c")
    house.serve("b", "d")


def test_waiting_ends_by_its_own_limit(upstream: Upstream, tmp_path: Path) -> None:
    """Streams with ``error`` ``overloaded``, an answer in one piece with that status."""
    with (
        running(upstream, tmp_path, GLOSS_MAX_STREAMS="1", GLOSS_QUEUE_S="0.3") as service,
        ExitStack() as stack,
    ):
        house = House(service, upstream, "limit", stack)
        house.enter("a")
        house.works("a")
        told = events(house.enter("b").answer()[1])
        head, _ = house.enter("c", "application/json").answer()
    assert [event["type"] for event in told] == ["start", "notice", "error"]
    assert (told[-1]["problem"]["type"], told[-1]["partial"]) == ("/problems/overloaded", False)
    assert (head.status, "retry-after" in head.headers) == (503, True)
    assert not house.was_asked_for("b")


def test_where_memory_is_short_new_streams_are_refused_and_others_run_on(
    upstream: Upstream, tmp_path: Path
) -> None:
    """``/readyz`` says it; one may always run, so that a process that is small is not full for ever."""
    with running(upstream, tmp_path, GLOSS_MAX_MEMORY_MB="1") as service, ExitStack() as stack:
        house = House(service, upstream, "memory", stack)
        guest = house.enter("a")
        house.works("a")
        _, refused = house.enter("b").answer()
        assert json.loads(refused)["detail"] == "The process is short of memory."
        ready = stack.enter_context(service.connect()).send("GET", "/readyz").answer()
        assert (ready[0].status, json.loads(ready[1])["checks"]["resources"]) == (503, False)
        house.serve("a")
        assert events(guest.answer()[1])[-1]["reason"] == "stop"
        house.serve("c")
        assert events(house.enter("c").answer()[1])[-1]["reason"] == "stop"
    assert "New streams are refused where memory is short: from 1 MB on." in service.log
