"""HTTP/1.1 as bytes: heads, bodies, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers.http1 import (
    HEAD_BYTES,
    LINE_BYTES,
    MOST_FIELDS,
    Chunked,
    Head,
    NotHTTPError,
    Sized,
    UntilClose,
    request,
    split_head,
)


def head(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> Head:
    found = split_head(b"\r\n".join([status, *fields, b"", b""]))
    assert found is not None
    return found[0]


def chunks(pieces: list[bytes], line: bytes = b"%x\r\n") -> bytes:
    """A chunked body of these pieces."""
    return b"".join(line % len(piece) + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(borders)]


def fed(body: Chunked | Sized | UntilClose, pieces: list[bytes]) -> bytes:
    return b"".join(map(body.feed, pieces))


# Bodies in chunks.


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    places=st.lists(st.integers(0, 400), max_size=12),
    line=st.sampled_from([b"%x\r\n", b"%X;a=b\r\n", b"%03x \r\n", b"%x\n"]),
)
def test_chunks_cut_anywhere(pieces, places, line):
    """However a body in chunks is cut, it says the same, is done at its end, and keeps its connection."""
    body = Chunked(keeps=True)

    assert fed(body, cut(chunks(pieces, line), places)) == b"".join(pieces)
    assert (body.done, body.keeps) == (True, True)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6))
def test_chunks_unfinished(pieces):
    """A body in chunks is not done before its last byte."""
    body = Chunked(keeps=True)
    body.feed(chunks(pieces)[:-1])

    assert not body.done
    with pytest.raises(NotHTTPError):
        body.end()


def test_one_read_one_piece():
    """Chunks that come in one read leave in one piece, the unfinished one too."""
    body = Chunked(keeps=True)

    assert body.feed(b"1\r\na\r\n2\r\nbc\r\n3\r\nd") == b"abcd"
    assert body.feed(b"ef\r\n") == b"ef"


def test_trailers():
    """Trailers are read over, and belong to the body."""
    body = Chunked(keeps=True)

    assert body.feed(b"1\r\na\r\n0\r\nX-Sum: 1\r\n") == b"a"
    assert not body.done
    assert body.feed(b"X: 2\r\n\r\n") == b""
    assert (body.done, body.keeps) == (True, True)


@pytest.mark.parametrize("after", [b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n"])
def test_bytes_after_the_end(after):
    """A connection on which more came than was asked for is not used again."""
    chunked, sized = Chunked(keeps=True), Sized(1, keeps=True)

    assert (chunked.feed(b"1\r\na\r\n0\r\n\r\n" + after), chunked.done, chunked.keeps) == (b"a", True, False)
    assert (sized.feed(b"a" + after), sized.done, sized.keeps) == (b"a", True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b"\r\n",
        b"1" * 16 + b"\r\n",
        b"1\r\nab\r\n0\r\n\r\n",
        b"1\r\na2\r\nbc\r\n",
        b"1;" + b"a" * LINE_BYTES,
        b"0\r\n" + b"X: 1\r\n" * HEAD_BYTES,
        b"0\r\n" + b"X" * (HEAD_BYTES + 1),
    ],
)
def test_no_chunk(data):
    """What is no chunk is refused as soon as it is known, and never kept without a bound."""
    with pytest.raises(NotHTTPError):
        Chunked(keeps=True).feed(data)


# Other bodies.


@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(0, 400), max_size=12))
def test_sized_cut_anywhere(data, places):
    """A body of a told length is done with its last byte and not before."""
    body = Sized(len(data), keeps=True)
    *pieces, last = cut(data, places)
    assert fed(body, pieces) + b"" == data[: len(data) - len(last)]
    assert not body.done
    with pytest.raises(NotHTTPError):
        body.end()

    assert (body.feed(last), body.done, body.keeps) == (last, True, True)


def test_until_close():
    """A body without a length ends with its connection, which is not used again."""
    body = UntilClose()
    assert (body.feed(b"a"), body.done) == (b"a", False)
    body.end()

    assert (body.done, body.keeps) == (True, False)


@pytest.mark.parametrize(
    ("fields", "method", "status", "kind", "done"),
    [
        ([b"Content-Length: 3"], "POST", 200, Sized, False),
        ([b"Content-Length: 3, 3"], "POST", 200, Sized, False),
        ([b"Content-Length: 0"], "POST", 200, Sized, True),
        ([b"Transfer-Encoding: Chunked"], "POST", 200, Chunked, False),
        ([], "POST", 200, UntilClose, False),
        ([b"Content-Length: 3"], "HEAD", 200, Sized, True),
        ([b"Transfer-Encoding: chunked"], "POST", 204, Sized, True),
        ([], "GET", 304, Sized, True),
    ],
)
def test_which_body(fields, method, status, kind, done):
    """The head and what was asked tell which body follows, if any."""
    body = head(*fields, status=b"HTTP/1.1 %d X" % status).body(method)

    assert (type(body), body.done) == (kind, done)


def test_two_lengths():
    """A body with a length and chunks is read as chunks, and its connection ends with it (RFC 9112, 6.1)."""
    body = head(b"Content-Length: 3", b"Transfer-Encoding: chunked").body("POST")

    assert (type(body), body.keeps) == (Chunked, False)


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 3", b"Content-Length: 4"],
        [b"Content-Length: -3"],
        [b"Content-Length: 0x3"],
        [b"Content-Length:"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: identity"],
    ],
)
def test_no_certain_length(fields):
    """Where it is not certain where the body ends, there is none."""
    with pytest.raises(NotHTTPError):
        head(*fields).body("POST")


# Heads.


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_head(line_end):
    """A head gives its status and fields, without the space around a value."""
    found = split_head(line_end.join([b"HTTP/1.1 429 Too Many", b"A:  b c ", b"x-y:", b"", b"rest"]))

    assert found is not None
    assert (found[0].status, found[0].fields, found[1]) == (429, [(b"A", b"b c"), (b"x-y", b"")], b"rest")


def test_head_in_pieces():
    """A head is found wherever its end is cut."""
    data = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
    for place in range(len(data)):
        assert split_head(data[:place]) is None
        found = split_head(data, place)
        assert found is not None
        assert found[0].status == 200


@pytest.mark.parametrize(
    ("status", "fields", "keeps"),
    [
        (b"HTTP/1.1 200 OK", [], True),
        (b"HTTP/1.1 200 OK", [b"Connection: Close"], False),
        (b"HTTP/1.1 200 OK", [b"Connection: x, close"], False),
        (b"HTTP/1.0 200 OK", [], False),
        (b"HTTP/1.0 200 OK", [b"Connection: keep-alive"], True),
        (b"HTTP/1.1 200", [b"connection: keep-alive"], True),
    ],
)
def test_keeps(status, fields, keeps):
    """Whether the connection may be used again is the head's to say."""
    assert head(*fields, status=status).keeps is keeps


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MOST_FIELDS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_BYTES,
    ],
)
def test_no_head(data):
    """What is no head, or too large a one, is refused."""
    with pytest.raises(NotHTTPError):
        split_head(data)


# Requests.


def test_request():
    """A request is one piece, whose length is told where it has a body."""
    fields = [(b"Host", b"a"), (b"Content-Length", b"2")]

    assert request("POST", b"/v1/x?y", fields, b"{}") == (
        b"POST /v1/x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert request("GET", b"/", fields[:1], b"") == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_request_that_came_in_chunks():
    """A body that was to go in chunks goes in one piece, an empty one too."""
    fields = [(b"Transfer-Encoding", b"chunked")]

    assert request("POST", b"/", fields, b"") == b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "field"),
    [(b"/", (b"A", b"b\r\nC: d")), (b"/", (b"A\n", b"b")), (b"/", (b"A", b"\0")), (b"/\r\n", (b"A", b"b"))],
)
def test_request_smuggled(target, field):
    """Nothing in a head can begin another line."""
    with pytest.raises(ValueError, match="line end"):
        request("POST", target, [field], b"")
