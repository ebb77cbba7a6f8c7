"""What was used, summed up as it is asked for: by day, key, use case, model, or several of these."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from services.cost.history import Line

By: TypeAlias = Literal["day", "key", "use_case", "model"]
DIMENSIONS: tuple[By, ...] = ("day", "key", "use_case", "model")


class Lines(Protocol):
    """Whoever has the lines."""

    def lines(self, first: date, last: date, *, key: str | None = None) -> Sequence[Line]:
        """Return those of these days, both included; raises StoreDownError."""
        ...


@dataclass
class Sums:
    """Lines added up; ``cost_usd`` is None where none of them has a price."""

    streams: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    lost_tokens: int = 0
    cost_usd: Decimal | None = None
    unpriced: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        """Add one line."""
        self.streams += line.streams
        self.input_tokens += line.input
        self.output_tokens += line.output
        self.cached_input_tokens += line.cached_input
        self.reasoning_tokens += line.reasoning
        self.lost_tokens += line.lost
        if line.cost_usd is not None:
            self.cost_usd = (self.cost_usd or Decimal(0)) + line.cost_usd
        self.unpriced += line.unpriced
        self.ends.update(line.ends)

    def told(self) -> dict[str, Any]:
        """Return it as JSON has it: dollars as a decimal in a string, null where no price is known."""
        cost = None if self.cost_usd is None else f"{self.cost_usd:f}"
        return {**vars(self), "cost_usd": cost, "ends": dict(sorted(self.ends.items()))}


def report(lines: Iterable[Line], by: Sequence[By]) -> dict[str, Any]:
    """Return the rows, in the order of their names, and the sum of all."""
    rows: dict[tuple[str, ...], Sums] = {}
    total = Sums()
    for line in lines:
        rows.setdefault(tuple(str(getattr(line, name)) for name in by), Sums()).add(line)
        total.add(line)
    named = ({**dict(zip(by, names, strict=True)), **rows[names].told()} for names in sorted(rows))
    return {"rows": list(named), "total": total.told()}
