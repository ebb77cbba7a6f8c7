"""Who works and who waits: so many streams at a time, the others in a short and fair queue.

Callers take turns (round robin over owners), and the streams of one caller come in their order:
a caller with fifty waiting streams holds another's first one up by one place. Where the queue is
full, a newcomer pushes out the last stream of the caller who fills most of it, if that one keeps
no smaller part than the newcomer's (buffer stealing: McKenney, Stochastic Fairness Queueing, 1990).

Nothing here waits or looks at a clock by itself: streams enter and leave, and are told their place.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from itertools import zip_longest

from services.errors import Overloaded

SOONEST_S, LATEST_S = 1, 30
WEIGHT = 1 / 8  # of the newest figure, as TCP smooths its round trips (RFC 6298)


class Ticket:
    """One stream's claim: ``place`` is 0 at work, n for the nth to come, None when it is out.

    ``moved`` is called when others change the place; it must neither block nor raise.
    """

    def __init__(self, owner: str, moved: Callable[[], None]) -> None:
        self.owner = owner
        self.moved = moved
        self.place: int | None = None
        self.began = 0.0

    def move(self, place: int | None) -> None:
        """Take another place, and tell of it."""
        if place != self.place:
            self.place = place
            self.moved()


class Slots:
    """At most ``running`` streams work, at most ``queued`` wait."""

    def __init__(self, *, running: int, queued: int, monotonic: Callable[[], float]) -> None:
        self._running = running
        self._queued = queued
        self._monotonic = monotonic
        self._working: set[Ticket] = set()
        self._waiting: dict[str, deque[Ticket]] = {}  # in the order of the owners' turns
        self._held_s = 0.0  # as of late; 0 before the first slot came back

    @property
    def working(self) -> int:
        """Return how many work."""
        return len(self._working)

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def retry_after_s(self) -> int:
        """Return when a stream would come to work if it waited behind all that wait now.

        From how long streams have held their slots of late; 1 s where that is not known yet.
        """
        served_by = self._held_s * (self.waiting + 1) / self._running
        return max(SOONEST_S, min(LATEST_S, math.ceil(served_by)))

    def require(self, owner: str) -> None:
        """Raise Overloaded if a stream of this owner could neither work nor wait."""
        if self._is_full and self._loser_to(owner) is None:
            raise Overloaded("All slots are taken and the queue is full.", retry_after_s=self.retry_after_s)

    def enter(self, owner: str, moved: Callable[[], None]) -> Ticket:
        """Work at once where a slot is free, else wait; raises Overloaded as ``require`` does."""
        self.require(owner)
        ticket = Ticket(owner, moved)
        if len(self._working) < self._running:
            self._serve(ticket)
            return ticket
        if self._is_full and (loser := self._loser_to(owner)):
            self._take_out(loser)
            loser.move(None)
        self._waiting.setdefault(owner, deque()).append(ticket)
        self._tell()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give back the slot, or the place in the queue; leaving twice is fine."""
        place, ticket.place = ticket.place, None
        if place is None:
            return
        if place:
            self._take_out(ticket)
        else:
            self._working.remove(ticket)
            self._note(self._monotonic() - ticket.began)
            self._serve_next()
        self._tell()

    @property
    def _is_full(self) -> bool:
        return len(self._working) >= self._running and self.waiting >= self._queued

    def _loser_to(self, owner: str) -> Ticket | None:
        """Return who makes room in a full queue: the last one of the owner with most of it."""
        most: deque[Ticket] = max(self._waiting.values(), key=len, default=deque())
        return most[-1] if len(most) > len(self._waiting.get(owner, ())) + 1 else None

    def _serve(self, ticket: Ticket) -> None:
        ticket.began = self._monotonic()
        self._working.add(ticket)
        ticket.move(0)

    def _serve_next(self) -> None:
        """Let the owner whose turn it is send its first one; its next turn comes after all others'."""
        if self._waiting:
            owner = next(iter(self._waiting))
            queue = self._waiting.pop(owner)
            self._serve(queue.popleft())
            if queue:
                self._waiting[owner] = queue

    def _note(self, held_s: float) -> None:
        self._held_s += (held_s - self._held_s) * (WEIGHT if self._held_s else 1)

    def _take_out(self, ticket: Ticket) -> None:
        queue = self._waiting[ticket.owner]
        queue.remove(ticket)
        if not queue:
            del self._waiting[ticket.owner]

    def _tell(self) -> None:
        for place, ticket in enumerate(self._in_order(), start=1):
            ticket.move(place)

    def _in_order(self) -> Iterator[Ticket]:
        """Yield those who wait as they would come to work: all first ones, then all second ones."""
        for each in zip_longest(*self._waiting.values()):
            yield from filter(None, each)
