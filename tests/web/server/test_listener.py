"""Who cannot be served is told so."""

import socket

import gevent
from gevent import socket as cooperative

from services.web.server.connection import Limits
from services.web.server.connections import Connections
from services.web.server.listener import Listener, turn_away

LIMITS = Limits(head_s=10, keepalive_s=10, write_timeout_s=10)
LATE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def test_one_that_is_turned_away_is_told_why_and_its_end_is_orderly() -> None:
    """What it had sent does not reset it: a client that is still sending would lose what it is told."""
    with cooperative.create_server(("127.0.0.1", 0)) as server, cooperative.socket() as client:
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        client.sendall(b"GET / HTTP/1.1\r\n")
        turn_away(accepted, b"no room")
        assert (client.recv(100), client.recv(100)) == (b"no room", b"")
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_one_that_has_left_is_not_waited_for() -> None:
    """Nor is it an error."""
    with cooperative.create_server(("127.0.0.1", 0)) as server:
        client = cooperative.create_connection(server.getsockname())
        accepted, _ = server.accept()
        client.close()
        gevent.sleep()
        turn_away(accepted, bytes(10**7))


def test_who_waits_in_the_queue_is_told() -> None:
    """Connections that nobody has accepted yet get an answer, and no reset."""
    queue = socket.create_server(("127.0.0.1", 0))
    listener = Listener(
        queue, connections=Connections(LIMITS, most=10), full=b"", late=LATE, handle=lambda *_: None
    )
    waiting = [socket.create_connection(queue.getsockname(), 5) for _ in range(3)]
    for client in waiting:
        client.sendall(b"POST / HTTP/1.1\r\n\r\n")
    listener.close()
    for client in waiting:
        with client, client.makefile("rb") as answer:
            assert answer.read() == LATE


def test_a_closed_listener_lets_nobody_in() -> None:
    """Closing it twice is fine, and its address is free."""
    queue = socket.create_server(("127.0.0.1", 0))
    listener = Listener(
        queue, connections=Connections(LIMITS, most=10), full=b"", late=LATE, handle=lambda *_: None
    )
    address = queue.getsockname()
    listener.close()
    listener.close()
    socket.create_server(address).close()
