"""Asking the store for holds: whoever comes while it is being asked goes with the next call.

A burst of two hundred requests would else be two hundred calls, one behind the other, of which
the last ones come too late.
"""

from contextlib import suppress

import gevent
from gevent.event import AsyncResult

from services.state import patience
from services.state.store import Store
from services.state.sums import Hold, Refusal

MOST = 50  # in one call: a server does nothing else meanwhile

Asked = tuple[Hold, "AsyncResult[int | Refusal]"]


class Asking:
    """One call at a time, and all that wait in the next; ``call_s`` is how long one may take."""

    def __init__(self, store: Store, call_s: float) -> None:
        self._store = store
        self._call_s = call_s
        self._busy = False
        self._waiting: list[Asked] = []

    def reserve(self, hold: Hold) -> int | Refusal:
        """Return the store's answer; raises StoreDownError.

        A request that has waited for the store before does not wait for others too.
        """
        if not self._busy:
            self._busy = True
            try:
                return self._store.reserve([hold])[0]
            finally:
                self._next()
        if patience.left() < 2 * self._call_s:
            return self._store.reserve([hold])[0]
        with patience.spent(2 * self._call_s):
            return self._with_others(hold)

    def _with_others(self, hold: Hold) -> int | Refusal:
        asked: Asked = (hold, AsyncResult())
        self._waiting.append(asked)
        try:
            answer: int | Refusal = asked[1].get()  # type: ignore[assignment]  # None is never set
        except BaseException:
            with suppress(ValueError):  # it is under way, or answered
                self._waiting.remove(asked)
            raise
        return answer

    def _next(self) -> None:
        if self._waiting:
            gevent.spawn(self._ask)
        else:
            self._busy = False

    def _ask(self) -> None:
        batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            answers = self._store.reserve([hold for hold, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked
            for _, result in batch:
                result.set_exception(error)
        else:
            for (_, result), answer in zip(batch, answers, strict=True):
                result.set(answer)
        finally:
            self._next()
