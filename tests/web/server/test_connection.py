"""A client's socket and its limits: real sockets on loopback, and a clock that stands still."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import gevent
import pytest
from gevent import socket as cooperative
from gevent.event import Event

from services.errors import RequestTimeout
from services.web.server.connection import LINGER_S, RESET_ON_CLOSE, Connection, Limits, Phase
from tests.streams.fake_clock import FakeClock
from tests.streams.stage import settle

LIMITS = Limits(head_s=10, keepalive_s=100, write_timeout_s=20)
LITTLE = 4096
MUCH = bytes(4 * 2**20)


@dataclass
class Wire:
    """A connection, and the client at its other end."""

    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        with cooperative.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.client = cooperative.socket()
            self.client.settimeout(30)
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
            self.client.connect(listener.getsockname())
            self.accepted, _ = listener.accept()
        self.connection = Connection(self.accepted, now=self.clock.monotonic)

    def at(self, phase: Phase) -> Connection:
        self.connection.enter(phase)
        return self.connection

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and look."""
        self.clock.advance(seconds)
        self.connection.look(LIMITS)


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.client.close()
    made.accepted.close()


def reset(client: socket.socket) -> bool:
    """Tell whether the connection was broken off and not ended."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize(
    ("phase", "limit"), [(Phase.NEW, 10), (Phase.IDLE, 100), (Phase.CLOSING, LINGER_S)], ids=str
)
def test_a_connection_ends_in_its_time(wire: Wire, phase: Phase, limit: float) -> None:
    """A silent one and one that is to close: not before its limit, and then without an error."""
    connection = wire.at(phase)
    wire.pass_by(limit - 0.5)
    assert not connection.ended
    wire.pass_by(0.5)
    assert (connection.ended, connection.recv(10)) == (True, b"")


def test_a_head_has_its_time_from_its_first_byte(wire: Wire) -> None:
    """Also when the connection was idle for long; whoever waits for the rest is told."""
    wire.at(Phase.IDLE)
    wire.pass_by(99)
    wire.client.send(b"GET")
    assert wire.connection.recv(10) == b"GET"
    wire.pass_by(9)
    wire.client.send(b" /")
    assert wire.connection.recv(10) == b" /"
    waiting = gevent.spawn(wire.connection.recv, 10)
    settle()
    wire.pass_by(1)
    with pytest.raises(RequestTimeout) as late:
        waiting.get()
    assert late.value.members == {"limit": 10}


def test_who_was_late_can_still_be_answered(wire: Wire) -> None:
    """Only what comes in has ended."""
    wire.at(Phase.HEAD)
    wire.pass_by(10)
    wire.connection.sendall(b"too late")
    assert wire.client.recv(10) == b"too late"


def test_an_answer_may_take_as_long_as_it_takes(wire: Wire) -> None:
    """A request has no limit here: streams have theirs, and a client that has all has nothing to take."""
    wire.at(Phase.REQUEST)
    wire.connection.sendall(b"start")
    assert wire.client.recv(10) == b"start"
    for _ in range(5):
        wire.pass_by(1000)
    wire.connection.sendall(b"more")
    wire.pass_by(1)
    assert wire.client.recv(10) == b"more"
    assert not wire.connection.ended


@pytest.mark.parametrize("phase", [Phase.REQUEST, Phase.IDLE, Phase.CLOSING], ids=str)
def test_a_client_that_takes_nothing_is_cut(wire: Wire, phase: Phase) -> None:
    """Whoever waits for it finds out, and what was not taken is thrown away."""
    wire.at(phase)
    sending = gevent.spawn(wire.connection.sendall, MUCH)
    settle()
    wire.pass_by(1)
    wire.pass_by(19)
    assert not sending.ready()
    wire.pass_by(1)
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        sending.get()
    wire.connection.close()
    assert reset(wire.client)


@pytest.mark.parametrize("way", ["send", "sendall"])
def test_what_fits_into_the_buffer_is_not_taken(wire: Wire, way: str) -> None:
    """A send that does not wait says nothing of the client."""
    wire.at(Phase.REQUEST)
    wire.accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
    getattr(wire.connection, way)(bytes(100_000))
    wire.pass_by(1)
    wire.pass_by(20)
    assert wire.connection.ended


def test_the_time_counts_from_the_last_byte_taken(wire: Wire) -> None:
    """A client that takes a little now and then is slow, and that is its right."""
    wire.at(Phase.REQUEST)
    sending = gevent.spawn(wire.connection.sendall, MUCH)
    settle()
    for _ in range(5):
        wire.pass_by(15)
        wire.client.recv(LITTLE)
        settle()
    assert not wire.connection.ended
    wire.pass_by(15)
    wire.pass_by(20)
    assert wire.connection.ended
    sending.kill()


def test_all_that_is_sent_arrives(wire: Wire) -> None:
    """In order, by both ways to send, to a client that reads slower than it is sent."""
    wire.at(Phase.REQUEST)
    body = os.urandom(300_000)
    assert wire.connection.send(b"head") == 4
    sending = gevent.spawn(wire.connection.sendall, body)
    came = b""
    while len(came) < 4 + len(body):
        came += wire.client.recv(LITTLE)
    sending.get()
    assert came == b"head" + body


def test_after_an_answer_the_client_closes_first(wire: Wire) -> None:
    """What it still sends is thrown away: unread, it would reset the answer."""
    wire.at(Phase.REQUEST)
    wire.client.sendall(bytes(LITTLE))
    wire.connection.sendall(b"answer")
    closing = gevent.spawn(wire.connection.close)
    assert wire.client.recv(10) == b"answer"
    assert wire.client.recv(10) == b""
    wire.client.sendall(bytes(LITTLE))
    settle()
    assert (wire.connection.phase, closing.ready()) == (Phase.CLOSING, False)
    wire.client.shutdown(socket.SHUT_WR)
    closing.get()
    assert wire.accepted.closed


def test_the_last_of_an_answer_may_take_its_time(wire: Wire) -> None:
    """A slow client that takes some is waited for, also after all was sent."""
    wire.at(Phase.CLOSING)
    wire.accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
    wire.connection.sendall(bytes(100_000))
    wire.pass_by(LINGER_S)
    wire.pass_by(10)
    assert not wire.connection.ended
    wire.pass_by(20)
    assert wire.connection.ended


def test_a_client_that_goes_on_sending_is_left(wire: Wire) -> None:
    """Its time is over whether it sends or not."""
    under_way = Event()

    def send_on() -> None:
        with suppress(OSError):
            for _ in range(10**6):
                wire.client.sendall(bytes(LITTLE))
                gevent.sleep()
                under_way.set()

    wire.at(Phase.REQUEST)
    closing = gevent.spawn(wire.connection.close)
    sending = gevent.spawn(send_on)
    under_way.wait()
    assert not closing.ready()
    wire.pass_by(LINGER_S)
    closing.get()
    sending.get()


@pytest.mark.parametrize("phase", [Phase.NEW, Phase.IDLE, Phase.CLOSING], ids=str)
def test_a_silent_connection_is_closed_at_once(wire: Wire, phase: Phase) -> None:
    """There is no answer to wait for; closing twice is fine."""
    wire.at(phase).close()
    assert wire.client.recv(10) == b""
    wire.connection.close()


def test_a_reset_that_was_asked_for_is_one(wire: Wire) -> None:
    """A reading that breaks off over HTTP/1.0 has no other word for it."""
    wire.at(Phase.REQUEST).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    wire.connection.close()
    assert reset(wire.client)


def test_a_connection_that_is_closed_can_be_looked_at(wire: Wire) -> None:
    """The look comes between its closing and its being forgotten."""
    wire.at(Phase.REQUEST)
    wire.connection.sendall(b"x")
    wire.client.close()
    wire.connection.close()
    wire.pass_by(1)
    wire.connection.close()
    wire.connection.end()
    wire.connection.cut()


class Mute:
    """A socket of a system that does not tell what it keeps for the client; it has room for so much."""

    def __init__(self, room: int) -> None:
        self.null = os.open(os.devnull, os.O_WRONLY)
        self.room = room
        self.cut = False

    def fileno(self) -> int:
        return self.null

    def send(self, data: bytes, _flags: int = 0) -> int:
        if not self.room:
            gevent.get_hub().switch()
        fits = min(self.room, len(data))
        self.room -= fits
        return fits

    def setsockopt(self, *_: object) -> None:
        self.cut = True

    def shutdown(self, _how: int) -> None: ...


def looked_at(connection: Connection, clock: FakeClock, *times: float) -> None:
    for seconds in times:
        clock.advance(seconds)
        connection.look(LIMITS)


@pytest.mark.parametrize(("data", "waits"), [(b"12345", True), (b"1234", False)])
def test_where_the_kernel_does_not_tell_a_send_that_waits_does(data: bytes, waits: bool) -> None:
    """What the kernel does not take, the client does not take either."""
    clock, mute = FakeClock(), Mute(room=4)
    connection = Connection(mute, now=clock.monotonic)
    connection.enter(Phase.REQUEST)
    sending = gevent.spawn(connection.sendall, data)
    settle()
    looked_at(connection, clock, 0, 19)
    assert not mute.cut
    looked_at(connection, clock, 1)
    assert mute.cut is waits
    sending.kill()
    os.close(mute.null)


def test_the_time_counts_from_when_there_is_something_to_take() -> None:
    """A client that had everything for hours is not late at the next byte."""
    clock, mute = FakeClock(), Mute(room=4)
    connection = Connection(mute, now=clock.monotonic)
    connection.enter(Phase.REQUEST)
    connection.sendall(b"once")
    looked_at(connection, clock, 1, 5000)
    sending = gevent.spawn(connection.sendall, b"more")
    settle()
    looked_at(connection, clock, 1)
    assert not mute.cut
    looked_at(connection, clock, 20)
    assert mute.cut
    sending.kill()
    os.close(mute.null)
