"""The numbered events of one stream."""

import pytest

from services.events import Event, Finish, Text, Timing, Usage
from services.streams.log import Log
from tests.streams.test_pen import START

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


@pytest.mark.parametrize(
    ("before", "event"),
    [((), Text(text="a")), ((), FINISH), ((START,), START), ((START, FINISH), Text(text="a")),
     ((START, FINISH), FINISH)],
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
