"""What is installed is pinned, hashed, and the same for running and for checking."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ["requirements", "requirements-dev", "requirements-embedded"]
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+)", re.MULTILINE)


def text(name: str) -> str:
    return (ROOT / name).read_text()


def pins(name: str) -> set[tuple[str, str]]:
    return set(PIN.findall(text(f"{name}.txt")))


@pytest.mark.parametrize("name", NAMES)
def test_hashed(name):
    """Every line that is neither comment nor hash pins a release, and has hashes below it."""
    lines = [line for line in text(f"{name}.txt").splitlines() if not line.lstrip().startswith("#")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith(" "):
            assert PIN.match(line)
            assert following.lstrip().startswith("--hash=sha256:")


@pytest.mark.parametrize("name", NAMES)
def test_no_index(name):
    """No file names an index: the machine's own pip configuration says where packages come from."""
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text(f"{name}.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_how_to_renew(name):
    """Each file says how it is made, and holds all that its source asks for."""
    assert "make lock" in text(f"{name}.txt").splitlines()[1]
    asked = {line for line in text(f"{name}.in").splitlines() if re.match(r"[a-z]", line)}
    assert asked <= {package for package, _ in pins(name)}


def test_checks_run_on_what_runs():
    """What checks is installed beside the very releases that run."""
    assert pins("requirements") <= pins("requirements-dev")
