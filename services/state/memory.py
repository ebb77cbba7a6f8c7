"""State in this process: gone with it, and the reference for the other stores."""

import heapq
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from gevent.event import Event

from services.state.memory_groups import MemoryGroups
from services.state.memory_sums import MemorySums
from services.state.store import EPOCH_S, FIRST_EPOCH, FencedError, Part, Value
from services.state.sums import Hold, Kept, Refusal, Settlement

SWEEP_S = 10.0  # what has expired is as if it had never been; its memory is free after so long


@dataclass
class _Log:
    records: list[bytes] = field(default_factory=list)
    until: float = 0.0
    epoch: int = FIRST_EPOCH
    epoch_until: float = 0.0


@dataclass
class _Lease:
    holder: object
    until: float


@dataclass(frozen=True)
class _Message:
    position: int
    content: bytes
    until: float


@dataclass
class Contents:
    """What all see who look at the same memory."""

    values: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    logs: dict[str, _Log] = field(default_factory=dict)
    leases: dict[str, _Lease] = field(default_factory=dict)
    inboxes: dict[str, list[_Message]] = field(default_factory=dict)
    positions: "count[int]" = field(default_factory=lambda: count(1))
    groups: MemoryGroups | None = None
    changed: Event = field(default_factory=Event)
    sums: MemorySums | None = None
    sweep_at: float = 0.0


