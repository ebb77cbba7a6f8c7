"""One stream's part in an answer that others have too: where its events come from, what it pays."""

from collections.abc import Iterable, Iterator

import gevent
from gevent.event import Event as Signal

from services.errors import ProviderIncomplete, of_problem
from services.events import Error, Event, Finish, Foreign, Notice, Start, Usage, decoder
from services.streams.answers.cache import Answer
from services.streams.answers.flight import Flight, Flights
from services.streams.known import Said
from services.streams.log import Log
from services.streams.use_case import Transform, UseCase

CACHE_HIT = Notice(code="cache-hit", detail="This answer was made before; it costs nothing.")
AT_ONCE = 256  # events: some milliseconds of everybody's time
SHOWN_BY_EACH = (Start, Finish, Error)  # a stream has its own


def kept_events(answer: Answer | None, use_case: UseCase) -> list[Event] | None:
    """Return what a kept answer shows; None where there is none, or another release made it."""
    if answer is None:
        return None
    decode = decoder(use_case.events)
    events = [decode(line) for line in answer.lines]
    return None if any(isinstance(event, Foreign) for event in events) else [CACHE_HIT, *events]


class Seat:
    """A stream's place in a flight: from its making on, the flight is there for it.

    ``transform`` has to be run or closed: that gives the place back.
    """

    def __init__(self, flights: Flights, flight: Flight) -> None:
        self._flights = flights
        self._flight = flight
        self._ticket = flight.enter()
        self._bill: Usage | None = None
        self.transform = self._play()
        next(self.transform)

    @property
    def unchecked(self) -> bool:
        """Tell whether the store was away when the flight's budget was asked for."""
        return self._flight.stream.unchecked

    def usage(self) -> Usage:
        """Return what the stream is billed until now."""
        return self._flight.bill(self._ticket) if self._bill is None else self._bill

    def at_cap(self) -> bool:
        """Tell whether the answer is as long as its cap."""
        return self._flight.stream.at_cap()

    def answered(self) -> tuple[Said | None, ...]:
        """Return what is known of the answers to the flight's calls."""
        return self._flight.answered()

    def _play(self) -> Transform:
        """Begin the flight if nobody has, and yield its events as they come; raises what it failed of."""
        try:
            yield CACHE_HIT  # to nobody: a generator that has begun is one that gives its place back
            self._flight.begin(self._flights.others)
            for event in _events(self._flight.stream.log):
                if not isinstance(event, SHOWN_BY_EACH):
                    yield event
        finally:
            self._bill = self._flights.leave(self._flight, self._ticket)
        end = self._flight.stream.log.end
        if isinstance(end, Finish):
            return end.reason
        raise of_problem(end.problem) if isinstance(end, Error) else ProviderIncomplete


def gently(events: Iterable[Event]) -> Iterator[Event]:
    """Yield what is there already, and let others run in between."""
    for number, event in enumerate(events, 1):
        yield event
        if number % AT_ONCE == 0:
            gevent.sleep(0)


def _events(log: Log) -> Iterator[Event]:
    """Yield a log's events as they come, to its end or to where it breaks off."""
    grown, number = Signal(), 0
    log.watch(grown.set)
    try:
        while not log.broken:
            grown.clear()
            events = log.after(number, AT_ONCE)
            number += len(events)
            yield from events
            if len(events) == AT_ONCE:
                gevent.sleep(0)  # who comes late has much to read
            elif not events:
                if log.end is not None:
                    return
                grown.wait()
    finally:
        log.unwatch(grown.set)
