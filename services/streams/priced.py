"""Limits in dollars need prices: looked at when the service starts.

A model without a price cannot be held to a limit in dollars alone, so it is refused at each request
(``cost/reservation.py``). Where that is known before there is a request, it is told before.
"""

import logging
from collections.abc import Iterable, Sequence

from services.cost.accounts import Quota
from services.settings import SettingsError
from services.streams.models import Models

WAY_OUT = "give it one in a file that GLOSS_PRICES names, or set {} too, which holds without prices"

log = logging.getLogger("gloss.start")


def require_prices(models: Models, deployment: Quota) -> None:
    """Raise SettingsError where the deployment's limit would refuse a model that it offers.

    A fall-back without a price is passed over then: a warning says so.
    """
    if not deployment.in_dollars_alone:
        return
    if without := models.without_price:
        raise SettingsError(
            f"GLOSS_USD_PER_DAY limits dollars, and the price of {_listed(without)} is not known: "
            f"all that is asked of it would be refused. So {WAY_OUT.format('GLOSS_TOKENS_PER_DAY')}."
        )
    passed_over = [model.name for model in models.fall_backs if not model.has_price]
    if passed_over:
        log.warning(
            "GLOSS_PROVIDERS: %s is never asked: GLOSS_USD_PER_DAY limits dollars, its price is unknown; %s",
            _listed(passed_over), WAY_OUT.format("GLOSS_TOKENS_PER_DAY"),
        )  # fmt: skip


def warn_of_keys(models: Models, keys: Iterable[tuple[str, Quota]]) -> None:
    """Warn of keys, given by their ids, whose limit refuses a model that the deployment offers."""
    without = models.without_price
    refused = [key for key, quota in keys if quota.in_dollars_alone] if without else []
    if refused:
        log.warning(
            "Limits in dollars of the keys %s: the price of %s is not known, so they are refused it; %s",
            ", ".join(refused), _listed(without), WAY_OUT.format("a limit in tokens"),
        )  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
