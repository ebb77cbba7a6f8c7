"""Whole answers, kept for a while where all processes find them.

They lie in a fixed number of buckets, each one value of the store, so that the whole never takes
more than was allowed, however many processes write and whatever store it is: nobody has to count.
An answer's key names its bucket. A full bucket drops what was kept first.

Nothing waits for it longer than for one call of the store, and nothing needs it: a store that is
away, or a bucket that cannot be read, is a miss.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import gevent
import msgspec

from services.state import patience
from services.state.store import Store, StoreDownError
from services.streams.clock import Clock

TRIES = 3  # to replace a bucket that others replace at the same time
LONG_BYTES = 32 * 1024  # more is packed off the hub: about a millisecond of everybody's time
PACKS_BY = 20  # events of a few letters pack into less than a tenth: what could not fit is not tried


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an answer's log held between its start and its end, and what its prompts weighed."""

    input_tokens: int
    lines: tuple[bytes, ...]


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    key: str
    owner: str
    until: float  # seconds since 1970: other processes, and this one after a restart, have to know them
    input_tokens: int
    packed: bytes


Bucket = list[_Kept]
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Bucket).decode


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Answers by their keys: all of them within ``total_bytes``, a bucket of them within ``bucket_bytes``.

    Each for ``kept_s`` seconds. No room for one bucket: nothing is kept.
    """

    store: Store
    clock: Clock
    total_bytes: int
    bucket_bytes: int
    kept_s: float

    @property
    def buckets(self) -> int:
        """Return in how many values of the store the answers lie."""
        return self.total_bytes // self.bucket_bytes

    @property
    def longest(self) -> int:
        """Return how many bytes of events might fit, packed well."""
        return PACKS_BY * self.bucket_bytes if self.buckets else 0

    def get(self, key: str) -> Answer | None:
        """Return the answer of that key, None where there is none to be had.

        A request that has waited for the store already keeps its patience for what it needs.
        """
        if not self.buckets or not patience.is_fresh():
            return None
        try:
            _, bucket = self._read(self._name(key))
            found = [one for one in bucket if one.key == key]
            lines = [zlib.decompress(one.packed).splitlines(keepends=True) for one in found]
        except (StoreDownError, zlib.error):
            return None
        return Answer(input_tokens=found[0].input_tokens, lines=tuple(lines[0])) if found else None

    def put(self, key: str, owner: str, answer: Answer) -> None:
        """Keep an answer that is not too large; where the store is away it is not kept."""
        packed = self._packed(b"".join(answer.lines))
        if packed is None:
            return
        new = _Kept(key, owner, self._now() + self.kept_s, answer.input_tokens, packed)
        try:
            self._change(self._name(key), lambda bucket: self._with(bucket, new))
        except StoreDownError:
            return

    def drop(self, key: str) -> None:
        """Keep the answer of that key no longer; raises StoreDownError."""
        if self.buckets:
            self._change(self._name(key), lambda bucket: [one for one in bucket if one.key != key])

    def forget(self, owner: str) -> None:
        """Keep nothing any longer that was made for this owner; reads every bucket. Raises StoreDownError."""
        for number in range(self.buckets):
            self._change(self._named(number), lambda bucket: [one for one in bucket if one.owner != owner])

    def _with(self, bucket: Bucket, new: _Kept) -> Bucket:
        kept = [*(one for one in bucket if one.key != new.key), new]
        while len(encode(kept)) > self.bucket_bytes:
            kept.pop(0)
        return kept

    def _packed(self, lines: bytes) -> bytes | None:
        """Return the lines as they are kept; None for what does not fit into a bucket."""
        if len(lines) > self.longest:
            return None
        if len(lines) <= LONG_BYTES:
            packed = zlib.compress(lines)
        else:
            packed = gevent.get_hub().threadpool.apply(zlib.compress, (lines,))
        return packed if len(encode([_Kept("0" * 64, "", 0.0, 0, packed)])) <= self.bucket_bytes else None

    def _change(self, name: str, change: Callable[[Bucket], Bucket]) -> None:
        for _ in range(TRIES):
            value, bucket = self._read(name)
            changed = change(bucket)
            new = encode(changed) if changed else None
            if new == value or self.store.swap(name, value, new, self.kept_s):
                return

    def _read(self, name: str) -> tuple[bytes | None, Bucket]:
        value = self.store.get(name)
        try:
            bucket = decode(value) if value is not None else []
        except msgspec.MsgspecError:
            bucket = []  # another release's
        now = self._now()
        return value, [one for one in bucket if now < one.until]

    def _now(self) -> float:
        return self.clock.now().timestamp()

    def _name(self, key: str) -> str:
        return self._named(int(key, 16) % self.buckets)

    def _named(self, number: int) -> str:
        return f"cache:{self.buckets}:{number}"
