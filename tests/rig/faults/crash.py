"""Processes that die, or stand still, while they make streams."""

import time

import gevent

from tests.rig.clients import SSE, Reader
from tests.rig.faults import Size, fault
from tests.rig.house import wait_until
from tests.rig.plain import Plain
from tests.rig.rig import Rig, promise

TOLD_S = 10.0  # after a crash, for every reader (R11)
FRAMES_MS = (5, 40)


def running(rig: Rig, count: int, port: int) -> list[Reader]:
    """Start streams at one process, each at a pace of its own, so that each stands at another event."""
    readers = []
    for _ in range(count):
        ms = rig.random.randint(*FRAMES_MS)
        readers.append(rig.reader(f"paced:600:{ms}", first=port, options={"on_disconnect": "finish"}))
    for reader in readers:
        reader.hears(1)
    return readers


def told_in_time(readers: list[Reader], since: float) -> None:
    """Every reader knows its fate soon after a crash; a log that is whole by itself has all the time."""
    late = [one for one in readers if (one.end or {}).get("type") == "error" and one.over_at - since > TOLD_S]
    promise(not late, f"{len(late)} readers learned of a crash after {TOLD_S} s")


@fault("kill -9 of the worker that makes them, each at another event", "R2", "R3", "R4", "R11", "R14")
def killed(rig: Rig, size: Size) -> int:
    tries = 0
    for _ in range(2 if size.full else 1):
        member = rig.random.choice(rig.house.members)
        readers = running(rig, size.streams(8, 20), member.port)
        others = [rig.also(reader) for reader in readers[::2]]
        plain = [Plain(member.port, rig.model("paced:600:20")).start() for _ in range(3)]
        readers[-1].hears(rig.random.randint(2, 40))
        rig.crash(readers)
        member.kill_worker()
        since = time.monotonic()
        tries += rig.judge()
        told_in_time([*readers, *others], since)
        promise(not any(one.clean for one in plain), "half a text ended in order")
        rig.house.mend()
    return tries


@fault("kill -9 of master and worker, then of the others' too", "R2", "R11")
def all_killed(rig: Rig, size: Size) -> int:
    readers = [one for member in rig.house.members for one in running(rig, 4, member.port)]
    rig.crash(readers)
    for member in rig.house.members:
        member.kill()
    rig.house.mend()
    return rig.judge()


@fault("producer frozen until others have ended its streams, then thawed", "R2", "R3", "R4", "R11")
def frozen(rig: Rig, size: Size) -> int:
    member, other = rig.random.sample(rig.house.members, 2)
    readers = running(rig, size.streams(6, 20), member.port)
    for reader in readers[::2]:
        rig.also(reader, first=other.port)
    readers[0].hears(20)
    rig.crash(readers)
    with member.frozen():
        ended = wait_until(lambda: all(one["type"] == "error" for one in rig.ends(readers, other.port)), 20)
        gevent.sleep(size.seconds(0, 3))  # and some more: what its provider says piles up
    promise(ended, "the streams of a frozen process were not ended by another one")
    return rig.judge()


@fault("producer frozen for a moment, too short to lose anything", "R3", "R4")
def dazed(rig: Rig, size: Size) -> int:
    member = rig.random.choice(rig.house.members)
    readers = [
        rig.reader("paced:100:20", first=member.port, encoding=SSE) for _ in range(size.streams(6, 30))
    ]
    others = [rig.also(reader) for reader in readers]
    for reader in [*readers, *others]:
        reader.hears(10)
    with member.frozen():
        gevent.sleep(1.5)
    tries = rig.judge()
    promise(
        all(one.end and one.end.get("reason") == "stop" for one in [*readers, *others]), "a stream was lost"
    )
    return tries
