"""Streams over raw sockets: what a client gets, byte by byte, from the real gunicorn."""

import hashlib
import json

import pytest

from tests.live.conftest import asking
from tests.live.http import BrokenOffError, events, messages
from tests.live.service import Service
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
JSON = "application/json"
FIVE = "w0 w1 w2 w3 w4 "


def test_text_is_the_answer_and_nothing_else(relay: Service) -> None:
    """Without an Accept header of its own, curl reads the bare answer, in chunks."""
    with relay.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5")).answer()
    assert (head.status, body.decode()) == (200, FIVE)
    assert head.headers["transfer-encoding"] == "chunked"


def test_ndjson_is_one_event_per_line(relay: Service) -> None:
    """NDJSON gives start, text and finish, numbered from 1 without a gap."""
    with relay.connect() as client:
        _, body = client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
    told = events(body)
    assert [event["id"] for event in told] == list(range(1, len(told) + 1))
    assert [told[0]["type"], told[-1]["type"]] == ["start", "finish"]
    assert "".join(event.get("text", "") for event in told) == FIVE


def test_sse_carries_the_same_events(relay: Service) -> None:
    """An SSE message's id and event are those of the JSON in its data."""
    with relay.connect() as client:
        _, body = client.post("/v1/relay", asking("ok:5"), SSE).answer()
    told = messages(body)
    assert all((m["id"], m["event"]) == (str(m["data"]["id"]), m["data"]["type"]) for m in told)
    assert "".join(m["data"].get("text", "") for m in told) == FIVE


def test_json_is_the_whole_result(relay: Service) -> None:
    """JSON gives the text, the finish, and the hash of the text."""
    with relay.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5"), JSON).answer()
    result = json.loads(body)
    assert (head.status, result["text"]) == (200, FIVE)
    assert result["finish"]["sha256"] == hashlib.sha256(FIVE.encode()).hexdigest()


def test_headers_of_a_stream(relay: Service) -> None:
    """A stream says its id and its address, and that nobody may keep or buffer it."""
    with relay.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
    stream = events(body)[0]["stream"]
    assert head.headers["gloss-stream"] == stream
    assert head.headers["content-location"] == f"/v1/streams/{stream}"
    assert (head.headers["cache-control"], head.headers["x-accel-buffering"]) == ("no-store", "no")
    assert head.headers["content-type"] == "application/x-ndjson; charset=utf-8"


@pytest.mark.R5
@pytest.mark.parametrize("accept", [NDJSON, SSE])
def test_start_leaves_before_the_provider_has_said_anything(
    relay: Service, upstream: Upstream, accept: str
) -> None:
    """Head and start are there while the provider still waits behind its gate."""
    gate = f"start-{accept}"
    with relay.connect() as client:
        client.post("/v1/relay", asking(f"fault/silent:{gate}"), accept)
        assert client.head().status == 200
        assert b'"type":"start"' in client.chunk()
        upstream.gate(gate)
        assert b"finish" in client.chunks()


@pytest.mark.R5
def test_the_head_of_a_text_leaves_at_once_too(relay: Service, upstream: Upstream) -> None:
    """A text's head is there before its first word."""
    with relay.connect() as client:
        client.post("/v1/relay", asking("fault/silent:text-head"))
        assert client.head().status == 200
        upstream.gate("text-head")
        assert client.chunks().decode() == FIVE


@pytest.mark.R6
@pytest.mark.parametrize(("accept", "heartbeat"), [(NDJSON, b"\n"), (SSE, b": hb\n\n")])
def test_heartbeats_keep_a_silent_stream_alive(
    relay: Service, upstream: Upstream, accept: str, heartbeat: bytes
) -> None:
    """In a silence the encoding's heartbeat comes, which is no event."""
    gate = f"beat-{accept}"
    with relay.connect() as client:
        client.post("/v1/relay", asking(f"fault/silent:{gate}"), accept).head()
        client.chunk()
        assert client.chunk() == heartbeat
        upstream.gate(gate)
        client.chunks()


def test_a_connection_is_used_again(relay: Service) -> None:
    """After a whole answer the same connection takes the next request."""
    with relay.connect() as client:
        for _ in range(3):
            assert client.post("/v1/relay", asking("ok:5")).answer()[1].decode() == FIVE


@pytest.mark.R4
def test_a_running_stream_has_more_than_one_reader(relay: Service, upstream: Upstream) -> None:
    """A second reading gets every event from the beginning, with the same numbers."""
    with relay.connect() as first, relay.connect() as second:
        head = first.post("/v1/relay", asking("fault/stall:3:two-readers"), NDJSON).head()
        second.send("GET", head.headers["content-location"], Accept=NDJSON).head()
        upstream.gate("two-readers")
        one, other = events(first.chunks()), events(second.chunks())
    assert one == other


