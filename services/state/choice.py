"""Which store this process has: Redis where it is named, else a file, else memory.

What is missing is said, and what it costs: the operator reads it in the start log.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import gevent

from services.settings import Settings, SettingsError
from services.state.database import Database
from services.state.memory import MemoryStore
from services.state.redis import RedisStore
from services.state.sqlite import SqliteStore
from services.state.store import Shared, Store
from services.state.trouble import Trouble

FILE = "gloss.db"
TRIES = 3
TOOL_S = 5.0  # for who waits at a terminal, perhaps far from the server
PAUSE_S = 1.1  # after a failure the store asks nobody for a second
MEMORY = "State is in memory: a restart ends all streams and forgets sessions and keys that were used"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The store, the same once more where other processes see it, and what to tell the operator.

    ``trouble`` is what the store has had, None for one that can have none.
    """

    store: Store
    shared: Shared | None
    told: str = "State is where it was put."
    trouble: Trouble | None = None


def choose(settings: Settings, *, pause_s: float = PAUSE_S, again: bool = False) -> Chosen:
    """Open the store that the settings name; raises SettingsError that says what to do.

    ``again`` is for a process that takes the place of one that had it: a server that does not answer now
    is waited for as if it had just gone away.
    """
    if settings.redis_url is not None:
        redis = RedisStore(settings.redis_url.get_secret_value(), call_s=settings.store_call_s)
        if not again and not _answers(redis, pause_s):
            raise SettingsError(
                "REDIS_URL names a server that does not answer. Start it, or unset REDIS_URL."
            )
        told = "State is in Redis: any process goes on with any stream."
        return Chosen(store=redis, shared=redis, told=told, trouble=redis.trouble)
    try:
        locked = _locked(settings.data)
    except OSError as error:
        return _memory(f"{settings.data} cannot be written ({error.strerror})")
    if not locked:
        return _memory(f"another process has {settings.data}")
    database = Database(settings.data / FILE)
    told = f"State is in {settings.data / FILE}: a restart ends running streams, and keeps the rest."
    return Chosen(store=SqliteStore(database), shared=None, told=told, trouble=database.trouble)


def beside(settings: Settings) -> Store:
    """Open the service's store for a moment, from a process that serves nobody.

    It may be used meanwhile: the file takes several writers. Raises SettingsError where there is none.
    """
    if settings.redis_url is not None:
        return RedisStore(settings.redis_url.get_secret_value(), call_s=TOOL_S)
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        return SqliteStore(Database(settings.data / FILE), beside=True)
    except OSError as error:
        raise SettingsError(
            f"{settings.data} cannot be written ({error.strerror}). GLOSS_DATA names another folder."
        ) from None


def _answers(redis: RedisStore, pause_s: float) -> bool:
    """Ask a few times: a connection by TLS may be slow the first time, on a machine that boots."""
    for _ in range(TRIES - 1):
        if redis.reachable():
            return True
        gevent.sleep(pause_s)
    return redis.reachable()


def _memory(why: str) -> Chosen:
    told = f"{MEMORY}. {why}; GLOSS_DATA names another folder."
    return Chosen(store=MemoryStore(), shared=None, told=told)


def _locked(folder: Path) -> bool:
    """Take the folder for this process, until it ends; tell whether nobody else has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # open until the end
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True
