"""The installer: shows pip's steps, and explains pip's errors."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.launch.install import explained, install, show
from tests.launch.terminal import Terminal

ROOT = Path(__file__).parents[2]
PIP = ["Collecting flask==3\n", "  Downloading flask\n", "Requirement already satisfied: six in x\n"]


def test_counts_steps():
    """In a terminal each package redraws one line with its number of the total."""
    terminal = Terminal(tty=True)
    assert show(PIP, total=2, terminal=terminal) == PIP
    assert [line for line in terminal.shown.split("\r\x1b[K") if line] == ["  1/2 flask==3", "  2/2 six"]


def test_quiet_in_a_file():
    """Outside of a terminal pip's steps are not shown."""
    terminal = Terminal()
    show(PIP, total=2, terminal=terminal)
    assert terminal.shown == ""


@pytest.mark.parametrize(
    ("said", "part"),
    [
        (["ERROR: No matching distribution found for x==1\n"], "has no wheel for this machine"),
        (["Collecting x\n", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n"], "DO NOT MATCH THE HASHES"),
        (["Killed\n"], "Killed"),
    ],
)
def test_explained(said, part):
    """Errors of pip are passed on, without its other lines, and a missing wheel is explained."""
    assert part in explained(said)
    assert "Collecting" not in explained(said)


def test_standard_library_alone():
    """The installer runs where nothing is installed."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path[:0] = [{str(ROOT)!r}]; import services.launch.install",
        ],
        check=False,
    )
    assert done.returncode == 0


def test_wrong_hash(tmp_path):
    """A package whose hash is not the pinned one is not installed, and pip's reason is returned."""
    wheel, requirements = tmp_path / "nothing-1-py3-none-any.whl", tmp_path / "requirements.txt"
    wheel.write_bytes(b"not what was pinned")
    requirements.write_text(f"nothing @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    assert "DO NOT MATCH THE HASHES" in (install(Path(sys.executable), requirements) or "")