@pytest.mark.R3
@pytest.mark.R5
def test_who_has_all_there_is_gets_the_head_at_once(relay: Service, upstream: Upstream) -> None:
    """There is nothing to read yet; the client learns that there will be."""
    with relay.connect() as client, relay.connect() as other:
        client.post("/v1/relay", asking("fault/silent:nothing-yet"), NDJSON)
        at = client.head().headers["content-location"]
        assert other.send("GET", f"{at}?after=1", Accept=NDJSON).head().status == 200
        upstream.gate("nothing-yet")
        client.chunks()


def test_a_stream_is_read_again_from_any_number(relay: Service) -> None:
    """Reading after n gives what followed n, byte for byte."""
    with relay.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
        lines = body.splitlines(keepends=True)
        for after in range(len(lines)):
            again = client.send("GET", f"{head.headers['content-location']}?after={after}", Accept=NDJSON)
            assert again.answer()[1] == b"".join(lines[after:])


def test_nothing_is_left_after_the_end(relay: Service) -> None:
    """After the last event there is nothing (204); beyond it there is no such event (404)."""
    with relay.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:5"), NDJSON).answer()
        last = len(events(body))
        at = head.headers["content-location"]
        assert client.send("GET", f"{at}?after={last}", Accept=NDJSON).answer()[0].status == 204
        assert client.send("GET", f"{at}?after={last + 1}", Accept=NDJSON).answer()[0].status == 404
        assert client.send("GET", f"{at}?after=x", Accept=NDJSON).answer()[0].status == 422


@pytest.mark.R13
@pytest.mark.R14
def test_delete_ends_a_stream_for_its_readers(relay: Service, upstream: Upstream) -> None:
    """DELETE is answered 202, and readers get finish `cancelled` with the usage until then."""
    with relay.connect() as client, relay.connect() as other:
        head = client.post("/v1/relay", asking("fault/stall:3:never-deleted"), NDJSON).head()
        client.until(b"w2 ")
        assert other.send("DELETE", head.headers["content-location"]).answer()[0].status == 202
        end = events(client.chunks())[-1]
        assert other.send("DELETE", head.headers["content-location"]).answer()[0].status == 204
    assert (end["type"], end["reason"]) == ("finish", "cancelled")
    assert end["usage"]["input_tokens"] > 0
    assert upstream.journal("fault/stall:3:never-deleted", ended=1)[0]["ended"] == "peer"


def test_a_cancelled_text_is_cut(relay: Service) -> None:
    """A text that was cancelled ends without the last chunk: it is not the whole."""
    with relay.connect() as client, relay.connect() as other:
        head = client.post("/v1/relay", asking("fault/stall:3:never-cut")).head()
        client.until(b"w2 ")
        other.send("DELETE", head.headers["content-location"]).answer()
        with pytest.raises(BrokenOffError):
            client.chunks()


def test_the_callers_own_cap_ends_a_text_cleanly(relay: Service) -> None:
    """As long as the caller asked for is whole."""
    with relay.connect() as client:
        _, body = client.post("/v1/relay", asking("ok:50", max_output_tokens=5)).answer()
    assert body.startswith(b"w0 ")


def test_a_provider_that_ignores_its_cap_is_cut_here(relay: Service, upstream: Upstream) -> None:
    """The output cap holds also where the provider does not heed it, and closes the provider."""
    model = "fault/ignores-cap:5000"
    with relay.connect() as client:
        _, body = client.post("/v1/relay", asking(model, max_output_tokens=10), NDJSON).answer()
    end = events(body)[-1]
    assert (end["reason"], end["usage"]["output_tokens"]) == ("length", 10)
    assert upstream.journal(model, ended=1)[0]["asked"]["max_tokens"] == 10


def test_four_calls_at_once_come_in_order(relay: Service, upstream: Upstream) -> None:
    """A use case with four parallel calls gets four answers, told in their order."""
    with relay.connect() as client:
        body = {"prompt": "Say something.", "options": {"model": "ok:7"}}
        told = client.post("/v1/relay-four", body).answer()[1].decode()
    assert told == "".join(f"w{number} " for number in range(7)) * 4
    assert len({entry["connection"] for entry in upstream.journal("ok:7", begun=4)}) == 4


def test_http_1_0_gets_no_chunks_and_a_reset_for_half_an_answer(relay: Service) -> None:
    """HTTP/1.0 reads to the end of the connection; half an answer ends in a reset there."""
    body = json.dumps(asking("fault/no-finish:3")).encode()
    with relay.connect() as client:
        client.send("POST", "/v1/relay", body, version="1.0", Content_Length=str(len(body)))
        assert "transfer-encoding" not in client.head().headers
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_http_1_0_reads_a_whole_answer(relay: Service) -> None:
    """A whole answer ends with an orderly end of the connection."""
    body = json.dumps(asking("ok:5")).encode()
    with relay.connect() as client:
        client.send("POST", "/v1/relay", body, version="1.0", Content_Length=str(len(body))).head()
        assert client.rest().decode() == FIVE
