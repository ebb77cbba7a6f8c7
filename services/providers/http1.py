"""HTTP/1.1 as a client speaks it (RFC 9112): bytes in, values out, no I/O.

Bodies are decoded straight from what a read gives: what arrived in one read leaves in one piece,
and each byte is looked at a fixed number of times, however the bytes are cut.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Field: TypeAlias = tuple[bytes, bytes]

HEAD_BYTES = 64 * 1024  # of a response's head, and of all trailers
MOST_FIELDS = 128
LINE_BYTES = 4 * 1024  # of the line before a chunk, whose extensions say nothing here

HEAD_END = re.compile(rb"\r?\n\r?\n")
STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [^\r\n]*)?")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
SIZE = rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n"
FIRST_CHUNK = re.compile(SIZE)
NEXT_CHUNK = re.compile(rb"\r?\n" + SIZE)  # the line end belongs to the chunk before
TRAILER = re.compile(rb"[^\n]*\n")
LENGTH = re.compile(rb"[0-9]{1,18}")
NEVER_IN_A_HEAD = re.compile(rb"[\r\n\0]")
FRAMING = {b"content-length", b"transfer-encoding"}
NO_BODY = {204, 304}


class NotHTTPError(Exception):
    """What was sent is not HTTP/1.1, or ends in the middle."""


class Body(Protocol):
    """Takes the bytes after a head; ``done`` at the body's end, ``keeps`` if more may follow it."""

    done: bool
    keeps: bool

    def feed(self, data: bytes) -> bytes:
        """Return what the bytes hold of the body; raises NotHTTPError."""

    def end(self) -> None:
        """Note that the connection has ended; raises NotHTTPError if the body was not whole."""


@dataclass(frozen=True)
class Head:
    """A response's status and fields; ``keeps`` if the connection may outlive it."""

    status: int
    fields: Sequence[Field]
    keeps: bool

    def body(self, method: str) -> Body:
        """Return what reads the body (RFC 9112, 6.3); raises NotHTTPError where its length is not certain."""
        if method == "HEAD" or self.status in NO_BODY:
            return Sized(0, keeps=self.keeps)
        codings = _members(self.fields, b"transfer-encoding")
        lengths = set(_members(self.fields, b"content-length"))
        if codings:
            if codings != [b"chunked"]:
                raise NotHTTPError("a transfer coding that nobody asked for")
            return Chunked(keeps=self.keeps and not lengths)
        if not lengths:
            return UntilClose()
        length = lengths.pop()
        if lengths or not LENGTH.fullmatch(length):
            raise NotHTTPError("a body of no certain length")
        return Sized(int(length), keeps=self.keeps)


def request(method: str, target: bytes, fields: Iterable[Field], body: bytes) -> bytes:
    """Return a whole request; raises ValueError for a field that would be read as two."""
    fields = list(fields)
    told = [field for field in fields if field[0].lower() not in FRAMING]
    if body or len(told) < len(fields):
        told.append((b"Content-Length", b"%d" % len(body)))
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target), *map(b": ".join, told)]
    if any(map(NEVER_IN_A_HEAD.search, lines)):
        raise ValueError("a line end in the head of a request")
    return b"\r\n".join([*lines, b"", body])


def split_head(data: bytes, seen: int = 0) -> tuple[Head, bytes] | None:
    """Return the first head and what follows it, None where it is not whole; raises NotHTTPError.

    ``seen`` bytes were looked at before.
    """
    end = HEAD_END.search(data, max(0, seen - 3), HEAD_BYTES)
    if end is not None:
        return _head(data[: end.start()]), data[end.end() :]
    if len(data) >= HEAD_BYTES:
        raise NotHTTPError("a head without an end")
    return None


def _head(data: bytes) -> Head:
    first, *lines = (line.removesuffix(b"\r") for line in data.split(b"\n"))
    status, found = STATUS.fullmatch(first), [FIELD.fullmatch(line) for line in lines]
    if status is None or None in found or len(found) > MOST_FIELDS:
        raise NotHTTPError("a head that is none")
    fields = [(field[1], field[2]) for field in found if field]
    wishes = _members(fields, b"connection")
    return Head(
        int(status[2]), fields, b"close" not in wishes and (status[1] == b"1" or b"keep-alive" in wishes)
    )


def _members(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """Return what a field says, each member of its lists by itself, in lower case."""
    said = (value for key, value in fields if key.lower() == name)
    return [member.strip(b" \t").lower() for value in said for member in value.split(b",")]


class Sized:
    """A body whose length was told."""

    def __init__(self, length: int, *, keeps: bool) -> None:
        self.done = not length
        self.keeps = keeps
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """Return what belongs to the body."""
        body = data[: self._left]
        self._left -= len(body)
        self.done = not self._left
        self.keeps = self.keeps and len(body) == len(data)
        return body

    def end(self) -> None:
        """Refuse: a whole body would be done."""
        raise NotHTTPError("the connection ended in the middle of a body")


class UntilClose:
    """A body that ends with its connection."""

    def __init__(self) -> None:
        self.done = False
        self.keeps = False

    def feed(self, data: bytes) -> bytes:
        """Return all of it."""
        return data

    def end(self) -> None:
        """Be done."""
        self.done = True


class Chunked:
    """A body in chunks (RFC 9112, 7.1); extensions and trailers are read over."""

    def __init__(self, *, keeps: bool) -> None:
        self.done = False
        self.keeps = keeps
        self._due = FIRST_CHUNK
        self._cut = b""  # the beginning of the line that is due
        self._left = 0  # bytes of the chunk that have not come
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Return what the chunks hold, also one whose end has not come."""
        if self._due is FIRST_CHUNK and not self._left and not self._cut:
            line = FIRST_CHUNK.match(data)
            end = line.end() + int(line[1], 16) if line else 0
            if line and data[end:] == b"\r\n" and end > line.end():
                return data[line.end() : end]  # one whole chunk, as nearly every read brings it
        return self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        data, self._cut = self._cut + data, b""
        place, pieces = 0, []
        while place < len(data) and not self.done:
            if self._left:
                piece = data[place : place + self._left]
                place += len(piece)
                self._left -= len(piece)
                pieces.append(piece)
                if data.startswith(b"\r\n", place):
                    place += 2
                    self._due = FIRST_CHUNK
            elif line := self._due.match(data, place):
                place = line.end()
                self._take(line)
            else:
                self._keep(data[place:])
                break
        if self.done:
            self.keeps = self.keeps and place == len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """Refuse: a whole body would be done."""
        raise NotHTTPError("the connection ended in the middle of a body in chunks")

    def _take(self, line: re.Match[bytes]) -> None:
        if self._due is not TRAILER:
            self._left = int(line[1], 16)
            self._due = NEXT_CHUNK if self._left else TRAILER
            return
        self._trailer_bytes += len(line[0])
        if self._trailer_bytes > HEAD_BYTES:
            raise NotHTTPError("trailers without an end")
        self.done = not line[0].strip(b"\r\n")

    def _keep(self, rest: bytes) -> None:
        """Wait for the rest of a line, unless none can come."""
        most = HEAD_BYTES if self._due is TRAILER else LINE_BYTES
        if len(rest) > most or rest.find(b"\n", 2 if self._due is NEXT_CHUNK else 0) >= 0:
            raise NotHTTPError("a chunk without its size")
        self._cut = rest
