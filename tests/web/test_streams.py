"""The routes of streams: starting, reading again, cancelling, and who is there."""

import io
import json
import socket
from hashlib import sha256
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProviderError
from services.web.body import PIECE_BYTES, parts
from services.web.keys import new_key
from tests.streams.scripted import Gate, whole
from tests.streams.stage import JSON, NDJSON, SSE, STAGE, TEXT, Reply, Stage, joined, settle, use_case
from tests.wire import decode

ENCODINGS = [NDJSON, SSE, TEXT]


def waiting(gate: Gate | None = None) -> Stage:
    """A stage whose provider says a word and then waits at a gate."""
    return Stage(whole("Hello", gate or Gate(), " world"))


def ended(stage: Stage, reply: Reply) -> dict[str, Any]:
    """The end of a stream that is over."""
    settle()
    return stage.get(reply.stream).events()[-1]


# Starting


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (NDJSON, "application/x-ndjson; charset=utf-8"),
        (SSE, "text/event-stream; charset=utf-8"),
        (TEXT, "text/plain; charset=utf-8"),
        (None, "text/plain; charset=utf-8"),
        (JSON, "application/json; charset=utf-8"),
    ],
)
def test_a_stream_says_where_it_is(accept: str | None, content_type: str) -> None:
    """Every stream's head has its type, its id and path, and keeps caches and proxies' hands off."""
    stage = Stage()
    reply = stage.call("POST", "/v1/echo", accept=accept, data="{}")
    reply.read()
    assert (reply.status, reply.headers["Content-Type"]) == (200, content_type)
    assert reply.headers["Content-Location"] == f"/v1/streams/{reply.stream}"
    told = {
        name: reply.headers[name] for name in ("Cache-Control", "X-Accel-Buffering", "X-Content-Type-Options")
    }
    assert told == {
        "Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
    }  # fmt: skip


@pytest.mark.parametrize("accept", [NDJSON, SSE, TEXT, JSON])
def test_the_application_sets_no_hop_by_hop_header(accept: str) -> None:
    """Framing is the server's business: no length that is not known yet, nothing of the connection."""
    reply = Stage().post(accept=accept)
    reply.close()
    hop_by_hop = {"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer"}
    assert not hop_by_hop & set(reply.headers)
    assert ("Content-Length" in reply.headers) is (accept == JSON)


@pytest.mark.parametrize("accept", ENCODINGS)
def test_the_head_leaves_before_the_provider_speaks(accept: str) -> None:
    """The first item of the body is there at once; in SSE and NDJSON the start follows it."""
    stage = Stage((Gate(),))
    reply = stage.post(accept=accept)
    body = iter(reply.body)
    assert next(body) == b""
    if accept != TEXT:
        assert b'"type":"start"' in next(body)
    assert stage.provider.asked == [] or stage.provider.open
    reply.close()


def test_the_start_tells_what_holds_for_the_stream() -> None:
    """Model, prompt and version, our count of the input, the limits, the time in UTC."""
    start = Stage().post(options={"max_output_tokens": 7, "deadline_s": 30}).events()[0]
    assert start == {
        "id": 1, "type": "start", "stream": start["stream"], "use_case": "echo", "model": "scripted",
        "prompt": "echo@2", "input_tokens": start["input_tokens"],
        "limits": {"max_output_tokens": 7, "deadline_s": 30.0}, "created": "2026-01-02T03:04:05.678Z",
    }  # fmt: skip
    assert start["input_tokens"] > 0


def test_an_unknown_use_case_is_not_found() -> None:
    """404, whatever the body says."""
    assert Stage().post("nothing").status == 404


@pytest.mark.parametrize(
    ("accept", "body", "status"),
    [
        ("image/png", "{}", 406),
        (NDJSON, "{", 400),
        (NDJSON, "[]", 400),
        (NDJSON, '{"unknown": 1}', 422),
        (NDJSON, '{"text": 1}', 422),
        (NDJSON, '{"options": {"granularity": "letter"}}', 422),
        (NDJSON, '{"options": {"max_output_tokens": 0}}', 422),
        (NDJSON, '{"options": {"deadline_s": 0}}', 422),
        (NDJSON, '{"options": {"unknown": 0}}', 422),
    ],
)
def test_what_is_refused_is_refused_before_the_first_byte(accept: str, body: str, status: int) -> None:
    """A status, a problem, and nothing asked of the provider."""
    stage = Stage()
    reply = stage.call("POST", "/v1/echo", accept=accept, data=body)
    assert (reply.status, reply.headers["Content-Type"]) == (
        status,
        "application/problem+json; charset=utf-8",
    )
    assert (reply.json()["status"], stage.provider.asked, reply.stream) == (status, [], None)


