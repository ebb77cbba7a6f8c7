"""What is added to the sums without having been held: many streams in one go."""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.cost.history import filed
from services.cost.paying import Payer, Spent
from services.cost.windows import TOKENS, UNPRICED, USD
from services.state.sums import Used


@dataclass(eq=False)
class Batch:
    """What is to be added under one name, for so many streams; ``known`` if the store knows the name."""

    used: Sequence[Used]
    streams: int
    name: str = field(default_factory=lambda: f"batch:{secrets.token_hex(8)}")
    known: bool = False


@dataclass(eq=False)
class _Sum:
    """What many streams of one payer have used, by model, and how they ended."""

    used: dict[str, Spent] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, used: Mapping[str, Spent], ended: str) -> None:
        """Add one stream."""
        for model, spent in used.items():
            self.used[model] = self.used[model] + spent if model in self.used else spent
        if ended:
            self.ends[ended] += 1


class Later:
    """Collects streams until they are taken as a batch; ``kept_s`` is how long the history is kept."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._sums: dict[Payer, _Sum] = {}

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, payer: Payer, used: Mapping[str, Spent], ended: str) -> None:
        """Add one stream, at the cost of a few microseconds."""
        sums = self._sums.get(payer)
        if sums is None:
            sums = self._sums[payer] = _Sum()
        sums.add(used, ended)

    def take(self) -> Batch:
        """Return all that was collected; from here on it is the batch's."""
        taken, self._sums = self._sums, {}
        used = (
            one
            for payer, sums in taken.items()
            for one in all_used(payer, sums.used, sums.ends, kept_s=self._kept_s)
        )
        return Batch(_merged(used), sum(sums.ends.total() for sums in taken.values()))


def all_used(
    payer: Payer, used: Mapping[str, Spent], ends: Mapping[str, int], *, kept_s: float
) -> list[Used]:
    """Return what streams add to the accounts and to the history."""
    spent = used.values()
    sums = {
        TOKENS: sum(one.tokens for one in spent),
        USD: sum(one.nano_usd for one in spent),
        UNPRICED: sum(one.unpriced for one in spent),
    }
    accounts = [
        Used(window.row, name, window.ttl_s, amount)
        for window in payer.windows
        for name, amount in sums.items()
        if amount
    ]
    return accounts + [Used(*place, kept_s, amount) for place, amount in filed(payer.label, used, ends)]


def _merged(used: Iterable[Used]) -> list[Used]:
    """Return one entry for each sum: those of a key and of all stand in many streams."""
    merged: dict[tuple[str, str], Used] = {}
    for one in used:
        place = (one.row, one.field)
        before = merged.get(place)
        merged[place] = one if before is None else one._replace(amount=one.amount + before.amount)
    return list(merged.values())
