"""Clients that break off, come back, go to other processes, or take nothing."""

import time

import gevent

from tests.rig.clients import NDJSON
from tests.rig.faults import Size, fault
from tests.rig.house import wait_until
from tests.rig.rig import Rig, promise
from tests.rig.wire import Wire

STAY = {"on_disconnect": 30}
CLOSED_S = 10.0  # after the last reader has gone (R12)
CANCELLED_S = 1.0  # after a DELETE anywhere (R13)


@fault("cuts at random, and resuming anywhere", "R3", "R4")
def cut_and_resumed(rig: Rig, size: Size) -> int:
    """Two readers of each stream are cut again and again, and come back to any process."""
    readers = [rig.reader("paced:100:40", options=STAY) for _ in range(size.streams(10, 50))]
    both = [*readers, *(rig.also(reader) for reader in readers)]
    cuts = size.streams(40, 500)
    for _ in range(cuts):
        rig.random.choice(both).cut(reset=rig.random.random() < 0.5)
        gevent.sleep(3.5 / cuts)
    rig.judge()
    promise(
        all(one.end and one.end.get("reason") == "stop" for one in both), "a stream did not come to its end"
    )
    return sum(len(one.readings) - 1 for one in both)


@fault("DELETE at another process", "R13", "R14")
def cancelled_elsewhere(rig: Rig, size: Size) -> int:
    here, there = rig.random.sample(rig.house.members, 2)
    readers = [
        rig.reader(f"fault/stall:{count}:never-{rig.model('x')}", first=here.port)
        for count in range(size.streams(6, 20))
    ]
    also = [rig.also(reader, first=there.port) for reader in readers]
    for reader in readers:
        reader.hears(1)
    asked = {}
    for reader in readers:
        reader.ports = lambda: [there.port]
        asked[reader.model] = time.monotonic()
        promise(reader.cancel() in {202, 204}, "a DELETE was refused")
        reader.ports = rig.house.ports
    tries = rig.judge()
    journal = {one["model"]: one for one in rig.house.upstream.journal() if one["model"] in asked}
    late = {
        model: one["ended_at"] - asked[model]
        for model, one in journal.items()
        if one["ended_at"] - asked[model] > CANCELLED_S
    }
    promise(not late, f"providers closed late: {late}")
    promise(
        all(one.end and one.end.get("reason") == "cancelled" for one in [*readers, *also]),
        "not all were told",
    )
    return tries


@fault("the last reader leaves, here or elsewhere, before the first token or later", "R12", "R14")
def left(rig: Rig, size: Size) -> int:
    here, there = rig.random.sample(rig.house.members, 2)
    readers = []
    for count in range(size.streams(6, 20)):
        first = rig.reader(f"fault/stall:{count % 3}:never-{rig.model('x')}", first=here.port)
        readers.append(first)
        if count % 2:
            readers.append(rig.also(first, first=there.port))
    for reader in readers:
        reader.hears(1)
    gone_at = time.monotonic()
    for reader in readers:
        reader.leave()
    names = {reader.model for reader in readers}
    closed = wait_until(
        lambda: sum(one["ended"] == "peer" for one in _journal(rig, names)) == len(names), CLOSED_S + 2
    )
    promise(closed, "a provider was not closed")
    late = max(one["ended_at"] for one in _journal(rig, names)) - gone_at
    promise(late <= CLOSED_S, f"a provider was closed after {late:.1f} s")
    return rig.judge()


def _journal(rig: Rig, names: set[str]) -> list[dict[str, object]]:
    return [one for one in rig.house.upstream.journal() if one["model"] in names]


@fault("a reader that never reads", "R15", "R21")
def never_reads(rig: Rig, size: Size) -> int:
    """It is cut, and the others notice nothing of it."""
    member = rig.random.choice(rig.house.members)
    model = rig.model("paced:1200:2")
    others = [rig.reader("paced:100:20", first=member.port) for _ in range(size.streams(5, 20))]
    body = {"prompt": "x", "options": {"model": model, "on_disconnect": "cancel"}}
    with Wire(member.port, takes=4096) as deaf:
        deaf.send("POST", "/v1/relay", body, Accept=NDJSON)
        [attempt] = rig.house.upstream.journal(model, begun=1, ended=1)
    promise(attempt["ended"] == "peer", "its provider was read to the end")
    tries = rig.judge()
    promise(all(one.end and one.end.get("reason") == "stop" for one in others), "others were disturbed")
    return tries + 1


@fault("a thousand streams at once in one process", "R1", "R4", "R21")
def crowd(rig: Rig, size: Size) -> int:
    member = rig.random.choice(rig.house.members)
    readers = [rig.reader("paced:25:400", first=member.port) for _ in range(size.streams(100, 1_000))]
    tries = rig.judge()
    promise(all(one.end and one.end.get("reason") == "stop" for one in readers), "not all are whole")
    return tries


@fault("streams of all kinds, broken in all ways: afterwards all is as before", "R21")
def as_before(rig: Rig, size: Size) -> int:
    def load(*, cut: bool) -> int:
        readers = [
            rig.reader("paced:40:20", options={"on_disconnect": 0.5}) for _ in range(size.streams(16, 60))
        ]
        readers += [rig.also(one) for one in readers]
        for reader in readers[:: 3 if cut else len(readers) + 1]:
            reader.hears(3)
            rig.random.choice([reader.cut, reader.leave, lambda: reader.cut(reset=True), reader.cancel])()  # noqa: B023
        return rig.judge()

    tries = load(cut=False)
    before = [rig.settled(member) for member in rig.house.members]
    tries += load(cut=True)
    for member, was in zip(rig.house.members, before, strict=True):
        # Chance may have given this one more streams at a time than before: its connections to the
        # provider are kept idle, one for each.
        rig.as_before(member, {**was, "files": was["files"] + size.streams(16, 60)})
    return tries