def test_the_scope_of_a_key_is_the_use_case() -> None:
    """A key that may do one thing may not do another."""
    key, entry = new_key("web", scopes=["echo"])
    stage = Stage(settings={"keys": (entry.line(),)})
    assert [stage.post(name, key=key).status for name in ("echo", "mute")] == [200, 403]


# Reading again


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("by", ["header", "query"])
def test_a_reading_goes_on_after_a_number(after: int, by: str) -> None:
    """The same events with the same numbers, by ``Last-Event-ID`` or ``?after``."""
    stage = Stage()
    first = stage.post()
    events = first.events()
    if by == "header":
        again = stage.get(first.stream, headers={"Last-Event-ID": str(after)})
    else:
        again = stage.get(first.stream, path=f"?after={after}")
    assert again.events() == events[after:]


def test_the_header_beats_the_query() -> None:
    """A browser's EventSource sends the header with the URL that it began with."""
    stage = Stage()
    first = stage.post()
    events = first.events()
    again = stage.get(first.stream, path="?after=1", headers={"Last-Event-ID": "3"})
    assert again.events() == events[3:]


@pytest.mark.parametrize("accept", ENCODINGS)
def test_nothing_is_left_after_the_end(accept: str) -> None:
    """204 tells a native EventSource to stop reconnecting."""
    stage = Stage()
    first = stage.post()
    last = len(first.events())
    again = stage.get(first.stream, accept, headers={"Last-Event-ID": str(last)})
    assert (again.status, again.read()) == (204, b"")


@pytest.mark.parametrize(
    ("after", "status"), [("5", 404), ("999999999", 404), ("-1", 422), ("x", 422), ("1.0", 422), ("", 422),
                          ("9999999999", 422), ("\u0661", 422), ("1,2", 422)]
)  # fmt: skip
def test_a_number_that_is_none_is_refused(after: str, status: int) -> None:
    """Rubbish is 422; a number beyond the log is 404."""
    stage = Stage()
    first = stage.post()
    first.read()
    assert stage.call("GET", f"/v1/streams/{first.stream}", headers={"Last-Event-ID": after}).status == status


def test_a_running_stream_can_be_joined() -> None:
    """A second reader gets all from the beginning, then what comes, like the first."""
    gate = Gate()
    stage = waiting(gate)
    first = stage.post()
    readers = [gevent.spawn(first.events)]
    gate.reached.wait()
    readers += [gevent.spawn(stage.get(first.stream).events), gevent.spawn(stage.get(first.stream, SSE).read)]
    settle()
    gate.set()
    one, two, three = (reader.get() for reader in readers)
    assert one == two == [event for _, _, event in decode.sse(three)]


def test_a_running_stream_has_something_left() -> None:
    """Reading after the last event of a stream that runs waits for the next one."""
    gate = Gate()
    stage = waiting(gate)
    first = stage.post()
    reader = gevent.spawn(first.events)
    gate.reached.wait()
    again = gevent.spawn(stage.get(first.stream, headers={"Last-Event-ID": "2"}).events)
    settle()
    gate.set()
    assert again.get() == reader.get()[2:]


def test_a_json_reading_of_a_running_stream_waits_for_its_end() -> None:
    """The whole result, for a reader that comes late."""
    gate = Gate()
    stage = waiting(gate)
    first = stage.post()
    reader = gevent.spawn(first.events)
    gate.reached.wait()
    whole_result = gevent.spawn(stage.get, first.stream, JSON)
    settle()
    gate.set()
    assert whole_result.get().json()["text"] == joined(reader.get()) == "Hello world"


