"""One SQLite file, asked from greenlets.

Every job runs in a native thread of the file's own, one after the other: sqlite3 would block
the hub (a lock of 2 s stalled everything for 2 s), and a connection takes one transaction at a
time. A greenlet that is killed leaves its job to end by itself.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import gevent
from gevent.threadpool import ThreadPool

from services.settings import SettingsError
from services.state.schema import MIGRATIONS
from services.state.store import StoreDownError
from services.state.trouble import Trouble

BUSY_S = 2.0  # somebody else holds the file, a backup for instance: wait so long

Connection: TypeAlias = sqlite3.Connection
Connect: TypeAlias = Callable[..., Connection]
T = TypeVar("T")


class Database:
    """The file at ``path``, which is made if it is not there, with its tables up to date.

    ``connect`` opens the connection. Raises SettingsError for a file that cannot be used.
    """

    def __init__(self, path: Path, *, busy_s: float = BUSY_S, connect: Connect = sqlite3.connect) -> None:
        self._busy_s = busy_s
        self._thread = ThreadPool(1)
        self.trouble = Trouble()
        self._changes_fail = False  # on a full disk what is stored can still be read
        try:
            self._db = self._thread.apply(partial(_open, path, busy_s, connect))
        except (sqlite3.Error, OSError) as error:
            self._thread.kill()
            raise SettingsError(
                f"{path} cannot hold the state: {error}. Move it away, or let GLOSS_DATA name another folder."
            ) from error

    def ask(self, job: Callable[[Connection], T]) -> T:
        """Have a job done; raises StoreDownError where its turn did not come in time, or the file refused."""
        try:
            # others may have to wait for the file before it
            with gevent.Timeout(2 * self._busy_s, StoreDownError("the file does not answer")):
                done = self._thread.apply(lambda: job(self._db))
        except (sqlite3.Error, StoreDownError) as error:
            self.trouble.failures += 1
            self.trouble.down = True
            raise StoreDownError(str(error)) from error
        self.trouble.down = self._changes_fail
        return done

    def change(self, job: Callable[[Connection], T]) -> T:
        """Have a job done in one transaction, wholly or not at all; raises as ``ask``."""

        def change(db: Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            try:
                done = job(db)
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
            return done

        try:
            done = self.ask(change)
        except StoreDownError:
            self._changes_fail = True
            raise
        self._changes_fail = self.trouble.down = False
        return done

    def close(self) -> None:
        """Close the file, and end the thread."""
        self._thread.apply(self._db.close)
        self._thread.kill()


def _open(path: Path, busy_s: float, connect: Connect) -> Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # what people wrote is nobody else's; SQLite gives its other files this mode
    db = connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")  # who reads does not wait for who writes
        # A commit takes 0.016 ms, with FULL 4; a power cut loses the last ones, a crash of ours none.
        db.execute("PRAGMA synchronous = NORMAL")
        _migrate(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _migrate(db: Connection) -> None:
    [version] = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError("a later release wrote it")
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        for statement in (*statements, f"PRAGMA user_version = {number}"):
            db.execute(statement)
        db.execute("COMMIT")
