"""All faults with one seed, and what came of it: rows to print, and docs/scorecard.md."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.rig.faults import FAULTS, SETTINGS, Fault, Size
from tests.rig.faults.all import LISTED
from tests.rig.house import House, housed
from tests.rig.machine import PROMISES, Chaos
from tests.rig.machine import run as run_machine
from tests.rig.promises import promises
from tests.rig.rig import BrokenPromiseError, Rig

CARD = Path(__file__).parents[2] / "docs" / "scorecard.md"
MACHINE = "machine"
STEPS = 25
RUNS = 4  # of the machine at least
MORE_S = 20.0  # that the last of them may take, and what comes after it


@dataclass(frozen=True)
class Row:
    """What came of one fault; ``broken`` is how its promise was broken."""

    id: str
    fault: str
    promises: Sequence[str]
    tries: int
    took_s: float
    broken: str | None = None

    @property
    def verdict(self) -> str:
        """Return it in a word."""
        return "kept" if self.broken is None else "BROKEN"


def rows(seed: int, minutes: float, only: str | None = None) -> Iterator[Row]:
    """Do it all, one fault after the other, the machine for as long as is left of the time."""
    assert LISTED
    until = time.monotonic() + minutes * 60
    chosen = [one for one in FAULTS if only in {None, one.id}]
    for kind, settings in reversed(SETTINGS.items()):
        here = [one for one in chosen if one.house == kind]
        machine = not kind and only in {None, MACHINE}
        if here or machine:
            with housed(**settings) as house:
                yield from (_faulted(house, one, seed) for one in here)
                if machine:
                    yield _machined(house, seed, until)


def _faulted(house: House, fault: Fault, seed: int) -> Row:
    house.mend()
    rig = Rig(house, Random(f"{seed} {fault.id}"))
    return _row(fault.id, fault.name, fault.promises, lambda: fault.run(rig, Size(full=True)))


def _machined(house: House, seed: int, until: float) -> Row:
    def runs() -> int:
        before = Chaos.judged
        number = 0
        while number < RUNS or time.monotonic() < until - MORE_S:
            run_machine(house, seed * 1_000 + number, steps=STEPS)
            number += 1
        return Chaos.judged - before

    return _row(MACHINE, "starts, cuts, cancels, repeats, deaths, stops, in any order", PROMISES, runs)


def _row(name: str, fault: str, promised: Sequence[str], run: Callable[[], int]) -> Row:
    began = time.monotonic()
    try:
        tries, broken = run(), None
    except Exception as error:  # noqa: BLE001 - a rig that fails has found something too
        told = next(_promises_in(error), None)
        tries, broken = 1, str(told) if told else traceback.format_exc()
    return Row(name, fault, promised, tries, time.monotonic() - began, broken)


def _promises_in(error: BaseException) -> Iterator[BrokenPromiseError]:
    """Yield what was found, of what hypothesis makes of it when it cannot see it again."""
    if isinstance(error, BrokenPromiseError):
        yield error
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _promises_in(inner)


def card(told: Sequence[Row], seed: int) -> str:
    """Return the scorecard as a page."""
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    lines = [
        "# Scorecard",
        "",
        f"Made by `make chaos SEED={seed}` on {when}: two processes over one Redis, real sockets,",
        "real signals. A try is a stream, or a reading of one, that was judged afterwards by the rules in",
        "`tests/rig/invariants.py`. `make chaos` makes this page anew.",
        "",
        "| fault | promises | tries | verdict |",
        "|---|---|--:|---|",
        *(f"| {one.fault} | {', '.join(one.promises)} | {one.tries} | {one.verdict} |" for one in told),
        "",
        "| | what is promised | faults that try it |",
        "|---|---|--:|",
        *(f"| {name} | {said} | {_trying(told, name)} |" for name, said in promises().items()),
        "",
    ]
    return "\n".join(lines)


def _trying(told: Sequence[Row], promise: str) -> str:
    """Return how many rows try a promise; those that none tries have tests of their own."""
    return str(sum(promise in one.promises for one in told) or "")