def test_a_stream_is_kept_for_a_while() -> None:
    """After the retention time it is not found."""
    stage = Stage(settings={"retention_s": 60})
    reply = stage.post()
    reply.read()
    stage.clock.advance(59)
    assert stage.get(reply.stream).status == 200
    stage.clock.advance(1)
    assert stage.get(reply.stream).status == 404


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", ["", "/status"])
def test_another_callers_stream_is_not_found(method: str, path: str) -> None:
    """404 for another key, 401 for none; the stream does not notice."""
    (mine, my_entry), (other, other_entry) = new_key("me"), new_key("other")
    gate = Gate()
    stage = Stage(whole("Hello", gate), settings={"keys": (my_entry.line(), other_entry.line())})
    first = stage.post(key=mine)
    if (method, path) != ("DELETE", "/status"):
        url = f"/v1/streams/{first.stream}{path}"
        assert [stage.call(method, url, key=key).status for key in (other, None)] == [404, 401]
    reader = gevent.spawn(first.events)
    gate.reached.wait()
    gate.set()
    assert reader.get()[-1]["reason"] == "stop"


@pytest.mark.parametrize("accept", [*ENCODINGS, JSON])
def test_a_head_request_is_no_reader(accept: str) -> None:
    """HEAD tells the type and leaves nobody behind."""
    stage = waiting()
    first = stage.post()
    settle()
    head = stage.call("HEAD", f"/v1/streams/{first.stream}", accept=accept)
    assert (head.status, head.stream, head.read()) == (200, first.stream, b"")
    first.close()
    assert ended(stage, first)["reason"] == "disconnected"


# Stopping


def test_a_cancel_has_no_body_and_no_type() -> None:
    """Whether the stream runs or has ended: it is an answer of the API, and no page."""
    stage = waiting()
    stream = stage.post().stream
    answers = []
    for _ in range(2):
        answers.append(stage.delete(stream))
        settle()
    assert [one.status for one in answers] == [202, 204]
    for one in answers:
        assert one.read() == b""
        assert "Content-Type" not in one.headers
        assert one.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_cancelling_twice_is_fine() -> None:
    """202, then 204 for a stream that has ended."""
    stage = waiting()
    reply = stage.post()
    assert stage.delete(reply.stream).status == 202
    settle()
    assert stage.delete(reply.stream).status == 204


def test_status_tells_how_a_stream_stands() -> None:
    """State, last number, usage, and the end that it came to."""
    stage = Stage()
    reply = stage.post()
    events = reply.events()
    status = stage.get(reply.stream, path="/status").json()
    end = events[-1]
    assert status == {"state": "ended", "last_id": 4, "usage": end["usage"], "finish": end, "problem": None}
    reply = Stage((ProviderError("no"),)).post()
    problem = reply.events()[-1]["problem"]
    assert problem["instance"] == f"/v1/streams/{reply.stream}"


def test_status_tells_the_problem() -> None:
    """A stream that failed shows the same object as its error event."""
    stage = Stage((ProviderError("no"),))
    reply = stage.post()
    problem = reply.events()[-1]["problem"]
    status = stage.get(reply.stream, path="/status").json()
    assert (status["finish"], status["problem"]) == (None, problem)


# Leaving


@pytest.mark.parametrize("accept", ENCODINGS)
@pytest.mark.parametrize("read_first", [True, False])
def test_the_last_reader_that_leaves_ends_the_stream(accept: str, read_first: bool) -> None:
    """A body that is closed, also one that was never asked for, closes the provider."""
    stage = waiting()
    reply = stage.post(accept=accept)
    if read_first:
        next(reply.pieces)
    settle()
    reply.close()
    end = ended(stage, reply)
    assert (end["reason"], stage.provider.open) == ("disconnected", [])
    assert end["usage"]["estimated"] is True


def test_closing_a_body_twice_counts_once() -> None:
    """Whoever else reads goes on."""
    gate = Gate()
    stage = waiting(gate)
    first = stage.post()
    second = stage.get(first.stream)
    reader = gevent.spawn(second.events)
    gate.reached.wait()
    first.close()
    first.close()
    settle()
    gate.set()
    assert reader.get()[-1]["reason"] == "stop"


def pair() -> tuple[socket.socket, socket.socket]:
    """Our side of a connection, and the client's."""
    return socket.socketpair()


