"""The transport on real sockets: a server that does to each connection what the test says."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import gevent
import httpx2
import pytest
from gevent import socket
from gevent.event import Event

from services.providers.connection import first_reached
from services.providers.openai import OpenAIProvider
from services.providers.transport import KEPT_S, LeanTransport
from tests.providers.conftest import KEY, ask, gate
from tests.upstream.fixtures import Upstream

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nhi"


@dataclass
class Peer:
    """What a server was sent, by connection; ``closed`` once a peer has hung up."""

    url: str
    heard: list[bytes] = field(default_factory=list)
    closed: Event = field(default_factory=Event)

    def answers(self, *answers: bytes) -> Callable[[socket.socket], None]:
        """Answer so many requests, one after the other; then wait for the peer's close."""

        def serve(sock: socket.socket) -> None:
            for answer in answers:
                if not self.request(sock):
                    return
                sock.sendall(answer)
            self.wait(sock)

        return serve

    def wait(self, sock: socket.socket) -> None:
        """Wait for the other side's close; with bytes unread there it is a reset."""
        with suppress(ConnectionResetError):
            assert not sock.recv(65536)
        self.closed.set()

    def request(self, sock: socket.socket) -> bytes:
        data = sock.recv(65536)
        self.heard.append(data)
        return data


@contextmanager
def serving(serve: Callable[[Peer], list[Callable[[socket.socket], None]]]) -> Iterator[Peer]:
    """Serve each connection as its function says, in the order in which they come."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        peer = Peer(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/x")

        def accept() -> None:
            for one in serve(peer):
                sock, _ = listener.accept()
                stack.callback(sock.close)
                running.append(gevent.spawn(one, sock))

        running: list[gevent.Greenlet] = []
        running.append(gevent.spawn(accept))
        stack.callback(lambda: gevent.killall(running))
        yield peer


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(transport=LeanTransport(ssl.create_default_context()), timeout=5) as client:
        yield client


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
def test_connection_used_again(client, answer):
    """A connection whose answer was read to its end carries the next request."""
    with serving(lambda peer: [peer.answers(answer, answer)]) as peer:
        said = [client.post(peer.url, content=b"q").content for _ in range(2)]

    assert said == [b"hi", b"hi"]
    assert len(peer.heard) == 2


@pytest.mark.parametrize("answer", [CLOSE, LENGTH + b"more", CHUNKED + b"\r\n", UNTIL_CLOSE])
def test_connection_not_used_again(client, answer):
    """Where the head, the framing or bytes too many speak against it, a new connection is made."""

    def last(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(answer)
        sock.close()

    with serving(lambda _: [last, last]) as peer:
        said = [client.post(peer.url).content for _ in range(2)]

    assert said == [b"hi", b"hi"]


def test_left_in_the_middle(client):
    """An answer that is not read to its end closes its connection at once."""
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
    with serving(lambda peer: [peer.answers(endless), peer.answers(LENGTH)]) as peer:
        with client.stream("POST", peer.url) as answer:
            assert next(answer.iter_raw()) == b"hi"
        assert peer.closed.wait(5)
        assert client.post(peer.url).content == b"hi"


def test_killed_in_a_read(client):
    """Who is killed while it reads leaves no connection open."""
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"

    def read() -> None:
        with client.stream("POST", peer.url) as answer:
            for _ in answer.iter_raw():
                reading.set()

    reading = Event()
    with serving(lambda peer: [peer.answers(begun)]) as peer:
        reader = gevent.spawn(read)
        assert reading.wait(5)
        reader.kill()
        assert peer.closed.wait(5)


def test_killed_before_the_head(client):
    """So it is for who is killed while it waits for an answer."""

    def silent(sock: socket.socket) -> None:
        peer.request(sock)
        asked.set()
        peer.wait(sock)

    asked = Event()
    with serving(lambda _: [silent]) as peer:
        reader = gevent.spawn(client.post, peer.url)
        assert asked.wait(5)
        reader.kill()
        assert peer.closed.wait(5)


def test_closed_while_idle(client):
    """A connection that its peer has closed meanwhile is noticed before it is used."""
    ended = Event()

    def one(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(LENGTH)
        sock.close()
        ended.set()

    with serving(lambda _: [one, one]) as peer:
        assert client.post(peer.url).content == b"hi"
        assert ended.wait(5)
        assert client.post(peer.url).content == b"hi"


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("POST", False)])
def test_closed_when_it_is_used(client, method, again):
    """What is harmless is asked again on a new connection; the rest is for who counts attempts."""

    def fickle(sock: socket.socket) -> None:
        peer.request(sock)
        sock.sendall(LENGTH)
        peer.request(sock)
        sock.close()

    with serving(lambda peer: [fickle, peer.answers(LENGTH)]) as peer:
        client.request(method, peer.url)
        if again:
            assert client.request(method, peer.url).content == b"hi"
        else:
            with pytest.raises(httpx2.RemoteProtocolError):
                client.request(method, peer.url)

    assert len(peer.heard) == (3 if again else 2)


def test_too_old():
    """A connection that was idle for long is not used again: its peer is about to close it."""
    now = [0.0]
    transport = LeanTransport(ssl.create_default_context(), monotonic=lambda: now[0])
    with (
        serving(lambda peer: [peer.answers(LENGTH), peer.answers(LENGTH)]) as peer,
        httpx2.Client(transport=transport) as client,
    ):
        client.post(peer.url)
        now[0] = KEPT_S
        client.post(peer.url)
        assert peer.closed.wait(5)


def test_client_closed():
    """Closing the client closes idle connections, and those that become idle after."""
    client = httpx2.Client(transport=LeanTransport(ssl.create_default_context()))
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh"

    def slow(sock: socket.socket) -> None:
        peer.request(sock)
        sock.sendall(late)
        closing.wait()
        sock.sendall(b"i")
        if not sock.recv(65536):
            ended.set()

    closing, ended = Event(), Event()
    with serving(lambda peer: [peer.answers(LENGTH), slow]) as peer:
        with client.stream("POST", peer.url) as first:
            first.read()
        with client.stream("POST", peer.url.replace("127.0.0.1", "localhost")) as answer:
            body = answer.iter_raw()
            next(body)
            client.close()
            assert peer.closed.wait(5)
            closing.set()
            assert list(body) == [b"i"]
        assert ended.wait(5)


def test_announced(client):
    """What is announced with 1xx is skipped, also in the same read."""
    first = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with serving(lambda peer: [peer.answers(first + LENGTH)]) as peer:
        answer = client.post(peer.url)

    assert (answer.status_code, answer.content) == (200, b"hi")


def test_head_in_drops(client):
    """A head may come byte by byte."""

    def dripping(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(CHUNKED)):
            sock.sendall(CHUNKED[place : place + 1])
            gevent.sleep(0)

    with serving(lambda _: [dripping]) as peer:
        assert client.post(peer.url).content == b"hi"


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, b"HTTP/1.1 200 OK\r\nConte"],
)
def test_no_answer(client, answer):
    """What is no answer in HTTP/1.1, or half a head, is an error of the peer's."""

    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(answer)
        sock.close()

    with serving(lambda _: [serve]) as peer, pytest.raises(httpx2.RemoteProtocolError):
        client.post(peer.url)


