"""State in one file, for one process: what must survive a restart without Redis.

Times to live are wall time, since they have to hold across restarts: a clock that jumps a day
ahead takes with it what had less than a day to live. Leases are measured by the monotonic
clock and remembered here, not in the file: a restart lets all of them lapse anyway, so a clock
that jumps ends no stream, and renewing a lease needs no disk.
"""

import secrets
import time
from collections.abc import Callable, Collection, Sequence

from services.state.database import Connection, Database
from services.state.sqlite_groups import SqliteGroups
from services.state.sqlite_sums import SqliteSums
from services.state.store import EPOCH_S, FIRST_EPOCH, FencedError, Part, StoreDownError, Value
from services.state.sums import Hold, Kept, Refusal, Settlement

SWEEP_S = 60.0  # what has expired is as if it had never been; its rows go after so long

LAST = "SELECT COALESCE(MAX(number), 0) FROM records WHERE log = ?"
READ = """
    SELECT record FROM records JOIN logs USING (log)
    WHERE log = ? AND number > ? AND until > ? ORDER BY number
"""
SWEEP = (
    "DELETE FROM kept WHERE until <= ?",
    "DELETE FROM records WHERE log IN (SELECT log FROM logs WHERE until <= ?)",
    "DELETE FROM logs WHERE epoch_until <= ?",
    "DELETE FROM members WHERE until <= ?",
)


