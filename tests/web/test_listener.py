"""Who cannot be served is told so."""

import socket

import gevent
from gevent import socket as cooperative

from services.web.listener import turn_away


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
