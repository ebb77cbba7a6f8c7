"""Bytes of a provider's stream in, the data of its events out.

Server-sent events as the WHATWG HTML standard defines them (9.2.6, "Interpreting an event
stream"): lines end with CR, LF or CRLF; ``data`` lines are joined with LF; an empty line ends
an event; comments and other fields say nothing here; what is unfinished at the end is dropped.
Bytes may be cut anywhere. Each byte is looked at a fixed number of times, however it comes.
"""

from services.errors import ProviderError

BOM = b"\xef\xbb\xbf"


class Splitter:
    """Cut a stream of bytes into events of at most ``max_event_bytes``, line ends not counted."""

    def __init__(self, max_event_bytes: int) -> None:
        self._max = max_event_bytes
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._line_bytes = 0
        self._data: list[bytes] = []  # the data lines of an event whose end has not come
        self._data_bytes = 0
        self._after_cr = False  # a line feed that comes next belongs to the line before
        self._at_start = True
        self._between = False  # nothing is unfinished: the next byte begins an event

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of each event that ``piece`` completes; raises ``ProviderError``."""
        if self._between and piece.startswith(b"data: ") and piece.endswith(b"\n\n"):
            events = piece[6:-2].split(b"\n\ndata: ")
            # Nothing but whole events of one line each, as nearly every read brings them: 1 µs less.
            if piece.count(b"\n") == 2 * len(events) and b"\r" not in piece and len(piece) <= self._max:
                return events
        return self._feed(piece)

    def _feed(self, piece: bytes) -> list[bytes]:
        events = self._by_lines(piece)
        self._between = not (self._line_bytes or self._data or self._after_cr or self._at_start)
        return events

    def _by_lines(self, piece: bytes) -> list[bytes]:
        lines = self._lines(piece)
        if len(lines) == 1:
            self._keep(lines[0])
            return []
        if self._line_bytes:
            self._keep(lines[0])
            lines[0] = b"".join(self._line)
        unfinished = lines.pop()
        self._line, self._line_bytes = [], 0
        events = self._events(lines)
        self._keep(unfinished)
        return events

    def _lines(self, piece: bytes) -> list[bytes]:
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return piece.split(b"\n")

    def _keep(self, piece: bytes) -> None:
        self._line_bytes += len(piece)
        self._check(self._line_bytes)
        self._line.append(piece)

    def _events(self, lines: list[bytes]) -> list[bytes]:
        if self._at_start:
            lines[0] = lines[0].removeprefix(BOM)
            self._at_start = False
        events = []
        for line in lines:
            self._check(len(line))
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
                self._data_bytes += len(line)
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data, self._data_bytes = [], 0
        return events

    def _check(self, more: int) -> None:
        if self._data_bytes + more > self._max:
            raise ProviderError(f"One event of the provider's stream is larger than {self._max} bytes.")
