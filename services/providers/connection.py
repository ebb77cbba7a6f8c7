"""One connection to a provider: made within a time, read without one, closed at once.

Waiting goes before reading: a read that is tried first is in vain nearly always, as a provider
says one thing at a time. And it goes through the hub, so however fast a provider is, whoever
else can go on does so between two reads.
"""

import ipaddress
import socket as names
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import gevent
from gevent import socket
from gevent.ssl import SSLSocket

from services.providers.http1 import Head, NotHTTPError, split_head

Address: TypeAlias = tuple[Any, Any, int, str, Any]  # as getaddrinfo gives it

FINAL = 200  # what is below announces an answer (RFC 9110, 15.2)
CLOSED = (ConnectionError, ssl.SSLEOFError)
READ = 1  # libev's and libuv's name for "readable"
READ_BYTES = 64 * 1024


class NothingCame(ConnectionError):
    """The peer closed before it said anything."""


class NothingTaken(NothingCame):
    """The peer had closed before it was asked everything, so it cannot have begun to answer."""


class Connection:
    """A socket, secured or not."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._inner: names.socket = getattr(sock, "_sock", sock)  # what gevent wraps: it never waits
        self._hub = gevent.get_hub()
        self._readable = self._hub.loop.io(sock.fileno(), READ)
        self._pending = sock.pending if isinstance(sock, SSLSocket) else None

    def ask(self, request: bytes, *, write_s: float | None, read_s: float | None) -> tuple[Head, bytes]:
        """Send a request; return its answer's head, and what came with it.

        Raises NothingCame, NotHTTPError, OSError, and TimeoutError where the peer takes nothing or
        says nothing for so long.
        """
        taken = self._sent(request, write_s)
        self._sock.settimeout(read_s)
        said = self._first(NothingCame if taken else NothingTaken)
        seen = 0
        while True:
            found = split_head(said, seen)
            if found is None:
                seen = len(said)
                said += self._more()
            elif found[0].status >= FINAL:
                self._sock.settimeout(None)
                return found
            else:
                said, seen = found[1], 0

    def _sent(self, request: bytes, within_s: float | None) -> bool:
        """Send all of it; false if the peer has closed: what it said before may tell why."""
        self._sock.settimeout(within_s)
        try:
            self._sock.sendall(request)
        except CLOSED:
            return False
        return True

    def _first(self, nothing: type[NothingCame]) -> bytes:
        try:
            said = self._sock.recv(READ_BYTES)
        except CLOSED as failure:
            raise nothing("the connection broke before an answer") from failure
        if not said:
            raise nothing("the connection ended before an answer")
        return said

    def _more(self) -> bytes:
        more = self._sock.recv(READ_BYTES)
        if not more:
            raise NotHTTPError("the connection ended in the middle of a head")
        return more

    def read(self) -> bytes:
        """Return what comes next, however long that takes; empty at the end; raises OSError."""
        if self._pending is not None:
            if not self._pending():
                self._hub.wait(self._readable)
            return self._sock.recv(READ_BYTES)
        readable = self._readable
        while True:
            readable.start(gevent.getcurrent().switch)  # as ``hub.wait`` does, with less in between
            try:
                self._hub.switch()
            finally:
                readable.stop()
            try:
                return self._inner.recv(READ_BYTES)
            except BlockingIOError:
                continue

    @property
    def quiet(self) -> bool:
        """Tell whether the peer is there and has said nothing: a connection to use again."""
        try:
            self._inner.recv(1, names.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the socket now; whoever waits for it is told. Closing twice is fine."""
        closed = ConnectionAbortedError("closed on this side")
        self._hub.cancel_waits_close_and_then([self._readable], closed, self._sock.close)


def connect(host: str, port: int, *, tls: ssl.SSLContext | None, within_s: float | None) -> Connection:
    """Make a connection to the first of the host's addresses that accepts one.

    Raises TimeoutError if that takes longer in all, names, handshake and certificate included;
    OSError where it fails.
    """
    with gevent.Timeout(within_s, TimeoutError("no connection in time")):
        addresses = _addresses(host, port)
        sock = first_reached(addresses, within_s)
        try:
            sock.setsockopt(names.IPPROTO_TCP, names.TCP_NODELAY, 1)
            if tls is not None:  # an end without a word is no end of an answer
                sock = tls.wrap_socket(sock, server_hostname=host, suppress_ragged_eofs=False)
            return Connection(sock)
        except BaseException:
            sock.close()
            raise


def _addresses(host: str, port: int) -> Sequence[Address]:
    """Look a name up; an address is one already, and needs no thread to be turned into itself."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return socket.getaddrinfo(host, port, 0, names.SOCK_STREAM)
    family = names.AF_INET if version == 4 else names.AF_INET6  # noqa: PLR2004 - IP's versions
    return [(family, names.SOCK_STREAM, names.IPPROTO_TCP, "", (host, port))]


def first_reached(addresses: Sequence[Address], within_s: float | None) -> socket.socket:
    """Return a connection to the first address that accepts one; each gets its part of the time.

    Raises the failure of the last one.
    """
    part_s = within_s and within_s / len(addresses)
    *others, last = addresses
    for address in others:
        with suppress(OSError):
            return _reached(address, part_s)
    return _reached(last, part_s)


def _reached(address: Address, within_s: float | None) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(within_s)
        sock.connect(where)
        sock.settimeout(None)
    except BaseException:
        sock.close()
        raise
    return sock
