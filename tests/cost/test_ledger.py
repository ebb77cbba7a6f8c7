"""The ledger, with a store that can be asked how it stands."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost.accounts import Account, Quota
from services.cost.ledger import Ledger
from services.cost.reservation import LEAST_OUTPUT, Reservation
from services.errors import BudgetExhausted, Overloaded
from services.llm import Tokens
from services.state.database import Database
from services.state.memory import MemoryStore
from services.state.sqlite import SqliteStore
from services.state.store import StoreDownError
from services.state.sums import Hold, Kept, Sum
from tests.streams.calling import ledger_of, model_of

KEY = Account("key:k")
DAY = "account:{}:2026-01-02"
MODEL = model_of(None, usd=1)  # type: ignore[arg-type]  # nobody asks it
NO_PRICE = model_of(None, "free")  # type: ignore[arg-type]


class Shaky(MemoryStore):
    """Does what it is asked, or does not, and fails to say so."""

    fails: tuple[str, ...] = ()
    deaf = False

    def reserve(self, holds: Any) -> Any:
        return self._shaken("reserve", holds)

    def settle(self, settlements: Any) -> Any:
        return self._shaken("settle", settlements)

    def _shaken(self, verb: str, asked: Any) -> Any:
        fails = verb in self.fails
        answer = None if fails and self.deaf else getattr(super(), verb)(asked)
        if fails:
            raise StoreDownError
        return answer


def opened(ledger: Ledger, name: str = "s", account: Account = KEY) -> Reservation:
    return ledger.opened(name, (account,), key="k", use_case="u", model="m", lasts_s=60)


def stands(store: MemoryStore, name: str = "key:k", field: str = "tokens") -> Kept:
    [row] = store.sums([DAY.format(name)])
    return row.get(field, Kept(0, 0))


def limited(tokens: int) -> Account:
    return Account("key:k", Quota(tokens_day=tokens))


def use(reservation: Reservation, tokens: int = 5, *, reported: bool = True) -> None:
    grant = reservation.take(reservation.ask(MODEL, 10), 100)
    assert grant is not None
    used = Tokens(input=10, output=tokens)
    reservation.spend(grant, "m", used, MODEL.price(used), reported=reported)


def test_all_accounts_or_none() -> None:
    """Where one account has too little, nothing is held in the others."""
    store = MemoryStore()
    ledger = ledger_of(store, deployment=Account("deployment", Quota(tokens_day=1000)))
    with pytest.raises(BudgetExhausted, match="this key for this day"):
        opened(ledger, account=limited(20)).open(MODEL, [(10, 100)], 100)
    assert (stands(store), stands(store, "deployment")) == (Kept(0, 0), Kept(0, 0))


@pytest.mark.parametrize("fails", [(), ("reserve",), ("settle",), ("reserve", "settle")])
@pytest.mark.parametrize("deaf", [True, False])
def test_what_is_added_later_is_added_once(fails: tuple[str, ...], deaf: bool) -> None:
    """Whether the store heard it or not when it failed to answer."""
    store = Shaky()
    ledger = ledger_of(store)
    reservation = opened(ledger)
    use(reservation)
    reservation.settle("stop")
    store.fails, store.deaf = fails, deaf
    for _ in range(2):
        try:
            ledger.flush()
        except StoreDownError:
            assert fails
    store.fails = ()
    ledger.flush()
    assert (stands(store), ledger.waiting) == (Kept(15, 0), 0)


@pytest.mark.parametrize("deaf", [True, False])
@pytest.mark.parametrize("reported", [True, False])
def test_what_was_held_is_settled_once(deaf: bool, reported: bool) -> None:
    """The same for a hold whose end was not answered."""
    store = Shaky()
    ledger = ledger_of(store)
    reservation = opened(ledger, account=limited(1000))
    reservation.open(MODEL, [(10, 100)], 100)
    assert stands(store).held == 111  # an unknown vocabulary: a tenth more of the prompt
    use(reservation, reported=reported)
    store.fails, store.deaf = ("settle",), deaf
    reservation.settle("stop")
    assert ledger.waiting == 1
    store.fails = ()
    ledger.flush()
    assert stands(store) == Kept(15, 0)


def test_a_store_that_came_back_empty_is_told_all_the_same() -> None:
    """What was held there is forgotten, what was used is not."""
    before, after = MemoryStore(), MemoryStore()
    ledger = ledger_of(before)
    reservation = opened(ledger, account=limited(1000))
    reservation.open(MODEL, [(10, 100)], 100)
    use(reservation)
    ledger._store = after  # noqa: SLF001 - as if it were the same one, emptied
    reservation.settle("stop")
    ledger.flush()
    assert stands(after) == Kept(15, 0)


def test_released() -> None:
    """A stream that did not begin leaves nothing."""
    store = MemoryStore()
    ledger = ledger_of(store)
    reservation = opened(ledger, account=limited(1000))
    reservation.open(MODEL, [(10, 100)], 100)
    ledger.release(reservation)
    ledger.flush()
    assert (stands(store), stands(store, "deployment")) == (Kept(0, 0), Kept(0, 0))


@pytest.mark.parametrize("deaf", [True, False])
def test_refused_while_the_store_is_away(deaf: bool) -> None:
    """Where it may have heard, the hold is given back as soon as it answers."""
    store = Shaky()
    ledger = ledger_of(store)
    store.fails, store.deaf = ("reserve",), deaf
    with pytest.raises(Overloaded):
        opened(ledger, account=limited(1000)).open(MODEL, [(10, 100)], 100)
    store.fails = ()
    ledger.flush()
    assert stands(store) == Kept(0, 0)


@pytest.mark.parametrize("deaf", [True, False])
def test_let_in_while_the_store_is_away(deaf: bool) -> None:
    """What was used is charged once, whether the store heard of the hold or not."""
    store = Shaky()
    ledger = ledger_of(store, keeps_on=True)
    store.fails, store.deaf = ("reserve",), deaf
    reservation = opened(ledger, account=limited(1000))
    reservation.open(MODEL, [(10, 100)], 100)
    store.fails = ()
    use(reservation)
    reservation.settle("stop")
    ledger.flush()
    assert stands(store) == Kept(15, 0)


def test_many_calls_are_one_reservation() -> None:
    """The prompts of all, and the output of all, which the stream's cap bounds (S10)."""
    store = MemoryStore()
    reservation = opened(ledger_of(store), account=limited(100_000))
    reservation.open(MODEL, [(10, 100)] * 50, 2_000)
    assert stands(store).held == 50 * 11 + 2_000


