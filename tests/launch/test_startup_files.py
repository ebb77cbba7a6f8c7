"""Nothing that nobody knows runs when Python starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.launch.startup_files import KNOWN, main, unknown

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.S21


def test_this_environment_has_no_other() -> None:
    """Neither a file nor a line that is not known; looked at without running one."""
    command = [sys.executable, "-S", "-m", "services.launch.startup_files", sys.prefix]
    looked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (looked.returncode, looked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("thief.pth", "import os; os.system('curl …')"),
        ("paths.pth", "/somewhere/else"),
        ("a1_coverage.pth", "import os; os.system('curl …')"),
        ("a1_coverage.pth", KNOWN["a1_coverage.pth"] + "\nimport\tthief"),
        ("distutils-precedence.pth", ""),
    ],
)
def test_a_file_that_is_not_known_fails_the_build(tmp_path: Path, name: str, text: str) -> None:
    """And is named; its text is not."""
    folder = tmp_path / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    told = main(tmp_path)
    assert told is not None
    assert name in told
    assert "curl" not in told


def test_what_is_known_passes(tmp_path: Path) -> None:
    """With whatever follows in its release."""
    for name, begins in KNOWN.items():
        (tmp_path / name).write_text(f"{begins} …\n")
    assert list(unknown(tmp_path.glob("*.pth"))) == []
