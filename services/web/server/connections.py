"""All connections of a process: looked at every now and then, counted, and sent away."""

from collections.abc import Callable
from heapq import nsmallest
from time import monotonic
from typing import Any

from services.web.server.connection import Connection, Limits, Phase

# One in so many: of the silent ones, that many go when it is full, as to find one costs as much as
# to find all; and that many more than may be served are taken in, to be told that there is no room.
PART = 20
LONGEST_PAUSE_S = 1.0
# One that has just come is not silent, it has not spoken yet.
ABOUT_TO_ASK_S = 1.0


class Connections:
    """Those that are open; ``most`` is how many may be served."""

    def __init__(self, limits: Limits, *, most: int, now: Callable[[], float] = monotonic) -> None:
        self._limits = limits
        self._most = most
        self._now = now
        self._open: set[Connection] = set()
        self._draining = False
        shortest = min(limits.head_s, limits.keepalive_s, limits.write_timeout_s)
        self._pause_s = min(LONGEST_PAUSE_S, shortest / 4)
        self._looked_at = now()

    @property
    def crowded(self) -> bool:
        """Tell whether there is no room even for one that is refused."""
        return len(self._open) > self._most + self._most // PART

    def take(self, accepted: Any) -> Connection | None:
        """Take one in, to be served, or to be refused where all are busy; None where it is crowded."""
        if self.crowded:
            return None
        connection = Connection(accepted, now=self._now)
        connection.refused = len(self._open) >= self._most and not self.make_room()
        self._open.add(connection)
        return connection

    def discard(self, connection: Connection) -> None:
        """Forget one that is closed."""
        self._open.discard(connection)

    def answered(self, connection: Connection, *, more: bool) -> None:
        """Note that a connection waits for its next request; ``more``: of which something is there."""
        connection.enter(Phase.HEAD if more else Phase.IDLE)
        if self._draining and not more:
            connection.end()

    def make_room(self) -> bool:
        """Send some silent ones away, those first that have been it the longest.

        Tells whether some are about to leave: they have when the hub has made its round.
        """
        youngest = self._now() - ABOUT_TO_ASK_S
        silent = [
            one
            for one in self._open
            if one.phase is Phase.IDLE or (one.phase is Phase.NEW and one.since <= youngest)
        ]
        for connection in nsmallest(-(-len(silent) // PART), silent, key=lambda one: one.since):
            connection.end()
        return bool(silent)

    def drain(self) -> None:
        """Send idle ones away, now and as soon as they are it.

        One that has said nothing yet is about to: it is answered.
        """
        self._draining = True
        for connection in self._open:
            if connection.phase is Phase.IDLE:
                connection.end()

    def end(self) -> None:
        """Let each find its end."""
        for connection in self._open:
            connection.end()

    def answering(self, since: float) -> bool:
        """Tell whether a request from before this time is being answered."""
        return any(one.phase is Phase.REQUEST and one.since < since for one in self._open)

    def asking(self) -> bool:
        """Tell whether a request is being read or answered, or is about to come."""
        youngest = self._now() - ABOUT_TO_ASK_S
        return any(
            one.phase in {Phase.HEAD, Phase.REQUEST} or (one.phase is Phase.NEW and one.since > youngest)
            for one in self._open
        )

    def look(self) -> None:
        """End what is overdue, if it is time to look."""
        now = self._now()
        if now - self._looked_at < self._pause_s:
            return
        self._looked_at = now
        for connection in tuple(self._open):
            connection.look(self._limits)
