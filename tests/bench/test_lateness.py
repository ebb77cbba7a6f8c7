import socket

import pytest

from bench.client import BrokenRunError, Stream
from bench.feeder import Told
from bench.lateness import lateness_ms
from bench.relays import DIRECT, GLOSS


def stream_that_read(*reads: tuple[float, bytes]) -> Stream:
    stream = Stream(1, socket.socket(), b"", 0.0)
    stream.socket.close()
    for at, data in reads:
        stream.raw += data
        stream.reads.append((at, len(stream.raw)))
    return stream


def test_chunk_is_late_by_the_read_that_brought_it():
    """Each chunk is timed from its write to the first read that holds its mark."""
    stream = stream_that_read((1.25, b'"type":"text","text":"a"'), (2.5, b'"type":"text","text":"b"'))
    assert lateness_ms(GLOSS, Told(1, 0.0, [1.0, 2.0]), stream) == [250, 500]


def test_mark_cut_in_two_counts_where_it_ends():
    """A mark that came in two reads belongs to the second."""
    stream = stream_that_read((1.25, b'"type":'), (1.5, b'"text"'))
    assert lateness_ms(GLOSS, Told(1, 0.0, [1.0]), stream) == [500]


def test_chunk_without_text_is_not_timed():
    """The provider's opening chunk, which brings a role only, is passed over."""
    stream = stream_that_read((1.0, b'"content":""'), (1.5, b'"content":"Cada "'))
    assert lateness_ms(DIRECT, Told(1, 0.0, [1.0]), stream) == [500]


def test_chunk_that_is_missing_ends_the_measure():
    """A count that differs from the journal's gives no figures."""
    with pytest.raises(BrokenRunError):
        lateness_ms(GLOSS, Told(1, 0.0, [1.0, 2.0]), stream_that_read((1.5, b'"type":"text"')))
