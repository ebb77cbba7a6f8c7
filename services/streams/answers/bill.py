"""Who pays for an answer that several have: sums and differences of what was used."""

from decimal import Decimal

from services.events import Usage

FREE = Usage(cost_usd="0", from_cache=True)
"""What a stream is billed whose answer was kept, or is another's: the price of nothing is always known."""


def plus(one: Usage, other: Usage) -> Usage:
    """Return both; what was paid for in part did not come from the cache."""
    return _of(one, other, 1)


def minus(whole: Usage, part: Usage) -> Usage:
    """Return what is left of a sum that only grows; an estimate that was too high leaves nothing."""
    return _of(whole, part, -1)


def is_nothing(usage: Usage) -> bool:
    """Tell whether nothing was used, at whatever price."""
    return not (usage.input_tokens or usage.output_tokens)


def _of(one: Usage, other: Usage, sign: int) -> Usage:
    return Usage(
        input_tokens=max(0, one.input_tokens + sign * other.input_tokens),
        output_tokens=max(0, one.output_tokens + sign * other.output_tokens),
        cached_input_tokens=max(0, one.cached_input_tokens + sign * other.cached_input_tokens),
        reasoning_tokens=max(0, one.reasoning_tokens + sign * other.reasoning_tokens),
        cost_usd=_dollars(one.cost_usd, other.cost_usd, sign),
        estimated=one.estimated or other.estimated,
    )


def _dollars(one: str | None, other: str | None, sign: int) -> str | None:
    if one is None or other is None:
        return None
    return f"{max(Decimal(0), Decimal(one) + sign * Decimal(other)):f}"
