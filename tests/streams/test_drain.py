"""The drain: it begins once, and everybody who watches is told once."""

import pytest

from services.errors import ShuttingDown
from services.streams.drain import Drain


def test_it_begins_when_it_is_told_to() -> None:
    """Until then everything may begin, from then on nothing new."""
    drain = Drain()
    drain.require_open()
    drain.begin()
    assert drain.draining
    with pytest.raises(ShuttingDown):
        drain.require_open()


def test_watchers_are_told_once_and_in_their_order() -> None:
    """A second signal changes nothing."""
    drain, told = Drain(), []
    drain.watch(lambda: told.append("first"))
    drain.watch(lambda: told.append("second"))
    drain.begin()
    drain.begin()
    assert told == ["first", "second"]


def test_who_stopped_watching_is_not_told() -> None:
    """Stopping twice is fine."""
    drain, told = Drain(), []
    watcher = told.append
    drain.watch(lambda: watcher("stays"))

    def leaves() -> None:
        watcher("leaves")

    drain.watch(leaves)
    drain.unwatch(leaves)
    drain.unwatch(leaves)
    drain.begin()
    assert told == ["stays"]


def test_who_comes_late_is_told_at_once() -> None:
    """A reading that begins while the process stops need not ask first."""
    drain, told = Drain(), []
    drain.begin()
    drain.watch(lambda: told.append("late"))
    assert told == ["late"]


def test_a_watcher_may_stop_watching_while_it_is_told() -> None:
    """Telling goes on with the others."""
    drain, told = Drain(), []

    def once() -> None:
        drain.unwatch(once)
        told.append("once")

    drain.watch(once)
    drain.watch(lambda: told.append("other"))
    drain.begin()
    assert told == ["once", "other"]
