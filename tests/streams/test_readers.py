"""Readings of one log: numbers, heartbeats, coming and going."""

from collections.abc import Callable, Iterator
from itertools import islice

import gevent
import pytest

from services.events import Event, FinishReason, Text, decoder, number_and_type
from services.streams.log import Log
from services.streams.readers import AT_ONCE, HELD_S, SPREAD_S, Reader
from services.streams.stream import Stopped, Stream
from tests.streams.fake_clock import FakeClock
from tests.streams.stage import settle
from tests.streams.test_log import FINISH
from tests.streams.test_pen import START

A, B = Text(text="a"), Text(text="b")
READ = decoder()


def running(*events: Event) -> Stream:
    """A stream that runs, with these events; ``stops`` collects what it was told."""
    stream = Stream(id="x", owner="o", use_case="u", model="m", clock=FakeClock())
    stream.interrupt = lambda _cause: None
    for event in events:
        stream.log.append(event)
    return stream


def stopped(stream: Stream) -> list[FinishReason]:
    """The reasons for which the stream is stopped from now on."""
    reasons: list[FinishReason] = []

    def interrupt(cause: BaseException) -> None:
        assert isinstance(cause, Stopped)
        reasons.append(cause.reason)

    stream.interrupt = interrupt
    return reasons


def batches(reader: Reader, heartbeat_s: float = 10) -> Iterator[tuple[int, list[Event]] | None]:
    """What a reader yields, as (number of the first, events); None for a heartbeat."""
    for lines in reader.batches(None, heartbeat_s):
        numbers = [int(number_and_type(line)[0]) for line in lines]
        events = [READ(line) for line in lines]
        yield (numbers[0], events) if lines else None


def read(reader: Reader, into: list[object], heartbeat_s: float = 10) -> gevent.Greenlet:
    """Read in a greenlet of its own."""
    greenlet = gevent.spawn(lambda: into.extend(batches(reader, heartbeat_s)))
    settle()
    return greenlet


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, [(1, [START, A, FINISH])]), (1, [(2, [A, FINISH])]), (2, [(3, [FINISH])]), (3, [])],
)
def test_what_is_there_comes_at_once(after: int, expected: list[object]) -> None:
    """A finished stream is one batch from any number on, and nothing after its end."""
    assert list(batches(Reader(running(START, A, FINISH), after=after))) == expected


def test_a_reader_that_is_far_behind_gets_some_at_a_time() -> None:
    """It may be slow, and holds what it was given."""
    stream = running(START, *[A] * AT_ONCE, FINISH)
    assert [len(events) for _, events in batches(Reader(stream))] == [AT_ONCE, 2]


def test_a_reader_is_woken_by_what_is_appended() -> None:
    """What comes later comes in its order, with its numbers, up to the end."""
    stream, got = running(START), []
    greenlet = read(Reader(stream), got)
    for event in (A, B):
        stream.log.append(event)
    settle()
    stream.log.append(FINISH)
    greenlet.join()
    assert got == [(1, [START]), (2, [A, B]), (4, [FINISH])]


def test_events_that_come_while_a_batch_is_written_are_not_missed() -> None:
    """An append between two batches is read next, without a further wake."""
    stream = running(START)
    reading = batches(Reader(stream))
    assert next(reading) == (1, [START])
    stream.log.append(A)
    assert next(reading) == (2, [A])


def test_a_silent_stream_gives_heartbeats() -> None:
    """After each ``heartbeat_s`` without an event an empty batch comes, with the next number."""
    stream, got = running(START), []
    read(Reader(stream), got)
    for _ in range(2):
        stream.clock.advance(10)
        settle()
    stream.clock.advance(9)
    settle()
    assert got == [(1, [START]), None, None]


def test_events_put_the_heartbeat_off() -> None:
    """The silence is counted from the last event that was written."""
    stream, got = running(START), []
    read(Reader(stream), got)
    stream.clock.advance(9)
    stream.log.append(A)
    settle()
    stream.clock.advance(9)
    settle()
    assert got == [(1, [START]), (2, [A])]
    stream.clock.advance(1)
    settle()
    assert got[2:] == [None]


