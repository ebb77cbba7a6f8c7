"""A round, once a second: which keys are there now, and what has to end because one is not any more.

A key that was withdrawn, or is over, takes its streams with it, its sockets, and its tokens: within
two rounds, in every process. So does a client token whose time is over, and what end users had that were
forgotten goes too. Where the store does not
answer, what is known stays known.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

import gevent

from services.state.store import StoreDownError
from services.streams.clock import Clock
from services.streams.registry import Streams
from services.streams.stream import Stream
from services.streams.subjects import cancel_all
from services.telemetry import log_failure
from services.web.callers import Caller
from services.web.forgotten import Forgotten
from services.web.keys import Keys
from services.web.rates import Rates

ROUND_S = 1.0

log = logging.getLogger("gloss.keys")


class Watch:
    """Looks after what was opened with a key; ``start`` it where a server runs."""

    def __init__(  # noqa: PLR0913 - what is looked after
        self,
        keys: Keys,
        streams: Streams,
        clock: Clock,
        *,
        rates: Rates,
        forgotten: Forgotten,
        erase: Callable[[str], None],
    ) -> None:
        """``erase(owner)`` takes what is there of an end user out of the store, or raises StoreDownError."""
        self._keys = keys
        self._rates = rates
        self._forgotten = forgotten
        self._erase = erase
        self._streams = streams
        self._clock = clock
        self._callers: WeakKeyDictionary[Stream, Caller] = WeakKeyDictionary()
        self._told: dict[Callable[[], None], None] = {}
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Go round until the process ends; twice is fine."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def began(self, stream: Stream, caller: Caller) -> bool:
        """Note whose key opened a stream: of two keys that own it, one may be withdrawn.

        Tells whether it began just now; else it is one that was joined.
        """
        new = not stream.is_copy and stream.log.end is None and stream not in self._callers
        self._callers.setdefault(stream, caller)
        return new

    def tell(self, told: Callable[[], None]) -> None:
        """Call ``told`` in each round; it must neither block nor raise."""
        self._told[told] = None

    def forget(self, told: Callable[[], None]) -> None:
        """Stop calling it; one that is not called is fine."""
        self._told.pop(told, None)

    def round(self) -> None:
        """Look once."""
        with suppress(StoreDownError):
            self._read()
            self._keys.note_use()
            self._rates.renew()
        for stream in self._streams.running:
            if not self._may_run(stream):
                stream.stop("cancelled")
        for told in tuple(self._told):
            told()

    def _read(self) -> None:
        try:
            self._keys.look()
        except ValueError as error:
            log_failure(log, "the store's keys cannot be read", error)
        for owner in self._forgotten.look():
            gevent.spawn(self._forget, owner)

    def _forget(self, owner: str) -> None:
        """Cancel what runs here for an end user, and take out what came of it since they were forgotten."""
        cancel_all(self._streams, owner)
        while True:
            try:
                self._erase(owner)
            except StoreDownError:
                self._clock.sleep(ROUND_S)
            else:
                return

    def _may_run(self, stream: Stream) -> bool:
        """Ask by what opened it; where that is not known it may run as long as any key owns it."""
        caller = self._callers.get(stream)
        if caller is None and stream.opener is not None:  # it was taken over
            caller = Caller.who_opened(stream.opener, stream.owner)
        return self._keys.owns(stream.owner) if caller is None else self._keys.is_live(caller)

    def _run(self) -> None:
        while True:
            self._clock.sleep(ROUND_S)
            try:
                self.round()
            except Exception as error:  # noqa: BLE001 - the next round may do better
                log_failure(log, "a round of the watch failed", error)
