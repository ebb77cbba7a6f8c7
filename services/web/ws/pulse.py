"""Keeps a silent socket alive, and finds out when nobody is there any more."""

import logging
from typing import Protocol

import gevent

from services.streams.clock import Alarm, Clock, Timer

log = logging.getLogger("gloss.web")

PATIENCE = 2  # heartbeats that a ping may go without an answer


class Peer(Protocol):
    """What is asked of the other side; bytes are counted from the beginning."""

    given: int

    def taken(self) -> int:
        """Return how many of the given bytes have arrived there."""

    def ping(self) -> bool:
        """Send a ping; tell whether one was sent."""

    def cut(self) -> None:
        """Break it off; called from the hub."""


class Pulse:
    """Pings when nothing was sent for a heartbeat, cuts when nothing was heard for two after that.

    Whatever is heard is an answer: who is sending a long frame cannot answer in its middle. A ping
    that stands behind bytes which a slow reader has not taken yet cannot be answered either: it
    waits on as long as some of them are taken. And who is not ``listening`` cannot know.
    """

    def __init__(self, clock: Clock, heartbeat_s: float, peer: Peer) -> None:
        """Begin."""
        self.listening = False
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._peer = peer
        self._heard = False
        self._before = 0  # bytes that were given before the ping
        self._taken = 0  # of all bytes, when it was last looked
        self._patience: Timer | None = None
        self._silence = Alarm(clock, heartbeat_s, self._ring)

    def sent(self) -> None:
        """Note that something was sent."""
        self._silence.touch()

    def heard(self) -> None:
        """Note that something came."""
        self._heard = True

    def close(self) -> None:
        """Ping no more, wait for nothing."""
        self._silence.close()
        if self._patience is not None:
            self._patience.close()

    def _ring(self) -> None:
        self._silence.restart(self._heartbeat_s)
        gevent.spawn(self._ask)

    def _ask(self) -> None:
        before, taken = self._peer.given, self._peer.taken()
        if not self._peer.ping() or self._patience is not None:
            return
        self._heard, self._before, self._taken = False, before, taken
        self._wait()

    def _wait(self) -> None:
        self._patience = self._clock.later(PATIENCE * self._heartbeat_s, self._look)

    def _look(self) -> None:
        self._patience = None
        if self._heard or not self.listening:
            return
        taken = self._peer.taken()
        if self._taken < self._before and taken > self._taken:
            self._taken = taken
            self._wait()
        else:
            log.info("cut a WebSocket that answered no ping for %g s", PATIENCE * self._heartbeat_s)
            self._peer.cut()