def test_a_heartbeat_that_falls_due_with_an_event_is_the_event() -> None:
    """An event is a sign of life too, and the next heartbeat is due a whole silence later."""
    stream, got = running(START), []
    read(Reader(stream), got)
    stream.log.append(A)
    stream.clock.advance(10)
    settle()
    assert got == [(1, [START]), (2, [A])]
    stream.clock.advance(10)
    settle()
    assert got[2:] == [None]


def test_a_reader_that_ended_leaves_no_timer() -> None:
    """The heartbeat's timer goes with the reading."""
    stream = running(START, FINISH)
    list(batches(Reader(stream)))
    assert stream.clock.armed == 0


def test_a_reading_that_is_dropped_leaves_no_timer() -> None:
    """So does one that was left in the middle."""
    stream = running(START)
    reading = batches(Reader(stream))
    next(reading)
    reading.close()
    assert stream.clock.armed == 0


def test_the_last_reader_that_leaves_stops_the_stream() -> None:
    """Nobody is there any more: the stream ends as ``disconnected``."""
    stream = running(START)
    reasons = stopped(stream)
    Reader(stream).close()
    assert reasons == ["disconnected"]


def test_a_second_reader_keeps_the_stream_alive() -> None:
    """One that leaves changes nothing while another is present."""
    stream = running(START)
    reasons = stopped(stream)
    first, second = Reader(stream), Reader(stream)
    first.close()
    assert reasons == []
    second.close()
    assert reasons == ["disconnected"]


def test_a_reader_leaves_once() -> None:
    """Closing twice does not count twice: who still reads is not cut off."""
    stream = running(START)
    reasons = stopped(stream)
    first, _second = Reader(stream), Reader(stream)
    first.close()
    first.leave()
    first.close()
    assert (reasons, len(stream.presence)) == ([], 1)


def test_a_reader_that_left_is_no_longer_woken() -> None:
    """Its place among the log's watchers is free, that of others is not."""
    stream, got = running(START), []
    gone, stays = Reader(stream), Reader(stream)
    read(stays, got)
    gone.close()
    stream.log.append(A)
    settle()
    assert got == [(1, [START]), (2, [A])]


class CountingLog(Log):
    """A log that knows how many watch it."""

    watching = 0

    def watch(self, wake: Callable[[], None]) -> None:
        super().watch(wake)
        self.watching += 1

    def unwatch(self, wake: Callable[[], None]) -> None:
        super().unwatch(wake)
        self.watching -= 1


def test_a_log_does_not_remember_who_left() -> None:
    """A stream that is read again and again keeps nothing of its readers."""
    log = CountingLog()
    stream = Stream(id="x", owner="o", use_case="u", model="m", clock=FakeClock(), log=log)
    for _ in range(3):
        Reader(stream).close()
    assert log.watching == 0


def test_leaving_stops_the_stream_at_once() -> None:
    """Also while the server is still busy with writing to who has left."""
    stream = running(START)
    reasons = stopped(stream)
    Reader(stream).leave()
    assert reasons == ["disconnected"]


def test_leaving_ends_a_reading_that_waits() -> None:
    """Whoever waits for the next event returns at once when the client has left."""
    stream, got = running(START), []
    reader = Reader(stream)
    greenlet = read(reader, got)
    reader.leave()
    greenlet.join()
    assert got == [(1, [START])]


def test_a_thousand_readers_read_the_same() -> None:
    """However many read, each gets every event once."""
    stream, got = running(START), [[] for _ in range(1000)]
    greenlets = [read(Reader(stream), into) for into in got]
    stream.log.append(A)
    stream.log.append(FINISH)
    gevent.joinall(greenlets)
    assert all([event for _, batch in into for event in batch] == [START, A, FINISH] for into in got)


def test_one_batch_is_asked_for_at_a_time() -> None:
    """A slow reader gets what has gathered as one batch."""
    stream = running(START)
    reading = batches(Reader(stream))
    got = list(islice(reading, 1))
    for event in (A, B, FINISH):
        stream.log.append(event)
    assert [*got, *reading] == [(1, [START]), (2, [A, B, FINISH])]


