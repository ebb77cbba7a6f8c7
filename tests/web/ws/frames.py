"""WebSocket frames by hand (RFC 6455, 5.2), for a client that trusts nobody and sends what is wrong."""

import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, MASKED = 0x80, 0x80
MASK = bytes([0x37, 0xFA, 0x21, 0x3D])  # the one of the RFC's examples
ENDS = {"finish", "error", "problem"}
LINGER_ZERO = struct.pack("ii", 1, 0)


class GoneError(Exception):
    """The socket ended, orderly or not, before a whole frame had come; ``args`` has what came of one."""


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
    """Return one frame as a client sends it."""
    size = len(payload)
    long = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[long]
    head = bytes([(FIN if fin else 0) | rsv << 4 | opcode, (MASKED if mask else 0) | short])
    head += size.to_bytes(long) if long else b""
    return head + (MASK + masked(payload) if mask else payload)


def masked(payload: bytes) -> bytes:
    return bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))


def text(value: Any) -> bytes:
    """Return a message in one frame: JSON, unless it is a string."""
    data = value if isinstance(value, str) else json.dumps(value)
    return frame(TEXT, data.encode())


def fragments(data: bytes, *cuts: int) -> bytes:
    """Return a text message in several frames, cut at these places."""
    ends = [*sorted(cuts), len(data)]
    begins = [0, *ends[:-1]]
    return b"".join(
        frame(CONTINUATION if number else TEXT, data[begin:end], fin=number == len(cuts))
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
    )


@dataclass
class Peer:
    """The client's end of a socket."""

    socket: socket.socket
    pinged: int = 0
    answers: bool = True
    _file: Any = field(init=False)

    def __post_init__(self) -> None:
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *data: bytes) -> Self:
        self.socket.sendall(b"".join(data))
        return self

    def say(self, *values: Any) -> Self:
        """Send messages."""
        return self.send(*map(text, values))

    def head(self) -> list[str]:
        """Read the lines of a response's head."""
        lines = []
        while line := self._file.readline().decode("latin-1").rstrip():
            lines.append(line)
        return lines

    def frame(self) -> tuple[int, bytes]:
        """Read one frame: opcode and payload; raises GoneError, AssertionError for one that is not right."""
        first, short = self._exactly(2)
        assert first & FIN, "the server sends no fragments"
        assert not first & 0x70, "no reserved bit"
        assert not short & MASKED, "the server does not mask"
        size = int.from_bytes(self._exactly({126: 2, 127: 8}[short])) if short > 125 else short
        assert size >= {126: 126, 127: 1 << 16}.get(short, 0), "lengths are as short as can be"
        return first & 0x0F, self._exactly(size)

    def frames(self) -> list[tuple[int, bytes]]:
        """Read whole frames to the end, orderly or not; half of one at the end is left out."""
        found = []
        with suppress(GoneError):
            while True:
                found.append(self.frame())
        return found

    def hear(self) -> Any:
        """Read the next message; pings are answered on the way, if this one answers."""
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.pinged += 1
                if self.answers:
                    self.send(frame(PONG, payload))
            elif opcode == TEXT:
                return json.loads(payload)
            else:
                raise AssertionError(f"opcode {opcode}: {payload!r}")

    def until(self, ref: str | None, *types: str) -> list[dict[str, Any]]:
        """Read this ref's messages up to one of these types; those of other refs are let go."""
        found = []
        while not found or found[-1]["type"] not in types:
            message = self.hear()
            if message.get("ref") == ref:
                found.append(message)
        return found

    def told(self, *refs: str) -> Any:
        """Read until each of these refs has its end or its refusal; return their messages."""
        wanted = refs or ("a",)
        found: dict[str, list[dict[str, Any]]] = {ref: [] for ref in wanted}
        while not all(found[ref] and found[ref][-1]["type"] in ENDS for ref in wanted):
            message = self.hear()
            found.setdefault(message["ref"], []).append(message)
        return found if len(wanted) > 1 else found[wanted[0]]

    def goodbye(self) -> int:
        """Read the close frame and the end after it; return its code."""
        opcode, payload = self.frame()
        while opcode in {PING, PONG}:
            opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload)
        assert self._file.read() == b""
        return int.from_bytes(payload[:2])

    def rest(self) -> bytes:
        """Read to the end, orderly or not."""
        data = bytearray()
        try:
            while piece := self._file.read1(65536):
                data += piece
        except ConnectionResetError:
            pass
        return bytes(data)

    def reset(self) -> None:
        """Leave with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self.close()

    def close(self) -> None:
        """Leave with a FIN."""
        self._file.close()
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except ConnectionResetError as error:
            raise GoneError from error
        if len(data) < size:
            raise GoneError(data)
        return data
