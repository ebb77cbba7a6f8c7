"""The judge is judged first: what the upstream tells must be so."""

import hashlib
import json
import socket
import struct
import subprocess
import sys
from contextlib import closing

import pytest

from tests.upstream.faults import FAULTS, reply
from tests.upstream.fixtures import ROOT
from tests.upstream.steps import End, Fin, Rst

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
POST = "POST /v1/chat/completions HTTP/1.1\r\n"
ARGUMENTS = {"refuses": ["stop"], "retry-after": ["7"], "should-retry": ["503", "true"], "say": ["SG9sYQ"],
             "breaks": ["1", "SG9sYQ"]}  # fmt: skip


def body_of(model, **more):
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "Say hi"}], "stream": True, **more}
    ).encode()


def sent(upstream, model, **more):
    """Return a connection on which this was asked."""
    body = body_of(model, **more)
    connection = socket.create_connection(("127.0.0.1", upstream.port))
    head = f"{POST}Authorization: Bearer k\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def received(connection, until=b"\r\n0\r\n\r\n"):
    """Return the bytes up to these, or to the connection's end."""
    seen = b""
    while not seen.endswith(until) and (piece := connection.recv(65536)):
        seen += piece
    return seen


def test_entry(upstream):
    """An entry has hashes of key and body, what was asked, tokens, and a time for each chunk."""
    with closing(sent(upstream, "ok:3#entry")) as connection:
        received(connection)
    [entry] = upstream.journal("ok:3#entry", ended=1)

    assert entry["key"] == hashlib.sha256(b"Bearer k").hexdigest()[:16]
    assert entry["body"] == hashlib.sha256(body_of("ok:3#entry")).hexdigest()[:16]
    assert entry["asked"]["messages"] == [{"role": "user", "content": "Say hi"}]
    assert (entry["tokens"], entry["ended"]) == (3, "upstream")
    assert entry["begun_at"] <= entry["chunks_at"][0] <= entry["chunks_at"][-1] <= entry["ended_at"]
    assert len(entry["chunks_at"]) == 1 + 3 + 1 + 1  # role, tokens, finish, [DONE]


def test_gate(upstream):
    """An answer goes on when its gate is opened, and not before."""
    with closing(sent(upstream, "fault/stall:1:gate-a#gate")) as connection:
        before = received(connection, until=b'"w0 "}, "finish_reason": null}]}\n\n\r\n')
        upstream.gate("gate-a")
        after = received(connection)

    assert (b"w1" in before, b"w1" in after) == (False, True)


def test_gate_that_is_open(upstream):
    """A gate that was opened early, or twice, is open."""
    upstream.gate("gate-b")
    upstream.gate("gate-b")
    with closing(sent(upstream, "fault/stall:1:gate-b#early")) as connection:
        assert b"w2" in received(connection)


WAITING = [
    "fault/silent:never",
    "fault/stall:0:never",
    "fault/stall:2:never",
    "fault/pings:0:never",
    "paced:9:60000",
]


@pytest.mark.parametrize("model", WAITING)
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_peer_that_leaves(upstream, model, reset):
    """A peer that closes or resets is noticed while nothing is sent."""
    named = f"{model}#leaves-{reset}"
    connection = sent(upstream, named)
    upstream.journal(named, begun=1)
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    connection.close()

    assert [entry["ended"] for entry in upstream.journal(named, ended=1)] == ["peer"]


def test_fin_in_a_chunk(upstream):
    """The connection ends in the middle of a chunk."""
    with closing(sent(upstream, "fault/fin:1#fin")) as connection:
        assert received(connection).endswith(b"ff\r\ndata: {")


def test_rst_in_a_chunk(upstream):
    """The connection is reset in the middle of a chunk."""
    with closing(sent(upstream, "fault/rst:1#rst")) as connection, pytest.raises(ConnectionResetError):
        received(connection)


def test_connection_lives_on(upstream):
    """A connection takes one request after the other."""
    with closing(sent(upstream, "ok:1#twice")) as connection:
        received(connection)
        body = body_of("ok:1#twice")
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        received(connection)

    assert len({entry["connection"] for entry in upstream.journal("ok:1#twice", ended=2)}) == 1


def test_ends_with_who_started_it():
    """The process ends when its standard input does."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.upstream"], cwd=ROOT, input=b"", capture_output=True, check=True
    )

    assert int(done.stdout) > 0


ASKED = {
    "messages": [{"role": "user", "content": "one two"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_ends(name):
    """Each entry of the table is a list of steps that ends the answer or the connection."""
    wanted = FAULTS[name].__code__.co_argcount - 1 - len(FAULTS[name].__defaults__ or ())
    arguments = ARGUMENTS.get(name, ["1"] * wanted)
    steps = reply({**ASKED, "model": ":".join([f"fault/{name}", *arguments])}, 1)

    assert isinstance(steps[-1], End | Fin | Rst)


def test_first_attempts():
    """The first attempts are refused, those after them answered."""
    asked = {**ASKED, "model": "fault/first:2:503"}

    assert [reply(asked, attempt)[0].status for attempt in (1, 2, 3)] == [503, 503, 200]


def test_one_thing_after_the_other():
    """Each request does what stands at its place, those that are left what stands last."""
    asked = {**ASKED, "model": "fault/status:401+status:503+ok:1@tag"}

    assert [reply(asked, attempt)[0].status for attempt in (1, 2, 3, 4)] == [401, 503, 200, 200]


@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
def test_cap(cap):
    """An honest answer keeps to its cap, and says so."""
    data = b"".join(getattr(step, "data", b"") for step in reply({**ASKED, "model": "ok:9", cap: 2}, 1))

    assert (b"w1" in data, b"w2" in data, b'"length"' in data) == (True, False, True)


def test_unknown_model():
    """A model that is none is not found."""
    assert reply({**ASKED, "model": "gpt-4"}, 1)[0].status == 404
