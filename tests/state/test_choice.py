"""Which store a process gets, and what its operator is told."""

import os
from pathlib import Path
from typing import Any

import pytest

from services.settings import SettingsError
from services.state.choice import beside, choose
from services.state.memory import MemoryStore
from services.state.redis import RedisStore
from services.state.sqlite import SqliteStore
from services.state.sums import Hold, Kept, Sum
from tests.live.service import free_port
from tests.redis_server import RedisServer
from tests.streams.stage import stage_settings


def settings(folder: Path, **given: Any) -> Any:
    return stage_settings(data=folder / "data", redis_url=None, **given)


def test_without_redis_it_is_a_file(tmp_path: Path) -> None:
    """In the folder that is named, made if it is not there; nobody else shares it."""
    chosen = choose(settings(tmp_path))
    assert isinstance(chosen.store, SqliteStore)
    assert (chosen.shared, (tmp_path / "data" / "gloss.db").exists()) == (None, True)
    assert "gloss.db" in chosen.told


def test_a_folder_has_one_process(tmp_path: Path) -> None:
    """A second one keeps its state in memory, and says who has the folder."""
    first, second = choose(settings(tmp_path)), choose(settings(tmp_path))
    assert isinstance(first.store, SqliteStore)
    assert isinstance(second.store, MemoryStore)
    assert "another process" in second.told


def test_a_tool_beside_a_service_ends_nothing_of_it(tmp_path: Path) -> None:
    """What the service holds of a budget it still holds when somebody made a key."""
    store = choose(settings(tmp_path)).store
    held = Hold("running", [Sum("row", "tokens", 60.0, fixed=7)], 60.0)
    assert store.reserve([held]) == [0]
    beside(settings(tmp_path)).close()
    assert store.sums(["row"]) == [{"tokens": Kept(0, 7)}]


def test_without_a_disk_it_is_memory(tmp_path: Path) -> None:
    """A folder that cannot be made is no reason not to start; what is lost is told."""
    (tmp_path / "file").write_text("")
    chosen = choose(stage_settings(data=tmp_path / "file" / "data", redis_url=None))
    assert isinstance(chosen.store, MemoryStore)
    assert "a restart ends all streams" in chosen.told


@pytest.mark.live
def test_redis_is_shared(redis: RedisServer) -> None:
    """Other processes see it, so it is given once more as what is shared."""
    chosen = choose(stage_settings(redis_url=redis.url))
    assert isinstance(chosen.store, RedisStore)
    assert chosen.shared is chosen.store


def test_a_redis_that_does_not_answer_is_a_reason_not_to_start() -> None:
    """The operator named it; the address, which may hold a password, is not repeated."""
    url = f"redis://:planted@127.0.0.1:{free_port()}"
    with pytest.raises(SettingsError) as refused:
        choose(stage_settings(redis_url=url), pause_s=0)
    assert "REDIS_URL" in str(refused.value)
    assert "planted" not in str(refused.value)


def test_who_takes_anothers_place_waits_for_redis() -> None:
    """It is asked when there is something to ask, as if it had just gone away."""
    chosen = choose(stage_settings(redis_url=f"redis://127.0.0.1:{free_port()}"), again=True)
    assert isinstance(chosen.store, RedisStore)
    assert (chosen.shared, chosen.store.reachable()) == (chosen.store, False)


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A process that has ended, however, leaves the folder to the next one."""
    child = os.fork()
    if not child:
        choose(settings(tmp_path))
        os._exit(0)
    os.waitpid(child, 0)
    assert isinstance(choose(settings(tmp_path)).store, SqliteStore)
