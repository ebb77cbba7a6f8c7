"""Where fetched files are kept: the user's cache folder, or the clone where there is none."""

import os
import tempfile
from pathlib import Path

IN_CLONE = Path(".gloss", "cache")


def folder(cache_home: Path | None, home: Path | None, clone: Path) -> Path:
    """Return a folder that can be written, made if need be: the cache home's, else the clone's.

    A service account often has no home, or one that is not its own.
    """
    wanted = [cache_home] if cache_home else [home / ".cache"] if home else []
    candidates = [*(path / "gloss" for path in wanted), clone / IN_CLONE]
    return next((path for path in candidates if _writable(path)), candidates[-1])


def home() -> Path | None:
    """Return the user's home folder, None where the system knows none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _writable(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return os.access(path, os.W_OK | os.X_OK)
    except OSError:
        return False
