"""What every store promises of sums and holds."""

from collections.abc import Iterator
from itertools import count

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.state.store import Store
from services.state.sums import LARGEST, Hold, Kept, Refusal, Settlement, Sum, Used
from tests.state.houses import House

LONG = 60.0
SHORT = 0.02
AFTER = 0.05

same_state = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
names = map("row-{}".format, count())


@pytest.fixture
def store(house: House) -> Iterator[Store]:
    entered = house.enter()
    yield entered
    entered.close()


@pytest.fixture
def other(house: House, store: Store) -> Iterator[Store]:
    entered = house.enter() if house.shared else store
    yield entered
    if entered is not store:
        entered.close()


def hold(name: str = "h", *sums: Sum, least: int = 0, most: int = 0, lasts_s: float = LONG) -> Hold:
    return Hold(name, sums, lasts_s, least, most)


def asked(fixed: int = 0, step: int = 0, most: int | None = None, *, row: str = "r", field: str = "f") -> Sum:
    return Sum(row, field, LONG, fixed, step, most)


def used(amount: int, *, row: str = "r", field: str = "f") -> Used:
    return Used(row, field, LONG, amount)


def stands(store: Store, row: str = "r", field: str = "f") -> Kept:
    [found] = store.sums([row])
    return found.get(field, Kept(0, 0))


def test_nothing(store):
    """A row to which nothing was added has no sums."""
    assert store.sums(["a", "b"]) == [{}, {}]


def test_what_is_dropped_is_forgotten(store, other):
    """All sums of a row, for every process; the others stay, and the row begins anew."""
    store.reserve([hold("h", asked(5), asked(5, row="kept"))])
    store.settle([Settlement("h", [used(3), used(4, field="g"), used(3, row="kept")])])
    store.drop(["r", "never-there"])
    assert (other.sums(["r"]), stands(other, "kept")) == ([{}], Kept(3, 0))
    store.drop([])
    store.reserve([hold("again", asked(2))])
    assert stands(other) == Kept(0, 2)


@pytest.mark.parametrize("begun", [False, True])
def test_a_hold_on_what_is_dropped_gives_back_to_nobody(store, begun):
    """Whether the row is there again when it ends or not; what was used is added."""
    store.reserve([hold("h", asked(5))])
    store.drop(["r"])
    if begun:
        store.reserve([hold("later", asked(9))])
    store.settle([Settlement("h", [used(3)])])
    assert stands(store).spent == 3
    assert stands(store).held in ({4, 9} if begun else {0})


def test_reserve(store, other):
    """What is set aside is held, for every process."""
    assert store.reserve([hold("h", asked(5, 2, 100), least=1, most=10)]) == [10]
    assert stands(other) == Kept(0, 25)


def test_reserve_less(store):
    """Where a bound does not allow the most, as much is set aside as it allows."""
    assert store.reserve([hold("h", asked(5, 2, 12), asked(0, 1, field="g"), least=1, most=10)]) == [3]
    assert (stands(store), stands(store, field="g")) == (Kept(0, 11), Kept(0, 3))


def test_refused(store):
    """Where it does not allow the least, nothing is set aside of any sum, and the sum is named."""
    store.reserve([hold("a", asked(7, field="g"))])
    sums = (asked(1), asked(1, 1, 10, field="g"))

    assert store.reserve([hold("h", *sums, least=3, most=9)]) == [Refusal(1, 0, 7)]
    assert (stands(store), stands(store, field="g")) == (Kept(0, 0), Kept(0, 7))
    assert store.settle([Settlement("h", [])]) == [None]


@pytest.mark.parametrize(("fixed", "granted"), [(10, True), (11, False), (0, True), (-3, True)])
def test_fixed(store, fixed, granted):
    """What has no step fits or does not; less than nothing is nothing."""
    [answer] = store.reserve([hold("h", asked(fixed, 0, 10), most=4)])

    assert (answer == 4) is granted
    assert stands(store) == Kept(0, max(0, fixed) if granted else 0)


def test_overspent(store):
    """A sum past its bound leaves room for nothing, and that still fits."""
    store.reserve([hold("h")])
    store.settle([Settlement("h", [used(20)])])

    assert store.reserve([hold("a", asked(0, 1, 10), least=1, most=9)]) == [Refusal(0, 20, 0)]
    assert store.reserve([hold("a", asked(-5, 1, 10), least=1, most=9)]) == [5]


def test_settle(store, other):
    """What was held is given back, what was used is spent, also of sums that were not asked for."""
    store.reserve([hold("h", asked(30, field="f"))])

    assert other.settle([Settlement("h", [used(12), used(3, field="g")])]) == [True]
    assert (stands(store), stands(store, field="g")) == (Kept(12, 0), Kept(3, 0))


def test_settled_twice(store):
    """A repeat adds nothing."""
    store.reserve([hold("h", asked(30))])

    assert store.settle([Settlement("h", [used(12)]), Settlement("h", [used(12)])]) == [True, False]
    assert stands(store) == Kept(12, 0)


def test_more_than_was_held(store):
    """What was used is spent, whatever the bound says: it has happened."""
    store.reserve([hold("h", asked(5, 0, 10))])
    store.settle([Settlement("h", [used(50)])])

    assert stands(store) == Kept(50, 0)


