"""Limits in dollars, and models whose price is not known: told when the service starts."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.cost.accounts import Quota
from services.settings import SettingsError
from services.web.keys import new_key
from tests.streams.scripted import whole
from tests.streams.stage import Stage

DOLLARS = {"usd_per_day": Decimal(5)}
PRICED = {"model": "gpt-4.1-mini"}
LOCAL = "http://127.0.0.1:11434/v1"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, logger="gloss.start")
    return caplog


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": "nobody-knows"}, "`nobody-knows`"),
        ({**PRICED, "models": ("gpt-4.1-*", "gpt-4.1", "other", "another")}, "`other`, `another`"),
        ({**PRICED, "openai_base_url": LOCAL}, "`gpt-4.1-mini`"),  # a name is no price: somebody else has it
        ({"model": None, "openai_base_url": LOCAL}, "`the first model of OPENAI_BASE_URL`"),
    ],
)
def test_a_deployment_that_would_refuse_its_own_model(settings: dict[str, Any], named: str) -> None:
    """It does not start: each request would be refused. It says which model, and what to do."""
    with pytest.raises(SettingsError) as refused:
        Stage(settings=DOLLARS | settings)
    assert f"GLOSS_USD_PER_DAY limits dollars, and the price of {named} is not known" in str(refused.value)
    assert "GLOSS_PRICES" in str(refused.value)
    assert "GLOSS_TOKENS_PER_DAY" in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        PRICED,
        {"model": "nobody-knows", "tokens_per_day": 1000},
        {**PRICED, "models": ("any-*",)},  # what it stands for is not known before it is asked for
        {"model": None},
        {"model": None, "openai_base_url": "https://api.openai.com/v1"},
    ],
)
def test_a_limit_that_can_be_kept(settings: dict[str, Any]) -> None:
    """Where the price is known, or tokens are limited too, or nothing is known yet, it starts."""
    Stage(settings=DOLLARS | settings)


@pytest.mark.parametrize("settings", [{"model": "nobody-knows"}, {"model": None, "openai_base_url": LOCAL}])
def test_a_price_of_ones_own(tmp_path: Path, settings: dict[str, Any]) -> None:
    """What GLOSS_PRICES says is a price."""
    prices = tmp_path / "prices.toml"
    prices.write_text("[nobody-knows]\ninput = 1\noutput = 2\n")
    Stage(settings=DOLLARS | settings | {"prices": prices})


def test_a_fall_back_that_is_never_asked(told: pytest.LogCaptureFixture) -> None:
    """The service starts without it, and says so."""
    Stage(settings=DOLLARS | PRICED, elsewhere={"nobody-knows": whole("Hello")})
    [warning] = told.messages
    assert "`nobody-knows` is never asked: GLOSS_USD_PER_DAY" in warning


@pytest.mark.parametrize(
    ("quota", "model", "warned"),
    [
        (Quota(usd_day=Decimal(5)), "nobody-knows", True),
        (Quota(usd_month=Decimal(5)), "nobody-knows", True),
        (Quota(usd_day=Decimal(5), tokens_month=9), "nobody-knows", False),
        (Quota(), "nobody-knows", False),
        (Quota(usd_day=Decimal(5)), "gpt-4.1-mini", False),
    ],
)
def test_a_key_that_would_be_refused(
    told: pytest.LogCaptureFixture, quota: Quota, model: str, warned: bool
) -> None:
    """The service starts, for others may ask, and warns of the key by its id."""
    _, entry = new_key("web", quota=quota)
    Stage(settings={"model": model, "keys": (entry.line(),)})
    assert [f"keys {entry.id}: the price of `nobody-knows` is not" in one for one in told.messages] == [
        True
    ] * warned
