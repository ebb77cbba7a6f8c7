"""The upstream's sockets: a thread per connection, and none of HTTP that is not needed."""

import contextlib
import itertools
import json
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.upstream.faults import reply
from tests.upstream.journal import Entry, Journal
from tests.upstream.steps import Bytes, End, Fin, Gate, Head, Pause, Pings, Raw, Rst, Step

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
OPENED = -1
MODELS = ["ok:20", "echo"]


class PeerClosedError(Exception):
    """The peer has closed, or reset, its connection."""


class Gates:
    """Named gates; a gate is a pipe whose end of file means open, so that it can be polled."""

    def __init__(self) -> None:
        self._pipes: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def readable_when_open(self, name: str) -> int:
        """Return a descriptor to poll."""
        with self._lock:
            if name not in self._pipes:
                self._pipes[name] = os.pipe()
            return self._pipes[name][0]

    def open(self, name: str) -> None:
        """Open a gate, for good."""
        self.readable_when_open(name)
        with self._lock:
            reading, writing = self._pipes[name]
            if writing != OPENED:
                os.close(writing)
                self._pipes[name] = (reading, OPENED)


class Server:
    """Listen on a port of loopback that the system chooses."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.journal = Journal()
        self.gates = Gates()
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Accept for ever."""
        for number in itertools.count(1):
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection, number), daemon=True).start()

    def _converse(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, PeerClosedError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as incoming:
                while _answer_one(self, connection, incoming, number):
                    pass


def _answer_one(server: Server, connection: socket.socket, incoming: Any, number: int) -> bool:
    """Answer one request; tell whether the connection lives on."""
    line = incoming.readline()
    if not line:
        return False
    method, target, _ = line.decode("latin-1").split()
    headers = dict(_headers(incoming))
    body = incoming.read(int(headers.get("content-length", 0)))
    if target.endswith("/chat/completions") and method == "POST":
        return _attempt(server, connection, number, headers, body)
    path = urlsplit(target).path
    if path.startswith("/_list/"):  # a base URL at which listing the models fails
        return _attempt(
            server, connection, number, headers, json.dumps({"model": path.split("/")[2]}).encode()
        )
    _send_json(connection, _control(server, method, urlsplit(target)))
    return True


def _headers(incoming: Any) -> Iterator[tuple[str, str]]:
    while (line := incoming.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()


def _attempt(
    server: Server, connection: socket.socket, number: int, headers: dict[str, str], body: bytes
) -> bool:
    asked = json.loads(body)
    entry = server.journal.begin(number, headers.get("authorization", ""), body, asked)
    turn = Turn(server, connection, entry)
    ended = "peer"
    try:
        steps = reply(asked, server.journal.attempts(entry.model))
        for step in steps:
            turn.take(step)
        ended = "upstream"
    finally:
        server.journal.end(entry, ended)
    return not isinstance(steps[-1], Fin | Rst)


class Turn:
    """One answer being given."""

    def __init__(self, server: Server, connection: socket.socket, entry: Entry) -> None:
        self._server = server
        self._connection = connection
        self._entry = entry
        self._watched = not isinstance(connection, ssl.SSLSocket)  # a record is no end of file

    def take(self, step: Step) -> None:  # noqa: C901 - one case per kind of step
        """Do one step; raises ``PeerClosedError`` or ``OSError`` as soon as the peer is gone."""
        match step:
            case Head(status, kind, headers):
                self._send(_head(status, {"Content-Type": kind, "Transfer-Encoding": "chunked", **headers}))
            case Bytes(data, tokens):
                self._chunk(data, tokens)
            case Raw(data):
                self._send(data)
            case Gate(name):
                self._wait(None, name)
            case Pause(seconds):
                self._wait(seconds)
            case Pings(every_s, gate):
                while not self._wait(every_s, gate):
                    self._chunk(b": ping\n\n", 0)
            case End():
                self._send(b"0\r\n\r\n")
            case Fin():
                self._connection.shutdown(socket.SHUT_WR)
            case Rst():
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _chunk(self, data: bytes, tokens: int) -> None:
        self._wait(0)
        self._send(b"%x\r\n%b\r\n" % (len(data), data))
        self._entry.chunks_at.append(time.monotonic())
        self._entry.tokens += tokens

    def _send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def _wait(self, seconds: float | None, gate: str | None = None) -> bool:
        """Wait, with an eye on the peer; tell whether the gate is open."""
        poll = select.poll()
        if self._watched:
            poll.register(self._connection, select.POLLIN)
        opened = -1 if gate is None else self._server.gates.readable_when_open(gate)
        if gate is not None:
            poll.register(opened, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)}
        if self._connection.fileno() in ready and not self._connection.recv(1, socket.MSG_PEEK):
            raise PeerClosedError
        return opened in ready


def _control(server: Server, method: str, target: Any) -> object:
    """Answer what is for the test and not for the service."""
    query = {name: values[-1] for name, values in parse_qs(target.query).items()}
    if target.path == "/_journal":
        return server.journal.read(
            query.get("model"), begun=int(query.get("begun", 0)), ended=int(query.get("ended", 0))
        )
    if target.path.startswith("/_gate/") and method == "POST":
        server.gates.open(unquote(target.path.removeprefix("/_gate/")))
        return {}
    return {"object": "list", "data": [{"id": model, "object": "model"} for model in MODELS]}


def _send_json(connection: socket.socket, value: object) -> None:
    body = json.dumps(value).encode()
    connection.sendall(
        _head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))}) + body
    )


def _head(status: int, headers: dict[str, str]) -> bytes:
    phrase = HTTPStatus(status).phrase if status in {*HTTPStatus} else "Odd"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