def test_hold_grows(store):
    """Asking again under a name adds to what it holds."""
    store.reserve([hold("h", asked(5)), hold("h", asked(6))])

    assert stands(store) == Kept(0, 11)
    store.settle([Settlement("h", [])])
    assert stands(store) == Kept(0, 0)


def test_lapse(store, house):
    """What nobody settles in time is spent in full, and held no more; a late end changes nothing."""
    store.reserve([hold("h", asked(30), lasts_s=SHORT)])
    house.pass_time(AFTER)

    assert stands(store) == Kept(30, 0)
    assert store.settle([Settlement("h", [used(1)])]) == [False]
    assert stands(store) == Kept(30, 0)


def test_a_hold_that_grows_lapses_later(store, house):
    """It lasts as long as it was told to the last time, and never shorter."""
    store.reserve([hold("h", asked(1), lasts_s=SHORT), hold("h", asked(1)), hold("h", lasts_s=SHORT)])
    house.pass_time(AFTER)

    assert stands(store) == Kept(0, 2)


def test_settled_as_held(store):
    """Where it is not known what was used, all of it was."""
    store.reserve([hold("h", asked(30))])

    assert store.settle([Settlement("h", None)]) == [True]
    assert stands(store) == Kept(30, 0)


def test_row_expires(store, house):
    """A row lives as long as it was told to; what is given back to one that is gone is nothing."""
    store.reserve([hold("h", Sum("r", "f", SHORT, 5), Sum("s", "f", SHORT, 5))])
    store.reserve([hold("g", Sum("s", "f", LONG, 1))])
    house.pass_time(AFTER)

    assert store.sums(["r"]) == [{}]
    assert stands(store, "s") == Kept(0, 6)
    store.settle([Settlement("h", [])])
    assert (stands(store), stands(store, "s")) == (Kept(0, 0), Kept(0, 1))


def test_large_numbers(store):
    """Numbers are exact up to the largest that all stores can count."""
    assert store.reserve([hold("h", asked(LARGEST - 1, 1, LARGEST), least=1, most=5)]) == [1]
    assert stands(store) == Kept(0, LARGEST)
    store.settle([Settlement("h", [used(LARGEST)])])
    assert stands(store) == Kept(LARGEST, 0)


def test_odd_names(store):
    """Names of rows, fields and holds may hold any sign but a line end."""
    odd = "a b:c/ü|\x00'"
    store.reserve([hold(odd, asked(3, row=odd, field=odd))])

    assert stands(store, odd, odd) == Kept(0, 3)
    store.settle([Settlement(odd, [used(2, row=odd, field=odd)])])
    assert store.sums([odd]) == [{odd: Kept(2, 0)}]


def test_reserve_is_atomic(store, other):
    """Fifty greenlets of two processes that ask at once never get more than the bound."""

    def ask(number: int) -> bool:
        mine = (store, other)[number % 2]
        [answer] = mine.reserve([hold(f"h{number}", asked(3, 1, 100), asked(1, field="g"), least=4, most=7)])
        return not isinstance(answer, Refusal)

    greenlets = [gevent.spawn(ask, one) for one in range(50)]
    gevent.joinall(greenlets, raise_error=True)

    assert stands(store).held <= 100
    assert stands(store, field="g").held == sum(one.value for one in greenlets)
    store.settle([Settlement(f"h{one}", [used(1)]) for one in range(50)])
    assert stands(store) == Kept(stands(store, field="g").spent + sum(one.value for one in greenlets), 0)


@same_state
@given(
    bound=st.integers(0, 60),
    steps=st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(-5, 20), st.integers(0, 3), st.integers(0, 4), st.integers(0, 30)
        ),
        max_size=12,
    ),
)
def test_law(house, store, bound, steps):
    """Whatever is asked for and settled: never past the bound, and spent is what was used."""
    row, spent, open_ = next(names), 0, {}
    for name, fixed, step, least, use in steps:
        hold_name = f"{row}-{name}"
        if name in open_ and use % 2:
            take = min(use, open_.pop(name))
            store.settle([Settlement(hold_name, [used(take, row=row)])])
            spent += take
            continue
        asked_for = hold(hold_name, asked(fixed, step, bound, row=row), least=least, most=least + 5)
        [answer] = store.reserve([asked_for])
        if not isinstance(answer, Refusal):
            assert least <= answer <= least + 5
            open_[name] = open_.get(name, 0) + max(0, fixed + answer * step)
        assert stands(store, row) == Kept(spent, sum(open_.values()))
        assert spent + sum(open_.values()) <= bound


def test_what_is_over_is_known_for_a_while(store, house):
    """Who asks again hears that it is over; of a name that was never held nothing is known."""
    store.reserve([hold("h", asked(1)), hold("lapsed", lasts_s=SHORT)])
    store.settle([Settlement("h", [])])
    house.pass_time(AFTER)

    ends = [Settlement(name, [used(1)]) for name in ("h", "lapsed", "never")]
    assert store.settle(ends) == [False, False, None]
    assert stands(store) == Kept(0, 0)


def test_what_is_over_is_not_held_again(store):
    """What was on its way when a hold ended comes too late."""
    store.reserve([hold("h", asked(1))])
    store.settle([Settlement("h", [])])

    assert store.reserve([hold("h", asked(5))]) == [Refusal(0, 0, 0)]
    assert stands(store) == Kept(0, 0)
