"""Streams by the dozen in one house, and the judgement of all of them when they are over."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import gevent

from tests.rig.bills import unbilled
from tests.rig.clients import NDJSON, SSE, Reader
from tests.rig.house import API_KEY, House, Member, wait_until
from tests.rig.invariants import Story, breaches, no_secret
from tests.rig.wire import CutError, ask

PROMPT = "planted-prompt-7c1e"  # must stand in no log
END_S = 40.0  # for a log to get its end, whoever died
BACK_S = 15.0  # for what is open to be as before
NUMBERS = count(1)


class BrokenPromiseError(AssertionError):
    """An invariant does not hold; the message says which, and of which stream."""


@dataclass
class Rig:
    """One house, one source of chance, and the streams that were started since the last judgement."""

    house: House
    random: Random
    readers: list[Reader] = field(default_factory=list)
    crashed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    apart: bool = False  # the store was away since the last judgement
    judged: int = 0

    def model(self, kind: str) -> str:
        """Return the model of this kind that nobody else asks."""
        return f"{kind}@{next(NUMBERS)}"

    def reader(self, kind: str, **more: Any) -> Reader:
        """Start a stream of this kind; its encoding is left to chance if nobody says which."""
        more = {"encoding": self.random.choice([NDJSON, SSE]), "prompt": PROMPT, **more}
        reader = Reader(self.house.ports, Random(self.random.random()), self.model(kind), **more)
        self.readers.append(reader.start())
        return reader

    def also(self, reader: Reader, **more: Any) -> Reader:
        """Let somebody else read the same stream, from its beginning; it must have begun."""
        reader.hears(1)
        more = {"encoding": self.random.choice([NDJSON, SSE]), **more}
        other = Reader(
            self.house.ports, Random(self.random.random()), reader.model, stream=reader.stream, **more
        )
        self.readers.append(other.start())
        return other

    def crash(self, readers: Iterable[Reader]) -> None:
        """Note that a process died that made these."""
        self.crashed |= {reader.model for reader in readers}

    def all_crash(self) -> None:
        """Note that it may have been any of those that have begun."""
        self.crash(self.readers)

    def all_emptied(self) -> None:
        """Note that the store forgot all that had begun."""
        self.emptied |= {reader.model for reader in self.readers}

    @staticmethod
    def quietly(ask: Callable[[], object]) -> None:
        """Ask; that nobody answers is no finding."""
        with suppress(OSError, CutError):
            ask()

    def judge(self) -> int:
        """Wait for all fates, compare all that is known; return how many streams were judged.

        Raises BrokenPromiseError.
        """
        gevent.joinall([reader.greenlet for reader in self.readers], timeout=END_S)
        for reader in self.readers:
            reader.join(0)
        stories = self._stories()
        found = [breach for story in stories for breach in breaches(story)]
        found += [f"{model}: {count} streams" for model, count in self._twice(stories)]
        found += self._left_over()
        found += no_secret(self.house.printed(), [API_KEY, PROMPT])
        forgot = bool(self.emptied) or (self.apart and bool(self.crashed))
        found += unbilled(self.house, forgot=forgot)
        self.readers, self.crashed, self.emptied, self.apart = [], set(), set(), False
        if found:
            raise BrokenPromiseError("\n".join(found[:20]))
        self.judged += len(stories)
        return len(stories)

    def _left_over(self) -> list[str]:
        """Return what a process still has to store, though all is over."""
        running = [one for one in self.house.members if one.master.poll() is None]
        return [
            f"{member.port} holds what is over: {self.inside(member)}"
            for member in running
            if not wait_until(lambda: self.inside(member)["unsent"] == 0, BACK_S)  # noqa: B023 - used here
        ]

    @staticmethod
    def _twice(stories: list[Story]) -> list[tuple[str, int]]:
        """Return what one key began more than once (R9)."""
        began = Counter(story.model for story in stories if story.began and not story.emptied)
        return [(model, count) for model, count in began.items() if count > 1]

    def _stories(self) -> list[Story]:
        """Return one for each stream; a reader whose stream never began has one of its own."""
        told: dict[tuple[str, str | None], list[Reader]] = {}
        for reader in self.readers:
            told.setdefault((reader.model, reader.stream), []).append(reader)
        records = {stream: self.records(stream) for _, stream in told if stream}
        attempts: dict[str, list[dict[str, Any]]] = {}
        for attempt in self.house.upstream.journal():
            attempts.setdefault(attempt["model"], []).append(attempt)
        return [
            Story(
                model=model,
                readers=readers,
                records=records.get(stream, []),
                attempts=attempts.get(model, []),
                recovers=readers[0].use_case == "relay-again",
                crashed=model in self.crashed,
                emptied=model in self.emptied,
            )
            for (model, stream), readers in told.items()
        ]

    def records(self, stream: str) -> list[bytes]:
        """Return the log as each process gives it, once it has its end."""
        path = f"/v1/streams/{stream}"
        wait_until(lambda: self._ended(path), END_S)
        found = []
        for port in self.house.ports():
            with suppress(OSError, CutError):
                status, body = ask(port, "GET", path, Accept=NDJSON)
                found += [without_heartbeats(body)] if status == 200 else []
        return found

    def _ended(self, path: str) -> bool:
        with suppress(OSError, CutError):
            status, body = ask(self.random.choice(self.house.ports()), "GET", f"{path}/status")
            return status == 404 or (status == 200 and json.loads(body)["state"] == "ended")
        return False

    def ends(self, readers: list[Reader], port: int) -> list[dict[str, Any]]:
        """Return the last event of each stream, as one process gives it, without waiting for more."""
        paths = [f"/v1/streams/{reader.stream}/status" for reader in readers]
        told = [json.loads(ask(port, "GET", path)[1]) for path in paths]
        return [one["finish"] or ({"type": "error"} if one["problem"] else {"type": None}) for one in told]

    def inside(self, member: Member) -> dict[str, int]:
        """Return how much is open in a process, but for connections that it keeps for later."""
        kept = {self.house.redis.port, self.house.upstream.port}
        return {**json.loads(ask(member.port, "GET", "/_inside")[1]), "files": member.open_files(but_to=kept)}

    def settled(self, member: Member) -> dict[str, int]:
        """Return the same once nothing runs any more."""
        wait_until(lambda: self.inside(member)["streams"] == 0, BACK_S)
        return self.inside(member)

    def as_before(self, member: Member, before: dict[str, int]) -> None:
        """Wait until no more is open than before; raises BrokenPromiseError (R21)."""
        if not wait_until(
            lambda: all(self.inside(member)[name] <= most for name, most in before.items()), BACK_S
        ):
            raise BrokenPromiseError(f"open before: {before}, and now: {self.inside(member)}")


def without_heartbeats(body: bytes) -> bytes:
    """Return the events of an NDJSON body."""
    return b"".join(line for line in body.splitlines(keepends=True) if line != b"\n")


def promise(true: bool, broken: str | Callable[[], str]) -> None:
    """Raise BrokenPromiseError unless it is true."""
    if not true:
        raise BrokenPromiseError(broken() if callable(broken) else broken)
