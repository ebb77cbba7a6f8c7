"""One HTTP/1.1 request over a raw socket: what comes is handed out as it comes, and how it ended is known."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, zero seconds
WAIT_S = 40.0  # longer than any heartbeat: who waits so long has found something
READ_BYTES = 65_536


class CutError(Exception):
    """The connection ended before the response did, or was ended here."""


class Wire:
    """One connection with one request on it; ``takes`` bytes the kernel keeps that nobody reads."""

    def __init__(self, port: int, *, takes: int | None = None) -> None:
        """Connect; raises OSError."""
        self._socket = socket.socket()
        self._socket.settimeout(WAIT_S)
        if takes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        self._left = b""
        self._port = port
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Self:
        """Send a request; underscores in header names become hyphens. Raises OSError."""
        data = b"" if body is None else json.dumps(body).encode()
        named = {"Host": f"127.0.0.1:{self._port}", **headers, "Content-Length": str(len(data))}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
        self._socket.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + data)
        return self

    def head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers, names in lower case; raises CutError."""
        status, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        self._headers = {name.lower(): value.strip() for name, _, value in pairs}
        return int(status.split()[1]), self._headers

    def body(self) -> Iterator[bytes]:
        """Yield what comes until the response's proper end; raises CutError without one."""
        if self._headers.get("transfer-encoding") != "chunked":
            length = int(self._headers.get("content-length", 0))
            while length:
                yield (piece := self._some(length))
                length -= len(piece)
            return
        while size := int(self._until(b"\r\n"), 16):
            while size:
                yield (piece := self._some(size))
                size -= len(piece)
            self._until(b"\r\n")
        self._until(b"\r\n")

    def answer(self) -> tuple[int, bytes]:
        """Return status and whole body."""
        status, _ = self.head()
        return status, b"".join(self.body())

    def ended(self) -> None:
        """Wait until the other side has ended the connection; raises AssertionError if it says something."""
        try:
            said = self._left + self._read()
        except CutError:
            return
        raise AssertionError(f"it said {said[:80]!r}")

    def reset(self) -> None:
        """Leave with a RST, also while another greenlet reads."""
        with suppress(OSError):  # it is closed already
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._socket.close()

    def cut(self) -> None:
        """Leave with a FIN, also while another greenlet reads."""
        self._socket.close()

    close = cut

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._left += self._read()
        found, _, self._left = self._left.partition(mark)
        return found

    def _some(self, most: int) -> bytes:
        data, self._left = self._left or self._read(), b""
        data, self._left = data[:most], data[most:]
        return data

    def _read(self) -> bytes:
        try:
            data = self._socket.recv(READ_BYTES)
        except OSError as error:
            raise CutError(type(error).__name__) from error
        if not data:
            raise CutError("end of connection")
        return data


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    """Return status and body of one request; raises OSError, CutError."""
    with Wire(port) as wire:
        return wire.send(method, path, body, **headers).answer()