@pytest.mark.parametrize("accept", ENCODINGS)
def test_a_hang_up_is_noticed_in_a_silence(accept: str) -> None:
    """Without a byte being written: the socket tells."""
    ours, client = pair()
    with ours:
        stage = waiting()
        reply = stage.call("POST", "/v1/echo", accept=accept, data="{}", environ={"gunicorn.socket": ours})
        reader = gevent.spawn(reply.read)
        settle()
        assert stage.provider.open
        client.close()
        gevent.wait([reader])
        assert stage.provider.open == []
        assert ended(stage, reply)["reason"] == "disconnected"


def test_a_json_caller_that_hangs_up_is_noticed() -> None:
    """Nothing is written before the end, and yet the provider is closed at once."""
    ours, client = pair()
    with ours:
        stage = waiting()
        environ = {"gunicorn.socket": ours}
        reader = gevent.spawn(stage.call, "POST", "/v1/echo", accept=JSON, data="{}", environ=environ)
        settle()
        client.close()
        assert reader.get().status == 204  # for nobody, but no error of ours
        settle()
        assert (stage.provider.open, stage.provider.closed_early) == ([], [True])


def test_bytes_of_a_next_request_are_no_hang_up() -> None:
    """A client that sends ahead is still there."""
    ours, client = pair()
    gate = Gate()
    with ours, client:
        stage = waiting(gate)
        environ = {"gunicorn.socket": ours}
        reply = stage.call("POST", "/v1/echo", accept=NDJSON, data="{}", environ=environ)
        reader = gevent.spawn(reply.events)
        client.sendall(b"GET / HTTP/1.1\r\n")
        gate.reached.wait()
        settle()
        gate.set()
        assert reader.get()[-1]["reason"] == "stop"
        assert ours.recv(3) == b"GET"


def test_the_socket_is_not_watched_after_the_answer() -> None:
    """A kept-alive connection belongs to its next request: what happens there is none of this stream's."""
    ours, client = pair()
    with ours:
        stage = Stage()
        environ = {"gunicorn.socket": ours}
        first = stage.call("POST", "/v1/echo", accept=NDJSON, data="{}", environ=environ)
        first.read()
        stage.provider.says = whole("Hello", Gate())
        other = stage.post()
        settle()
        client.close()
        settle()
        assert len(stage.provider.open) == 1
        other.close()


@pytest.mark.parametrize("accept", [NDJSON, JSON])
def test_a_socket_that_cannot_be_watched_leaves_no_reader_behind(accept: str) -> None:
    """A connection that is gone already: the stream ends, nobody pays for an answer without a reader."""
    ours, client = pair()
    ours.close()
    with client:
        stage = waiting()
        environ = {"gunicorn.socket": ours}
        assert stage.call("POST", "/v1/echo", accept=accept, data="{}", environ=environ).status == 500
        settle()
        assert stage.provider.open == []


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_a_cut_is_a_reset_where_there_are_no_chunks(protocol: str) -> None:
    """In HTTP/1.0 an orderly close is a whole answer, so there the connection is reset."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    with listener, client:
        stage = Stage(("Hello",))
        environ = {"gunicorn.socket": ours, "SERVER_PROTOCOL": protocol}
        reply = stage.call("POST", "/v1/echo", accept=TEXT, data="{}", environ=environ)
        with pytest.raises(ConnectionResetError):
            reply.read()
        ours.close()
        if protocol == "HTTP/1.0":
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        else:
            assert client.recv(1) == b""


@pytest.mark.parametrize(("accept", "beat"), [(SSE, b": hb\n\n"), (NDJSON, b"\n")])
def test_a_silent_stream_is_kept_alive(accept: str, beat: bytes) -> None:
    """Each ``heartbeat_s`` of silence gives the encoding's heartbeat."""
    stage = Stage(whole("Hello", Gate()), settings={"heartbeat_s": 5})
    reply = stage.post(accept=accept)
    got: list[bytes] = []
    reader = gevent.spawn(lambda: got.extend(reply.pieces))
    settle()
    got.clear()
    for _ in range(2):
        stage.clock.advance(5)
        settle()
    assert got == [beat, beat]
    reader.kill()
    reply.close()


