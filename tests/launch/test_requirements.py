"""What is installed is pinned, hashed, and the same for running and for checking."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ["requirements", "requirements-dev", "requirements-embedded", "requirements-otel"]
PIN = re.compile(r"^([a-z0-9][\w.-]*)(?:\[[\w,-]+\])?==(\S+)", re.MULTILINE)  # an extra is no other package


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
    asked = {line.partition("[")[0] for line in text(f"{name}.in").splitlines() if re.match(r"[a-z]", line)}
    assert asked <= {package for package, _ in pins(name)}


def test_checks_run_on_what_runs():
    """What checks is installed beside the very releases that run."""
    assert pins("requirements") <= pins("requirements-dev")


def imported(*roots: str) -> Iterator[str]:
    """Give the top-level names that the Python files below import."""
    for path in (file for root in roots for file in [*ROOT.glob(root)]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.split(".")[0]


@pytest.mark.parametrize(
    ("roots", "files"),
    [
        (
            ("app.py", "gunicorn.conf.py", "services/**/*.py"),
            ("requirements", "requirements-embedded", "requirements-otel"),
        ),
        (("tests/**/*.py", "bench/**/*.py"), ("requirements-dev",)),
    ],
    ids=["runs", "checks"],
)
def test_imports_are_installed(roots, files):
    """Every package that is imported is pinned for where it is imported."""
    ours = {path.stem for path in ROOT.iterdir()} | {path.stem for path in (ROOT / "bench").iterdir()}
    foreign = set(imported(*roots)) - sys.stdlib_module_names - ours
    owners = packages_distributions()
    needed = {owner.lower().replace("_", "-") for name in foreign for owner in owners.get(name, [name])}
    assert needed <= {package for name in files for package, _ in pins(name)}
