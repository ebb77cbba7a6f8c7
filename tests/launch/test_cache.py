"""Where fetched files are kept."""

import pytest

from services.launch import cache


@pytest.fixture
def blocked(tmp_path):
    """A path at which no folder can be made, not even by root."""
    path = tmp_path / "file"
    path.touch()
    return path


def test_cache_home_first(tmp_path):
    """XDG_CACHE_HOME beats the home folder, and the folder is made."""
    folder = cache.folder(tmp_path / "xdg", tmp_path / "home", tmp_path)
    assert (folder, folder.is_dir()) == (tmp_path / "xdg" / "gloss", True)


def test_home(tmp_path):
    """Without XDG_CACHE_HOME the home folder's .cache is used."""
    assert cache.folder(None, tmp_path, tmp_path / "clone") == tmp_path / ".cache" / "gloss"


@pytest.mark.parametrize("as_cache_home", [True, False])
def test_not_writable(tmp_path, blocked, as_cache_home):
    """Where neither can be written, the clone keeps the files."""
    cache_home, home = (blocked, None) if as_cache_home else (None, blocked)
    assert cache.folder(cache_home, home, tmp_path) == tmp_path / cache.IN_CLONE


def test_no_home(tmp_path):
    """A user without a home uses the clone."""
    assert cache.folder(None, None, tmp_path) == tmp_path / cache.IN_CLONE