def test_a_text_has_no_heartbeat() -> None:
    """There is nothing that could be sent without being text."""
    stage = Stage(whole("Hello", Gate()), settings={"heartbeat_s": 5})
    reply = stage.post(accept=TEXT)
    got: list[bytes] = []
    reader = gevent.spawn(lambda: got.extend(reply.pieces))
    settle()
    stage.clock.advance(12)
    settle()
    assert got == [b"Hello"]
    reader.kill()
    reply.close()


# Room

FULL_BY_ONE = {"max_streams": 1, "max_queued": 0}


def test_a_full_house_refuses() -> None:
    """503 with ``Retry-After``; who is inside does not notice; when one ends there is room."""
    gate = Gate()
    stage = Stage(whole("Hello", gate), settings=FULL_BY_ONE)
    first = stage.post()
    refused = stage.post()
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    reader = gevent.spawn(first.events)
    gate.reached.wait()
    gate.set()
    assert reader.get()[-1]["reason"] == "stop"
    assert stage.post().status == 200


def test_a_full_house_looks_at_nothing() -> None:
    """It refuses before it counts what was sent: being full must not cost time."""
    stage = Stage((Gate(),), settings={**FULL_BY_ONE, "max_input_tokens": 1})
    first = stage.post(text="a")
    assert stage.post(text="much too long").status == 503
    assert stage.call("POST", "/v1/echo", data="{").status == 503
    first.close()


def test_who_may_not_come_in_is_not_told_that_it_is_full() -> None:
    """Who is calling comes first: a stranger learns nothing of the load."""
    key, entry = new_key("k")
    stage = Stage((Gate(),), settings={**FULL_BY_ONE, "keys": (entry.line(),)})
    first = stage.post(key=key)
    assert (stage.post().status, stage.post(key=key).status) == (401, 503)
    first.close()


def test_two_that_open_at_once_do_not_pass_the_limit_together() -> None:
    """Room is taken when the stream begins, not when it is asked for."""
    gate = Gate()

    def slow(given: Any, context: Any) -> Any:
        gate.wait()
        return (yield from STAGE["echo"].transform(given, context))

    stage = Stage(use_cases=STAGE | {"echo": use_case("echo", slow)}, settings=FULL_BY_ONE)
    starts = [gevent.spawn(stage.post) for _ in range(2)]
    gate.reached.wait()
    settle()
    gate.set()
    replies = [start.get() for start in starts]
    assert sorted(reply.status for reply in replies) == [200, 503]
    for reply in replies:
        reply.close()