class MemoryStore:
    """A ``Shared`` store. Nothing in it waits but ``follow``, so every verb is atomic.

    ``beside`` gives another process's view of it.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, contents: Contents | None = None
    ) -> None:
        self._now = monotonic
        self._all = contents or Contents()
        self._groups = self._all.groups = self._all.groups or MemoryGroups(monotonic)
        self.join, self.quit, self.members = self._groups.join, self._groups.quit, self._groups.members
        self._sums = self._all.sums = self._all.sums or MemorySums(monotonic)
        self._me = object()

    def beside(self) -> "MemoryStore":
        """Return what another process would hold: the same state, leases of its own."""
        return MemoryStore(monotonic=self._now, contents=self._all)

    def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none."""
        value, until = self._all.values.get(key, (None, 0.0))
        return value if self._now() < until else None

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Set a value, whatever was there."""
        self._sweep()
        self._all.values[key] = value, self._until(ttl_s)

    def put_all(self, values: Sequence[Value]) -> None:
        """Set many."""
        for value in values:
            self.put(*value)

    def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float) -> bool:
        """Set a value if it still is ``old``; tell whether it was."""
        if self.get(key) != old:
            return False
        if new is None:
            self._all.values.pop(key, None)
        else:
            self.put(key, new, ttl_s)
        return True

    def append(self, log: str, epoch: int, first: int, records: Sequence[bytes], ttl_s: float) -> int:
        """Store records numbered from ``first``; return the last number stored now."""
        self._sweep()
        kept = self._log(log)
        if epoch < kept.epoch:
            raise FencedError([log])
        kept.epoch = epoch
        kept.until = self._until(ttl_s)
        kept.epoch_until = max(kept.epoch_until, kept.until)
        self._all.logs[log] = kept
        there = len(kept.records)
        if first <= there + 1:
            kept.records += records[there + 1 - first :]
            self._wake()
        return len(kept.records)

    def append_all(self, parts: Sequence[Part]) -> list[int | None]:
        """Append to many logs; None for one that is another's."""
        lasts: list[int | None] = []
        for part in parts:
            try:
                lasts.append(self.append(*part))
            except FencedError:
                lasts.append(None)
        return lasts

    def read(self, log: str, after: int) -> list[bytes]:
        """Return the records after that number."""
        return self._log(log).records[after:]

    def lease(self, logs: Collection[str], seconds: float) -> None:
        """Hold logs, or go on holding them; raises FencedError for others'."""
        lost = []
        for log in logs:
            if self._all.leases.get(log, _Lease(self._me, 0.0)).holder is self._me:
                self._all.leases[log] = _Lease(self._me, self._now() + seconds)
            else:
                lost.append(log)
        if lost:
            raise FencedError(lost)

    def release(self, logs: Collection[str]) -> None:
        """Forget leases of ours."""
        for log in self._ours(logs):
            del self._all.leases[log]

    def let_go(self, logs: Collection[str]) -> None:
        """Let leases of ours lapse now."""
        for log in self._ours(logs):
            self._all.leases[log].until = 0.0

    def lapsed(self, most: int) -> list[str]:
        """Return logs whose lease ran out, longest ago first."""
        now = self._now()
        out = ((lease.until, log) for log, lease in self._all.leases.items() if lease.until <= now)
        return [log for _, log in heapq.nsmallest(most, out)]

    def seize(self, log: str, seconds: float) -> int | None:
        """Take a log over if its lease has lapsed; return its new epoch."""
        now = self._now()
        lease = self._all.leases.get(log)
        if lease is None or now < lease.until:
            return None
        self._all.leases[log] = _Lease(self._me, now + seconds)
        kept = self._all.logs[log] = self._log(log)
        kept.epoch += 1
        kept.epoch_until = max(kept.epoch_until, now + EPOCH_S)
        return kept.epoch

    def reserve(self, holds: Sequence[Hold]) -> list[int | Refusal]:
        """Set aside what each hold asks for, all of it or nothing."""
        self._sweep()
        return self._sums.reserve(holds)

    def settle(self, settlements: Sequence[Settlement]) -> list[bool | None]:
        """End holds; tell of each whether it was there."""
        return self._sums.settle(settlements)

    def sums(self, rows: Sequence[str]) -> list[dict[str, Kept]]:
        """Return how the sums of these rows stand."""
        return self._sums.sums(rows)

    def drop(self, rows: Collection[str]) -> None:
        """Forget these rows."""
        self._sums.drop(rows)

    def send(self, inbox: str, message: bytes, ttl_s: float) -> None:
        """Add a message."""
        self._sweep()
        messages = self._all.inboxes.setdefault(inbox, [])
        messages.append(_Message(next(self._all.positions), message, self._until(ttl_s)))
        self._wake()

    def follow(self, after: Mapping[str, str], wait_s: float) -> list[tuple[str, str, bytes]]:
        """Wait for what comes after these positions; return it, or nothing."""
        until = time.monotonic() + wait_s  # a wait is real, whatever the clock of the state says
        while True:
            found = [one for name, position in after.items() for one in self._after(name, position)]
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            self._all.changed.wait(left)

    def reachable(self) -> bool:
        """Tell that memory is there."""
        return True

    def close(self) -> None:
        """Let go of nothing: there is nothing to close."""

    def _until(self, ttl_s: float) -> float:
        return self._now() + ttl_s

    def _log(self, name: str) -> _Log:
        """Return a log as it is now; one that is not there is empty, and not kept by asking."""
        now = self._now()
        log = self._all.logs.get(name)
        if log is None or (log.until <= now and log.epoch_until <= now):
            return _Log()
        if log.until <= now:
            log.records = []
        return log

    def _ours(self, logs: Collection[str]) -> list[str]:
        leases = self._all.leases
        return [log for log in logs if log in leases and leases[log].holder is self._me]

    def _after(self, name: str, position: str) -> list[tuple[str, str, bytes]]:
        number = int(position)
        records = enumerate(self.read(name, number), number + 1)
        now = self._now()
        messages = (
            (one.position, one.content)
            for one in self._all.inboxes.get(name, ())
            if one.position > number and now < one.until
        )
        return [(name, str(at), content) for at, content in (*records, *messages)]

    def _wake(self) -> None:
        changed, self._all.changed = self._all.changed, Event()
        changed.set()

    def _sweep(self) -> None:
        now = self._now()
        if now < self._all.sweep_at:
            return
        self._all.sweep_at = now + SWEEP_S
        everything = self._all
        everything.values = {key: kept for key, kept in everything.values.items() if now < kept[1]}
        everything.logs = {
            name: log for name, log in everything.logs.items() if now < max(log.until, log.epoch_until)
        }
        left = {name: [one for one in box if now < one.until] for name, box in everything.inboxes.items()}
        everything.inboxes = {name: box for name, box in left.items() if box}
        self._groups.sweep()
        self._sums.sweep()
