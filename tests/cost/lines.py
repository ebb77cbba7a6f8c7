"""Lines as the ledger keeps them, made up: a month of three keys, with weekends, and a bad day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from services.cost.history import Line

KEYS = {"3f9c21ab77d0": 1.0, "b80e5512aa34": 0.45, "0d77c4f1e6b9": 0.12}
USES = (("translate", "gpt-4.1-mini", 1.0), ("tutor", "gpt-4.1", 0.4), ("translate", "local-llama", 0.2))
WEEKEND = 5


def used(day: date, *, key: str = "k", use_case: str = "translate", model: str = "m", **figures: Any) -> Line:
    return Line(day=day, key=key, use_case=use_case, model=model, **figures)


@dataclass(frozen=True)
class Kept:
    """Gives lines back by their days, and remembers what it was asked for."""

    kept: Sequence[Line]
    asked: list[tuple[date, date]] = field(default_factory=list)

    def lines(self, first: date, last: date, *, key: str | None = None) -> list[Line]:
        self.asked.append((first, last))
        return [line for line in self.kept if first <= line.day <= last and key in {None, line.key}]


def month(last: date, days: int = 30) -> Kept:
    """So many days that end with this one."""
    return Kept(
        [line for after in range(days) for line in _day(last - timedelta(days=days - 1 - after), after)]
    )


def _day(day: date, number: int) -> Iterator[Line]:
    busy = (0.25 if day.weekday() >= WEEKEND else 1.0) * (1 + number / 40) * (1 + (number * 7 % 5) / 12)
    for at, (key, part) in enumerate(KEYS.items()):
        for use_case, model, share in USES[: 3 - at % 2]:
            streams = int(160 * busy * part * share)
            whole = int(streams * (0.97 if number != 20 else 0.71))
            ends = {
                "stop": whole,
                "cancelled": (streams - whole) // 2,
                "provider-timeout": streams - whole - (streams - whole) // 2,
            }
            priced = model != "local-llama"
            tokens = streams * 420, streams * 310
            cost = Decimal(tokens[0] * 4 + tokens[1] * 16) / 10_000_000 if priced else None
            yield Line(
                day=day, key=key, use_case=use_case, model=model, input=tokens[0], output=tokens[1],
                cached_input=tokens[0] // 3, reasoning=0, cost_usd=cost, unpriced=0 if priced else streams,
                streams=streams, ends={name: count for name, count in ends.items() if count},
            )  # fmt: skip