class SlowBody(io.BytesIO):
    """A body that stops in the middle until the gate is opened."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.gate = Gate()

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            self.gate.wait()
        return super().read(size)


def test_one_stream_at_a_time_runs_where_memory_is_short() -> None:
    """Others are refused, and it feels nothing; with none at all it would be so for ever."""
    gate = Gate()
    stage = Stage(whole("Hello", gate), settings={"max_memory_mb": 1})
    first, refused = stage.post(), stage.post()
    assert (refused.status, refused.json()["detail"]) == (503, "The process is short of memory.")
    gate.set()
    assert first.events()[-1]["reason"] == "stop"
    assert stage.post().status == 200


@pytest.mark.parametrize(("memory_mb", "status"), [(1, 503), (1_000_000, 200)])
def test_large_bodies_are_refused_while_they_come_if_memory_is_short(memory_mb: int, status: int) -> None:
    """The first 64 KB of a body are read whatever it is; the rest where no other body is being read."""
    stage = Stage(settings={"max_memory_mb": memory_mb, "max_input_tokens": 1_000_000})
    large = json.dumps({"text": "word " * 20_000})
    slow = SlowBody(large.encode())
    first = gevent.spawn(
        stage.call, "POST", "/v1/echo", data=large, accept=NDJSON, environ={"wsgi.input": slow}
    )
    slow.gate.reached.wait()
    second = stage.call("POST", "/v1/echo", data=large)
    assert (second.status, b"short of memory" in second.read()) == (status, status == 503)
    assert stage.post(text="a").read()
    slow.gate.set()
    assert first.get().status == 200


# A process that stops


def stopping() -> tuple[Stage, Gate, Reply]:
    """A stage that was told to stop while a stream runs."""
    gate = Gate()
    stage = Stage(whole("Hello", gate, " world"))
    running = stage.post()
    stage.app.extensions["gloss"].drain.begin()
    return stage, gate, running


def test_a_process_that_stops_begins_no_stream() -> None:
    """503 `shutting-down`, with ``Retry-After``, before anything is counted or taken."""
    stage, _, running = stopping()
    refused = stage.post("diary")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json()["type"] == "/problems/shutting-down"
    running.close()


def test_what_runs_goes_on_while_the_process_stops() -> None:
    """A running stream comes to its own end, and can be read, looked at and cancelled until then."""
    stage, gate, running = stopping()
    other = stage.get(running.stream)
    assert stage.get(running.stream, path="/status").json()["state"] == "running"
    gate.set()
    assert joined(running.events()) == joined(other.events()) == "Hello world"
    assert stage.delete(running.stream).status == 204


def test_a_stream_that_would_begin_after_the_signal_does_not() -> None:
    """A request that came before the signal, and is planned after it, is refused too."""
    gate = Gate()

    def slow(given: Any, context: Any) -> Any:
        gate.wait()
        return (yield from STAGE["echo"].transform(given, context))

    stage = Stage(use_cases=STAGE | {"echo": use_case("echo", slow)})
    start = gevent.spawn(stage.post)
    gate.reached.wait()
    stage.app.extensions["gloss"].drain.begin()
    gate.set()
    assert start.get().status == 503


def test_a_process_that_stops_is_not_ready() -> None:
    """Balancers are told to send nothing more, and when to ask again."""
    stage, _, running = stopping()
    answer = stage.call("GET", "/readyz")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["checks"]["accepting"] is False
    running.close()


# Readers that are far behind


@given(st.lists(st.binary(max_size=40_000), max_size=12))
def test_what_is_written_is_cut_between_frames(frames: list[bytes]) -> None:
    """The same frames, in parts that hold their size and no frame more; none is one too, a heartbeat."""
    cut = list(parts(frames))
    assert [frame for part in cut for frame in part] == frames
    sizes = [sum(map(len, part)) for part in cut]
    assert all(size >= PIECE_BYTES for size in sizes[:-1])
    assert all(sum(map(len, part[:-1])) < PIECE_BYTES for part in cut)
    assert len(cut) == 1 or all(cut)


@pytest.mark.parametrize("accept", ENCODINGS)
def test_a_long_answer_is_read_again_in_pieces(accept: str) -> None:
    """A reader that takes nothing more has one piece in its hands, and not the whole."""
    stage = Stage(whole(*["word " * 1000] * 100), settings={"max_output_tokens": 200_000})
    first = stage.post(accept=accept)
    told = first.read()
    again = list(stage.get(first.stream, accept=accept).pieces)
    assert b"".join(again) == told
    assert max(map(len, again)) < PIECE_BYTES + 10_000


PADDED = {"pad_bytes": 128}


@pytest.mark.S19
@pytest.mark.parametrize("accept", [NDJSON, SSE, JSON, "*/*"])
def test_where_sizes_are_hidden_every_piece_is_a_multiple(accept: str) -> None:
    """The events, their numbers and the sum of the text are the same, in one piece too."""
    stage = Stage(whole("Hello", " wonderful", " world", "\n" * 99), settings=PADDED)
    reply = stage.post(accept=accept)
    pieces = [len(piece) for piece in reply.pieces]
    assert pieces
    assert {size % 128 for size in pieces} == {0}
    told = stage.get(reply.stream).events()
    assert joined(told) == f"Hello wonderful world{chr(10) * 99}"
    assert told[-1]["sha256"] == sha256(joined(told).encode()).hexdigest()
    assert [event["id"] for event in told] == list(range(1, len(told) + 1))


@pytest.mark.S19
def test_where_sizes_are_hidden_plain_text_is_refused() -> None:
    """Nothing is begun, and it is said what there is."""
    stage = Stage(settings=PADDED)
    refused = stage.post(accept=TEXT)
    assert (refused.status, stage.provider.asked) == (406, [])
    assert NDJSON in refused.json()["detail"]
