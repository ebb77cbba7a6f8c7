"""``GET /v1/usage/history``: what was used, for the operator; the page at ``/usage`` shows it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

import msgspec
from flask import Blueprint, Response, request

from services.cost.report import DIMENSIONS, By, Lines, report
from services.errors import Forbidden, InvalidInput
from services.settings import Settings
from services.web.callers import ANONYMOUS
from services.web.keys import Keys, authenticate

SCOPE = "admin"
USUAL_DAYS = 30
MOST_DAYS = 366
DAY = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class UsageHistory:
    """What the ledger keeps, for keys with the scope ``admin``; without keys, on loopback only."""

    history: Lines
    keys: Keys
    settings: Settings
    today: Callable[[], date]

    def blueprint(self) -> Blueprint:
        """Give the route its path."""
        routes = Blueprint("usage-history", __name__)
        routes.add_url_rule("/v1/usage/history", "history", self.show)
        return routes

    def show(self) -> Response:
        """Sum up what was used from one day to another, by what is asked for."""
        caller = authenticate(request, self.keys, scope=SCOPE)
        if caller is ANONYMOUS and not self.settings.on_loopback:
            raise Forbidden(f"Make a key with the scope `{SCOPE}`: without keys this is for loopback only.")
        last = _day("to", self.today())
        first = _day("from", last - timedelta(days=USUAL_DAYS - 1))
        if not 0 <= (last - first).days < MOST_DAYS:
            problem = f"must be a day before `to`, by at most {MOST_DAYS} days"
            raise InvalidInput(errors=[{"field": "from", "problem": problem}])
        by = _by()
        told = report(self.history.lines(first, last), by)
        days = {"from": first.isoformat(), "to": last.isoformat(), "by": by}
        return Response(msgspec.json.encode({**days, **told}), content_type="application/json; charset=utf-8")


def _day(name: str, usual: date) -> date:
    given = request.args.get(name)
    if given is None:
        return usual
    try:
        day = date.fromisoformat(given) if DAY.fullmatch(given) else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidInput(errors=[{"field": name, "problem": "must be a day like 2027-01-01"}])
    return day


def _by() -> list[By]:
    named = request.args.get("by", "day").split(",")
    if len(set(named)) != len(named) or not set(named) <= set(DIMENSIONS):
        problem = f"must be some of {', '.join(DIMENSIONS)}, by commas"
        raise InvalidInput(errors=[{"field": "by", "problem": problem}])
    return cast("list[By]", named)
