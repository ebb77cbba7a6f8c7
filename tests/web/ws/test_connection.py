"""One WebSocket over a socket pair: frames in any pieces, limits, ends."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st

from services.web.body import PIECE_BYTES
from services.web.ws import tolerance
from services.web.ws.connection import CLOSE_S, Connection, Limits, pieces
from tests.streams.fake_clock import FakeClock
from tests.streams.stage import settle
from tests.web.ws.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    GoneError,
    Peer,
    fragments,
    frame,
    text,
)

LIMITS = Limits(heartbeat_s=10, write_timeout_s=30, message_s=5)
PATIENT = Limits(heartbeat_s=10, write_timeout_s=30, message_s=1_000)
HASTY = Limits(heartbeat_s=10, write_timeout_s=0.05, message_s=5)
MOST = 1_000
HEARTBEAT = LIMITS.heartbeat_s


class Served:
    """A connection whose messages are collected by a greenlet, as a route does it."""

    def __init__(self, limits: Limits, pair: tuple[socket.socket, socket.socket]) -> None:
        self.clock = FakeClock()
        self.sock, theirs = pair
        self.peer = Peer(theirs)
        self.connection = Connection(self.sock, self.clock, limits, most_bytes=MOST)
        self.heard: list[bytes] = []
        self.free = Event()
        self.free.set()
        self.greenlet = gevent.spawn(self._serve)

    def _serve(self) -> None:
        for message in self.connection.messages():
            self.heard.append(message)
            self.free.wait()
        self.connection.finish()


@contextmanager
def serving(
    *, limits: Limits = LIMITS, pair: tuple[socket.socket, socket.socket] | None = None
) -> Iterator[Served]:
    """A connection until the block ends; then its peer leaves, and nothing of it is left."""
    served = Served(limits, pair or socket.socketpair())
    try:
        yield served
        served.peer.close()
        served.greenlet.join()
        assert served.clock.armed == 0
    finally:
        served.peer.close()
        served.sock.close()


# In


@st.composite
def conversations(draw):
    """Messages, each in frames cut anywhere, and where the whole is cut into what comes at once."""
    messages = draw(st.lists(st.text(max_size=60), max_size=6))
    sent = b""
    for one in messages:
        data = one.encode()
        sent += fragments(data, *draw(st.lists(st.integers(0, len(data)), max_size=3)))
        sent += draw(st.sampled_from([b"", frame(PING, b"?"), frame(PONG, b"!")]))
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    return messages, [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


@given(conversations())
def test_messages_are_the_same_however_they_are_cut(conversation):
    """Fragments, pieces cut in the middle of a head, a mask or a letter, pings in between."""
    messages, parts = conversation
    with serving() as served:
        for part in parts:
            served.peer.send(part)
            settle()
        assert served.heard == [message.encode() for message in messages]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (frame(BINARY, b"x"), 1003),
        (frame(BINARY, b"x", fin=False), 1003),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3"), 1007),
        (fragments(b"\xc3\x28", 1), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"x", mask=False), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(3, b"x"), 1002),
        (frame(11, b"x"), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (b"\x81\xff" + b"\xff" * 8 + b"mask", 1002),
        (frame(TEXT, b"x" * (MOST + 1)), 1009),
        (fragments(b"x" * (MOST + 1), 10, 20, MOST), 1009),
        (frame(TEXT, "é".encode() * (MOST // 2 + 1)), 1009),
    ],
)
def test_what_is_wrong_ends_with_its_code(wrong, code):
    """Binary, bad UTF-8, against the protocol, too long; what follows is not heard."""
    with serving() as served:
        assert served.peer.send(text("before"), wrong, text("after")).goodbye() == code
        assert served.heard == [b"before"]


def test_a_message_may_be_as_long_as_the_limit():
    """The limit counts bytes, and itself is allowed."""
    with serving() as served:
        served.peer.send(frame(TEXT, b"x" * MOST), fragments("é".encode() * (MOST // 2), 1, 500), text("."))
        settle()
        assert [len(message) for message in served.heard] == [MOST, MOST, 1]


def test_a_giant_frame_is_refused_before_it_has_come():
    """A head that promises four gigabytes costs no memory: what came of it is counted."""
    with serving() as served:
        head = frame(TEXT, b"x" * 70_000)
        assert served.peer.send(head[:1], b"\xff", (1 << 32).to_bytes(8), head[10:]).goodbye() == 1009


def test_a_message_has_a_time_to_become_whole():
    """One that trickles in longer holds memory for nothing; the time of a whole one is over."""
    with serving() as served:
        served.peer.send(fragments(b"whole", 2))
        settle()
        served.clock.advance(LIMITS.message_s)
        served.peer.send(frame(TEXT, b"half", fin=False))
        settle()
        served.clock.advance(LIMITS.message_s)
        assert served.peer.goodbye() == 1008
        assert served.heard == [b"whole"]


def test_a_ping_is_answered_with_what_it_said():
    """Also between the fragments of a message."""
    with serving() as served:
        served.peer.send(
            frame(TEXT, b"a", fin=False), frame(PING, b"are you there"), frame(CONTINUATION, b"b")
        )
        assert served.peer.frame() == (PONG, b"are you there")
        settle()
        assert served.heard == [b"ab"]


@pytest.mark.parametrize("nuisance", [frame(PING), frame(PONG), fragments(b"", *[0] * 99)])
def test_too_much_for_nothing_ends_it(nuisance):
    """Pings, pongs that nobody asked for, and fragments are counted."""
    with serving() as served:
        sending = gevent.spawn(served.peer.send, nuisance * (tolerance.MOST + 1))
        assert served.peer.goodbye() == 1008
        sending.join()


def test_a_flood_leaves_others_their_turn():
    """However many frames come at once, whoever else has something to do does it in between."""
    with serving() as served:
        served.peer.send(frame(PONG) * 500, text("last"))
        turns = 0
        while not served.heard:
            gevent.sleep(0)
            turns += 1
        assert turns > 250


def test_what_comes_later_is_counted_anew():
    """A peer that pongs all day is none that floods."""
    with serving(limits=PATIENT) as served:
        for number in range(3):
            served.peer.send(frame(PONG) * tolerance.MOST, text("still here"))
            while len(served.heard) <= number:
                settle()
            served.clock.advance(tolerance.WINDOW_S)
            settle()
        assert not served.connection.over


# Out


def test_messages_go_out_whole_whoever_sends_them():
    """Many greenlets send at once to a peer that reads late: no frame stands within another."""
    with serving() as served:
        served.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        said = [[json.dumps([who, number]).encode() * 200 for number in range(20)] for who in range(10)]
        greenlets = [gevent.spawn(served.connection.send, messages) for messages in said]
        settle()
        came = [served.peer.frame() for _ in range(200)]
        gevent.joinall(greenlets)
        assert sorted(came) == sorted((TEXT, message) for messages in said for message in messages)
        for messages in said:
            assert [message for _, message in came if message in messages] == messages
        assert all(greenlet.value for greenlet in greenlets)


@given(st.lists(st.binary(max_size=200_000), max_size=5))
def test_pieces_are_bounded_and_whole(messages):
    """What was given comes out in its order; only the last piece is small, none is empty."""
    made = list(pieces(messages))
    assert [message for piece in made for message in piece] == messages
    sizes = [sum(map(len, piece)) for piece in made]
    assert all(size >= PIECE_BYTES for size in sizes[:-1])
    assert all(sum(map(len, piece[:-1])) < PIECE_BYTES for piece in made)
    assert all(made)


class Counting:
    """Stands before a socket and notes what each write was given; at most ``most`` bytes of it are taken."""

    def __init__(self, sock, most: int = 1_000_000) -> None:
        self.sock = sock
        self.most = most
        self.writes: list[int] = []

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def send(self, data):
        self.writes.append(len(data))
        return self.sock.send(data[: self.most])


def test_what_comes_together_leaves_together():
    """A hundred short messages are one write."""
    ours, theirs = socket.socketpair()
    counting = Counting(ours)
    served = Connection(counting, FakeClock(), LIMITS, most_bytes=MOST)
    with Peer(theirs) as peer:
        assert served.send([b"{}"] * 100)
        assert len(counting.writes) == 1
        assert [peer.frame() for _ in range(100)] == [(TEXT, b"{}")] * 100
    served.finish()
    ours.close()


def test_others_get_their_turn_between_two_pieces():
    """Who has much to tell lets others tell something in between."""
    with serving() as served:
        much = gevent.spawn(served.connection.send, [b"x" * (PIECE_BYTES // 2)] * 40)
        little = gevent.spawn(served.connection.send, [b"little"])
        came = [served.peer.frame()[1] for _ in range(41)]
        assert came.index(b"little") < 40
        gevent.joinall([much, little])


def test_who_takes_nothing_is_cut():
    """After the write timeout the socket is broken off; whole frames came before, and half of one at most."""
    with serving(limits=HASTY) as served:
        served.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        assert not served.connection.send([b"x" * 1_000] * 10_000)
        served.greenlet.join()
        came = served.peer.frames()
        assert 0 < len(came) < 10_000
        assert set(came) == {(TEXT, b"x" * 1_000)}


def test_nobody_waits_for_a_socket_that_was_cut():
    """Who waits to send when it is cut, and who comes later, is told that it is over."""
    with serving(limits=HASTY) as served:
        served.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        greenlets = [gevent.spawn(served.connection.send, [b"x" * 1_000_000]) for _ in range(3)]
        gevent.joinall(greenlets)
        assert [greenlet.value for greenlet in greenlets] == [False] * 3
        assert not served.connection.send([b"x"])
        assert not served.connection.ping()


def test_a_short_write_is_gone_on_with():
    """A kernel that takes a few bytes at a time gets them all, one write after the other."""
    ours, theirs = socket.socketpair()
    little = Counting(ours, most=7)
    served = Connection(little, FakeClock(), LIMITS, most_bytes=MOST)
    with Peer(theirs) as peer:
        assert served.send([b"x" * 100])
        assert peer.frame() == (TEXT, b"x" * 100)
        assert len(little.writes) > 10
    served.finish()
    ours.close()


def test_a_write_that_is_given_up_breaks_it_off():
    """A greenlet that is killed in the middle of a frame leaves no half frame to go on after."""
    with serving() as served:
        served.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sending = gevent.spawn(served.connection.send, [b"x" * 1_000_000])
        settle()
        sending.kill()
        assert served.connection.over
        assert not served.connection.send([b"y"])
        assert b"y" not in served.peer.rest()


# Heartbeats


def test_a_silent_socket_is_pinged():
    """A ping leaves when nothing was sent for a heartbeat, and again after the next one."""
    with serving() as served:
        served.clock.advance(HEARTBEAT - 1)
        served.connection.send([b"{}"])
        given = served.connection.given
        served.clock.advance(HEARTBEAT - 1)
        settle()
        assert served.connection.given == given
        assert served.peer.frame() == (TEXT, b"{}")
        served.clock.advance(1)
        assert served.peer.frame() == (PING, b"")
        served.peer.send(frame(PONG))
        settle()
        served.clock.advance(HEARTBEAT)
        assert served.peer.frame() == (PING, b"")


def test_a_socket_that_is_written_to_needs_no_ping():
    """While a slow reader takes what it is sent, nothing is put behind it."""
    with serving() as served:
        served.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sending = gevent.spawn(served.connection.send, [b"x" * 1_000_000])
        settle()
        for _ in range(5):
            served.clock.advance(HEARTBEAT)
            settle()
        assert served.peer.frame() == (TEXT, b"x" * 1_000_000)
        sending.join()
        served.connection.send([b"next"])
        assert served.peer.frame() == (TEXT, b"next")


def test_who_answers_no_ping_is_cut():
    """Two heartbeats after a ping that nothing answered, and not before; that it arrived is no answer."""
    with serving(pair=over_tcp(takes=65_536, keeps=65_536)) as served:
        served.clock.advance(HEARTBEAT)
        assert served.peer.frame() == (PING, b"")
        settle()
        served.clock.advance(2 * HEARTBEAT - 0.1)
        settle()
        assert not served.connection.over
        served.clock.advance(0.1)
        served.greenlet.join()
        assert served.connection.over


@pytest.mark.parametrize(
    "answers",
    [[frame(PONG)] * 5, [text("hello")] * 5, [bytes([byte]) for byte in frame(TEXT, b"a long one")[:5]]],
    ids=["pongs", "messages", "a frame that trickles in"],
)
def test_whatever_is_heard_is_an_answer(answers):
    """A pong, a message, or a piece of a frame in whose middle no pong can be sent."""
    with serving(limits=PATIENT) as served:
        for answer in answers:
            served.clock.advance(HEARTBEAT)
            settle()
            served.peer.send(answer)
            settle()
            served.clock.advance(HEARTBEAT)
            settle()
        assert not served.connection.over


def test_who_does_not_listen_cannot_know():
    """While a message is being handled nobody is found dead: an answer may stand unread."""
    with serving() as served:
        served.free.clear()
        served.peer.say("takes its time")
        settle()
        for _ in range(5):
            served.clock.advance(HEARTBEAT)
            settle()
        assert not served.connection.over
        served.free.set()


def over_tcp(takes: int, keeps: int) -> tuple[socket.socket, socket.socket]:
    """Ours, whose kernel keeps so many bytes, and theirs, whose kernel takes so many that nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, keeps)
    return ours, theirs


