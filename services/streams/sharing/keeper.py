"""Leases: held for what this process makes, looked after for what nobody makes any more.

A process that dies or freezes renews nothing; a few seconds later another one finds its logs
lapsed, seizes them one by one, and sees to their ends. The frozen one, when it comes back, is
refused by the store: its epoch is old.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent.event import Event as Signal

from services.state.store import FencedError, Store, StoreDownError
from services.streams.clock import Clock
from services.streams.presence import Attendance
from services.streams.sharing.post import Message, Post
from services.streams.sharing.publisher import Publisher
from services.streams.sharing.remote import Remote

log = logging.getLogger("gloss.sharing")

LEASE_S = 6.0
RENEW_S = 2.0
# After a store was away others get so long to renew what they hold, before anybody seizes it.
GRACE_S = LEASE_S
CONFIRM_S = 1.0  # two calls to a store that does not answer, and some
GUEST_S = 10.0  # whoever was not heard of for so long reads no more: its process died
MOST_SEIZED = 100  # at a time; the others are still there in the next round


@dataclass
class _Guest:
    presence: Attendance
    heard_at: float


class Keeper:
    """Renews, listens and takes over; ``present`` finds who reads a stream made here."""

    def __init__(  # noqa: PLR0913 - it has as many to look after
        self,
        store: Store,
        clock: Clock,
        *,
        publisher: Publisher,
        remote: Remote,
        post: Post | None,
        take_over: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._remote = remote
        self._post = post
        self._take_over = take_over
        self._guests: dict[tuple[str, str], _Guest] = {}
        self.retired = False
        self._round = Signal()
        self._round_at = clock.monotonic()
        self._away_at = -math.inf
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Begin; twice is fine."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop in the middle of whatever it does."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)

    def heard(self, message: Message, presence: Attendance) -> None:
        """Note that somebody reads at another process, or no longer does."""
        key = (message.stream, message.sender)
        if message.op == "absent":
            guest = self._guests.pop(key, None)
            if guest is not None:
                guest.presence.leave()
        elif key in self._guests:
            self._guests[key].heard_at = self._clock.monotonic()
        else:
            self._guests[key] = _Guest(presence, self._clock.monotonic())
            presence.enter()

    def confirm(self) -> None:
        """Wait for the next round where the last one is so long ago that leases may have lapsed.

        A process that was frozen would else show what another one has decided differently since.
        While the store is away rounds go on, so nobody waits.
        """
        if self.doubtful():
            self._round.clear()
            self._round.wait(CONFIRM_S)

    def doubtful(self) -> bool:
        """Tell whether leases may have lapsed since the last round."""
        return self._clock.monotonic() - self._round_at > LEASE_S

    def _run(self) -> None:
        while True:
            try:
                self._duties()
            except StoreDownError:
                self._away_at = self._clock.monotonic()
            except Exception:
                log.exception("a round of the keeper failed")
            self._round_at = self._clock.monotonic()
            self._round.set()
            self._clock.sleep(RENEW_S)

    def _duties(self) -> None:
        self._renew()
        self._tell()
        self._forget()
        if not self.retired and self._clock.monotonic() - self._away_at > GRACE_S:
            self.sweep()

    def _renew(self) -> None:
        try:
            self._store.lease(self._publisher.running, LEASE_S)
        except FencedError as fenced:
            self._publisher.lose(fenced.logs)

    def _tell(self) -> None:
        if self._post is not None:
            for stream_id in self._remote.read_here:
                self._post.say("present", stream_id)

    def _forget(self) -> None:
        late = self._clock.monotonic() - GUEST_S
        for key, guest in list(self._guests.items()):
            if guest.heard_at < late:
                del self._guests[key]
                guest.presence.leave()

    def sweep(self) -> None:
        """Take over what nobody holds any more; raises StoreDownError."""
        for name in self._store.lapsed(MOST_SEIZED):
            epoch = self._store.seize(name, LEASE_S)
            if epoch is not None:
                self._take_over(name, epoch)
