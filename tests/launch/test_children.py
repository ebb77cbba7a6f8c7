"""Child processes: asked to end, made to end, and named when they end by themselves."""

import io
import os
import signal
from pathlib import Path

import pytest

from services.launch.children import Child, by_end_of_input, by_sigterm, watch


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        yield file


def start(
    log: io.BufferedWriter, tmp_path: Path, code: str, ask=by_end_of_input, patience_s: float = 20
) -> Child:
    """Start a module of one line; returns once it has printed something."""
    (tmp_path / "one_line.py").write_text(code)
    env = {"PYTHONPATH": str(tmp_path)}
    child = Child("The child", ["one_line"], ask=ask, patience_s=patience_s, env=env, log=log)
    assert child.process.stdout
    child.process.stdout.readline()
    return child


WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)


@pytest.mark.parametrize(("ask", "how"), [(by_end_of_input, "with status 0"), (by_sigterm, "by SIGTERM")])
def test_asked(log, tmp_path, ask, how):
    """A child ends when it is asked to, in the way that it understands."""
    child = start(log, tmp_path, WAITS, ask)
    child.end()
    assert child.ended() == f"The child ended {how}"


def test_stubborn(log, tmp_path):
    """A child that does not end when it is asked is killed."""
    child = start(log, tmp_path, STUBBORN, by_sigterm, patience_s=0.1)
    child.end()
    assert child.ended() == "The child ended by SIGKILL"


def test_own_session(log, tmp_path):
    """A Ctrl-C in the terminal does not reach a child: it leads a session of its own."""
    child = start(log, tmp_path, WAITS)
    assert os.getsid(child.process.pid) == child.process.pid
    child.end()


def test_watch(log, tmp_path):
    """Watching ends with the first child that ended, and says how."""
    steady, dying = start(log, tmp_path, WAITS), start(log, tmp_path, WAITS)
    dying.process.send_signal(signal.SIGABRT)
    assert watch([steady, dying]) == "The child ended by SIGABRT"
    for child in (steady, dying):
        child.end()