def test_a_ping_behind_bytes_that_are_being_taken_waits_on():
    """A slow reader comes to the ping later; one that takes nothing is cut."""
    with serving(pair=over_tcp(takes=4096, keeps=1_000_000)) as served:
        assert served.connection.send([b"x" * 400_000])
        served.clock.advance(HEARTBEAT)
        settle()
        for _ in range(3):
            before = served.connection.taken()
            served.peer.socket.recv(50_000)
            while served.connection.taken() == before:
                gevent.sleep(0)
            served.clock.advance(2 * HEARTBEAT)
            settle()
            assert not served.connection.over
        served.clock.advance(2 * HEARTBEAT)
        assert served.connection.over


# Ends


def test_a_goodbye_is_answered():
    """The peer's code comes back, its reason does not; then the socket ends."""
    with serving() as served:
        served.peer.send(frame(CLOSE, (3001).to_bytes(2) + b"MARKER"), text("too late"))
        assert served.peer.frame() == (CLOSE, (3001).to_bytes(2))
        assert served.peer.rest() == b""
        assert served.heard == []


def test_a_goodbye_without_a_code_is_answered_without_one():
    """1005 is the name of no code, and is never sent."""
    with serving() as served:
        served.peer.send(frame(CLOSE))
        assert served.peer.frame() == (CLOSE, b"")


