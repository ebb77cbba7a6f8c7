from decimal import Decimal

import pytest

from services.cost.tally import Tally
from services.events import Usage
from services.llm import Tokens


def cheap(tokens):
    return Decimal(tokens.output) / 10**7


def unknown(_tokens):
    return None


def test_nothing():
    """A stream without a call has used nothing, as far as is known."""
    assert Tally(cheap).usage() == Usage(cost_usd="0")


def test_sum():
    """Attempts add up in each kind of token, and in dollars."""
    tally = Tally(cheap)
    tally.add(Tokens(input=5, output=3, cached_input=2, reasoning=1), cheap)
    tally.add(Tokens(input=7, output=4, cached_input=1, reasoning=2), cheap)

    assert tally.usage() == Usage(
        input_tokens=12, output_tokens=7, cached_input_tokens=3, reasoning_tokens=3, cost_usd="0.0000007"
    )


def test_each_attempt_is_priced_by_who_answered():
    """What two models said costs what each of them takes for its own part, however many tokens that is."""
    tally = Tally(unknown)
    tally.add(Tokens(input=0, output=10), cheap)
    tally.add(Tokens(input=0, output=10), lambda tokens: Decimal(tokens.output > 10))

    assert (tally.usage().output_tokens, tally.usage().cost_usd) == (20, "0.000001")


@pytest.mark.parametrize("prices", [(unknown, cheap), (cheap, unknown)])
def test_no_price(prices):
    """Where one part has no price there is no cost, which is not the cost 0."""
    tally = Tally(cheap)
    for price in prices:
        tally.add(Tokens(input=1, output=1), price)

    assert tally.usage().cost_usd is None


def test_no_price_of_nothing():
    """A stream that has used nothing of a model without a price has no cost either."""
    assert Tally(unknown).usage().cost_usd is None


@pytest.mark.parametrize(("one", "other"), [(True, False), (False, True)])
def test_estimated(one, other):
    """One part that was counted here makes the sum an estimate."""
    tally = Tally(cheap)
    tally.add(Tokens(input=1, output=1), cheap, estimated=one)
    tally.add(Tokens(input=1, output=1), cheap, estimated=other)

    assert tally.usage().estimated


def test_running():
    """What still runs is counted as far as it is known, for this one look."""
    tally = Tally(cheap)
    tally.add(Tokens(input=1, output=1), cheap)

    assert tally.usage(running=[(Tokens(input=2, output=3), cheap)]) == Usage(
        input_tokens=3, output_tokens=4, cost_usd="0.0000004", estimated=True
    )
    assert tally.usage() == Usage(input_tokens=1, output_tokens=1, cost_usd="0.0000001")


def test_small_sums_are_plain():
    """A tiny cost is written out, not in powers of ten."""
    tally = Tally(cheap)
    tally.add(Tokens(input=0, output=1), lambda _: Decimal("1E-9"))

    assert tally.usage().cost_usd == "0.000000001"
