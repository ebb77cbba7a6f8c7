"""One output cap, many calls."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.streams.allowance import Allowance


def test_a_call_gets_what_it_wants() -> None:
    """What is wanted is granted while it is there."""
    assert Allowance(10).reserve(4) == 4


@pytest.mark.parametrize("wanted", [None, 11])
def test_a_call_never_gets_more_than_is_left(wanted: int | None) -> None:
    """None wants all that is left; more than that is not to be had."""
    allowance = Allowance(10)
    allowance.reserve(3)
    assert allowance.reserve(wanted) == 7


def test_nothing_is_left_when_all_is_reserved() -> None:
    """A reservation counts before it is used."""
    allowance = Allowance(10)
    allowance.reserve(None)
    assert (allowance.reserve(1), allowance.fits(1)) == (0, False)


def test_what_was_not_used_comes_back() -> None:
    """Settling gives back the difference."""
    allowance = Allowance(10)
    allowance.settle(allowance.reserve(8), used=lambda: 3)
    assert allowance.reserve(None) == 7


@pytest.mark.parametrize(("wanted", "fits"), [(None, True), (10, True), (11, False)])
def test_a_call_fits_if_it_can_have_all_that_it_wants(wanted: int | None, *, fits: bool) -> None:
    """A call that wants all there is always fits while there is something."""
    assert Allowance(10).fits(wanted) is fits


def test_a_cap_is_reached_when_a_call_that_had_all_of_it_was_cut() -> None:
    """Not by a call that ended by itself, nor by one whose own cap was smaller."""
    for wanted, used, cut, reached in ((None, 10, True, True), (None, 10, False, False), (9, 9, True, False)):
        allowance = Allowance(10)
        allowance.settle(allowance.reserve(wanted), partial(int, used), cut=cut)
        assert allowance.reached is reached


def test_a_cap_is_reached_when_nothing_is_left_for_a_call() -> None:
    """What others only hold may come back; what they used does not."""
    allowance = Allowance(10)
    held = allowance.reserve(None)
    allowance.reserve(5)
    assert not allowance.reached
    allowance.settle(held, used=lambda: 10)
    allowance.reserve(5)
    assert allowance.reached


def test_a_call_that_was_cut_while_others_held_the_rest_did_not_reach_the_cap() -> None:
    """They may give it back: alone it would have said more."""
    allowance = Allowance(10)
    held, mine = allowance.reserve(6), allowance.reserve(None)
    allowance.settle(mine, used=lambda: 4, cut=True)
    assert not allowance.reached
    allowance.settle(held, used=lambda: 1)
    assert not allowance.reached


def test_once_reached_is_reached() -> None:
    """Whatever is settled later."""
    allowance = Allowance(10)
    allowance.settle(allowance.reserve(None), used=lambda: 4, cut=True)
    allowance.settle(allowance.reserve(2), used=lambda: 1)
    assert allowance.reached


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 60)), st.integers(0, 60), st.booleans())),
)
def test_calls_together_never_pass_the_cap(cap: int, calls: list[tuple[int | None, int, bool]]) -> None:
    """Whatever is reserved, used and settled, in any order, the sum stays within the cap."""
    allowance, used, open_ = Allowance(cap), 0, []
    for wanted, speaks, settles_now in calls:
        granted = allowance.reserve(wanted)
        said = min(speaks, granted)
        used += said
        if settles_now:
            allowance.settle(granted, partial(int, said))
        else:
            open_.append(granted - said)
        assert used + sum(open_) <= cap