def test_our_goodbye_is_the_last_that_leaves():
    """A last message goes before it; what others would send comes too late; saying it twice says it once."""
    with serving() as served:
        served.connection.close(1012, "restart", last=b"{}")
        served.connection.close(1000)
        assert not served.connection.send([b"late"])
        served.peer.send(text("late"))
        settle()
        assert served.heard == []
        assert served.peer.frame() == (TEXT, b"{}")
        assert served.peer.frame() == (CLOSE, (1012).to_bytes(2) + b"restart")
        assert served.peer.rest() == b""


def test_after_our_goodbye_the_peer_is_read_to_its_end():
    """Whatever still comes is read away, so that no reset overtakes the goodbye; the peer closes last."""
    with serving() as served:
        served.peer.send(frame(BINARY, b"x"))
        settle()
        served.peer.send(frame(TEXT, b"x" * 50_000), b"no frame at all")
        settle()
        assert not served.greenlet.ready()
        assert served.peer.goodbye() == 1003
        served.peer.close()
        served.greenlet.join()
        assert served.heard == []


def test_who_does_not_close_is_closed():
    """After our goodbye the peer has so long, and then the socket is broken off."""
    with serving() as served:
        served.connection.close(1001)
        served.clock.advance(CLOSE_S - 0.1)
        settle()
        assert not served.greenlet.ready()
        served.clock.advance(0.1)
        served.greenlet.join()


