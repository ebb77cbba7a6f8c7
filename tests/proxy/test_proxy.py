"""The proxy is judged before it judges."""

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.proxy.fixtures import ROOT, Proxy, proxied

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
LONG = 60  # nobody waits so long


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening


@pytest.fixture
def proxy(server: socket.socket) -> Iterator[Proxy]:
    with proxied(server.getsockname()[1]) as started:
        yield started


@pytest.fixture
def ends(proxy: Proxy, server: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's end and a server's, with the proxy between them."""
    with closing(socket.create_connection(("127.0.0.1", proxy.port))) as client:
        accepted, _ = server.accept()
        with closing(accepted):
            for end in (client, accepted):
                end.settimeout(20)
            yield client, accepted


def exactly(end: socket.socket, length: int) -> bytes:
    seen = b""
    while len(seen) < length and (piece := end.recv(length - len(seen))):
        seen += piece
    return seen


def nothing(end: socket.socket) -> bool:
    """Tell whether there is nothing to read, not even an end."""
    end.setblocking(False)
    try:
        end.recv(1)
    except BlockingIOError:
        return True
    finally:
        end.settimeout(20)
    return False


def test_passes_on(ends):
    """What comes is passed on both ways, as it is."""
    client, server = ends
    content = bytes(range(256)) * 4000
    client.sendall(content[:1000])
    assert exactly(server, 1000) == content[:1000]

    server.sendall(content)
    assert exactly(client, len(content)) == content


def test_half_close(ends):
    """An end is passed on in its direction only."""
    client, server = ends
    client.sendall(b"ask")
    client.shutdown(socket.SHUT_WR)
    assert exactly(server, 99) == b"ask"

    server.sendall(b"answer")
    server.close()
    assert exactly(client, 99) == b"answer"


@pytest.mark.parametrize("which", [0, 1], ids=["client", "server"])
def test_reset_is_passed_on(ends, which):
    """A side that resets resets the other."""
    ends[which].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    ends[which].close()

    with pytest.raises(ConnectionResetError):
        ends[1 - which].recv(1)


def read_from(proxy: Proxy) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", proxy.port))) as client:
        return client.recv(1)


def test_no_server(proxy, server):
    """Where there is no server, a client is reset."""
    server.close()
    with pytest.raises(ConnectionResetError):
        read_from(proxy)


def test_latency(proxy, ends):
    """Each piece comes later, in one direction, and comes."""
    client, server = ends
    proxy.down(latency=0.05)
    begun = time.monotonic()
    server.sendall(b"late")

    assert exactly(client, 4) == b"late"
    assert time.monotonic() - begun >= 0.05


def test_latency_holds_back(proxy, ends):
    """What is held back in one direction hinders neither the other nor what is sent after."""
    client, server = ends
    proxy.down(latency=LONG)
    server.sendall(b"late")
    client.sendall(b"ask")

    assert exactly(server, 3) == b"ask"
    assert nothing(client)


def test_bandwidth(proxy, ends):
    """So many bytes pass in a second."""
    client, server = ends
    proxy.down(bandwidth=10_000)
    begun = time.monotonic()
    server.sendall(b"x" * 1000)

    assert len(exactly(client, 1000)) == 1000
    assert time.monotonic() - begun >= 0.08


def test_bandwidth_that_is_healed(proxy, ends):
    """What was slow is fast once it is healed, in the middle of a piece."""
    client, server = ends
    proxy.down(bandwidth=100)
    server.sendall(b"x" * 100_000)
    exactly(client, 1)
    proxy.heal()

    assert len(exactly(client, 99_999)) == 99_999


def test_slow_close(proxy, ends):
    """An end comes later, what came before it does not."""
    client, server = ends
    proxy.down(slow_close=LONG)
    server.sendall(b"answer")
    server.close()

    assert exactly(client, 6) == b"answer"
    assert nothing(client)


def test_timeout(proxy, ends):
    """All is swallowed, until it is healed; what was swallowed does not come back."""
    client, server = ends
    proxy.down(timeout=0)
    server.sendall(b"swallowed")
    client.sendall(b"ask")
    assert exactly(server, 3) == b"ask"
    assert nothing(client)

    proxy.heal()
    server.sendall(b"heard")
    assert exactly(client, 5) == b"heard"


def test_timeout_that_closes(proxy, ends):
    """After its time both sides are closed."""
    client, server = ends
    server.sendall(b"before")
    assert exactly(client, 6) == b"before"
    proxy.down(timeout=0.01)

    assert (client.recv(1), server.recv(1)) == (b"", b"")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_reset_peer(proxy, ends, direction):
    """Both sides are reset."""
    getattr(proxy, direction)(reset_peer=0)
    for end in ends:
        with pytest.raises(ConnectionResetError):
            end.recv(1)


def test_reset_peer_of_a_new_connection(proxy):
    """A connection that is made meanwhile is reset as well."""
    proxy.down(reset_peer=0)
    with pytest.raises(ConnectionResetError):
        read_from(proxy)


def test_reset_peer_that_is_healed(proxy, ends):
    """A reset that is to come later does not come once it is healed."""
    client, server = ends
    proxy.down(reset_peer=0.05)
    proxy.heal()
    proxy.down(latency=0.1)
    server.sendall(b"alive")

    assert exactly(client, 5) == b"alive"


def test_slicer(proxy, ends):
    """What was sent at once comes in pieces."""
    client, server = ends
    proxy.down(slicer=2)
    server.sendall(b"abcdefg")
    pieces = [client.recv(99)]
    while sum(map(len, pieces)) < 7:
        pieces.append(client.recv(99))

    assert b"".join(pieces) == b"abcdefg"
    assert len(pieces) > 1


def test_limit_data(proxy, ends):
    """So many bytes pass from now on, then both sides are closed."""
    client, server = ends
    server.sendall(b"before")
    assert exactly(client, 6) == b"before"
    proxy.down(limit_data=5)
    server.sendall(b"abc")
    server.sendall(b"defg")

    assert exactly(client, 99) == b"abcde"
    assert server.recv(1) == b""


def test_connections(proxy, ends):
    """The proxy tells how many connections are open."""
    client, server = ends
    assert proxy.heal() == 1
    client.close()
    server.recv(1)
    server.close()
    while proxy.heal():
        pass


def test_unknown_toxic(proxy):
    """A toxic that there is not is the test's mistake."""
    with pytest.raises(TypeError):
        proxy.down(gamma_rays=1)


def test_ends_with_who_started_it():
    """The process ends when its standard input does."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.proxy", "9"], cwd=ROOT, input=b"", capture_output=True, check=True
    )

    assert int(done.stdout) > 0
