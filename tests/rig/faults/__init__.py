"""What is done to a house, and what must hold all the same: the rows of the scorecard.

A fault is a function that takes a rig and its size, does its worst, and lets the rig judge; it
raises BrokenPromiseError, or returns how many streams it tried. It leaves the house as it found it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.rig.rig import Rig


@dataclass(frozen=True)
class Size:
    """How much of it; ``full`` in the scorecard's run."""

    full: bool

    def streams(self, small: int, full: int) -> int:
        """Return how many streams."""
        return full if self.full else small

    def seconds(self, small: float, full: float) -> float:
        """Return how long a fault lasts."""
        return full if self.full else small


@dataclass(frozen=True)
class Fault:
    """One row: what is done, what is promised, and in which house: as most, ``long``, or ``proxied``.

    In a ``long`` one the grace is the service's own; in a ``proxied`` one Redis is behind the proxy.
    """

    name: str
    promises: tuple[str, ...]
    run: Callable[[Rig, Size], int]
    house: str = ""

    @property
    def id(self) -> str:
        """Return a word for it."""
        return self.run.__name__


# So that what a process does when it stops, and to who takes nothing, takes seconds here.
GRACE_S = 4
WRITE_TIMEOUT_S = 3
SHORT = {"GLOSS_GRACE_S": str(GRACE_S), "GLOSS_WRITE_TIMEOUT_S": str(WRITE_TIMEOUT_S)}

LONG, PROXIED = "long", "proxied"
SETTINGS: dict[str, dict[str, Any]] = {"": SHORT, LONG: {}, PROXIED: {**SHORT, "proxied": True}}

FAULTS: list[Fault] = []
Run = Callable[[Rig, Size], int]


def fault(name: str, *promises: str, house: str = "") -> Callable[[Run], Run]:
    """Put a function on the scorecard."""

    def listed(run: Run) -> Run:
        FAULTS.append(Fault(name, promises, run, house))
        return run

    return listed
