"""A request's body as it arrives, taken apart by gunicorn's own parser from the pieces of a socket."""

import sys
from itertools import pairwise

import gevent
import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from services.errors import BodyTooLarge, MalformedBody
from services.web.server.input import MAX_LINE_BYTES, Input, arriving

CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def sized(length):
    return b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Socket:
    """What a client sends, a piece at a time; ``asked`` counts the readings."""

    def __init__(self, *pieces):
        self.asked = 0
        self.whole = 0
        self.request = Request(Config(), IterUnreader(self._given(pieces)), ("127.0.0.1", 1))
        self.input = Input(arriving(self.request.body.reader, self.request.unreader, self._whole))

    def _given(self, pieces):
        for piece in pieces:
            self.asked += 1
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def _whole(self):
        self.whole += 1

    def rest(self):
        """What follows the body in the connection."""
        return self.request.unreader.read()


def pieces_of(data, cuts):
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places) if start < end]


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.lists(st.integers(0, 400)), st.booleans())
def test_a_body_is_the_same_however_it_is_cut(chunks, cuts, is_sized):
    """In chunks or of a known length: the same bytes, and what follows is left alone."""
    body = b"".join(chunks)
    framed = sized(len(body)) + body if is_sized else CHUNKED + b"".join(map(chunk, chunks)) + b"0\r\n\r\n"
    came = Socket(*pieces_of(framed + b"NEXT", cuts))
    assert came.input.read() == body
    assert came.input.read(5) == b""
    assert (came.whole, came.rest().startswith(b"N")) == (1 if body or not is_sized else 0, True)


@given(
    st.lists(st.text("ab\n", max_size=8), max_size=6), st.lists(st.integers(0, 300)), st.none() | st.just(-1)
)
def test_lines_are_the_same_however_they_are_cut(chunks, cuts, size):
    """Lines run over chunks, and a chunk may hold many; the last may lack its newline."""
    parts = [part.encode() for part in chunks if part]
    sent = CHUNKED + b"".join(map(chunk, parts)) + b"0\r\n\r\n"
    lines, came = [], Socket(*pieces_of(sent, cuts)).input
    while line := came.readline(size):
        lines.append(line)
    assert lines == b"".join(parts).splitlines(keepends=True)


def test_a_chunk_is_given_when_it_has_come():
    """Nothing is asked of the socket while something that came was not given."""
    came = Socket(CHUNKED, chunk(b"one"), chunk(b"two"), b"0\r\n\r\n")
    assert (came.input.read(100), came.asked) == (b"one", 2)
    assert (came.input.read(100), came.asked) == (b"two", 3)
    assert (came.input.read(100), came.whole) == (b"", 1)


def test_half_a_chunk_is_given_too():
    """A large chunk is not collected first."""
    came = Socket(CHUNKED, b"a\r\nhello", b"world\r\n0\r\n\r\n")
    assert (came.input.read(100), came.asked) == (b"hello", 2)
    assert came.input.read(100) == b"world"


def test_a_line_is_given_when_it_is_whole():
    """The chunk with its newline is enough."""
    came = Socket(CHUNKED, chunk(b"a"), chunk(b"b\nc\nd"), b"0\r\n\r\n")
    assert (came.input.readline(), came.asked) == (b"ab\n", 3)
    assert (came.input.readline(), came.asked) == (b"c\n", 3)
    assert list(came.input) == [b"d"]


def test_a_body_of_known_length_is_given_as_it_comes():
    """And is whole with its last byte, not with a reading after it."""
    came = Socket(sized(6), b"abc", b"def")
    assert (came.input.read(100), came.asked, came.whole) == (b"abc", 2, 0)
    assert (came.input.read(100), came.whole) == (b"def", 1)


def test_the_last_piece_is_not_kept():
    """A stream that is open for long does not hold the body that asked for it."""
    came = Socket(sized(1000) + bytes(1000))
    piece = came.input.read(1000)

    assert len(piece) == 1000
    assert sys.getrefcount(piece) == 2  # the name here, and the argument


def test_no_more_is_given_than_was_asked_for():
    """What is left of a piece comes first the next time, by bytes or by lines."""
    came = Socket(sized(9), b"one\ntwo\nx").input
    assert (came.read(0), came.read(2), came.readline(1), came.readline()) == (b"", b"on", b"e", b"\n")
    assert came.readlines() == [b"two\n", b"x"]


def test_a_line_is_bounded():
    """A line without an end is refused at the limit, and the body cannot be read on."""
    endless = Socket(sized(10 * MAX_LINE_BYTES), *[b"x" * 1000] * 1000)
    with pytest.raises(BodyTooLarge) as refused:
        endless.input.readline()
    assert refused.value.members["limit"] == MAX_LINE_BYTES
    assert endless.asked <= MAX_LINE_BYTES // 1000 + 2
    with pytest.raises(MalformedBody):
        endless.input.read(1)


def test_a_line_as_long_as_may_be_is_a_line():
    """The limit counts the newline."""
    longest = b"x" * (MAX_LINE_BYTES - 1) + b"\n"
    assert Socket(sized(len(longest)), longest).input.readline() == longest


BAD = {
    "size is no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "size is signed": b"+2\r\n{}\r\n0\r\n\r\n",
    "size is empty": b"\r\n{}\r\n0\r\n\r\n",
    "size is quoted in C's way": b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk is longer than its size": b"2\r\n{}}\r\n0\r\n\r\n",
    "chunk ends by a bare LF": b"2\r\n{}\n0\r\n\r\n",
    "extension has a bare CR": b"2;\rx\r\n{}\r\n0\r\n\r\n",
    "trailer sets the length": b"2\r\n{}\r\n0\r\nContent-Length: 3\r\n\r\n",
    "size line without an end": b"1" * 10_000,
    "trailers without an end": b"0\r\n" + b"a: b\r\n" * 150_000,
    "cut in a size": b"2",
    "cut in a chunk": b"5\r\nab",
    "cut before the last chunk": b"2\r\nab\r\n",
    "cut in the last chunk": b"0\r\n",
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_bad_framing_is_malformed(sent):
    """Whatever cannot be taken apart is the client's fault, now and when it is read again."""
    came = Socket(CHUNKED, sent)
    for _ in range(2):
        with pytest.raises(MalformedBody):
            came.input.read()
    assert (came.whole, came.input.failed) == (0, True)


@pytest.mark.parametrize("end", [[], [ConnectionResetError()]])
def test_a_body_cut_short_is_malformed(end):
    """A client that leaves in mid-body has sent no body, by FIN or by RST."""
    came = Socket(sized(5), b"abc", *end)
    assert came.input.read(100) == b"abc"
    with pytest.raises(MalformedBody):
        came.input.read(100)


def test_a_reading_that_was_broken_off_fails_for_good():
    """After a time limit nobody takes the rest for the body's beginning."""
    came = Socket(CHUNKED, chunk(b"a"), gevent.Timeout())
    came.input.read(1)
    with pytest.raises(gevent.Timeout):
        came.input.read(1)
    with pytest.raises(MalformedBody):
        came.input.read(1)


def test_an_unknown_reader_is_an_error_of_ours():
    """A gunicorn that reads bodies in another way is noticed, not guessed at."""
    with pytest.raises(TypeError, match="object"):
        arriving(object(), IterUnreader([]), bool)
