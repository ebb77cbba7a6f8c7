"""Where the processes of a deployment keep their figures together, each in files of its own.

gunicorn's master makes the folder before any worker is there and removes it at its end, so no
figure of an earlier deployment is ever read; a mark in it tells a worker that another one was ready
before. It stands in memory (``/dev/shm``) where it can: a
file that is mapped is written back by the kernel, and on a disk that is full a write to it kills.
Nothing here loads prometheus_client, which looks for the folder when it is first imported.
"""

import os
import shutil
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder in it that is nobody else's
ENOUGH = 16 * 1024 * 1024  # bytes; four workers take less than one
SERVED = "served"


def make(*, memory: Path = IN_MEMORY) -> Path:
    """Make the folder, readable by nobody else."""
    return Path(tempfile.mkdtemp(prefix="gloss-metrics-", dir=memory if _has_room(memory) else None))


def note_served(folder: Path) -> None:
    """Remember for as long as the master lives that a process of it was ready to serve."""
    (folder / SERVED).touch()


def has_served(folder: Path | None) -> bool:
    """Tell whether a process was ready before this one; without a folder, none was."""
    return folder is not None and (folder / SERVED).exists()


def forget(folder: Path, pid: int) -> None:
    """Let a process that has ended stand for nothing any more; what it counted stays counted."""
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove the folder and all that was counted."""
    shutil.rmtree(folder, ignore_errors=True)


def _has_room(memory: Path) -> bool:
    return os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free >= ENOUGH
