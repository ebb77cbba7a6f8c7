"""Each promise (markers R1 to R26, declared in pyproject.toml) has a test that bears its id."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.faults import FAULTS
from tests.rig.faults.all import LISTED
from tests.rig.machine import PROMISES
from tests.rig.promises import promises

HERE = Path(__file__).parent
# What does not exist yet cannot be tested.
TO_COME: set[str] = set()


def marked(path: Path) -> Iterator[str]:
    """Yield the ids of ``pytest.mark.R…`` in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "mark"
        ):
            yield node.attr


def borne() -> set[str]:
    """Return the ids that tests bear, those of the rig's faults among them."""
    assert LISTED
    by_rig = {promise for fault in FAULTS for promise in fault.promises} | set(PROMISES)
    return by_rig | {name for path in HERE.rglob("test_*.py") for name in marked(path)}


def test_there_are_twenty_six() -> None:
    """All of reliability's promises are declared, each with its sentence."""
    assert [*promises()] == [f"R{number}" for number in range(1, 27)]


@pytest.mark.parametrize("promise", promises())
def test_a_promise_has_a_test(promise: str) -> None:
    """An id that no test bears is a promise that nobody keeps."""
    assert (promise in borne()) is (promise not in TO_COME)
