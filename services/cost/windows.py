"""Which sums an account has at a time: of the minute, the day, the month (all UTC), and for ever.

Money is counted in billionths of a dollar, as integers: a token of the cheapest model costs ten.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

import msgspec

from services.cost.accounts import Account, Quota
from services.state.sums import LARGEST, Sum

NANO = 10**9
TOKENS, USD, UNPRICED = "tokens", "usd", "unpriced"
# A sum outlives its time by so much: streams that began in it are still to be settled.
AFTER_S = 86_400.0
EVER = "ever"
EVER_S = 400 * 86_400.0  # after its last use
WHOSE = {"deployment": "this service", "key": "this key", "subject": "this user", "token": "this token"}


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One account in one span of time: where it is summed up, and what it may come to.

    ``tokens`` and ``nano_usd`` are limits, None is none; ``ends_at`` is in seconds of the epoch.
    """

    account: str
    span: str
    row: str
    ends_at: float
    ttl_s: float
    tokens: int | None = None
    nano_usd: int | None = None

    @property
    def limited(self) -> bool:
        """Tell whether it may be used up."""
        return self.tokens is not None or self.nano_usd is not None

    @property
    def whose(self) -> str:
        """Return whose it is, as those are told who use it up."""
        return WHOSE[self.account.partition(":")[0]]

    def sums(self, tokens: tuple[int, int], nano_usd: tuple[int, int] | None) -> Iterator[Sum]:
        """Yield what is asked of it: what is fixed, and what is added for each token of output."""
        yield Sum(self.row, TOKENS, self.ttl_s, *tokens, self.tokens)
        if nano_usd is not None:
            yield Sum(self.row, USD, self.ttl_s, *nano_usd, self.nano_usd)


def windows(accounts: Iterable[Account], now: datetime) -> tuple[Window, ...]:
    """Return all windows of these accounts that are open now."""
    return tuple(window for account in accounts for window in _of(account, now))


def day_and_month(account: Account, now: datetime) -> tuple[Window, Window]:
    """Return the two windows that every account has."""
    quota, day = account.quota, now.replace(hour=0, minute=0, second=0, microsecond=0)
    month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (
        _window(account, "day", now, f"{now:%Y-%m-%d}", day + timedelta(days=1), quota.tokens_day,
                quota.usd_day),
        _window(account, "month", now, f"{now:%Y-%m}", month, quota.tokens_month, quota.usd_month),
    )  # fmt: skip


def nano_usd(dollars: Decimal) -> int:
    """Return billionths, rounded up: what is charged is never under what was paid."""
    return int((dollars * NANO).to_integral_value(ROUND_CEILING))


def dollars(nano: int) -> Decimal:
    """Return dollars, exactly."""
    return Decimal(nano) / NANO


def _of(account: Account, now: datetime) -> Iterator[Window]:
    yield from day_and_month(account, now)
    quota = account.quota
    if quota.tokens_minute is not None:
        ends = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        yield _window(account, "minute", now, f"{now:%Y-%m-%dT%H:%M}", ends, quota.tokens_minute, None)
    if _ends(quota):
        ends = now + timedelta(days=1)  # nobody knows when there will be more
        yield _window(account, EVER, now, EVER, ends, quota.tokens_ever, quota.usd_ever, kept_s=EVER_S)


def _ends(quota: Quota) -> bool:
    return quota.tokens_ever is not None or quota.usd_ever is not None


def _window(  # noqa: PLR0913, PLR0917 - see Window
    account: Account,
    span: str,
    now: datetime,
    at: str,
    ends: datetime,
    tokens: int | None,
    usd: Decimal | None,
    *,
    kept_s: float = AFTER_S,
) -> Window:
    return Window(
        account=account.name,
        span=span,
        row=f"account:{account.name}:{at}",
        ends_at=ends.timestamp(),
        ttl_s=(ends - now).total_seconds() + kept_s,
        tokens=None if tokens is None else min(tokens, LARGEST),
        nano_usd=None if usd is None else min(nano_usd(usd), LARGEST),
    )
