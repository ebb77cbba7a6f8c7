"""Who pays: accounts with limits. A stream is charged to all of its caller's accounts at once.

A caller has an account for its key, one for its subject where a client token names one, one for
that token's own budget; the deployment has one that everybody shares.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What one account may spend, input and output tokens together; None is no limit.

    Days and months are those of UTC; ``ever`` is for an account that ends, like a token's budget.
    """

    tokens_minute: int | None = None
    tokens_day: int | None = None
    tokens_month: int | None = None
    tokens_ever: int | None = None
    usd_day: Decimal | None = None
    usd_month: Decimal | None = None
    usd_ever: Decimal | None = None

    @property
    def in_dollars_alone(self) -> bool:
        """Tell whether only a model with a price can be held to it."""
        in_dollars = (self.usd_day, self.usd_month, self.usd_ever)
        in_tokens = (self.tokens_minute, self.tokens_day, self.tokens_month, self.tokens_ever)
        return any(one is not None for one in in_dollars) and all(one is None for one in in_tokens)


@dataclass(frozen=True)
class Account:
    """A name in the ledger and its quota.

    Names: ``deployment``, ``key:<id>``, ``subject:<key id>/<subject>``, ``token:<id>``.
    """

    name: str
    quota: Quota = Quota()
