"""What a caller has used, and what is left of it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from services.cost.accounts import Account
from services.cost.standing import Standing
from services.streams.core import Core
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
        """Tell what was used today and this month (UTC), what is left, and what is reserved now."""
        caller = authenticate(request, self.keys)
        account = _shown(caller.accounts)
        day, month = self.core.ledger.standing(account)
        told = {
            "key": caller.key_id,
            "day": _span(day),
            "month": _span(month),
            "reserved_usd": _usd(month.reserved_usd),
            "reserved_tokens": month.reserved_tokens,
            "open_streams": sum(_belongs(one.owner, caller.owner) for one in self.core.streams.running),
        }
        return Response(msgspec.json.encode(told), content_type=CONTENT_TYPE)


def _belongs(owner: str, to: str) -> bool:
    """Tell whether something belongs to a caller, or to an end user of theirs."""
    return owner == to or owner.startswith(f"{to}/")


def _shown(accounts: tuple[Account, ...]) -> Account:
    """Return whose figures a caller may see: an end user sees their own, not those of the whole key."""
    return next((one for one in accounts if one.name.startswith("subject:")), accounts[0])


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
