"""How many streams a key, and each end user of it, may start in a minute and have open at once.

Who starts a stream joins two groups: of those that began within a minute (so the window slides, and no
border between two minutes lets twice as many in), and of those that are open. A seat in the second is
held for half a minute and taken anew every ten seconds, so a process that dies leaves no seat taken. With
Redis all processes count together; without, one process runs and counts in memory.

Answers tell the limits in the fields of draft-ietf-httpapi-ratelimit-headers-11.
"""

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from weakref import ref

import gevent

from services.errors import RateLimited
from services.settings import Settings
from services.state.memory import MemoryStore
from services.state.store import Joined, Shared, StoreDownError
from services.streams.clock import Clock
from services.streams.stream import Stream
from services.web.callers import Caller

MINUTE_S = 60.0
SEAT_S = 30.0
RENEW_S = 10.0
LATE_S = 0.1  # a stream that has just ended may still have its seat in the store
OPEN_RETRY_S = 1.0  # streams end all the time; there is no telling when


@dataclass(frozen=True)
class Limit:
    """How many may be in a group, by which name answers tell it, and whose it is, for people."""

    group: str
    most: int
    name: str
    whose: str


@dataclass(eq=False)
class Seat:
    """Where a stream sits until it has ended."""

    limits: tuple[Limit, ...] = ()
    name: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass
class Told:
    """What an answer tells of limits, as far as they were looked at.

    Each policy has its quota; what is left of it (``r``) is told once it is known, and never left out of
    an item, as the draft asks (section 4).
    """

    policies: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, str]:
        """Return the header fields; those that would be empty are left out."""
        fields = {"RateLimit-Policy": ", ".join(self.policies), "RateLimit": ", ".join(self.left)}
        return {name: value for name, value in fields.items() if value}


class Rates:
    """Counts streams; ``shared`` is the store where other processes count too."""

    def __init__(self, settings: Settings, clock: Clock, shared: Shared | None) -> None:
        self._settings = settings
        self._clock = clock
        self._shared = shared
        self._alone = MemoryStore(monotonic=clock.monotonic)
        self._seats: set[Seat] = set()
        self._renewed_at = clock.monotonic()

    def count(self, caller: Caller) -> Told:
        """Count a stream that is to start; return what is told of it; raises RateLimited, StoreDownError."""
        told = Told()
        for limit in self._rates(caller):
            joined = self._join(limit.group, secrets.token_hex(8), MINUTE_S, limit.most)
            free_in_s = math.ceil(joined.free_in_s)
            told.policies.append(f'"{limit.name}";q={limit.most};w={MINUTE_S:.0f}')
            told.left.append(f'"{limit.name}";r={limit.most - joined.there};t={free_in_s}')
            if not joined.joined:
                raise _refused(limit, f"start {limit.most} streams in a minute", free_in_s, told)
        return told

    @contextmanager
    def seat(self, caller: Caller, told: Told) -> Iterator[Callable[[Stream], None]]:
        """Take a seat for a stream; what is yielded keeps it until that stream has ended here.

        How many are left is ``told`` too. Raises RateLimited, StoreDownError.
        """
        seat = self._taken(caller, told)
        try:
            yield partial(self._keep, seat)
        finally:
            if seat not in self._seats:
                self._free(seat)

    def _taken(self, caller: Caller, told: Told) -> Seat:
        seat = Seat(tuple(self._places(caller)))
        for limit in seat.limits:
            joined = self._sits(limit, seat)
            told.policies.append(f'"{limit.name}";q={limit.most};qu="concurrent-requests"')
            told.left.append(f'"{limit.name}";r={max(0, limit.most - joined.there)}')
            if not joined.joined:
                self._leave(seat)
                raise _refused(limit, f"have {limit.most} streams open", OPEN_RETRY_S, told)
        return seat

    def _keep(self, seat: Seat, stream: Stream) -> None:
        if not seat.limits:
            return
        self._seats.add(seat)
        weakly = ref(stream.log)  # which holds what is told: a cycle would keep each log

        def look() -> None:
            log = weakly()
            if seat in self._seats and (log is None or log.end is not None or log.broken):
                self._seats.discard(seat)
                self._free(seat)

        stream.log.watch(look)
        look()

    def _free(self, seat: Seat) -> None:
        """Give a seat back, from wherever a stream ends."""
        if not seat.limits:
            return
        if self._shared is None:
            self._leave(seat)
        else:
            gevent.spawn(self._leave, seat)

    def renew(self) -> None:
        """Hold on to the seats of this process, now and then; raises StoreDownError."""
        if self._clock.monotonic() - self._renewed_at < RENEW_S:
            return
        self._renewed_at = self._clock.monotonic()
        for seat in tuple(self._seats):
            for limit in seat.limits:
                (self._shared or self._alone).join(limit.group, seat.name, SEAT_S)

    def _rates(self, caller: Caller) -> Iterator[Limit]:
        of_key = caller.rpm or self._settings.key_rpm
        if of_key:
            yield Limit(f"rate:{caller.key_id}", of_key, "key-minute", "This key")
        of_user = self._settings.subject_rpm
        if caller.grant and of_user:
            yield Limit(f"rate:{caller.owner}", of_user, "user-minute", "This user")

    def _places(self, caller: Caller) -> Iterator[Limit]:
        of_key = caller.streams or self._settings.key_streams
        if of_key:
            yield Limit(f"open:{caller.key_id}", of_key, "key-open", "This key")
        of_user = self._settings.subject_streams
        if caller.grant and of_user:
            yield Limit(f"open:{caller.owner}", of_user, "user-open", "This user")

    def _sits(self, limit: Limit, seat: Seat) -> Joined:
        """Ask twice: the end of a stream is told a moment before its seat is free."""
        joined = self._join(limit.group, seat.name, SEAT_S, limit.most)
        if joined.joined or self._shared is None:
            return joined
        self._clock.sleep(LATE_S)
        return self._join(limit.group, seat.name, SEAT_S, limit.most)

    def _join(self, group: str, member: str, ttl_s: float, most: int) -> Joined:
        """Count with the others; where the store is away alone, if that is allowed. Raises StoreDownError."""
        if self._shared is not None:
            try:
                return self._shared.join(group, member, ttl_s, most)
            except StoreDownError:
                if not self._settings.quotas_open:
                    raise
        return self._alone.join(group, member, ttl_s, most)

    def _leave(self, seat: Seat) -> None:
        for limit in seat.limits:
            self._alone.quit(limit.group, [seat.name])
            if self._shared is not None:
                try:
                    self._shared.quit(limit.group, [seat.name])
                except StoreDownError:
                    return  # it is free in half a minute


def _refused(limit: Limit, may: str, retry_after_s: float, told: Told) -> RateLimited:
    return RateLimited(
        f"{limit.whose} may {may}.",
        told=told.fields(),
        limit=limit.most,
        retry_after_s=max(1.0, retry_after_s),
    )
