"""What a measure is: a question, the columns that answer it, and how to take them once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bench.client import BrokenRunError, Stream
from bench.control import Upstream
from bench.feeder import Plan
from bench.relays import Running

Figures: TypeAlias = dict[str, float]
"""By column's key. Infinite is what never happened."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of everything: enough for steady figures, or as little as shows that all works."""

    rounds: int
    streams: int
    short_streams: int
    single_streams: int
    crowded_streams: int
    open_streams: tuple[int, ...]
    hang_ups: int
    resumes: int
    readers: int
    crowds: tuple[int, ...]
    overload_s: float
    requests: int


DEFAULT = Scale(
    rounds=3,
    streams=100,
    short_streams=300,
    single_streams=100,
    crowded_streams=96,
    open_streams=(500,),
    hang_ups=50,
    resumes=200,
    readers=1_000,
    crowds=(25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 650, 800, 1_000),
    overload_s=5.0,
    requests=1_000,
)
QUICK = Scale(
    rounds=1,
    streams=50,
    short_streams=80,
    single_streams=30,
    crowded_streams=32,
    open_streams=(100,),
    hang_ups=15,
    resumes=30,
    readers=100,
    crowds=(25, 50),
    overload_s=2.0,
    requests=100,
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One figure in the table; ``digits`` after the point, ``ratio`` if a quotient says something."""

    key: str
    heading: str
    digits: int = 0
    ratio: bool = False


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One question.

    ``once``: one round is enough, as its figures hardly vary or come from many tries anyway;
    ``fresh`` asks for a relay that has done nothing yet. ``rows`` takes a table whose rows are not the
    relays, once.
    """

    title: str
    how: str
    columns: Callable[[Scale], tuple[Column, ...]]
    take: Callable[[Running, Upstream, Scale], Figures]
    once: bool = False
    fresh: bool = False
    rows: Callable[[Sequence[Running], Upstream, Scale], dict[str, Figures]] | None = None


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def require_same_text(relay: Running, plan: Plan, streams: Sequence[Stream]) -> None:
    """Raise ``BrokenRunError`` unless every reader got what the provider said, whole."""
    text_of = relay.relay.text_of
    if text_of is None:
        return
    for stream in streams:
        got = text_of(stream.body)
        if got != plan.text:
            message = f"{relay.relay.name} changed the text: {got[:200]!r}, expected {plan.text[:200]!r}"
            raise BrokenRunError(message)
