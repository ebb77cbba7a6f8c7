"""A budget holds against everybody at once, whoever dies: the provider's journal is the judge.

``python -m tests.live.spree`` does the same many times over, and prints what came of it.
"""

import pytest

from tests.live.spree import ECHO, PACED, STORES, house, spend


@pytest.mark.live
@pytest.mark.R14
@pytest.mark.R24
@pytest.mark.parametrize("store", STORES)
def test_two_hundred_streams_and_a_budget_for_twenty(store: str) -> None:
    """The provider is never asked for more than the budget, and then nothing stays reserved."""
    with house(store) as (service, upstream):
        outcome = spend(service, upstream, ECHO)
    assert outcome.broken(ECHO, killed=False) == [], str(outcome)
    assert outcome.ends["length"] >= 1


@pytest.mark.live
@pytest.mark.R14
@pytest.mark.R24
@pytest.mark.parametrize(("store", "workers"), [("sqlite", 1), ("redis", 1), ("redis", 2)])
def test_workers_are_killed_in_the_middle(store: str, workers: int) -> None:
    """What their streams may have used is charged, what ended as it was reported; nothing stays reserved."""
    with house(store) as (service, upstream):
        outcome = spend(service, upstream, PACED, kill=workers)
    assert outcome.broken(PACED, killed=True) == [], str(outcome)
