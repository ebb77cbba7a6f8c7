"""Frames filled up to buckets: the same events, and sizes that tell less of them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import HERE
from services.cost.tokens import load
from services.events import Event, Text, to_line
from services.streams.granularity import regrouped
from services.streams.log import Log
from services.wire import sse
from services.wire.message import beginning, message
from services.wire.padding import bucket, messages, ndjson, padded, server_sent
from tests.streams.test_pen import START
from tests.wire import decode
from tests.wire.test_encodings import FINISH, STREAMS, lines

pytestmark = pytest.mark.S19

STEP = 128  # what the README advises
STEPS = st.sampled_from([1, 16, 64, STEP, 4096])
SIZES = st.integers(0, 2_000_000)
BEGIN = beginning("a")
PLAIN: dict[str, Callable[[bytes], bytes]] = {
    "ndjson": bytes,
    "sse": sse.frame,
    "message": lambda line: message(BEGIN, line),
}


def frames_of(encoding: str, step: int) -> Callable[[bytes], bytes]:
    """What makes the padded frames of an encoding."""
    makers = {"ndjson": ndjson(step).frame, "sse": server_sent(step).frame}
    return makers.get(encoding) or (lambda line: messages(step)(BEGIN, line))


@given(SIZES, STEPS)
def test_a_bucket_holds_what_it_is_for(size: int, step: int) -> None:
    """It is a multiple of the step, at most a step larger or a quarter, and its own bucket."""
    held = bucket(size, step)
    assert held % step == 0
    assert size <= held < size + max(step, size / 4)
    assert bucket(held, step) == held


@given(SIZES, SIZES, STEPS)
def test_what_is_longer_has_no_smaller_bucket(one: int, other: int, step: int) -> None:
    """So a bucket is one stretch of sizes."""
    assert bucket(min(one, other), step) <= bucket(max(one, other), step)


@pytest.mark.parametrize(("most", "sizes"), [(1024, 8), (2048, 12), (4096, 16), (1024**2, 48)])
def test_long_frames_have_few_sizes(most: int, sizes: int) -> None:
    """Four more for each doubling, beyond eight steps."""
    assert len({bucket(size, STEP) for size in range(1, most + 1)}) == sizes


@given(STREAMS, STEPS)
def test_padded_frames_carry_the_same_events(events: list[Event], step: int) -> None:
    """In every encoding, read by its standard: what is added is no content."""
    stored = lines(events)
    for name, read in (("ndjson", decode.ndjson), ("sse", decode.sse)):
        frames, plain = list(map(frames_of(name, step), stored)), list(map(PLAIN[name], stored))
        assert read(b"".join(frames)) == read(b"".join(plain))
    told = [messages(step)(BEGIN, line) for line in stored]
    assert [json.loads(one) for one in told] == [{"ref": "a", **json.loads(line)} for line in stored]


@pytest.mark.parametrize("name", PLAIN)
@given(events=STREAMS, step=STEPS)
def test_every_size_is_a_buckets(name: str, events: list[Event], step: int) -> None:
    """So is, but for how many there are, what several frames in one packet add up to."""
    frame = frames_of(name, step)
    sizes = [len(frame(line)) for line in lines(events)]
    assert [bucket(size, step) for size in sizes] == sizes
    assert sum(sizes) % step == 0


@pytest.mark.parametrize("name", PLAIN)
@given(events=STREAMS, step=STEPS)
def test_frames_of_one_size_stay_of_one_size(name: str, events: list[Event], step: int) -> None:
    """The padded size is a function of the plain one, so it cannot tell more."""
    frame, plain = frames_of(name, step), PLAIN[name]
    pairs = {(len(plain(line)), len(frame(line))) for line in lines(events)}
    assert len(pairs) == len({size for size, _ in pairs})


def test_what_is_stored_is_not_padded() -> None:
    """A log's lines are as they were, whoever reads it padded; so is what other encodings make of them."""
    log = Log()
    for event in (START, Text(text="Hola"), FINISH):
        log.append(event)
    stored = log.lines(0)
    frame = ndjson(STEP).frame
    assert [len(one) % STEP for one in log.frames(frame, 0)] == [0, 0, 0]
    assert log.frames(frame, 0)[0] is log.frames(frame, 1 - 1)[0]
    assert log.lines(0) == stored == lines([START, Text(text="Hola"), FINISH])


def test_a_result_in_one_piece_has_blanks_after_it() -> None:
    """And without a step nothing is added to anything."""
    assert padded(b'{"a":1}', 16) == b'{"a":1}' + 9 * b" "
    assert padded(b'{"a":1}', 0) == b'{"a":1}'
    assert messages(0) is message


def entropy(sizes: Iterable[int]) -> float:
    """How many bits one size tells, by Shannon's formula."""
    counted = Counter(sizes)
    shares = [count / counted.total() for count in counted.values()]
    return -sum(share * log2(share) for share in shares)


def answer(granularity: str) -> list[bytes]:
    """A real text in the pieces in which a model would say it."""
    vocabulary = load("o200k_base")
    events: list[Event] = []
    put, release = regrouped(events.append, granularity)  # type: ignore[arg-type] - one of its words
    for token in vocabulary.encode_ordinary((HERE / "LICENSE").read_text(encoding="utf-8")):
        put(Text(text=vocabulary.decode([token])))
    release()
    return [to_line(event, number) for number, event in enumerate(events, 2)]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("granularity", "after"), [("token", 0), ("word", 0.2), ("sentence", 2)])
def test_sizes_tell_less_of_an_answer(name: str, granularity: str, after: float) -> None:
    """Bits for each frame: more than three without padding, next to none where pieces are short."""
    spoken = answer(granularity)
    frame, plain = frames_of(name, STEP), PLAIN[name]
    assert entropy(len(plain(line)) for line in spoken) > 3
    assert entropy(len(frame(line)) for line in spoken) <= after


def test_no_piece_is_cut() -> None:
    """Each token is one frame as before, as soon as before."""
    spoken = answer("token")
    frames = list(map(frames_of("ndjson", STEP), spoken))
    assert [json.loads(frame) for frame in frames] == [json.loads(line) for line in spoken]
    text = "".join(json.loads(frame)["text"] for frame in frames)
    assert text == (HERE / "LICENSE").read_text(encoding="utf-8")
