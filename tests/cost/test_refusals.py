"""What those are told whom a budget refuses."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.cost.accounts import Account, Quota
from services.cost.refusals import BACK_SOON_S, Short, exhausted, without_price
from services.cost.windows import Window, windows

NOW = datetime(2026, 1, 2, 23, 0, tzinfo=UTC)
HOUR_S = 3600


def window(account: str, **quota: int | Decimal) -> Window:
    """The one window that has this limit."""
    [found] = [one for one in windows([Account(account, Quota(**quota))], NOW) if one.limited]  # type: ignore[arg-type]
    return found


DAY = window("key:a", tokens_day=100)
EVER = window("token:t", tokens_ever=100)


@pytest.mark.parametrize(
    ("short", "retry_after_s", "said"),
    [
        (Short(DAY, needed=60, limit=100, spent=50, held=0), HOUR_S, "of this key for this day is used up"),
        (Short(DAY, needed=60, limit=100, spent=40, held=1), BACK_SOON_S, "held by streams that run"),
        (Short(DAY, needed=60, limit=100, spent=50, held=40), HOUR_S, "of this key for this day is used up"),
        (Short(DAY, needed=101, limit=100, spent=0, held=0), None, "of this key for this day is smaller"),
        (Short(DAY, needed=101, limit=100, spent=0, held=100), None, "is smaller than what this one request"),
        (Short(DAY, needed=0, limit=None, spent=0, held=0), HOUR_S, "is used up"),
        (Short(EVER, needed=60, limit=100, spent=50, held=0), None, "of this token is used up"),
        (Short(EVER, needed=60, limit=100, spent=50, held=40), None, "it does not come back"),
        (Short(EVER, needed=60, limit=100, spent=40, held=40), BACK_SOON_S, "held by streams that run"),
        (Short(EVER, needed=101, limit=100, spent=0, held=0), None, "limit of this token is smaller than"),
    ],
)  # fmt: skip
def test_when_to_come_back(short: Short, retry_after_s: float | None, said: str) -> None:
    """With the window, soon where others hold what is missing, never where it would not help."""
    problem = exhausted(short, NOW.timestamp()).problem()
    assert problem.get("retry_after_s") == retry_after_s
    assert said in problem["detail"]


def test_nobody_waits_longer_than_the_window() -> None:
    """What others hold is nothing once the next minute has begun."""
    short = Short(DAY, needed=60, limit=100, spent=0, held=90)
    assert exhausted(short, DAY.ends_at - 2).problem()["retry_after_s"] == 2


def test_whose_limit_needs_a_price() -> None:
    """And what the operator can do about it."""
    detail = without_price(window("deployment", usd_day=Decimal(1))).problem()["detail"]
    assert "limit of this service, which is in dollars" in detail
    assert "GLOSS_PRICES" in detail
