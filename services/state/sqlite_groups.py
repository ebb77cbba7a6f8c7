"""Groups in the embedded store's file, as jobs for its thread."""

from collections.abc import Callable, Collection

from services.state.database import Connection, Database
from services.state.store import Joined

LEFT = "SELECT COUNT(*), MIN(until) FROM members WHERE grp = ? AND until > ?"
KNOWN = "SELECT 1 FROM members WHERE grp = ? AND member = ? AND until > ?"
LIST = """
    SELECT member FROM members WHERE grp = ? AND until > ?
    ORDER BY until DESC, member DESC LIMIT ? OFFSET ?
"""


class SqliteGroups:
    """Members in a table, until a moment of wall time."""

    def __init__(self, file: Database, wall: Callable[[], float]) -> None:
        self._file = file
        self._wall = wall

    def join(self, group: str, member: str, ttl_s: float, most: int | None = None) -> Joined:
        """Make somebody a member, if there is room."""

        def join(db: Connection) -> Joined:
            now = self._wall()
            count, _ = db.execute(LEFT, (group, now)).fetchone()
            full = most is not None and count >= most
            joins = not full or db.execute(KNOWN, (group, member, now)).fetchone() is not None
            if joins:
                db.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (group, member, now + ttl_s))
            count, first = db.execute(LEFT, (group, now)).fetchone()
            return Joined(joins, count, max(0.0, (first or now) - now))

        return self._file.change(join)

    def quit(self, group: str, members: Collection[str]) -> None:
        """Let members go."""
        rows = [(group, member) for member in members]
        self._file.change(lambda db: db.executemany("DELETE FROM members WHERE grp = ? AND member = ?", rows))

    def members(self, group: str, skip: int, most: int) -> list[str]:
        """Return members, those that stay longest first."""
        rows = self._file.ask(lambda db: db.execute(LIST, (group, self._wall(), most, skip)).fetchall())
        return [member for (member,) in rows]
