"""Sums in the embedded store's file, as jobs for its thread.

Holds lapse by the monotonic clock, which the file does not know: those that this process did not
make are of one that is no more, and have lapsed.
"""

from collections.abc import Callable, Collection, Sequence

from services.state.database import Connection, Database
from services.state.sums import NOTHING, OVER_S, TOO_LATE, Hold, Kept, Refusal, Settlement, amount, granted

MARK = ("", "")  # stands in a hold that holds nothing

READ = "SELECT spent, held FROM sums WHERE row = ? AND field = ? AND until > ?"
ADD = """
    INSERT INTO sums VALUES (:row, :field, :spent, :held, :until) ON CONFLICT (row, field) DO UPDATE SET
    spent = CASE WHEN until > :now THEN spent ELSE 0 END + excluded.spent,
    held = CASE WHEN until > :now THEN held ELSE 0 END + excluded.held,
    until = MAX(until, excluded.until)
"""
RELEASE = """
    UPDATE sums SET held = MAX(0, held - :amount), spent = spent + :spent
    WHERE row = :row AND field = :field AND until > :now
"""
HOLD = """
    INSERT INTO holds VALUES (?, ?, ?, ?)
    ON CONFLICT (hold, row, field) DO UPDATE SET amount = amount + excluded.amount
"""


class SqliteSums:
    """Rows and holds in two tables."""

    def __init__(self, file: Database, *, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._file = file
        self._wall = wall
        self._monotonic = monotonic
        self._until: dict[str, float] = {}  # of the holds of this process

    def reserve(self, holds: Sequence[Hold]) -> list[int | Refusal]:
        """Set aside what each asks for, all of it or nothing."""
        answers = self._file.change(lambda db: [self._reserve(db, hold) for hold in holds])
        for hold, answer in zip(holds, answers, strict=True):
            if not isinstance(answer, Refusal):
                until = self._monotonic() + hold.lasts_s
                self._until[hold.name] = max(until, self._until.get(hold.name, 0.0))
        return answers

    def settle(self, settlements: Sequence[Settlement]) -> list[bool | None]:
        """End holds; tell of each whether it was there."""
        self.lapse()
        there = self._file.change(lambda db: [self._settle(db, one) for one in settlements])
        for one in settlements:
            self._until.pop(one.hold, None)
        return there

    def sums(self, rows: Sequence[str]) -> list[dict[str, Kept]]:
        """Return how all sums of these rows stand."""
        self.lapse()
        return self._file.ask(lambda db: [self._row(db, row) for row in rows])

    def drop(self, rows: Collection[str]) -> None:
        """Forget these rows."""
        self._file.change(
            lambda db: db.executemany("DELETE FROM sums WHERE row = ?", [(row,) for row in rows])
        )

    def lapse(self) -> None:
        """End what nobody has settled in time; the holds of a process before are over too."""
        now = self._monotonic()
        over = [name for name, until in self._until.items() if until <= now]
        if over:
            self._file.change(lambda db: [self._settle(db, Settlement(name, None)) for name in over])
        for name in over:
            self._until.pop(name, None)

    def lapse_all(self) -> None:
        """End what a process before has left."""

        def lapse(db: Connection) -> None:
            for (name,) in db.execute("SELECT DISTINCT hold FROM holds").fetchall():
                self._settle(db, Settlement(name, None))

        self._file.change(lapse)

    def sweep(self, db: Connection) -> None:
        """Delete what has expired."""
        for table in ("sums", "over"):
            db.execute(f"DELETE FROM {table} WHERE until <= ?", (self._wall(),))  # noqa: S608 - two words

    def _reserve(self, db: Connection, hold: Hold) -> int | Refusal:
        if self._is_over(db, hold.name):
            return TOO_LATE
        n = granted(hold, [self._sum(db, one.row, one.field) for one in hold.sums])
        if isinstance(n, Refusal):
            return n
        db.execute(HOLD, (hold.name, *MARK, 0))
        for one in hold.sums:
            more = amount(one, n)
            self._add(db, one.row, one.field, one.ttl_s, held=more)
            db.execute(HOLD, (hold.name, one.row, one.field, more))
        return n

    def _settle(self, db: Connection, settlement: Settlement) -> bool | None:
        query = "SELECT row, field, amount FROM holds WHERE hold = ?"
        found = db.execute(query, (settlement.hold,)).fetchall()
        now, all_of_it = self._wall(), settlement.used is None
        for row, field, held in found:
            spent = held if all_of_it else 0
            db.execute(RELEASE, {"row": row, "field": field, "amount": held, "spent": spent, "now": now})
        if not found:
            return False if self._is_over(db, settlement.hold) else None
        db.execute("DELETE FROM holds WHERE hold = ?", (settlement.hold,))
        db.execute("INSERT OR REPLACE INTO over VALUES (?, ?)", (settlement.hold, now + OVER_S))
        for used in settlement.used or ():
            self._add(db, used.row, used.field, used.ttl_s, spent=used.amount)
        return True

    def _add(  # noqa: PLR0913 - a sum, and what becomes of it
        self, db: Connection, row: str, field: str, ttl_s: float, *, spent: int = 0, held: int = 0
    ) -> None:
        now = self._wall()
        db.execute(
            ADD,
            {"row": row, "field": field, "spent": spent, "held": held, "until": now + ttl_s, "now": now},
        )

    def _is_over(self, db: Connection, hold: str) -> bool:
        known = "SELECT 1 FROM over WHERE hold = ? AND until > ?"
        return db.execute(known, (hold, self._wall())).fetchone() is not None

    def _sum(self, db: Connection, row: str, field: str) -> Kept:
        found = db.execute(READ, (row, field, self._wall())).fetchone()
        return Kept(*found) if found else NOTHING

    def _row(self, db: Connection, row: str) -> dict[str, Kept]:
        query = "SELECT field, spent, held FROM sums WHERE row = ? AND until > ?"
        return {field: Kept(*kept) for field, *kept in db.execute(query, (row, self._wall()))}
