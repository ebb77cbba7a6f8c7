"""One key, one stream: who came first with an idempotency key, or with a key that supersedes.

A claim is made atomically before anything is charged. Whoever loses the race joins the winner's
stream. A refusal frees the key; a claim whose stream never began expires by itself.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent
import msgspec

from services.errors import Discarded, IdempotencyMismatch, NotFound, Overloaded, ProviderIncomplete
from services.state.store import Store, StoreDownError
from services.streams.clock import Clock
from services.streams.registry import Streams
from services.streams.stream import Stream
from services.streams.subjects import note

CLAIM_S = 10.0  # between claim and start; a process that died in between keeps nobody waiting longer
KEPT_S = 86_400.0  # protocol: keys live for 24 h
BACK_S = 1.5  # a store that did not answer in time mostly does by then
LOST_S = 2.0  # a stream that has begun can be found by then, unless its process died
LOOK_S = 0.05  # between two looks for a stream that is just being opened, perhaps elsewhere


class _Claim(msgspec.Struct, frozen=True, kw_only=True):
    fingerprint: str
    stream: str
    started: bool = False


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(_Claim).decode


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A caller's idempotency key, and what it stands for: the path and the body."""

    key: str
    path: str
    body: Any

    @property
    def fingerprint(self) -> str:
        """Return a hash of what is asked for, the same however the JSON was written."""
        canonical = msgspec.json.encode([self.path, self.body], order="deterministic")
        return hashlib.sha256(canonical).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What keys stand for; they belong to the caller that used them."""

    store: Store
    clock: Clock
    streams: Streams

    def is_known(self, key: str, owner: str) -> bool:
        """Tell whether the caller has used this key already; raises StoreDownError."""
        return self.store.get(_key("once", owner, key)) is not None

    def joined(self, wish: Wish, stream_id: str, owner: str) -> Stream | None:
        """Claim the key for this stream; return the stream to join where another was first.

        Raises IdempotencyMismatch for another body, Discarded where its answer was taken back,
        ProviderIncomplete where a crash took the first stream, Overloaded where its fate cannot be known
        yet, StoreDownError.
        """
        key, ours = _key("once", owner, wish.key), _Claim(fingerprint=wish.fingerprint, stream=stream_id)
        since = self.clock.monotonic()
        while not self._claimed(key, encode(ours), owner):
            value = self.store.get(key)
            if value is None:
                continue  # it was freed just now
            claim = decode(value)
            if claim.fingerprint != ours.fingerprint:
                raise IdempotencyMismatch
            found = self.streams.find(claim.stream, owner)
            if found is not None and found.gone:
                raise Discarded
            if found is not None:
                return found
            self._be_patient(claim, self.clock.monotonic() - since)
            self.clock.sleep(LOOK_S)
        return None

    def _claimed(self, key: str, claim: bytes, owner: str) -> bool:
        """Claim a key; where it is not known whether that was heard, it is taken back as soon as can be."""

        def take_back() -> None:
            gevent.spawn(self._free, key, claim)

        try:
            note(self.store, owner, key, KEPT_S)
            return self.store.swap(key, None, claim, CLAIM_S)
        except StoreDownError:
            self.clock.later(BACK_S, take_back)
            raise

    def _find(self, stream_id: str, owner: str) -> Stream | None:
        try:
            return self.streams.get(stream_id, owner)
        except NotFound:
            return None

    @staticmethod
    def _be_patient(claim: _Claim, waited_s: float) -> None:
        if claim.started and waited_s > LOST_S:
            raise ProviderIncomplete("The first answer to this key was lost with the process that made it.")
        if waited_s > CLAIM_S:
            raise Overloaded("The first request with this key is still being opened.", retry_after_s=1)

    @contextmanager
    def held(self, wish: Wish, stream_id: str, owner: str) -> Iterator[Callable[[], None]]:
        """Free the claim if the stream is refused; what is yielded keeps it for a day.

        It is called before the first call is made, so that no answer is paid for twice; it raises
        Overloaded where opening took so long that another request has the key by now.
        """
        key = _key("once", owner, wish.key)
        ours = _Claim(fingerprint=wish.fingerprint, stream=stream_id)
        started = encode(msgspec.structs.replace(ours, started=True))
        try:
            yield lambda: self._keep(key, encode(ours), started)
        except BaseException:
            self._free(key, encode(ours), started)
            raise

    def _keep(self, key: str, claimed: bytes, started: bytes) -> None:
        if not any(self.store.swap(key, before, started, KEPT_S) for before in (claimed, None)):
            raise Overloaded("Another request with this key came first.", retry_after_s=1)

    def _free(self, key: str, *claims: bytes) -> None:
        try:
            for claim in claims:
                self.store.swap(key, claim, None, CLAIM_S)
        except StoreDownError:
            return  # it expires by itself

    def supersede(self, wished: str, stream_id: str, owner: str, kept_s: float) -> Stream | None:
        """Let this stream take a key's place; return the stream that had it, if it still can be read.

        Raises StoreDownError.
        """
        key = _key("latest", owner, wished)
        note(self.store, owner, key, kept_s)
        while True:
            before = self.store.get(key)
            if self.store.swap(key, before, stream_id.encode(), kept_s):
                break
        return None if before is None else self._find(before.decode(), owner)

    def is_latest(self, wished: str, stream_id: str, owner: str) -> bool:
        """Tell whether no later stream has taken the key's place; where the store is away, none has."""
        try:
            return self.store.get(_key("latest", owner, wished)) == stream_id.encode()
        except StoreDownError:
            return True


def _key(kind: str, owner: str, wished: str) -> str:
    """Return the store's name for a caller's key: no letter of it is kept."""
    return f"{kind}:{owner}:{hashlib.sha256(wished.encode()).hexdigest()}"