@pytest.mark.parametrize("way", [Peer.close, Peer.reset])
def test_a_peer_may_go_without_a_word(way):
    """By FIN and by RST: reading ends, and nothing is left."""
    with serving(pair=over_tcp(takes=65_536, keeps=65_536)) as served:
        way(served.peer)
        served.greenlet.join()
        assert not served.connection.send([b"x"])


def test_a_cut_is_no_end_that_anybody_could_take_for_a_good_one():
    """The peer gets a reset, whatever the kernel still had for it."""
    ours, theirs = over_tcp(takes=4096, keeps=1_000_000)
    with serving(pair=(ours, theirs)) as served:
        assert served.connection.send([b"x" * 400_000])
        served.connection.cut()
        served.greenlet.join()
        ours.close()
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: served.peer.socket.recv(65_536), b""))


def test_the_write_timeout_is_none_of_reading():
    """Who has nothing to say for longer is heard all the same."""
    with serving(limits=HASTY) as served:
        served.peer.socket.settimeout(3 * HASTY.write_timeout_s)
        with pytest.raises(TimeoutError):
            served.peer.socket.recv(1)
        served.peer.say("hello")
        settle()
        assert served.heard == [b"hello"]


def test_whoever_reads_can_be_killed():
    """A worker that exits kills the greenlet: the socket is broken off, no timer is left."""
    with serving() as served:
        served.greenlet.kill()
        served.connection.cut()
        served.connection.finish()
        with pytest.raises(GoneError):
            served.peer.frame()
