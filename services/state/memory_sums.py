"""Sums in memory: the reference for the other stores."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from services.state.sums import NOTHING, OVER_S, TOO_LATE, Hold, Kept, Refusal, Settlement, amount, granted


@dataclass
class _Row:
    until: float
    sums: dict[str, Kept] = field(default_factory=dict)


@dataclass
class _Held:
    until: float
    amounts: dict[tuple[str, str], int] = field(default_factory=dict)


class MemorySums:
    """Rows and holds by their names; nothing in it waits, so every verb is atomic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rows: dict[str, _Row] = {}
        self._holds: dict[str, _Held] = {}
        self._over: dict[str, float] = {}

    def reserve(self, holds: Sequence[Hold]) -> list[int | Refusal]:
        """Set aside what each asks for, all of it or nothing."""
        return [self._reserve(hold) for hold in holds]

    def settle(self, settlements: Sequence[Settlement]) -> list[bool | None]:
        """End holds; tell of each whether it was there."""
        self.lapse()
        return [self._settle(one) for one in settlements]

    def sums(self, rows: Sequence[str]) -> list[dict[str, Kept]]:
        """Return how all sums of these rows stand."""
        self.lapse()
        return [dict(self._row(row).sums) for row in rows]

    def drop(self, rows: Collection[str]) -> None:
        """Forget these rows."""
        for row in rows:
            self._rows.pop(row, None)

    def lapse(self) -> None:
        """End what nobody has settled in time."""
        now = self._now()
        for name in [name for name, held in self._holds.items() if held.until <= now]:
            self._settle(Settlement(name, None))

    def sweep(self) -> None:
        """Free the memory of what has expired."""
        now = self._now()
        self._over = {name: until for name, until in self._over.items() if now < until}
        self._rows = {name: row for name, row in self._rows.items() if now < row.until}

    def _reserve(self, hold: Hold) -> int | Refusal:
        if self._now() < self._over.get(hold.name, 0.0):
            return TOO_LATE
        n = granted(hold, (self._row(one.row).sums.get(one.field, NOTHING) for one in hold.sums))
        if isinstance(n, Refusal):
            return n
        until = self._now() + hold.lasts_s
        held = self._holds.setdefault(hold.name, _Held(until))
        held.until = max(held.until, until)
        for one in hold.sums:
            key, more = (one.row, one.field), amount(one, n)
            held.amounts[key] = held.amounts.get(key, 0) + more
            self._add(one.row, one.field, one.ttl_s, held=more)
        return n

    def _settle(self, settlement: Settlement) -> bool | None:
        held = self._holds.pop(settlement.hold, None)
        if held is None:
            return False if self._now() < self._over.get(settlement.hold, 0.0) else None
        self._over[settlement.hold] = self._now() + OVER_S
        for (row, name), more in held.amounts.items():
            if row in self._rows and self._now() < self._rows[row].until:
                self._add(row, name, 0, spent=more if settlement.used is None else 0, held=-more)
        for used in settlement.used or ():
            self._add(used.row, used.field, used.ttl_s, spent=used.amount)
        return True

    def _add(self, row: str, name: str, ttl_s: float, *, spent: int = 0, held: int = 0) -> None:
        kept = self._rows[row] = self._row(row)
        kept.until = max(kept.until, self._now() + ttl_s)
        before = kept.sums.get(name, NOTHING)
        kept.sums[name] = Kept(before.spent + spent, max(0, before.held + held))

    def _row(self, name: str) -> _Row:
        row = self._rows.get(name)
        return row if row is not None and self._now() < row.until else _Row(0.0)