def test_says_nothing(client):
    """An answer that does not begin in time is a timeout."""
    with serving(lambda peer: [peer.answers(b"")]) as peer, pytest.raises(httpx2.ReadTimeout):
        client.post(peer.url, timeout=httpx2.Timeout(5, read=0.05))


def test_takes_nothing(client):
    """So is a request that is not taken in time."""
    deaf = Event()
    with serving(lambda _: [lambda _sock: deaf.wait()]) as peer, pytest.raises(httpx2.TimeoutException):
        client.post(peer.url, content=bytes(32 * 2**20), timeout=httpx2.Timeout(5, write=0.05))


def test_refused_before_all_was_sent(client):
    """An answer that comes before the request was taken is heard."""
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"

    def refuse(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(refusal)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(2**20):
            pass

    with serving(lambda _: [refuse]) as peer:
        answer = client.post(peer.url, content=bytes(8 * 2**20))

    assert (answer.status_code, answer.content) == (413, b"no")


def test_large_request(client):
    """A request that does not fit into the socket's buffers goes out whole."""
    sent = bytes(range(256)) * 2**15

    def count(sock: socket.socket) -> None:
        data = b""
        while not data.endswith(sent):
            data += sock.recv(2**16)
        sock.sendall(LENGTH)

    with serving(lambda _: [count]) as peer:
        assert client.post(peer.url, content=sent).content == b"hi"


def test_line_end_in_a_header(client):
    """A header with a line end is sent to nobody."""
    with serving(lambda _: []) as peer, pytest.raises(httpx2.LocalProtocolError):
        client.post(peer.url, headers={"A": "b\nC: d"})


def test_several_addresses():
    """Where one of a host's addresses refuses, the next one is tried; the last one's failure counts."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()
    tcp = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    with socket.create_server(("127.0.0.1", 0)) as server:
        first_reached([(*tcp, refusing), (*tcp, server.getsockname())], 5).close()
    with pytest.raises(ConnectionRefusedError):
        first_reached([(*tcp, refusing), (*tcp, refusing)], None)


def test_unknown_host(client):
    """A host that has no address cannot be connected to."""
    with pytest.raises(httpx2.ConnectError):
        client.post("http://nobody.invalid/v1")


def test_flood(upstream: Upstream):
    """A provider that says much at once keeps nobody from hearing another."""
    provider = OpenAIProvider(api_key=KEY, base_url=upstream.base_url)
    opened = gate()
    quiet = provider.stream(ask(f"fault/stall:1:{opened}"))
    assert next(quiet) == "w0 "
    flood = gevent.spawn(lambda: sum(1 for _ in provider.stream(ask("ok:100000"))))
    gevent.sleep(0)
    upstream.gate(opened)
    rest = list(quiet)

    assert rest
    assert not flood.ready()
    flood.kill()
    provider.close()
