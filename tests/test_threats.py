"""Each threat (markers S1 to S21, declared in pyproject.toml) has a test that bears its id."""

import tomllib

import pytest

from app import HERE
from tests.test_promises import HERE as TESTS
from tests.test_promises import marked


def threats() -> list[str]:
    """The ids in the order in which they are declared."""
    declared = tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"][
        "markers"
    ]
    return [line.partition(":")[0] for line in declared if line.startswith("S")]


def test_there_are_twenty_one() -> None:
    """All threats of the plan are declared, each with its sentence."""
    assert threats() == [f"S{number}" for number in range(1, 22)]


@pytest.mark.parametrize("threat", threats())
def test_a_threat_has_a_test(threat: str) -> None:
    """An id that no test bears is a control that nobody has tried."""
    borne = {name for path in TESTS.rglob("test_*.py") for name in marked(path)}
    assert threat in borne