def test_a_drained_reader_is_sent_away_within_the_spread() -> None:
    """It reads on until its moment has come, and then no further: the rest is read elsewhere."""
    stream, got = running(START), []
    reader = Reader(stream)
    greenlet = read(reader, got)
    reader.drain()
    assert not reader.drained
    stream.clock.advance(SPREAD_S)
    greenlet.join()
    stream.log.append(A)
    assert (reader.drained, got) == (True, [(1, [START])])


def test_a_drained_reader_counts_as_present_for_a_while() -> None:
    """The stream goes on while its reader is under way, and ends when it does not come."""
    stream = running(START)
    reasons = stopped(stream)
    reader = Reader(stream)
    reader.drain()
    stream.clock.advance(SPREAD_S)
    reader.close()
    stream.clock.advance(HELD_S - 1)
    assert reasons == []
    stream.clock.advance(1)
    assert reasons == ["disconnected"]


def test_frames_go_with_the_last_reader() -> None:
    """While one is there they are kept for it; without any they can be made again."""
    stream, made = running(START), []

    def frame(line: bytes) -> bytes:
        made.append(line)
        return line

    one, other = Reader(stream), Reader(stream)
    for reader in (one, other):
        assert next(reader.batches(frame, 10)) == stream.log.lines(0)
    assert len(made) == 1
    one.close()
    other.close()
    next(Reader(stream).batches(frame, 10))
    assert len(made) == 2


class Putting:
    """Reads, with a ``put`` that says what it is told to; keeps what came which way.

    It waits in no greenlet: ``wake`` has it go on in one of its own.
    """

    def __init__(self, stream: Stream, *, takes: bool = True) -> None:
        self.given: list[int] = []
        self.yielded: list[int] = []
        self.takes = takes
        self.over = False
        self.reader = Reader(stream)
        self._batches = self.reader.batches(None, 10, self)
        self.wake()
        settle()

    def wake(self) -> None:
        gevent.spawn(self._go_on)

    def _go_on(self) -> None:
        for lines in self._batches:
            if lines is None:
                return
            self.yielded.append(len(lines))
        self.over = True

    def put(self, frames: list[bytes]) -> bool:
        self.given.append(len(frames))
        return self.takes


def test_put_while_it_waits() -> None:
    """What comes while the reader waits is put from the hub, all that came at once together."""
    stream = running(START)
    putting = Putting(stream)
    for event in (A, B):
        stream.log.append(event)
    settle()
    stream.log.append(A)
    settle()

    assert (putting.yielded, putting.given) == ([1], [2, 1])


def test_put_the_end() -> None:
    """The end is put too, and ends the reading."""
    stream = running(START)
    putting = Putting(stream)
    stream.log.append(FINISH)
    settle()

    assert (putting.yielded, putting.given, putting.over) == ([1], [1], True)


def test_put_in_vain() -> None:
    """Where put leaves something over, the reader has its turn soon."""
    stream = running(START)
    putting = Putting(stream, takes=False)
    stream.log.append(A)
    settle()

    assert (putting.yielded, putting.given) == ([1, 0], [1])


def test_put_puts_the_heartbeat_off() -> None:
    """A heartbeat is due when nothing was put for so long either."""
    stream = running(START)
    clock = stream.clock
    assert isinstance(clock, FakeClock)
    putting = Putting(stream)
    clock.advance(9)
    stream.log.append(A)
    settle()
    clock.advance(9)
    settle()
    assert putting.yielded == [1]
    clock.advance(1)
    settle()

    assert putting.yielded == [1, 0]


def test_nothing_put_in_doubt() -> None:
    """Where it is not certain whose stream it is, nothing is shown before it is."""
    stream = running(START)
    putting = Putting(stream)
    stream.doubtful = lambda: True
    stream.log.append(A)
    settle()

    assert (putting.yielded, putting.given) == ([1, 1], [])


@pytest.mark.parametrize("gone", [Reader.leave, Reader.send_away])
def test_nothing_put_after_leaving(gone: Callable[[Reader], None]) -> None:
    """Who has left, or was sent away, is given nothing more."""
    stream = running(START)
    putting = Putting(stream)
    stream.log.append(A)
    gone(putting.reader)
    settle()

    assert (putting.yielded, putting.given, putting.over) == ([1], [], True)
