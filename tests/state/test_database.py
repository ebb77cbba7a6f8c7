"""One file, asked from greenlets."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gevent
import pytest

from services.settings import SettingsError
from services.state.database import Database
from services.state.schema import MIGRATIONS
from services.state.sqlite import SqliteStore
from services.state.store import StoreDownError
from tests.state.failures import failure_of
from tests.state.test_conformance import LONG


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gloss.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    entered = SqliteStore(Database(path, busy_s=0.1))
    yield entered
    entered.close()


@pytest.fixture
def lock(path: Path, store: SqliteStore) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of a transaction."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.mark.R18
@pytest.mark.R26
def test_locked_for_a_moment(path):
    """A lock that goes away in time is waited for, while everything else goes on."""
    store = SqliteStore(Database(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = gevent.spawn(store.put, "a", b"1", LONG)
        gevent.sleep(0)
        other.execute("COMMIT")  # never came to it if the writer held up the hub
        writer.get()

    assert store.get("a") == b"1"
    store.close()


@pytest.mark.R18
def test_locked(store, lock):
    """A file that stays locked cannot be written, and can be read; afterwards all is well."""
    with pytest.raises(StoreDownError, match="locked"):
        store.put("a", b"1", LONG)
    assert store.get("a") is None
    assert store.reachable() is True

    lock.execute("COMMIT")
    store.put("a", b"2", LONG)
    assert store.get("a") == b"2"


def test_queue_before_a_locked_file(store, lock):
    """Who waits behind others that wait for the file is told in time, too."""
    waiting = [gevent.spawn(failure_of, store.put, "a", b"1", LONG) for _ in range(2000)]
    gevent.joinall(waiting)  # one after the other would take minutes

    assert {type(one.value) for one in waiting} == {StoreDownError}


def test_killed_in_the_middle(store, lock):
    """A greenlet that is killed in a call disturbs neither the file nor the next call."""
    killed = gevent.spawn(store.append, "a", 1, 1, [b"1"], LONG)
    gevent.sleep(0)
    killed.kill()
    lock.execute("COMMIT")

    assert store.append("a", 1, 1, [b"1", b"2"], LONG) == 2
    assert store.read("a", 0) == [b"1", b"2"]


def small(*args: object, **options: object) -> sqlite3.Connection:
    """Connect to a file on a disk that is soon full."""
    db = sqlite3.connect(*args, **options)
    db.execute("PRAGMA max_page_count = 40")
    return db


@pytest.mark.R18
def test_disk_full(path):
    """On a full disk writing fails as a whole, and what is stored can be read."""
    store = SqliteStore(Database(path, connect=small))
    store.put("a", b"1", LONG)
    store.append("a", 1, 1, [b"1"], LONG)
    with pytest.raises(StoreDownError, match="full"):
        store.append("a", 1, 2, [b"x" * 1000] * 1000, LONG)

    assert (store.get("a"), store.read("a", 0)) == (b"1", [b"1"])
    assert store.append("a", 1, 2, [b"2"], LONG) == 2
    store.close()


@pytest.mark.R18
def test_trouble_is_kept_until_it_can_be_written_again(path):
    """The operator learns of a full disk, though what is stored can be read."""
    database = Database(path, connect=small)
    store = SqliteStore(database)
    store.put("a", b"1", LONG)
    assert (database.trouble.failures, database.trouble.down) == (0, False)
    with pytest.raises(StoreDownError):
        store.append("a", 1, 1, [b"x" * 1000] * 1000, LONG)
    assert store.get("a") == b"1"
    assert (database.trouble.failures, database.trouble.down) == (1, True)

    store.put("a", b"2", LONG)
    assert (database.trouble.failures, database.trouble.down) == (1, False)
    store.close()


@pytest.mark.parametrize(
    "content", [b"\x07" * 10_000, b"random bytes", b"SQLite format 3\x00" + b"\xff" * 4080]
)
def test_no_database(path, content):
    """A file that is no database is refused in one line that says what to do, and left as it is."""
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"gloss\.db cannot hold the state: .+ GLOSS_DATA") as refused:
        Database(path)

    assert "\n" not in str(refused.value)
    assert path.read_bytes() == content


def test_folder_that_cannot_be_made(tmp_path):
    """A folder that cannot be made is refused in the same way."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="GLOSS_DATA"):
        Database(tmp_path / "file" / "gloss.db")


def test_later_release(path):
    """A file that a later release wrote is refused: its tables are not known."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(SettingsError, match="later release"):
        Database(path)


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_migration(path, version):
    """A file of each earlier release is brought up to date, and works."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
    store = SqliteStore(Database(path))
    store.put("a", b"1", LONG)

    assert store.get("a") == b"1"
    store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_migration_once(path):
    """A file that is up to date is opened again as it is."""
    Database(path).close()
    Database(path).close()


def test_privacy(path, store):
    """Nobody else on the machine can read the file, or those beside it."""
    store.put("a", b"1", LONG)
    files = list(path.parent.iterdir())

    assert len(files) > 1
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_reachable_after_close(path):
    """A file that is closed does not answer."""
    store = SqliteStore(Database(path))
    store.close()

    assert store.reachable() is False
