"""Which sums an account has, and until when."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.cost.accounts import Account, Quota
from services.cost.windows import AFTER_S, EVER_S, dollars, nano_usd, windows
from services.state.sums import LARGEST

NOW = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)
ALL = Quota(
    tokens_minute=1, tokens_day=2, tokens_month=3, tokens_ever=4,
    usd_day=Decimal("0.1"), usd_month=Decimal(2), usd_ever=Decimal("0.0000000001"),
)  # fmt: skip


def test_every_account_has_a_day_and_a_month():
    """Also one without limits: what it used is told all the same."""
    assert [window.row for window in windows([Account("key:a")], NOW)] == [
        "account:key:a:2026-12-31",
        "account:key:a:2026-12",
    ]


def test_spans_and_limits():
    """Each span with its own limits, in tokens and in billionths of a dollar, rounded up."""
    found = {
        window.span: (window.tokens, window.nano_usd) for window in windows([Account("token:t", ALL)], NOW)
    }

    assert found == {
        "day": (2, 100_000_000),
        "month": (3, 2_000_000_000),
        "minute": (1, None),
        "ever": (4, 1),
    }


def test_ends():
    """A minute, a day and a month end at their next beginning; what never ends is looked at tomorrow."""
    new_year = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    ends = {window.span: window.ends_at for window in windows([Account("token:t", ALL)], NOW)}

    assert ends == {"minute": new_year, "day": new_year, "month": new_year, "ever": NOW.timestamp() + 86_400}


def test_kept():
    """A sum outlives its span, for streams that began in it."""
    kept = {window.span: window.ttl_s for window in windows([Account("token:t", ALL)], NOW)}

    assert kept == {
        "minute": 30 + AFTER_S,
        "day": 30 + AFTER_S,
        "month": 30 + AFTER_S,
        "ever": 86_400 + EVER_S,
    }


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("deployment", "this service"),
        ("key:a", "this key"),
        ("subject:a/b:c", "this user"),
        ("token:t", "this token"),
    ],
)
def test_whose(name, whose):
    """Who is told that it is used up learns whose it is, and no name."""
    assert {window.whose for window in windows([Account(name)], NOW)} == {whose}


def test_a_limit_beyond_all_numbers():
    """Is the largest number that a store can count to."""
    quota = Quota(tokens_day=10**30, usd_day=Decimal(10**30))
    day, _ = windows([Account("deployment", quota)], NOW)

    assert (day.tokens, day.nano_usd) == (LARGEST, LARGEST)


def test_money_is_exact():
    """Billionths and back, and never less than it was."""
    assert nano_usd(Decimal("0.1")) == 100_000_000
    assert nano_usd(Decimal("0.00000000001")) == 1
    assert dollars(nano_usd(Decimal("1.23456789"))) == Decimal("1.23456789")
