"""State in Redis, for any number of processes and machines.

It is made for one node: its scripts name keys that a cluster would spread. All of them begin
with ``gloss:``; values and logs expire by themselves. A log is a stream whose ids are its
numbers (``7-0``), an inbox one whose ids are the server's time, leases are a sorted set by the
time at which they end. Redis 7 or Valkey.

No call waits longer than ``call_s``, none is repeated here, and after one that failed the next
ones fail at once for a second (``breaker.py``). A request that asks a slow server several times
waits no longer than it was told to (``patience.py``); whoever calls decides what goes on without.
"""

import math
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import gevent

from services.state import patience
from services.state.breaker import Breaker
from services.state.lines import Lines, Word
from services.state.scripts import (
    APPEND,
    JOIN,
    LAPSED,
    LEASE,
    LET_GO,
    MEMBERS,
    PUT,
    RELEASE,
    SEIZE,
    SEND,
    SWAP,
    Script,
)
from services.state.store import EPOCH_S, FencedError, Joined, Part, StoreDownError, Value
from services.state.sum_scripts import HOLDS, RESERVE, ROW, SETTLE, SUMS, reserve_words, row, settle_words
from services.state.sums import Hold, Kept, Refusal, Settlement

CALL_S = 0.25  # a local server answers in less than 1 ms; a person waits
CONNECTIONS = 8  # of one process; small plans allow 20 for all
LATE_S = 1.0  # how much longer than it was told to a server may hold a follower
FOR_EVER_S = 100 * 365 * 86_400  # it knows no infinity
LEAST_S = 0.001  # it refuses no time at all
PAGE = 1000  # records in one reply

VALUE = "gloss:value:"
LOG = "gloss:log:"
EPOCH = "gloss:epoch:"
GROUP = "gloss:group:"
LEASES = ["gloss:leases", "gloss:holders"]


