"""What is left of a stream when it has ended and is forgotten: nothing, without a garbage collection.

A full collection comes rarely and stalls everybody, so memory that waits for one is memory lost.
"""

import gc
from collections import Counter
from collections.abc import Iterator

import gevent
import pytest

from services.streams.ahead import Ahead, Batch
from services.streams.answers.flight import Flight
from services.streams.answers.seat import Seat
from services.streams.attempt import Attempt, Terms
from services.streams.calls import Calls
from services.streams.capacity import Slot
from services.streams.clock import Alarm
from services.streams.hearing import Hearing
from services.streams.log import Log
from services.streams.pen import Pen
from services.streams.presence import Presence
from services.streams.produce import Producer
from services.streams.readers import Reader
from services.streams.reply import Reply
from services.streams.sharing.publisher import Publication
from services.streams.slots import Ticket
from services.streams.stream import Stream
from tests.streams.scripted import Gate, whole
from tests.streams.stage import JSON, NDJSON, SSE, STAGE, TEXT, Stage, settle

OURS = (
    Ahead, Alarm, Attempt, Batch, Calls, Flight, Hearing, Log, Pen, Presence, Producer, Publication, Reader,
    Reply, Seat, Slot, Stream, Terms, Ticket,
)  # fmt: skip
LONG_S = 10_000


@pytest.fixture(autouse=True)
def _uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left(stage: Stage) -> Counter[str]:
    """Count our objects once every stream of the stage is forgotten."""
    settle()
    stage.clock.advance(LONG_S)
    settle()
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, OURS))


@pytest.mark.parametrize("accept", [NDJSON, SSE, TEXT, JSON])
@pytest.mark.parametrize("name", STAGE)
@pytest.mark.filterwarnings("ignore")
def test_nothing_is_left_of_a_stream_that_was_read(name: str, accept: str) -> None:
    """Whatever it asked for, in every encoding."""
    stage = Stage()
    before = left(stage)
    reply = stage.post(name, accept, options={"granularity": "word"})
    try:
        reply.read()
    except ConnectionResetError:
        assert name in {"broken", "growing"}
    del reply
    assert left(stage) == before


def test_nothing_is_left_of_a_stream_that_was_stored() -> None:
    """What stands in the store for others to read is bytes."""
    stage = Stage()
    before = left(stage)
    stage.call(
        "POST", "/v1/echo", accept=NDJSON, headers={"Idempotency-Key": "of the test, not ours"}, data="{}"
    ).read()
    assert left(stage) == before


@pytest.mark.parametrize("name", sorted(STAGE))
def test_nothing_is_left_of_a_stream_whose_reader_left(name: str) -> None:
    """Also in the middle of an answer, of several that run side by side, or of a wait for a slot."""
    stage = Stage(whole("Hello", Gate()), settings={"max_streams": 1})
    before = left(stage)
    replies = [stage.post(name) for _ in range(2)]
    settle()
    for reply in replies:
        reply.close()
    del reply, replies
    assert left(stage) == before


SAVED = {"options": {"cache": True}}


def test_nothing_is_left_of_an_answer_that_was_shared_and_kept() -> None:
    """Who made it, who shared it and who had it from the cache: all go."""
    gate = Gate()
    stage = Stage(whole("Hello", gate))
    before = left(stage)
    replies = [stage.post(**SAVED) for _ in range(3)]
    readers = [gevent.spawn(reply.read) for reply in replies]
    gate.reached.wait()
    gate.set()
    gevent.joinall(readers)
    settle()
    stage.post(**SAVED).read()
    del replies, readers
    assert left(stage) == before


@pytest.mark.parametrize("slots", [1, 5])
def test_nothing_is_left_of_a_shared_answer_whose_readers_left(slots: int) -> None:
    """In the middle of it, and in a wait for a slot, before it was begun."""
    stage = Stage(whole("Hello", Gate()), settings={"max_streams": slots})
    before = left(stage)
    replies = [stage.post(text="in the way"), *(stage.post(**SAVED) for _ in range(2))]
    settle()
    for reply in replies:
        reply.close()
    del reply, replies
    assert left(stage) == before
