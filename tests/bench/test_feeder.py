import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.feeder import Plan, frames
from bench.measure import percentile
from bench.relays import ALL, lines_text

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def dialogue() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.dialogue"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def test_every_reader_gets_the_whole_text(dialogue):
    """What the plan says arrives, in order and to its end, at each of many readers."""
    assert dialogue["many_readers"]["texts"] == [Plan(chunks=20).text]


def test_journal_counts_chunks_that_were_sent(dialogue):
    """The journal has each chunk of each stream, once, with its time in order."""
    seen = dialogue["many_readers"]
    assert (seen["chunks"], seen["in order"], seen["done"]) == (50 * 20, True, 50)


def test_streams_that_ended_are_not_called_hung_up(dialogue):
    """A reader that leaves after the end has not hung up."""
    assert dialogue["many_readers"]["closed"] == 0


def test_no_more_streams_at_once_than_asked(dialogue):
    """A load of one at a time begins each stream after the last chunk of the one before."""
    assert dialogue["one_at_a_time"]


def test_hang_up_in_silence_is_journaled(dialogue):
    """A reader that leaves in a silence is seen to close, after it left, and nothing follows."""
    told = dialogue["hang_up_in_silence"]
    assert (told["tag"], len(told["written"]), told["done"]) == (7, 3, False)
    assert told["closed_at"] > told["hung_up_at"] > told["written"][-1]


def test_silence_before_the_first_chunk_has_no_head(dialogue):
    """With ``silent_after=0`` the reader gets not one byte."""
    assert dialogue["silence_from_the_start"] == 0


def test_forgetting_closes_what_runs(dialogue):
    """After ``forget`` the journal is empty and a reader's connection has ended."""
    assert dialogue["forgetting"] == {"complete": False, "journal": 0}


def test_an_answer_that_breaks_off_fails_the_load(dialogue):
    """A load with a response that is not whole gives no figures."""
    assert dialogue["breaking_off"].startswith("1 of 1 responses broke off")


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


@pytest.mark.parametrize("relay", ALL, ids=lambda relay: relay.name)
@pytest.mark.parametrize("count", [1, 2, 10])
def test_pieces_are_the_whole_answer(relay, count):
    """However few the pieces, nothing of the answer is left out."""
    pieces = relay.in_pieces(count)
    assert ("".join(pieces), len(pieces)) == ("".join(relay.deltas), count)
