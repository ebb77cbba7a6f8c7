"""How an account stands, and each of its limits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from services.cost.windows import EVER, TOKENS, UNPRICED, USD, Window, dollars
from services.state.sums import NOTHING, Kept


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One window: what was used, what is reserved, what is left; None is no limit.

    ``usd`` is None where nothing that was used has a price.
    """

    tokens: int
    usd: Decimal | None
    reserved_tokens: int
    reserved_usd: Decimal
    limit_tokens: int | None
    limit_usd: Decimal | None

    @classmethod
    def of(cls, window: Window, row: Mapping[str, Kept]) -> "Standing":
        """Read a row of sums."""
        tokens, usd = row.get(TOKENS, NOTHING), row.get(USD, NOTHING)
        unpriced = UNPRICED in row and not usd.spent
        return cls(
            tokens=tokens.spent,
            usd=None if unpriced else dollars(usd.spent),
            reserved_tokens=tokens.held,
            reserved_usd=dollars(usd.held),
            limit_tokens=window.tokens,
            limit_usd=None if window.nano_usd is None else dollars(window.nano_usd),
        )

    @property
    def left_tokens(self) -> int | None:
        """Return what can still be reserved."""
        limit = self.limit_tokens
        return None if limit is None else max(0, limit - self.tokens - self.reserved_tokens)

    @property
    def left_usd(self) -> Decimal | None:
        """Return what can still be reserved."""
        limit = self.limit_usd
        return None if limit is None else max(Decimal(0), limit - (self.usd or 0) - self.reserved_usd)


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One limit and how it stands: whole ``tokens``, or dollars where its ``kind`` is ``usd``.

    ``of`` is whose it is, as accounts are named; ``resets_at`` is None where it never begins anew.
    """

    of: str
    kind: str
    window: str
    limit: Decimal
    used: Decimal
    reserved: Decimal
    resets_at: datetime | None

    @property
    def remaining(self) -> Decimal:
        """Return what can still be reserved."""
        return max(Decimal(0), self.limit - self.used - self.reserved)

    @classmethod
    def all(cls, window: Window, row: Mapping[str, Kept]) -> "Iterator[Bound]":
        """Read a row of sums; yield one for each limit of its window."""
        ends = None if window.span == EVER else datetime.fromtimestamp(window.ends_at, UTC)
        for kind, limit, amount in (TOKENS, window.tokens, Decimal), (USD, window.nano_usd, dollars):
            if limit is None:
                continue
            kept = row.get(kind, NOTHING)
            yield cls(
                of=window.account.partition(":")[0],
                kind=kind,
                window=window.span,
                limit=amount(limit),
                used=amount(kept.spent),
                reserved=amount(kept.held),
                resets_at=ends,
            )
