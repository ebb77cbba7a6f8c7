"""Who is calling, to whom it belongs, who pays."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.cost.accounts import Account, Quota
from services.web.callers import ANONYMOUS, Caller, Grant

SOME = Caller(
    key_id="k",
    name="n",
    shown="k",
    scopes=frozenset({"translate", "admin"}),
    quota=Quota(usd_day=Decimal(5)),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRANT = Grant(id="t", subject="ann", budget_tokens=100, made=NOW, until=NOW)


def test_a_caller_without_scopes_may_do_everything_that_can_be_asked_for() -> None:
    """No scopes open every use case, and nothing of the operator's; some open only themselves."""
    asked = ["translate", "tutor", "admin", "operator"]
    assert [ANONYMOUS.may(scope) for scope in asked] == [True, True, False, False]
    assert [SOME.may(scope) for scope in asked] == [True, False, True, False]


@pytest.mark.parametrize(
    ("key", "token", "may"),
    [
        (set(), set(), {"translate", "tutor"}),
        (set(), {"tutor"}, {"tutor"}),
        ({"translate", "admin"}, set(), {"translate"}),
        ({"translate"}, {"tutor"}, set()),
        ({"admin"}, {"admin"}, set()),
    ],
)
def test_a_token_may_no_more_than_its_key(key: set[str], token: set[str], may: set[str]) -> None:
    """It opens what both name, and never what is the operator's."""
    grant = replace(GRANT, use_cases=frozenset(token))
    caller = replace(SOME, scopes=frozenset(key), grant=grant)
    assert {scope for scope in ("translate", "tutor", "admin", "operator") if caller.may(scope)} == may


def test_a_key_pays_for_itself() -> None:
    """From its account, within its quota."""
    assert SOME.owner == "k"
    assert SOME.accounts == (Account("key:k", Quota(usd_day=Decimal(5))),)


def test_an_end_user_pays_from_three_accounts() -> None:
    """The key's, its own, and the token's, which ends; what it makes is its own."""
    caller = replace(SOME, grant=GRANT)
    assert caller.owner == "k/ann"
    assert caller.accounts == (
        Account("key:k", Quota(usd_day=Decimal(5))),
        Account("subject:k/ann"),
        Account("token:t", Quota(tokens_ever=100)),
    )
