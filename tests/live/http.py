"""HTTP/1.1 by hand over a raw socket: what a client sees that trusts nobody."""

import json
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any, Self

LINGER_ZERO = struct.pack("ii", 1, 0)
WAIT_S = 30


@dataclass
class Head:
    """A response's status and headers, names in lower case."""

    status: int
    headers: dict[str, str]


class BrokenOffError(Exception):
    """The body ended before its end."""


class Connection:
    """One connection: requests out, heads, chunks and whole bodies in."""

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        *,
        takes: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect; ``takes`` is how many bytes the kernel may take that nobody reads."""
        self.port = port
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.settimeout(WAIT_S)
        if takes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
        try:
            self.socket.connect((host, port))
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        except OSError:
            self.socket.close()
            raise
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(self, path: str, body: Any, accept: str = "*/*", **headers: str) -> "Connection":
        """Send a POST; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", path, data, Accept=accept, Content_Length=str(len(data)), **headers)

    def send(
        self, method: str, path: str, data: bytes = b"", *, version: str = "1.1", **headers: str
    ) -> "Connection":
        """Send a request; underscores in header names become hyphens, an empty value leaves it out."""
        headers = {"Host": f"127.0.0.1:{self.port}", **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
        head = "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""])
        self.socket.sendall(head.encode() + data)
        return self

    def head(self) -> Head:
        """Read a response's head."""
        status = self._file.readline()
        if not status:
            raise BrokenOffError("no head")
        headers = {}
        while (line := self._file.readline()) not in {b"\r\n", b""}:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Head(int(status.split()[1]), headers)

    def chunk(self) -> bytes:
        """Read one HTTP chunk, b"" for the last; raises BrokenOffError if there is none."""
        size = self._file.readline()
        if not size.endswith(b"\n"):
            raise BrokenOffError("no last chunk")
        data = self._file.read(int(size, 16))
        self._file.readline()
        return data

    def until(self, part: bytes) -> bytes:
        """Read chunks until this has come."""
        body = b""
        while part not in body:
            body += self.chunk()
        return body

    def chunks(self) -> bytes:
        """Read to the last chunk; raises BrokenOffError with what came before the cut."""
        body = b""
        try:
            while chunk := self.chunk():
                body += chunk
        except BrokenOffError as cut:
            raise BrokenOffError(body.decode()) from cut
        return body

    def body(self, head: Head) -> bytes:
        """Read a body of either framing."""
        if head.headers.get("transfer-encoding") == "chunked":
            return self.chunks()
        return self._file.read(int(head.headers.get("content-length", 0)))

    def rest(self) -> bytes:
        """Read to the end of the connection."""
        return self._file.read()

    def answer(self) -> tuple[Head, bytes]:
        """Read a whole response."""
        head = self.head()
        return head, self.body(head)

    def reset(self) -> None:
        """Leave with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.close()

    def close(self) -> None:
        """Leave with a FIN."""
        self._file.close()
        self.socket.close()


def events(body: bytes) -> list[dict[str, Any]]:
    """Read NDJSON; empty lines are heartbeats."""
    return [json.loads(line) for line in body.split(b"\n") if line]


def messages(body: bytes) -> list[dict[str, Any]]:
    """Read server-sent events as a browser does: id, event and data of each message."""
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found
