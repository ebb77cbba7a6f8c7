"""Redis frozen, gone and back empty, full, slow, cut off in mid-reply."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import gevent

from tests.rig.clients import NDJSON, Reader
from tests.rig.faults import PROXIED, Size, fault
from tests.rig.faults.deploy import all_whole
from tests.rig.rig import PROMPT, Rig, promise
from tests.rig.wire import CutError, Wire

WAIT_S = 0.5  # that a request may wait for a store that does not answer (R17)
STAY = {"on_disconnect": 60}


class Stopwatch:
    """Asks all kinds of things of all processes, over and over, and keeps the longest wait for a head."""

    def __init__(self, rig: Rig, readers: list[Reader]) -> None:
        self._rig = rig
        self._readers = readers
        self.longest: dict[str, float] = {}
        self.asked = 0

    def round(self) -> None:
        """Ask each of them once."""
        for port in self._rig.house.ports():
            stream = f"/v1/streams/{self._rig.random.choice(self._readers).stream}"
            body = {"prompt": PROMPT, "options": {"model": "ok:1"}}
            key = {"Idempotency_Key": self._rig.model("a key of nobody ")}
            self._time("start", port, "POST", "/v1/relay", body)
            self._time("start with a key", port, "POST", "/v1/relay", body, **key)
            self._time("read", port, "GET", stream)
            self._time("status", port, "GET", f"{stream}/status")
            self._time("unknown", port, "DELETE", "/v1/streams/" + "x" * 22)
            self._time("ready", port, "GET", "/readyz")

    def _time(
        self, what: str, port: int, method: str, path: str, body: object = None, **headers: str
    ) -> None:
        began = time.monotonic()
        with suppress(CutError, OSError), Wire(port) as wire:
            wire.send(method, path, body, Accept=NDJSON, **headers).head()
        self.longest[what] = max(self.longest.get(what, 0.0), time.monotonic() - began)
        self.asked += 1


@contextmanager
def timed(rig: Rig, readers: list[Reader], seconds: float) -> Iterator[Callable[[], None]]:
    """Give a function that asks for so long; no request may wait half a second longer than before."""
    before, during = Stopwatch(rig, readers), Stopwatch(rig, readers)
    before.round()
    before.round()

    def ask() -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            during.round()
            gevent.sleep(0.2)

    yield ask
    late = {
        what: f"{took:.2f} s (before: {before.longest[what]:.2f})"
        for what, took in during.longest.items()
        if took > WAIT_S + max(before.longest.values())
    }
    promise(not late, f"requests waited for the store: {late}")


def live(rig: Rig, count: int, kind: str) -> list[Reader]:
    """Start streams at any process; each second one is read at another process too."""
    readers = [rig.reader(kind, options=STAY) for _ in range(count)]
    for reader in readers[::2]:
        rig.also(reader)
    for reader in readers:
        reader.hears(2)
    return readers


@fault("Redis frozen in the middle of many streams", "R2", "R4", "R17")
def store_frozen(rig: Rig, size: Size) -> int:
    lasts = size.seconds(7, 30)
    readers = live(rig, size.streams(20, 100), f"paced:{int((lasts + 4) * 5)}:200")
    with timed(rig, readers, lasts) as ask:
        rig.house.redis.freeze()
        try:
            ask()
        finally:
            rig.house.redis.thaw()
    tries = rig.judge()
    all_whole(readers)
    return tries


@fault("Redis killed, and back empty", "R2", "R3", "R4", "R17")
def store_emptied(rig: Rig, size: Size) -> int:
    lasts = size.seconds(3, 8)
    readers = live(rig, size.streams(10, 50), f"paced:{int((lasts + 5) * 5)}:200")
    with timed(rig, readers, lasts) as ask:
        rig.house.redis.kill()
        try:
            ask()
        finally:
            rig.house.redis.start()
    tries = rig.judge()
    all_whole(readers)
    return tries


@fault("Redis restarted empty, and nobody noticed: a silent stream is cancelled elsewhere", "R13", "R17")
def store_emptied_unnoticed(rig: Rig, size: Size) -> int:
    here, there = rig.random.sample(rig.house.members, 2)
    readers = [
        rig.reader(f"fault/stall:1:never-{rig.model('x')}", first=here.port)
        for _ in range(size.streams(3, 10))
    ]
    for reader in readers:
        reader.hears(2)
    rig.house.redis.ask("FLUSHALL")
    gevent.sleep(3)  # a round of theirs
    for reader in readers:
        reader.ports = lambda: [there.port]
        promise(reader.cancel() == 202, "a stream that runs was not found")
        reader.ports = rig.house.ports
    tries = rig.judge()
    promise(
        all(one.end and one.end.get("reason") == "cancelled" for one in readers), "not all were cancelled"
    )
    return tries


@fault("Redis slow: each reply so late that two of them are half a second", "R4", "R17", house=PROXIED)
def store_slow(rig: Rig, size: Size) -> int:
    lasts = size.seconds(3, 8)
    readers = live(rig, size.streams(10, 50), f"paced:{int((lasts + 3) * 5)}:200")
    with timed(rig, readers, lasts) as ask:
        rig.house.proxy.down(latency=0.2)
        try:
            ask()
        finally:
            rig.house.proxy.heal()
    tries = rig.judge()
    all_whole(readers)
    return tries


@fault("Redis cut off inside its replies, again and again", "R4", "R17", "R22", house=PROXIED)
def store_cut_off(rig: Rig, size: Size) -> int:
    """No part of one reply is taken for another's, and what was not stored is stored later."""
    lasts = size.seconds(3, 8)
    readers = live(rig, size.streams(10, 50), f"paced:{int((lasts + 3) * 5)}:200")
    with timed(rig, readers, lasts) as ask:
        rig.house.proxy.down(limit_data=rig.random.randint(20, 400))
        try:
            ask()
        finally:
            rig.house.proxy.heal()
    tries = rig.judge()
    all_whole(readers)
    return tries


@fault("Redis full", "R17")
def store_full(rig: Rig, size: Size) -> int:
    lasts = size.seconds(2, 10)
    readers = live(rig, size.streams(10, 50), f"paced:{int((lasts + 3) * 5)}:200")
    with timed(rig, readers, lasts) as ask:
        rig.house.redis.ask("CONFIG", "SET", "maxmemory", "1")
        try:
            ask()
        finally:
            rig.house.redis.ask("CONFIG", "SET", "maxmemory", "0")
    tries = rig.judge()
    all_whole(readers)
    return tries
