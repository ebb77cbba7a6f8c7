"""The ledger: who has used how much of what, and what is reserved.

Reservations of accounts with limits are held in the store before a provider is asked, and settled
there before the stream's end is written: whoever has read an end finds it in the accounts. All
else is added later, in batches. What cannot be stored waits here until the store is back; each
batch has a name by which the store knows whether it has it already.

A reservation that nobody settles lapses some time after its stream must have ended, and counts as
used in full: its process died, and nobody knows what the provider did.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import gevent
from gevent.event import Event as Signal
from gevent.lock import RLock

from services.cost.accounts import Account
from services.cost.asking import Asking
from services.cost.batches import Batch, Later, all_used
from services.cost.history import LOST, filed_if_lost
from services.cost.paying import Label, Payer, State
from services.cost.refusals import Short, exhausted
from services.cost.reservation import Grant, Reservation, Wanted
from services.cost.standing import Standing
from services.cost.tally import Price
from services.cost.windows import AFTER_S, Window, day_and_month, windows
from services.errors import GlossError, Overloaded
from services.llm import Tokens
from services.state.memory_sums import MemorySums
from services.state.store import Store, StoreDownError
from services.state.sums import NOTHING, Hold, Kept, Refusal, Settlement, Sum, Used, amount
from services.telemetry import log_failure

log = logging.getLogger("gloss.ledger")

BATCH_S = 0.25  # what comes within it is added in one call
AWAY_S = 1.0  # between two tries while the store is away
KEPT = timedelta(seconds=AFTER_S)  # days and months that ended before this are gone by themselves
MINUTE_S = 60  # windows change with it
MOST = 100  # ends in one call
BATCH_KEPT_S = 30 * 86_400.0  # for a store that is away so long


def _within(one: Sum, known: Mapping[str, Mapping[str, Kept]]) -> Sum:
    if one.most is None:
        return one
    kept = known[one.row].get(one.field, NOTHING)
    return one._replace(most=max(0, one.most - kept.spent - kept.held))


class Ledger:
    """One process's part in it.

    ``keeps_on`` tells what becomes of limits while the store is away: this process counts by itself,
    or refuses to begin what is limited. ``kept_s`` is how long the history is kept, ``call_s`` how long
    one call of the store may take.
    """

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        store: Store,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        deployment: Account,
        keeps_on: bool,
        kept_s: float,
        call_s: float = 0.0,
    ) -> None:
        self._store = store
        self._asking = Asking(store, call_s)
        self._now = now
        self._sleep = sleep
        self.deployment = deployment
        self._keeps_on = keeps_on
        self._kept_s = kept_s
        self._alone = MemorySums(monotonic)  # while the store is away
        self._payers: dict[tuple[object, ...], Payer] = {}
        self._minute = 0
        self._later = Later(kept_s)
        self._batches: list[Batch] = []
        self._ends: list[Settlement] = []
        self._signal = Signal()
        self._storing = RLock()
        self._greenlet: gevent.Greenlet[[], None] | None = None

    @property
    def waiting(self) -> int:
        """Return how many streams wait to be stored, more or less: many where the store is away."""
        return len(self._later) + len(self._ends) + sum(batch.streams for batch in self._batches)

    def opened(  # noqa: PLR0913 - what is known of a stream
        self, name: str, accounts: tuple[Account, ...], *, key: str, use_case: str, model: str, lasts_s: float
    ) -> Reservation:
        """Return a stream's reservation, which holds nothing yet and lapses ``lasts_s`` after it grew."""
        now = self._now()
        minute = int(now.timestamp() // MINUTE_S)
        if minute != self._minute:
            self._minute, self._payers = minute, {}
        about = (accounts, key, use_case, model)
        payer = self._payers.get(about)
        if payer is None:
            label = Label(day=f"{now:%Y-%m-%d}", key=key, use_case=use_case, model=model)
            payer = self._payers[about] = Payer.of(label, windows((*accounts, self.deployment), now))
        return self.resumed(name, State(payer=payer, lasts_s=lasts_s))

    def resumed(self, name: str, state: State) -> Reservation:
        """Return the reservation of a stream that another process has begun."""
        return Reservation(self, name, state)

    def hold(self, reservation: Reservation, wanted: Wanted) -> int | Short:
        """Reserve in all accounts or in none; return how much output, or what stands against it.

        Raises Overloaded where the store is away, and a stream of somebody with limits cannot begin.
        """
        tokens, nano = (wanted.tokens, 1), (wanted.nano_usd, wanted.nano_usd_each)
        priced = nano if any(nano) else None
        payer = reservation.payer
        pairs = [(window, one) for window in payer.windows for one in window.sums(tokens, priced)]
        lost = filed_if_lost(
            payer.label, wanted.model, tokens, priced, first=not (reservation.held or reservation.shared)
        )
        sums = (*(one for _, one in pairs), *(Sum(*place, self._kept_s, *each) for place, each in lost))
        hold = Hold(reservation.name, sums, reservation.lasts_s, wanted.least, wanted.most)
        try:
            answer = self._asking.reserve(hold)
        except StoreDownError:
            answer = self._hold_alone(reservation, hold)
        else:
            reservation.held = reservation.held or not isinstance(answer, Refusal)
        if not isinstance(answer, Refusal):
            return answer
        window, against = pairs[answer.place]
        needed = amount(against, wanted.least)
        return Short(window, needed, against.most, answer.spent, answer.held)

    def _hold_alone(self, reservation: Reservation, hold: Hold) -> int | Refusal:
        """Count here while the store is away; what runs already goes on in any case."""
        reservation.unsure = not reservation.held
        if reservation.unsure and not self._keeps_on:
            self._settle_later(Settlement(hold.name, ()))
            raise Overloaded("The store cannot be reached, and budgets are kept there.", quotas="closed")
        reservation.alone = True
        [answer] = self._alone.reserve([self._as_known(hold)])
        return answer

    def _as_known(self, hold: Hold) -> Hold:
        """Return a hold within what the store has left, if it can still be read: a full disk can."""
        rows = list({one.row for one in hold.sums if one.most is not None})
        try:
            known = dict(zip(rows, self._store.sums(rows), strict=True))
        except StoreDownError:
            return hold
        return hold._replace(sums=[_within(one, known) for one in hold.sums])

    def settle(self, reservation: Reservation, ended: str) -> None:
        """Add what was used to all accounts, and give back what was held; waits for the store then.

        Nothing ``ended`` where it is no stream of its own: what was used counts, and no stream does.
        """
        if not (reservation.held or reservation.unsure):
            self._later.add(reservation.payer, reservation.used, ended)
            self._wake()
            return
        used = self._used(reservation, ended)
        if reservation.alone:
            self._alone.settle([Settlement(reservation.name, used)])
        end = Settlement(reservation.name, used)
        try:
            self._settle([end])
        except BaseException as error:  # a stop may come now; settling twice is settling once
            self._settle_later(end)
            if not isinstance(error, StoreDownError):
                raise

    def release(self, reservation: Reservation) -> None:
        """Give back all that is held for a stream that did not begin."""
        if reservation.alone:
            self._alone.settle([Settlement(reservation.name, ())])
        if reservation.held or reservation.unsure:
            self._settle_later(Settlement(reservation.name, ()))

    def lost(self, reservation: Reservation, tokens: Tokens, price: Price) -> None:
        """Charge a stream whose process died with it: all that is held, or else what came of it."""
        if reservation.held:
            self._settle_later(Settlement(reservation.name, None))
            return
        model = reservation.payer.label.model
        nothing = Grant(0, 0, 0, lowered=False)
        reservation.spend(nothing, model, tokens, price(tokens), reported=False)
        self.settle(reservation, LOST)

    def exhausted(self, short: Short) -> GlossError:
        """Return the problem of a budget that does not allow a request."""
        return exhausted(short, self._now().timestamp())

    def standing(self, account: Account) -> list[Standing]:
        """Return how an account stands today and this month; raises StoreDownError."""
        return [Standing.of(*found) for found in self.rows(day_and_month(account, self._now()))]

    def rows(self, spans: Sequence[Window]) -> Iterator[tuple[Window, Mapping[str, Kept]]]:
        """Return the sums of these windows, with all that waits here; raises StoreDownError."""
        self.flush()
        return zip(spans, self._store.sums([window.row for window in spans]), strict=True)

    def forget(self, account: str) -> None:
        """Keep no figures of an account; what others paid with it stays theirs. Raises StoreDownError."""
        self.flush()
        now = self._now()
        rows = {window.row for at in (now, now - KEPT) for window in day_and_month(Account(account), at)}
        self._alone.drop(rows)
        self._store.drop(rows)

    def flush(self) -> None:
        """Store all that waits; raises StoreDownError."""
        with self._storing:
            while self._ends:
                self._settle(self._ends[:MOST])
                del self._ends[:MOST]
            if self._later:
                self._batches.append(self._later.take())
            while self._batches:
                self._store_batch(self._batches[0])
                del self._batches[0]

    def _store_batch(self, batch: Batch) -> None:
        """Add a batch, once: a name that the store knew and does not know any more has been settled."""
        there = None
        while there is None:  # it is not known where the store came back empty
            if not batch.known:
                self._store.reserve([Hold(batch.name, (), BATCH_KEPT_S)])
                batch.known = True
            [there] = self._store.settle([Settlement(batch.name, batch.used)])
            batch.known = there is not None

    def _settle(self, ends: Sequence[Settlement]) -> None:
        there = self._store.settle(ends)
        for settlement, was_there in zip(ends, there, strict=True):
            if was_there is None and settlement.used:  # the store never heard of it, or has forgotten it
                self._batches.append(Batch(settlement.used, 1))
                self._wake()

    def _used(self, reservation: Reservation, ended: str) -> list[Used]:
        return all_used(reservation.payer, reservation.used, {ended: 1} if ended else {}, kept_s=self._kept_s)

    def _settle_later(self, end: Settlement) -> None:
        self._ends.append(end)
        self._wake()

    def _wake(self) -> None:
        self._signal.set()
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            self._signal.wait()
            self._sleep(BATCH_S)
            self._signal.clear()
            try:
                self.flush()
            except StoreDownError:
                log.warning("the store cannot be reached; %d sums of the ledger wait", self.waiting)
                self._signal.set()
                self._sleep(AWAY_S)
            except Exception as error:  # noqa: BLE001 - what it left is tried again with what comes next
                log_failure(log, "a batch of the ledger failed", error)
