import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ProviderError
from services.providers.sse import Splitter

CASES = {
    "an event": (b"data: a\n\n", [b"a"]),
    "no space after the colon": (b"data:a\n\n", [b"a"]),
    "one space only is taken": (b"data:  a\n\n", [b" a"]),
    "several lines of data": (b"data: a\ndata: b\n\n", [b"a\nb"]),
    "empty data": (b"data:\n\n", [b""]),
    "several events": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "CR LF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed": (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
    "comments": (b": ping\n\n: ping\n\ndata: a\n: b\n\n", [b"a"]),
    "other fields": (b"event: finish\nid: 3\nretry: 9\ndata: a\n\n", [b"a"]),
    "no data": (b"event: finish\n\n", []),
    "a field that begins alike": (b"database: a\n\n", []),
    "empty lines": (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
    "unfinished": (b"data: a\n\ndata: b\n", [b"a"]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "a mark further on": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    "line ends of other worlds": (
        "data: a\u2028b\u0085c\x1cd\n\n".encode(),
        ["a\u2028b\u0085c\x1cd".encode()],
    ),
}
STREAMS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"data: ", b"data:", b"a", b"\xc3\xa9", b":", b" "]), max_size=40
).map(b"".join)


def split(*pieces, limit=1000):
    splitter = Splitter(limit)
    return [event for piece in pieces for event in splitter.feed(piece)]


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES)
def test_whole(stream, events):
    """The standard's rules hold for bytes that come at once."""
    assert split(stream) == events


@pytest.mark.parametrize(("stream", "events"), CASES.values(), ids=CASES)
def test_cut_at_every_byte(stream, events):
    """The same events come out when each byte comes alone."""
    assert split(*(stream[at : at + 1] for at in range(len(stream)))) == events


@given(stream=STREAMS, data=st.data())
def test_cut_anywhere(stream, data):
    """Where the bytes are cut makes no difference."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert split(*pieces) == split(stream)


@pytest.mark.parametrize("stream", [b"data: a\r\r", b"data: a\r\n\r\n", b"data: a\n\n"])
def test_no_event_waits_for_the_next(stream):
    """An event is there with the last byte of its empty line."""
    assert split(stream) == [b"a"]


LARGEST = b"data: " + b"x" * 94
TOO_LARGE = LARGEST + b"x"


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_largest(ends):
    """An event of exactly the limit passes, line ends not counted."""
    assert split(LARGEST + ends, LARGEST + ends, limit=100) == [b"x" * 94] * 2


@pytest.mark.parametrize(
    "pieces",
    [
        [TOO_LARGE + b"\n\n"],
        [TOO_LARGE],
        [TOO_LARGE[at : at + 1] for at in range(len(TOO_LARGE))],
        [b"data: " + b"x" * 44 + b"\n", b"data: " + b"x" * 45 + b"\n"],
        [b"data: " + b"x" * 44 + b"\ndata: " + b"x" * 45],
        [b"data: a\n\n" + TOO_LARGE],
        [b":" + b"x" * 100],
    ],
    ids=["whole", "unended", "by bytes", "in two lines", "in two lines at once", "second", "comment"],
)
def test_too_large(pieces):
    """One byte more than the limit is refused, however it comes."""
    with pytest.raises(ProviderError, match="larger than 100 bytes"):
        split(*pieces, limit=100)


def test_pings_are_not_kept():
    """Comments without end do not add up to an event."""
    assert split(*[b": ping\n"] * 1000, b"data: a\n\n", limit=100) == [b"a"]
