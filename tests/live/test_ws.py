"""The WebSocket on the real server: with a client library that others wrote, and with frames by hand."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from services.web.keys import new_key
from tests.live.conftest import asking
from tests.live.service import Service, serving
from tests.redis_server import RedisServer
from tests.upstream.fixtures import Upstream
from tests.web.ws.frames import CLOSE, CONTINUATION, ENDS, PING, TEXT, Peer, fragments, frame

pytestmark = pytest.mark.live

KEY, ENTRY = new_key("web")
WAIT_S = 30
LONG = 2_000  # events of a stream that is read again and again
WAYS = {"FIN": Peer.close, "RST": Peer.reset, "goodbye": lambda peer: peer.send(frame(CLOSE))}


@pytest.fixture(scope="module")
def keyed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with a key, and little patience with who takes nothing."""
    with serving(
        tmp_path_factory.mktemp("keyed"),
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-of-the-tests",
        GLOSS_MODEL="ok:5",
        GLOSS_MODELS="*",
        GLOSS_KEYS=ENTRY.line(),
        GLOSS_WRITE_TIMEOUT_S="0.5",
    ) as service:
        yield service


def opened(service: Service, **headers: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{service.port}/v1/ws",
        additional_headers=headers,
        open_timeout=WAIT_S,
        ping_interval=None,
    )


