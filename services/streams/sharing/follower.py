"""Reads what other processes put into the store: lines of their logs, messages to this one.

One blocking call for all of it, on one connection, however many logs and readers there are.
"""

import logging
from collections.abc import Callable

import gevent

from services.state.store import BEGINNING, Shared, StoreDownError
from services.streams.clock import Clock
from services.telemetry import log_failure

log = logging.getLogger("gloss.sharing")

WAIT_S = 5.0  # of one call; a message to the own inbox ends it sooner
AWAY_S = 0.5
MESSAGE_S = 60.0  # a message that nobody has read by then is about nothing any more

Deliver = Callable[[bytes], None]


class Follower:
    """One greenlet; ``receive`` gets the messages to ``inbox``."""

    def __init__(self, store: Shared, clock: Clock, inbox: str, receive: Deliver) -> None:
        self.inbox = inbox
        self._store = store
        self._clock = clock
        self._positions = {inbox: BEGINNING}
        self._deliver: dict[str, Deliver] = {inbox: receive}
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Begin to listen; twice is fine."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop in the middle of whatever it does."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)

    def follow(self, log_name: str, after: int, deliver: Deliver) -> None:
        """Deliver the lines that follow that number, until ``leave``."""
        self.start()
        self._positions[log_name] = str(after)
        self._deliver[log_name] = deliver

    def leave(self, log_name: str) -> None:
        """Want no more of it; twice is fine."""
        self._positions.pop(log_name, None)
        self._deliver.pop(log_name, None)

    def _run(self) -> None:
        while True:
            try:
                records = self._store.follow(dict(self._positions), WAIT_S)
            except StoreDownError:
                self._clock.sleep(AWAY_S)
                continue
            except Exception as error:  # noqa: BLE001 - a reply that nobody foresaw must not make it deaf
                log_failure(log, "what others wrote could not be read", error)
                self._clock.sleep(AWAY_S)
                continue
            for name, position, record in records:
                if name in self._positions:
                    self._positions[name] = position
                    self._hand(name, record)

    def _hand(self, name: str, record: bytes) -> None:
        try:
            self._deliver[name](record)
        except Exception:  # noqa: BLE001 - one bad record must not silence all others
            log.error("a record of the store could not be used")  # noqa: TRY400 - its traceback may quote it