class RedisStore:
    """A ``Shared`` store on the server at ``url``; it connects when it is first asked.

    Raises SettingsError for an address that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        call_s: float = CALL_S,
        connections: int = CONNECTIONS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call_s = call_s
        self._lines = Lines(url, most=connections)
        self._ear = Lines(url, most=1)
        self._breaker = Breaker(monotonic=monotonic)
        self.trouble = self._breaker.trouble
        self._me = secrets.token_urlsafe(12)

    def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none."""
        value: bytes | None = self._ask("GET", VALUE + key)
        return value

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Set a value, whatever was there."""
        self._ask("SET", VALUE + key, value, "PX", _ms(ttl_s))

    def put_all(self, values: Sequence[Value]) -> None:
        """Set many by one script."""
        words = [word for _, value, ttl_s in values for word in (value, _ms(ttl_s))]
        self._run(PUT, [VALUE + key for key, _, _ in values], *words)

    def swap(self, key: str, old: bytes | None, new: bytes | None, ttl_s: float) -> bool:
        """Set a value if it still is ``old``; tell whether it was."""
        return bool(self._run(SWAP, [VALUE + key], *_maybe(old), *_maybe(new), _ms(ttl_s)))

    def append(self, log: str, epoch: int, first: int, records: Sequence[bytes], ttl_s: float) -> int:
        """Store records numbered from ``first``; return the last number stored now."""
        [last] = self.append_all([Part(log, epoch, first, records, ttl_s)])
        if last is None:
            raise FencedError([log])
        return last

    def append_all(self, parts: Sequence[Part]) -> list[int | None]:
        """Append to many logs by one script; None for one that is another's."""
        keys: list[str] = []
        words: list[Word] = []
        for log, epoch, first, records, ttl_s in parts:
            keys += LOG + log, EPOCH + log
            words += epoch, first, _ms(ttl_s), len(records), *records
        lasts = self._run(APPEND, keys, *words) if parts else []
        return [None if last < 0 else last for last in lasts]

    def read(self, log: str, after: int) -> list[bytes]:
        """Return the records after that number."""
        records: list[bytes] = []
        while True:
            page = self._ask("XRANGE", LOG + log, after + len(records) + 1, "+", "COUNT", PAGE)
            records += [record for _, (_, record) in page]
            if len(page) < PAGE:
                return records

    def lease(self, logs: Collection[str], seconds: float) -> None:
        """Hold logs, or go on holding them; raises FencedError for others'."""
        lost = self._run(LEASE, LEASES, self._me, _ms(seconds), *logs)
        if lost:
            raise FencedError([log.decode() for log in lost])

    def release(self, logs: Collection[str]) -> None:
        """Forget leases of ours."""
        self._run(RELEASE, LEASES, self._me, *logs)

    def let_go(self, logs: Collection[str]) -> None:
        """Let leases of ours lapse now."""
        self._run(LET_GO, LEASES, self._me, *logs)

    def lapsed(self, most: int) -> list[str]:
        """Return logs whose lease ran out, longest ago first."""
        return [log.decode() for log in self._run(LAPSED, LEASES[:1], most)]

    def seize(self, log: str, seconds: float) -> int | None:
        """Take a log over if its lease has lapsed; return its new epoch."""
        keys = [*LEASES, EPOCH + log]
        epoch: int | None = self._run(SEIZE, keys, self._me, _ms(seconds), log, _ms(EPOCH_S))
        return epoch

    def reserve(self, holds: Sequence[Hold]) -> list[int | Refusal]:
        """Set aside what each hold asks for, all of it or nothing."""
        answers = self._run(RESERVE, [HOLDS], *reserve_words(holds, _ms))
        return [one if isinstance(one, int) else Refusal(*one) for one in answers]

    def settle(self, settlements: Sequence[Settlement]) -> list[bool | None]:
        """End holds; tell of each whether it was there."""
        answers = self._run(SETTLE, [HOLDS], *settle_words(settlements, _ms))
        return [None if one < 0 else bool(one) for one in answers]

    def sums(self, rows: Sequence[str]) -> list[dict[str, Kept]]:
        """Return how the sums of these rows stand."""
        return [row(found) for found in self._run(SUMS, [HOLDS], *rows)]

    def drop(self, rows: Collection[str]) -> None:
        """Forget these rows."""
        if rows:
            self._ask("DEL", *(ROW + one for one in rows))

    def send(self, inbox: str, message: bytes, ttl_s: float) -> None:
        """Add a message."""
        self._run(SEND, [LOG + inbox], _ms(ttl_s), message)

    def follow(self, after: Mapping[str, str], wait_s: float) -> list[tuple[str, str, bytes]]:
        """Wait for what comes after these positions; return it, or nothing.

        It has a connection and a time limit of its own, and asks whatever other calls met with:
        who follows learns by it when the server is back.
        """
        if not after:
            gevent.sleep(wait_s)
            return []
        ms = math.ceil(wait_s * 1000)
        block: tuple[Word, ...] = ("BLOCK", ms) if ms > 0 else ()  # 0 would mean for ever
        streams = (*(LOG + name for name in after), *after.values())
        found = self._ear.ask("XREAD", "COUNT", PAGE, *block, "STREAMS", *streams, within_s=wait_s + LATE_S)
        return [
            (key.decode().removeprefix(LOG), position.decode().removesuffix("-0"), record)
            for key, records in found or ()
            for position, (_, record) in records
        ]

    def join(self, group: str, member: str, ttl_s: float, most: int | None = None) -> Joined:
        """Make somebody a member, if there is room."""
        limit = -1 if most is None else most
        joined, count, free_in = self._run(JOIN, [GROUP + group], member, _ms(ttl_s), limit)
        return Joined(bool(joined), count, free_in / 1000)

    def quit(self, group: str, members: Collection[str]) -> None:
        """Let members go."""
        if members:
            self._ask("ZREM", GROUP + group, *members)

    def members(self, group: str, skip: int, most: int) -> list[str]:
        """Return members, those that stay longest first."""
        return [member.decode() for member in self._run(MEMBERS, [GROUP + group], skip, most)]

    def reachable(self) -> bool:
        """Tell whether the server answers; at once where it did not a moment ago."""
        try:
            self._ask("PING")
        except StoreDownError:
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._lines.close()
        self._ear.close()

    def _ask(self, *command: Word) -> Any:
        with patience.spent(self._call_s), self._breaker():
            return self._lines.ask(*command, within_s=self._call_s)

    def _run(self, script: Script, keys: Sequence[str], *arguments: Word) -> Any:
        with patience.spent(self._call_s), self._breaker():
            return self._lines.run(script, keys, *arguments, within_s=self._call_s)


def _ms(seconds: float) -> int:
    return math.ceil(min(FOR_EVER_S, max(LEAST_S, seconds)) * 1000)


def _maybe(value: bytes | None) -> tuple[int, bytes]:
    return (0, b"") if value is None else (1, value)
