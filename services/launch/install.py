"""Make an environment and install pinned requirements into it.

    python -m services.launch.install .venv requirements.txt

Only the standard library is imported: nothing is installed yet when this runs. Indexes, mirrors
and constraints are those of the machine's own pip configuration; what is installed is fixed by
the hashes, and only wheels are, so no package's code runs here.
"""

import re
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

PINNED = re.compile(r"^[A-Za-z0-9][\w.,\[\]-]*==", re.MULTILINE)
STEP = re.compile(r"^(?:Collecting|Requirement already satisfied:|Installing collected) *(\S*)")


def main(folder: Path, requirements: Path) -> str | None:
    """Install, or return why that was not possible."""
    if not (folder / "bin" / "python").exists():
        sys.stderr.write(f"Making {folder} with Python {sys.version.split()[0]}\n")
        venv.create(folder, with_pip=True, symlinks=True, clear=folder.exists())
    return install(folder / "bin" / "python", requirements)


def install(python: Path, requirements: Path) -> str | None:
    """Run pip for the environment of ``python``; returns what pip said when it failed."""
    total = len(PINNED.findall(requirements.read_text(encoding="utf-8")))
    sys.stderr.write(f"Installing {requirements.name} ({total} pinned packages, wheels only)\n")
    pip = subprocess.Popen(  # noqa: S603 - our own command line
        [
            python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar",
            "off",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--requirement",
            requirements,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip - an option stands beside its value
    with pip:
        said = show(pip.stdout or (), total=total, terminal=sys.stderr)
    return explained(said) if pip.returncode else None


def show(lines: Iterable[str], *, total: int, terminal: TextIO) -> list[str]:
    """Count pip's steps on one line of the terminal; returns all that pip said."""
    said, steps = [], 0
    for line in lines:
        said.append(line)
        if step := STEP.match(line):
            steps += 1
            _redraw(terminal, f"  {min(steps, total)}/{total} {step[1]}")
    _redraw(terminal, "")
    return said


def _redraw(terminal: TextIO, text: str) -> None:
    if terminal.isatty():
        terminal.write(f"\r\x1b[K{text[:78]}")
        terminal.flush()


def explained(said: list[str]) -> str:
    """Return pip's errors, and what they usually mean."""
    errors = "".join(_errors(said)) or "".join(said[-5:])
    if "No matching distribution" in errors or "No wheel" in errors:
        errors += (
            "A pinned package has no wheel for this machine. There are wheels for Linux with glibc "
            "(x86_64, aarch64), macOS, and Python 3.11 to 3.14; not for musl (Alpine).\n"
        )
    return errors


def _errors(said: list[str]) -> Iterator[str]:
    return (line for line in said if line.lstrip().startswith("ERROR"))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
