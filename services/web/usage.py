"""What a caller has used, and what is left of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from services.cost.accounts import Account
from services.cost.standing import Bound, Standing
from services.cost.windows import TOKENS, day_and_month, windows
from services.streams.core import Core
from services.web.callers import Caller
from services.web.keys import Keys, authenticate
from services.wire.json import CONTENT_TYPE


@dataclass(frozen=True)
class UsageRoute:
    """The caller's own figures."""

    core: Core
    keys: Keys

    def blueprint(self) -> Blueprint:
        """Give the route its path."""
        usage = Blueprint("usage", __name__)
        usage.add_url_rule("/v1/usage", "usage", self.usage, methods=["GET"])
        return usage

    def usage(self) -> Response:
        """Tell what was used today and this month (UTC), what is reserved now, and how each limit stands."""
        caller = authenticate(request, self.keys)
        ledger, now = self.core.ledger, self.core.clock.now()
        spans = day_and_month(_shown(caller.accounts), now)
        holds = [one for one in windows(_limiting(caller, ledger.deployment), now) if one.limited]
        rows = list(ledger.rows([*spans, *holds]))
        day, month = (Standing.of(*found) for found in rows[: len(spans)])
        told = {
            "key": caller.key_id,
            "day": _span(day),
            "month": _span(month),
            "reserved_usd": _usd(month.reserved_usd),
            "reserved_tokens": month.reserved_tokens,
            "open_streams": sum(_belongs(one.owner, caller.owner) for one in self.core.streams.running),
            "limits": [_limit(bound) for found in rows[len(spans) :] for bound in Bound.all(*found)],
        }
        return Response(msgspec.json.encode(told), content_type=CONTENT_TYPE)


def _belongs(owner: str, to: str) -> bool:
    """Tell whether something belongs to a caller, or to an end user of theirs."""
    return owner == to or owner.startswith(f"{to}/")


def _shown(accounts: tuple[Account, ...]) -> Account:
    """Return whose figures a caller may see: an end user sees their own, not those of the whole key."""
    return next((one for one in accounts if one.name.startswith("subject:")), accounts[0])


def _limiting(caller: Caller, deployment: Account) -> Iterable[Account]:
    """Return whose limits a caller is told: an end user is not told the key's and the service's."""
    return (*caller.accounts, deployment) if caller.grant is None else caller.accounts[1:]


def _limit(bound: Bound) -> dict[str, Any]:
    amount: Callable[[Decimal], object] = int if bound.kind == TOKENS else _usd
    ends = bound.resets_at
    return {
        "of": bound.of,
        "kind": bound.kind,
        "window": bound.window,
        "limit": amount(bound.limit),
        "used": amount(bound.used),
        "reserved": amount(bound.reserved),
        "remaining": amount(bound.remaining),
        "resets_at": None if ends is None else ends.isoformat().replace("+00:00", "Z"),
    }


def _span(standing: Standing) -> dict[str, Any]:
    return {
        "usd": _usd(standing.usd),
        "tokens": standing.tokens,
        "limit_usd": _usd(standing.limit_usd),
        "limit_tokens": standing.limit_tokens,
        "left_usd": _usd(standing.left_usd),
        "left_tokens": standing.left_tokens,
    }


def _usd(dollars: Decimal | None) -> str | None:
    return None if dollars is None else f"{dollars.normalize():f}"