def by_hand(service: Service, *, takes: int | None = None, key: str | None = None) -> Peer:
    """Open a socket whose frames are made by hand; ``takes`` is what its kernel takes that nobody reads."""
    sock = socket.socket()
    sock.settimeout(WAIT_S)
    if takes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
    sock.connect(("127.0.0.1", service.port))
    peer = Peer(sock)
    lines = [
        "GET /v1/ws HTTP/1.1",
        f"Host: 127.0.0.1:{service.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    peer.send("\r\n".join([*lines, "", ""]).encode())
    assert peer.head()[0].startswith("HTTP/1.1 101 ")
    return peer


def start(model: str, ref: str = "a", **more: Any) -> dict[str, Any]:
    return {"op": "start", "ref": ref, "use_case": "relay", **asking(model), **more}


def say(client: ClientConnection, *ops: dict[str, Any]) -> None:
    for op in ops:
        client.send(json.dumps(op))


def hear(client: ClientConnection) -> dict[str, Any]:
    return json.loads(client.recv(WAIT_S))


def until(client: ClientConnection, ref: str, *types: str) -> list[dict[str, Any]]:
    """This ref's messages up to one of these types."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["type"] not in types:
        message = hear(client)
        if message["ref"] == ref:
            found.append(message)
    return found


def told(client: ClientConnection, ref: str = "a") -> list[dict[str, Any]]:
    return until(client, ref, *ENDS)


def joined(messages: list[dict[str, Any]]) -> str:
    return "".join(message.get("text", "") for message in messages)


# With a library


def test_a_stream_over_a_websocket_is_the_one_of_ndjson(relay: Service) -> None:
    """The same events with the same numbers, each with the ref before."""
    with opened(relay) as client:
        say(client, start("ok:20", "my ref"))
        messages = told(client, "my ref")
    with relay.connect() as other:
        path = f"/v1/streams/{messages[0]['stream']}"
        lines = other.send("GET", path, Accept="application/x-ndjson").answer()[1].splitlines()
    assert messages == [{"ref": "my ref", **json.loads(line)} for line in lines]


def test_two_streams_at_once(relay: Service, upstream: Upstream) -> None:
    """One waits for its provider, the other comes to its end meanwhile."""
    with opened(relay) as client:
        say(client, start("fault/stall:3:ws-two", "slow"))
        before = until(client, "slow", "text")
        say(client, start("ok:7", "fast"))
        assert joined(told(client, "fast")) == "".join(f"w{number} " for number in range(7))
        upstream.gate("ws-two")
        assert joined(before + told(client, "slow")).endswith("w3 w4 ")


def test_cancel_closes_the_provider(relay: Service, upstream: Upstream) -> None:
    """The end comes with its reason and usage, and the provider's connection is closed."""
    model = "fault/stall:3:never-ws-cancel"
    with opened(relay) as client:
        say(client, start(model))
        until(client, "a", "text")
        say(client, {"op": "cancel", "ref": "a"})
        end = told(client)[-1]
    assert (end["reason"], end["usage"]["estimated"]) == ("cancelled", True)
    assert upstream.journal(model, ended=1)[0]["ended"] == "peer"


def test_resume_goes_on_where_a_socket_broke_off(relay: Service, upstream: Upstream) -> None:
    """A reset in mid-answer, a new socket, the number of the last event: no gap, no repetition."""
    with by_hand(relay) as peer:
        peer.say(
            start(
                "fault/stall:3:ws-resume",
                options={**asking("fault/stall:3:ws-resume")["options"], "on_disconnect": 30},
            )
        )
        came = peer.until("a", "text")
        peer.reset()
    with opened(relay) as client:
        say(client, {"op": "resume", "ref": "b", "stream": came[0]["stream"], "after": came[-1]["id"]})
        upstream.gate("ws-resume")
        rest = told(client, "b")
    assert [message["id"] for message in came + rest] == list(range(1, len(came + rest) + 1))
    assert joined(came + rest) == "w0 w1 w2 w3 w4 "


def test_one_key_one_generation(relay: Service, upstream: Upstream) -> None:
    """Two sockets start with one idempotency key: both hear the same stream, the provider is asked once."""
    model = "paced:21:7"
    asked = start(model, idempotency_key="once-over-a-websocket")
    with opened(relay) as one, opened(relay) as other:
        say(one, asked)
        say(other, asked)
        assert told(one) == told(other)
    assert len(upstream.journal(model, ended=1)) == 1


@pytest.mark.S7
def test_a_foreign_origin_is_refused(relay: Service) -> None:
    """403 before the 101; our own origin comes in, and who is no browser."""
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{relay.port}/v1/ws", origin="https://evil.example")
    assert refused.value.response.status_code == 403
    assert b"/problems/foreign-origin" in refused.value.response.body
    with connect(f"ws://127.0.0.1:{relay.port}/v1/ws", origin=relay.url) as client:
        say(client, start("ok:5"))
        assert told(client)[-1]["reason"] == "stop"


def test_a_wrong_key_is_refused(keyed: Service) -> None:
    """In the head with 401, in the first message with 4401."""
    with pytest.raises(InvalidStatus) as refused:
        opened(keyed, Authorization=f"Bearer {KEY}x")
    assert refused.value.response.status_code == 401
    with opened(keyed) as client:
        say(client, {"op": "auth", "token": f"{KEY}x"})
        assert hear(client)["problem"]["status"] == 401
        assert code_of_the_end(client) == 4401


def code_of_the_end(client: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(WAIT_S)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@pytest.mark.parametrize("in_head", [True, False])
def test_a_key_comes_in_the_head_or_first(keyed: Service, in_head: bool) -> None:
    """Both are as good."""
    headers = {"Authorization": f"Bearer {KEY}"} if in_head else {}
    with opened(keyed, **headers) as client:
        if not in_head:
            say(client, {"op": "auth", "token": KEY})
        say(client, start("ok:5"))
        assert told(client)[-1]["reason"] == "stop"


def test_whoever_says_nothing_is_turned_away(keyed: Service) -> None:
    """After five seconds, while one that has said who it is may be silent."""
    with opened(keyed) as client, opened(keyed) as known:
        say(known, {"op": "auth", "token": KEY})
        assert code_of_the_end(client) == 4401
        say(known, start("ok:5"))
        assert told(known)[-1]["reason"] == "stop"


def test_what_is_no_json_is_refused_and_what_is_binary_ends_it(relay: Service) -> None:
    """The one by a message, the other by its code."""
    with opened(relay) as client:
        client.send("nonsense")
        assert hear(client)["problem"]["type"] == "/problems/malformed-body"
        client.send(b"\x00")
        assert code_of_the_end(client) == 1003


# By hand


def test_frames_may_be_split_anywhere(relay: Service) -> None:
    """A start in fragments, a byte at a time, with a ping in its middle."""
    data = json.dumps(start("ok:5")).encode()
    with by_hand(relay) as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first, _, second = fragments(data, len(data) // 2).partition(
            frame(CONTINUATION, data[len(data) // 2 :])
        )
        for byte in first + frame(PING, b"?") + frame(CONTINUATION, data[len(data) // 2 :]) + second:
            peer.send(bytes([byte]))
        assert peer.frame() == (10, b"?")
        assert joined(peer.told()) == "w0 w1 w2 w3 w4 "


def test_a_giant_frame_ends_it(keyed: Service) -> None:
    """1009: as soon as more has come than may; from a stranger 64 KiB, and never four gigabytes."""
    for key, most in ((None, 64 * 1024), (KEY, 4 * 1024 * 1024)):
        with by_hand(keyed, key=key) as peer:
            peer.send(b"\x81\xff", (1 << 32).to_bytes(8), bytes(4), b"x" * (most + 1))
            assert peer.goodbye() == 1009


def test_who_answers_no_ping_is_cut(relay: Service, upstream: Upstream) -> None:
    """Its streams are left as by any reader, and the provider is closed."""
    model = "fault/silent:never-ws-pong"
    with by_hand(relay) as peer:
        peer.answers = False
        peer.say(start(model))
        frames = peer.frames()
    assert [opcode for opcode, _ in frames if opcode != PING] == [TEXT]
    assert len(frames) > 1
    assert upstream.journal(model, ended=1)[0]["ended"] == "peer"


def test_a_silent_socket_is_kept_alive(relay: Service, upstream: Upstream) -> None:
    """Pings come while the provider is silent; who answers them gets the rest."""
    with by_hand(relay) as peer:
        peer.say(start("fault/stall:3:ws-alive"))
        peer.until("a", "text")
        while peer.pinged < 3:
            opcode, payload = peer.frame()
            peer.pinged += opcode == PING
            peer.send(*([frame(10, payload)] if opcode == PING else []))
        upstream.gate("ws-alive")
        assert peer.told()[-1]["reason"] == "stop"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("phase", ["silent", "stall:3"])
def test_hang_up_closes_the_provider(relay: Service, upstream: Upstream, way: str, phase: str) -> None:
    """Before the first token and in mid-answer; by FIN, by RST, by goodbye."""
    model = f"fault/{phase}:never-ws-{way}"
    with by_hand(relay) as peer:
        peer.say(start(model))
        peer.until("a", "start")
        upstream.journal(model, begun=1)
        WAYS[way](peer)
        assert upstream.journal(model, ended=1)[0]["ended"] == "peer"


def long(service: Service, key: str | None = None) -> str:
    """Return the id of an ended stream of many events, to be read again and again."""
    with by_hand(service, key=key) as peer:
        return peer.say(start(f"ok:{LONG}")).told()[0]["stream"]


def test_a_reader_that_takes_nothing_is_cut_and_slows_nobody(keyed: Service) -> None:
    """Much more is read than kernels hold; another socket runs on until the cut, whole frames came before."""
    refs, stream = [str(number) for number in range(100)], long(keyed, KEY)
    with by_hand(keyed, takes=4096, key=KEY) as slow, by_hand(keyed, key=KEY) as other:
        slow.say(*({"op": "resume", "ref": ref, "stream": stream} for ref in refs))
        while "cut a WebSocket that took nothing for 0.5 s" not in keyed.log:
            assert other.say(start("ok:50")).told()[-1]["reason"] == "stop"
        frames = slow.frames()
    assert {opcode for opcode, _ in frames} == {TEXT}
    assert {json.loads(payload)["ref"] for _, payload in frames} <= set(refs)


def test_a_slow_reader_gets_every_frame_whole(relay: Service) -> None:
    """A small window, many refs at once, and a reader that takes its time: all is there, in order."""
    refs, stream = [str(number) for number in range(20)], long(relay)
    with by_hand(relay, takes=16_384) as peer:
        peer.say(*({"op": "resume", "ref": ref, "stream": stream} for ref in refs))
        messages = peer.told(*refs)
    ids = [message["id"] for message in messages["0"]]
    assert ids == list(range(1, len(ids) + 1))
    assert {ref: [message["id"] for message in told] for ref, told in messages.items()} == dict.fromkeys(
        refs, ids
    )


def test_nothing_is_left_of_sockets_that_ended(relay: Service) -> None:
    """Descriptors are as before, however they went."""
    [worker] = Path(f"/proc/{relay.process.pid}/task/{relay.process.pid}/children").read_text().split()
    descriptors = Path(f"/proc/{worker}/fd")
    before = len(list(descriptors.iterdir()))
    for number in range(30):
        with by_hand(relay) as peer:
            peer.say(start("fault/stall:3:never-ws-left")).until("a", "text")
            list(WAYS.values())[number % 3](peer)
    while len(list(descriptors.iterdir())) > before:
        gevent.sleep(0.05)


# Several processes


@pytest.fixture(scope="module")
def two(
    upstream: Upstream, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Service]]:
    """Two services over one Redis."""
    settings = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-of-the-tests",
        "GLOSS_MODEL": "ok:5",
        "GLOSS_MODELS": "*",
        "REDIS_URL": redis.url,
    }
    folder = tmp_path_factory.mktemp("two")
    with serving(folder, **settings) as here, serving(folder, **settings) as there:
        yield here, there


def test_a_stream_is_resumed_and_cancelled_at_another_process(
    two: tuple[Service, Service], upstream: Upstream
) -> None:
    """Both sockets hear the same end, and the provider is closed."""
    model = "fault/stall:3:never-ws-elsewhere"
    with by_hand(two[0]) as here, by_hand(two[1]) as there:
        came = here.say(start(model)).until("a", "text")
        there.say({"op": "resume", "ref": "b", "stream": came[0]["stream"], "after": 1}).until("b", "text")
        there.say({"op": "cancel", "ref": "b"})
        ends = [here.told()[-1], there.told("b")[-1]]
    assert [(end["reason"], end["id"]) for end in ends] == [("cancelled", ends[0]["id"])] * 2
    assert upstream.journal(model, ended=1)[0]["ended"] == "peer"


def test_one_key_one_generation_at_two_processes(two: tuple[Service, Service], upstream: Upstream) -> None:
    """They start at once with one idempotency key, and hear one stream."""
    model = "paced:22:7"
    asked = start(model, idempotency_key="once-at-two-processes")
    with by_hand(two[0]) as here, by_hand(two[1]) as there:
        here.say(asked)
        there.say(asked)
        assert here.told() == there.told()
    assert len(upstream.journal(model, ended=1)) == 1


# The end of a process


def test_a_process_that_ends_closes_its_sockets(upstream: Upstream, tmp_path: Path) -> None:
    """Told to stop, it says so to idle ones at once, to others when their streams have ended."""
    with serving(
        tmp_path, OPENAI_BASE_URL=upstream.base_url, OPENAI_API_KEY="sk-of-the-tests", GLOSS_MODELS="*"
    ) as service:
        with by_hand(service) as idle, by_hand(service) as peer:
            peer.say(start("fault/stall:3:ws-drain")).until("a", "text")
            service.process.terminate()
            assert idle.goodbye() == 1001
            refused = peer.say(start("ok:5", "late")).until("late", "problem")[-1]
            assert refused["problem"]["type"] == "/problems/shutting-down"
            upstream.gate("ws-drain")
            assert peer.told()[-1]["reason"] == "stop"
            assert peer.goodbye() == 1001
        assert service.process.wait(WAIT_S) == 0


def test_a_socket_of_a_process_that_ends_goes_on_at_another(
    upstream: Upstream, redis: RedisServer, tmp_path: Path
) -> None:
    """It is told to within seconds; nothing is lost and nothing comes twice."""
    settings = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-of-the-tests",
        "GLOSS_MODEL": "ok:5",
        "GLOSS_MODELS": "*",
        "REDIS_URL": redis.url,
    }
    with serving(tmp_path, **settings) as here, serving(tmp_path, **settings) as there:
        with by_hand(here) as peer:
            came = peer.say(start("fault/stall:3:ws-hand-over")).until("a", "text")
            here.process.terminate()
            while (message := peer.hear())["type"] != "drain":
                came.append(message)
            assert peer.goodbye() == 1012
        with by_hand(there) as peer:
            peer.say({"op": "resume", "ref": "a", "stream": came[0]["stream"], "after": came[-1]["id"]})
            upstream.gate("ws-hand-over")
            came += peer.told()
    assert [message["id"] for message in came] == list(range(1, len(came) + 1))
    assert joined(came) == "w0 w1 w2 w3 w4 "
