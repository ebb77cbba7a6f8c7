"""Leases: held for what this process makes, looked after for what nobody makes any more.

A process that dies or freezes renews nothing; a few seconds later another one finds its logs
lapsed, seizes them one by one, and sees to their ends. The frozen one, when it comes back, is
refused by the store: its epoch is old.
"""

import logging
import math
import secrets
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
from services.telemetry import log_failure

log = logging.getLogger("gloss.sharing")

LEASE_S = 6.0
RENEW_S = 2.0
# After a store was away others get so long to renew what they hold, and to say whom they read.
GRACE_S = LEASE_S
# Who has just started does not know whether it was: others come back within a round and a rest of theirs.
BOOT_S = 3.5
CONFIRM_S = 3.0  # to be sure again after a freeze: a call that fails, a rest, a round
GUEST_S = 6.0  # whoever was not heard of for so long reads no more: its process died
MOST_SEIZED = 100  # at a time
DAY_S = 86_400.0


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
        self._mark = f"process:{secrets.token_hex(8)}"
        self._round_at = clock.monotonic()
        self._sure = Signal()
        self._sure.set()
        self._unsure_until = -math.inf
        self._quiet_until = self._round_at + BOOT_S
        self._known = False
        self.retired = False
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
                guest.presence.leave(held_s=message.held_s)
        elif key in self._guests:
            self._guests[key].heard_at = self._clock.monotonic()
        else:
            self._guests[key] = _Guest(presence, self._clock.monotonic())
            presence.enter()

    def confirm(self) -> None:
        """Wait where this process was frozen, until it knows which streams are still its own.

        It would else show what another one has decided differently since. Without a store nobody
        can be asked, and nobody waits for longer than a moment.
        """
        now = self._clock.monotonic()
        self._look_at(now)
        if now < self._unsure_until:
            self._sure.wait(self._unsure_until - now)

    def _look_at(self, now: float) -> None:
        if now - self._round_at > LEASE_S and self._sure.is_set():
            self._sure.clear()
            self._unsure_until = now + CONFIRM_S
            self._quiet_until = now + GRACE_S

    def doubtful(self) -> bool:
        """Tell whether ``confirm`` would wait, or would have to look whether it must."""
        now = self._clock.monotonic()
        return now < self._unsure_until or now - self._round_at > LEASE_S

    def _run(self) -> None:
        while True:
            began = self._clock.monotonic()
            try:
                self._renew()
                self._look_at(self._clock.monotonic())
                self._round_at = began
                self._duties()
            except StoreDownError:
                self._look_at(self._clock.monotonic())
                self._known = False
                self._quiet_until = self._clock.monotonic() + GRACE_S
            except Exception as error:  # noqa: BLE001 - the next round may do better
                log_failure(log, "a round of the keeper failed", error)
            self._round_at = began
            self._clock.sleep(RENEW_S)

    def _duties(self) -> None:
        self._know()
        self._tell()
        if self._clock.monotonic() > self._quiet_until:
            self._forget()
            self.sweep()

    def _know(self) -> None:
        """Find out how our logs stand, where that is not known: after a freeze, and in a store that is empty.

        A store that was emptied between two calls does not show it but by the mark that is missing.
        """
        emptied = self._store.get(self._mark) is None
        if emptied or not self._sure.is_set() or not self._known:
            self._publisher.check(emptied=emptied)
            self._store.put(self._mark, b"", DAY_S)
        self._known = True
        self._unsure_until = -math.inf
        self._sure.set()

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
        """Take over what nobody holds any more, for as long as a round may last; raises StoreDownError."""
        until = self._clock.monotonic() + RENEW_S
        while self._clock.monotonic() <= until:
            seized = [self._seize(name) for name in self._store.lapsed(MOST_SEIZED)]
            if not any(seized):
                return

    def _seize(self, name: str) -> bool:
        epoch = None if self.retired else self._store.seize(name, LEASE_S)
        if epoch is None:
            return False  # somebody was faster
        try:
            self._take_over(name, epoch)
        except StoreDownError:
            raise
        except Exception as error:  # noqa: BLE001 - one that cannot be read must not keep the others waiting
            log_failure(log, "a stream could not be taken over", error)
        return True
