"""Where the figures of all processes are kept."""

import stat
from pathlib import Path

from services.telemetry import folder


def test_a_folder_is_new_and_ones_own(tmp_path: Path) -> None:
    """Whatever an earlier deployment has left, nobody else reads or writes in it."""
    first, second = folder.make(memory=tmp_path), folder.make(memory=tmp_path)
    assert first != second
    assert first.parent == tmp_path
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert list(first.iterdir()) == []


def test_without_memory_for_it_the_folder_is_a_temporary_one(tmp_path: Path) -> None:
    """As on systems that have no /dev/shm."""
    made = folder.make(memory=tmp_path / "missing")
    try:
        assert made.is_dir()
        assert made.parent != tmp_path
    finally:
        folder.remove(made)
    assert not made.exists()


def test_of_a_process_that_is_gone_only_its_gauges_go(tmp_path: Path) -> None:
    """What it counted has happened; what it had open is closed."""
    kept = {"counter_7.db", "histogram_7.db", "gauge_livesum_77.db", "gauge_livemax_8.db"}
    for name in (*kept, "gauge_livesum_7.db", "gauge_livemax_7.db"):
        (tmp_path / name).touch()
    folder.forget(tmp_path, 7)
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_a_process_is_told_that_another_was_ready_before(tmp_path: Path) -> None:
    """By the same master: its folder is new."""
    first, second = folder.make(memory=tmp_path), folder.make(memory=tmp_path)
    folder.note_served(first)
    folder.note_served(first)
    assert [folder.has_served(one) for one in (first, second, None)] == [True, False, False]


def test_a_folder_that_is_gone_is_nobodys_trouble(tmp_path: Path) -> None:
    """Whoever cleans up the machine may have been there first."""
    folder.remove(tmp_path / "gone")
    folder.forget(tmp_path / "gone", 7)
