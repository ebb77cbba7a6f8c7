"""What was used, by day, key, use case and model: kept for whoever asks where the money went.

A day is one row of sums; a field is the key, the use case and the model as JSON, and the figure
behind it. Streams that run are not in it. One whose process died is in it as ``lost``, with all
that was reserved for it, since nobody knows what it used.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from services.cost.paying import Label, Spent
from services.cost.windows import UNPRICED, USD, dollars
from services.state.store import Store

LOST = "lost"
STREAMS = "streams"
END = "end:"
MOST_DAYS = 31  # in one call of the store

Place = tuple[str, str]
Step = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One day of one key, use case and model; all are tokens but for the last three.

    ``lost`` are reserved for streams that died with their process. ``cost_usd`` is None where nothing
    has a price; ``unpriced`` says how many requests had none. ``ends`` counts streams by how they ended.
    """

    day: date
    key: str
    use_case: str
    model: str
    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    lost: int = 0
    cost_usd: Decimal | None = None
    unpriced: int = 0
    streams: int = 0
    ends: Mapping[str, int] = field(default_factory=dict)


class History:
    """Reads the lines; ``flush`` stores what waits in this process."""

    def __init__(self, store: Store, flush: Callable[[], None]) -> None:
        self._store = store
        self._flush = flush

    def lines(self, first: date, last: date, *, key: str | None = None) -> list[Line]:
        """Return what was used from one day to another, both included, in their order.

        ``key``: of this one only. Raises StoreDownError.
        """
        self._flush()
        days = [first + timedelta(days=after) for after in range((last - first).days + 1)]
        found: list[Line] = []
        for at in range(0, len(days), MOST_DAYS):
            some = days[at : at + MOST_DAYS]
            rows = self._store.sums([_row(f"{day:%Y-%m-%d}") for day in some])
            for day, row in zip(some, rows, strict=True):
                found += _lines(day, {name: kept.spent for name, kept in row.items()})
        return [line for line in found if key in {None, line.key}]


def filed(label: Label, used: Mapping[str, Spent], ends: Mapping[str, int]) -> Iterator[tuple[Place, int]]:
    """Yield what streams add to the history, by the places of its sums; ``ends`` says how many ended how."""
    for model, spent in used.items():
        figures = {
            "input": spent.input,
            "output": spent.output,
            "cached_input": spent.cached_input,
            "reasoning": spent.reasoning,
            USD: spent.nano_usd,
            UNPRICED: spent.unpriced,
        }
        for figure, amount in figures.items():
            if amount:
                yield _place(label, model, figure), amount
    if ends:
        yield _place(label, label.model, STREAMS), sum(ends.values())
    for ended, count in ends.items():
        yield _place(label, label.model, END + ended), count


def filed_if_lost(
    label: Label, model: str, tokens: Step, nano_usd: Step | None, *, first: bool
) -> Iterator[tuple[Place, Step]]:
    """Yield what is held in the history, for a stream that may die with its process."""
    yield _place(label, model, LOST), tokens
    if nano_usd is not None:
        yield _place(label, model, USD), nano_usd
    if first:
        yield _place(label, label.model, STREAMS), (1, 0)
        yield _place(label, label.model, END + LOST), (1, 0)


def _row(day: str) -> str:
    return f"history:{day}"


def _place(label: Label, model: str, figure: str) -> Place:
    return _row(label.day), msgspec.json.encode([label.key, label.use_case, model]).decode() + figure


def _lines(day: date, sums: Mapping[str, int]) -> Iterator[Line]:
    by_name: dict[str, dict[str, int]] = defaultdict(dict)
    for name, amount in sums.items():
        cut = name.rindex("]") + 1
        if amount:  # what is only held is nothing yet
            by_name[name[:cut]][name[cut:]] = amount
    for name, figures in sorted(by_name.items()):
        key, use_case, model = msgspec.json.decode(name, type=tuple[str, str, str])
        yield _line(day, (key, use_case, model), figures)


def _line(day: date, name: Sequence[str], figures: Mapping[str, int]) -> Line:
    key, use_case, model = name
    nano, unpriced = figures.get(USD, 0), figures.get(UNPRICED, 0)
    return Line(
        day=day, key=key, use_case=use_case, model=model,
        input=figures.get("input", 0), output=figures.get("output", 0),
        cached_input=figures.get("cached_input", 0), reasoning=figures.get("reasoning", 0),
        lost=figures.get(LOST, 0), cost_usd=None if unpriced and not nano else dollars(nano),
        unpriced=unpriced, streams=figures.get(STREAMS, 0),
        ends={one.removeprefix(END): count for one, count in figures.items() if one.startswith(END)},
    )  # fmt: skip
