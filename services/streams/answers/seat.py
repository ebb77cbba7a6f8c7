"""One stream's part in an answer that others have too: where its events come from, what it pays."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from gevent.event import Event as Signal

from services.errors import of_problem
from services.events import Error, Event, Finish, Foreign, Notice, Start, Usage, decoder
from services.streams.answers.bill import FREE, plus
from services.streams.answers.cache import Answer
from services.streams.answers.flight import Flight, Flights, Ticket
from services.streams.calls import Calls
from services.streams.known import Said
from services.streams.log import Log
from services.streams.replay import Replay, differs
from services.streams.stream import Stream
from services.streams.use_case import Transform, UseCase

CACHE_HIT = Notice(code="cache-hit", detail="This answer was made before; it costs nothing.")
# A generation that ended so would have gone on for whoever still wants it.
NOT_ITS_OWN = frozenset({"cancelled", "disconnected", "superseded"})
GONE = "/problems/shutting-down"


def kept_events(answer: Answer | None, use_case: UseCase) -> list[Event] | None:
    """Return what a kept answer shows; None where there is none, or another release made it."""
    if answer is None:
        return None
    decode = decoder(use_case.events)
    events = [decode(line) for line in answer.lines]
    return None if any(isinstance(event, Foreign) for event in events) else [CACHE_HIT, *events]


class Seat:
    """A stream that takes its answer from a flight, or from the cache if it is there by then.

    ``make`` prepares a flight where nobody else's is under way; ``anew`` begins the use case's own
    transform, for a stream whose flight was taken from it.
    """

    def __init__(  # noqa: PLR0913 - what it stands between
        self,
        flights: Flights,
        key: str,
        use_case: UseCase,
        *,
        stream: Stream,
        make: Callable[[], Flight],
        anew: Callable[[], Transform],
    ) -> None:
        self._flights = flights
        self._key = key
        self._use_case = use_case
        self._stream = stream
        self._make = make
        self._anew = anew
        self._flight: Flight | None = None
        self._ticket: Ticket | None = None
        self._bill: Usage | None = None

    def transform(self) -> Transform:
        """Yield the answer's events as they come; calls only where it has to be made anew."""
        flight = self._found()
        if flight is None:
            events = kept_events(self._flights.cache.get(self._key), self._use_case)
            if events is not None:  # while this stream waited for its slot
                self._bill = FREE
                yield from events
                return "stop"
            flight = self._found() or self._begun()
        shown = yield from self._read(flight)
        end = flight.stream.log.end
        if isinstance(end, Finish) and end.reason not in NOT_ITS_OWN:
            return end.reason
        if isinstance(end, Error) and end.problem["type"] != GONE:
            raise of_problem(end.problem)
        return (yield from _again(self._anew(), shown))

    def usage(self, own: Calls) -> Usage:
        """Return what the stream is billed until now: its part, and calls that it made alone."""
        part = self._bill
        if self._flight is not None and self._ticket is not None:
            part = self._flight.bill(self._ticket)
        if part is None:
            return own.usage()
        return plus(part, own.usage()) if own.asked else part

    def at_cap(self) -> bool:
        """Tell whether the answer is as long as its cap."""
        return self._flight is not None and self._flight.stream.at_cap()

    def answered(self) -> tuple[Said | None, ...]:
        """Return what is known of the answers to its calls."""
        return self._flight.answered() if self._flight else ()

    def _found(self) -> Flight | None:
        return self._flights.get(self._key, self._stream.deadline_at)

    def _begun(self) -> Flight:
        made = self._make()
        return self._found() or self._flights.begin(made)

    def _read(self, flight: Flight) -> Generator[Event, None, list[Event]]:
        """Yield what a flight shows; return it once more, for where the flight broke off."""
        log, shown = flight.stream.log, 0
        self._flight = flight
        ticket = self._ticket = flight.enter()
        try:
            for event in _events(log):
                if isinstance(event, Foreign | Finish | Error):
                    break  # the end, or a word of a release that knows more
                shown += 1
                if not isinstance(event, Start):
                    yield event
        finally:
            self._bill = self._flights.leave(flight, ticket)
            self._ticket = None
        return log.after(0)[:shown]


def _events(log: Log) -> Iterator[Event]:
    """Yield a log's events as they come, to its end or to where it breaks off."""
    grown, number = Signal(), 0
    log.watch(grown.set)
    try:
        while not log.broken:
            grown.clear()
            events = log.after(number)
            number += len(events)
            yield from events
            if not events:
                if log.end is not None:
                    return
                grown.wait()
    finally:
        log.unwatch(grown.set)


def _again(transform: Transform, shown: Iterable[Event]) -> Transform:
    """Run a transform from its beginning, and pass on what comes after what was shown.

    Raises ProviderIncomplete where it says something else.
    """
    new: list[Event] = []
    replay = Replay(shown, new.append)
    answered: Any = None
    with closing(transform):
        while True:
            try:
                value = transform.send(answered)
            except StopIteration as end:
                if not replay.complete:
                    raise differs() from None
                return end.value  # type: ignore[no-any-return]
            answered = None
            if isinstance(value, Event):
                replay.put(value)
                yield from new
                new.clear()
            else:
                answered = yield value
