"""Sums with reservations: what a store adds up, bounds, and sets aside until it is known.

A *sum* is an integer, a field of a row; a row lives as long as one of its sums was told to. What
was added is *spent*, what is set aside is *held*. A *hold* is all that was set aside under one
name. It is settled: what it held is given back and what was used is added instead. Or it lapses,
since whoever had it is no more: then all that it held counts as spent, because it may have been.
So a sum never forgets what somebody was allowed to use, and nothing is held for ever.

A bound holds for spent and held together. What is asked for is ``fixed + n * step`` of each sum,
for the largest n between ``least`` and ``most`` with which all sums stay within their bounds:
all of them are added to, or none is.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

# So long a store knows that a hold is over: whoever was not told asks again within it.
OVER_S = 600.0
LARGEST = 2**53 - 1  # what Redis's scripts count to without rounding


class Sum(NamedTuple):
    """What a hold asks of one sum; ``most`` is its bound (None: it has none)."""

    row: str
    field: str
    ttl_s: float
    fixed: int = 0
    step: int = 0
    most: int | None = None


class Hold(NamedTuple):
    """What is asked for under one name; asking again adds to what it holds, and it lapses later."""

    name: str
    sums: Sequence[Sum]
    lasts_s: float
    least: int = 0
    most: int = 0


class Refusal(NamedTuple):
    """Nothing was set aside: the sum at this place, as it stands, leaves no room for the least."""

    place: int
    spent: int
    held: int


class Used(NamedTuple):
    """What is added to one sum."""

    row: str
    field: str
    ttl_s: float
    amount: int


class Settlement(NamedTuple):
    """The end of a hold; ``used=None``: all that it holds was."""

    hold: str
    used: Sequence[Used] | None


class Kept(NamedTuple):
    """How a sum stands."""

    spent: int
    held: int


NOTHING = Kept(0, 0)
TOO_LATE = Refusal(0, 0, 0)


def amount(one: Sum, n: int) -> int:
    """Return what a hold takes of a sum."""
    return max(0, one.fixed + n * one.step)


def granted(hold: Hold, found: Iterable[Kept]) -> int | Refusal:
    """Return the largest n that all bounds allow, given how the sums stand."""
    n = hold.most
    for place, (one, (spent, held)) in enumerate(zip(hold.sums, found, strict=True)):
        if one.most is None:
            continue
        room = max(0, one.most - spent - held)
        if one.step:
            n = min(n, (room - one.fixed) // one.step)
        if n < hold.least or (not one.step and one.fixed > room):
            return Refusal(place, spent, held)
    return n
