"""The worker over raw sockets: slow clients, silent ones, bodies as they arrive, and the end."""

import json
import select
import signal
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificate import self_signed
from tests.live.conftest import asking
from tests.live.http import BrokenOffError, Connection, events
from tests.live.service import Service, serving
from tests.upstream.fixtures import Upstream

pytestmark = pytest.mark.live

NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
# What a client's kernel takes that nobody reads: the least there is.
LITTLE = 4096
# Each limit of the server, in seconds: short, so that no test waits long; none measures it.
LIMIT_S = "1"
FEW_DESCRIPTORS = ["sh", "-c", 'ulimit -n 110; exec "$0" "$@"']


def relay_settings(upstream: Upstream) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-of-the-tests",
        "GLOSS_MODEL": "ok:5",
        "GLOSS_MODELS": "*",
        "GLOSS_MAX_OUTPUT_TOKENS": "100000",
        "GLOSS_HEARTBEAT_S": "0.2",
    }


@pytest.fixture(scope="module")
def short(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The relay with short limits for clients."""
    with serving(
        tmp_path_factory.mktemp("short"),
        **relay_settings(upstream),
        GLOSS_WRITE_TIMEOUT_S=LIMIT_S,
        GLOSS_HEAD_S=LIMIT_S,
        GLOSS_BODY_S=LIMIT_S,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same server before an application that shows it."""
    with serving(
        tmp_path_factory.mktemp("bare"),
        app="tests.live.bare:app",
        GLOSS_WRITE_TIMEOUT_S=LIMIT_S,
        GLOSS_HEAD_S=LIMIT_S,
    ) as service:
        yield service


def ends(client: Connection) -> bool:
    """Wait for the server's end of a connection, and tell whether nothing came before it."""
    try:
        return client.socket.recv(65536) == b""
    except ConnectionResetError:
        return True


def answers(client: Connection, path: str = "/healthz") -> int:
    return client.send("GET", path).answer()[0].status


# Slow readers


@pytest.mark.R15
@pytest.mark.parametrize("tokens", [4_000, 30_000], ids=["little to say", "much to say"])
@pytest.mark.parametrize("accept", ["text/plain", NDJSON])
def test_a_reader_that_takes_nothing_is_cut(
    short: Service, upstream: Upstream, accept: str, tokens: int
) -> None:
    """Its provider is closed, also where all that was said fits into buffers; others run on untouched."""
    stuck = f"fault/stall:{tokens}:never-{accept}"
    gate = f"beside-{accept}-{tokens}"
    with short.connect() as other, short.connect(takes=LITTLE) as client:
        other.post("/v1/relay", asking(f"fault/stall:3:{gate}"), NDJSON).head()
        client.post("/v1/relay", asking(stuck), accept)
        assert upstream.journal(stuck, ended=1)[0]["ended"] == "peer"
        upstream.gate(gate)
        assert events(other.chunks())[-1]["reason"] == "stop"
        with pytest.raises((ConnectionResetError, BrokenOffError)):
            client.answer()


@pytest.mark.R15
def test_a_slow_reader_that_takes_some_is_not_cut(short: Service, upstream: Upstream) -> None:
    """It takes less than would make its socket writable, for many times the limit, and gets all."""
    body = json.dumps(asking("ok:20000")).encode()
    with short.connect() as metronome, short.connect(takes=LITTLE) as client:
        metronome.post("/v1/relay", asking("fault/silent:never-a-beat"), NDJSON).head()
        client.send("POST", "/v1/relay", body, version="1.0", Accept=NDJSON, Content_Length=str(len(body)))
        read = b""
        for _ in range(30):
            metronome.until(b"\n")
            read += client.socket.recv(2048)
        told = events((read + client.rest()).partition(b"\r\n\r\n")[2])
    assert [event["id"] for event in told] == list(range(1, len(told) + 1))
    assert told[-1]["reason"] == "stop"


@pytest.mark.R15
def test_a_reader_that_takes_nothing_holds_little(bare: Service) -> None:
    """Less than a MiB has left the application's hands when its reader is cut."""
    with bare.connect(takes=LITTLE) as client, bare.connect() as other:
        client.send("GET", "/pour")
        given = int(other.send("GET", "/poured").answer()[1])
    assert 0 < given < 2**20


def test_a_reader_that_is_far_behind_gets_pieces(short: Service) -> None:
    """What it missed is not put together first: a slow one would hold it whole."""
    with short.connect() as client:
        head, body = client.post("/v1/relay", asking("ok:20000"), NDJSON).answer()
        client.send("GET", head.headers["content-location"], Accept=NDJSON).head()
        pieces = list(iter(client.chunk, b""))
    assert events(b"".join(pieces)) == events(body)
    assert max(map(len, pieces)) < 100_000 < len(body)


def test_an_idle_connection_is_not_cut(short: Service, upstream: Upstream) -> None:
    """It outlives the limits for heads and for readers: keep-alive has its own."""
    with short.connect() as idle, short.connect(takes=LITTLE) as stuck, short.connect() as silent:
        assert answers(idle) == 200
        stuck.post("/v1/relay", asking("fault/stall:2000:never-idle"), NDJSON)
        upstream.journal("fault/stall:2000:never-idle", ended=1)
        assert ends(silent)
        assert answers(idle) == 200


# Slow heads


def trickle(client: Connection, data: bytes) -> bytes:
    """Send a byte at a time until the server says something; return what was not sent."""
    for place in range(len(data)):
        if select.select([client.socket], [], [], 0.02)[0]:
            return data[place:]
        client.socket.send(data[place : place + 1])
    return b""


@pytest.mark.S11
@pytest.mark.R16
def test_a_head_that_trickles_in_is_refused(short: Service) -> None:
    """It must be whole so long after its first byte, however many bytes still come: 408, and closed."""
    with short.connect() as client:
        unsent = trickle(client, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 1000)
        head, body = client.answer()
        assert ends(client)
    assert (head.status, json.loads(body)["type"], head.headers["connection"]) == (
        408,
        "/problems/request-timeout",
        "close",
    )
    assert unsent


def test_half_a_head_is_refused_on_a_used_connection_too(short: Service) -> None:
    """The long keep-alive is for connections on which nothing has begun."""
    with short.connect() as client:
        assert answers(client) == 200
        client.socket.sendall(b"GET /healthz HT")
        assert client.answer()[0].status == 408


def test_half_a_head_behind_a_request_is_refused_too(short: Service) -> None:
    """A head that began together with the request before it has begun."""
    with short.connect() as client:
        client.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /healthz HT")
        assert client.answer()[0].status == 200
        assert client.answer()[0].status == 408


def test_a_connection_that_says_nothing_is_closed(short: Service) -> None:
    """Without a word."""
    with short.connect() as client:
        assert ends(client)


def test_an_idle_connection_is_closed_in_its_time(tmp_path: Path) -> None:
    """After gunicorn's ``keepalive``, without a word."""
    with (
        serving(tmp_path, app="tests.live.bare:app", GUNICORN_CMD_ARGS="--keep-alive 1") as service,
        service.connect() as client,
    ):
        assert answers(client) == 200
        assert ends(client)


def test_tls_is_spoken_within_the_same_limits(tmp_path: Path) -> None:
    """Where gunicorn was given a certificate; a handshake is part of a new connection's time."""
    made = self_signed(tmp_path)
    with (
        serving(
            tmp_path,
            app="tests.live.bare:app",
            tls=ssl.create_default_context(cafile=made.file),
            GUNICORN_CMD_ARGS=f"--certfile {made.file} --keyfile {made.key}",
            GLOSS_HEAD_S=LIMIT_S,
            GLOSS_WRITE_TIMEOUT_S=LIMIT_S,
        ) as service,
        service.connect() as idle,
        service.connect(takes=LITTLE) as stuck,
        Connection(service.port) as silent,
    ):
        assert answers(idle) == 200
        stuck.send("GET", "/pour")
        assert int(idle.send("GET", "/poured").answer()[1]) > 0
        silent.rest()
        assert answers(idle) == 200


# Bodies


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("path", ["/lines", "/pieces"])
def test_a_body_is_seen_chunk_by_chunk(bare: Service, path: str) -> None:
    """What was sent has arrived: each line is answered before the next one is sent."""
    with bare.connect() as client:
        client.send("POST", path, Transfer_Encoding="chunked")
        for line in (b"one\n", b"two\n", b"three\n"):
            client.socket.sendall(chunk(line))
            if line == b"one\n":
                client.head()
            assert client.chunk() == line
        client.socket.sendall(chunk(b""))
        assert client.chunk() == b""


def test_a_line_is_seen_when_its_end_has_come(bare: Service) -> None:
    """Chunks need not be lines."""
    with bare.connect() as client:
        client.send("POST", "/lines", chunk(b"one") + chunk(b"\ntw"), Transfer_Encoding="chunked").head()
        assert client.chunk() == b"one\n"
        client.socket.sendall(chunk(b"o\n"))
        assert client.chunk() == b"two\n"


@pytest.mark.S11
@pytest.mark.R16
def test_a_body_that_trickles_in_is_refused(short: Service) -> None:
    """The limit is for the whole body, however many bytes still come: 408, and closed."""
    with short.connect() as client:
        client.send("POST", "/v1/relay", Content_Length="2000")
        unsent = trickle(client, b"{" * 2000)
        head, body = client.answer()
        assert ends(client)
    assert (head.status, json.loads(body)["type"]) == (408, "/problems/request-timeout")
    assert head.headers["connection"] == "close"
    assert unsent


def test_a_connection_is_used_again_after_a_body(short: Service) -> None:
    """In chunks, of a known length with the head, and after it; also where nobody read it."""
    body = json.dumps(asking("ok:5")).encode()
    with short.connect() as client:
        client.send("POST", "/v1/relay", chunk(body) + b"0\r\n\r\n", Transfer_Encoding="chunked")
        assert client.answer()[0].status == 200
        client.send("POST", "/v1/relay", Content_Length=str(len(body)), Expect="100-continue")
        assert client.head().status == 100
        client.socket.sendall(body)
        assert client.answer()[0].status == 200
        assert (
            client.send("POST", "/v1/nothing", body, Content_Length=str(len(body))).answer()[0].status == 404
        )
        assert answers(client) == 200


def test_a_body_that_nobody_reads_ends_the_connection(short: Service) -> None:
    """The answer is whole and says so; gigabytes to come are not taken in to be thrown away."""
    with short.connect() as client:
        client.send("POST", "/v1/relay", b"{" * 100_000, Content_Length=str(10**10))
        head, _ = client.answer()
        assert (head.status, head.headers["connection"]) == (413, "close")
        assert ends(client)


@pytest.mark.parametrize("asked", ["close", ""])
def test_an_answer_that_waited_ends_its_connection_if_asked_to(
    short: Service, upstream: Upstream, asked: str
) -> None:
    """What the head of the request asked for holds at the answer's end, and what was sent behind it too."""
    model = f"fault/stall:3:wished-{asked or 'nothing'}"
    with short.connect() as client:
        client.post("/v1/relay", asking(model), NDJSON, Connection=asked)
        client.head()
        client.until(b'"text"')
        client.socket.sendall(GET + b"\r\n")
        upstream.gate(model.rpartition(":")[2])
        assert events(client.chunks())[-1]["reason"] == "stop"
        if asked:
            assert ends(client)
        else:
            assert client.answer()[0].status == 200


def test_who_is_behind_a_connection_is_known_for_all_its_requests(tmp_path: Path) -> None:
    """The PROXY protocol tells it once."""
    asked = "--proxy-protocol=v1 --access-logfile -"
    with serving(tmp_path, app="tests.live.bare:app", GUNICORN_CMD_ARGS=asked) as service:
        with service.connect() as client:
            client.socket.sendall(b"PROXY TCP4 192.0.2.7 127.0.0.1 56324 443\r\n")
            assert [answers(client) for _ in range(3)] == [200, 200, 200]
        assert "127.0.0.1 [" not in service.log.partition("192.0.2.7")[2]


GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /v1/relay HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n"
AT_FAULT = {
    "chunk size": POST + CHUNKS + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk end": POST + CHUNKS + b"\r\n1\r\n{}\r\n0\r\n\r\n",
    "TE and CL": POST + CHUNKS + b"Content-Length: 2\r\n\r\n{}",
    "unknown TE": POST + b"Transfer-Encoding: odd\r\n\r\n",
    "two CL": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "odd CL": POST + b"Content-Length: +2\r\n\r\n{}",
    "bare LF": b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
    "bare LF in a head": GET + b"X: y\nZ: z\r\n\r\n",
    "obs-fold": GET + b"X: y\r\n z\r\n\r\n",
    "NUL": GET + b"X: \x00\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": GET + b"Host: 127.0.0.1\r\n\r\n",
    "long line": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "many fields": GET + b"X: y\r\n" * 200 + b"\r\n",
    "other expectations": GET + b"Expect: miracles\r\n\r\n",
}


TOO_LARGE = {"long line": 414, "many fields": 431}


@pytest.mark.S11
@pytest.mark.parametrize("name", AT_FAULT)
def test_bad_http_is_refused_and_closed(short: Service, name: str) -> None:
    """4xx, never an error of ours, and nobody looks for a next request in what follows."""
    with short.connect() as client:
        client.socket.sendall(AT_FAULT[name] + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head, body = client.answer()
        assert ends(client)
    status = TOO_LARGE.get(name, 400)
    assert (head.status, json.loads(body)["status"]) == (status, status)
    assert head.headers["connection"] == "close"


def test_a_header_of_ours_that_is_bad_is_our_fault(bare: Service) -> None:
    """What the application should not have set is no fault of the client's."""
    with bare.connect() as client:
        assert answers(client, "/bad-header") == 500


# Room


def test_idle_connections_leave_room_for_others(tmp_path: Path) -> None:
    """More of them than there may be descriptors keep nobody out: those idle the longest go."""
    with (
        serving(tmp_path, app="tests.live.bare:app", before=FEW_DESCRIPTORS) as service,
        ExitStack() as opened,
    ):
        assert "connections fit into 110 descriptors" in service.log
        idle = []
        for _ in range(150):
            idle.append(opened.enter_context(service.connect()))
            assert answers(idle[-1]) == 200
        assert ends(idle[0])
        assert answers(idle[-1]) == 200
    assert "Traceback" not in service.log


def test_room_is_made_for_many_at_once(tmp_path: Path) -> None:
    """Who comes together with others waits a turn for idle ones to leave, and is answered."""
    with (
        serving(tmp_path, app="tests.live.bare:app", before=FEW_DESCRIPTORS) as service,
        ExitStack() as opened,
    ):
        for _ in range(30):
            assert answers(opened.enter_context(service.connect())) == 200
        with service.paused():
            together = [opened.enter_context(service.connect()) for _ in range(15)]
        assert [answers(client) for client in together] == [200] * 15


@pytest.mark.R20
def test_when_all_are_busy_others_are_told(upstream: Upstream, tmp_path: Path) -> None:
    """503 with Retry-After, also beyond the few that are taken in for that; then there is room again."""
    with (
        serving(tmp_path, **relay_settings(upstream), before=FEW_DESCRIPTORS) as service,
        ExitStack() as opened,
    ):
        served, refused = [], []
        for _ in range(40):
            client = opened.enter_context(service.connect())
            head = client.post("/v1/relay", asking("fault/stall:3:busy"), NDJSON).head()
            (served if head.status == 200 else refused).append((client, head))
        assert f'"event":"{len(served)} connections fit' in service.log
        assert {(head.status, head.headers["retry-after"]) for _, head in refused} == {(503, "1")}
        upstream.gate("busy")
        assert {events(client.chunks())[-1]["reason"] for client, _ in served} == {"stop"}
        with service.connect() as client:
            assert client.post("/v1/relay", asking("ok:5")).answer()[0].status == 200
    assert "Traceback" not in service.log


@pytest.mark.R20
def test_without_descriptors_others_are_told(tmp_path: Path) -> None:
    """Who cannot be taken in gets 503 and an end, not silence; it passes, and the worker lives."""
    with serving(tmp_path, app="tests.live.bare:app", before=FEW_DESCRIPTORS) as service:
        with service.connect() as hoard:
            hoard.send("POST", "/hoard", Transfer_Encoding="chunked").head()
            assert hoard.chunk() == b"Too many open files"
            for _ in range(3):
                with service.paused():
                    client = service.connect().send("GET", "/")
                with client:
                    head, body = client.answer()
                    assert (head.status, json.loads(body)["type"]) == (503, "/problems/overloaded")
                    assert head.headers["retry-after"] == "1"
                    assert client.socket.recv(1) == b""
            hoard.socket.sendall(chunk(b"\n") + chunk(b""))
            assert hoard.chunks() == b"let go"
        with service.connect() as client:
            assert answers(client) == 200
    assert service.log.count("Booting worker") == 1
    assert "Traceback" not in service.log


def test_without_descriptors_idle_connections_leave_theirs(tmp_path: Path) -> None:
    """Nobody is refused while somebody is there who asks for nothing."""
    with (
        serving(tmp_path, app="tests.live.bare:app", before=FEW_DESCRIPTORS) as service,
        service.connect() as idle,
        service.connect() as hoard,
    ):
        assert answers(idle) == 200
        hoard.send("POST", "/hoard", Transfer_Encoding="chunked").head()
        assert hoard.chunk() == b"Too many open files"
        with service.connect() as client:
            assert answers(client) == 200
        assert ends(idle)
        hoard.socket.sendall(chunk(b"\n") + chunk(b""))
        assert hoard.chunks() == b"let go"


# The end


@dataclass
class Stopping:
    """A service that was told to stop while a stream runs, and knows it."""

    service: Service
    running: Connection
    at: str
    silent: Connection

    def ends_by_itself(self) -> bool:
        """Wait for the process, and tell whether nothing had to be cut for it."""
        code = self.service.process.wait(30)
        return code == 0 and "grace time" not in self.service.log and "Traceback" not in self.service.log


@contextmanager
def stopping(upstream: Upstream, folder: Path, gate: str, **env: str) -> Iterator[Stopping]:
    """Send SIGTERM; an idle connection, which is closed at once, tells that it was heard."""
    with (
        serving(folder, **relay_settings(upstream), **env) as service,
        service.connect() as idle,
        service.connect() as silent,
        service.connect() as running,
    ):
        assert answers(idle) == 200
        head = running.post("/v1/relay", asking(f"fault/stall:3:{gate}"), NDJSON).head()
        service.process.send_signal(signal.SIGTERM)
        assert ends(idle)
        yield Stopping(service, running, head.headers["content-location"], silent)


def test_a_process_that_stops_takes_nothing_new(upstream: Upstream, tmp_path: Path) -> None:
    """/readyz and POST get 503 with Retry-After, on connections old and new, which are closed then."""
    with stopping(upstream, tmp_path, "stop-new") as stop:
        with stop.service.connect() as client:
            head, body = client.post("/v1/relay", asking("ok:5")).answer()
            assert (head.status, head.headers["retry-after"], head.headers["connection"]) == (
                503,
                "2",
                "close",
            )
            assert json.loads(body)["type"] == "/problems/shutting-down"
            assert ends(client)
        head, body = stop.silent.send("GET", "/readyz").answer()
        assert (head.status, head.headers["retry-after"], head.headers["connection"]) == (503, "2", "close")
        assert json.loads(body)["checks"]["accepting"] is False
        upstream.gate("stop-new")
        assert events(stop.running.chunks())[-1]["reason"] == "stop"
        assert stop.ends_by_itself()


def test_what_runs_goes_on_while_the_process_stops(upstream: Upstream, tmp_path: Path) -> None:
    """A stream is read on, joined and cancelled; a second signal changes nothing; then it is gone."""
    with (
        stopping(upstream, tmp_path, "never-stop-runs") as stop,
        stop.service.connect() as other,
        stop.service.connect() as last,
    ):
        other.send("GET", stop.at, Accept=NDJSON).head()
        stop.service.process.send_signal(signal.SIGTERM)
        other.until(b"w2 ")
        assert last.send("DELETE", stop.at).answer()[0].status == 202
        told = events(stop.running.chunks())
        assert told[-1]["reason"] == "cancelled"
        assert stop.ends_by_itself()


def test_a_stream_without_readers_ends_before_the_process(upstream: Upstream, tmp_path: Path) -> None:
    """Whose caller wanted it finished, it is; meanwhile nobody holds a connection."""
    model = "paced:21:50"
    with serving(tmp_path, **relay_settings(upstream)) as service, service.connect() as idle:
        assert answers(idle) == 200
        with service.connect() as client:
            head = client.post("/v1/relay", asking(model, on_disconnect="finish"), NDJSON).head()
            assert head.status == 200
        service.process.send_signal(signal.SIGTERM)
        assert ends(idle)
        assert upstream.journal(model, ended=1)[0]["ended"] == "upstream"
        assert service.process.wait(30) == 0
    assert '"reason":"stop"' in service.log


def test_what_does_not_end_is_cut(upstream: Upstream, tmp_path: Path) -> None:
    """When the grace is over the process goes by itself, before its master kills it, and tells the cost."""
    with stopping(upstream, tmp_path, "never-cut", GUNICORN_CMD_ARGS="--graceful-timeout 2") as stop:
        with pytest.raises(BrokenOffError):
            stop.running.chunks()
        assert stop.service.process.wait(30) == 0
    assert "grace time is over" in stop.service.log
    assert '"reason":"disconnected"' in stop.service.log
    assert "SIGKILL" not in stop.service.log


def test_a_half_sent_request_does_not_hold_a_stop(upstream: Upstream, tmp_path: Path) -> None:
    """A head or a body that comes no further, before the signal or after it, is not waited for."""
    with (
        stopping(upstream, tmp_path, "stop-half", GLOSS_HEAD_S="100") as stop,
        stop.service.connect() as half,
    ):
        half.socket.sendall(b"GET / HT")
        stop.silent.socket.sendall(b"GET / HT")
        upstream.gate("stop-half")
        assert events(stop.running.chunks())[-1]["reason"] == "stop"
        assert stop.service.process.wait(30) == 0
    assert "grace time is over" not in stop.service.log
    assert "Error" not in stop.service.log


def test_a_worker_that_is_replaced_leaves_newcomers_to_the_next(upstream: Upstream, tmp_path: Path) -> None:
    """A reload refuses nobody, though the old worker lives on with its stream."""
    with (
        serving(tmp_path, **relay_settings(upstream)) as service,
        service.connect() as idle,
        service.connect() as running,
    ):
        assert answers(idle) == 200
        running.post("/v1/relay", asking("fault/stall:3:stop-reload"), NDJSON).head()
        service.process.send_signal(signal.SIGHUP)
        assert ends(idle)
        for _ in range(20):
            with service.connect() as client:
                assert client.post("/v1/relay", asking("ok:5")).answer()[0].status == 200
        upstream.gate("stop-reload")
        assert events(running.chunks())[-1]["reason"] == "stop"
