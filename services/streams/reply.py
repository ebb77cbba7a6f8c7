"""The answer to one call: who is asked, who is asked again, and what then goes on.

        ┌──────── pause ◀── a failure that may pass, attempts and seconds are left
        ▼                        │
      ask ─▶ (nothing yet) ──────┴─▶ else the next model that the call fits ─▶ ask
        │
        └──▶ text ─▶ done                                              the whole answer
               └───▶ cut or stalled ─▶ ask the same again, swallow what was said
                                         ├─▶ said again: the rest goes on
                                         └─▶ anything else: the first failure

Before the first text nothing was promised, so another try or another model costs only time.
After it, what was passed on is never repeated, withdrawn or changed: only an answer that begins
with the very same text can go on, and only where the use case allows it. A continuation that is
asked for ("go on from here") would be another text, and is not tried.

Each request takes its part of what was reserved for the stream (``cost/reservation.py``). A call for
which too little is left says less, or nothing: that is the end of the budget, not a failure.

It happens once a stream. The calls that ran when the first of them broke count as one break: a
connection that is lost is often lost for all of them. Each of those is asked again at most once,
those that begin later are not. It stays within the stream's deadline, which ends whatever runs,
and within its allowance, which both attempts draw on: the request is the same to the letter, and
what passes the allowance is cut here.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TypeAlias

from services import llm
from services.cost.reservation import Grant
from services.errors import ProviderFailure, ProviderIncomplete, ProviderTimeout
from services.streams.attempt import Attempt, Terms
from services.streams.models import Model
from services.streams.retry import Tries
from services.streams.route import Planned
from services.streams.seam import Seam

Heard: TypeAlias = Generator[str, None, ProviderFailure | None]

BROKEN_OFF = (ProviderIncomplete, ProviderTimeout)


class Reply:
    """The answer to one call, read from the provider by whoever iterates it.

    ``said`` is the whole answer once it is complete, where it may have to be given again.
    """

    def __init__(self, terms: Terms, planned: Planned) -> None:
        self.reason: llm.DoneReason | None = None
        self.said: str | None = None
        self.curbed = planned.curbed
        self.wanted = planned.request.max_output_tokens
        self._terms = terms
        self._planned = planned
        self._granted: int | None = None
        self._lowered = False
        self._recovers = False
        self._made: list[Attempt] = []
        self._deltas = self._read()

    def __iter__(self) -> Iterator[str]:
        return self._deltas

    def close(self) -> None:
        """Close the provider; what it did not say is not paid for."""
        self._deltas.close()
        self._settle()  # a reading that never began has no ``finally``

    def reserve(self) -> int:
        """Take what it may say from the stream's allowance, once."""
        if self._granted is None:
            self._granted = self._terms.allowance.reserve(self.wanted)
            self.curbed = self.curbed or self._granted < self.wanted
        return self._granted

    def _settle(self) -> None:
        granted, self._granted = self._granted or 0, 0
        if granted:
            used = [attempt.used() for attempt in self._made]
            cut = self.reason == "length" and not self._lowered
            self._terms.allowance.settle(
                granted, lambda: min(granted, sum(tokens() for tokens in used)), cut=cut
            )
        if self.reason and self._recovers and self._made:
            self.said = "".join(self._made[-1].said)
        self._made.clear()

    def _read(self) -> Generator[str, None, None]:
        """Ask until somebody answers; raises the last failure.

        One generator more between the provider and the reader costs every piece of text its part.
        """
        granted = self.reserve()
        if not granted:
            self.reason = "length"
            return
        try:
            terms = self._terms
            self._recovers = terms.recovers
            tries = terms.retry.begin(terms.clock)
            ways = terms.route.ways(self._planned.limited_to(granted))
            attempt = self._ask(*next(ways))
            while attempt:
                failure = None
                try:
                    yield from attempt.deltas()
                except ProviderFailure as broke:
                    failure = broke
                if failure is None:
                    break
                if attempt.spoke:
                    attempt = yield from self._recovered(attempt, failure, tries)
                    break
                attempt = self._ask(*self._next(attempt, failure, tries, ways))
                if attempt is None:
                    raise failure
            self._end(attempt)
        finally:
            self._settle()

    def _end(self, attempt: Attempt | None) -> None:
        self.reason = attempt.reason if attempt else "length"
        if self.reason == "length" and self._lowered:
            self._terms.reservation.short = True

    def _ask(self, model: Model, planned: Planned) -> Attempt | None:
        """Return the next attempt, which may be allowed to say less; None where the budget allows none."""
        reservation, cap = self._terms.reservation, planned.request.max_output_tokens
        grant = reservation.take(reservation.ask(model, planned.input_tokens), cap)
        if grant is None or grant.lowered:
            self._lowered = self.curbed = True
        return None if grant is None else self._attempt(model, planned.limited_to(grant.output), grant)

    def _attempt(self, model: Model, planned: Planned, grant: Grant, cap: int | None = None) -> Attempt:
        """Return an attempt; ``cap`` where it may say less than it is asked for."""
        cap = grant.output if cap is None else cap
        attempt = Attempt(self._terms, model, planned, grant=grant, cap=cap, keeps=self._recovers)
        self._made.append(attempt)
        return attempt

    def _heard(self, attempt: Attempt, seam: Seam) -> Heard:
        """Pass on what an attempt says behind the seam; return how it failed, if it did."""
        try:
            with closing(attempt.deltas()) as deltas:
                yield from seam.behind(deltas)
        except ProviderFailure as failure:
            return failure
        return None

    def _next(
        self, attempt: Attempt, failure: ProviderFailure, tries: Tries, ways: Iterator[tuple[Model, Planned]]
    ) -> tuple[Model, Planned]:
        """Return who is asked next, and when it is time to; raises the failure if there is nobody."""
        pause = tries.pause_after(failure)
        if pause is not None:
            self._terms.retried("The provider failed before its first word; asked again.")
            self._terms.clock.sleep(pause)
            return attempt.model, attempt.planned
        way = next(ways, None) if failure.elsewhere else None
        if way is None:
            raise failure
        return way

    def _recovered(
        self, broken: Attempt, failure: ProviderFailure, tries: Tries
    ) -> Generator[str, None, Attempt]:
        """Ask the same again and pass on what is new; raises the first failure where that is nothing."""
        again = self._again(broken, failure, tries)
        if again is None:
            raise failure
        seam = Seam("".join(broken.said))
        another = yield from self._heard(again, seam)
        if not seam.closed:
            raise failure
        if another is not None:
            raise another
        return again

    def _again(self, broken: Attempt, failure: ProviderFailure, tries: Tries) -> Attempt | None:
        """Return the attempt that may take over, when it is time to; None where there may be none."""
        if not (self._recovers and isinstance(failure, BROKEN_OFF) and failure.retryable):
            return None
        said = broken.counted.output
        self._granted = (self._granted or 0) + self._terms.allowance.more(said)
        cap = min(broken.planned.request.max_output_tokens, self._granted - said)
        pause = tries.pause_before_recovery() if cap > said else None
        grant = None if pause is None else self._same(broken)
        if pause is None or grant is None:
            return None
        self._terms.recovers = False
        self._terms.retried("The answer broke off; asked again, to go on where it was.")
        self._terms.clock.sleep(pause)
        return self._attempt(broken.model, broken.planned, grant, cap)

    def _same(self, broken: Attempt) -> Grant | None:
        """Take the part of a request that is the same to the letter; None where the budget has it not."""
        reservation = self._terms.reservation
        ask = reservation.ask(broken.model, broken.planned.input_tokens)
        grant = reservation.take(ask, broken.planned.request.max_output_tokens)
        if grant is not None and grant.lowered:
            reservation.give_back(grant)
            return None
        return grant
