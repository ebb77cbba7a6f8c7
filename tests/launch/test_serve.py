"""The leash: gunicorn's master ends when the launcher is no more."""

import signal

from services.launch.serve import leash


def ends(*, launcher: int, parent: int) -> bool:
    """Tell whether the leash asks this process to end."""
    asked = []
    before = signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    try:
        leash(launcher, lambda: parent)(signal.SIGALRM, None)
    finally:
        signal.signal(signal.SIGTERM, before)
    return bool(asked)


def test_parent_gone():
    """With another parent than the launcher, the process ends by SIGTERM."""
    assert ends(launcher=7, parent=1)


def test_parent_there():
    """While the launcher is the parent, nothing happens."""
    assert not ends(launcher=7, parent=7)