def test_the_least() -> None:
    """A call that cannot have so many tokens is not begun; one that wants fewer can."""
    ledger = ledger_of()
    with pytest.raises(BudgetExhausted):
        opened(ledger, "a", limited(11 + LEAST_OUTPUT - 1)).open(MODEL, [(10, 100)], 100)
    opened(ledger, "b", Account("key:b", Quota(tokens_day=11 + LEAST_OUTPUT))).open(MODEL, [(10, 100)], 100)
    opened(ledger, "c", Account("key:c", Quota(tokens_day=11 + 3))).open(MODEL, [(10, 3)], 3)


def test_a_price_of_its_own() -> None:
    """Money is held at full price, and settled to what was paid."""
    store = MemoryStore()
    account = Account("key:k", Quota(usd_day=Decimal(500)))
    reservation = opened(ledger_of(store), account=account)
    reservation.open(MODEL, [(10, 100)], 100)
    assert stands(store, field="usd").held == 111 * 10**9
    use(reservation)
    reservation.settle("stop")
    assert stands(store, field="usd") == Kept(15 * 10**9, 0)


@given(
    budget=st.integers(0, 600),
    calls=st.lists(
        st.tuples(
            st.integers(1, 60),
            st.integers(1, 200),
            st.integers(0, 200),
            st.sampled_from(["told", "cut", "free"]),
        ),
        max_size=12,
    ),
)
def test_what_is_asked_for_never_passes_the_budget(
    budget: int, calls: list[tuple[int, int, int, str]]
) -> None:
    """Whatever calls ask for, use, report, break off or are refused."""
    store = MemoryStore()
    reservation = opened(ledger_of(store), account=limited(budget))
    worst = used = 0
    for prompt, cap, says, how in calls:
        grant = reservation.take(reservation.ask(MODEL, prompt), cap)
        if grant is None:
            continue
        assert min(cap, LEAST_OUTPUT) <= grant.output <= cap
        assert worst + prompt + grant.output <= budget
        tokens = Tokens(input=prompt, output=min(says, grant.output))
        if how == "free":
            reservation.give_back(grant)
            continue
        reservation.spend(grant, "m", tokens, MODEL.price(tokens), reported=how == "told")
        used += tokens.input + tokens.output
        worst += tokens.input + (tokens.output if how == "told" else grant.output)
        assert worst <= stands(store).held <= budget
    reservation.settle("stop")
    reservation._ledger.flush()  # type: ignore[attr-defined]  # noqa: SLF001 - where nothing was held
    assert stands(store) == Kept(used, 0)


@pytest.mark.R18
def test_disk_full(tmp_path: Path) -> None:
    """Limits hold by what can still be read, bills wait, and all is stored when there is room again."""
    file = Database(tmp_path / "gloss.db")
    store = SqliteStore(file)
    ledger = ledger_of(store, keeps_on=True)
    first = opened(ledger, "first", limited(200))
    first.open(MODEL, [(10, 100)], 100)
    file.ask(lambda db: db.execute("PRAGMA max_page_count = 1").fetchall())
    for size in (500, 50, 1):  # what is left of its pages is used up by ever smaller rows
        with suppress(StoreDownError):
            for number in range(1_000):
                store.reserve([Hold(f"{size}-{number}", [Sum("x" * size + f"{number}", "f", 1e6, 1)], 1e6)])
    second = opened(ledger, "second", limited(200))
    second.open(MODEL, [(10, 70)], 70)
    assert second.alone
    with pytest.raises(BudgetExhausted):
        opened(ledger, "third", limited(200)).open(MODEL, [(10, 70)], 70)
    for reservation in (first, second):
        use(reservation)
        reservation.settle("stop")
    with pytest.raises(StoreDownError):
        ledger.flush()
    file.ask(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())
    ledger.flush()
    assert stands(store) == Kept(30, 0)  # type: ignore[arg-type]  # it has the same verbs
    store.close()


def test_an_hour_later_is_another_minute() -> None:
    """Who pays is looked up for a minute, and not for the same minute of another hour."""
    now = [datetime(2026, 1, 2, 23, 4, tzinfo=UTC)]
    ledger = ledger_of(now=lambda: now[0])
    rows = []
    for _ in range(2):
        rows.append(opened(ledger).payer.windows[0].row)
        now[0] += timedelta(hours=1)
    assert rows == [DAY.format("key:k"), "account:key:k:2026-01-03"]
