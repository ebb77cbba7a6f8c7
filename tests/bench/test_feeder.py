import json
import socket
from collections.abc import Iterator
from itertools import pairwise
from threading import Thread

import pytest

from bench.client import BrokenRunError, client, load
from bench.control import Upstream, upstream
from bench.feeder import Plan, frames
from bench.measure import percentile
from bench.relays import DIRECT, Running, lines_text, sse_text

LIMIT_S = 20
QUICKLY = Plan(chunks=20, every_s=0.001)


@pytest.fixture(scope="module")
def feeder() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


@pytest.fixture
def direct(feeder: Upstream) -> Running:
    return Running(relay=DIRECT, address=("127.0.0.1", feeder.port), pid=0)


def test_every_reader_gets_the_whole_text(feeder, direct):
    """What the plan says arrives, in order and to its end, at each of many readers."""
    feeder.says(QUICKLY)
    streams = load(direct.address, direct.request, total=50, at_once=50)
    assert {sse_text(stream.body) for stream in streams} == {QUICKLY.text}


def test_journal_counts_chunks_that_were_sent(feeder, direct):
    """The journal has each chunk of each stream, once, with its time in order."""
    feeder.says(QUICKLY)
    load(direct.address, direct.request, total=5, at_once=5)
    journal = feeder.journal()
    assert journal.chunks == 5 * QUICKLY.chunks
    assert all(told.written == sorted(told.written) and told.done for told in journal.streams)


def test_streams_that_ended_are_not_called_hung_up(feeder, direct):
    """A reader that leaves after the end has not hung up."""
    feeder.says(QUICKLY)
    load(direct.address, direct.request, total=5, at_once=5)
    assert [told.closed_at for told in feeder.journal().streams] == [None] * 5


def test_no_more_streams_at_once_than_asked(feeder, direct):
    """A load of one at a time begins each stream after the last chunk of the one before."""
    feeder.says(QUICKLY)
    load(direct.address, direct.request, total=4, at_once=1)
    told = feeder.journal().streams
    assert all(after.asked_at > before.written[-1] for before, after in pairwise(told))


def test_hang_up_in_silence_is_journaled(feeder, direct):
    """A reader that leaves in a silence is seen to close, after it left, and nothing follows."""
    feeder.says(Plan(every_s=0.001, silent_after=3))
    with client(direct.address) as reader:
        stream = reader.open(7, direct.request(7))
        reader.run(lambda: feeder.journal().chunks == 3, limit_s=LIMIT_S)
        reader.hang_up(stream)
    (told,) = feeder.journal().streams
    assert told.tag == 7
    assert told.closed_at > stream.hung_up_at > told.written[-1]


def test_silence_before_the_first_chunk_has_no_head(feeder, direct):
    """With ``silent_after=0`` the reader gets not one byte."""
    feeder.says(Plan(silent_after=0))
    with client(direct.address) as reader:
        stream = reader.open(1, direct.request(1))
        reader.run(lambda: len(feeder.journal().streams) == 1, limit_s=LIMIT_S)
        assert (stream.first_byte_at, bytes(stream.raw)) == (None, b"")


def test_forgetting_closes_what_runs(feeder, direct):
    """After ``forget`` the journal is empty and a reader's connection has ended."""
    feeder.says(Plan(every_s=0.001, silent_after=1))
    with client(direct.address) as reader:
        stream = reader.open(1, direct.request(1))
        reader.run(lambda: bool(stream.first_word_at), limit_s=LIMIT_S)
        feeder.forget()
        reader.run(lambda: stream.over, limit_s=LIMIT_S)
    assert not stream.complete
    assert feeder.journal().streams == []


def test_an_answer_that_breaks_off_fails_the_load(direct):
    """A load with a response that is not whole gives no figures."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=lambda: listener.accept()[0].close()).start()  # noqa: PLW0108 - waits in the thread
        with pytest.raises(BrokenRunError):
            load(listener.getsockname(), direct.request, total=1, at_once=1)


def test_frames_are_chunks_of_http():
    """All frames of a plan together are one response with a head and an end."""
    whole = b"".join(frames(Plan(chunks=3)))
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert whole.count(b'"content"') == 1 + 3


def test_text_of_json_lines():
    """The text of JSON lines is that of the lines that have one."""
    lines = [{"type": "start"}, {"text": "Buenos "}, {"text": "días"}, {"text": None}]
    assert lines_text("\n".join(map(json.dumps, lines)).encode()) == "Buenos días"


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (99, 10), (1, 1), (100, 10)])
def test_percentile_is_a_value_that_was_measured(percent, value):
    """The nearest rank is taken: no figure is made up between two."""
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], percent) == value
