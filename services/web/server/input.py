"""A request's body as it arrives: ``wsgi.input`` that withholds nothing.

gunicorn's own gives a piece when 1,024 bytes have come, also to ``readline()``; a caption a second
came nearly three seconds late. Its parser of chunks is used, which yields what the socket gave.
"""

from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.unreader import Unreader

from services.errors import BodyTooLarge, MalformedBody

PIECE_BYTES = 64 * 1024
# As long as a message of a WebSocket may be.
MAX_LINE_BYTES = 64 * 1024


class Input:
    """Gives what has come, and waits only where nothing has.

    ``read(n)`` returns at most n bytes as soon as there are any, as a raw stream does. Reading
    raises ``MalformedBody`` where the framing is wrong or the client leaves in mid-body, and goes
    on raising: what follows in the connection is then nobody's.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.failed = False  # gunicorn asks for this name
        self._pieces = pieces
        self._kept = b""

    def read(self, size: int | None = -1) -> bytes:
        """Return what has come, at most ``size`` bytes; without a size the whole rest. b"" is the end."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(PIECE_BYTES), b""))
        if not size:
            return b""
        came = self._arrived()
        self._kept = came[size:]
        return came[:size]

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line as soon as it is whole; the last one may lack its newline.

        With a size, at most so much of it. Without one, raises ``BodyTooLarge`` for a line above
        ``MAX_LINE_BYTES``.
        """
        bounded = size is not None and size >= 0
        most = size if size is not None and bounded else MAX_LINE_BYTES
        line = bytearray()
        while len(line) < most and not line.endswith(b"\n") and (came := self._arrived()):
            end = came.find(b"\n", 0, most - len(line)) + 1 or most - len(line)
            line += came[:end]
            self._kept = came[end:]
        if len(line) == most and not bounded and not line.endswith(b"\n"):
            self.failed = True
            raise BodyTooLarge("A line of the body is too long.", limit=MAX_LINE_BYTES)
        return bytes(line)

    def readlines(self, _hint: int = -1) -> list[bytes]:
        """Return all lines that are left."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        """Yield each line as soon as it is whole."""
        return iter(self.readline, b"")

    def _arrived(self) -> bytes:
        """Return what has come and was not read, or wait for a piece; b"" is the end."""
        if self.failed:
            raise MalformedBody("The body could not be read.")
        if self._kept:
            return self._kept
        self.failed = True  # unless this goes well, whatever comes in between
        try:
            piece = next(self._pieces, b"")
        except (OSError, ParseException):
            raise MalformedBody("The body is not framed as HTTP/1.1 asks, or broke off.") from None
        self.failed = False
        return piece


def arriving(reader: Any, unreader: Unreader, whole: Callable[[], None]) -> Iterator[bytes]:
    """Return the pieces of a body as the socket gives them; ``whole`` is called once all have come.

    ``reader`` is the one that gunicorn made for the request: of chunks, or of a known length.
    """
    if isinstance(reader, ChunkedReader):
        return _chunked(reader, whole)
    if isinstance(reader, LengthReader):
        return _sized(reader.length, unreader, whole)
    raise TypeError(f"gunicorn read this body in a way that is not known here: {type(reader).__name__}")


def _chunked(reader: ChunkedReader, whole: Callable[[], None]) -> Iterator[bytes]:
    yield from filter(None, reader.parser or ())
    whole()


def _sized(length: int, unreader: Any, whole: Callable[[], None]) -> Iterator[bytes]:
    while length:
        piece = unreader.read(None, read_ahead=length)
        if not piece:
            raise NoMoreData
        if len(piece) > length:  # the next request came along
            unreader.unread(piece[length:])
        piece = piece[:length]
        length -= len(piece)
        if not length:
            whole()
        came = [piece]
        del piece
        yield came.pop()  # nobody asks again once all has come, and then it would be kept here
