"""What those are told whom a budget refuses: whose it is, and whether waiting helps."""

from typing import NamedTuple

from services.cost.windows import EVER, Window
from services.errors import BudgetExhausted, Forbidden

BACK_SOON_S = 5.0  # what running streams hold, they mostly give back within


class Short(NamedTuple):
    """What stands against a request: the least that it needs of one sum, and how that stands.

    Tokens or billionths of a dollar; ``limit`` is None where the request came too late for any.
    """

    window: Window
    needed: int
    limit: int | None
    spent: int
    held: int

    @property
    def is_hopeless(self) -> bool:
        """Tell whether the limit is smaller than the request, however little is used of it."""
        return self.limit is not None and self.needed > self.limit

    @property
    def waits_for_others(self) -> bool:
        """Tell whether it fits once those give back what they hold who run now."""
        return self.held > 0 and self.limit is not None and self.needed <= self.limit - self.spent


def exhausted(short: Short, now: float) -> BudgetExhausted:
    """Return the problem of a budget that does not allow a request, and when to come back, if ever."""
    window = short.window
    ever = window.span == EVER
    whose = f"{window.whose}{'' if ever else f' for this {window.span}'}"
    if short.is_hopeless:
        return BudgetExhausted(
            f"The limit of {whose} is smaller than what this one request may cost, so waiting does not help: "
            "a shorter one may fit, or a higher limit."
        )
    left_s = max(0.0, window.ends_at - now)
    said = f"The budget of {whose} is used up, or does not allow one more answer"
    if short.waits_for_others:
        return BudgetExhausted(
            f"{said}, or is held by streams that run.", retry_after_s=min(BACK_SOON_S, left_s)
        )
    if ever:
        return BudgetExhausted(f"{said}; it does not come back.")
    return BudgetExhausted(f"{said}.", retry_after_s=left_s)


def without_price(window: Window) -> Forbidden:
    """Return the problem of a model without a price, where this limit is one in dollars alone."""
    return Forbidden(
        f"The price of this model is not known here, so the limit of {window.whose}, which is in dollars, "
        "cannot be kept. The operator can give the model a price (GLOSS_PRICES), or limit tokens too."
    )
