"""The numbered events of one stream."""

import pytest

from services.events import Event, Finish, Foreign, Text, Timing, Usage
from services.streams.log import Log
from tests.streams.test_pen import START
from tests.wire.test_encodings import ERROR

FINISH = Finish(
    reason="stop", usage=Usage(), chars=0, sha256="", timing=Timing(first_text_ms=None, total_ms=0)
)


def log_of(*events: Event) -> Log:
    log = Log()
    for event in events:
        log.append(event)
    return log


def test_numbers_begin_at_one() -> None:
    """An empty log's last number is 0; each event adds one."""
    assert [Log().last_id, log_of(START).last_id, log_of(START, FINISH).last_id] == [0, 1, 2]


def test_reading_goes_on_after_a_number() -> None:
    """``after(n)`` gives what follows event n, nothing beyond the last."""
    log = log_of(START, Text(text="a"), FINISH)
    assert [log.after(0), log.after(2), log.after(3)] == [[START, Text(text="a"), FINISH], [FINISH], []]


def test_only_an_end_ends() -> None:
    """``end`` is None until a finish or an error stands in the log."""
    assert [Log().end, log_of(START, Text(text="a")).end, log_of(START, FINISH).end] == [None, None, FINISH]


def upper(line: bytes) -> bytes:
    return line.upper()


def test_a_line_is_the_event_as_ndjson_carries_it() -> None:
    """``lines(n)`` gives what follows event n: number, type, fields, a line end."""
    assert log_of(START, Text(text="a")).lines(1) == [b'{"id":2,"type":"text","text":"a"}\n']


def test_lines_can_be_taken_in_part() -> None:
    """At most so many as are asked for."""
    log = log_of(START, Text(text="a"), Text(text="b"), FINISH)
    assert log.lines(1, 2) == log.lines(1)[:2]


def test_a_frame_is_made_once() -> None:
    """However many read, and from wherever: the very same bytes are given again."""
    log = log_of(START, Text(text="a"))
    first = log.frames(upper, 0)
    log.append(FINISH)
    assert all(one is other for one, other in zip(first, log.frames(upper, 0), strict=False))
    assert log.frames(upper, 2) == [log.lines(2)[0].upper()]
    assert log.frames(upper, 0, 2) == first[:2]


def test_the_lines_are_frames_themselves() -> None:
    """An encoding without a frame of its own gets what the log keeps."""
    log = log_of(START, FINISH)
    assert log.frames(None, 0)[0] is log.lines(0)[0]
    assert log.frames(None, 1, 1) == log.lines(1, 1)


def test_frames_can_be_made_again() -> None:
    """What was dropped while nobody read is the same when somebody does."""
    log = log_of(START, FINISH)
    before = log.frames(upper, 0)
    log.drop_frames()
    assert log.frames(upper, 0) == before


def test_a_copy_is_the_same_to_the_byte() -> None:
    """Lines of another log give the same lines, events and end."""
    log, copy = log_of(START, Text(text="a"), FINISH), Log()
    copy.copy(log.lines(0))
    assert (copy.lines(0), copy.after(0), copy.end) == (log.lines(0), log.after(0), FINISH)


def test_a_copy_keeps_what_it_does_not_know() -> None:
    """An event of another release stands in the copy as it was written."""
    line = b'{"id":2,"type":"of.tomorrow","x":1}\n'
    copy = log_of(START)
    copy.copy([line])
    assert copy.lines(1) == [line]
    assert copy.after(1) == [Foreign()]


@pytest.mark.parametrize(
    ("before", "event"),
    [((), Text(text="a")), ((), FINISH), ((START,), START), ((START, Text(text="a")), START),
     ((START, FINISH), Text(text="a")), ((START, FINISH), FINISH), ((START, ERROR), FINISH),
     ((START, FINISH), START)],
)  # fmt: skip
def test_the_grammar_is_kept(before: tuple[Event, ...], event: Event) -> None:
    """A log begins with one start and has nothing after its end."""
    log = log_of(*before)
    with pytest.raises(RuntimeError):
        log.append(event)
    assert log.last_id == len(before)


def test_those_who_watch_are_woken() -> None:
    """Each append calls each watcher, after the event can be read, until it no longer watches."""
    log, seen = Log(), []
    watchers = [lambda: seen.append(("a", log.last_id)), lambda: seen.append(("b", log.last_id))]
    for watcher in watchers:
        log.watch(watcher)
    log.append(START)
    log.unwatch(watchers[0])
    log.append(FINISH)
    assert seen == [("a", 1), ("b", 1), ("b", 2)]