class SqliteStore:
    """A ``Store`` in a file; making it lets all leases and holds of the process before lapse.

    But not ``beside`` a process that has the file: that one is not gone.
    """

    def __init__(
        self,
        database: Database,
        *,
        beside: bool = False,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = database
        self._wall = wall
        self._monotonic = monotonic
        self._me = secrets.token_urlsafe(12)
        self._held: dict[str, float] = {}  # until when, of our leases
        self._sweep_at = monotonic()
        groups = SqliteGroups(database, wall)
        self.join, self.quit, self.members = groups.join, groups.quit, groups.members
        self._sums = SqliteSums(database, wall=wall, monotonic=monotonic)
        if not beside:
            self._sums.lapse_all()

    def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none."""
        return self._file.ask(lambda db: self._get(db, key))

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Set a value, whatever was there."""
        self._file.change(lambda db: self._put(db, key, value, ttl_s))

    def put_all(self, values: Sequence[Value]) -> None:
        """Set many in one transaction."""

        def put_all(db: Connection) -> None:
            for value in values:
                self._put(db, *value)

        self._file.change(put_all)

    def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float) -> bool:
        """Set a value if it still is ``old``; tell whether it was."""

        def swap(db: Connection) -> bool:
            if self._get(db, key) != old:
                return False
            if new is None:
                db.execute("DELETE FROM kept WHERE key = ?", (key,))
            else:
                self._put(db, key, new, ttl_s)
            return True

        return self._file.change(swap)

    def append(self, log: str, epoch: int, first: int, records: Sequence[bytes], ttl_s: float) -> int:
        """Store records numbered from ``first``; return the last number stored now."""
        [last] = self.append_all([Part(log, epoch, first, records, ttl_s)])
        if last is None:
            raise FencedError([log])
        return last

    def append_all(self, parts: Sequence[Part]) -> list[int | None]:
        """Append to many logs in one transaction; None for one that is another's."""

        def append_all(db: Connection) -> list[int | None]:
            self._sweep(db)
            return [self._append(db, *part) for part in parts]

        return self._file.change(append_all)

    def _append(  # noqa: PLR0913, PLR0917 - a part, and the file
        self, db: Connection, log: str, epoch: int, first: int, records: Sequence[bytes], ttl_s: float
    ) -> int | None:
        known, _, epoch_until = self._log(db, log)
        if epoch < known:
            return None
        until = self._until(ttl_s)
        _write_log(db, log, epoch, until, max(until, epoch_until))
        last: int = db.execute(LAST, (log,)).fetchone()[0]
        new = records[last + 1 - first :] if first <= last + 1 else ()
        rows = ((log, number, record) for number, record in enumerate(new, last + 1))
        db.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
        return last + len(new)

    def read(self, log: str, after: int) -> list[bytes]:
        """Return the records after that number."""
        rows = self._file.ask(lambda db: db.execute(READ, (log, after, self._wall())).fetchall())
        return [record for (record,) in rows]

    def lease(self, logs: Collection[str], seconds: float) -> None:
        """Hold logs, or go on holding them; raises FencedError for others'."""

        def lease(db: Connection) -> dict[str, str]:
            db.executemany("INSERT OR IGNORE INTO leases VALUES (?, ?)", [(log, self._me) for log in logs])
            return _holders(db)

        holders = self._file.ask(_holders)
        if not holders.keys() >= set(logs):
            holders = self._file.change(lease)
        lost = {log for log in logs if holders[log] != self._me}
        self._held.update(dict.fromkeys(logs, self._monotonic() + seconds))
        for log in lost:
            del self._held[log]
        if lost:
            raise FencedError(lost)

    def release(self, logs: Collection[str]) -> None:
        """Forget leases of ours."""
        ours = [(log, self._me) for log in logs]
        self._file.change(lambda db: db.executemany("DELETE FROM leases WHERE log = ? AND holder = ?", ours))
        for log in logs:
            self._held.pop(log, None)

    def let_go(self, logs: Collection[str]) -> None:
        """Let leases of ours lapse now."""
        self._held.update(dict.fromkeys(self._held.keys() & set(logs), 0.0))

    def lapsed(self, most: int) -> list[str]:
        """Return logs whose lease ran out, longest ago first; those of a process before come first."""
        now = self._monotonic()
        logs = sorted(self._file.ask(_holders), key=self._held_until)
        return [log for log in logs if self._held_until(log) <= now][:most]

    def seize(self, log: str, seconds: float) -> int | None:
        """Take a log over if its lease has lapsed; return its new epoch."""

        def seize(db: Connection) -> int | None:
            if log not in _holders(db) or self._held_until(log) > self._monotonic():
                return None
            epoch, until, epoch_until = self._log(db, log)
            _write_log(db, log, epoch + 1, until, max(epoch_until, self._until(EPOCH_S)))
            db.execute("UPDATE leases SET holder = ? WHERE log = ?", (self._me, log))
            self._held[log] = self._monotonic() + seconds
            return epoch + 1

        return self._file.change(seize)

    def reserve(self, holds: Sequence[Hold]) -> list[int | Refusal]:
        """Set aside what each hold asks for, all of it or nothing."""
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

    def reachable(self) -> bool:
        """Tell whether the file can be read."""
        try:
            return (
                self._file.ask(lambda db: db.execute("SELECT 1 FROM leases LIMIT 1").fetchall()) is not None
            )
        except StoreDownError:
            return False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _until(self, ttl_s: float) -> float:
        return self._wall() + ttl_s

    def _get(self, db: Connection, key: str) -> bytes | None:
        row = db.execute("SELECT value FROM kept WHERE key = ? AND until > ?", (key, self._wall())).fetchone()
        return row[0] if row else None

    def _put(self, db: Connection, key: str, value: bytes, ttl_s: float) -> None:
        self._sweep(db)
        db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (key, value, self._until(ttl_s)))

    def _log(self, db: Connection, log: str) -> tuple[int, float, float]:
        """Return a log's epoch, and until when its records and its epoch live; drop what is dead."""
        now = self._wall()
        row = db.execute("SELECT epoch, until, epoch_until FROM logs WHERE log = ?", (log,)).fetchone()
        epoch, until, epoch_until = row or (FIRST_EPOCH, 0.0, 0.0)
        if until <= now:
            db.execute("DELETE FROM records WHERE log = ?", (log,))
        return epoch if now < epoch_until else FIRST_EPOCH, until, epoch_until

    def _held_until(self, log: str) -> float:
        return self._held.get(log, 0.0)

    def _sweep(self, db: Connection) -> None:
        if self._monotonic() >= self._sweep_at:
            self._sweep_at = self._monotonic() + SWEEP_S
            for statement in SWEEP:
                db.execute(statement, (self._wall(),))
            self._sums.sweep(db)


def _write_log(db: Connection, log: str, epoch: int, until: float, epoch_until: float) -> None:
    db.execute("INSERT OR REPLACE INTO logs VALUES (?, ?, ?, ?)", (log, epoch, until, epoch_until))


def _holders(db: Connection) -> dict[str, str]:
    return dict(db.execute("SELECT log, holder FROM leases").fetchall())
