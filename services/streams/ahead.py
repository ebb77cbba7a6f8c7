"""Answers that are read before they are asked for: how calls run side by side.

A greenlet reads each of them, a few at a time, in their order: the transform reads them one
after the other and finds most of the text there already.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

import gevent
from gevent.queue import SimpleQueue

from services import llm
from services.streams.allowance import Allowance


class Reading(Protocol):
    """An answer that is read from its provider by whoever iterates it (``calls.Reply``)."""

    reason: llm.DoneReason | None
    curbed: bool
    wanted: int

    def __iter__(self) -> Iterator[str]: ...
    def reserve(self) -> int:
        """Take its part of the allowance."""

    def close(self) -> None:
        """Close the provider."""


class Ahead:
    """An answer that a greenlet of its own reads, so that it is there when it is asked for.

    What it holds is bounded by the call's cap.
    """

    def __init__(self, reply: Reading) -> None:
        self.reason: llm.DoneReason | None = None
        self.closed = False
        self.reply = reply
        self._deltas: SimpleQueue[str | Exception | None] = SimpleQueue()
        self.greenlet: gevent.Greenlet[[], None] | None = None
        self._heard = self._hear()

    def __iter__(self) -> Iterator[str]:
        return self._heard

    def start(self, ended: Callable[[object], None]) -> None:
        """Begin to read; ``ended`` is called from the hub, also after a kill before the start."""
        self.greenlet = gevent.spawn(self._fill)
        self.greenlet.link(ended)

    @property
    def curbed(self) -> bool:
        """Tell whether it could say less than was asked for."""
        return self.reply.curbed

    def close(self) -> None:
        """Close the provider; waits until it is closed."""
        self.closed = True
        if self.greenlet is not None:
            self.greenlet.kill()
            self.greenlet = None  # it keeps what killed it, and that keeps its frames
        self._heard.close()
        self.reply.close()

    def _hear(self) -> Generator[str, None, None]:
        while not self.closed and (delta := self._deltas.get()) is not None:
            if isinstance(delta, Exception):
                raise delta
            yield delta
        self.reason = self.reply.reason

    def _fill(self) -> None:
        try:
            for delta in self.reply:
                self._deltas.put(delta)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is read
            self._deltas.put(error)
        else:
            self._deltas.put(None)


class Batch:
    """Calls that run side by side, ``parallel`` of them at a time, started in their order."""

    def __init__(self, replies: Iterable[Reading], allowance: Allowance, parallel: int) -> None:
        self.answers = tuple(Ahead(reply) for reply in replies)
        self._allowance = allowance
        self._parallel = parallel
        self._waiting = list(reversed(self.answers))
        self._running = 0
        self._start_more()

    def close(self) -> None:
        """Close those that run, start none of those that wait."""
        self._waiting.clear()
        gevent.killall([answer.greenlet for answer in self.answers if answer.greenlet])
        for answer in self.answers:
            answer.close()

    def _ended(self, _greenlet: object) -> None:
        self._running -= 1
        self._start_more()

    def _start_more(self) -> None:
        while self._waiting and self._running < self._parallel:
            following = self._waiting[-1]
            if self._running and not self._allowance.fits(following.reply.wanted):
                return  # what runs may give back what this one wants
            self._waiting.pop()
            if not following.closed:
                self._running += 1
                following.reply.reserve()
                following.start(self._ended)
